"""The chance line: what the same predictions hit where the truths lie elsewhere.

All truths of a video are moved by one random time, so that their number, lengths and distances stay, and
scored again by the strict scorer. A score says something only where it lies beyond these.

Glossary: n draws; t truths and p predictions of a video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from metst_lib.events import Event, Key, named
from metst_lib.metrics.matching import IOU, match_events
from metst_lib.metrics.scores import Counts, evaluate, kinds_of, of_kind


@dataclass(frozen=True)
class Chance:
    """Hits by chance: tp and f1, means over the draws; p, how often chance alone reaches what was observed.

    observed: the counts where the truths are; by_draw: the hits of each draw, int (n,); by_video: tp of each
    video.
    """

    tp: float
    f1: float
    p: float
    observed: Counts
    by_draw: np.ndarray = field(repr=False, compare=False)
    by_video: Mapping[Key, float] = field(default_factory=dict, repr=False, compare=False)


def chance(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    n_frames: Mapping[Key, int],
    draws: int = 1000,
    seed: int = 0,
    kind: str = "micro",
) -> Chance:
    """Score predictions against truths moved by a random time within their video.

    predicted, truth, kind: as for `evaluate`; n_frames: length of every video. The truths of a video move
    together by 0…n_frames − 1 frames; one whose onset passes n_frames − length, where it would leave the
    video, starts again from 0. p = (1 + draws with at least the observed hits) / (1 + draws).

    Raises ValueError as `evaluate`, and for a video without a length or shorter than one of its truths.
    """
    observed = evaluate(predicted, truth, kind=kind).spotting
    drawn = shifts(truth, n_frames, draws, seed)
    by_draw, by_video = np.zeros(draws, dtype=np.int64), {}
    for key, shift in drawn.items():
        before = by_draw.sum()
        for one in kinds_of(kind):
            found, true = of_kind(one, predicted[key]), of_kind(one, truth[key])
            parts = np.array_split(moved(true, shift, n_frames[key], key), _parts(draws, true, found))
            by_draw += np.concatenate([hits(found, true, part).sum(axis=(1, 2)) for part in parts])
        by_video[key] = float(by_draw.sum() - before) / draws
    tp = float(by_draw.mean())
    # F1 = 2 TP / (predictions + truths): both stay, so its mean is that of the mean TP.
    f1 = 2 * tp / max(2 * observed.tp + observed.fp + observed.fn, 1)
    p = (1 + int((by_draw >= observed.tp).sum())) / (1 + draws)
    return Chance(tp, f1, p, observed, by_draw, by_video)


def shifts(keys: Iterable[Key], n_frames: Mapping[Key, int], draws: int, seed: int) -> dict[Key, np.ndarray]:
    """By how many frames each video's truths move, int (n,) below its length. ValueError without a length."""
    if draws < 1:
        raise ValueError(f"chance takes at least one draw, not {draws}")
    rng, found = np.random.default_rng(seed), {}
    for key in sorted(keys):
        if n_frames.get(key, 0) < 1:
            raise ValueError(f"video {named(key)} has no length: give its number of frames")
        found[key] = rng.integers(n_frames[key], size=draws)
    return found


def moved(events: Sequence[Event], shift: np.ndarray, n_frames: int, key: Key) -> np.ndarray:
    """Onsets (n, t) of a video's events after each shift (n,). ValueError for one longer than its video."""
    for event in events:
        if event.length > n_frames:
            raise ValueError(
                f"video {named(key)} has {n_frames} frames, too few for an event of {event.length} to move in"
            )
    onset, length = _starts(events)
    return (onset + shift[:, None]) % (n_frames - length + 1)


def shared(events: Sequence[Event], others: Sequence[Event], onsets: np.ndarray) -> np.ndarray:
    """Frames that events (p) share with others that begin at these onsets (n, t): int (n, t, p)."""
    (start, length), lengths = _starts(events), _starts(others)[1]
    first, end = onsets[:, :, None], (onsets + lengths)[:, :, None]
    return np.maximum(np.minimum(end, start + length) - np.maximum(first, start), 0)


def hits(predicted: Sequence[Event], truth: Sequence[Event], onsets: np.ndarray) -> np.ndarray:
    """Which truth, begun at each of these onsets (n, t), which prediction hits: bool (n, t, p).

    As the strict scorer. Where no truth and no prediction has a choice, every pair with enough overlap is a
    hit; the few draws with a choice are matched one by one.
    """
    common = shared(predicted, truth, onsets)
    lengths = _starts(truth)[1][:, None] + _starts(predicted)[1]
    found = common / (lengths - common) >= IOU
    choice = (found.sum(axis=1) > 1).any(axis=1) | (found.sum(axis=2) > 1).any(axis=1)
    for n in np.flatnonzero(choice):
        t, p = (np.flatnonzero(found[n].any(axis=axis)) for axis in (1, 0))
        there = [_begun(truth[j], int(onsets[n, j])) for j in t]
        found[n] = False
        for i, j, _ in match_events([predicted[i] for i in p], there):
            found[n, t[j], p[i]] = True
    return found


def _parts(draws: int, truth: Sequence[Event], predicted: Sequence[Event]) -> int:
    """In how many parts the draws of a video are made, so that memory stays small."""
    return 1 + draws * len(truth) * len(predicted) // 10**7


def _starts(events: Sequence[Event]) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and lengths, int."""
    values = np.array([(event.onset, event.length) for event in events], dtype=np.int64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _begun(event: Event, onset: int) -> Event:
    return replace(event, onset=onset, offset=onset + event.length - 1, apex=None)
