"""Errors sorted: why a truth was missed, what a false alarm lies on, each with its share by chance.

Most local peaks of a long video fit some truth, and labels fill a good part of it: a sort says something only
where its share differs from that with the truths and labels moved by a random time (`chance`).

Glossary: n draws; t truths, p predictions, m labels of a video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from metst_lib.events import Event, Key, overlap
from metst_lib.metrics.chance import hits, moved, shared, shifts
from metst_lib.metrics.ranking import Ranked
from metst_lib.metrics.scores import check_events, kinds_of, of_kind

#: Sorts of a missed truth: a prediction meets it, but not enough or it belongs to another truth; a candidate
#: meets it that the recogniser's vote dropped; a local peak lies in it; none does.
MISSES = ("interval off", "dropped by the vote", "under the threshold", "no peak")
#: Sorts of a false alarm after those of the labels: it meets a truth; neither; neither, in a video that
#: nobody labelled for all of the labels.
ELSEWHERE = ("near a truth", "elsewhere", "elsewhere, not labelled")

Labels = Mapping[str, Mapping[Key, Sequence[Event]]]


class Sort(NamedTuple):
    """How many misses or false alarms are of one sort, their share of all, and that share by chance."""

    error: str
    sort: str
    count: int
    share: float
    by_chance: float


def errors(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    n_frames: Mapping[Key, int],
    ranked: Ranked,
    labels: Labels | None = None,
    dropped: Mapping[Key, Sequence[Event]] | None = None,
    draws: int = 100,
    seed: int = 0,
    kind: str = "micro",
) -> list[Sort]:
    """Sort every miss (`MISSES`) and every false alarm (names of the labels, `ELSEWHERE`); first that fits.

    predicted, truth, n_frames, draws, seed, kind: as for `chance`. ranked: every local peak of a video
    (`spotting.ranked`). labels: by name ("on a macro") and video what else is labelled; at least half of a
    false alarm lies inside one such event. A video that a name leaves out is not labelled for it. dropped:
    candidates over the threshold that are no predictions; without, that sort is left out. By chance:
    truths and labels of a video moved together, by the shifts of `chance`. pandas.DataFrame(errors(…)) is
    the table. Raises as `chance`.
    """
    labels = labels or {}
    check_events(predicted, truth, kind)
    seen, drawn = Counter[str](), Counter[str]()
    for key, shift in shifts(truth, n_frames, draws, seed).items():
        said = [(name, of_video[key]) for name, of_video in labels.items() if key in of_video]
        beyond = ELSEWHERE[1 if len(said) == len(labels) else 2]
        for one in kinds_of(kind):
            found, true = of_kind(one, predicted[key]), of_kind(one, truth[key])
            peaks = of_kind(one, [event for event, _ in ranked.get(key, ())])
            vetoed = of_kind(one, (dropped or {}).get(key, ()))
            moving = partial(moved, shift=shift, n_frames=n_frames[key], key=key)
            for count, place in ((seen, _still), (drawn, moving)):
                met = hits(found, true, place(true))
                count.update(_misses(~met.any(axis=2), (found, vetoed, peaks), true, place(true)))
                there = [(name, 0.5, shared(found, events, place(events))) for name, events in said]
                there.append((ELSEWHERE[0], 0.0, shared(found, true, place(true))))
                count.update(_false_alarms(~met.any(axis=1), found, there, beyond))
    misses = [sort for sort in MISSES if dropped is not None or sort != MISSES[1]]
    return _shares("miss", misses, seen, drawn) + _shares("false alarm", (*labels, *ELSEWHERE), seen, drawn)


def lies_on(event: Event, labels: Mapping[str, Sequence[Event]]) -> str:
    """The first of these names one event of which holds at least half of the interval, else "elsewhere"."""
    for name, there in labels.items():
        if any(2 * overlap(event, other) >= event.length for other in there):
            return name
    return ELSEWHERE[1]


def _still(events: Sequence[Event]) -> np.ndarray:
    return np.array([[event.onset for event in events]], dtype=np.int64)


def _misses(
    missed: np.ndarray, there: tuple[Sequence[Event], ...], true: Sequence[Event], onsets: np.ndarray
) -> Counter[str]:
    """Sorts of the truths missed, bool (n, t), begun at these onsets; there: predictions, dropped, peaks."""
    found, dropped, peaks = there
    tops = [_top(peak) for peak in peaks]
    under = [found, dropped, [Event(top, top) for top in tops]]
    meets = [shared(events, true, onsets).any(axis=2) for events in under]
    return _count(np.select(meets, range(3), 3)[missed], MISSES)


def _false_alarms(
    false: np.ndarray, found: Sequence[Event], there: Sequence[tuple[str, float, np.ndarray]], beyond: str
) -> Counter[str]:
    """Sorts of the false alarms, bool (n, p): there = name, least share, frames shared (n, m, p)."""
    lengths = np.array([event.length for event in found])
    under = [((frames > 0) & (frames >= least * lengths)).any(axis=1) for _, least, frames in there]
    names = [*(name for name, *_ in there), beyond]
    return _count(np.select(under, range(len(under)), len(under))[false], names)


def _top(peak: Event) -> int:
    return (peak.onset + peak.offset) // 2 if peak.apex is None else peak.apex


def _count(sorts: np.ndarray, names: Sequence[str]) -> Counter[str]:
    return Counter(dict(zip(names, np.bincount(sorts, minlength=len(names)).tolist(), strict=True)))


def _shares(error: str, sorts: Sequence[str], seen: Counter[str], drawn: Counter[str]) -> list[Sort]:
    every, by_chance = (sum(count[sort] for sort in sorts) for count in (seen, drawn))
    return [
        Sort(error, sort, seen[sort], seen[sort] / max(every, 1), drawn[sort] / max(by_chance, 1))
        for sort in sorts
    ]
