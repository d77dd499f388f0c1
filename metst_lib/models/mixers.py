"""What mixes the frames of a window inside a block: Mamba, or what it is held against, each by its name.

"mamba" sees the past only, as the paper's blocks do. "alternating" lets every second layer scan backwards in
time: an offline spotter may look ahead. "convolution" is a gated convolution over the frames around,
"past convolution" the same over those before. "attention" sees all frames at once.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.models.layers import Block
from metst_lib.ssm import Mamba, causal_conv

MIXERS = ("mamba", "alternating", "convolution", "past convolution", "attention")


def blocks(
    dim: int, rates: list[float], mixer: str = "mamba", d_state: int = 64, first: int = 0, **inside
) -> nn.Sequential:
    """A row of layers that mix frames in this way, one for each drop-path rate. (b, T, C) -> (b, T, C).

    A layer is a block; of attention it is two, with the perceptron that a Transformer has behind it. first:
    the layer's number in its path, where the path goes on: every second one scans backwards, or looks twice
    as far. d_state: of the scans; inside: what else a mixer takes: backend and recompute (`ssm.Mamba`),
    expand, heads. Attention knows no order of frames, see `layers.positions`.

    ValueError for an unknown mixer.
    """
    if mixer not in MIXERS:
        raise ValueError(f"unknown mixer {mixer!r}; known: {', '.join(MIXERS)}")
    row = []
    for layer, rate in enumerate(rates, start=first):
        row += [Block(dim, part, rate) for part in _layer(mixer, layer % 2 == 1, dim, d_state, **inside)]
    return nn.Sequential(*row)


def _layer(mixer: str, second: bool, dim: int, d_state: int, **inside) -> list[nn.Module]:
    if mixer == "attention":
        wide = {"expand": inside.pop("expand")} if "expand" in inside else {}
        return [Attention(dim, **inside), Perceptron(dim, **wide)]
    if "convolution" in mixer:
        return [GatedConvolution(dim, dilation=1 + second, past=mixer.startswith("past"), **inside)]
    return [(BackwardMamba if second and mixer == "alternating" else Mamba)(dim, d_state, **inside)]


class BackwardMamba(Mamba):
    """A Mamba layer that sees the future only: it scans from the last frame to the first."""

    def forward(self, x: Tensor) -> Tensor:
        """x (b, l, d_model) -> (b, l, d_model)."""
        return super().forward(x.flip(1)).flip(1)


class GatedConvolution(nn.Module):
    """Project, convolve each channel over nine frames, gate, project back: Mamba's layer without a scan.

    Frames beyond the window count as zero. Args: dilation: how many frames apart those nine lie; past: the
    ninth is the present one, so that no later one is seen, else the fifth; expand: channels in between, as a
    multiple of the width.
    """

    TAPS = 9

    def __init__(self, dim: int, dilation: int = 1, past: bool = False, expand: float = 2):
        super().__init__()
        channels = round(expand * dim)
        self.dilation, self.ahead = dilation, 0 if past else self.TAPS // 2 * dilation
        self.in_proj = nn.Linear(dim, 2 * channels)
        self.conv1d = nn.Conv1d(channels, channels, self.TAPS, groups=channels)
        self.out_proj = nn.Linear(channels, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, C) -> (b, T, C)."""
        u, z = self.in_proj(x).chunk(2, dim=2)
        u = causal_conv(u, self.conv1d.weight, self.conv1d.bias, self.dilation, self.ahead)
        return self.out_proj(F.silu(u) * F.silu(z))


class Attention(nn.Module):
    """Self-attention over the frames of a window, all with all, in any order. (b, T, C) -> (b, T, C)."""

    def __init__(self, dim: int, heads: int = 4):
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
    """The second half of a Transformer's block: each frame by itself, `expand` times as wide in between."""

    def __init__(self, dim: int, expand: float = 4):
        super().__init__()
        self.in_proj = nn.Linear(dim, round(expand * dim))
        self.out_proj = nn.Linear(round(expand * dim), dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(F.gelu(self.in_proj(x)))
