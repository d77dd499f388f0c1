"""ME-TST (Sec. III-A, Fig. 2b): frames in, a score and an emotion for each frame out, by Mamba blocks."""

from metst_lib.events import EMOTIONS
from metst_lib.models.layers import TwoTasks, drop_rates
from metst_lib.models.mixers import blocks


class METST(TwoTasks):
    """ME-TST (Fig. 2b): a stem, then a branch for spotting and one for recognition, then a head for each.

    Args:
        in_channels: C1, flow channels.
        dim: C, width.
        depth: layers in each branch.
        d_state: N, state size of the scan.
        n_emotions: emotions without neutral.
        shared_branches: one branch feeds both heads, as in the released network and its weights: of 2024,
            and with dim=128 of 2025.
        drop_path: chance of leaving a block out in training, see `layers.drop_rates`.
        init: "mamba" or "released", see `layers.initialise`.
        mixer: what mixes the frames, by its name in `mixers.MIXERS`; inside: what else it takes, such as
            backend and recompute of the scan (see `mixers.blocks`).
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
        mixer: str = "mamba",
        **inside,
    ):
        def branch():
            return blocks(dim, drop_rates(drop_path, depth), mixer, d_state, **inside)

        super().__init__(
            in_channels, dim, branch, dim, n_emotions, shared_branches, init, mixer == "attention"
        )
