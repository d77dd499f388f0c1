"""A recording of your own as a video at a model's frame rate.

It may have any frame rate, or a varying one: `look` reads its time stamps, `resample` takes from it the
frames that a model's rate asks for and keeps which these were.

Glossary: N frames of the recording; T frames of the video, those of them that are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metst_lib._files import atomic
from metst_lib.datasets import frames
from metst_lib.datasets.frames import FrameFiles, VideoFile
from metst_lib.events import Video

#: Steady rates that differ by less than this share count as one: 29.97 is 30, and no frame comes twice.
SAME_RATE = 0.02


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

    def video(self, taken: np.ndarray, fps: float) -> Video:
        """Some of its frames, by index int (T,) and rising, as a video; one may come twice."""
        source, chosen = self.source, taken.tolist()
        if isinstance(source, FrameFiles):
            source = FrameFiles(source.folder, source.template, [source.numbers[i] for i in chosen])
        else:
            source = VideoFile(source.path, picked=tuple(chosen))
        return Video("you", self.path.stem, fps, len(chosen), (), source)


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
    listing = frames.list_frames(path)
    if listing is None:
        raise ValueError(f"{path} holds no numbered images such as 1.jpg or img_0001.png")
    files = listing.files()
    n_frames = len(files.numbers)
    times = _counted(n_frames, fps, path)
    if n_frames < 2:
        raise ValueError(f"{path} holds one image only, no motion")
    image = frames.open(Video("you", path.name, fps, n_frames, (), files))[0]
    return Recording(path, times, listing.first, image.shape, 0, None, False, files)


def _look_into_file(path: Path, fps: float | None) -> Recording:
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: a file of 0 bytes")
    stamps: list[float] = []
    with frames.quiet():
        capture = frames.opened(path)
        while capture.isOpened() and capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if len(stamps) == 1:
                good, image = capture.retrieve()
        header_fps = capture.get(cv2.CAP_PROP_FPS)
        header_count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        rotation = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        capture.release()
    if not stamps or not good:
        raise ValueError(
            f"{path} cannot be read as a video: it has no video stream (sound only?), is broken, "
            "or of a format that OpenCV does not know"
        )
    if len(stamps) < 2:
        raise ValueError(f"{path} holds one picture only, no motion")
    times = np.array(stamps) - stamps[0]
    stamped = fps is None and bool(np.isfinite(times).all() and (np.diff(times) > 0).all())
    if not stamped:
        times = _counted(len(stamps), fps or header_fps, path)
    promised = int(header_count) if 0 < header_count < 1e9 else None
    return Recording(path, times, 0, image.shape[:2], rotation, promised, stamped, VideoFile(path))


def _counted(n_frames: int, fps: float | None, path: Path) -> np.ndarray:
    """The times (N,) of frames that follow each other evenly."""
    if fps is None or not 0 < fps < float("inf"):
        raise ValueError(f"frames per second of {path} are not known: give fps=…")
    return np.arange(n_frames) / fps


def resample(recording: Recording, fps: float) -> Resampled:
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
    return Resampled(recording.video(taken, fps), taken, times[taken], wanted)


def write_video(path: str | Path, images: Sequence[np.ndarray], fps: float, lossless: bool = False) -> Path:
    """Write grey images as a video file, whole or not at all; the suffix names the container.

    It is MPEG-4, compressed about as a phone does it, or FFV1, which loses nothing and few players know.
    ValueError where there is no image, OSError where this OpenCV cannot write such a file.
    """
    if not len(images):
        raise ValueError(f"no frames to write to {path}")
    height, width = images[0].shape
    with atomic(path) as temporary:
        code = cv2.VideoWriter_fourcc(*("FFV1" if lossless else "mp4v"))
        with frames.quiet():
            writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, code, fps, (width, height))
        if not writer.isOpened():
            raise OSError(f"{path} cannot be written: this OpenCV has no encoder for it")
        for image in images:
            writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        writer.release()
    return Path(path)
