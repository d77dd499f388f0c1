"""The authors' caches of regional flow, read safely (`arrays`): flow of ours without any video.

Glossary: W windows of a video, k frames of a window, T frames of a video, C channels: x and y of five regions
(10) or of eighteen (36).
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metst_lib import datasets, rois
from metst_lib._files import sha256
from metst_lib.datasets.reader import natural_key
from metst_lib.events import Key, window_starts
from metst_lib.flow import RoiFlow
from metst_lib.released import arrays, clone

#: Channels of a cache -> its set of regions.
CHANNELS = {len(rois.channel_names(name)): name for name in rois.ROI_SETS}
#: The data sets whose flow the authors released.
CACHED = ("sammlv", "casme3")
#: Number of the frame that the released code takes as the first of a video, in both sets. CAS(ME)³'s videos
#: begin later (at jpg 8, 6, 2, …); there it repeats the first jpg in place of those before it.
FIRST = 1


@dataclass(frozen=True)
class Imported:
    """What a data set's caches hold, fitted to its tables.

    flows: the flow of each video, no window flagged. hashes: SHA-256 of each file, by its name. ranges:
    subject, video, first and last frame number of each video, as `datasets.load` takes them.
    """

    flows: dict[Key, RoiFlow]
    hashes: dict[str, str]
    ranges: list[tuple[str, str, int, int]]


def load_cache(path: str | Path | Sequence[str | Path]) -> list[np.ndarray]:
    """A released cache of flow: one float32 array (W, C, k) per video, in the order of the file.

    path: the file, or its parts in their order. The videos are those with a micro-expression, in natural
    order of subject and name; k is 50 for CAS(ME)³ and 30 for SAMM-LV. A video without any window has W = 0.

    Raises FileNotFoundError, and ValueError that names the file where it is a git-lfs pointer, is cut short,
    asks for anything but float arrays in lists (which is named; nothing of it runs) or for more of them than
    it has bytes, holds windows of other shapes, or holds NaN or infinity.
    """
    paths = [Path(part) for part in ([path] if isinstance(path, str | os.PathLike) else path)]
    if not paths:
        raise ValueError("no cache to read: no file is named")
    videos = [video for part in paths for video in _videos(part)]
    forms = sorted({video.shape[1:] for video in videos if len(video)})
    if len(forms) > 1:
        raise ValueError(f"{_names(paths)}: windows of different forms: {', '.join(map(str, forms))}")
    form = forms[0] if forms else (min(CHANNELS), 0)
    return [video if len(video) else np.empty((0, *form), np.float32) for video in videos]


def _videos(path: Path) -> list[np.ndarray]:
    """The videos of one file, (W, C, k) float32 each."""
    if not path.is_file():
        raise FileNotFoundError(f"no cache at {path}")
    clone.refuse_pointer(path)
    data = path.read_bytes()
    try:
        content = arrays.load(data)
    except Exception as error:  # a cut or foreign pickle fails in many ways, MemoryError among them
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a cache of flow: {reason}") from error
    if not isinstance(content, list | tuple) or not content:
        raise ValueError(f"{path} should hold a list of videos, not {_what(content)}")
    left, videos = len(data), []
    for i, video in enumerate(content):
        videos.append(_windows(path, i, video, left))
        left -= sum(window.nbytes for window in video)
    return videos


def _windows(path: Path, index: int, video: Any, left: int) -> np.ndarray:
    """One video's windows, (W, C, k) float32, that take no more than the bytes left; (0, 0, 0) where there
    are none."""
    where = f"{path}, video {index}"
    if not isinstance(video, list | tuple | np.ndarray):
        raise ValueError(f"{where} should be a list of windows, not {_what(video)}")
    for i, window in enumerate(video):
        if not (isinstance(window, np.ndarray) and window.ndim == 2 and len(window) in CHANNELS):
            wanted = " or ".join(f"({channels}, k)" for channels in CHANNELS)
            raise ValueError(f"{where}, window {i} should be a float array {wanted}, not {_what(window)}")
        if window.shape != video[0].shape:
            raise ValueError(f"{where} has windows of {video[0].shape} and {window.shape}")
        left -= window.nbytes
        if left < 0:
            raise ValueError(f"{where} repeats windows: the file has fewer bytes than its numbers take")
        if not (np.abs(window) <= np.finfo(np.float32).max).all():
            raise ValueError(f"{where}, window {i} holds NaN or infinity")
    return np.stack(video).astype(np.float32) if len(video) else np.empty((0, 0, 0), np.float32)


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    kind = type(value).__name__
    return f"an empty {kind}" if isinstance(value, list | tuple) and not value else f"a {kind}"


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def read_caches(
    name: str, files: Sequence[str | Path], data: str | Path, *, window: int, frame_step: int
) -> Imported:
    """The authors' caches of a data set as flow of ours. Nothing is written.

    Args:
        name: "sammlv" (one file) or "casme3" (five, in their order).
        files: the pickles, all of 10 or all of 36 channels. Together they hold the videos with a
            micro-expression that the released code can place (462 of 463 in CAS(ME)³), by natural order of
            subject and name.
        data: the folder with `<name>/`, where the owners' tables lie. No frames are needed.
        window: k. frame_step: every how many-th frame was taken.

    The order of the channels is ours already. A cache does not say how long its videos are: T is taken as
    the (W + 1)·k/2 frames that the windows cover; up to k/2 − 1 more were in the video. Nor does it say which
    windows took their face from another frame.

    Raises FileNotFoundError and ValueError as `load_cache` and `datasets.read_annotations`; ValueError with
    both numbers where videos, windows or their frames do not fit the tables.
    """
    _check_known(name)
    paths = [Path(file) for file in files]
    last = _last_onsets(name, Path(data) / name)
    videos = load_cache(paths)
    if len(videos) != len(last):
        raise ValueError(
            f"{_names(paths)}: {len(videos)} videos, but the tables of {name} have "
            f"{len(last)} with a micro-expression. Nothing was imported"
        )
    fps = datasets.reader_of(name).fps / frame_step
    flows = {}
    for (key, onset), values in zip(last.items(), videos, strict=True):
        _check_windows(f"{name}, video {' '.join(key)}", values, onset, window, frame_step)
        n_frames = (len(values) + 1) * (window // 2)
        starts = window_starts(n_frames, window)
        flags, roi_set = np.zeros(len(starts), bool), CHANNELS[values.shape[1]]
        flows[key] = RoiFlow(values, starts, flags, n_frames, fps, roi_set, "released")
    ranges = [(*key, FIRST, FIRST - 1 + frame_step * flow.n_frames) for key, flow in flows.items()]
    return Imported(flows, {path.name: sha256(path) for path in paths}, ranges)


def read_clone(
    name: str, folder: str | Path, data: str | Path, *, window: int, frame_step: int
) -> dict[str, Imported]:
    """Set of regions -> the caches of a data set in a clone of the authors' repository, as flow of ours.

    A cache of 18 regions serves 5 too, so only one of several is read. All else as `read_caches`; where no
    cache is whole, FileNotFoundError saying what was looked for.
    """
    _check_known(name)
    there = {roi_set: files for (known, roi_set), files in clone.caches(folder).items() if known == name}
    if not there:
        files = ", ".join(f"{clone.NAMES[name]}_dataset{part}.pkl" for part in clone.PARTS[name])
        raise FileNotFoundError(
            f"no whole cache of {name} in {folder}: looked for {files} in cache/ME-TST+ (18 regions) and "
            "cache/ME-TST (5)"
        )
    files = there.get("18") or there["5"]
    read = read_caches(name, files, data, window=window, frame_step=frame_step)
    (roi_set,) = {flow.roi_set for flow in read.flows.values()}
    return {"5": read} if roi_set == "5" else {"5": of_five(read), "18": read}


def of_five(cached: Imported) -> Imported:
    """The flow of five regions in caches of eighteen, of which they are five."""
    rows = [rois.channel_names("18").index(name) for name in rois.channel_names("5")]
    five = {
        key: dataclasses.replace(flow, values=flow.values[:, rows], roi_set="5")
        for key, flow in cached.flows.items()
    }
    return dataclasses.replace(cached, flows=five)


def _check_known(name: str) -> None:
    if name not in CACHED:
        raise ValueError(f"the authors released no cache of {name!r}; there are those of {', '.join(CACHED)}")


def _last_onsets(name: str, folder: Path) -> dict[Key, int]:
    """(subject, video) -> frame number in which its last micro-expression begins, in the caches' order."""
    tables = datasets.find_tables(name, folder)
    annotations, _ = datasets.read_annotations(name, *tables, as_released=True)
    micro = annotations[annotations["kind"] == "micro"]
    last = micro.groupby(["subject", "video"])["onset"].max().astype(int).to_dict()
    return {key: last[key] for key in sorted(last, key=lambda key: tuple(map(natural_key, key)))}


def _check_windows(where: str, values: np.ndarray, onset: int, window: int, frame_step: int) -> None:
    """ValueError where a video's windows are not of k frames or too few for its last micro-expression."""
    if len(values) and values.shape[2] != window:
        raise ValueError(
            f"{where}: windows of {values.shape[2]} frames, not of {window}. Nothing was imported"
        )
    frames = (onset - FIRST) // frame_step + 1
    least = max(1, frames // (window // 2) - 1)  # a video of n frames has n // (k/2) − 1 windows
    if len(values) < least:
        raise ValueError(
            f"{where}: {len(values)} windows of {window} frames, but a micro-expression begins at frame "
            f"{onset}, which takes at least {least}. Nothing was imported; are the files in their order?"
        )
