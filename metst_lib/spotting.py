"""From scores to events: smoothing, threshold, peaks, emotion vote and result-level synergy.

Paper, Sec. III-A (peak detection, predominant emotion) and Sec. III-C with Fig. 4 (result-level synergy).

A video's spotting score is smoothed by a moving average of 2·k_p frames. Peaks above
mean + p · (max − mean), at least k_p frames apart, become intervals peak ± k_p. Within each interval the
frames vote for a class; with result-level synergy a vote for neutral drops the interval. A `Rule` says how:
its defaults are the paper's, its other values those of the authors' later code.

Glossary: T frames of a video; k_p half the mean length of a micro-expression, in frames (`half_width`);
p height of the threshold between the score's mean (0) and its maximum (1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import find_peaks, peak_prominences

from metst_lib.events import CLASSES, EMOTIONS, NEUTRAL, Event, Prediction, clip

#: Height of the threshold, as the released ME-TST sets it.
P = 0.55
#: A score whose range is below this share of its magnitude is flat: what is left is rounding, not motion.
FLAT = 1e-6
#: What a rule may say, the default first.
CHOICES = {
    "width": ("mean", "median"),
    "growth": ("none", "curve"),
    "neutral": ("learned", "zero"),
    "cut": ("first", "last"),
    "edges": ("padded", "whole"),
}


@dataclass(frozen=True)
class Candidate:
    """An interval that the spotting score proposes, and what the recogniser says of it.

    peak, onset, offset in frames (inclusive); height = smoothed score at the peak; vote = class named by
    most frames among all five; emotion = class named by most frames among the four, neutral left out.
    """

    peak: int
    onset: int
    offset: int
    height: float
    vote: str
    emotion: str

    @property
    def dropped(self) -> bool:
        """True where result-level synergy removes the interval: the recogniser sees no micro-expression."""
        return self.vote == NEUTRAL

    def event(self, result_synergy: bool = True) -> Event:
        """The candidate as an event; with synergy its emotion is the five-way vote."""
        emotion = self.vote if result_synergy else self.emotion
        return Event(self.onset, self.offset, apex=self.peak, emotion=emotion)


@dataclass(frozen=True)
class Rule:
    """What turns a prediction into events.

    kind: "micro", or "macro", which has no emotion and no veto. half_width: k_p in frames, None until
    `fitted` takes it from the training subjects. p: height of the threshold. result_synergy: the
    recogniser's vote for neutral drops the interval. width: k_p from their mean or their median length.
    growth: intervals are peak ± k_p, or follow the score (`grow`; BoostingVRME). neutral: its logit as it
    was learned, or 0, so that it wins only where all emotions are negative (the authors' code from August
    2025 on). cut: intervals are cut to the video before the vote, or after it (the authors'). prominence: how
    far a peak rises above the higher of the two valleys beside it, at least, as a share of max − mean; 0 asks
    nothing (the paper's). It drops second peaks on one hump. edges: the average counts what lies beyond the
    video as zero, or is taken of whole windows only, and mean, maximum and peaks of these (SL-Swin's).
    """

    kind: str = "micro"
    half_width: int | None = None
    p: float = P
    result_synergy: bool = True
    width: str = "mean"
    growth: str = "none"
    neutral: str = "learned"
    cut: str = "first"
    prominence: float = 0.0
    edges: str = "padded"

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r} of a rule; known: {', '.join(known)}")
        if np.isnan(self.p):
            raise ValueError("the height p of a rule's threshold is no number")
        if not self.prominence >= 0:
            raise ValueError(f"the prominence of a rule must be 0 or more, got {self.prominence}")

    def fitted(self, events: Iterable[Event]) -> Rule:
        """The rule with k_p of these events, where it has none yet."""
        if self.half_width:
            return self
        return replace(self, half_width=half_width(events, kind=self.kind, of=self.width))

    def candidates(self, prediction: Prediction) -> list[Candidate]:
        """Every interval that a prediction proposes, before any is dropped. ValueError without k_p."""
        if self.half_width is None:
            raise ValueError("the rule has no half width (k_p) yet: it comes from the training subjects")
        names = "growth", "neutral", "cut", "prominence", "edges"
        how = {name: getattr(self, name) for name in names}
        return candidates(prediction.score, prediction.logits, self.half_width, self.p, **how)

    def events(self, proposed: Iterable[Candidate]) -> list[Event]:
        """Those of the proposed intervals that the rule keeps, as events."""
        if self.kind != "micro":
            return [Event(c.onset, c.offset, apex=c.peak, kind=self.kind) for c in proposed]
        kept = (c for c in proposed if not (self.result_synergy and c.dropped))
        return [candidate.event(self.result_synergy) for candidate in kept]

    def find(self, prediction: Prediction) -> list[Event]:
        """The events of a video, by time: intervals peak ± k_p clipped to the video, with apex = peak."""
        return self.events(self.candidates(prediction))


def half_width(
    events: Iterable[Event], longest: int | None = 300, kind: str = "micro", of: str = "mean"
) -> int:
    """k_p = int((N + 1) / 2) frames, N the mean of offset − onset over the given events of this kind.

    of="median": N is their median, of two middle ones the longer.

    `longest` leaves out events of more frames than that (None: keep all), ten seconds at 30 fps: CAS(ME)³
    has four such labels, of 402 to 3456 frames, which lift the mean length of its 859 micro-expressions from
    29.9 to 35.7 frames and with it every predicted interval. They stay in the ground truth.

    Raises ValueError where no event is left or k_p is below one frame.
    """
    spans = [
        event.offset - event.onset
        for event in events
        if event.kind == kind and (longest is None or event.length <= longest)
    ]
    if not spans:
        limit = "" if longest is None else f" of at most {longest} frames"
        raise ValueError(f"no {kind}-expression{limit} to take the {of} length of")
    if of == "median":
        spans = sorted(spans)[len(spans) // 2 :][:1]
    width = (sum(spans) + len(spans)) // (2 * len(spans))  # in whole numbers: no last digit decides
    if width < 1:
        raise ValueError(f"a {of} span of {np.mean(spans):.2f} frames is too short for an interval")
    return width


def smooth(score: np.ndarray, half_width: int) -> np.ndarray:
    """Moving average of 2·k_p frames, float64 (T,), the video's surroundings counted as zero.

    The even window cannot be centred: frame t averages frames t − k_p … t + k_p − 1. Scores are rounded to
    whole steps of 2⁻⁴⁴ of the largest one (its power of two) and these are summed as integers: frames whose
    windows hold the same scores are equal to the last digit, on every processor.
    """
    score = np.asarray(score, dtype=np.float64)
    width = 2 * _checked(half_width)
    _, exponent = np.frexp(np.abs(score).max(initial=0))
    step = np.ldexp(1.0, max(int(exponent), -900) - 44)  # never below the smallest float
    reach = min(half_width, len(score))  # a wider window holds no more
    whole = np.rint(np.pad(score, reach) / step).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(whole)])
    return (total[2 * reach : -1] - total[: -2 * reach - 1]) * (step / width)


def inside(n_frames: int, half_width: int, edges: str = "padded") -> slice:
    """The frames whose average decides: all, or those whose whole window lies in the video."""
    return slice(half_width, max(half_width, n_frames - half_width + 1)) if edges == "whole" else slice(None)


def threshold(score: np.ndarray, p: float = P) -> float:
    """mean + p · (max − mean) of a (smoothed) score: peaks below it are not events."""
    mean = float(np.mean(score))
    return mean + p * (float(np.max(score)) - mean)


def candidates(
    score: np.ndarray,
    emotion: np.ndarray,
    half_width: int,
    p: float = P,
    *,
    growth: str = "none",
    neutral: str = "learned",
    cut: str = "first",
    prominence: float = 0.0,
    edges: str = "padded",
) -> list[Candidate]:
    """Every interval that the spotting score (T,) proposes, by time, with its vote over the logits (T, 5).

    A plateau peaks in its middle, of two middle frames in the earlier one. Of peaks less than k_p frames
    apart the highest stays, of equally high ones the earliest. Flat scores and scores without a peak give an
    empty list. Frames onset + 1 … offset − 2 vote (the authors' open interval), each for its arg-max class;
    of equally many votes the class seen first wins. An interval too short to hold such a frame (k_p = 1) is
    decided by its peak. growth, neutral, cut, prominence and edges: see `Rule`. A peak that its
    higher neighbour has displaced does not come back where that one is not prominent.

    Raises ValueError for NaN or infinite values, shapes that disagree, or a half width below 1.
    """
    score, emotion = np.asarray(score, dtype=np.float64), np.asarray(emotion)
    _check(score, emotion, half_width)
    # Zero-padded smoothing turns a constant score into a plateau with a "peak" in its middle.
    if len(score) == 0 or np.ptp(score) <= FLAT * np.abs(score).max():
        return []
    smoothed, within = smooth(score, half_width), inside(len(score), half_width, edges)
    if not len(seen := smoothed[within]):
        return []
    peaks = _apart(find_peaks(seen, height=threshold(seen, p))[0], seen, half_width)
    if prominence:
        peaks = _prominent(peaks, seen, prominence)
    peaks = [peak + (within.start or 0) for peak in peaks]
    intervals = [(peak, peak - half_width, peak + half_width) for peak in peaks]
    if growth == "curve":
        intervals = grow(score, peaks, half_width)
    if neutral == "zero":
        emotion = np.concatenate([emotion[:, : len(EMOTIONS)], np.zeros((len(score), 1))], axis=1)
    five, four = emotion.argmax(axis=1), emotion[:, : len(EMOTIONS)].argmax(axis=1)
    found = []
    for peak, *ends in intervals:
        onset, offset = clip(*ends, len(score))
        first, last = (onset, offset) if cut == "first" else ends
        voters = slice(max(0, first + 1), last - 1) if last - 1 > first + 1 else slice(peak, peak + 1)
        five_way, four_way = (CLASSES[_vote(votes[voters])] for votes in (five, four))
        found.append(Candidate(peak, onset, offset, float(smoothed[peak]), five_way, four_way))
    return found


def grow(score: np.ndarray, peaks: Sequence[int], half_width: int) -> list[tuple[int, int, int]]:
    """Intervals (peak, onset, offset) that follow the unsmoothed score (T,), as BoostingVRME finds them.

    Peaks are those of the smoothed score. Each interval begins as peak ± k_p; within that its ends move
    inwards to where the score begins to rise, m / 1.5 or more, m its mean. Then they move outwards, as far as
    5 k_p from the peak, to the first two frames below m. Its peak becomes the highest frame in it. From left
    to right one is kept that overlaps none kept before by an IoU of .2 or more (ends subtracted, no + 1) and
    whose peak lies more than k_p from theirs.

    Source: github.com/zizheng-guo/BoostingVRME. Its other thresholds, chosen by the name of the test set, are
    left out: a rule that knows its test set has seen it.
    """
    kept: list[tuple[int, int, int]] = []
    for peak, *ends in sorted(
        (_grown(score, peak, half_width) for peak in peaks), key=lambda grown: grown[1]
    ):
        if all(_iou(ends, other) < 0.2 and abs(peak - top) > half_width for top, *other in kept):
            kept.append((peak, *ends))
    return kept


def _grown(score: np.ndarray, peak: int, k_p: int) -> tuple[int, int, int]:
    """(highest frame, onset, offset) of one peak's interval."""
    mean, last = score.mean(), len(score) - 1
    left, right = max(0, peak - k_p), min(last, peak + k_p)
    rises = (i for i in range(left + 1, peak) if score[i] > score[i - 1] and score[i] > mean / 1.5)
    falls = (i for i in range(right - 1, peak, -1) if score[i] > score[i + 1] and score[i] > mean / 1.5)
    onset, offset = next(rises, left + 1) - 1, next(falls, right - 1) + 1
    low = score < mean
    before = (i for i in range(onset - 1, max(1, peak - 5 * k_p) - 1, -1) if low[i] and low[i - 1])
    after = (i for i in range(offset + 1, min(last - 1, peak + 5 * k_p) + 1) if low[i] and low[i + 1])
    onset, offset = next(before, onset - 1) + 1, next(after, offset + 1) - 1
    return onset + int(score[onset : offset + 1].argmax()), onset, offset


def _iou(a: Sequence[int], b: Sequence[int]) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = a[1] - a[0] + b[1] - b[0] - shared
    return shared / union if union else 0.0


def find_events(
    score: np.ndarray, emotion: np.ndarray, half_width: int, p: float = P, result_synergy: bool = True
) -> list[Event]:
    """The micro-expressions of a video: what `Rule` finds in its score (T,) and logits (T, 5).

    With result_synergy the vote is over all five classes and neutral drops the interval; without it the vote
    is over the four emotions and every interval stays. Errors as in `candidates`.
    """
    rule = Rule(half_width=_checked(half_width), p=p, result_synergy=result_synergy)
    return rule.find(Prediction(score, emotion))


def _apart(peaks: np.ndarray, height: np.ndarray, least: int) -> list[int]:
    """Peaks (frames) that lie at least so many frames apart, the highest first chosen; by time.

    `find_peaks` has such a rule too (distance), but leaves it to the processor which of two equals stays.
    """
    free, kept = np.ones(len(height), bool), []
    for peak in peaks[np.lexsort((peaks, -height[peaks]))].tolist():
        if free[peak]:
            kept.append(peak)
            free[max(0, peak - least + 1) : peak + least] = False
    return sorted(kept)


def _prominent(peaks: list[int], smoothed: np.ndarray, share: float) -> list[int]:
    """Those whose prominence is share · (max − mean) or more, of the whole curve and without a window."""
    least = share * (float(np.max(smoothed)) - float(np.mean(smoothed)))
    return [
        peak for peak, own in zip(peaks, peak_prominences(smoothed, peaks)[0], strict=True) if own >= least
    ]


def _check(score: np.ndarray, emotion: np.ndarray, half_width: int) -> None:
    _checked(half_width)
    if score.ndim != 1 or emotion.shape != (len(score), len(CLASSES)):
        raise ValueError(
            f"expected a score (T,) and emotion logits (T, {len(CLASSES)}), "
            f"got {score.shape} and {emotion.shape}"
        )
    for name, values in (("spotting score is", score), ("emotion logits are", emotion)):
        if not np.isfinite(values).all():
            frame = int(np.argmin(np.isfinite(values).reshape(len(score), -1).all(axis=1)))
            raise ValueError(f"the {name} not finite at frame {frame}")


def _vote(classes: np.ndarray) -> int:
    values, first, counts = np.unique(classes, return_index=True, return_counts=True)
    return int(min(zip(-counts, first, values, strict=True))[2])


def _checked(half_width: int) -> int:
    if half_width < 1:
        raise ValueError(f"half width (k_p) must be at least one frame, got {half_width}")
    return half_width


def ranked(
    score: np.ndarray,
    logits: np.ndarray,
    half_width: int,
    relative: bool = False,
    kind: str = "micro",
    **how: Any,
) -> list[tuple[Event, float]]:
    """Every local peak as an interval peak ± k_p, by time, with its height: what `metrics.ranking` takes.

    Height is that of the smoothed score; relative, with its mean as 0 and its maximum as 1. how: growth,
    prominence and edges as `candidates` takes them. Errors as there.
    """
    found = candidates(score, logits, half_width, p=-np.inf, **how)
    low, top = 0.0, 1.0
    if relative and found:
        seen = smooth(score, half_width)[inside(len(score), half_width, how.get("edges", "padded"))]
        low, top = (threshold(seen, p) for p in (0, 1))
    events = Rule(kind, half_width, result_synergy=False).events(found)
    return [(event, (c.height - low) / (top - low)) for event, c in zip(events, found, strict=True)]
