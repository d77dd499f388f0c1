"""Frames and landmarks → the optical flow of the face's regions, window by window: what the networks read.

Paper, Sec. III-B and Fig. 3, "optical flow". For each window the face is found on the first frame and
cropped; Farnebäck's dense flow then runs from that frame to each other one, on a few patches of the crop; a
region's value is the mean flow of those of its pixels that move most. The head is followed by the flow of
the nose ridge: the crop moves along by whole pixels, and what is left is subtracted.

mode="exact" gives what the released code of ME-TST gives, to rounding (five regions, windows and patches
inside the picture). mode="fast" starts each patch's flow from the last frame's, moved along with the head,
and refines it by two iterations at full size: about half the time, for a difference of a few thousandths of
a pixel. Where the head jumps it starts anew.

Glossary: T frames of a video; k frames of a window (`window`); W windows of a video; C channels, two
for each region. Lengths are pixels of the 320 × 320 face crop.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from metst_lib import rois
from metst_lib.events import window_starts
from metst_lib.rois import CROP, Layout, Rect, face_crop

MODES = ("exact", "fast")
FARNEBACK = {"pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 5, "poly_n": 7, "poly_sigma": 1.5}
WARM = {**FARNEBACK, "levels": 0, "iterations": 2}
#: How often the crop may follow the head within one frame.
MOVES = 3
#: mode="fast" starts anew where the nose moves further than this from one frame to the next, in pixels.
JUMP = 1.0

#: Called as landmarker(image, frame) with a whole grey frame and its index, it gives iBUG's 68 landmarks as
#: (68, 2) of x, y in pixels, or None without a face. It may have a method on_crop(image) that finds them
#: again on the face crop; where it has none, or that gives None, those of the frame are scaled.
Landmarker = Callable[[np.ndarray, int], "np.ndarray | None"]


@dataclass(frozen=True, eq=False)
class RoiFlow:
    """The regions' flow of one video, in windows.

    values: float32 (W, C, k), pixels of the face crop, 0 at each window's first frame. starts: (W,), the
    first frame of each window. flags: bool (W,), whether a window's face came from another frame. fps: frames
    per second, where known. settings: whatever else is worth keeping, JSON-able.
    ValueError where shapes disagree, values are not finite, or a window reaches beyond the video.
    """

    values: np.ndarray
    starts: np.ndarray
    flags: np.ndarray
    n_frames: int
    fps: float | None = None
    roi_set: str = "5"
    mode: str = "exact"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (("values", np.float32), ("starts", np.int64), ("flags", bool)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        channels = 2 * len(rois.roi_set(self.roi_set))
        if self.values.ndim != 3 or self.values.shape[1] != channels:
            raise ValueError(
                f"flow values have the shape {self.values.shape}, not (windows, {channels}, frames) "
                f"as roi_set {self.roi_set!r} has"
            )
        if self.starts.shape != (len(self.values),) or self.flags.shape != (len(self.values),):
            shapes = f"starts {self.starts.shape} and flags {self.flags.shape}"
            raise ValueError(f"{len(self.values)} windows of flow, but {shapes}")
        if not np.isfinite(self.values).all():
            raise ValueError("flow values are not finite (NaN or infinite)")
        if len(self.starts) and (self.starts.min() < 0 or self.starts.max() + self.window > self.n_frames):
            raise ValueError(
                f"windows of {self.window} frames reach beyond the video's {self.n_frames} frames"
            )

    @property
    def window(self) -> int:
        """k, the frames of a window."""
        return self.values.shape[2]

    @property
    def channels(self) -> list[str]:
        """Names of the C channels: "left brow x", "left brow y", …"""
        return rois.channel_names(self.roi_set)


def extract(
    frames: Sequence[np.ndarray],
    landmarker: Landmarker,
    roi_set: str = "5",
    window: int = 50,
    mode: str = "exact",
    **options: Any,
) -> RoiFlow:
    """The regions' flow of a video, in windows of k frames that overlap by half.

    roi_set: "5" (ME-TST) or "18" (ME-TST+). All else, options and errors too, as for `extract_sets`.
    """
    return extract_sets(frames, landmarker, (roi_set,), window, mode, **options)[roi_set]


def extract_sets(
    frames: Sequence[np.ndarray],
    landmarker: Landmarker,
    roi_sets: Sequence[str] = tuple(rois.ROI_SETS),
    window: int = 50,
    mode: str = "exact",
    *,
    align: bool = True,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    fps: float | None = None,
    name: str = "video",
) -> dict[str, RoiFlow]:
    """The flow of several sets of regions in one pass over a video; patches that they share run once.

    Args:
        frames: the video, a sequence of grey uint8 (height, width); read lazily, from several threads.
        landmarker: see `Landmarker`; called from several threads.
        window: k, even. mode: "exact" or "fast".
        align: follow the head and subtract the nose's flow. Off, head motion stays in.
        threads: windows worked on at a time; the result does not depend on it.
        progress: called with (windows done, windows) after each.
        fps: kept with the result. name: the video's, for messages.

    A window whose first frame has no face takes the nearest frame's (the earlier of two) and is flagged.
    Memory grows with window and threads, not with the video.

    ValueError for an unknown roi_set or mode and, naming the video, for an odd window, a video shorter than a
    window, a frame that is not grey uint8 or changes size, landmarks of a wrong shape, no face in the whole
    video, a region of any set of which nothing lies in the crop, flow that is not finite.
    """
    sets = {roi_set: rois.roi_set(roi_set) for roi_set in roi_sets}
    regions = tuple(dict.fromkeys(roi for chosen in sets.values() for roi in chosen))
    starts = _starts(len(frames), window, mode, threads, name)
    video = _Video(frames, starts, window, name)
    faces = _Faces(video, landmarker)
    values = np.zeros((len(starts), len(regions), 2, window), np.float32)
    flags = np.zeros(len(starts), bool)

    def work(w: int) -> None:
        start = int(starts[w])
        face = faces.nearest(start)
        flags[w] = face != start
        rect, landmarks = faces.crop(face, video.shared if face == start else video.read)
        layout = rois.resolve(regions, landmarks, f"{name}, frame {face}")
        values[w] = _window_flow(video.shared, start, window, rect, layout, mode, align)
        bad = ~np.isfinite(values[w]).all(axis=(0, 1))
        if bad.any():
            raise ValueError(f"{name}: flow is not finite at frame {start + int(np.argmax(bad))}")
        video.release(start)

    _run(work, len(starts), threads, progress)
    settings = {"window": window, "align": align}
    found = {}
    for roi_set, chosen in sets.items():
        own = values[:, [regions.index(roi) for roi in chosen]].reshape(len(starts), -1, window)
        found[roi_set] = RoiFlow(own, starts, flags, len(frames), fps, roi_set, mode, settings)
    return found


def _starts(n_frames: int, window: int, mode: str, threads: int, name: str) -> np.ndarray:
    """The first frame of each window, once all that is asked for is known to make sense."""
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    try:
        return window_starts(n_frames, window)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def pool(flow: np.ndarray, q: float) -> tuple[float, float]:
    """The mean (x, y) of the fraction q of a region's flow vectors (height, width, 2) that are longest.

    Of n, those of rank ⌊n (1 − q)⌋ and above, counted from 0 by rising magnitude.
    """
    vectors = flow.reshape(-1, 2)
    x, y = vectors[:, 0], vectors[:, 1]
    first = int(len(vectors) * (1 - q))
    top = (x * x + y * y).argpartition(first)[first:]
    return float(x[top].sum(dtype=float)) / len(top), float(y[top].sum(dtype=float)) / len(top)


def crop_picture(image: np.ndarray, rect: Rect) -> np.ndarray:
    """The 320 × 320 face crop of a grey frame; what of the rectangle lies outside the frame is left out."""
    return cv2.resize(image[rect.slices], (CROP, CROP))


def _window_flow(
    image_at: Callable[[int], np.ndarray],
    start: int,
    window: int,
    rect: Rect,
    layout: Layout,
    mode: str,
    align: bool,
) -> np.ndarray:
    """The flow of one window, (regions, 2, k)."""
    first = image_at(start)
    inside = Rect(0, first.shape[0], 0, first.shape[1])
    reference = crop_picture(first, rect)
    core = layout.nose_core.relative_to(layout.nose).slices
    parts = [
        (roi.patch, roi.q, region.relative_to(layout.patches[roi.patch]).slices)
        for roi, region in zip(layout.rois, layout.regions, strict=True)
    ]

    def nose(picture: np.ndarray) -> tuple[float, float]:
        return pool(farneback(reference, picture, layout.nose)[core], rois.NOSE_Q)

    values = np.zeros((len(layout.rois), 2, window))
    flows: dict[str, np.ndarray] = {}
    x = y = 0.0  # the nose's flow
    for t in range(1, window):
        image = image_at(start + t)
        picture = crop_picture(image, rect)
        before = x, y, rect
        if align or mode == "fast":
            x, y = nose(picture)
        for _ in range(MOVES if align else 0):
            if not x * x + y * y > 1:
                break
            moved = _move(rect, round(x), round(y))
            if moved.within(inside).empty:
                break
            rect = moved
            picture = crop_picture(image, rect)
            x, y = nose(picture)
        shift = None if mode == "exact" or t == 1 else _shift(before, (x, y, rect))
        for key, patch in layout.patches.items():
            flows[key] = farneback(reference, picture, patch, None if shift is None else flows[key] + shift)
        head = (x, y) if align else (0.0, 0.0)
        for r, (key, q, at) in enumerate(parts):
            values[r, :, t] = np.subtract(pool(flows[key][at], q), head)
    return values


def farneback(
    reference: np.ndarray, picture: np.ndarray, patch: Rect, initial: np.ndarray | None = None
) -> np.ndarray:
    """Dense flow (height, width, 2) from a reference picture to another on one patch.

    From an initial flow, two iterations at full size refine it (and overwrite it).
    """
    how, flags = (FARNEBACK, 0) if initial is None else (WARM, cv2.OPTFLOW_USE_INITIAL_FLOW)
    pictures = reference[patch.slices], picture[patch.slices]
    return cv2.calcOpticalFlowFarneback(*pictures, initial, flags=flags, **how)


def _shift(before: tuple[float, float, Rect], now: tuple[float, float, Rect]) -> np.ndarray | None:
    """How far a patch's flow has gone with the head since the last frame, (x, y).

    None where the head jumped, or the picture failed: the last flow is no start for the next one then.
    """
    (x0, y0, rect0), (x1, y1, rect1) = before, now
    moved_x = (rect1.left - rect0.left) * CROP / (rect0.right - rect0.left)
    moved_y = (rect1.top - rect0.top) * CROP / (rect0.bottom - rect0.top)
    if not np.hypot(x1 - x0 + moved_x, y1 - y0 + moved_y) < JUMP:
        return None
    return np.array([x1 - x0, y1 - y0], np.float32)


def _move(rect: Rect, x: int, y: int) -> Rect:
    """The rectangle moved; left and top stop at the frame's edge, each by itself."""
    return Rect(max(0, rect.top + y), rect.bottom + y, max(0, rect.left + x), rect.right + x)


class _Video:
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


class _Faces:
    """The landmarks of a video's frames, each looked for once."""

    def __init__(self, video: _Video, landmarker: Landmarker) -> None:
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


def _run(
    work: Callable[[int], None], n: int, threads: int, progress: Callable[[int, int], None] | None
) -> None:
    """Do work(0) … work(n − 1) on threads. The first error ends it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the threads are ours
    executor = ThreadPoolExecutor(threads, thread_name_prefix="flow")
    try:
        for done, future in enumerate(as_completed([executor.submit(work, i) for i in range(n)]), start=1):
            future.result()
            if progress is not None:
                progress(done, n)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        cv2.setNumThreads(before)
