"""A video of your own, from its file to micro-expressions: the same steps as in an experiment, on one video.

The recording is resampled to the frame rate of the model (`frames`), one face is followed through it
(`faces`), its flow is extracted (`flow`), scored by a trained network (`trained`) and turned into events
(`spotting`). Where no face is seen nothing is scored and no event reported. `own_report` writes the result.

Glossary: N frames of the recording; T frames of the video at the model's rate, to which all arrays belong;
M moments at which a face is looked for; k frames of a window; k_p half the mean length of a micro-expression.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm.auto import tqdm

from metst_lib import faces, flow, frames, spotting, windows
from metst_lib.events import Event
from metst_lib.faces import DlibLandmarker, PrecomputedLandmarks
from metst_lib.frames import Recording, Resampled
from metst_lib.rois import Rect
from metst_lib.spotting import Candidate
from metst_lib.synthetic import predictor as demonstration
from metst_lib.trained import About, Trained
from metst_lib.variants import home

DETECT_ON = 1280
"""Faces are looked for on pictures of at most so many pixels; a face too small there fills no face crop."""
EVERY = 5
"""A face is looked for in every so many-th frame, and where a window begins."""
FEWEST = 3
"""Frames that a mean micro-expression should have in the recording, for its course to be seen at all."""


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


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in one recording.

    score (T,) and probabilities (T, 5) say something only where `scored` (T,) does; seen (T,): where the face
    is in view. found: the micro-expressions as candidates, whose height is their score; threshold: what a
    peak of the smoothed score must reach. notes: what the reader has to know about this recording.
    """

    recording: Recording
    resampled: Resampled
    about: About
    model_key: str
    landmarks: str
    face: Face
    score: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray
    scored: np.ndarray
    found: list[Candidate]
    threshold: float
    notes: list[str]

    @property
    def name(self) -> str:
        """The recording's file name."""
        return self.recording.path.name

    @property
    def events(self) -> list[Event]:
        """The micro-expressions in frames of the model's rate, by time."""
        return [candidate.event(self.about.result_synergy) for candidate in self.found]

    @property
    def unseen(self) -> list[tuple[float, float]]:
        """Spans without a face, in seconds."""
        return [self._seconds(first, last) for first, last in spans(~self.seen)]

    @property
    def unscored(self) -> list[tuple[float, float]]:
        """Spans that got no score, in seconds: those without a face, and what only they could explain."""
        return [self._seconds(first, last) for first, last in spans(~self.scored)]

    def events_table(self) -> pd.DataFrame:
        """One row per micro-expression: seconds, the recording's own frame numbers, emotion, score.

        A frame lasts until the next one: end_s is when the last frame of the event goes.
        """
        rows = []
        for number, (event, candidate) in enumerate(zip(self.events, self.found, strict=True), start=1):
            start, end = self._seconds(event.onset, event.offset)
            apex = float(self.resampled.seconds[event.apex])
            own = self.own_frames[[event.onset, event.apex, event.offset]].tolist()
            rows.append((number, start, apex, end, *own, event.emotion, round(candidate.height, 4)))
        columns = "event start_s apex_s end_s start_frame apex_frame end_frame emotion score".split()
        return pd.DataFrame(rows, columns=columns).round({"start_s": 3, "apex_s": 3, "end_s": 3})

    def curves_table(self) -> pd.DataFrame:
        """One row per frame of the model's rate; score and probabilities are empty where nothing is known."""
        table = pd.DataFrame({"time_s": self.resampled.seconds.round(4), "frame": self.own_frames})
        table["face"] = self.seen.astype(int)
        table["score"] = np.where(self.scored, self.score, np.nan).astype(float).round(4)
        for i, name in enumerate(self.about.classes):
            table[f"p_{name}"] = (
                np.where(self.scored, self.probabilities[:, i], np.nan).astype(float).round(4)
            )
        return table

    @property
    def own_frames(self) -> np.ndarray:
        """The recording's own number of the frame behind each frame, (T,)."""
        return self.recording.first + self.resampled.taken

    def _seconds(self, first: int, last: int) -> tuple[float, float]:
        seconds = self.resampled.seconds
        return float(seconds[first]), float(seconds[last]) + 1 / self.recording.fps


def analyze(
    path: str | Path,
    model: Trained,
    marks: DlibLandmarker | PrecomputedLandmarks,
    *,
    face: int | None = None,
    fps: float | None = None,
    jobs: int = 2,
    progress: bool = False,
) -> Analysis:
    """Find micro-expressions in a video file or a folder of numbered images.

    Args:
        model: see `trained.load`.
        marks: dlib's landmarks, or known ones of all N frames of the recording; see `landmarks_from`.
        face: which of several faces, numbered from left to right; None takes the largest.
        fps: of the recording, in place of its time stamps; a folder without it is taken to have the model's.
        jobs: windows of flow worked on at a time.
        progress: show bars, on a terminal.

    The video is read three times and never held as a whole: memory grows with the size of its frames, not
    with its length. Raises FileNotFoundError, and ValueError naming the recording, where it cannot be read,
    is too short, or shows no face (of that number) for long enough.
    """
    about, path = model.about, Path(path)
    notes = []
    if path.is_dir() and fps is None:
        fps = about.fps
        notes.append(
            f"The folder's frame rate is taken to be the model's, {fps:g} per second; --fps gives it."
        )
    recording = frames.look(path, fps)
    resampled = frames.resample(recording, about.fps)
    notes += rate_notes(recording, about)
    n_frames = resampled.video.n_frames
    if n_frames < about.window:
        raise ValueError(
            f"{path.name} is too short: {recording.seconds:.2f} s; the model reads windows of "
            f"{about.window / about.fps:.2f} s"
        )
    found = find_face(recording, resampled, marks, about.window, face, progress)
    values = extract(resampled, found, marks, about, jobs, progress)
    return judge(recording, resampled, found, values, model, marks, notes)


def judge(
    recording: Recording,
    resampled: Resampled,
    face: Face,
    values: flow.RoiFlow,
    model: Trained,
    marks: DlibLandmarker | PrecomputedLandmarks,
    notes: Sequence[str] = (),
) -> Analysis:
    """From flow to events: score the flow, leave out what no face explains, and find the peaks.

    Frames without a face are not scored, nor are those of windows that begin without one: what such a window
    says of its later frames is measured against a picture that is no face. notes go before what is said of
    the face. ValueError where nothing can be scored.
    """
    about = model.about
    score, logits = model.predict(values)
    seen = face.seen(len(score))
    lost = (values.starts[values.flags][:, None] + np.arange(about.window)).ravel()
    scored = seen & ~np.isin(np.arange(len(score)), lost)
    if not scored.any():
        raise ValueError(
            f"{recording.path.name}: the face is never in view for a whole window of "
            f"{about.window / about.fps:.2f} s"
        )
    found, threshold = find_events(score, logits, scored, about)
    analysis = Analysis(
        recording=recording,
        resampled=resampled,
        about=about,
        model_key=model.key,
        landmarks=getattr(marks, "made_by", "from a file"),
        face=face,
        score=score,
        probabilities=softmax(logits, axis=1),
        seen=seen,
        scored=scored,
        found=found,
        threshold=threshold,
        notes=[*notes, *face.notes],
    )
    if replaced := values.settings.get("replaced"):
        analysis.notes.append(
            f"{replaced} frames are missing or do not open: the nearest one serves for each."
        )
    if analysis.unseen:
        times = ", ".join(f"{start:.1f}–{end:.1f} s" for start, end in analysis.unseen)
        analysis.notes.append(
            f"No face at {times}: no score and no event there, nor in windows that begin there."
        )
    return analysis


def rate_notes(recording: Recording, about: About) -> list[str]:
    """What is to be said of the recording's length, rotation and frame rate."""
    notes = []
    if recording.rotation:
        notes.append(
            f"The file says that it is turned by {recording.rotation}°: its frames are read upright."
        )
    if recording.promised and len(recording.times) < 0.95 * recording.promised:
        notes.append(
            f"The file ends early or is damaged: its header tells of {recording.promised} frames, "
            f"{len(recording.times)} could be read."
        )
    if not recording.stamped and isinstance(recording.source, frames.VideoFile):
        notes.append(f"Times are counted at {recording.fps:g} frames per second, not read from time stamps.")
    if not recording.steady:
        notes.append(
            f"The frame rate varies, {recording.fps:.1f} per second on average and "
            f"{recording.slowest:.1f} at its slowest: frames are taken by their time stamps."
        )
    span = 2 * about.half_width / about.fps  # seconds of the mean micro-expression
    if recording.fps * span < FEWEST:
        notes.append(
            f"{recording.fps:.3g} frames per second are too few: a micro-expression of {span:.2f} s has "
            f"{max(1, round(recording.fps * span))} of them. Much will be missed."
        )
    elif recording.fps < (1 - frames.SAME_RATE) * about.fps:
        notes.append(
            f"The recording has {recording.fps:.3g} frames per second, the model was trained on "
            f"{about.fps:.3g}: frames are repeated, and brief movements are seen less well."
        )
    return notes


# --- the face -------------------------------------------------------------------------------------------


def landmarks_from(given: str | Path = "", root: str | Path = "") -> tuple[DlibLandmarker | Path, list[str]]:
    """How landmarks are found, and what is to be said of that.

    given: dlib's 68-point predictor (.dat), a file of known landmarks (.npz, .csv), or a folder of such files
    named like the videos. Without it $METST_LANDMARKS, else data/shape_predictor_68_face_landmarks.dat, else
    the demonstration's predictor. Returns dlib's landmarker, or the path of known landmarks.
    FileNotFoundError, saying which file is wanted and where it is had, where there is none.
    """
    data = home(root) / "data"
    usual = data / faces.PREDICTOR.name, data / "synthetic" / demonstration.NAME
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
        return faces.read_landmarks(path)
    stem = recording.name if recording.is_dir() else recording.stem
    for suffix in (".npz", ".csv"):
        if (path / f"{stem}{suffix}").is_file():
            return faces.read_landmarks(path / f"{stem}{suffix}")
    raise FileNotFoundError(f"no landmarks of {recording.name}: looked for {path / stem}.npz and {stem}.csv")


def find_face(
    recording: Recording,
    resampled: Resampled,
    marks: DlibLandmarker | PrecomputedLandmarks,
    window: int,
    number: int | None = None,
    progress: bool = False,
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
    starts = windows.window_starts(n_frames, window)
    moments = np.union1d(np.arange(0, n_frames, EVERY), [*starts, n_frames - 1])
    at_moments = dataclasses.replace(
        recording.source, **_chosen(recording, resampled.taken[moments].tolist())
    )
    images = frames.open(dataclasses.replace(resampled.video, n_frames=len(moments), source=at_moments))
    seen: list[dict[Rect, np.ndarray]] = []
    for image in tqdm(images, f"{name}: face", unit="frame", disable=None if progress else True):
        found = {box: _checked(marks.landmarks(image, box)) for box in marks.boxes(image)}
        seen.append({box: points for box, points in found.items() if np.isfinite(points).all()})
    try:
        chosen = faces.follow([list(boxes) for boxes in seen], number)
    except ValueError as error:
        where = "" if any(seen) else f" in any of the {len(moments)} frames looked at"
        raise ValueError(f"{name}: {error}{where}") from None
    points = [
        np.full((68, 2), np.nan) if box is None else seen[moment][box]
        for moment, box in enumerate(chosen.boxes)
    ]
    notes = []
    if len(chosen.all) > 1:
        second = float(resampled.seconds[moments[chosen.at]])
        which = f"number {chosen.number}" + (", the largest" if chosen.number == chosen.largest else "")
        notes.append(
            f"Several faces: at {second:.1f} s {faces.in_words(chosen.all)}. "
            f"Analysed is {which}; --face chooses another."
        )
    return Face(moments, np.array(points, float), tuple(notes))


class _Along:
    """The landmarks of a face that was followed, as `flow.extract` asks for them."""

    def __init__(self, face: Face, marks: DlibLandmarker | PrecomputedLandmarks) -> None:
        self._face, self._marks = face, marks

    def __call__(self, image: np.ndarray, frame: int) -> np.ndarray:
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


def _chosen(recording: Recording, taken: Sequence[int]) -> dict[str, Sequence[int]]:
    """Those frames of a recording, as its source names them."""
    if isinstance(recording.source, frames.FrameFiles):
        return {"numbers": [recording.source.numbers[i] for i in taken]}
    return {"picked": tuple(taken)}


def _checked(points: np.ndarray) -> np.ndarray:
    """Landmarks as numbers with a fraction; NaN where they give no face crop, as on a face in profile."""
    points = np.asarray(points, float)
    try:
        faces.face_crop(points)
    except ValueError:  # NaN, too
        return np.full((68, 2), np.nan)
    return points


# --- flow, score, events --------------------------------------------------------------------------------


def extract(
    resampled: Resampled,
    face: Face,
    marks: DlibLandmarker | PrecomputedLandmarks,
    about: About,
    jobs: int = 2,
    progress: bool = False,
) -> flow.RoiFlow:
    """The flow that the model reads; windows whose first frame shows no face are flagged.

    settings["replaced"] counts the frames that are missing or do not open: the nearest one serves for each.
    Where frames were taken at other times than wanted, flow is read off between them, along straight lines:
    a frame that comes twice would make a step of what is a slope.
    """
    video, images = resampled.video, frames.open(resampled.video)
    bar = tqdm(desc=f"{video.name}: flow", unit="window", disable=None if progress else True)

    def tick(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        values = flow.extract(
            images,
            _Along(face, marks),
            about.roi_set,
            about.window,
            about.flow_mode,
            threads=jobs,
            progress=tick,
            fps=video.fps,
            name=video.name,
        )
    return dataclasses.replace(
        values,
        values=_retimed(values, resampled),
        flags=~face.seen(video.n_frames)[values.starts],
        settings={**values.settings, "replaced": len(images.replaced)},
    )


def _retimed(values: flow.RoiFlow, resampled: Resampled) -> np.ndarray:
    """Flow at the moments that were wanted, (W, C, k); as it is where they are those of the frames."""
    if np.abs(resampled.moments - resampled.seconds).max() < 0.001:
        return values.values
    moved = np.empty_like(values.values)
    for window, start in enumerate(values.starts):
        here = slice(start, start + values.window)
        times, first = np.unique(resampled.seconds[here], return_index=True)
        for channel, course in enumerate(values.values[window]):
            moved[window, channel] = np.interp(resampled.moments[here], times, course[first])
    return moved - moved[:, :, :1]


def find_events(
    score: np.ndarray, logits: np.ndarray, scored: np.ndarray, about: About
) -> tuple[list[Candidate], float]:
    """The micro-expressions that lie wholly in scored frames, and the threshold.

    Frames that are not scored carry the mean of the others: so they move no threshold and make no peak.
    """
    filled = np.where(scored, score, score[scored].mean())
    candidates = spotting.candidates(filled, logits, about.half_width, about.p)
    kept = [
        candidate
        for candidate in candidates
        if not (about.result_synergy and candidate.dropped)
        and scored[candidate.onset : candidate.offset + 1].all()
    ]
    return kept, spotting.threshold(spotting.smooth(filled, about.half_width), about.p)


def spans(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True in a mask (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
