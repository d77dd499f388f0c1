"""A spotter and recogniser without training: how far the face goes and comes back.

The yardstick of every table (variant `flow-magnitude`). It has the networks' windows, peaks and metrics, and
no weights: a few settings are chosen on the training subjects, and emotions are told apart by the direction
of motion.

Glossary: T frames of a video; W windows; C flow channels; k frames of a window; k_p half the mean length of
an event, in frames (`half_width`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from metst_lib import metrics, spotting
from metst_lib.events import CLASSES, EMOTIONS, Event, Key, Prediction
from metst_lib.training import HISTORY
from metst_lib.windows import Flow, check_flow, check_keys

#: What a recipe calls it, where a network's name stands otherwise.
NAME = "flow-magnitude"
MEASURES = ("range", "return")
POOLINGS = ("mean", "three", "max")
_REACHES, _CEILINGS, _LIMITS = (0.5, 0.75, 1.0), (None, 0.1, 0.25, 0.5), (None, 0.9, 1.0)
_NEVER, _ABSENT = -2.0, -1.0  # below every cosine; the least cosine


@dataclass(frozen=True)
class FlowMagnitude:
    """Settings of the comparator without training, as `fit` found them, and what they predict.

    measure: "range", how far a region moves within ± reach frames; or "return", how far it lies from the
    middle of where it was `reach` frames before and will be `reach` frames after: a motion out and back.
    reach: frames. pooling: over regions, their mean, the mean of the largest three, or the largest.
    ceiling: pixels of the face crop above which a magnitude counts no more, so that a macro-expression does
    not lift the threshold over the rest; None for none. limit: pixels; where a region moves further than
    that within ± 3 k_p frames, the motion is none of a micro-expression and scores 0; None for none.
    half_width: k_p of the training subjects, in frames. f1: spotting F1 on the training subjects.
    centroids: for each of the four emotions the mean direction of motion, unit vectors over the flow
    channels; None where training has none of it.
    """

    measure: str
    reach: int
    pooling: str
    ceiling: float | None
    limit: float | None
    half_width: int
    f1: float
    centroids: tuple[tuple[float, ...] | None, ...]

    model = None
    resumed, earlier = 0, 0.0

    @property
    def statistics(self) -> dict[str, Any]:
        """The settings as JSON-able values."""
        return asdict(self)

    @property
    def history(self) -> pd.DataFrame:
        """Nothing was trained, so no epoch."""
        return pd.DataFrame(columns=HISTORY)

    def predict(self, flow: Flow) -> Prediction:
        """A video's score float32 (T,), in pixels of the face crop, and logits float32 (T, 5).

        The logit of an emotion is the cosine between the frame's out-and-back motion over ± k_p frames and
        the emotion's mean direction. There is no neutral class: its logit lies below all others, so
        result-level synergy changes nothing. ValueError for flow that is not finite or has other channels
        than in training.
        """
        check_flow(flow)
        channels = {len(c) for c in self.centroids if c is not None} - {flow.values.shape[1]}
        if channels:
            raise ValueError(f"fitted on flow of {channels.pop()} channels, got {flow.values.shape[1]}")
        path = displacement(flow)
        pooled = _pool(_by_region(path, self.measure, self.reach), self.pooling)
        score = _bounded(pooled, _wide(path, self.half_width), self.ceiling, self.limit)
        motion = _unit(_motion(path, "return", self.half_width))
        logits = np.full((flow.n_frames, len(CLASSES)), _NEVER)
        for c, centroid in enumerate(self.centroids):
            # einsum, as a product of matrices would leave the last digit to the processor
            cosine = _ABSENT if centroid is None else np.einsum("tc,c->t", motion, np.array(centroid))
            logits[:, c] = cosine
        return Prediction(score.astype(np.float32), logits.astype(np.float32))


def displacement(flow: Flow) -> np.ndarray:
    """Each channel's displacement since the video's first frame, pixels, float64 (T, C).

    The flow of a window is relative to that window's first frame. Steps from frame to frame are not: those of
    all windows that see them are averaged, then summed along the video. A slow error builds up over seconds;
    differences over a few frames are as good as the windows' own.
    """
    window = flow.values.shape[2]
    steps = np.diff(np.asarray(flow.values, dtype=np.float64), axis=2)  # (W, C, k − 1)
    total, seen = np.zeros((flow.n_frames, steps.shape[1])), np.zeros((flow.n_frames, 1))
    for start, step in zip(flow.starts, steps, strict=True):
        total[start + 1 : start + window] += step.T
        seen[start + 1 : start + window] += 1
    return np.cumsum(total / np.maximum(seen, 1), axis=0)


def fit(
    flows: Mapping[Key, Flow], events: Mapping[Key, Sequence[Event]], kind: str = "micro"
) -> FlowMagnitude:
    """Choose the comparator's few settings on the training subjects, by spotting F1 (scorer "strict").

    Every combination is tried: measure; reach of 0.5, 0.75 and 1 k_p; pooling; ceiling at none or the 0.1,
    0.25 and 0.5 quantile of the magnitude of training events at their strongest; limit at none or the 0.9
    quantile and the maximum of how far the face moves around them. The first of equals, in this order, is
    taken. The threshold p stays 0.55 as for the networks. Emotions are told apart by the nearest of the
    classes' mean directions.

    Raises ValueError where keys disagree, flow is not finite (naming the video), or there is no event.
    """
    check_keys(flows, events)
    keys = sorted(flows)
    for key in keys:
        check_flow(flows[key], key)
    truth = {key: [event for event in events[key] if event.kind == kind] for key in keys}
    rule = spotting.Rule(kind, result_synergy=False).fitted(event for key in keys for event in truth[key])
    k_p = rule.half_width
    paths = {key: displacement(flows[key]) for key in keys}
    wide = {key: _wide(paths[key], k_p) for key in keys}
    around = [wide[key][(e.onset + e.offset) // 2] for key in keys for e in truth[key]]
    limits, reaches = _quantiles(around, _LIMITS), dict.fromkeys(max(1, round(r * k_p)) for r in _REACHES)
    best, chosen = -1.0, {}
    for measure, reach in itertools.product(MEASURES, reaches):
        by_region = {key: _by_region(paths[key], measure, reach) for key in keys}
        for pooling in POOLINGS:
            pooled = {key: _pool(by_region[key], pooling) for key in keys}
            peaks = [pooled[key][e.onset : e.offset + 1].max() for key in keys for e in truth[key]]
            for ceiling, limit in itertools.product(_quantiles(peaks, _CEILINGS), limits):
                scores = {key: _bounded(pooled[key], wide[key], ceiling, limit) for key in keys}
                f1 = metrics.evaluate(_events(scores, rule), truth, kind=kind).spotting.f1
                if f1 > best:
                    best = f1
                    chosen = {"measure": measure, "reach": reach, "pooling": pooling}
                    chosen |= {"ceiling": ceiling, "limit": limit}
    return FlowMagnitude(**chosen, half_width=k_p, f1=best, centroids=_centroids(paths, truth, k_p))


def _motion(path: np.ndarray, measure: str, reach: int) -> np.ndarray:
    """What the measure takes of each channel of (T, C), the video's ends held still; (T, C)."""
    held = np.pad(path, ((reach, reach), (0, 0)), mode="edge")
    if measure == "return":
        return path - (held[: len(path)] + held[2 * reach :]) / 2
    around = sliding_window_view(held, 2 * reach + 1, axis=0)
    return around.max(axis=-1) - around.min(axis=-1)


def _by_region(path: np.ndarray, measure: str, reach: int) -> np.ndarray:
    """Magnitude (T, regions) of the motion; channels are region 1 x, region 1 y, region 2 x, …"""
    motion = _motion(path, measure, reach)
    return np.hypot(motion[:, 0::2], motion[:, 1::2])


def _pool(by_region: np.ndarray, pooling: str) -> np.ndarray:
    if pooling == "mean":
        return by_region.mean(axis=1)
    return np.sort(by_region, axis=1)[:, -(3 if pooling == "three" else 1) :].mean(axis=1)


def _wide(path: np.ndarray, k_p: int) -> np.ndarray:
    """How far the region that moves most moves within ± 3 k_p frames, about a second; (T,)."""
    return _pool(_by_region(path, "range", 3 * k_p), "max")


def _bounded(pooled: np.ndarray, wide: np.ndarray, ceiling: float | None, limit: float | None) -> np.ndarray:
    score = pooled if ceiling is None else np.minimum(pooled, ceiling)
    return score if limit is None else np.where(wide > limit, 0, score)


def _events(scores: Mapping[Key, np.ndarray], rule: spotting.Rule) -> dict[Key, list[Event]]:
    return {
        key: rule.find(Prediction(score, np.zeros((len(score), len(CLASSES)))))
        for key, score in scores.items()
    }


def _centroids(
    paths: Mapping[Key, np.ndarray], truth: Mapping[Key, Sequence[Event]], k_p: int
) -> tuple[tuple[float, ...] | None, ...]:
    """Unit mean of the directions in which the MEs of each emotion go, each at its strongest frame."""
    sums: dict[str, Any] = dict.fromkeys(EMOTIONS)
    for key in paths:
        motion = _motion(paths[key], "return", k_p)
        for event in truth[key]:
            if event.emotion is not None:
                inside = motion[event.onset : event.offset + 1]
                strongest = inside[np.linalg.norm(inside, axis=1).argmax()]
                sums[event.emotion] = (0 if sums[event.emotion] is None else sums[event.emotion]) + _unit(
                    strongest
                )
    return tuple(None if s is None else tuple(_unit(s).tolist()) for s in sums.values())


def _unit(vectors: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)


def _quantiles(values: Sequence[float], levels: Sequence[float | None]) -> list[float | None]:
    return [None if level is None else float(np.quantile(values, level)) for level in levels]
