"""The authors' trained weights as a network of ours.

They come as pickles, and a pickle can run any code when it is loaded: they are read with torch's
weights-only loader. The authors wrote their networks' state dicts in five spellings, which `SPELLINGS` lists;
a file is told by its keys. Some of what they store is never used: a second norm of every layer, and ME-TST's
whole second branch, since one branch feeds both heads there. All of it is checked, what is used is kept.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metst_lib.models import METST, METSTPlus
from metst_lib.released.clone import refuse_pointer


@dataclass(frozen=True)
class Spelling:
    """One way in which the authors wrote a network's state dict.

    make: the network of ours that it fits. branches: what stands for "spotting." and for "recognition."; a
    second one that our network lacks is stored and never used. head: what follows fc_spot and fc_recog.
    """

    name: str
    make: Callable[[], nn.Module]
    branches: tuple[str, ...]
    head: str = ""


_WIDE = partial(METST, dim=128, shared_branches=True)
_NARROW = partial(METST, shared_branches=True)
#: Every spelling, the oldest first (commits of zizheng-guo/ME-TST and zizheng-guo/BoostingVRME).
SPELLINGS = (
    Spelling("ME-TST, 2024", _NARROW, ("blocks_spot.", "blocks_recog."), ".0"),
    Spelling("ME-TST, February 2025", _NARROW, ("blocks.", "blocks_fast."), ".0"),
    Spelling("ME-TST, July 2025", _WIDE, ("spot_pathway.block.", "recog_pathway.block.")),
    Spelling("ME-TST+", METSTPlus, ("spot_pathway.", "recog_pathway.")),
    Spelling("BoostingVRME", partial(METSTPlus, shared_branches=True), ("",), ".0"),
)
#: Parts of our names and what the authors call them, in every spelling.
_PARTS = {
    "stem.": "Stem.",
    ".norm_in.": ".attn.norm.",
    ".mixer.": ".attn.mamba.",
    ".norm_out.": ".norm1.",
    "to_slow.": "Stem_slow.",
    **{f".slow.{i}.": f".block{i + 1}." for i in range(3)},
    **{f".fast.{i}.": f".block{i + 1}_fast." for i in range(3)},
    **{f".lateral.{i}.": f".fuse_{i + 1}.conv." for i in range(2)},
}

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_COUNTER = "num_batches_tracked"


class Weights(NamedTuple):
    """What a file of weights holds: the spelling's name, and the network in evaluation mode, float32."""

    name: str
    model: METST | METSTPlus


def load_weights(path: str | Path) -> METST | METSTPlus:
    """A released state dict as a network in evaluation mode, float32; errors as in `read_weights`."""
    return read_weights(path).model


def read_weights(path: str | Path) -> Weights:
    """A released state dict and which of `SPELLINGS` it is in; keys may begin with "module.".

    Raises FileNotFoundError, and ValueError that names the file where it is git-lfs's pointer, is cut short,
    is no state dict, has anything but tensors in it, or has other keys or shapes than the spelling that most
    of its keys fit (the first are listed).
    """
    path = Path(path)
    state = _state_dict(path)
    spelling = max(SPELLINGS, key=lambda known: len(state.keys() & released_shapes(known).keys()))
    wanted = released_shapes(spelling)
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is unknown" for key in state if key not in wanted]
    problems += [
        f"{key} has shape {tuple(state[key].shape)}, not {shape}"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if problems:
        raise ValueError(
            f"{path} is not a state dict of {spelling.name}, the nearest that the authors released: "
            f"{len(problems)} of {len(wanted)} entries differ, first: {'; '.join(problems[:5])}"
        )
    state = {key: x if key.endswith(_COUNTER) else x.float() for key, x in state.items()}
    if strange := [key for key, x in state.items() if not x.isfinite().all()]:
        raise ValueError(f"{path} holds numbers that are not finite, first in {strange[0]}")
    values = {ours: state[theirs] for ours, theirs in released_names(spelling).items()}
    model = _hollow(spelling)
    model.load_state_dict(values, assign=True)
    return Weights(spelling.name, model.eval())


@cache
def released_names(spelling: Spelling) -> dict[str, str]:
    """Our name of each parameter and buffer -> its name in a spelling."""
    heads = {"spot_head": f"fc_spot{spelling.head}", "emotion_head": f"fc_recog{spelling.head}"}
    branches = dict(zip(("spotting.", "recognition."), spelling.branches, strict=False))  # there may be one
    parts = _PARTS | heads | branches
    names = {}
    for ours in _hollow(spelling).state_dict():
        names[ours] = ours
        for part, theirs in parts.items():
            names[ours] = names[ours].replace(part, theirs)
    return names


@cache
def released_shapes(spelling: Spelling) -> dict[str, tuple[int, ...]]:
    """Every key of a spelling with its shape, those included that are stored and never used."""
    state, names = _hollow(spelling).state_dict(), released_names(spelling)
    shapes = {theirs: tuple(state[ours].shape) for ours, theirs in names.items()}
    shapes |= {key.replace("norm1", "norm2"): shape for key, shape in shapes.items() if ".norm1." in key}
    used, *second = spelling.branches
    branch = {key: shape for key, shape in shapes.items() if key.startswith(used)} if second else {}
    return shapes | {key.replace(used, second[0]): shape for key, shape in branch.items()}


def _hollow(spelling: Spelling) -> METST | METSTPlus:
    """A network without values: no time, memory or random numbers spent on initial ones."""
    with torch.device("meta"):
        return spelling.make()


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by torch.save, keys without the "module." of data-parallel training."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    refuse_pointer(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of files that are refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for foreign, hostile and cut files
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked[1]}" if asked else "it is cut short or was not written by torch.save"
        raise ValueError(
            f"{path} cannot be read as weights: {reason}. Wanted: a state dict of "
            f"{', '.join(known.name for known in SPELLINGS)}"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, not a state dict")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.layout != torch.strided:
            raise ValueError(f"{path} holds {key!r}: {type(value).__name__} where a state dict has tensors")
        counts = key.endswith(_COUNTER) and value.dtype == torch.int64
        if value.is_nested or value.device.type != "cpu" or not (counts or value.dtype in _FLOATS):
            raise ValueError(f"{path} holds {key!r} of {value.dtype} on {value.device.type}, no plain float")
    return {key.removeprefix("module."): value for key, value in state.items()}
