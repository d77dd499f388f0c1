"""The comparators: attention in place of Mamba; one answer per window in place of one per frame (Fig. 2a)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metst_lib.events import CLASSES, EMOTIONS
from metst_lib.models.layers import checked, initialise
from metst_lib.models.me_tst import METST


class Transformer(METST):
    """ME-TST with attention in place of Mamba: equal stem, width, depth, residuals and heads.

    A Mamba layer both mixes frames and works on channels, so it is held against the pair that does so in a
    Transformer, attention and a perceptron of four times the width: 50,240 parameters against 51,328 a block
    at the full size.

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
        size = {"n_emotions": n_emotions, "drop_path": drop_path}
        super().__init__(in_channels, dim, depth, **size, mixer="attention", heads=heads)


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


class WindowClassifier(nn.Module):
    """The earlier way (Fig. 2a): a small convolutional network that gives each window one answer.

    Three times convolution, batch normalisation, ReLU and pooling by two; the mean over what is left of
    time; one head for each task. The answer is repeated for every frame of the window, so that it is trained,
    stitched and scored like the others. It is trained on `hard_targets`: the window's one label on each of
    its frames. Its limits are the point: it cannot say where in the window a micro-expression lies, so its
    intervals are no finer than the windows' overlap.

    Args: in_channels and n_emotions as for `METST`; dim: width of the first convolution, doubled by each.
    """

    #: What it is trained on, in place of the frames' own labels.
    relabel = staticmethod(hard_targets)

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
        features = self.features(checked(flow, self.in_channels).transpose(1, 2))
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
