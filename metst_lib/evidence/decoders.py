"""How each author turns scores into intervals and intervals into counts, in a few lines of our own.

These are the rules behind published numbers, slips included, so that the numbers can be told from the rules.
Our own rule is `spotting.Rule`, our scorers are those of `metrics`.

Glossary: k half of SL-Swin's smoothing window and of its intervals, in frames; p height of the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from metst_lib.events import Event, iou
from metst_lib.metrics import Counts
from metst_lib.spotting import threshold

#: LGSNet: an event longer than that is a macro-expression (end − start, frames); most intervals a video.
BASE, MOST = 15, 14
#: ME-TST+ by a third party: half an interval, in frames, and the step between frames.
REACH, STEP = 5, 7


def slswin(score: np.ndarray, k: int, p: float) -> list[Event]:
    """SL-Swin: average of 2k over whole windows, mean + p · (max − mean) of these, peaks k apart, i … i + 2k.

    Intervals are not clipped. score: float (T,), at least 2k of it.
    """
    smooth = np.lib.stride_tricks.sliding_window_view(np.asarray(score, np.float64), 2 * k).mean(axis=-1)
    peaks, _ = find_peaks(smooth, height=threshold(smooth, p), distance=k)
    return [Event(int(peak), int(peak) + 2 * k) for peak in peaks]


def slswin_counts(predicted: Sequence[Event], truth: Sequence[Event]) -> Counts:
    """SL-Swin's matching of one video: each prediction takes the truth it overlaps most, if IoU > 0.5 and it
    is free; a video without any prediction costs one false positive."""
    taken: set[int] = set()
    for event in predicted:
        # Of equally good truths the last one, as the reversed sorting there has it.
        best = max(range(len(truth)), key=lambda j: (iou(event, truth[j]), j), default=None)
        if best is not None and best not in taken and iou(event, truth[best]) > 0.5:
            taken.add(best)
    return Counts(len(taken), max(len(predicted), 1) - len(taken), len(truth) - len(taken))


def double_service(predicted: Sequence[Event], truth: Sequence[Event]) -> Counts:
    """LGSNet's matching of one video: each truth takes the prediction it overlaps most at IoU ≥ 0.5, and one
    prediction may serve several truths. FP = predictions − TP, and may fall below zero for one video."""
    hits = sum(max((iou(p, t) for p in predicted), default=0.0) >= 0.5 for t in truth)
    return Counts(hits, len(predicted) - hits, len(truth) - hits)


def lgsnet(table: pd.DataFrame, epoch: int, cut: float) -> dict[tuple[str, str], list[Event]]:
    """LGSNet's intervals of an epoch, by video: confidence above `cut`, its last digit left off, at most 14.

    Ends are cut to whole frames; the kind is that of the length. Owners' numbers. ValueError where one ends
    before it begins: epoch 0 alone holds such, and its authors choose among the epochs from 5 on.
    """
    rows = table[table["epoch"] == epoch]
    kept = rows[np.floor(rows["confidence"] * 1000 + 1e-6) / 1000 > cut]
    found: dict[tuple[str, str], list[Event]] = {}
    for row in kept.groupby(["subject", "video"], sort=False).head(MOST).itertuples():
        onset, offset = int(row.onset), int(row.offset)
        if onset > offset:
            where = f"epoch {epoch}, video {row.subject} {row.video}"
            raise ValueError(f"{where}: an interval {onset} … {offset} ends before it begins")
        found.setdefault((row.subject, row.video), []).append(
            Event(onset, offset, kind=kind_of(onset, offset))
        )
    return found


def kind_of(onset: int, offset: int, base: int = BASE) -> str:
    """LGSNet's and the challenge's kind of an interval at 30 fps: macro above half a second."""
    return "macro" if offset - onset > base else "micro"


def peaks(frames: Iterable[int]) -> list[Event]:
    """ME-TST+'s peaks (frames of step 7) as intervals peak ± 5, not clipped."""
    return [Event(int(peak) - REACH, int(peak) + REACH, apex=int(peak)) for peak in frames]


def stepped(events: Iterable[Event], step: int = STEP) -> list[Event]:
    """Events in frames of every step-th frame, n → n // step."""
    return [replace(e, onset=e.onset // step, offset=e.offset // step, apex=None) for e in events]
