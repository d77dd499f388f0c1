"""ROI flow without pixels: the flow of a face that acts out given annotations, at the size of a real set.

Where `face` renders frames from which `flow` then measures, this module says at once what `flow` would
measure: Action Units move regions by measured gains, and what is left of the head's motion, blinks and noise
come on top. Fed with the annotations and lengths of a real set's videos (paper, Sec. IV-A) it gives a
full-size rehearsal of training and scoring with no face in it.

The model is a path. With p(f) where a region is at frame f, in px of the 320-px face crop,

    p(f) = Σ actions  envelope(f) · amplitude · (gain + spread)  +  drift(f)  +  noise(f),

a window that starts at frame s reads p(s), …, p(s + k − 1) less p(s): as in `flow`, 0 at its first frame.
Frames that two windows share have the same noise in both.

**What is measured**: gains, spread, noise and drift, see `response`. On the rendered set micro- and
macro-expressions share their gains, and flow at rest is normally distributed; `compare` puts both
distributions side by side.

**What is not here**: the Action Units of the annotations. An expression acts out one of `script.RECIPES` of
its emotion (a macro-expression, which has none, any of them) at an amplitude from `script`'s limits, so what
distinguishes emotions is as clear as in the rendered set, and clearer than in a real one.

Glossary: T frames of a video; W windows; k frames of a window; C channels (region × x, y).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import rois, windows
from metst_lib.events import Event, Key, Video, window_starts
from metst_lib.flow import RoiFlow
from metst_lib.synthetic import script
from metst_lib.synthetic.response import Response, gain, response
from metst_lib.synthetic.script import RECIPES, Action, envelope
from metst_lib.synthetic.truth import read_actions

#: What `RoiFlow.mode` says of such flow.
MODE = "signals"


def roi_flow(
    video: Video,
    roi_set: str = "5",
    window: int = 50,
    seed: int = 0,
    *,
    blinks: bool = True,
    actions: Iterable[Action] | None = None,
    measured: Response | None = None,
) -> RoiFlow:
    """The ROI flow of a video that acts out its events, in windows as `flow.extract` gives them.

    blinks: add blinks every 2–6 s where no event is; off where the video's own blinks are labelled.
    actions: in place of those of `acted`. measured: in place of `response(roi_set)`. The result depends on
    the video's names, length and events and on the seed, not on other videos; both sets of regions see the
    same actions.

    ValueError for an unknown roi_set and, naming the video, for one shorter than a window.
    """
    measured = measured or response(roi_set)
    try:
        starts = window_starts(video.n_frames, window)
    except ValueError as error:
        raise ValueError(f"{video.subject} {video.name}: {error}") from None
    actions = acted(video, seed, blinks=blinks) if actions is None else actions
    path = _path(video, actions, measured, seed)
    values = np.empty((len(starts), path.shape[1], window), np.float32)
    np.subtract(windows.cut(path, starts, window).transpose(0, 2, 1), path[starts][:, :, None], out=values)
    flags, settings = np.zeros(len(starts), bool), {"window": window, "seed": seed, "response": measured.key}
    return RoiFlow(values, starts, flags, video.n_frames, video.fps, roi_set, MODE, settings)


def acted(video: Video, seed: int = 0, *, blinks: bool = True) -> list[Action]:
    """What the face does in a video: an action for each event, by onset, and blinks between them."""
    rng = _rng(video, seed, 0)
    actions = [_action(event, rng) for event in video.events if event.length >= 3]
    if blinks:
        actions += _blinks(video, rng)
    return sorted(actions, key=lambda action: action.onset)


def _action(event: Event, rng: np.random.Generator) -> Action:
    recipe, units = None, (script.BLINK_UNIT,)
    if event.kind != "blink":
        recipe = rng.choice([r for r in RECIPES if event.emotion in (None, r.emotion)])
        units = recipe.action_units
    one_sided = event.kind == "micro" and rng.random() < 1 / script.ONE_SIDED_IN
    two_sided = not one_sided or script.CENTRAL_UNITS & {*units}
    side = "" if two_sided else ("L", "R")[rng.integers(2)]
    apex = event.apex
    if apex is None or not event.onset < apex < event.offset:  # not labelled, or no course from rest to rest
        apex = event.onset + round(rng.uniform(*script.APEX_AT) * (event.offset - event.onset))
        apex = min(max(apex, event.onset + 1), event.offset - 1)
    balance = rng.uniform(-script.BALANCE, script.BALANCE)
    amplitude = rng.uniform(*script.PIXELS[event.kind])
    return Action(event.kind, event.onset, apex, event.offset, amplitude, units, recipe, side, balance)


def _blinks(video: Video, rng: np.random.Generator) -> list[Action]:
    """Blinks every 2–6 s; one that would meet an event waits until it is over."""
    fps, gap = video.fps, round(script.GAP_SECONDS * video.fps)
    found, onset = [], round(rng.uniform(0, script.BLINK_EVERY_SECONDS[0]) * fps)
    while True:
        last = max(2, round(rng.uniform(*script.LASTS["blink"]) * fps) - 1)
        for event in video.events:  # by onset
            if onset <= event.offset + gap and onset + last >= event.onset - gap:
                onset = event.offset + gap + 1
        if onset + last >= video.n_frames:
            return found
        found.append(_action(Event(onset, onset + last, kind="blink"), rng))
        onset += round(rng.uniform(*script.BLINK_EVERY_SECONDS) * fps)


def _path(video: Video, actions: Iterable[Action], measured: Response, seed: int) -> np.ndarray:
    """Where each channel is at each frame, (T, C) in px of the face crop."""
    n_frames, channels = video.n_frames, len(measured.spread)
    rng = _rng(video, seed, 1 + int(measured.roi_set))
    path = rng.standard_normal((n_frames, channels)) @ root(measured.noise).T
    path += _drift(n_frames, video.fps, channels, rng) @ root(measured.drift).T
    for action in actions:
        spread = measured.spread * rng.standard_normal(channels)
        answer = action.amplitude * (gain(measured.gains, action) + spread)
        course = envelope(action.moved(-action.onset), action.offset - action.onset + 1)
        path[action.onset : action.offset + 1] += course[:, None] * answer
    return path


def _drift(n_frames: int, fps: float, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Slow waves (T, channels), independent, of mean square speed 1 per second."""
    shares, limits = zip(*script.DRIFT_WAVES, strict=True)
    periods = np.stack([rng.uniform(*pair, channels) for pair in limits])  # (waves, channels)
    sizes = np.array(shares)[:, None] * rng.uniform(0.6, 1.0, periods.shape)
    speed = np.sqrt(np.mean((2 * np.pi * sizes / periods) ** 2 / 2, axis=1).sum())
    phases, seconds = rng.random(periods.shape), np.arange(n_frames)[:, None] / fps
    total = np.zeros((n_frames, channels))
    for size, period, phase in zip(sizes, periods, phases, strict=True):
        total += size * np.sin(2 * np.pi * (seconds / period + phase))
    return total / speed


def root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R Rᵀ = covariance (what rounding made negative counts as 0)."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


def _rng(video: Video, seed: int, stream: int) -> np.random.Generator:
    name = int(hashlib.sha256(json.dumps(video.key).encode()).hexdigest()[:15], 16)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(name, stream)))


def compare(flows: Mapping[Key, RoiFlow], truth: str | Path, seed: int = 0) -> pd.DataFrame:
    """The rendered set's measured flow beside signals of the same actions: a row for each value of a window.

    Columns: source ("measured" or "signals"), kind ("rest", "micro", "macro", "blink"), region, and length,
    that of the region's flow in px of the face crop: at an action's apex, in windows that start before its
    onset; at rest, at the last frame of windows that meet no action. flows and truth as in `measure`.
    """
    tables = []
    for key, measured in flows.items():
        actions = read_actions(truth, key)
        video = Video(*key, measured.fps, measured.n_frames, ())
        drawn = roi_flow(video, measured.roi_set, measured.window, seed, actions=actions)
        for source, flow in (("measured", measured), ("signals", drawn)):
            tables.append(_shown(flow, actions).assign(source=source))
    return pd.concat(tables, ignore_index=True)


def _shown(flow: RoiFlow, actions: Iterable[Action]) -> pd.DataFrame:
    names = [roi.name for roi in rois.roi_set(flow.roi_set)]
    last = flow.starts + flow.window - 1
    calm = np.ones(len(flow.starts), bool)
    parts = []
    for action in actions:
        calm &= (last < action.onset) | (flow.starts > action.offset)
        for w in np.flatnonzero((flow.starts <= action.onset) & (last >= action.apex)):
            parts.append((action.kind, flow.values[w, :, action.apex - flow.starts[w]]))
    parts += [("rest", flow.values[w, :, -1]) for w in np.flatnonzero(calm)]
    rows = [
        (kind, name, length)
        for kind, value in parts
        for name, length in zip(names, np.hypot(value[0::2], value[1::2]).tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["kind", "region", "length"])
