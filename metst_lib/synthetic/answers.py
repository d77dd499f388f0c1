"""What `flow` would read of a face that moves, reckoned from its geometry: the study set's signals.

An action's displacement field, as `face` would draw it in the subject's manner, is pooled over each region
as `flow.motion.pool` pools, the nose's core subtracted. Optical flow sees only a part of that
(`attenuation`), which is what the first edition's measured gains (`response`) say of the same geometry.

Glossary: A actions; C channels (region × x, y); px are those of the 320-px face crop.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from metst_lib import rois
from metst_lib.synthetic.bumps import Bumps
from metst_lib.synthetic.response import gain, response
from metst_lib.synthetic.script import CENTRAL_UNITS, RECIPES, Action, write_script
from metst_lib.synthetic.shape import Shape

#: Every so many-th pixel of a region, across and down, stands for the rest: fields are smooth.
_STEP = 2
#: Measured answers of the rendered set's 88 micro-expressions over what the gains' attenuation says: a ridge
#: regression shrinks gains. (Of 29 macro-expressions: 1.11.)
_SHRUNK = 1.09
#: And by how much more the lower lip answers: few of the rendered set's actions move it, which shrinks its
#: gains most. Of eight rendered study videos; their other regions answer as told, to within 12 %.
_LOWER_LIP = 1.6
#: Region offsets, in px, at which an answer's slope is taken.
OFF = 4.0


class Sight:
    """The regions of a set on one face, as points at which fields are read.

    offset: by how many px (x, y) all regions lie off their place, as landmarks do that were found wrong.
    """

    def __init__(self, shape: Shape, roi_set: str, offset: tuple[float, float] = (0.0, 0.0)) -> None:
        layout, corner = shape.layout()
        chosen = rois.roi_set(roi_set)
        rects = [layout.regions[roi.number - 1] for roi in chosen] + [layout.nose_core]
        self._fractions = [*(roi.q for roi in chosen), rois.NOSE_Q]
        grids = [np.mgrid[r.left : r.right : _STEP, r.top : r.bottom : _STEP].reshape(2, -1).T for r in rects]
        self.ends = np.cumsum([len(grid) for grid in grids])[:-1]
        self.scale = shape.crop_scale
        #: All regions' points and the nose's, (n, 2) in image px.
        self.points = (np.concatenate(grids) + offset) / self.scale + corner

    def read(self, field: np.ndarray) -> np.ndarray:
        """The channels (C,) in px of a displacement at `points` (n, 2) in image px."""
        parts = np.split(field * self.scale, self.ends)
        pooled = np.array([_pool(part, q) for part, q in zip(parts, self._fractions, strict=True)])
        return (pooled[:-1] - pooled[-1]).reshape(-1)


def _pool(flow: np.ndarray, q: float) -> np.ndarray:
    """As `flow.motion.pool`."""
    first = int(len(flow) * (1 - q))
    top = (flow * flow).sum(1).argpartition(first)[first:]
    return flow[top].mean(0)


def geometric(shape: Shape, actions: Sequence[Action], sight: Sight) -> np.ndarray:
    """The actions' pooled displacement at their apex, (A, C)."""
    found = [sight.read(shape.field(action).at(sight.points)) for action in actions]
    return np.array(found).reshape(len(found), 2 * len(sight.ends))


@lru_cache(maxsize=1)
def attenuation() -> np.ndarray:
    """The share of each region's geometric answer that flow measures, (C,) for the 18 regions, x and y alike.

    Slope through 0 of the measured gains on what geometry says of the same expressions, both of the first
    edition's eight faces, whose mean the gains are; and what the regression took off them.
    """
    sides = [(recipe, side) for recipe in RECIPES for side in ("", "L", "R")]
    shown = [
        Action("micro", 0, 1, 2, 1.0, recipe.action_units, recipe, side)
        for recipe, side in sides
        if not side or not CENTRAL_UNITS & {*recipe.action_units}
    ]
    shapes = [Shape(write_script(0, subject, 0).look) for subject in range(8)]
    reckoned = np.mean([geometric(shape, shown, Sight(shape, "18")) for shape in shapes], axis=0)
    measured = np.array([gain(response("18").gains, action) for action in shown])
    both, own = ((reckoned * other).sum(0).reshape(-1, 2).sum(1) for other in (measured, reckoned))
    shares = both / own * _SHRUNK
    shares[[roi.name for roi in rois.ROIS].index("lower lip")] *= _LOWER_LIP
    return np.repeat(shares, 2)


def swayed(shape: Shape, sight: Sight, waves: dict[str, np.ndarray]) -> np.ndarray:
    """What the head's motion leaves in the channels once the nose's is subtracted, (T, C) in px.

    waves: each of the head's channels (T,), see `script.Wave`. What turns or grows does so around the nose;
    what stands out, the nose, moves against the rest by yaw and pitch, as `face.Film` has it.
    """
    ridge = Bumps(shape.landmarks[30], [1.0, 0.0], [1.5 * shape.g]).at(sight.points)[:, 0]
    parts = [sight.points[:, 0], sight.points[:, 1], ridge]
    across, down, ridge = (np.array([part.mean() for part in np.split(p, sight.ends)]) for p in parts)
    across, down, ridge = (v[:-1] - v[-1] for v in (across, down, ridge))
    path = np.empty((len(waves["roll"]), 2 * len(across)))
    path[:, 0::2] = np.outer(waves["zoom"], across) - np.outer(waves["roll"], down)
    path[:, 0::2] += np.outer(waves["yaw"], ridge)
    path[:, 1::2] = np.outer(waves["zoom"], down) + np.outer(waves["roll"], across)
    path[:, 1::2] += np.outer(waves["pitch"], ridge)
    return path * sight.scale
