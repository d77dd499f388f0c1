"""The networks: from windows of regional flow to a spotting score and emotion logits for every frame.

Sec. III-A: `METST`, a stem and two branches of Mamba blocks. Sec. III-B and Fig. 3: `METSTPlus`, whose
branches have a fast and a slow path. Beside them two comparators: `Transformer`, which has attention in
place of Mamba and all else equal, and `WindowClassifier`, one answer per window (Fig. 2a). Both ME-TSTs
take other mixers too (`mixers`): scans in alternating directions, gated convolutions.

Every network is called alike:

    spot, emotion = model(flow)     # (b, C1, T) -> (b, T) in [0, 1], (b, T, 5) logits

Between the stem and the heads time comes before channels, (b, T, C): the layout that projections and scan
share. Emotion classes stand in the order of `events.CLASSES`, neutral last.

Glossary: b batch (windows), C1 flow channels (x and y of each region: 10 or 36), T frames of a window,
C width of the features (the fast path's), 2C width of the slow path, N size of a state.

`METSTPlus` is the authors' released network (July 2025; `released.load_weights` reads its files) and what we
made of the paper's text before is one argument of it. ME-TST has recognition blocks of its own, as the paper
says; `shared_branches=True` is the released way, of it and of ME-TST+'s successor BoostingVRME. Initial
values are the released ones but for Mamba's step sizes (`init="released"` for those too).
"""

from collections.abc import Iterator

import torch
from torch import nn

from metst_lib.models.comparators import ConvPool, Transformer, WindowClassifier
from metst_lib.models.comparators import hard_targets as hard_targets
from metst_lib.models.layers import Block, Stem
from metst_lib.models.layers import ConvNorm as ConvNorm
from metst_lib.models.me_tst import METST
from metst_lib.models.me_tst_plus import METSTPlus

#: The networks by name.
NETWORKS = {network.__name__: network for network in (METST, METSTPlus, Transformer, WindowClassifier)}


def build(network: str, in_channels: int, **size) -> nn.Module:
    """A network by its name in `NETWORKS`; size are its other arguments. ValueError for an unknown name."""
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[network](in_channels=in_channels, **size)


def shapes(model: nn.Module, frames: int) -> list[tuple[str, tuple[int, int]]]:
    """What each stage of a network gives for one window of `frames` frames, in the order of computing.

    Returns (stage, (frames, channels)) pairs: "flow" for the input, then the stages of Fig. 3 by their dotted
    module names, such as "spotting.lateral.0"; a Mamba block of ME-TST+ is one stage, and so is a whole
    branch of ME-TST. One task is walked after the other. The model is left as it was.
    """
    found = [("flow", (frames, model.in_channels))]

    def note(name: str):
        return lambda module, inputs, output: found.append((name, tuple(output.shape[1:])))

    hooks = [module.register_forward_hook(note(name)) for name, module in _stages(model)]
    training = model.training
    try:
        weight = next(model.parameters())
        with torch.no_grad():
            model.eval()(weight.new_zeros(1, model.in_channels, frames))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return found


def _stages(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that the figure shows, each with its dotted name; all give (b, T, C)."""
    for name, child in module.named_children():
        if isinstance(child, Block):
            continue
        if not isinstance(child, nn.ModuleList):
            yield prefix + name, child
        if not isinstance(child, Stem | ConvNorm | ConvPool):
            yield from _stages(child, f"{prefix}{name}.")
