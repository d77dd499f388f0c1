"""Which prediction hits which truth in one video: the three scorers.

A prediction is a true positive at IoU ≥ 0.5 (Eq. 4; the paper writes "exceeds", the released code counts
equality). The scorers differ in what they match, no more: the slips of the scripts they stand for (the
challenge's prints macro precision as UAR) are not copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from metst_lib.events import Event, iou

IOU = 0.5


def _strict(predicted: Sequence[Event], truth: Sequence[Event]) -> list[tuple[int, int]]:
    pairs = [
        (-iou(p, t), *_by_time(p, t), i, j)
        for i, p in enumerate(predicted)
        for j, t in enumerate(truth)
        if iou(p, t) >= IOU
    ]
    taken, used_p, used_t = [], set(), set()
    for *_, i, j in sorted(pairs):
        if i not in used_p and j not in used_t:
            taken.append((i, j))
            used_p.add(i)
            used_t.add(j)
    return taken


def _by_time(p: Event, t: Event) -> tuple:
    # The same whichever of the two is called the prediction, so that swapping both sides swaps FP and FN.
    onsets, offsets = sorted((p.onset, t.onset)), sorted((p.offset, t.offset))
    return (*onsets, *offsets, p.emotion or "", t.emotion or "")


def _released(predicted: Sequence[Event], truth: Sequence[Event]) -> list[tuple[int, int]]:
    taken, used = [], set()
    for i in _in_time(predicted):
        # Of equally good truths the last one, as there.
        best = max(range(len(truth)), key=lambda j: (iou(predicted[i], truth[j]), j), default=None)
        if best is not None and best not in used and iou(predicted[i], truth[best]) >= IOU:
            taken.append((i, best))
            used.add(best)
    return taken


def _megc2024(predicted: Sequence[Event], truth: Sequence[Event]) -> list[tuple[int, int]]:
    taken, used = [], set()
    for i in _in_time(predicted):
        for j in _in_time(truth):
            if j not in used and iou(predicted[i], truth[j]) >= IOU:
                taken.append((i, j))
                used.add(j)
    return taken


def _in_time(events: Sequence[Event]) -> list[int]:
    return sorted(range(len(events)), key=lambda i: (events[i].onset, events[i].offset))


_MATCHERS = {"strict": _strict, "released": _released, "megc2024": _megc2024}

#: The scorers by name, each with what it does.
SCORERS: dict[str, str] = {
    "strict": "every video counts; one prediction to one truth, by falling IoU (ties: earlier onset)",
    "released": "as the authors' ME-TST code: by time, each prediction looks only at the truth it overlaps "
    "most and takes it if IoU is at least 0.5 and it is free; classes that do not occur leave the means",
    "megc2024": "as the challenge's script: a prediction takes every free truth with IoU of at least 0.5; "
    "predictions in videos without truths are no false positives, and subjects without predictions no misses",
}


def match_events(
    predicted: Sequence[Event], truth: Sequence[Event], scorer: str = "strict"
) -> list[tuple[int, int, float]]:
    """Which prediction hits which truth in one video: (index of prediction, index of truth, IoU), by time.

    ValueError for an unknown scorer.
    """
    if scorer not in _MATCHERS:
        raise ValueError(f"unknown scorer {scorer!r}; known: {', '.join(_MATCHERS)}")
    pairs = _MATCHERS[scorer](predicted, truth)
    return [(i, j, iou(predicted[i], truth[j])) for i, j in sorted(pairs, key=lambda ij: truth[ij[1]].onset)]
