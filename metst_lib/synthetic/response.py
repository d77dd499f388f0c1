"""How the flow of a face's regions answers to Action Units, measured on the rendered set.

What was measured lies beside this module (`response_5.csv`, `response_18.csv`), all by channel: the gains of
each Action Unit on the image's left and right half of the face; their spread from action to action; the
covariance of the noise between channels, and that of the drift's speed. How it is taken from the rendered
set's flow and truth stands with the tests (`tests/synthetic/measuring.py`, which writes the files anew);
`signals` makes flow of it.

Glossary: C channels (region × x, y); U Action Units.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import rois
from metst_lib._files import digest
from metst_lib.synthetic.bumps import ACTION_UNITS
from metst_lib.synthetic.script import Action

UNITS = tuple(ACTION_UNITS)
#: Halves of the image, in the order of `Response.gains`.
SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class Response:
    """How the channels of a set of regions answer to a face, in px of the face crop.

    gains (2, U, C): flow at the apex of an action of amplitude 1, for each half of the image and each of
    `UNITS`; units that only ever act together share the sum. spread (C,): standard deviation of an action's
    answer at amplitude 1. noise (C, C): covariance of the frames' noise. drift (C, C): covariance of the
    speed with which the head's motion carries the channels off, (px/s)².
    """

    roi_set: str
    gains: np.ndarray
    spread: np.ndarray
    noise: np.ndarray
    drift: np.ndarray

    def numbers(self) -> np.ndarray:
        """All numbers as a table, one row a channel, in the order of `columns`."""
        gains = self.gains.reshape(-1, len(self.spread)).T
        return np.hstack([gains, self.spread[:, None], self.noise, self.drift])

    @classmethod
    def load(cls, path: str | Path, roi_set: str) -> "Response":
        """Read such a table. ValueError naming the file where channels or columns are others."""
        table, names = pd.read_csv(path, index_col="channel"), rois.channel_names(roi_set)
        if list(table.index) != names or list(table) != columns(roi_set):
            raise ValueError(f"{path} is no response of roi_set {roi_set!r}: other channels or columns")
        ends = np.cumsum([2 * len(UNITS), 1, len(names)])
        gains, spread, noise, drift = np.split(table.to_numpy(), ends, axis=1)
        return cls(roi_set, gains.T.reshape(2, len(UNITS), -1), spread[:, 0], noise, drift)

    @property
    def key(self) -> str:
        """Short hash of all numbers."""
        return digest(self.roi_set, *np.round(self.numbers().T, 6).tolist())


def columns(roi_set: str) -> list[str]:
    """Names of a response's columns as they are stored."""
    gains = [f"AU{unit} {side}" for side in SIDES for unit in UNITS]
    pairs = [f"{what} × {name}" for what in ("noise", "drift") for name in rois.channel_names(roi_set)]
    return [*gains, "spread", *pairs]


@lru_cache(maxsize=2)
def response(roi_set: str = "5") -> Response:
    """The response measured on the rendered set (8 subjects × 2 videos × 30 s, flow of the demo preset)."""
    rois.roi_set(roi_set)  # the name is known
    return Response.load(Path(__file__).with_name(f"response_{roi_set}.csv"), roi_set)


def gain(gains: np.ndarray, action: Action) -> np.ndarray:
    """Flow (C,) at the action's apex for amplitude 1, from gains (2, U, C)."""
    units = [UNITS.index(unit) for unit in action.action_units]
    return np.tensordot(action.halves, gains[:, units].sum(axis=1), axes=1)
