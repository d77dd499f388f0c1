"""Candidates ranked by height: precision, recall and false alarms at every threshold, average precision.

One threshold for all videos: the height that a candidate carries is the caller's, the smoothed score or its
height relative to the video's mean and maximum (`spotting.ranked`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metst_lib import events
from metst_lib.events import Event, Key
from metst_lib.metrics.matching import IOU
from metst_lib.metrics.scores import check_videos

#: Candidates of every video with their heights.
Ranked = Mapping[Key, Sequence[tuple[Event, float]]]


@dataclass(frozen=True, eq=False)
class Ranking:
    """All candidates by falling height (m,): hits tp and false alarms fp down to each of them."""

    height: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    n_true: int

    @property
    def precision(self) -> np.ndarray:
        """TP / (TP + FP), (m,)."""
        return self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> np.ndarray:
        """TP / truths, (m,); 0 where nothing is true."""
        return self.tp / max(self.n_true, 1)

    @property
    def average_precision(self) -> float:
        """Area under precision over recall, each precision raised to the best at this recall or beyond."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0) * best))


def ranking(ranked: Ranked, truth: Mapping[Key, Sequence[Event]], iou: float = IOU) -> Ranking:
    """Match candidates to truths by falling height, in one list over all videos.

    ranked, truth: a key for every video; events of one kind. A candidate takes the free truth it overlaps
    most (ties: earlier onset) at this IoU or more, else it is a false alarm. Equal heights stay in the order
    given; where many are equal, as at the top of relative heights, that order moves the result a little.

    Raises ValueError naming the video for a missing key and a height that is no finite number; and for
    events of several kinds.
    """
    check_videos(ranked, truth)
    every = [(height, key, event) for key, found in ranked.items() for event, height in found]
    for height, key, _ in every:
        if not np.isfinite(height):
            raise ValueError(f"video {events.named(key)} has a candidate of height {height}")
    kinds = {e.kind for found in truth.values() for e in found} | {event.kind for *_, event in every}
    if len(kinds) > 1:
        raise ValueError(f"events of one kind are ranked at a time, got {', '.join(sorted(kinds))}")
    free = {key: sorted(found, key=lambda e: (e.onset, e.offset)) for key, found in truth.items()}
    every.sort(key=lambda candidate: -candidate[0])
    hit = np.zeros(len(every), dtype=bool)
    for i, (_, key, event) in enumerate(every):
        best = max(free[key], key=lambda true: events.iou(event, true), default=None)
        if best is not None and events.iou(event, best) >= iou:
            free[key].remove(best)
            hit[i] = True
    heights = np.array([height for height, *_ in every])
    return Ranking(heights, np.cumsum(hit), np.cumsum(~hit), sum(map(len, truth.values())))


def average_precision(ranked: Ranked, truth: Mapping[Key, Sequence[Event]], iou: float = IOU) -> float:
    """Average precision of ranked candidates, between 0 and 1; arguments and errors as `ranking`."""
    return ranking(ranked, truth, iou).average_precision


def per_minute(fp: float | np.ndarray, frames: int, fps: float) -> float | np.ndarray:
    """False alarms per minute of video; fp: a count, or those down to every height (`Ranking.fp`)."""
    return fp * 60 * fps / frames
