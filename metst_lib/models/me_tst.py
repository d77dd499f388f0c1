"""ME-TST (Sec. III-A, Fig. 2b): frames in, a score and an emotion for each frame out, by Mamba blocks."""

from metst_lib.events import EMOTIONS
from metst_lib.models.layers import TwoTasks, drop_rates, mamba_blocks


class METST(TwoTasks):
    """ME-TST (Fig. 2b): a stem, then a branch for spotting and one for recognition, then a head for each.

    Args:
        in_channels: C1, flow channels.
        dim: C, width.
        depth: Mamba blocks in each branch.
        d_state: N, state size of the scan.
        n_emotions: emotions without neutral.
        shared_branches: one branch feeds both heads, as in the released network and its weights: of 2024,
            and with dim=128 of 2025.
        drop_path: chance of leaving a block out in training, see `layers.drop_rates`.
        init: "mamba" or "released", see `layers.initialise`.
        scan: backend and recompute, as in `ssm.selective_scan`.
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
        init: str = "mamba",
        **scan,
    ):
        def branch():
            return mamba_blocks(dim, d_state, drop_rates(drop_path, depth), **scan)

        super().__init__(in_channels, dim, branch, dim, n_emotions, shared_branches, init)
