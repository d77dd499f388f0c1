"""The shape of one subject's face at rest, without pixels: landmarks, regions, displacement fields.

`face` paints it, `signals` and `answers` reckon with it.

Glossary: g half the distance of the inner eye corners; px are those of the 320-px face crop.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from metst_lib.rois import CROP, ROIS, Layout, resolve
from metst_lib.synthetic.bumps import ACTION_UNITS, MIRROR, WARPS, Bumps, followed, laid
from metst_lib.synthetic.script import Action, Habit, Look, Script, envelope

#: Side of a frame, in image px.
SIZE = 480
_PHOTO = 512  # side of the base photo


class Shape:
    """One subject at rest: landmarks (68, 2), the eyes' midpoint and g in image px; the subject's manner.

    `crop_scale` is 320 / (9 g): image px × crop_scale = px of the face crop.
    """

    def __init__(self, look: Look, manner: Sequence[Habit] = ()) -> None:
        self.look, self.manner = look, {habit.unit: habit for habit in manner}
        points = base_points(look.mirrored)
        self._base, g0 = _eyes(points)
        self._centre = np.array([SIZE / 2, SIZE / 2 - look.crop_px / 9])  # of the eyes: the crop in mid-frame
        scale = look.crop_px / (9 * g0)
        parts = [(part, amount) for name, amount in look.warps for part in WARPS[name]]
        for _ in range(2):  # the warps change g in proportion: the second round has the crop's width right
            rough = (points - self._base) * scale + self._centre
            self._warp = laid(parts, rough, scale * g0)
            self.landmarks = followed(rough, self._warp.at)
            self.eyes, self.g = _eyes(self.landmarks)
            self._scale, scale = scale, scale * look.crop_px / (9 * self.g)
        self.crop_scale = CROP / (9 * self.g)

    def source(self, at: np.ndarray) -> np.ndarray:
        """The point of the base photo seen at rows and columns `at` (n,): (n, n, 2)."""
        grid = np.stack(np.meshgrid(at, at), -1)
        return (grid - self._warp.grid(at) - self._centre) / self._scale + self._base

    def field(self, action: Action) -> Bumps:
        """The action's displacement field at its apex, in image px, in the subject's manner.

        Its peak over the 68 landmarks and the Action Units' own centres is action.amplitude px of the crop:
        of a manner's gains only the shares of units that act together are seen.
        """
        parts = []
        for unit in action.action_units:
            habit = self.manner.get(unit, Habit(unit, 0.0, 0.0, 1.0, 1.0))
            for part in ACTION_UNITS[unit]:
                moved = part._replace(x=part.x + habit.x, y=part.y + habit.y, width=part.width * habit.width)
                parts.append((moved, habit.gain))
        bumps = laid(parts, self.landmarks, self.g, *action.halves)
        peak = np.linalg.norm(bumps.at(np.concatenate([self.landmarks, bumps.centres])), axis=-1).max()
        return bumps.scaled(action.amplitude / self.crop_scale / peak)

    def layout(self) -> tuple[Layout, np.ndarray]:
        """Where the 18 regions lie on the face crop, and the crop's corner in image px."""
        corner = self.eyes - np.array([4.5, 3.5]) * self.g
        return resolve(ROIS, ((self.landmarks - corner) * self.crop_scale).astype(int)), corner

    def regions(self) -> list[np.ndarray]:
        """The pixels of the 18 regions on this face, each (n, 2) as x, y in image px."""
        layout, corner = self.layout()
        pixels = [np.mgrid[r.left : r.right, r.top : r.bottom].reshape(2, -1).T for r in layout.regions]
        return [points / self.crop_scale + corner for points in pixels]


#: Channels of the head's motion and of the light, see `script.Wave` and `script.Change`.
CHANNELS = ("x", "y", "roll", "zoom", "yaw", "pitch", "light", "light_x")


def waves(script: Script) -> dict[str, np.ndarray]:
    """The head's motion and the light by channel, (T,) each: the slow waves and what passes."""
    seconds = np.arange(script.n_frames) / script.fps
    found = {channel: np.zeros(script.n_frames) for channel in CHANNELS}
    for wave in script.motion:
        found[wave.channel] += wave.amplitude * np.sin(2 * np.pi * (seconds / wave.period + wave.phase))
    for change in script.changes:
        course = envelope(change, script.n_frames)
        for channel, size in change.sizes:
            found[channel] += size * course
    return found


@lru_cache(maxsize=2)
def base_points(mirrored: bool) -> np.ndarray:
    """The landmarks (68, 2) of the base photo."""
    with (files(__package__) / "astronaut_landmarks_68.csv").open() as lines:
        points = np.loadtxt(lines, delimiter=",", skiprows=1)
    return points[MIRROR] * [-1, 1] + [_PHOTO - 1, 0] if mirrored else points


def _eyes(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Midpoint of the inner eye corners, and g."""
    return (landmarks[39] + landmarks[42]) / 2, float(landmarks[42, 0] - landmarks[39, 0]) / 2
