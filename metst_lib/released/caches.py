"""The authors' caches of regional flow, read safely: flow of ours without any video.

They come as pickles, and a pickle can run any code when it is loaded: an unpickler that knows numpy arrays
and plain containers refuses everything else by name before anything runs.

Glossary: W windows of a video, k frames of a window, T frames of a video, 10 channels: x and y of five
regions.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metst_lib import datasets
from metst_lib._files import sha256
from metst_lib.datasets.reader import natural_key
from metst_lib.events import Key, window_starts
from metst_lib.flow import RoiFlow
from metst_lib.released.weights import CHANNELS

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


def load_cache(path: str | Path) -> list[np.ndarray]:
    """A released cache of flow: one float32 array (W, 10, k) per video, in the order of the file.

    The videos are those with a micro-expression, in natural order of subject and name; k is 50 for CAS(ME)³
    and 30 for SAMM-LV. A video without any window has W = 0.

    Raises FileNotFoundError, and ValueError that names the file where it is cut short, asks for anything but
    numpy arrays and plain containers (which is named; nothing of it runs), holds windows of other shapes, or
    holds NaN or infinity.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no cache at {path}")
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file).load()
    except Exception as error:  # a cut or foreign pickle fails in many ways, MemoryError among them
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a cache of flow: {reason}") from error
    if not isinstance(content, list | tuple) or not content:
        raise ValueError(f"{path} should hold a list of videos, not {_what(content)}")
    videos = [_windows(path, i, video) for i, video in enumerate(content)]
    lengths = sorted({video.shape[2] for video in videos if len(video)})
    if len(lengths) > 1:
        raise ValueError(f"{path} holds windows of different lengths: {', '.join(map(str, lengths))} frames")
    k = lengths[0] if lengths else 0
    return [video if len(video) else np.empty((0, CHANNELS, k), np.float32) for video in videos]


def read_caches(
    name: str, files: Sequence[str | Path], data: str | Path, *, window: int, frame_step: int
) -> Imported:
    """The authors' caches of a data set as flow of ours. Nothing is written.

    Args:
        name: "sammlv" (one file) or "casme3" (five, in their order).
        files: the pickles. Together they hold the videos with a micro-expression that the released code can
            place (462 of 463 in CAS(ME)³), by natural order of subject and name.
        data: the folder with `<name>/`, where the owners' tables lie. No frames are needed.
        window: k. frame_step: every how many-th frame was taken.

    The order of the channels is ours already. A cache does not say how long its videos are: T is taken as
    the (W + 1)·k/2 frames that the windows cover; up to k/2 − 1 more were in the video. Nor does it say which
    windows took their face from another frame.

    Raises FileNotFoundError and ValueError as `load_cache` and `datasets.read_annotations`; ValueError with
    both numbers where videos, windows or their frames do not fit the tables.
    """
    if name not in CACHED:
        raise ValueError(f"the authors released no cache of {name!r}; there are those of {', '.join(CACHED)}")
    if not files:
        raise ValueError("no cache to import: no file is named")
    paths = [Path(file) for file in files]
    last = _last_onsets(name, Path(data) / name)
    videos = [video for path in paths for video in load_cache(path)]
    if len(videos) != len(last):
        raise ValueError(
            f"{', '.join(path.name for path in paths)}: {len(videos)} videos, but the tables of {name} have "
            f"{len(last)} with a micro-expression. Nothing was imported"
        )
    fps = datasets.reader_of(name).fps / frame_step
    flows = {}
    for (key, onset), values in zip(last.items(), videos, strict=True):
        _check_windows(f"{name}, video {' '.join(key)}", values, onset, window, frame_step)
        n_frames = (len(values) + 1) * (window // 2)
        starts = window_starts(n_frames, window)
        flows[key] = RoiFlow(values, starts, np.zeros(len(starts), bool), n_frames, fps)
    ranges = [(*key, FIRST, FIRST - 1 + frame_step * flow.n_frames) for key, flow in flows.items()]
    return Imported(flows, {path.name: sha256(path) for path in paths}, ranges)


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


def _windows(path: Path, index: int, video: Any) -> np.ndarray:
    """One video's windows, (W, 10, k) float32; (0, 10, 0) where there are none."""
    where = f"{path}, video {index}"
    if not isinstance(video, list | tuple | np.ndarray):
        raise ValueError(f"{where} should be a list of windows, not {_what(video)}")
    for i, window in enumerate(video):
        fits = isinstance(window, np.ndarray) and window.ndim == 2 and len(window) == CHANNELS
        if not (fits and np.issubdtype(window.dtype, np.floating)):
            wanted = f"a float array ({CHANNELS}, k)"
            raise ValueError(f"{where}, window {i} should be {wanted}, not {_what(window)}")
        if window.shape != video[0].shape:
            raise ValueError(f"{where} has windows of {video[0].shape} and {window.shape}")
        if not np.isfinite(window).all():
            raise ValueError(f"{where}, window {i} holds NaN or infinity")
    return np.stack(video).astype(np.float32) if len(video) else np.empty((0, CHANNELS, 0), np.float32)


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return f"an empty {type(value).__name__}" if value in ([], (), {}) else f"a {type(value).__name__}"


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as old pickle protocols write them; stands in for _codecs.encode, which takes any codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding!r}")
    return text.encode("latin1")


_REBUILD, _SCALAR = (value.__reduce__()[0] for value in (np.zeros(1), np.zeros(1)[0]))
_FROM_BUFFER = np.zeros(1).__reduce_ex__(5)[0]
_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and of numpy 2
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _REBUILD
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _SCALAR
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _FROM_BUFFER
"""All that a pickle of numpy arrays may name."""


class _ArrayUnpickler(pickle.Unpickler):
    """Knows numpy arrays; lists, tuples, dicts, numbers and text need no names. Refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only numpy arrays in plain containers are admitted"
            )
        return _ADMITTED[module, name]
