"""ME-TST+ (Sec. III-B, Fig. 3): branches with a fast and a slow path, joined by lateral connections."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.events import EMOTIONS
from metst_lib.models.layers import TimeConv, TwoTasks, drop_rates, mamba_blocks


class METSTPlus(TwoTasks):
    """ME-TST+ (Fig. 3): a stem, then for each task a SlowFast branch of its own, then its head.

    Args:
        in_channels: C1, flow channels.
        dim: C, width of the fast path; the slow path is 2C wide, the heads see C + 2C.
        n_blocks: Mamba blocks in each path, each followed by a lateral connection.
        depth: Mamba layers in a block.
        d_state, n_emotions, drop_path, scan: as for `METST`; the drop rate rises along all
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
        **scan,
    ):
        def branch():
            return SlowFast(dim, n_blocks, depth, d_state, drop_path, **scan)

        super().__init__(in_channels, dim, branch, 3 * dim, n_emotions)


class SlowFast(nn.Module):
    """One branch of ME-TST+ (Fig. 3c): a fast path at every frame, a slow and wider one at every second.

    After each block the slow path takes in what the fast one has seen: slow ← slow + Conv(fast). Both paths
    are joined at the end, the slow one brought back to every frame. The paper leaves open the kernels (ours:
    3 into the slow path, 5 for the lateral connections, stride 2) and the way back (ours: linear).
    """

    def __init__(self, dim: int, n_blocks: int, depth: int, d_state: int, drop_path: float, **scan):
        super().__init__()
        rates = drop_rates(drop_path, n_blocks * depth)
        blocks = [rates[i : i + depth] for i in range(0, len(rates), depth)]
        self.to_slow = TimeConv(dim, 2 * dim, kernel_size=3, stride=2, padding=1)
        self.fast = nn.ModuleList(mamba_blocks(dim, d_state, block, **scan) for block in blocks)
        self.slow = nn.ModuleList(mamba_blocks(2 * dim, d_state, block, **scan) for block in blocks)
        self.lateral = nn.ModuleList(
            TimeConv(dim, 2 * dim, kernel_size=5, stride=2, padding=2) for _ in blocks
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
