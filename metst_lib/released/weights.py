"""The authors' trained weights as a network of ours.

They come as pickles, and a pickle can run any code when it is loaded: they are read with torch's
weights-only loader. In the released network (github.com/zizheng-guo/ME-TST) one branch feeds both heads; a
second branch and a second norm per block are stored but never used. `load_weights` checks all of them and
keeps what is used.
"""

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from metst_lib.models import METST

#: Sizes of the released network.
DIM, DEPTH, D_STATE, CHANNELS = 64, 12, 64, 10
_NAMES = {
    "stem.": "Stem.",
    "spotting.": "blocks_spot.",
    "spot_head.": "fc_spot.0.",
    "emotion_head.": "fc_recog.0.",
    ".norm_in.": ".attn.norm.",
    ".mixer.": ".attn.mamba.",
    ".norm_out.": ".norm1.",
}


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
    names = {}
    for ours in model.state_dict():
        names[ours] = ours
        for part, released in _NAMES.items():
            names[ours] = names[ours].replace(part, released)
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
