"""Where the face is: the 68 landmarks of a frame, by dlib or from a file, and the face crop they define.

Paper, Sec. III-B (pre-processing). A landmarker is anything that is called as `landmarker(image, frame)`
with a whole grey frame and its index, and gives the landmarks as (68, 2) of x, y in pixels, or None where
it finds no face. It may have a method `on_crop(image)` that finds them again on the 320 × 320 face crop;
where it has none, or that gives None, the landmarks of the whole frame are scaled into the crop.

Landmarks have the 68-point numbering of iBUG, from 0: 17–26 brows, 27–35 nose, 36–47 eyes, 48–67 mouth.

Glossary: T frames of a video; g = half the distance between the inner eye corners, in pixels of the frame.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pandas as pd

from metst_lib._files import atomic, read_npz
from metst_lib.rois import Rect

#: Where a predictor for real faces is looked for.
PREDICTOR = Path("data/shape_predictor_68_face_landmarks.dat")

_WHERE = (
    f"Wanted: dlib's 68-point shape predictor, shape_predictor_68_face_landmarks.dat. It is on dlib's model "
    f"pages, https://github.com/davisking/dlib-models and http://dlib.net/files/ (not for commercial use: "
    f"the licence of its training data excludes that). Unpack it and put it at {PREDICTOR}, or give its "
    f"path, or that of a folder with a landmark file for each video, as the `landmarks` setting."
)


class DlibLandmarker:
    """dlib's frontal face detector and a 68-point shape predictor; of several faces the largest.

    detect_on: faces are looked for on a copy of the image whose longer side has at most so many pixels, which
    bounds time and memory on large videos; None takes the image as it is. Landmarks are always those of the
    image itself. May be called from several threads: the detector, which keeps scratch memory, exists once
    for each.
    FileNotFoundError where the predictor is missing, ValueError where the file is not a 68-point predictor;
    both say which file is wanted and where it is had.
    """

    def __init__(self, predictor: str | Path, detect_on: int | None = None) -> None:
        self.path, self.detect_on = Path(predictor), detect_on
        if not self.path.is_file():
            raise FileNotFoundError(f"no landmark predictor at {self.path}. {_WHERE}")
        try:
            self._predictor = dlib.shape_predictor(str(self.path))
        except RuntimeError as error:
            raise ValueError(f"{self.path} is not a dlib shape predictor ({error}). {_WHERE}") from None
        blank = np.zeros((64, 64), np.uint8)
        parts = self._predictor(blank, dlib.rectangle(8, 8, 55, 55)).num_parts
        if parts != 68:
            raise ValueError(f"{self.path} predicts {parts} landmarks, not 68. {_WHERE}")
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return DlibLandmarker, (self.path, self.detect_on)

    @property
    def made_by(self) -> str:
        """What the landmarks depend on: dlib and the predictor's bytes."""
        return f"dlib {dlib.__version__} {hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]}"

    def __call__(self, image: np.ndarray, frame: int = 0) -> np.ndarray | None:
        """Landmarks (68, 2), whole pixels, of the largest face of a grey uint8 image; None without a face."""
        boxes = self.boxes(image)
        return self.landmarks(image, max(boxes, key=area)) if boxes else None

    def boxes(self, image: np.ndarray) -> list[Rect]:
        """Where the detector sees a face in a grey uint8 image, in whole pixels, in its own order."""
        if not hasattr(self._local, "detector"):
            self._local.detector = dlib.get_frontal_face_detector()
        scale = min(1.0, (self.detect_on or max(image.shape)) / max(image.shape))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._local.detector(np.ascontiguousarray(image), 0)
        edges = [(face.top(), face.bottom() + 1, face.left(), face.right() + 1) for face in found]
        return [Rect(*(round(edge / scale) for edge in box)) for box in edges]

    def landmarks(self, image: np.ndarray, box: Rect) -> np.ndarray:
        """Landmarks (68, 2), whole pixels, of the face in a box of a grey uint8 image."""
        face = dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1)
        shape = self._predictor(np.ascontiguousarray(image), face)
        return np.array([(point.x, point.y) for point in shape.parts()])

    def on_crop(self, image: np.ndarray) -> np.ndarray | None:
        """Landmarks found again on the 320 × 320 face crop."""
        return self(image)


def area(box: Rect) -> int:
    """Pixels of a box."""
    return (box.bottom - box.top) * (box.right - box.left)


class PrecomputedLandmarks:
    """Landmarks (T, 68, 2) known beforehand, in pixels of the frame; NaN where a frame has no face."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = np.asarray(points, dtype=float)
        if self.points.ndim != 3 or self.points.shape[1:] != (68, 2):
            raise ValueError(f"landmarks have the shape {self.points.shape}, not (frames, 68, 2)")

    def __len__(self) -> int:
        return len(self.points)

    def __call__(self, image: np.ndarray, frame: int) -> np.ndarray | None:
        """The landmarks of a frame; None where it has none. ValueError beyond the last frame known."""
        if not 0 <= frame < len(self):
            raise ValueError(f"no landmarks for frame {frame}: the file covers frames 0…{len(self) - 1}")
        points = self.points[frame]
        return points if np.isfinite(points).all() else None

    def save(self, path: str | Path | None = None) -> Path | None:
        """Write a .npz that `read_landmarks` reads; without a path nothing, since nothing is new."""
        if path is None:
            return None
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, landmarks=self.points)
        return Path(path)


def read_landmarks(path: str | Path, frame_step: int = 1) -> PrecomputedLandmarks:
    """Landmarks from a file: our .npz, or the .csv that OpenFace's FeatureExtraction writes.

    OpenFace counts frames from 1; frame n becomes index n − 1. Rows with success 0 or confidence 0 count as
    no face; of several faces in a frame the one with the largest bounding box is taken. frame_step keeps
    every n-th frame, where the video is read so.

    FileNotFoundError for a missing file; ValueError naming the file, and the column or row, for another.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no landmark file at {path}")
    if frame_step < 1:
        raise ValueError(f"frame_step {frame_step} is not a positive number of frames")
    match path.suffix.lower():
        case ".npz":
            points = read_npz(path, "landmarks", "a landmark file")["landmarks"]
        case ".csv":
            points = _read_openface(path)
        case _:
            raise ValueError(f"{path}: landmarks are read from .npz or .csv files")
    try:
        return PrecomputedLandmarks(points[::frame_step])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_openface(path: Path) -> np.ndarray:
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except ValueError as error:  # pandas' parser errors are ValueErrors, those of encoding too
        raise ValueError(f"{path} is not a table of landmarks: {error}") from None
    table.columns = table.columns.str.strip()
    xs, ys = ([f"{axis}_{i}" for i in range(68)] for axis in "xy")
    missing = [name for name in ["frame", *xs, *ys] if name not in table]
    if missing:
        raise ValueError(
            f"{path} lacks column {missing[0]!r} ({len(missing)} columns missing); "
            "wanted: OpenFace's frame, x_0 … x_67, y_0 … y_67 (run it with -2Dfp)"
        )
    numbers = table.apply(pd.to_numeric, errors="coerce")
    bad = numbers["frame"].isna() | (numbers["frame"] < 1) | (numbers["frame"] % 1 != 0)
    if table.empty:
        raise ValueError(f"{path} has no rows")
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{path}, line {row + 2}: frame {table['frame'].iloc[row]!r} is not a whole number from 1"
        )
    points = np.full((int(numbers["frame"].max()), 68, 2), np.nan)
    for name in ("success", "confidence"):
        if name in numbers:
            numbers = numbers[numbers[name] > 0]
    size = np.ptp(numbers[xs], axis=1) * np.ptp(numbers[ys], axis=1)
    largest = numbers.iloc[np.argsort(size.to_numpy(), kind="stable")]  # the largest face is written last
    largest = largest.drop_duplicates("frame", keep="last")
    index = largest["frame"].to_numpy(int) - 1
    points[index] = np.stack([largest[xs], largest[ys]], axis=-1)
    return points


class CachedLandmarker:
    """A landmarker that looks at each image once, with a file that keeps what it saw.

    Images are known by a hash of their bytes, whole frames and crops alike, so it is for landmarkers that
    depend on the image alone. A file made by another landmarker is not used. Nothing is written before
    `save`. ValueError where the file is not such a cache.
    """

    def __init__(self, landmarker: Callable[..., Any], path: str | Path) -> None:
        self.landmarker, self.path = landmarker, Path(path)
        self.made_by = str(getattr(landmarker, "made_by", type(landmarker).__name__))
        self._known: dict[bytes, np.ndarray | None] = {}
        if self.path.exists():
            stored = read_npz(self.path, "keys found points made_by", "a landmark cache")
            if str(stored["made_by"]) == self.made_by:
                entries = zip(stored["keys"], stored["found"], stored["points"], strict=True)
                self._known = {key.tobytes(): points if found else None for key, found, points in entries}

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, image: np.ndarray, frame: int = 0) -> np.ndarray | None:
        """The landmarks of a whole frame, or None."""
        return self._look_up(b"frame", image, lambda: self.landmarker(image, frame))

    def on_crop(self, image: np.ndarray) -> np.ndarray | None:
        """The landmarks of a face crop, or None: none there, or the landmarker has no `on_crop`."""
        on_crop = getattr(self.landmarker, "on_crop", None)
        return None if on_crop is None else self._look_up(b"crop", image, lambda: on_crop(image))

    def save(self) -> Path:
        """Write the cache, whole or not at all; returns its path."""
        known = dict(self._known)
        keys = np.array([np.frombuffer(key, np.uint8) for key in known], np.uint8).reshape(-1, 16)
        points = np.array([np.zeros((68, 2)) if p is None else p for p in known.values()]).reshape(-1, 68, 2)
        found = np.array([p is not None for p in known.values()], bool)
        with atomic(self.path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, keys=keys, found=found, points=points, made_by=np.array(self.made_by))
        return self.path

    def _look_up(self, kind: bytes, image: np.ndarray, find: Callable[[], Any]) -> np.ndarray | None:
        text = kind + str((image.shape, str(image.dtype))).encode()
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=text[:64]).digest()
        if key not in self._known:
            self._known[key] = find()
        return self._known[key]
