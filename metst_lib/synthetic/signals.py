"""ROI flow without pixels: the flow of a face that acts out given annotations, at the size of a real set.

Where `face` renders frames from which `flow` then measures, this module says at once what `flow` would
measure: Action Units move regions by measured gains, and what is left of the head's motion, blinks and noise
come on top. Fed with the annotations and lengths of a real set's videos (paper, Sec. IV-A) it gives a
full-size rehearsal of training and scoring with no face in it.

The model is a path. With p(f) where a region is at frame f, in px of the 320-px face crop,

    p(f) = Σ actions  envelope(f) · amplitude · (gain + spread)  +  drift(f)  +  noise(f),

a window that starts at frame s reads p(s), …, p(s + k − 1) less p(s): as in `flow`, 0 at its first frame.
Frames that two windows share have the same noise in both.

**What is measured** (`measure`, on the rendered set's flow and truth, all by channel): the gains of each
Action Unit on the image's left and right half of the face; their spread from action to action; the
covariance of the noise between channels, and that of the drift's speed. The results lie beside this module
(`response_5.csv`, `response_18.csv`). On the rendered set micro- and macro-expressions share their gains,
and flow at rest is normally distributed; `compare` puts both distributions side by side.

**What is not here**: the Action Units of the annotations. An expression acts out one of `script.RECIPES` of
its emotion (a macro-expression, which has none, any of them) at an amplitude from `script`'s limits, so what
distinguishes emotions is as clear as in the rendered set, and clearer than in a real one.

Glossary: T frames of a video; W windows; k frames of a window; C channels (region × x, y); U Action Units.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import rois, windows
from metst_lib._files import atomic, digest
from metst_lib.events import Event, Video
from metst_lib.flow import RoiFlow
from metst_lib.synthetic.script import (
    APEX_AT,
    BLINK_EVERY_SECONDS,
    BLINK_PIXELS,
    BLINK_SECONDS,
    BLINK_UNIT,
    CENTRAL_UNITS,
    GAP_SECONDS,
    MACRO_PIXELS,
    ME_PIXELS,
    ONE_SIDED_IN,
    RECIPES,
    Action,
    envelope,
)

MODE = "signals"
"""What `RoiFlow.mode` says of such flow."""
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 24, 26, BLINK_UNIT)
SIDES = ("left", "right")
"""Halves of the image, in the order of `Response.gains`."""
DRIFT_WAVES = ((0.5, (12.0, 20.0)), (0.3, (6.0, 12.0)), (0.2, (3.5, 6.0)))
"""The head's slow motion, as in `script`: (share of the amplitude, limits of the period in seconds)."""
BALANCE = 0.15


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

    def __post_init__(self) -> None:
        channels = 2 * len(rois.roi_set(self.roi_set))
        shapes = {
            "gains": (2, len(UNITS), channels),
            "spread": (channels,),
            "noise": (channels, channels),
            "drift": (channels, channels),
        }
        for name, shape in shapes.items():
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite of shape {shape}, got {value.shape}")
            object.__setattr__(self, name, value)

    def save(self, path: str | Path) -> Path:
        """Write one row a channel: gains, spread, and the two covariances."""
        table = pd.DataFrame(index=pd.Index(rois.channel_names(self.roi_set), name="channel"))
        table = table.join(pd.DataFrame(self._columns(), index=table.index))
        with atomic(path) as temporary:
            table.to_csv(temporary, float_format="%.5f")
        return Path(path)

    def _columns(self) -> dict[str, np.ndarray]:
        gains = {
            f"AU{unit} {side}": self.gains[s, u]
            for s, side in enumerate(SIDES)
            for u, unit in enumerate(UNITS)
        }
        names = rois.channel_names(self.roi_set)
        noise = {f"noise × {name}": self.noise[:, c] for c, name in enumerate(names)}
        drift = {f"drift × {name}": self.drift[:, c] for c, name in enumerate(names)}
        return {**gains, "spread": self.spread, **noise, **drift}

    @classmethod
    def load(cls, path: str | Path, roi_set: str) -> Response:
        """Read what `save` wrote. ValueError naming the file where channels or columns are others."""
        table = pd.read_csv(path, index_col="channel")
        names = rois.channel_names(roi_set)
        try:
            if list(table.index) != names:
                raise KeyError(f"channels {', '.join(map(str, table.index))}")
            gains = [[table[f"AU{unit} {side}"] for unit in UNITS] for side in SIDES]
            noise, drift = (table[[f"{what} × {name}" for name in names]] for what in ("noise", "drift"))
            return cls(roi_set, np.array(gains), table["spread"], noise, drift)
        except KeyError as error:
            raise ValueError(f"{path} is no response of roi_set {roi_set!r}: {error}") from None

    @property
    def key(self) -> str:
        """Short hash of all numbers."""
        return digest(self.roi_set, *(np.round(v, 6).tolist() for v in self._columns().values()))


@lru_cache(maxsize=2)
def response(roi_set: str = "5") -> Response:
    """The response measured on the rendered set (8 subjects × 2 videos × 30 s, flow of the demo preset)."""
    rois.roi_set(roi_set)  # the name is known
    return Response.load(Path(__file__).with_name(f"response_{roi_set}.csv"), roi_set)


# ---------------------------------------------------------------------------------------- annotations to flow


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
        starts = windows.window_starts(video.n_frames, window)
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
    if event.kind == "blink":
        recipe, units, limits = None, (BLINK_UNIT,), BLINK_PIXELS
    else:
        recipe = rng.choice([r for r in RECIPES if event.emotion in (None, r.emotion)])
        units, limits = recipe.action_units, ME_PIXELS if event.kind == "micro" else MACRO_PIXELS
    one_sided = event.kind == "micro" and rng.random() < 1 / ONE_SIDED_IN and not CENTRAL_UNITS & {*units}
    side = ("L", "R")[rng.integers(2)] if one_sided else ""
    apex = event.apex
    if apex is None or not event.onset < apex < event.offset:  # not labelled, or no course from rest to rest
        apex = event.onset + round(rng.uniform(*APEX_AT) * (event.offset - event.onset))
        apex = min(max(apex, event.onset + 1), event.offset - 1)
    balance = rng.uniform(-BALANCE, BALANCE)
    amplitude = rng.uniform(*limits)
    return Action(event.kind, event.onset, apex, event.offset, amplitude, units, recipe, side, balance)


def _blinks(video: Video, rng: np.random.Generator) -> list[Action]:
    """Blinks every 2–6 s; one that would meet an event waits until it is over."""
    fps, gap = video.fps, round(GAP_SECONDS * video.fps)
    found, onset = [], round(rng.uniform(0, BLINK_EVERY_SECONDS[0]) * fps)
    while True:
        last = max(2, round(rng.uniform(*BLINK_SECONDS) * fps) - 1)
        for event in video.events:  # by onset
            if onset <= event.offset + gap and onset + last >= event.onset - gap:
                onset = event.offset + gap + 1
        if onset + last >= video.n_frames:
            return found
        found.append(_action(Event(onset, onset + last, kind="blink"), rng))
        onset += round(rng.uniform(*BLINK_EVERY_SECONDS) * fps)


def _path(video: Video, actions: Iterable[Action], measured: Response, seed: int) -> np.ndarray:
    """Where each channel is at each frame, (T, C) in px of the face crop."""
    n_frames, channels = video.n_frames, len(measured.spread)
    rng = _rng(video, seed, 1 + int(measured.roi_set))
    path = rng.standard_normal((n_frames, channels)) @ _root(measured.noise).T
    path += _drift(n_frames, video.fps, channels, rng) @ _root(measured.drift).T
    for action in actions:
        spread = measured.spread * rng.standard_normal(channels)
        answer = action.amplitude * (_gain(measured.gains, action) + spread)
        here = slice(action.onset, action.offset + 1)
        path[here] += _course(action)[:, None] * answer
    return path


def _gain(gains: np.ndarray, action: Action) -> np.ndarray:
    """Flow (C,) at the action's apex for amplitude 1."""
    # the person's own left is the image's right
    halves = {"": (1 + action.balance, 1 - action.balance), "L": (0, 1), "R": (1, 0)}[action.side]
    units = [UNITS.index(unit) for unit in action.action_units]
    return np.tensordot(halves, gains[:, units].sum(axis=1), axes=1)


def _course(action: Action) -> np.ndarray:
    """The action's envelope from onset to offset, both included."""
    apex, offset = action.apex - action.onset, action.offset - action.onset
    moved = Action(action.kind, 0, apex, offset, action.amplitude, action.action_units)
    return envelope(moved, offset + 1)


def _drift(n_frames: int, fps: float, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Slow waves (T, channels), independent, of mean square speed 1 per second."""
    shares = np.array([share for share, _ in DRIFT_WAVES])
    periods = np.stack([rng.uniform(*limits, channels) for _, limits in DRIFT_WAVES])  # (waves, channels)
    sizes = shares[:, None] * rng.uniform(0.6, 1.0, periods.shape)
    speed = np.sqrt(np.mean((2 * np.pi * sizes / periods) ** 2 / 2, axis=1).sum())
    phases, seconds = rng.random(periods.shape), np.arange(n_frames)[:, None] / fps
    total = np.zeros((n_frames, channels))
    for size, period, phase in zip(sizes, periods, phases, strict=True):
        total += size * np.sin(2 * np.pi * (seconds / period + phase))
    return total / speed


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R Rᵀ = covariance (what rounding made negative counts as 0)."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


def _rng(video: Video, seed: int, stream: int) -> np.random.Generator:
    name = int(hashlib.sha256(json.dumps(video.key).encode()).hexdigest()[:15], 16)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(name, stream)))


# ---------------------------------------------------------------------------------------------- measurement


def measure(flows: Mapping[tuple[str, str], RoiFlow], truth: str | Path) -> Response:
    """The response of the rendered set, from its measured flow and the folder of its truth.

    Each action's answer is the least-squares slope of flow on its envelope, over the windows that start at
    rest before it and reach half its height, a straight drift of each window taken out. Gains are a weighted
    ridge regression of the answers on Action Units and halves of the face; spread is what the
    macro-expressions, whose noise is small against their amplitude, leave unexplained. Noise and drift are
    taken where the face is at rest: from the steps between neighbouring frames, and from each window's slope.

    ValueError for no flow, flow of several sets of regions, and where no action can be measured.
    """
    if not flows or len({flow.roi_set for flow in flows.values()}) > 1:
        raise ValueError("the flow of one set of regions is needed, of one video or more")
    roi_set = next(iter(flows.values())).roi_set
    answers: list[_Answer] = []
    steps, slopes = [], []
    for (subject, name), flow in flows.items():
        with np.load(Path(truth) / f"{subject}_{name}.npz") as stored:
            actions = _true_actions(stored)
        answers += _answers(flow, actions)
        found = _at_rest(flow, actions)
        steps.append(found[0])
        slopes.append(found[1])
    if not answers:
        raise ValueError("no action can be measured: none lies in a window that starts at rest before it")
    gains = _regress(answers, roi_set)
    step, slope = (np.concatenate(parts) for parts in (steps, slopes))
    noise = step.T @ step / len(step) / 2  # a step is the difference of two frames' noise
    fps = next(iter(flows.values())).fps or 30.0
    drift = slope.T @ slope / len(slope) * fps**2
    rest = [a.flow - _gain(gains, a.action) for a in answers if a.action.kind == "macro"]
    spread = np.sqrt(np.mean(np.square(rest), axis=0)) if rest else np.zeros(len(noise))
    return Response(roi_set, gains, spread, noise, drift)


@dataclass(frozen=True, eq=False)
class _Answer:
    """An action as it was rendered, its measured flow (C,) for amplitude 1, and how much that weighs."""

    action: Action
    flow: np.ndarray
    weight: float


def _true_actions(stored: Mapping[str, np.ndarray]) -> list[Action]:
    columns = (stored[name].tolist() for name in ("kind", "onset", "apex", "offset", "amplitude"))
    actions = []
    for *fields, names in zip(*columns, stored["action_units"].tolist(), strict=True):
        parts = names.split("+")
        side = parts[0][0] if parts[0][0] in "LR" else ""
        actions.append(Action(*fields, tuple(int(part.lstrip("LR")) for part in parts), None, side))
    return actions


def _answers(flow: RoiFlow, actions: list[Action]) -> list[_Answer]:
    courses = [envelope(action, flow.n_frames) for action in actions]
    busy = np.sum(courses, axis=0) > 0
    frames = flow.starts[:, None] + np.arange(flow.window)
    found = []
    for action, course in zip(actions, courses, strict=True):
        seen = course[frames]  # (W, k)
        use = ~busy[flow.starts] & (seen.max(axis=1) > 0.5)
        total, energy = np.zeros(flow.values.shape[1]), 0.0
        for w in np.flatnonzero(use):
            clear = (seen[w] > 0) | ~busy[frames[w]]  # frames of no other action
            x, y, t = seen[w][clear], flow.values[w][:, clear], np.arange(flow.window)[clear]
            x, y = x - t * (t @ x) / (t @ t), y - np.outer(y @ t, t) / (t @ t)
            total += y @ x
            energy += x @ x
        if energy > 0:
            answer = total / energy / action.amplitude
            found.append(_Answer(action, answer, energy * action.amplitude**2))
    return found


def _at_rest(flow: RoiFlow, actions: list[Action]) -> tuple[np.ndarray, np.ndarray]:
    """Steps between neighbouring frames and slopes of windows (px a frame), each (n, C), without actions."""
    busy = np.sum([envelope(action, flow.n_frames) for action in actions], axis=0) > 0
    rest = ~busy[flow.starts[:, None] + np.arange(flow.window)]  # (W, k)
    rest[~rest[:, 0]] = False  # an action under way at the first frame is in all others
    pair = rest[:, 2:] & rest[:, 1:-1]  # the first frame's own noise is in all others: left out
    steps = np.diff(flow.values[:, :, 1:], axis=2).transpose(0, 2, 1)[pair]
    t = np.arange(flow.window)
    long = rest.sum(axis=1) > flow.window // 2
    x = np.where(rest, t, 0)[long]
    slopes = np.einsum("wct,wt->wc", flow.values[long], x) / (x**2).sum(axis=1, keepdims=True)
    return steps.astype(np.float64), slopes.astype(np.float64)


def _regress(answers: list[_Answer], roi_set: str) -> np.ndarray:
    """Gains (2, U, C): ridge regression, weak on a region's own half and stronger on the other one's."""
    x = np.zeros((len(answers), 2, len(UNITS)))
    for row, answer in zip(x, answers, strict=True):
        units = [UNITS.index(unit) for unit in answer.action.action_units]
        for half, on in enumerate({"": (1, 1), "L": (0, 1), "R": (1, 0)}[answer.action.side]):
            row[half, units] = on
    x = x.reshape(len(answers), -1)
    weight = np.array([answer.weight for answer in answers])
    y = np.stack([answer.flow for answer in answers])
    squared = x.T @ (weight[:, None] * x)
    gains = []
    for c, name in enumerate(rois.channel_names(roi_set)):
        own = SIDES.index(name.split()[0]) if name.split()[0] in SIDES else None
        if own is None and name.startswith("below"):
            own = SIDES.index(name.split()[1])
        penalty = [0.3 if own in (None, half) else 10.0 for half in range(2) for _ in UNITS]
        gains.append(np.linalg.solve(squared + np.diag(penalty), x.T @ (weight * y[:, c])))
    return np.stack(gains, axis=-1).reshape(2, len(UNITS), -1)


# ----------------------------------------------------------------------------------------------- comparison


def compare(flows: Mapping[tuple[str, str], RoiFlow], truth: str | Path, seed: int = 0) -> pd.DataFrame:
    """The rendered set's measured flow beside signals of the same actions: a row for each value of a window.

    Columns: source ("measured" or "signals"), kind ("rest", "micro", "macro", "blink"), region, and length,
    that of the region's flow in px of the face crop: at an action's apex, in windows that start before its
    onset; at rest, at the last frame of windows that meet no action. flows and truth as in `measure`.
    """
    tables = []
    for (subject, name), measured in flows.items():
        with np.load(Path(truth) / f"{subject}_{name}.npz") as stored:
            actions = _true_actions(stored)
        video = Video(subject, name, measured.fps, measured.n_frames, ())
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
