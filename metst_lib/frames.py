"""The frames of a video, lazily: numbered images in a folder, or a video file (paper, Fig. 3, input).

A data set of long videos does not fit in memory, and its owners number frames in their own way (first
number not 1, numbers missing, images that do not open). Here a video is a sequence of grey images with
indices 0…T − 1; what cannot be read is replaced by the nearest frame that can, and reported.

A recording of your own may have any frame rate, or a varying one: `look` reads its time stamps, `resample`
takes from it the frames that a model's rate asks for and keeps which these were.

Glossary: N frames of a recording; T frames of a video, that is, those of them that are used; step = every how
many-th frame of the owners is kept.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from metst_lib._files import atomic
from metst_lib.events import Video

CACHE_FRAMES = 96  # windows overlap by half; one window and its neighbour stay at hand
CACHE_BYTES = 192 * 2**20  # … but never more memory than this
_IMAGE = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png|bmp))$", re.IGNORECASE)
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
SAME_RATE = 0.02
"""Steady rates that differ by less than this share count as one: 29.97 is 30, and no frame comes twice."""


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
    """A video file of which every `frame_step`-th frame counts. A plain Path is one with step 1.

    picked, where given, are the numbers of the frames that count, from 0 and rising; one may come twice.
    """

    path: Path
    frame_step: int = 1
    picked: tuple[int, ...] | None = None


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


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording of your own, as `look` found it.

    times: when each of its N frames is shown, seconds from the first, float64 (N,). first: the number of the
    first frame, 0 for a video file. shape: height and width of a frame as it is shown. rotation: by how many
    degrees the file says that it is turned; its frames are served upright. promised: the frames that the
    file's header tells of, None where it does not. stamped: whether the times are the file's own time stamps.
    """

    path: Path
    times: np.ndarray
    first: int
    shape: tuple[int, int]
    rotation: int
    promised: int | None
    stamped: bool
    source: FrameFiles | VideoFile

    @property
    def fps(self) -> float:
        """Mean frames per second."""
        return (len(self.times) - 1) / float(self.times[-1])

    @property
    def seconds(self) -> float:
        """Duration; the last frame is shown as long as the others on average."""
        return float(self.times[-1]) + 1 / self.fps

    @property
    def steady(self) -> bool:
        """Whether the frame rate is constant: no frame is half a frame or more from its place."""
        places = np.arange(len(self.times)) / self.fps
        return bool(np.abs(self.times - places).max() < 0.5 / self.fps)

    @property
    def slowest(self) -> float:
        """Frames per second in the longest gap between two frames."""
        return 1 / float(np.diff(self.times).max())


@dataclass(frozen=True, eq=False)
class Resampled:
    """A recording at another frame rate: the video, and for each of its T frames which frame was taken.

    taken: index into the recording's frames, int64 (T,); seconds: when those are shown, float64 (T,);
    moments: the times that frames were wanted for, float64 (T,).
    """

    video: Video
    taken: np.ndarray
    seconds: np.ndarray
    moments: np.ndarray


def look(path: str | Path, fps: float | None = None) -> Recording:
    """Go once through a recording: a video file, or a folder of numbered images (then `fps` is needed).

    The frames of a video file are counted, since headers are often wrong, and its time stamps read. Where a
    file has none, or they do not rise, its frame rate makes them; `fps`, where given, makes them in any case.
    Raises FileNotFoundError where nothing is there, ValueError where it is no video, holds fewer than two
    frames, or fps is not known.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no video file or folder of images at {path}")
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"frames per second are a number above 0, not {fps}")
    return _look_into_folder(path, fps) if path.is_dir() else _look_into_file(path, fps)


def _look_into_folder(path: Path, fps: float | None) -> Recording:
    listing = list_frames(path)
    if listing is None:
        raise ValueError(f"{path} holds no numbered images such as 1.jpg or img_0001.png")
    if fps is None:
        raise ValueError(f"frames per second of {path} are not known: give fps=…")
    files = listing.files()
    n_frames = len(files.numbers)
    if n_frames < 2:
        raise ValueError(f"{path} holds one image only, no motion")
    image = open(Video("you", path.name, fps, n_frames, (), files))[0]
    times = np.arange(n_frames) / fps
    return Recording(path, times, listing.first, image.shape, 0, None, False, files)


def _look_into_file(path: Path, fps: float | None) -> Recording:
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: a file of 0 bytes")
    with _capture(path) as capture:
        stamps: list[float] = []
        while capture.isOpened() and capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if len(stamps) == 1:
                good, image = capture.retrieve()
        if not stamps or not good:
            raise ValueError(
                f"{path} cannot be read as a video: it has no video stream (sound only?), is broken, "
                "or of a format that OpenCV does not know"
            )
        if len(stamps) < 2:
            raise ValueError(f"{path} holds one picture only, no motion")
        header_fps = capture.get(cv2.CAP_PROP_FPS)
        header_count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        rotation = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    times = np.array(stamps) - stamps[0]
    stamped = fps is None and bool(np.isfinite(times).all() and (np.diff(times) > 0).all())
    if not stamped:
        fps = fps or header_fps
        if not 0 < fps < float("inf"):
            raise ValueError(f"frames per second of {path} are not known: give fps=…")
        times = np.arange(len(stamps)) / fps
    promised = int(header_count) if 0 < header_count < 1e9 else None
    return Recording(path, times, 0, image.shape[:2], rotation, promised, stamped, VideoFile(path))


def resample(recording: Recording, fps: float, *, subject: str = "you", name: str = "") -> Resampled:
    """The recording as a video of `fps` frames per second: at each moment the frame whose time is nearest.

    Where the recording is slower, frames come twice; where it is faster, some are left out. No frame is made
    up by mixing two, whose ghost would move as no face does. A steady recording of nearly that rate
    (`SAME_RATE`) is taken as it is.
    """
    times = recording.times
    if recording.steady and abs(recording.fps / fps - 1) < SAME_RATE:
        taken, wanted = np.arange(len(times)), times
    else:
        wanted = np.arange(int((times[-1] + 0.001) * fps) + 1) / fps
        # of two frames equally near the earlier; a container may round its time stamps to milliseconds
        taken = np.searchsorted((times[1:] + times[:-1]) / 2, wanted - 0.001)
    source = recording.source
    if isinstance(source, FrameFiles):
        source = FrameFiles(source.folder, source.template, [source.numbers[i] for i in taken.tolist()])
    else:
        source = VideoFile(source.path, picked=tuple(taken.tolist()))
    video = Video(subject, name or recording.path.stem, fps, len(taken), (), source)
    return Resampled(video, taken, times[taken], wanted)


def write_video(path: str | Path, frames: Sequence[np.ndarray], fps: float, lossless: bool = False) -> Path:
    """Write grey frames as a video file, whole or not at all; the suffix names the container.

    It is MPEG-4, compressed about as a phone does it, or FFV1, which loses nothing and few players know.
    ValueError where there is no frame, OSError where this OpenCV cannot write such a file.
    """
    if not len(frames):
        raise ValueError(f"no frames to write to {path}")
    height, width = frames[0].shape
    with atomic(path) as temporary:
        code = cv2.VideoWriter_fourcc(*("FFV1" if lossless else "mp4v"))
        with _quiet():
            writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, code, fps, (width, height))
        if not writer.isOpened():
            raise OSError(f"{path} cannot be written: this OpenCV has no encoder for it")
        for image in frames:
            writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        writer.release()
    return Path(path)


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
    return Frames(label, _File(source, video.n_frames), video.n_frames)


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
        return self._reader.read(index, self._keep)

    def _keep(self, index: int, image: np.ndarray) -> None:
        image.setflags(write=False)  # it is shared by whoever asks for the same frame
        with self._lock:
            if index not in self._cache:
                self._cache[index] = image
                self._bytes += image.nbytes
            while len(self._cache) > 1 and (len(self._cache) > CACHE_FRAMES or self._bytes > CACHE_BYTES):
                self._bytes -= self._cache.popitem(last=False)[1].nbytes


class _Folder:
    """Reads single images; holds no state, so that any number of threads may read at once."""

    def __init__(self, files: FrameFiles) -> None:
        self._files = files

    def __str__(self) -> str:
        return f"folder {self._files.folder}"

    def read(self, index: int, keep: Keep) -> np.ndarray | None:
        try:
            content = self._files.path(index).read_bytes()
        except OSError:
            return None
        image = decode(content)
        if image is not None:
            keep(index, image)
        return image


class _File:
    """Reads a video file forwards; going back opens it anew, since seeking is inexact in many formats.

    Frames that are passed on the way are kept too: of two threads one is always a little behind, and would
    else open the file anew for each of its frames.
    """

    def __init__(self, source: VideoFile, n_frames: int) -> None:
        self._path = source.path
        step = source.frame_step
        self._numbers = range(0, n_frames * step, step) if source.picked is None else source.picked
        self._capture: cv2.VideoCapture | None = None
        self._at = -1  # number of the frame that was grabbed last
        self._end: int | None = None  # of the frames that the file holds, once known
        self._lock = Lock()

    def __str__(self) -> str:
        return f"file {self._path}"

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
        with _quiet():
            self._capture, self._at = _opened(self._path), -1

    def _retrieve(self) -> np.ndarray | None:
        good, image = self._capture.retrieve()
        if not good:
            return None
        return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


Keep = Callable[[int, np.ndarray], None]


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    """A video file, opened while the block lasts; decoders' own complaints are kept off the screen."""
    with _quiet():
        capture = _opened(path)
        try:
            yield capture
        finally:
            capture.release()


def _opened(path: Path) -> cv2.VideoCapture:
    """FFmpeg and nothing else: other back ends take a path for a pattern of names or a camera."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # a phone stores how it was held, not a turned picture
    return capture


@contextmanager
def _quiet() -> Iterator[None]:
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


def _outwards(index: int, n_frames: int) -> Iterator[int]:
    for distance in range(1, n_frames):
        for other in (index - distance, index + distance):
            if 0 <= other < n_frames:
                yield other
