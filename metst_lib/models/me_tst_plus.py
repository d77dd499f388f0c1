"""ME-TST+ (Sec. III-B, Fig. 3): branches with a fast and a slow path, joined by lateral connections."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.events import EMOTIONS
from metst_lib.models.layers import ConvNorm, TwoTasks, drop_rates
from metst_lib.models.mixers import blocks

#: How the network is read: from the authors' code of July 2025, or from the paper alone.
READINGS = ("released", "paper")


class METSTPlus(TwoTasks):
    """ME-TST+ (Fig. 3): a stem, then for each task a SlowFast branch of its own, then its head.

    At the default sizes this is the authors' released network: with equal weights, equal scores and logits.
    Its files hold 16,671,750 parameters, 18,432 of them in norms that nothing ever uses; those are left out
    here. It stops at an odd T; this one repeats the last frame and cuts the result back.

    Args:
        in_channels: C1, flow channels.
        dim: C, width of the fast path; the slow path is 2C wide, the heads see C + 2C.
        n_blocks: blocks in each path, with a lateral connection after each but the last.
        depth: layers in a block.
        d_state, n_emotions, init, mixer, inside: as for `METST`.
        shared_branches: one branch feeds both heads, as in the authors' BoostingVRME.
        drop_path: as for `METST`, but the chances rise anew within each block.
        reading: "released", or "paper": what we had made of the paper's text before the code was known (see
            `SlowFast`).
        slow_stride: the slow path sees every so many-th frame; 1 gives both paths one speed, at equal size.
    """

    def __init__(
        self,
        in_channels: int = 36,
        dim: int = 128,
        n_blocks: int = 3,
        depth: int = 4,
        d_state: int = 64,
        n_emotions: int = len(EMOTIONS),
        shared_branches: bool = False,
        drop_path: float = 0.2,
        init: str = "mamba",
        reading: str = "released",
        slow_stride: int = 2,
        mixer: str = "mamba",
        **inside,
    ):
        inside |= {"mixer": mixer, "d_state": d_state}

        def branch():
            return SlowFast(dim, n_blocks, depth, drop_path, reading, slow_stride, **inside)

        places = mixer == "attention"
        super().__init__(in_channels, dim, branch, 3 * dim, n_emotions, shared_branches, init, places)


class SlowFast(nn.Module):
    """One branch of ME-TST+ (Fig. 3c): a fast path at every frame, a slow and wider one at every second.

    Between blocks the slow path takes in what the fast one has seen: slow ← slow + Conv(fast). Both paths
    are joined at the end, the slow one brought back to every frame.

    The paper leaves much of this open. reading="released" is the authors' code: every convolution has a
    kernel of 3, batch normalisation and ReLU; a lateral connection after each block but the last; each slow
    frame counts twice on the way back, and stands before the fast one. reading="paper": bare convolutions,
    those of the lateral connections with a kernel of 5; one after each block; linear interpolation; fast
    before slow; the chance of a layer being dropped rises through all blocks.

    Args as for `METSTPlus`; inside: those of `mixers.blocks`.
    """

    def __init__(
        self,
        dim: int,
        n_blocks: int,
        depth: int,
        drop_path: float,
        reading: str = "released",
        slow_stride: int = 2,
        **inside,
    ):
        super().__init__()
        if reading not in READINGS:
            raise ValueError(f"unknown reading {reading!r} of ME-TST+; known: {', '.join(READINGS)}")
        released = reading == "released"
        rates = [drop_rates(drop_path, depth)] * n_blocks
        if not released:
            even = torch.linspace(0, drop_path, n_blocks * depth).tolist()
            rates = [even[i : i + depth] for i in range(0, len(even), depth)]
        how = {"stride": slow_stride, "bare": not released}
        self.stride = slow_stride
        self.to_slow = ConvNorm(dim, 2 * dim, kernel_size=3, **how)
        self.fast, self.slow = (
            nn.ModuleList(blocks(width, block, first=i * depth, **inside) for i, block in enumerate(rates))
            for width in (dim, 2 * dim)
        )
        self.lateral = nn.ModuleList(
            ConvNorm(dim, 2 * dim, kernel_size=3 if released else 5, **how)
            for _ in range(n_blocks - released)
        )
        self.join = Join(reading, slow_stride)

    def forward(self, x: Tensor) -> Tensor:
        """x (b, T, C) -> (b, T, 3C). An odd T is made even by repeating the last frame, then cut back."""
        frames = x.shape[1]
        if missing := -frames % self.stride:
            x = torch.cat([x, x[:, -1:].expand(-1, missing, -1)], dim=1)
        fast, slow = x, self.to_slow(x)  # (b, T, C), (b, T/2, 2C)
        for i, (fast_block, slow_block) in enumerate(zip(self.fast, self.slow, strict=True)):
            fast, slow = fast_block(fast), slow_block(slow)
            if i < len(self.lateral):
                slow = slow + self.lateral[i](fast)
        return self.join(fast, slow)[:, :frames]


class Join(nn.Module):
    """The slow path at the fast one's frame rate, and the fast one."""

    def __init__(self, reading: str, stride: int = 2):
        super().__init__()
        self.reading, self.stride = reading, stride

    def forward(self, fast: Tensor, slow: Tensor) -> Tensor:
        """(b, T, C) and (b, T/2, 2C) -> (b, T, 3C)."""
        if self.reading == "released":
            return torch.cat([slow.repeat_interleave(self.stride, dim=1), fast], dim=2)
        slow = F.interpolate(slow.mT, scale_factor=self.stride, mode="linear").mT
        return torch.cat([fast, slow], dim=2)
