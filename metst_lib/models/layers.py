"""What the networks are made of: the two tasks behind a common stem, blocks with a residual, initial values.

Time comes before channels between the stem and the heads, (b, T, C); the glossary stands in the package.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

#: Initial values: mamba-ssm's step sizes kept, or zeroed as in the released code (see `initialise`).
INITS = ("mamba", "released")


class TwoTasks(nn.Module):
    """What ME-TST, ME-TST+ and the Transformer share: a stem, a branch for each task, a head on each.

    Args: in_channels, n_emotions, shared_branches and init as for `METST`; dim: C, width of the stem; branch:
    makes one branch, (b, T, C) -> (b, T, width); width: what the heads see; places: the branches know no
    order of frames (attention does not), so the stem's features tell it (`positions`).
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        branch: Callable[[], nn.Module],
        width: int,
        n_emotions: int,
        shared_branches: bool = False,
        init: str = "mamba",
        places: bool = False,
    ):
        super().__init__()
        self.in_channels, self.places = in_channels, places
        self.stem = Stem(in_channels, dim)
        self.spotting = branch()
        self.recognition = None if shared_branches else branch()
        self.spot_head = nn.Linear(width, 1)
        self.emotion_head = nn.Linear(width, n_emotions + 1)
        initialise(self, init)

    def features(self, flow: Tensor) -> Tensor:
        """flow (b, C1, T) -> what both branches see, (b, T, C)."""
        features = self.stem(checked(flow, self.in_channels))
        return features + positions(*features.shape[1:]).to(features) if self.places else features

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """flow (b, C1, T) -> spotting score (b, T) in [0, 1], emotion logits (b, T, n_emotions + 1)."""
        features = self.features(flow)
        spotting = self.spotting(features)
        spot = torch.sigmoid(self.spot_head(spotting)).squeeze(2)
        recognition = spotting if self.recognition is None else self.recognition(features)
        return spot, self.emotion_head(recognition)


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


def positions(frames: int, dim: int) -> Tensor:
    """Sines and cosines that tell frames apart, wavelengths from 2π to 20,000π frames. Shape (T, C)."""
    channel = torch.arange(dim)
    angle = torch.arange(frames)[:, None] * 10_000.0 ** (-(channel - channel % 2) / dim)
    return torch.where(channel % 2 == 0, torch.sin(angle), torch.cos(angle))


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
    """Drop-path rates along a row of layers as the released code has them: 0, then from 0 evenly upwards.

    It puts a 0 before the rates that it means to use, 0 … highest, so that the highest is never reached.
    """
    return [highest * max(i - 1, 0) / max(layers - 1, 1) for i in range(layers)]


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


class ConvNorm(nn.Sequential):
    """A convolution over time with batch normalisation and ReLU, or bare; channels last.

    kernel_size is odd; padding keeps T at stride 1.
    """

    def __init__(self, channels: int, width: int, kernel_size: int, stride: int = 1, bare: bool = False):
        conv = nn.Conv1d(channels, width, kernel_size, stride, padding=kernel_size // 2)
        super().__init__(conv, *([] if bare else [nn.BatchNorm1d(width), nn.ReLU()]))

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, C) -> (b, T / stride rounded up, width)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def initialise(model: nn.Module, init: str = "mamba") -> None:
    """Initial values of the released code; init="mamba" departs from it in one place.

    Linear weights from a normal distribution of 0.02 cut off at ± 2, biases zero; out_proj as torch has it,
    halved. init="released" zeroes the bias of Mamba's step sizes too: every channel begins with the step
    softplus(0) = ln 2, at which even the slowest state halves with each frame; mamba-ssm's own values, kept
    by "mamba", spread the steps over 0.001 … 0.1, at which that state lasts for ten to a thousand frames.
    """
    if init not in INITS:
        raise ValueError(f"unknown initial values {init!r}; known: {', '.join(INITS)}")
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            if name.endswith("out_proj"):
                nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5))
                with torch.no_grad():
                    module.weight /= 2
            else:
                nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None and (init == "released" or not name.endswith("dt_proj")):
                nn.init.zeros_(module.bias)


def checked(flow: Tensor, channels: int) -> Tensor:
    """The flow as it is; ValueError where it is not (batch, channels, frames)."""
    if flow.dim() != 3 or flow.shape[1] != channels or flow.shape[2] == 0:
        raise ValueError(f"flow must have shape (batch, {channels}, frames ≥ 1), not {tuple(flow.shape)}")
    return flow
