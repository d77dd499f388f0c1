"""What the authors of ME-TST released, read safely: trained weights and caches of regional flow.

Both come as pickles, and a pickle can run any code when it is loaded. Weights are therefore read with
torch's weights-only loader, caches by an unpickler that knows numpy arrays and plain containers and refuses
everything else by name before anything runs. `import_cache` turns caches into flow files of ours, so that the
networks train and run on them without any video.

In the released network (github.com/zizheng-guo/ME-TST) one branch feeds both heads; a second branch and a
second norm per block are stored but never used. `load_weights` checks all of them and keeps what is used.

Glossary: W windows of a video, k frames of a window, T frames of a video, 10 channels: x and y of five
regions.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metst_lib import datasets
from metst_lib._files import write_json
from metst_lib.flow import RoiFlow
from metst_lib.models import METST
from metst_lib.windows import window_starts

DIM, DEPTH, D_STATE, CHANNELS = 64, 12, 64, 10
"""Sizes of the released network."""
CACHED = ("sammlv", "casme3")
"""The data sets whose flow the authors released."""
FIRST = 1
"""Number of the frame that the released code takes as the first of a video, in both sets. CAS(ME)³'s videos
begin later (at jpg 8, 6, 2, …); there it repeats the first jpg in place of those before it."""


def load_weights(path: str | Path) -> METST:
    """A released state dict as a network in evaluation mode: `METST(shared_branches=True)`, float32.

    Raises FileNotFoundError, and ValueError that names the file where it is cut short, is no state dict, has
    anything but tensors in it, or has other keys or shapes than the released network (the first are listed).
    """
    path = Path(path)
    state = _state_dict(path)
    wanted = released_shapes()
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is unknown" for key in state if key not in wanted]
    problems += [
        f"{key} has shape {tuple(state[key].shape)}, not {shape}"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if problems:
        first = "; ".join(problems[:5])
        raise ValueError(
            f"{path} is not a state dict of the released ME-TST: {len(problems)} of {len(wanted)} entries "
            f"differ, first: {first}"
        )
    if strange := [key for key, x in state.items() if x.is_floating_point() and not x.isfinite().all()]:
        raise ValueError(f"{path} holds numbers that are not finite, first in {strange[0]}")
    model = _hollow()
    values = {ours: state[released] for ours, released in released_names(model).items()}
    values = {name: x.float() if x.is_floating_point() else x for name, x in values.items()}
    model.load_state_dict(values, assign=True)
    return model.eval()


def released_names(model: METST) -> dict[str, str]:
    """Our name of each parameter and buffer -> its name in the released state dicts."""
    stages = {
        "stem.": "Stem.",
        "spotting.": "blocks_spot.",
        "spot_head.": "fc_spot.0.",
        "emotion_head.": "fc_recog.0.",
        ".norm_in.": ".attn.norm.",
        ".mixer.": ".attn.mamba.",
        ".norm_out.": ".norm1.",
    }
    names = {}
    for ours in model.state_dict():
        name = ours
        for old, new in stages.items():
            name = name.replace(old, new)
        names[ours] = name
    return names


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Every key of the released state dicts with its shape: 378 tensors, of which 372 are parameters."""
    model = _hollow()
    names = released_names(model)
    shapes = {names[ours]: tuple(x.shape) for ours, x in model.state_dict().items()}
    for i in range(DEPTH):  # stored, never used
        shapes |= {f"blocks_spot.{i}.norm2.{part}": (DIM,) for part in ("weight", "bias")}
    blocks = {key: shape for key, shape in shapes.items() if key.startswith("blocks_spot.")}
    return shapes | {key.replace("blocks_spot.", "blocks_recog."): shape for key, shape in blocks.items()}


def _hollow() -> METST:
    """The released network without values: no time, memory or random numbers spent on initial ones."""
    with torch.device("meta"):
        return METST(CHANNELS, DIM, DEPTH, D_STATE, shared_branches=True)


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


def import_cache(
    name: str,
    files: Sequence[str | Path],
    data: str | Path,
    folder: str | Path,
    *,
    window: int,
    frame_step: int,
) -> dict[str, Any]:
    """The authors' caches of a data set as flow files in `folder`; returns the report it writes there, last.

    Args:
        name: "sammlv" (one file) or "casme3" (five, in their order).
        files: the pickles. Together they hold the videos with a micro-expression that the released code can
            place (462 of 463 in CAS(ME)³), by natural order of subject and name.
        data: the folder with `<name>/`, where the owners' tables lie. No frames are needed.
        folder: where the flow goes, one .npz a video and `complete.json`.
        window: k. frame_step: every how many-th frame was taken.

    The order of the channels is ours already. A cache does not say how long its videos are: T is taken as
    the (W + 1)·k/2 frames that the windows cover; up to k/2 − 1 more were in the video. Nor does it say which
    windows took their face from another frame: no window is flagged. The report has, under "imported", the
    files' hashes and under "ranges" the frame numbers of each video, as `datasets.load` takes them.

    Raises FileNotFoundError and ValueError as `load_cache` and `datasets.read_annotations`; ValueError with
    both numbers where videos, windows or their frames do not fit the tables, and where the folder holds flow
    that was made from frames. Nothing is written then.
    """
    if name not in CACHED:
        raise ValueError(f"the authors released no cache of {name!r}; there are those of {', '.join(CACHED)}")
    if not files:
        raise ValueError("no cache to import: no file is named")
    paths, folder = [Path(file) for file in files], Path(folder)
    last = _last_onsets(name, Path(data) / name)
    videos = [video for path in paths for video in load_cache(path)]
    if len(videos) != len(last):
        raise ValueError(
            f"{', '.join(path.name for path in paths)}: {len(videos)} videos, but the tables of {name} have "
            f"{len(last)} with a micro-expression. Nothing was imported"
        )
    _refuse_own_flow(folder)
    fps = datasets.reader_of(name).FPS / frame_step
    flows = {}
    for (key, onset), values in zip(last.items(), videos, strict=True):
        _check_windows(f"{name}, video {' '.join(key)}", values, onset, window, frame_step)
        n_frames = (len(values) + 1) * (window // 2)
        starts = window_starts(n_frames, window)
        flows[key] = RoiFlow(values, starts, np.zeros(len(starts), bool), n_frames, fps)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    report: dict[str, Any] = {"predictor": None, "videos": {}, "failed": {}}
    (folder / "complete.json").unlink(missing_ok=True)
    for (subject, video), flow in flows.items():
        path = flow.save(folder / f"{subject}_{video}.npz", imported=list(hashes))
        report["videos"][f"{subject} {video}"] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "windows": len(flow.starts),
            "flagged": 0,
            "replaced": 0,
        }
    ranges = [[*key, FIRST, FIRST - 1 + frame_step * flow.n_frames] for key, flow in flows.items()]
    report["imported"] = {"files": hashes, "ranges": ranges}
    write_json(folder / "complete.json", report)
    return report


def _last_onsets(name: str, folder: Path) -> dict[tuple[str, str], int]:
    """(subject, video) -> frame number in which its last micro-expression begins, in the caches' order."""
    tables = datasets.find_tables(name, folder)
    annotations, _ = datasets.read_annotations(name, *tables, as_released=True)
    micro = annotations[annotations["kind"] == "micro"]
    last = micro.groupby(["subject", "video"])["onset"].max().astype(int).to_dict()
    return {key: last[key] for key in sorted(last, key=lambda key: tuple(map(datasets.natural_key, key)))}


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


def _refuse_own_flow(folder: Path) -> None:
    for path in sorted(folder.glob("*.npz")):
        if "imported" not in RoiFlow.load(path).settings:
            raise ValueError(
                f"{folder} holds flow that was made from frames, first {path.name}: move or delete it before "
                "you import a cache. Nothing was imported"
            )


def _windows(path: Path, index: int, video: Any) -> np.ndarray:
    """One video's windows, (W, 10, k) float32; (0, 10, 0) where there are none."""
    if not isinstance(video, list | tuple | np.ndarray):
        raise ValueError(f"{path}, video {index} should be a list of windows, not {_what(video)}")
    for i, window in enumerate(video):
        if not (
            isinstance(window, np.ndarray)
            and window.ndim == 2
            and window.shape[0] == CHANNELS
            and np.issubdtype(window.dtype, np.floating)
        ):
            raise ValueError(
                f"{path}, video {index}, window {i} should be a float array ({CHANNELS}, k), "
                f"not {_what(window)}"
            )
        if window.shape != video[0].shape:
            raise ValueError(f"{path}, video {index} has windows of {video[0].shape} and {window.shape}")
        if not np.isfinite(window).all():
            raise ValueError(f"{path}, video {index}, window {i} holds NaN or infinity")
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


def _admitted() -> dict[tuple[str, str], Any]:
    """All that a pickle of numpy arrays may name, under the module names of numpy 1 and 2."""
    array = np.zeros(1)
    rebuild, scalar, from_buffer = array.__reduce__()[0], array[0].__reduce__()[0], array.__reduce_ex__(5)[0]
    admitted = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
    for core in ("numpy.core", "numpy._core"):
        admitted[f"{core}.multiarray", "_reconstruct"] = rebuild
        admitted[f"{core}.multiarray", "scalar"] = scalar
        admitted[f"{core}.numeric", "_frombuffer"] = from_buffer
    return admitted


class _ArrayUnpickler(pickle.Unpickler):
    """Knows numpy arrays; lists, tuples, dicts, numbers and text need no names. Refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _admitted()[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only numpy arrays in plain containers are admitted"
            ) from None


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by torch.save, keys without the "module." of data-parallel training."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of files that are refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for foreign, hostile and cut files
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked[1]}" if asked else "it is cut short or was not written by torch.save"
        raise ValueError(
            f"{path} cannot be read as weights: {reason}. Wanted: {len(released_shapes())} tensors, "
            f"the first {', '.join(list(released_shapes())[:3])}"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, not a state dict")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(f"{path} holds {key!r}: {type(value).__name__} where a state dict has tensors")
    return {key.removeprefix("module."): value for key, value in state.items()}
