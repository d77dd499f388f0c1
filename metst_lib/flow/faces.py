"""The frames of a video and the faces in them, as windows ask for them from several threads."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from metst_lib.flow.motion import crop_picture
from metst_lib.rois import CROP, Rect, face_crop

#: Called as landmarker(image, frame) with a whole grey frame and its index, it gives iBUG's 68 landmarks as
#: (68, 2) of x, y in pixels, or None without a face. It may have a method on_crop(image) that finds them
#: again on the face crop; where it has none, or that gives None, those of the frame are scaled.
Landmarker = Callable[[np.ndarray, int], "np.ndarray | None"]


class Frames:
    """The frames that windows share: each is read once, and let go when its last window is done."""

    def __init__(self, frames: Sequence[np.ndarray], starts: np.ndarray, window: int, name: str) -> None:
        self.frames, self.window, self.name = frames, window, name
        self._waiting = np.zeros(len(frames), np.int8)  # windows that still need the frame
        for start in starts:
            self._waiting[start : start + window] += 1
        self._read: dict[int, Future[np.ndarray]] = {}
        self._lock = threading.Lock()
        self.shape: tuple[int, ...] | None = None
        self.shape = self.shared(0).shape

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, frame: int) -> np.ndarray:
        """A frame, read anew. ValueError where it is not grey uint8 of the first frame's size."""
        image = np.asarray(self.frames[frame])
        if image.ndim != 2 or image.dtype != np.uint8:
            raise ValueError(
                f"{self.name}, frame {frame}: {image.dtype} {image.shape}, not a grey uint8 (height, width)"
            )
        if self.shape not in (None, image.shape):
            raise ValueError(f"{self.name}, frame {frame}: size {image.shape}, but frame 0 has {self.shape}")
        return image

    def shared(self, frame: int) -> np.ndarray:
        """A frame of a window that is being worked on."""
        with self._lock:
            found = self._read.get(frame)
            if found is None:
                mine = self._read[frame] = Future()
        if found is not None:
            return found.result()
        try:
            mine.set_result(self.read(frame))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()

    def release(self, start: int) -> None:
        """A window is done."""
        with self._lock:
            self._waiting[start : start + self.window] -= 1
            for frame in range(start, start + self.window):
                if not self._waiting[frame]:
                    self._read.pop(frame, None)


class Faces:
    """The landmarks of a video's frames, each looked for once."""

    def __init__(self, video: Frames, landmarker: Landmarker) -> None:
        self.video, self.landmarker = video, landmarker
        self._known: dict[int, np.ndarray | None] = {}

    def nearest(self, frame: int) -> int:
        """The frame with a face that is nearest, the earlier of two. ValueError where the video has none."""
        if self._at(frame, self.video.shared) is not None:
            return frame
        for distance in range(1, len(self.video)):
            for other in (frame - distance, frame + distance):
                if 0 <= other < len(self.video) and self._at(other, self.video.read) is not None:
                    return other
        raise ValueError(f"{self.video.name}: no face found in any of its {len(self.video)} frames")

    def first(self, frames: Iterable[int]) -> int | None:
        """The first of these frames, of a window that is being worked on, with a face; None without one."""
        return next((frame for frame in frames if self._at(frame, self.video.shared) is not None), None)

    def crop(self, frame: int, read: Callable[[int], np.ndarray]) -> tuple[Rect, np.ndarray]:
        """The crop rectangle of a frame that has a face, and the landmarks on the crop in whole pixels."""
        points = self._known[frame]
        rect = face_crop(points)
        image = read(frame)
        on_crop = getattr(self.landmarker, "on_crop", None)
        found = None if on_crop is None else on_crop(crop_picture(image, rect))
        if found is None:
            height, width = image[rect.slices].shape
            found = (points - (rect.left, rect.top)) * (CROP / width, CROP / height)
        return rect, np.trunc(self._checked(found, frame)).astype(int)

    def _at(self, frame: int, read: Callable[[int], np.ndarray]) -> np.ndarray | None:
        if frame not in self._known:
            image = read(frame)
            points = self.landmarker(image, frame)
            if points is not None:
                points = self._checked(points, frame)
                points = points if _usable(points, image.shape) else None
            self._known[frame] = points
        return self._known[frame]

    def _checked(self, points: Any, frame: int) -> np.ndarray:
        points = np.asarray(points)
        where = f"{self.video.name}, frame {frame}: the landmarker gave"
        if points.shape != (68, 2) or not np.issubdtype(points.dtype, np.number):
            raise ValueError(f"{where} {points.dtype} {points.shape}, not the x, y of 68 landmarks (68, 2)")
        if not np.isfinite(points).all():
            raise ValueError(f"{where} landmarks that are not finite; None says that there is no face")
        return points


def _usable(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the landmarks give a face crop that lies in the frame at least in part."""
    try:
        rect = face_crop(points)
    except ValueError:
        return False
    return not rect.within(Rect(0, shape[0], 0, shape[1])).empty
