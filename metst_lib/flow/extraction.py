"""The flow of a video's regions in all its windows, on several threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import cv2
import numpy as np

from metst_lib import rois
from metst_lib.events import window_starts
from metst_lib.flow.faces import Faces, Frames, Landmarker
from metst_lib.flow.motion import window_flow
from metst_lib.flow.record import RoiFlow

MODES = ("exact", "fast", "released")


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
        window: k, even. mode: see `MODES` and the package.
        align: follow the head and subtract the nose's flow. Off, head motion stays in.
        threads: windows worked on at a time, without effect on the result. progress: told (done, windows).
        fps: kept with the result. name: the video's, for messages.

    A window whose first frame has no face takes the nearest frame's (the earlier of two) and is flagged. With
    mode "released" its values are 0 until its first frame with a face, with which later ones are compared; a
    window without any is 0 throughout. T is then the (W + 1)·k/2 frames that the windows cover.
    Memory grows with window and threads, not with the video.

    ValueError for an unknown roi_set or mode and, naming the video, for an odd window, a video shorter than a
    window, a frame that is not grey uint8 or changes size, landmarks of a wrong shape, flow that is not
    finite, no face in the whole video, a region of any set of which nothing lies in the crop. Mode "released"
    goes on without a face and without a region, but for the right brow's.
    """
    sets = {roi_set: rois.roi_set(roi_set) for roi_set in roi_sets}
    regions = tuple(dict.fromkeys(roi for chosen in sets.values() for roi in chosen))
    starts, n_frames = _starts(len(frames), window, mode, threads, name)
    video = Frames(frames, starts, window, name)
    faces = Faces(video, landmarker)
    values = np.zeros((len(starts), len(regions), 2, window), np.float32)
    flags = np.zeros(len(starts), bool)

    def work(w: int) -> None:
        start, released = int(starts[w]), mode == "released"
        face = faces.first(range(start, start + window)) if released else faces.nearest(start)
        flags[w] = face != start
        if face is not None:
            rect, landmarks = faces.crop(face, video.shared if face == start else video.read)
            layout = rois.resolve(regions, landmarks, f"{name}, frame {face}", released)
            how = window, rect, layout, mode, align, (face - start) * released
            values[w] = window_flow(video.shared, start, *how)
        if (bad := ~np.isfinite(values[w]).all(axis=(0, 1))).any():
            raise ValueError(f"{name}: flow is not finite at frame {start + int(np.argmax(bad))}")
        video.release(start)

    _run(work, len(starts), threads, progress)
    settings, found = {"window": window, "align": align}, {}
    for roi_set, chosen in sets.items():
        own = values[:, [regions.index(roi) for roi in chosen]].reshape(len(starts), -1, window)
        found[roi_set] = RoiFlow(own, starts, flags, n_frames, fps, roi_set, mode, settings)
    return found


def _starts(n_frames: int, window: int, mode: str, threads: int, name: str) -> tuple[np.ndarray, int]:
    """The first frame of each window, and T, once all that is asked for is known to make sense."""
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    try:
        starts = window_starts(n_frames, window)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if mode == "released":  # no window aligned to the end
        n_frames -= n_frames % (window // 2)
        starts = window_starts(n_frames, window)
    return starts, n_frames


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
