"""The frames of a video, lazily: numbered images in a folder, or a video file (paper, Fig. 3, input).

A data set of long videos does not fit in memory, and its owners number frames in their own way (first
number not 1, numbers missing, images that do not open). Here a video is a sequence of grey images with
indices 0…T − 1; what cannot be read is replaced by the nearest frame that can, and reported.

Glossary: T frames of a video; step = every how many-th frame of the owners is kept.
"""

from __future__ import annotations

import os
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from metst_lib.events import Event, Video

CACHE_FRAMES = 96  # windows overlap by half; one window and its neighbour stay at hand
CACHE_BYTES = 192 * 2**20  # … but never more memory than this
_IMAGE = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png|bmp))$", re.IGNORECASE)
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class FrameFiles:
    """Numbered images in one folder: `template.format(number)` for each number, already stepped."""

    folder: Path
    template: str
    numbers: range

    def path(self, index: int) -> Path:
        """File of the frame with this 0-based index."""
        return self.folder / self.template.format(self.numbers[index])


@dataclass(frozen=True)
class VideoFile:
    """A video file of which every `frame_step`-th frame counts. A plain Path is one with step 1."""

    path: Path
    frame_step: int = 1


@dataclass(frozen=True)
class Listing:
    """What one look into a folder of numbered images found: numbers first…last, `count` files."""

    folder: Path
    template: str
    first: int
    last: int
    count: int

    @property
    def missing(self) -> int:
        """How many numbers between first and last have no file."""
        return self.last - self.first + 1 - self.count

    def files(self, frame_step: int = 1) -> FrameFiles:
        """Every `frame_step`-th number from the first on, whether its file is there or not."""
        return FrameFiles(self.folder, self.template, range(self.first, self.last + 1, frame_step))


def list_frames(folder: str | Path) -> Listing | None:
    """Look once into a folder of numbered images; None where it holds none.

    The number is what stands before the suffix: `8.jpg`, `img12.jpg`, `006_1_0001.jpg`. Leading zeros are
    kept in the template. Hidden files are passed over; where names of several kinds lie together, the most
    common kind counts. Raises FileNotFoundError where there is no such folder.
    """
    kinds: Counter[tuple[str, str]] = Counter()
    numbers: dict[tuple[str, str], list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _IMAGE.match(entry.name)
            if match and not entry.name.startswith("."):
                kind = (match["prefix"], match["suffix"])
                kinds[kind] += 1
                numbers.setdefault(kind, []).append(match["number"])
    if not kinds:
        return None
    (prefix, suffix), _ = kinds.most_common(1)[0]
    digits = numbers[prefix, suffix]
    padded = any(len(text) > 1 and text[0] == "0" for text in digits)
    field = f"{{:0{min(map(len, digits))}d}}" if padded else "{}"
    values = {int(text) for text in digits}
    template = prefix.replace("{", "{{").replace("}", "}}") + field + suffix
    return Listing(Path(folder), template, min(values), max(values), len(values))


def video_from(
    path: str | Path,
    *,
    subject: str = "you",
    name: str | None = None,
    fps: float | None = None,
    frame_step: int = 1,
    events: tuple[Event, ...] = (),
) -> Video:
    """A Video of your own: a video file, or a folder of numbered images (then `fps` is needed).

    fps is that of the recording; the Video's is fps / frame_step. The frames of a video file are counted by
    going through it once, since headers are often wrong. Raises FileNotFoundError where nothing is there,
    ValueError where it is not a video, holds no image, or fps is not known.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no video file or folder of images at {path}")
    if path.is_dir():
        listing = list_frames(path)
        if listing is None:
            raise ValueError(f"{path} holds no numbered images such as 1.jpg or img_0001.png")
        source: FrameFiles | VideoFile = listing.files(frame_step)
        total = listing.last - listing.first + 1
    else:
        capture = cv2.VideoCapture(str(path))
        header_fps = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
        total = 0
        while capture.isOpened() and capture.grab():
            total += 1
        capture.release()
        if not total:
            raise ValueError(f"{path} cannot be read as a video")
        fps = fps or header_fps
        source = VideoFile(path, frame_step)
    if not fps or fps <= 0:
        raise ValueError(f"frames per second of {path} are not known: give fps=…")
    n_frames = len(range(0, total, frame_step))
    return Video(subject, name or path.stem, fps / frame_step, n_frames, tuple(events), source)


def open(video: Video) -> Frames:
    """The frames of a video, read when asked for.

    Raises ValueError where the video has no frames to read (source None), FileNotFoundError where its
    folder or file is not there or none of its frames can be read.
    """
    source = video.source
    label = f"video {video.subject} {video.name}"
    if source is None:
        raise ValueError(f"{label} comes without frames: it was loaded from annotations and ranges alone")
    if isinstance(source, FrameFiles):
        if not source.folder.is_dir():
            raise FileNotFoundError(f"{label}: its folder {source.folder} is not there")
        return Frames(label, _Folder(source), video.n_frames)
    if isinstance(source, str | Path):
        source = VideoFile(Path(source))
    if not isinstance(source, VideoFile):
        raise ValueError(f"{label}: cannot read frames from {source!r}")
    if not source.path.is_file():
        raise FileNotFoundError(f"{label}: its file {source.path} is not there")
    return Frames(label, _File(source), video.n_frames)


class Frames:
    """A sequence of grey frames: len(), [i] and iteration give uint8 arrays (height, width).

    Thread-safe. Keeps a few of the latest frames, never more than `CACHE_BYTES`. A frame that is missing or
    does not open is served by the nearest one that does (the earlier of two equally near), noted in
    `.replaced` as frame -> the frame that served; only frames asked for so far are known there, `.check()`
    asks for all.
    """

    def __init__(self, label: str, reader: _Folder | _File, n_frames: int) -> None:
        self.replaced: dict[int, int] = {}
        self._label, self._reader, self._n_frames = label, reader, n_frames
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return self._n_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> np.ndarray:
        index = int(index)
        if not -self._n_frames <= index < self._n_frames:
            raise IndexError(f"{self._label} has {self._n_frames} frames, no frame {index}")
        index %= self._n_frames
        image = self._read(self.replaced.get(index, index))
        if image is not None:
            return image
        for other in _outwards(index, self._n_frames):
            image = self._read(other)
            if image is not None:
                self.replaced[index] = other
                return image
        raise FileNotFoundError(f"{self._label}: none of its {self._n_frames} frames opens ({self._reader})")

    def check(self) -> dict[int, int]:
        """Read every frame; frame -> the frame that serves in its place, for those that do not open."""
        for index in range(len(self)):
            self[index]
        return dict(sorted(self.replaced.items()))

    def _read(self, index: int) -> np.ndarray | None:
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
        image = self._reader.read(index)
        if image is None:
            return None
        image.setflags(write=False)  # it is shared by whoever asks for the same frame
        with self._lock:
            if index not in self._cache:
                self._cache[index] = image
                self._bytes += image.nbytes
            while len(self._cache) > 1 and (len(self._cache) > CACHE_FRAMES or self._bytes > CACHE_BYTES):
                self._bytes -= self._cache.popitem(last=False)[1].nbytes
        return image


class _Folder:
    """Reads single images; holds no state, so that any number of threads may read at once."""

    def __init__(self, files: FrameFiles) -> None:
        self._files = files

    def __str__(self) -> str:
        return f"folder {self._files.folder}"

    def read(self, index: int) -> np.ndarray | None:
        try:
            content = self._files.path(index).read_bytes()
        except OSError:
            return None
        return decode(content)


class _File:
    """Reads a video file forwards; going back opens it anew, since seeking is inexact in many formats."""

    def __init__(self, source: VideoFile) -> None:
        self._source = source
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        self._lock = Lock()

    def __str__(self) -> str:
        return f"file {self._source.path}"

    def read(self, index: int) -> np.ndarray | None:
        wanted = index * self._source.frame_step
        with self._lock:
            if self._capture is None or wanted < self._next:
                if self._capture is not None:
                    self._capture.release()
                self._capture, self._next = cv2.VideoCapture(str(self._source.path)), 0
            while self._next <= wanted:
                if not self._capture.grab():
                    return None
                self._next += 1
            good, image = self._capture.retrieve()
        if not good:
            return None
        return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def decode(content: bytes) -> np.ndarray | None:
    """Grey image (height, width) uint8 of an image file's bytes; None where they are no whole image.

    A JPEG that ends early would decode to a picture with a flat lower part, whose edge looks like motion:
    it counts as unreadable.
    """
    if not content or (content[:2] == _JPEG and _JPEG_END not in content[-1024:]):
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return None


def _outwards(index: int, n_frames: int) -> Iterator[int]:
    for distance in range(1, n_frames):
        for other in (index - distance, index + distance):
            if 0 <= other < n_frames:
                yield other
