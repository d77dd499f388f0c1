"""One face of a recording: how its landmarks are had, which of several it is, and where it goes.

Glossary: N frames of the recording; T frames of the video at the model's rate; M moments at which a face is
looked for; k frames of a window.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from metst_lib.datasets import frames, landmarks
from metst_lib.datasets.landmarks import DlibLandmarker, PrecomputedLandmarks
from metst_lib.events import window_starts
from metst_lib.experiment import home
from metst_lib.recording.film import Recording, Resampled
from metst_lib.rois import Rect, face_crop
from metst_lib.synthetic import predictor as demonstration

#: Faces are looked for on pictures of at most so many pixels; a face too small there fills no face crop.
DETECT_ON = 1280
#: A face is looked for in every so many-th frame, and where a window begins.
EVERY = 5
#: dlib's landmarks, or known ones of all N frames of a recording.
Marks = DlibLandmarker | PrecomputedLandmarks


# --- where landmarks come from --------------------------------------------------------------------------


def landmarks_from(given: str | Path = "", root: str | Path = "") -> tuple[DlibLandmarker | Path, list[str]]:
    """How landmarks are found, and what is to be said of that.

    given: dlib's 68-point predictor (.dat), a file of known landmarks (.npz, .csv), or a folder of such files
    named like the videos. Without it $METST_LANDMARKS, else data/shape_predictor_68_face_landmarks.dat, else
    the demonstration's predictor. Returns dlib's landmarker, or the path of known landmarks.
    FileNotFoundError, saying which file is wanted and where it is had, where there is none.
    """
    data = home(root) / "data"
    usual = data / landmarks.PREDICTOR.name, data / "synthetic" / demonstration.NAME
    path = Path(
        given or os.environ.get("METST_LANDMARKS") or next((p for p in usual if p.is_file()), usual[0])
    )
    if path.is_dir() or (path.is_file() and path.suffix.lower() in (".npz", ".csv")):
        return path, []
    landmarker = DlibLandmarker(path, DETECT_ON)
    if path.name != demonstration.NAME:
        return landmarker, []
    return landmarker, [
        "Landmarks come from the demonstration's predictor, which knows one rendered face: on any other face "
        "they are wrong, and so is everything below. Give dlib's 68-point file with --landmarks."
    ]


def known_landmarks(path: Path, recording: Path) -> PrecomputedLandmarks:
    """The known landmarks of a recording: those of a file, or of the file of its name in a folder.

    FileNotFoundError naming what is missing.
    """
    if not path.is_dir():
        return landmarks.read_landmarks(path)
    stem = recording.name if recording.is_dir() else recording.stem
    for suffix in (".npz", ".csv"):
        if (path / f"{stem}{suffix}").is_file():
            return landmarks.read_landmarks(path / f"{stem}{suffix}")
    raise FileNotFoundError(f"no landmarks of {recording.name}: looked for {path / stem}.npz and {stem}.csv")


# --- which of several -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Followed:
    """One of the faces of a recording, through all the moments at which it was looked for.

    boxes: where it is at each moment, None where it is not seen. all: the boxes, from left to right, at the
    first moment that shows the most faces, and its index `at`: there they have their numbers, from 1.
    number: that of the face that is followed; largest: that of the largest.
    """

    boxes: list[Rect | None]
    all: list[Rect]
    at: int
    number: int
    largest: int


def follow(seen: Sequence[Sequence[Rect]], number: int | None = None) -> Followed:
    """Choose one face by its number, or the largest, and follow it through the moments, forth and back.

    Faces are numbered from left to right where most are seen together (a second face that shows up at one
    moment only is taken for the detector's mistake). At each other moment it is the box nearest to where it
    was last, within one width of it, and half a width more for each moment that it was out of sight.
    ValueError where no moment shows a face, or there is no face of that number.
    """
    counts = [len(boxes) for boxes in seen]
    if not any(counts):
        raise ValueError("no face found")
    most = max([1, *sorted(counts)[-2:-1]])  # that many are seen at two moments
    at = next(i for i, count in enumerate(counts) if count >= most)
    together = sorted(seen[at], key=lambda box: box.left + box.right)
    while len(together) > most:  # the detector's mistake is among them: the smallest
        together.remove(min(together, key=landmarks.area))
    largest = together.index(max(together, key=landmarks.area)) + 1
    if number is not None and not 1 <= number <= len(together):
        raise ValueError(f"no face {number}: " + in_words(together))
    chosen = together[(number or largest) - 1]
    boxes: list[Rect | None] = [None] * len(seen)
    boxes[at] = chosen
    for way in (range(at + 1, len(seen)), range(at - 1, -1, -1)):
        last, reach = chosen, 1.0
        for moment in way:
            near = [(distance, box) for box in seen[moment] if (distance := _apart(last, box)) <= reach]
            boxes[moment] = min(near)[1] if near else None
            last, reach = (boxes[moment], 1.0) if near else (last, reach + 0.5)
    return Followed(boxes, together, at, number or largest, largest)


def in_words(boxes: Sequence[Rect]) -> str:
    """How many faces there are, from left to right, with the place and width of each."""
    each = ", ".join(
        f"{i} at x = {(box.left + box.right) // 2} ({box.right - box.left} px wide)"
        for i, box in enumerate(boxes, start=1)
    )
    return f"{len(boxes)} face{'s' if len(boxes) > 1 else ''}, from left to right: {each}"


def _apart(a: Rect, b: Rect) -> float:
    """Distance of two boxes' centres, in widths of the first."""
    x = (b.left + b.right - a.left - a.right) / 2
    y = (b.top + b.bottom - a.top - a.bottom) / 2
    return float(np.hypot(x, y)) / (a.right - a.left)


# --- the face through the video -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Face:
    """One face, followed: moments (M,), the frames looked at, and its landmarks there, (M, 68, 2) or NaN."""

    moments: np.ndarray
    points: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def found(self) -> np.ndarray:
        """Whether the face is seen at each moment, (M,)."""
        return np.isfinite(self.points).all(axis=(1, 2))

    def seen(self, n_frames: int) -> np.ndarray:
        """Whether the face is taken to be there in each frame, (T,): seen at the moments on both sides."""
        known = np.full(n_frames, False)
        known[self.moments] = self.found
        for i, (before, after) in enumerate(zip(self.moments[:-1], self.moments[1:], strict=True)):
            known[before + 1 : after] = self.found[i] and self.found[i + 1]
        return known

    def nearest(self, frame: int) -> np.ndarray:
        """The landmarks seen nearest to a frame, the earlier of two; (68, 2)."""
        there = np.flatnonzero(self.found)
        return self.points[there[np.argmin(np.abs(self.moments[there] - frame))]]


def find_face(
    recording: Recording, resampled: Resampled, marks: Marks, window: int, number: int | None = None
) -> Face:
    """Follow one face through the video: at every `EVERY`-th frame and where a window of k frames starts.

    number: which of several faces, from the left; None takes the largest. With known landmarks all frames are
    moments. ValueError where there is no face, or none of that number, or known landmarks have another number
    of frames than the recording.
    """
    name, n_frames = recording.path.name, resampled.video.n_frames
    if isinstance(marks, PrecomputedLandmarks):
        if len(marks) != len(recording.times):
            raise ValueError(f"{name} has {len(recording.times)} frames, its landmarks {len(marks)}")
        points = np.array([_checked(p) for p in marks.points[resampled.taken]])
        if not np.isfinite(points).any():
            raise ValueError(f"{name}: its landmarks show no face in any frame")
        notes = ["--face chooses nothing where landmarks come from a file."] if number else []
        return Face(np.arange(n_frames), points, tuple(notes))
    moments = np.union1d(np.arange(0, n_frames, EVERY), [*window_starts(n_frames, window), n_frames - 1])
    images = frames.open(recording.video(resampled.taken[moments], resampled.video.fps))
    seen: list[dict[Rect, np.ndarray]] = []
    for image in tqdm(images, f"{name}: face", unit="frame", disable=None):
        found = {box: _checked(marks.landmarks(image, box)) for box in marks.boxes(image)}
        seen.append({box: points for box, points in found.items() if np.isfinite(points).all()})
    try:
        chosen = follow([list(boxes) for boxes in seen], number)
    except ValueError as error:
        where = "" if any(seen) else f" in any of the {len(moments)} frames looked at"
        raise ValueError(f"{name}: {error}{where}") from None
    nowhere = np.full((68, 2), np.nan)
    points = np.array([at.get(box, nowhere) for at, box in zip(seen, chosen.boxes, strict=True)], float)
    notes = []
    if len(chosen.all) > 1:
        second = float(resampled.seconds[moments[chosen.at]])
        which = f"number {chosen.number}" + (", the largest" if chosen.number == chosen.largest else "")
        notes.append(
            f"Several faces: at {second:.1f} s {in_words(chosen.all)}. "
            f"Analysed is {which}; --face chooses another."
        )
    return Face(moments, points, tuple(notes))


def _checked(points: np.ndarray) -> np.ndarray:
    """Landmarks as numbers with a fraction; NaN where they give no face crop, as on a face in profile."""
    points = np.asarray(points, float)
    try:
        face_crop(points)
    except ValueError:  # NaN, too
        return np.full((68, 2), np.nan)
    return points


class Along:
    """The landmarks of a face that was followed, as `flow.extract` asks for them."""

    def __init__(self, face: Face, marks: Marks) -> None:
        self._face, self._marks = face, marks

    def __call__(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Those seen nearest to a frame."""
        return self._face.nearest(frame)

    def on_crop(self, image: np.ndarray) -> np.ndarray | None:
        """Landmarks found again on the face crop, of the face in its middle."""
        if isinstance(self._marks, PrecomputedLandmarks):
            return None
        boxes, middle = self._marks.boxes(image), image.shape[1]
        if not boxes:
            return None
        box = min(boxes, key=lambda box: abs(box.left + box.right - middle))
        return self._marks.landmarks(image, box)
