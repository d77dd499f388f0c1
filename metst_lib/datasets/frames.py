"""The frames of a video, lazily: numbered images in a folder, or a video file (paper, Fig. 3, input).

A data set of long videos does not fit in memory, and its owners number frames in their own way (first
number not 1, numbers missing, images that do not open). Here a video is a sequence of grey images with
indices 0…T − 1; what cannot be read is replaced by the nearest frame that can, and reported.

Glossary: T frames of a video; step = every how many-th frame of the owners is kept.
"""

import os
import re
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from metst_lib.events import Video

CACHE_FRAMES = 96  # windows overlap by half; one window and its neighbour stay at hand
CACHE_BYTES = 192 * 2**20  # … but never more memory than this
#: Nanoseconds within which a file or folder may change twice and keep its time.
GRAIN = 2_000_000_000
_IMAGE = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png|bmp))$", re.IGNORECASE)
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class FrameFiles:
    """Numbered images in one folder: `template.format(number)` for each number, already stepped."""

    folder: Path
    template: str
    numbers: Sequence[int]

    def path(self, index: int) -> Path:
        """File of the frame with this 0-based index."""
        return self.folder / self.template.format(self.numbers[index])


@dataclass(frozen=True)
class VideoFile:
    """A video file. A plain Path is one of which every frame counts.

    picked, where given, are the numbers of the frames that count, from 0 and rising; one may come twice.
    """

    path: Path
    picked: Sequence[int] | None = None


@dataclass(frozen=True)
class Listing:
    """What one look into a folder of numbered images found: numbers first…last, `count` files.

    Of a video file, its path in the folder's place, likewise: it has no template, and a count of 0 where it
    cannot be read.
    """

    folder: Path
    template: str
    first: int
    last: int
    count: int

    @property
    def missing(self) -> int:
        """How many numbers between first and last have no file."""
        return self.last - self.first + 1 - self.count

    def files(self, frame_step: int = 1) -> "FrameFiles | VideoFile":
        """Every `frame_step`-th number from the first on, whether its file is there or not."""
        if not self.template:
            return VideoFile(self.folder, range(0, self.count, frame_step))
        return FrameFiles(self.folder, self.template, range(self.first, self.last + 1, frame_step))


def list_frames(folder: str | Path) -> Listing | None:
    """Look once into a folder of numbered images; None where it holds none.

    The number is what stands before the suffix: `8.jpg`, `img12.jpg`, `006_1_0001.jpg`. Leading zeros are
    kept in the template. Hidden files are passed over; where names of several kinds lie together, the most
    common kind counts. Raises FileNotFoundError where there is no such folder.
    """
    numbers: dict[tuple[str, str], list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _IMAGE.match(entry.name)
            if match and not entry.name.startswith("."):
                numbers.setdefault((match["prefix"], match["suffix"]), []).append(match["number"])
    if not numbers:
        return None
    (prefix, suffix), digits = max(numbers.items(), key=lambda kind: len(kind[1]))
    padded = any(len(text) > 1 and text[0] == "0" for text in digits)
    field = f"{{:0{min(map(len, digits))}d}}" if padded else "{}"
    values = {int(text) for text in digits}
    template = prefix.replace("{", "{{").replace("}", "}}") + field + suffix
    return Listing(Path(folder), template, min(values), max(values), len(values))


def list_film(path: Path) -> Listing:
    """Go once through a video file and count its frames, from 0: headers are often wrong."""
    with quiet():
        capture, count = opened(path), 0
        while capture.isOpened() and capture.grab():
            if not count and not capture.retrieve()[0]:
                break
            count += 1
        capture.release()
    return Listing(path, "", 0, count - 1, count)


def film_rate(path: Path) -> float:
    """Frames per second by a video file's header; 0 where it does not say."""
    with quiet():
        capture = opened(path)
        rate = float(capture.get(cv2.CAP_PROP_FPS)) if capture.isOpened() else 0.0
        capture.release()
    return rate


def open(video: Video) -> "Frames":
    """The frames of a video, read when asked for.

    Raises ValueError where the video has no frames to read (source None), FileNotFoundError where its
    folder or file is not there or none of its frames can be read.
    """
    source = video.source
    label = f"video {video.subject} {video.name}"
    if source is None:
        raise ValueError(f"{label} comes without frames: it was loaded from annotations and ranges alone")
    if isinstance(source, str | Path):
        source = VideoFile(Path(source))
    if isinstance(source, FrameFiles):
        where, there, read = f"folder {source.folder}", source.folder.is_dir(), _from_folder(source)
    elif isinstance(source, VideoFile):
        where, there, read = f"file {source.path}", source.path.is_file(), _File(source, video.n_frames).read
    else:
        raise ValueError(f"{label}: cannot read frames from {source!r}")
    if not there:
        raise FileNotFoundError(f"{label}: its {where} is not there")
    return Frames(label, where, read, video.n_frames)


Keep = Callable[[int, np.ndarray], None]
#: Gives the frame of an index, None where it does not open, and keeps it and those read on the way.
Read = Callable[[int, Keep], np.ndarray | None]


class Frames:
    """A sequence of grey frames: len(), [i] and iteration give uint8 arrays (height, width).

    Thread-safe. Keeps a few of the latest frames, never more than `CACHE_BYTES`. A frame that is missing or
    does not open is served by the nearest one that does (the earlier of two equally near), noted in
    `.replaced` as frame -> the frame that served; only frames asked for so far are known there.
    """

    def __init__(self, label: str, where: str, read: Read, n_frames: int) -> None:
        self.replaced: dict[int, int] = {}
        self._label, self._where, self._read, self._n_frames = label, where, read, n_frames
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return self._n_frames

    def __getitem__(self, index: int) -> np.ndarray:
        index = int(index)
        if not -self._n_frames <= index < self._n_frames:
            raise IndexError(f"{self._label} has {self._n_frames} frames, no frame {index}")
        index %= self._n_frames
        image = self._get(self.replaced.get(index, index))
        if image is not None:
            return image
        for other in sorted(range(self._n_frames), key=lambda other: abs(other - index))[1:]:
            image = self._get(other)
            if image is not None:
                self.replaced[index] = other
                return image
        raise FileNotFoundError(f"{self._label}: none of its {self._n_frames} frames opens ({self._where})")

    def _get(self, index: int) -> np.ndarray | None:
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
        return self._read(index, self._keep)

    def _keep(self, index: int, image: np.ndarray) -> None:
        image.setflags(write=False)  # it is shared by whoever asks for the same frame
        with self._lock:
            if index not in self._cache:
                self._cache[index] = image
                self._bytes += image.nbytes
            while len(self._cache) > 1 and (len(self._cache) > CACHE_FRAMES or self._bytes > CACHE_BYTES):
                self._bytes -= self._cache.popitem(last=False)[1].nbytes


def _from_folder(files: FrameFiles) -> Read:
    """Reads single images; holds no state, so that any number of threads may read at once."""

    def read(index: int, keep: Keep) -> np.ndarray | None:
        try:
            image = decode(files.path(index).read_bytes())
        except OSError:
            return None
        if image is not None:
            keep(index, image)
        return image

    return read


class _File:
    """Reads a video file forwards; going back opens it anew, since seeking is inexact in many formats.

    Frames that are passed on the way are kept too: of two threads one is always a little behind, and would
    else open the file anew for each of its frames.
    """

    def __init__(self, source: VideoFile, n_frames: int) -> None:
        self._path = source.path
        self._numbers = range(n_frames) if source.picked is None else source.picked
        self._capture: cv2.VideoCapture | None = None
        self._at = -1  # number of the frame that was grabbed last
        self._end: int | None = None  # of the frames that the file holds, once known
        self._lock = Lock()

    def read(self, index: int, keep: Keep) -> np.ndarray | None:
        wanted, image = self._numbers[index], None
        with self._lock:
            if self._end is not None and wanted >= self._end:
                return None
            if self._capture is None or wanted <= self._at:
                self._open()
            while self._at < wanted:
                if not self._capture.grab():
                    self._end = self._at + 1
                    self._open()
                    return None
                self._at += 1
                first = bisect_left(self._numbers, self._at)
                if first < len(self._numbers) and self._numbers[first] == self._at:
                    image = self._retrieve()
                    for passed in range(first, bisect_right(self._numbers, self._at)):
                        if image is not None and passed > index - CACHE_FRAMES:
                            keep(passed, image)
        return image

    def _open(self) -> None:
        if self._capture is not None:
            self._capture.release()
        with quiet():
            self._capture, self._at = opened(self._path), -1

    def _retrieve(self) -> np.ndarray | None:
        good, image = self._capture.retrieve()
        if good and image.ndim == 3:
            return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return image if good else None


def opened(path: Path) -> cv2.VideoCapture:
    """A video file, by FFmpeg and nothing else: other back ends take a path for a pattern or a camera."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # a phone stores how it was held, not a turned picture
    return capture


@contextmanager
def quiet() -> Iterator[None]:
    """Decoders' and encoders' own complaints are kept off the screen."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, when FFmpeg is first used
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


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
