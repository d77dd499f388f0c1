"""ME-TST+ (Sec. III-B, Fig. 3): branches with a fast and a slow path, joined by lateral connections."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.events import EMOTIONS
from metst_lib.models.layers import ConvNorm, TwoTasks, drop_rates, mamba_blocks

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
        n_blocks: Mamba blocks in each path, with a lateral connection after each but the last.
        depth: Mamba layers in a block.
        d_state, n_emotions, init, scan: as for `METST`.
        shared_branches: one branch feeds both heads, as in the authors' BoostingVRME.
        drop_path: as for `METST`, but the chances rise anew within each block.
        reading: "released", or "paper": what we had made of the paper's text before the code was known (see
            `SlowFast`).
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
        **scan,
    ):
        def branch():
            return SlowFast(dim, n_blocks, depth, d_state, drop_path, reading, **scan)

        super().__init__(in_channels, dim, branch, 3 * dim, n_emotions, shared_branches, init)


class SlowFast(nn.Module):
    """One branch of ME-TST+ (Fig. 3c): a fast path at every frame, a slow and wider one at every second.

    Between blocks the slow path takes in what the fast one has seen: slow ← slow + Conv(fast). Both paths
    are joined at the end, the slow one brought back to every frame.

    The paper leaves much of this open. reading="released" is the authors' code: every convolution has a
    kernel of 3, batch normalisation and ReLU; a lateral connection after each block but the last; each slow
    frame counts twice on the way back, and stands before the fast one. reading="paper": bare convolutions,
    those of the lateral connections with a kernel of 5; one after each block; linear interpolation; fast
    before slow; the chance of a layer being dropped rises through all blocks.
    """

    def __init__(
        self, dim: int, n_blocks: int, depth: int, d_state: int, drop_path: float, reading: str, **scan
    ):
        super().__init__()
        if reading not in READINGS:
            raise ValueError(f"unknown reading {reading!r} of ME-TST+; known: {', '.join(READINGS)}")
        released = reading == "released"
        rates = [drop_rates(drop_path, depth)] * n_blocks
        if not released:
            even = torch.linspace(0, drop_path, n_blocks * depth).tolist()
            rates = [even[i : i + depth] for i in range(0, len(even), depth)]
        self.to_slow = ConvNorm(dim, 2 * dim, kernel_size=3, stride=2, bare=not released)
        self.fast = nn.ModuleList(mamba_blocks(dim, d_state, block, **scan) for block in rates)
        self.slow = nn.ModuleList(mamba_blocks(2 * dim, d_state, block, **scan) for block in rates)
        self.lateral = nn.ModuleList(
            ConvNorm(dim, 2 * dim, kernel_size=3 if released else 5, stride=2, bare=not released)
            for _ in range(n_blocks - released)
        )
        self.join = Join(reading)

    def forward(self, x: Tensor) -> Tensor:
        """x (b, T, C) -> (b, T, 3C). An odd T is made even by repeating the last frame, then cut back."""
        frames = x.shape[1]
        if frames % 2:
            x = torch.cat([x, x[:, -1:]], dim=1)
        fast, slow = x, self.to_slow(x)  # (b, T, C), (b, T/2, 2C)
        for i, (fast_block, slow_block) in enumerate(zip(self.fast, self.slow, strict=True)):
            fast, slow = fast_block(fast), slow_block(slow)
            if i < len(self.lateral):
                slow = slow + self.lateral[i](fast)
        return self.join(fast, slow)[:, :frames]


class Join(nn.Module):
    """The slow path at twice its frame rate, and the fast one."""

    def __init__(self, reading: str):
        super().__init__()
        self.reading = reading

    def forward(self, fast: Tensor, slow: Tensor) -> Tensor:
        """(b, T, C) and (b, T/2, 2C) -> (b, T, 3C)."""
        if self.reading == "released":
            return torch.cat([slow.repeat_interleave(2, dim=1), fast], dim=2)
        slow = F.interpolate(slow.transpose(1, 2), scale_factor=2, mode="linear").transpose(1, 2)
        return torch.cat([fast, slow], dim=2)
