"""The study set's flow without pixels: what `flow` would measure of a script's face, both region sets alike.

The model is that of `signals`, a path of each region in px of the 320-px face crop,

    p(f) = Σ actions  envelope(f) · answer  +  head(f)  +  light(f)  +  noise(f),

read in windows that start at 0, but geometry stands in for the average face: an action's answer is that of
this subject's shape and manner (`answers`), the head's motion leaves what it leaves on this face, and a
window whose landmarks were found a few px off reads its regions there: values gain
error · Σ envelope · (change of the answer per px).

**What is measured**: attenuation, spread and noise, see `response`; what the head leaves (`SWAY`) and what
light does (`LIGHT`), on the rendered set.

Glossary: T frames of a video; W windows; k frames of a window; C channels (region × x, y); A actions.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from metst_lib import rois, windows
from metst_lib.events import window_starts
from metst_lib.flow import RoiFlow
from metst_lib.synthetic.answers import OFF, Sight, attenuation, geometric, swayed
from metst_lib.synthetic.difficulty import Difficulty
from metst_lib.synthetic.response import response
from metst_lib.synthetic.script import Script, envelope
from metst_lib.synthetic.shape import Shape, waves
from metst_lib.synthetic.signals import MODE, root

#: Measured drift of the rendered set at rest over that of the geometry.
SWAY = 1.1
#: Slow error of the flow at rest, over a frame's noise, and the seconds in which it forgets itself: on eight
#: rendered videos what is left of calm windows grows from .056 px after a frame to .091 px after a second.
LINGERS, FORGETS = 1.6, 1.0
#: What a change of the light by 1, even or across, moves each channel, px: standard deviation over channels.
LIGHT = {"light": 0.9, "light_x": 0.4}


def roi_flow(script: Script, what: Difficulty, window: int = 30, without: Collection[str] = ()) -> RoiFlow:
    """The flow of a study script's 18 regions, in windows as `flow.extract` gives them.

    without: kinds of actions that the face does not show; all else stays as it was to the last digit.
    ValueError for a video shorter than a window.
    """
    starts = window_starts(script.n_frames, window)
    moved = _moved(script, without)
    rng = _rng(script, 1)
    still = swayed(moved.shape, moved.sight, waves(script)) * SWAY
    noise = rng.standard_normal(still.shape) + LINGERS * _lingering(still.shape, script.fps, rng)
    still += noise @ root(response("18").noise).T * what.noise
    for channel, size in LIGHT.items():
        still += np.outer(waves(script)[channel], size * rng.standard_normal(still.shape[1]))
    values = _cut(still + moved.path, starts, window)
    errors = _errors(script, what, starts)
    for axis, change in enumerate(moved.changes):
        values += np.repeat(errors[:, :, axis], 2, axis=1)[:, :, None] * _cut(change, starts, window)
    flags, settings = np.zeros(len(starts), bool), {"window": window, "difficulty": what.key}
    return RoiFlow(values, starts, flags, script.n_frames, script.fps, "18", MODE, settings)


def narrowed(flow: RoiFlow, roi_set: str) -> RoiFlow:
    """The part of the 18 regions' flow that is a set's, as one face gives both. ValueError for an unknown
    set."""
    numbers = [rois.ROIS.index(roi) for roi in rois.roi_set(roi_set)]
    own = [2 * n + axis for n in numbers for axis in (0, 1)]
    return replace(flow, values=flow.values[:, own], roi_set=roi_set)


@dataclass(frozen=True, eq=False)
class _Moved:
    """What the actions do: path (T, C), and changes, by how much that differs for each px (x, y) by which
    the regions lie off."""

    shape: Shape
    sight: Sight
    path: np.ndarray
    changes: tuple[np.ndarray, np.ndarray]


def _moved(script: Script, without: Collection[str]) -> _Moved:
    shape = Shape(script.look, script.manner)
    sights = [Sight(shape, "18", offset) for offset in ((0.0, 0.0), (OFF, 0.0), (0.0, OFF))]
    answers = [geometric(shape, script.actions, sight) * attenuation() for sight in sights]
    amplitudes = np.array([action.amplitude for action in script.actions])
    spread = response("18").spread * _rng(script, 0).standard_normal(answers[0].shape)
    answers = [answers[0] + amplitudes[:, None] * spread, *((a - answers[0]) / OFF for a in answers[1:])]
    paths = [np.zeros((script.n_frames, answers[0].shape[1])) for _ in answers]
    for n, action in enumerate(script.actions):
        if action.kind not in without:
            here = slice(action.onset, action.offset + 1)
            course = envelope(action.moved(-action.onset), action.offset - action.onset + 1)[:, None]
            for path, answer in zip(paths, answers, strict=True):
                path[here] += course * answer[n]
    return _Moved(shape, sights[0], paths[0], (paths[1], paths[2]))


def _errors(script: Script, what: Difficulty, starts: np.ndarray) -> np.ndarray:
    """By how many px (x, y) each window's regions lie off: the landmarks' slow drift, the same for all, and
    each region's jitter, (W, regions, 2)."""
    jitter = _rng(script, 2).standard_normal((len(starts), len(rois.ROIS), 2))
    errors = jitter * what.landmark_jitter * what.jitter
    for wave in script.wander:
        seconds = starts / script.fps
        drift = wave.amplitude * np.sin(2 * np.pi * (seconds / wave.period + wave.phase))
        errors[:, :, "xy".index(wave.channel)] += drift[:, None]
    return errors


def _lingering(shape: tuple[int, int], fps: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 1 along time, (T, C), each frame like the last but for a little."""
    kept = np.exp(-1 / (FORGETS * fps))
    steps = np.sqrt(1 - kept**2) * rng.standard_normal(shape)
    steps[0] = rng.standard_normal(shape[1])
    return lfilter([1.0], [1.0, -kept], steps, axis=0)


def _cut(path: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    """The windows (W, C, k) of a path (T, C), each 0 at its first frame."""
    return windows.cut(path, starts, window).transpose(0, 2, 1) - path[starts][:, :, None]


def _rng(script: Script, stream: int) -> np.random.Generator:
    seed, *key = script.key
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, 0, stream)))
