"""The networks: from windows of regional flow to a spotting score and emotion logits for every frame.

Sec. III-A: `METST`, a stem and two branches of Mamba blocks. Sec. III-B and Fig. 3: `METSTPlus`, whose
branches have a fast and a slow path. Beside them two comparators: `Transformer`, which has attention in
place of Mamba and all else equal, and `WindowClassifier`, one answer per window (Fig. 2a).

Every network is called alike:

    spot, emotion = model(flow)     # (b, C1, T) -> (b, T) in [0, 1], (b, T, 5) logits

Between the stem and the heads time comes before channels, (b, T, C): the layout that projections and scan
share. Emotion classes stand in the order of `events.CLASSES`, neutral last.

Glossary: b batch (windows), C1 flow channels (x and y of each region: 10 or 36), T frames of a window,
C width of the features (the fast path's), 2C width of the slow path, N size of a state.

Where this departs from the released ME-TST code: recognition has blocks of its own, as the paper says
(`shared_branches=True` for the released way); mamba-ssm's initial step sizes are kept, which the released
code sets to zero. Path widths, kernels and up-sampling of ME-TST+ are not all in the paper; the docstrings
say which are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.events import CLASSES, EMOTIONS
from metst_lib.ssm import Mamba


class METST(nn.Module):
    """ME-TST (Fig. 2b): a stem, then a branch for spotting and one for recognition, then a head for each.

    Args:
        in_channels: C1, flow channels.
        dim: C, width.
        depth: Mamba blocks in each branch.
        d_state: N, state size of the scan.
        n_emotions: emotions without neutral.
        shared_branches: one branch feeds both heads, as in the released network and its weights.
        drop_path: chance of leaving a block out in training: 0 for the first block, rising to this for
            the last.
        backend, recompute: as in `ssm.selective_scan`.
    """

    def __init__(
        self,
        in_channels: int = 10,
        dim: int = 64,
        depth: int = 12,
        d_state: int = 64,
        n_emotions: int = len(EMOTIONS),
        shared_branches: bool = False,
        drop_path: float = 0.2,
        backend: str = "auto",
        recompute: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels

        def branch() -> nn.Sequential:
            return nn.Sequential(
                *(
                    Block(dim, Mamba(dim, d_state, backend=backend, recompute=recompute), rate)
                    for rate in drop_rates(drop_path, depth)
                )
            )

        self.stem = Stem(in_channels, dim)
        self.spotting = branch()
        self.recognition = None if shared_branches else branch()
        self.spot_head = nn.Linear(dim, 1)
        self.emotion_head = nn.Linear(dim, n_emotions + 1)
        initialise(self)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """flow (b, C1, T) -> spotting score (b, T) in [0, 1], emotion logits (b, T, n_emotions + 1)."""
        features = self.stem(_flow(flow, self.in_channels))
        spotting = self.spotting(features)
        recognition = spotting if self.recognition is None else self.recognition(features)
        return torch.sigmoid(self.spot_head(spotting)).squeeze(2), self.emotion_head(recognition)


class METSTPlus(nn.Module):
    """ME-TST+ (Fig. 3): a stem, then for each task a SlowFast branch of its own, then its head.

    Args:
        in_channels: C1, flow channels.
        dim: C, width of the fast path; the slow path is 2C wide, the heads see C + 2C.
        n_blocks: Mamba blocks in each path, each followed by a lateral connection.
        depth: Mamba layers in a block.
        d_state, n_emotions, drop_path, backend, recompute: as for `METST`; the drop rate rises along all
            n_blocks · depth layers of a path.
    """

    def __init__(
        self,
        in_channels: int = 36,
        dim: int = 128,
        n_blocks: int = 3,
        depth: int = 4,
        d_state: int = 64,
        n_emotions: int = len(EMOTIONS),
        drop_path: float = 0.2,
        backend: str = "auto",
        recompute: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        size = {"d_state": d_state, "drop_path": drop_path, "backend": backend, "recompute": recompute}
        self.stem = Stem(in_channels, dim)
        self.spotting = SlowFast(dim, n_blocks, depth, **size)
        self.recognition = SlowFast(dim, n_blocks, depth, **size)
        self.spot_head = nn.Linear(3 * dim, 1)
        self.emotion_head = nn.Linear(3 * dim, n_emotions + 1)
        initialise(self)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """flow (b, C1, T) -> spotting score (b, T) in [0, 1], emotion logits (b, T, n_emotions + 1)."""
        features = self.stem(_flow(flow, self.in_channels))
        spot = torch.sigmoid(self.spot_head(self.spotting(features))).squeeze(2)
        return spot, self.emotion_head(self.recognition(features))


class SlowFast(nn.Module):
    """One branch of ME-TST+ (Fig. 3c): a fast path at every frame, a slow and wider one at every second.

    After each block the slow path takes in what the fast one has seen: slow ← slow + Conv(fast). Both paths
    are joined at the end, the slow one brought back to every frame. The paper leaves open the kernels (ours:
    3 into the slow path, 5 for the lateral connections, stride 2) and the way back (ours: linear).
    """

    def __init__(self, dim, n_blocks, depth, *, d_state, drop_path, backend, recompute):
        super().__init__()
        rates = drop_rates(drop_path, n_blocks * depth)
        blocks = [rates[i : i + depth] for i in range(0, len(rates), depth)]

        def path(width: int) -> nn.ModuleList:
            def layer(rate: float) -> Block:
                return Block(width, Mamba(width, d_state, backend=backend, recompute=recompute), rate)

            return nn.ModuleList(nn.Sequential(*map(layer, block)) for block in blocks)

        self.to_slow = TimeConv(dim, 2 * dim, kernel_size=3, stride=2, padding=1)
        self.fast = path(dim)
        self.slow = path(2 * dim)
        self.lateral = nn.ModuleList(
            TimeConv(dim, 2 * dim, kernel_size=5, stride=2, padding=2) for _ in range(n_blocks)
        )
        self.join = Join()

    def forward(self, x: Tensor) -> Tensor:
        """x (b, T, C) -> (b, T, 3C). An odd T is made even by repeating the last frame, then cut back."""
        frames = x.shape[1]
        if frames % 2:
            x = torch.cat([x, x[:, -1:]], dim=1)
        fast, slow = x, self.to_slow(x)  # (b, T, C), (b, T/2, 2C)
        for fast_block, slow_block, lateral in zip(self.fast, self.slow, self.lateral, strict=True):
            fast = fast_block(fast)
            slow = slow_block(slow) + lateral(fast)
        return self.join(fast, slow)[:, :frames]


class Join(nn.Module):
    """The slow path at twice its frame rate, by linear interpolation, beside the fast one."""

    def forward(self, fast: Tensor, slow: Tensor) -> Tensor:
        """(b, T, C) and (b, T/2, 2C) -> (b, T, 3C)."""
        slow = F.interpolate(slow.transpose(1, 2), scale_factor=2, mode="linear").transpose(1, 2)
        return torch.cat([fast, slow], dim=2)


class Transformer(nn.Module):
    """ME-TST with attention in place of Mamba: equal stem, width, depth, residuals and heads.

    A Mamba layer both mixes frames and works on channels, so it is held against the pair that does so in a
    Transformer, attention and a perceptron of four times the width: 50,240 parameters against 51,328 a block
    at the full size. Attention knows no order of frames; fixed sines and cosines are added to the stem's
    features, since Mamba gets the order for free.

    Args: as for `METST`; heads is the number of attention heads.
    """

    def __init__(
        self,
        in_channels: int = 10,
        dim: int = 64,
        depth: int = 12,
        n_emotions: int = len(EMOTIONS),
        heads: int = 4,
        drop_path: float = 0.2,
    ):
        super().__init__()
        self.in_channels = in_channels

        def branch() -> nn.Sequential:
            blocks = []
            for rate in drop_rates(drop_path, depth):
                blocks += [Block(dim, Attention(dim, heads), rate), Block(dim, Perceptron(dim), rate)]
            return nn.Sequential(*blocks)

        self.stem = Stem(in_channels, dim)
        self.spotting = branch()
        self.recognition = branch()
        self.spot_head = nn.Linear(dim, 1)
        self.emotion_head = nn.Linear(dim, n_emotions + 1)
        initialise(self)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """flow (b, C1, T) -> spotting score (b, T) in [0, 1], emotion logits (b, T, n_emotions + 1)."""
        features = self.stem(_flow(flow, self.in_channels))
        features = features + positions(features.shape[1], features.shape[2]).to(features)
        spot = torch.sigmoid(self.spot_head(self.spotting(features))).squeeze(2)
        return spot, self.emotion_head(self.recognition(features))


class WindowClassifier(nn.Module):
    """The earlier way (Fig. 2a): a small convolutional network that gives each window one answer.

    Three times convolution, batch normalisation, ReLU and pooling by two; the mean over what is left of
    time; one head for each task. The answer is repeated for every frame of the window, so that it is trained,
    stitched and scored like the others. It is trained on `hard_targets`: the window's one label on each of
    its frames. Its limits are the point: it cannot say where in the window a micro-expression lies, so its
    intervals are no finer than the windows' overlap.

    Args: in_channels and n_emotions as for `METST`; dim: width of the first convolution, doubled by each.
    """

    def __init__(self, in_channels: int = 10, dim: int = 32, n_emotions: int = len(EMOTIONS)):
        super().__init__()
        self.in_channels = in_channels
        widths = (in_channels, dim, 2 * dim, 4 * dim)
        self.features = nn.Sequential(*(ConvPool(*pair) for pair in pairwise(widths)))
        self.spot_head = nn.Linear(widths[-1], 1)
        self.emotion_head = nn.Linear(widths[-1], n_emotions + 1)
        initialise(self)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """flow (b, C1, T) -> score (b, T), logits (b, T, n_emotions + 1); equal in all frames of a window."""
        features = self.features(_flow(flow, self.in_channels).transpose(1, 2))
        features = features.mean(dim=1, keepdim=True)  # (b, 1, 4 dim)
        spot, emotion = torch.sigmoid(self.spot_head(features)).squeeze(2), self.emotion_head(features)
        frames = flow.shape[2]
        return spot.expand(-1, frames), emotion.expand(-1, frames, -1)


class ConvPool(nn.Module):
    """Convolution over three frames, batch normalisation, ReLU, and the larger of each two frames."""

    def __init__(self, in_channels: int, dim: int):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, dim, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm1d(dim)
        self.pool = nn.MaxPool1d(2, ceil_mode=True)  # ceil: a window may be as short as one frame

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, C) -> (b, T/2 rounded up, dim)."""
        return self.pool(F.relu(self.norm(self.conv(x.transpose(1, 2))))).transpose(1, 2)


def hard_targets(spot: Tensor, emotion: Tensor) -> tuple[Tensor, Tensor]:
    """Frame targets turned into one label per window, repeated over its frames.

    A window that touches a micro-expression is one, the usual pseudo-label of sliding windows; its class is
    the emotion of most of those frames, the first in class order on a tie.

    Args: spot (b, T), above 0 within a micro-expression; emotion (b, T) class indices, neutral elsewhere.
    Returns: spot and emotion of the same shapes and types.
    """
    neutral = len(CLASSES) - 1
    counts = F.one_hot(emotion, neutral + 1)[..., :neutral].sum(dim=1)  # (b, emotions), frames of each
    label = torch.where(counts.sum(dim=1) > 0, counts.argmax(dim=1), neutral)
    touched = (spot > 0).any(dim=1).to(spot.dtype)
    return touched[:, None].expand_as(spot).clone(), label[:, None].expand_as(emotion).clone()


class Stem(nn.Sequential):
    """Twice convolution over three frames, batch normalisation and ReLU; shared by both tasks."""

    def __init__(self, in_channels: int, dim: int):
        super().__init__(
            nn.Conv1d(in_channels, dim, kernel_size=3, padding=1),
            nn.BatchNorm1d(dim),
            nn.ReLU(),
            nn.Conv1d(dim, dim, kernel_size=3, padding=1),
            nn.BatchNorm1d(dim),
            nn.ReLU(),
        )

    def forward(self, flow: Tensor) -> Tensor:
        """(b, C1, T) -> (b, T, C)."""
        return super().forward(flow).transpose(1, 2)


class Block(nn.Module):
    """x + DropPath(LN(mixer(LN(x)))): one layer of any branch. x and result are (b, T, C)."""

    def __init__(self, dim: int, mixer: nn.Module, drop_path: float = 0.0):
        super().__init__()
        self.norm_in = nn.LayerNorm(dim)
        self.mixer = mixer
        self.norm_out = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.norm_out(self.mixer(self.norm_in(x))))


def drop_rates(highest: float, layers: int) -> list[float]:
    """Drop-path rates along a branch, from 0 at the first layer evenly up to the highest at the last."""
    return [highest * i / max(layers - 1, 1) for i in range(layers)]


class DropPath(nn.Module):
    """In training, zero for a random part of the batch and 1 / (1 − rate) times the input for the rest."""

    def __init__(self, rate: float):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop-path rate must be in [0, 1), not {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.empty(x.shape[0], 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)

    def extra_repr(self) -> str:
        return f"{self.rate:.3g}"


class Attention(nn.Module):
    """Self-attention over the frames of a window, all with all. (b, T, C) -> (b, T, C)."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not a multiple of {heads} attention heads")
        self.heads = heads
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.in_proj(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)  # (b, heads, T, C / heads)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """The second half of a Transformer's block: each frame by itself, four times as wide in between."""

    def __init__(self, dim: int):
        super().__init__()
        self.in_proj = nn.Linear(dim, 4 * dim)
        self.out_proj = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(F.gelu(self.in_proj(x)))


class TimeConv(nn.Conv1d):
    """A convolution over time for features with channels last: (b, T, C) -> (b, T′, C′)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def positions(frames: int, dim: int) -> Tensor:
    """Sines and cosines that tell frames apart, wavelengths from 2π to 20,000π frames. Shape (T, C)."""
    channel = torch.arange(dim)
    angle = torch.arange(frames)[:, None] * 10_000.0 ** (-(channel - channel % 2) / dim)
    return torch.where(channel % 2 == 0, torch.sin(angle), torch.cos(angle))


def initialise(model: nn.Module) -> None:
    """Initial values of the released ME-TST code, save one.

    Linear weights from a normal distribution of 0.02 cut off at ± 2, biases zero; out_proj as torch has it,
    halved. Not followed: it also zeroes the bias of Mamba's step sizes, which `Mamba` sets with care.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            if name.endswith("out_proj"):
                nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5))
                with torch.no_grad():
                    module.weight /= 2
            else:
                nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None and not name.endswith("dt_proj"):
                nn.init.zeros_(module.bias)


NETWORKS = {network.__name__: network for network in (METST, METSTPlus, Transformer, WindowClassifier)}
"""The networks by name."""


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
        if not isinstance(child, Stem | ConvPool):
            yield from _stages(child, f"{prefix}{name}.")


def _flow(flow: Tensor, channels: int) -> Tensor:
    if flow.dim() != 3 or flow.shape[1] != channels or flow.shape[2] == 0:
        raise ValueError(f"flow must have shape (batch, {channels}, frames ≥ 1), not {tuple(flow.shape)}")
    return flow
