"""From events to numbers: matching, spotting and recognition scores, STRS, and how sure of them we are.

Paper, Sec. IV-A: IoU (Eq. 4), UAR (Eq. 5), UF1 (Eq. 6), STRS (Eq. 7); Tables I–V. A prediction is a true
positive at IoU ≥ 0.5 (the paper writes "exceeds"; the released code counts equality).

Counts are pooled over the whole data set, then turned into ratios: the scores of several folds are the
scores of the union of their videos (`pool`), never the mean of the folds' ratios. A ratio 0/0 counts as 0.

Three scorers count the same predictions differently (`SCORERS`). They differ in what they match, no more: the
slips of the scripts they stand for (the challenge's prints macro precision as UAR) are not copied.

Recognition is scored on spotting true positives whose true class is negative, positive or surprise. The
predicted class may be "others" (or none at all): a miss of the true class and nobody's false positive, hence
FP ≠ FN in Table IV.

Glossary: TP, FP, FN true positives, false positives, false negatives; S subjects; C = 3 scored emotions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from metst_lib.events import EMOTIONS, Event, iou

Key = tuple[str, str]
"""(subject, video)"""

IOU = 0.5
SCORED = EMOTIONS[:3]
"""The classes recognition is scored on: negative, positive, surprise."""
COLUMNS = (*EMOTIONS, "none")
"""Columns of a confusion matrix: the predicted class; "none" where a prediction names no emotion."""
MEASURES = (
    "spotting.precision",
    "spotting.recall",
    "spotting.f1",
    "recognition.precision",
    "recognition.recall",
    "recognition.f1",
    "recognition.uf1",
    "recognition.uar",
    "strs",
)
"""What `bootstrap` and `compare` give an interval for."""

Confusion = tuple[tuple[int, ...], ...]


# --------------------------------------------------------------------------------------------- matching


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

SCORERS: dict[str, str] = {
    "strict": "every video counts; one prediction to one truth, by falling IoU (ties: earlier onset)",
    "released": "as the authors' ME-TST code: by time, each prediction looks only at the truth it overlaps "
    "most and takes it if IoU is at least 0.5 and it is free",
    "megc2024": "as the challenge's script: a prediction takes every free truth with IoU of at least 0.5; "
    "predictions in videos without truths are no false positives, and subjects without predictions no misses",
}
"""The scorers by name, each with what it does."""


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


# ---------------------------------------------------------------------------------------------- scores


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b), the F1-score of a precision and a recall; 0 where both are 0."""
    return 2 * a * b / (a + b) if a + b else 0.0


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, and the ratios made of them."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 where nothing is predicted."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 0 where nothing is true."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 where nothing is predicted and nothing is true."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True)
class Recognition:
    """Recognition on spotting true positives, from their confusion matrix.

    confusion: counts (4 true classes, 5 predicted: `COLUMNS`), rows in the order of `events.EMOTIONS`. The
    row "others" is kept for figures and enters no score.
    """

    confusion: Confusion

    @cached_property
    def by_class(self) -> dict[str, Counts]:
        """TP, FP and FN of each scored class; FP and FN among spotted MEs of the three scored classes."""
        scored = np.array(self.confusion)[: len(SCORED)]
        return {
            name: Counts(
                int(scored[c, c]), int(scored[:, c].sum() - scored[c, c]), int(scored[c].sum() - scored[c, c])
            )
            for c, name in enumerate(SCORED)
        }

    @property
    def total(self) -> int:
        """Spotted MEs whose true class is scored."""
        return int(np.sum(self.confusion[: len(SCORED)]))

    @property
    def tp(self) -> int:
        return sum(counts.tp for counts in self.by_class.values())

    @property
    def fp(self) -> int:
        return sum(counts.fp for counts in self.by_class.values())

    @property
    def fn(self) -> int:
        return sum(counts.fn for counts in self.by_class.values())

    @property
    def precision(self) -> float:
        """Macro precision: the mean over the three classes."""
        return _mean(counts.precision for counts in self.by_class.values())

    @property
    def recall(self) -> float:
        """Macro recall: the mean over the three classes."""
        return _mean(counts.recall for counts in self.by_class.values())

    @property
    def f1(self) -> float:
        """Harmonic mean of macro precision and macro recall, the F1 of Tables III and IV."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def uf1(self) -> float:
        """Unweighted F1 (Eq. 6): the mean of the classes' F1."""
        return _mean(counts.f1 for counts in self.by_class.values())

    @property
    def uar(self) -> float:
        """Unweighted average recall (Eq. 5)."""
        return self.recall

    @property
    def absent(self) -> tuple[str, ...]:
        """Scored classes with nothing true and nothing predicted.

        They stay in every mean with the value 0 (C is always 3, as in the released code), so say it beside
        the number wherever this is not empty.
        """
        return tuple(name for name, counts in self.by_class.items() if counts == Counts())


@dataclass(frozen=True)
class Match:
    """A true positive of the spotting: which prediction hit which truth.

    prediction and truth are indices into the lists given to `evaluate`; predicted and true the events.
    """

    video: Key
    prediction: int
    truth: int
    predicted: Event
    true: Event
    iou: float


@dataclass(frozen=True)
class SubjectScores:
    """Counts of one subject: spotting, and the confusion matrix (4 × 5) of its spotted MEs."""

    spotting: Counts
    confusion: Confusion


@dataclass(frozen=True)
class Scores:
    """What one scorer makes of a set of predictions. Everything derives from the counts of each subject."""

    scorer: str
    by_subject: dict[str, SubjectScores]
    matches: tuple[Match, ...] = field(default=(), repr=False)

    @cached_property
    def spotting(self) -> Counts:
        """Spotting counts pooled over all subjects, with .precision, .recall and .f1."""
        parts = [subject.spotting for subject in self.by_subject.values()]
        return Counts(sum(c.tp for c in parts), sum(c.fp for c in parts), sum(c.fn for c in parts))

    @cached_property
    def recognition(self) -> Recognition:
        """Recognition of the spotted MEs: .total .tp .fp .fn .precision .recall .f1 .uf1 .uar .absent."""
        return Recognition(_add(subject.confusion for subject in self.by_subject.values()))

    @property
    def strs(self) -> float:
        """Spot-then-recognise score (Eq. 7): spotting F1 × recognition F1."""
        return self.spotting.f1 * self.recognition.f1

    def measure(self, name: str) -> float:
        """One of `MEASURES` by its dotted name, e.g. "recognition.uf1"."""
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}; known: {', '.join(MEASURES)}")
        value = self
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able numbers and names; `from_dict` makes the same Scores of it."""
        recognition = self.recognition
        return {
            "scorer": self.scorer,
            "spotting": _counts_dict(self.spotting),
            "recognition": {
                "total": recognition.total,
                **{
                    name: getattr(recognition, name)
                    for name in ("tp", "fp", "fn", "precision", "recall", "f1")
                },
                "uf1": recognition.uf1,
                "uar": recognition.uar,
                "absent": list(recognition.absent),
                "by_class": {name: _counts_dict(counts) for name, counts in recognition.by_class.items()},
                "confusion": [list(row) for row in recognition.confusion],
                "confusion_rows": list(EMOTIONS),
                "confusion_columns": list(COLUMNS),
            },
            "strs": self.strs,
            "by_subject": {
                name: {
                    "tp": subject.spotting.tp,
                    "fp": subject.spotting.fp,
                    "fn": subject.spotting.fn,
                    "confusion": [list(row) for row in subject.confusion],
                }
                for name, subject in self.by_subject.items()
            },
            "matches": [
                {
                    "video": list(match.video),
                    "prediction": match.prediction,
                    "truth": match.truth,
                    "predicted": _event_dict(match.predicted),
                    "true": _event_dict(match.true),
                    "iou": match.iou,
                }
                for match in self.matches
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Scores:
        """The Scores that `to_dict` wrote. ValueError naming the part that is missing."""
        try:
            return cls(
                scorer=content["scorer"],
                by_subject={
                    name: SubjectScores(
                        Counts(part["tp"], part["fp"], part["fn"]), tuple(map(tuple, part["confusion"]))
                    )
                    for name, part in content["by_subject"].items()
                },
                matches=tuple(
                    Match(
                        video=tuple(part["video"]),
                        prediction=part["prediction"],
                        truth=part["truth"],
                        predicted=Event(**part["predicted"]),
                        true=Event(**part["true"]),
                        iou=part["iou"],
                    )
                    for part in content["matches"]
                ),
            )
        except KeyError as missing:
            raise ValueError(f"these are not written scores: {missing} is missing") from None


def evaluate(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    scorer: str = "strict",
) -> Scores:
    """Score the predicted micro-expressions of videos against the true ones.

    predicted, truth: (subject, video) → events, with a key for every video, an empty list where there is
    nothing. scorer: one of `SCORERS`. The lengths of the videos are not known here: a prediction beyond a
    video's end is simply a false positive.

    Raises ValueError naming the video where a key is missing on either side, a key is not (subject, video),
    or an event is not a micro-expression; and for an unknown scorer.
    """
    if scorer not in _MATCHERS:
        raise ValueError(f"unknown scorer {scorer!r}; known: {', '.join(_MATCHERS)}")
    for side, other, what in ((predicted, truth, "truth"), (truth, predicted, "prediction")):
        for key in side:
            if not (isinstance(key, tuple) and len(key) == 2):
                raise ValueError(f"{key!r} is not a (subject, video)")
            if key not in other:
                raise ValueError(
                    f"video {' '.join(map(str, key))} has no {what}: give an empty list if there is none"
                )
    _only_micro(predicted)
    _only_micro(truth)
    predicting = {subject for (subject, _), events in predicted.items() if events}
    counts: dict[str, list[int]] = {}
    confusions: dict[str, np.ndarray] = {}
    matches = []
    for key in truth:
        subject = key[0]
        tally = counts.setdefault(subject, [0, 0, 0])
        confusion = confusions.setdefault(subject, np.zeros((len(EMOTIONS), len(COLUMNS)), dtype=np.int64))
        if scorer == "megc2024" and (not truth[key] or subject not in predicting):
            continue
        pairs = match_events(predicted[key], truth[key], scorer)
        hit, found = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
        tally[0] += len(pairs)
        tally[1] += len(predicted[key]) - len(hit)
        tally[2] += len(truth[key]) - len(found)
        for i, j, overlap in pairs:
            p, t = predicted[key][i], truth[key][j]
            matches.append(Match(key, i, j, p, t, overlap))
            if t.emotion is not None:
                confusion[EMOTIONS.index(t.emotion), COLUMNS.index(p.emotion or "none")] += 1
    return Scores(
        scorer=scorer,
        by_subject={
            subject: SubjectScores(Counts(*counts[subject]), tuple(map(tuple, confusions[subject].tolist())))
            for subject in sorted(counts)
        },
        matches=tuple(sorted(matches, key=_match_order)),
    )


def pool(folds: Iterable[Scores]) -> Scores:
    """The scores of several folds as one: what `evaluate` gives for the union of their videos.

    Raises ValueError where there is no fold, scorers differ, or a subject appears twice.
    """
    folds = list(folds)
    if not folds:
        raise ValueError("no folds to pool")
    if len({fold.scorer for fold in folds}) > 1:
        raise ValueError(f"folds of different scorers: {', '.join(sorted({fold.scorer for fold in folds}))}")
    by_subject: dict[str, SubjectScores] = {}
    for fold in folds:
        for subject, part in fold.by_subject.items():
            if subject in by_subject:
                raise ValueError(f"subject {subject} appears in two folds")
            by_subject[subject] = part
    matches = sorted(
        (match for fold in folds for match in fold.matches),
        key=_match_order,
    )
    return Scores(folds[0].scorer, dict(sorted(by_subject.items())), tuple(matches))


# -------------------------------------------------------------------------------------------- bootstrap


@dataclass(frozen=True)
class Interval:
    """A value, and the interval that holds the middle `level` of its bootstrap values."""

    value: float
    low: float
    high: float
    level: float = 0.95

    @property
    def contains_zero(self) -> bool:
        """True where a difference may as well be none."""
        return self.low <= 0 <= self.high


def bootstrap(
    scores: Scores | Sequence[Scores], n: int = 2000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """For each of `MEASURES`: its value and a percentile bootstrap interval over subjects.

    Subjects are drawn with replacement, since MEs of one face are not independent. Several Scores (one per
    seed, same subjects) give the mean over seeds, every seed resampled by the same draw: the interval speaks
    of other subjects, the spread over seeds is told apart from it.

    Raises ValueError for fewer than two subjects or seeds with different subjects.
    """
    runs = _runs(scores)
    names = _subjects(runs)
    weights = _draws(len(names), n, seed)
    values, observed = _over_seeds(runs, names, weights), _over_seeds(runs, names, np.ones((1, len(names))))
    return {name: _interval(observed[name][0], values[name], level) for name in MEASURES}


def compare(
    a: Scores | Sequence[Scores],
    b: Scores | Sequence[Scores],
    n: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """For each of `MEASURES`: the difference a − b and its paired bootstrap interval over subjects.

    Both variants are scored on the same draw of subjects. Where the interval contains zero, no difference
    was seen. Raises ValueError where the subjects of a and b differ, or as `bootstrap`.
    """
    runs_a, runs_b = _runs(a), _runs(b)
    names = _subjects(_runs(runs_a + runs_b))
    weights, once = _draws(len(names), n, seed), np.ones((1, len(names)))
    values_a, values_b = _over_seeds(runs_a, names, weights), _over_seeds(runs_b, names, weights)
    seen_a, seen_b = _over_seeds(runs_a, names, once), _over_seeds(runs_b, names, once)
    return {
        name: _interval(seen_a[name][0] - seen_b[name][0], values_a[name] - values_b[name], level)
        for name in MEASURES
    }


def _runs(scores: Scores | Sequence[Scores]) -> list[Scores]:
    runs = [scores] if isinstance(scores, Scores) else list(scores)
    if not runs:
        raise ValueError("no scores to resample")
    if len({run.scorer for run in runs}) > 1:
        raise ValueError(f"scores of different scorers: {', '.join(sorted({run.scorer for run in runs}))}")
    return runs


def _subjects(runs: Sequence[Scores]) -> list[str]:
    names = sorted(runs[0].by_subject)
    for run in runs[1:]:
        if odd := set(run.by_subject) ^ set(names):
            raise ValueError(f"the scores do not share their subjects: {', '.join(sorted(odd))}")
    if len(names) < 2:
        raise ValueError("a bootstrap over subjects needs at least two subjects")
    return names


def _draws(subjects: int, n: int, seed: int) -> np.ndarray:
    """How often each draw holds each subject, (n, S)."""
    return np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=n)


def _over_seeds(runs: Sequence[Scores], names: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure for each row of subject weights (n, S), averaged over the runs."""
    per_run = [_measures(run, names, weights) for run in runs]
    return {name: np.mean([values[name] for values in per_run], axis=0) for name in MEASURES}


def _measures(run: Scores, names: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """The measures of `Scores`, for many weightings of the subjects at once."""
    parts = [run.by_subject[name] for name in names]
    spotting = np.array([[p.spotting.tp, p.spotting.fp, p.spotting.fn] for p in parts], dtype=float)
    scored = np.array([p.confusion for p in parts], dtype=float)[:, : len(SCORED), :]  # (S, 3, 5)
    tp, fp, fn = (weights @ spotting).T
    confusion = np.tensordot(weights, scored, axes=1)  # (n, 3, 5)
    hits = np.diagonal(confusion, axis1=1, axis2=2)  # (n, 3)
    true, named = confusion.sum(axis=2), confusion.sum(axis=1)[:, : len(SCORED)]
    precision, recall = _divide(hits, named).mean(axis=1), _divide(hits, true).mean(axis=1)
    spotting_f1 = _divide(2 * tp, 2 * tp + fp + fn)
    recognition_f1 = _divide(2 * precision * recall, precision + recall)
    return {
        "spotting.precision": _divide(tp, tp + fp),
        "spotting.recall": _divide(tp, tp + fn),
        "spotting.f1": spotting_f1,
        "recognition.precision": precision,
        "recognition.recall": recall,
        "recognition.f1": recognition_f1,
        "recognition.uf1": _divide(2 * hits, true + named).mean(axis=1),
        "recognition.uar": recall,
        "strs": spotting_f1 * recognition_f1,
    }


def _interval(value: float, values: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high), level)


# ---------------------------------------------------------------------------------------------- helpers


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a, dtype=float), where=b != 0)


def _ratio(a: int, b: int) -> float:
    return a / b if b else 0.0


def _mean(values: Iterable[float]) -> float:
    return sum(values) / len(SCORED)


def _add(confusions: Iterable[Confusion]) -> Confusion:
    total = np.zeros((len(EMOTIONS), len(COLUMNS)), dtype=np.int64)
    for confusion in confusions:
        total += np.array(confusion)
    return tuple(map(tuple, total.tolist()))


def _name(key: Key) -> str:
    return " ".join(map(str, key))


def _match_order(match: Match) -> tuple:
    return match.video, match.true.onset, match.truth, match.prediction


def _only_micro(events_of: Mapping[Key, Sequence[Event]]) -> None:
    for key, events in events_of.items():
        for event in events:
            if event.kind != "micro":
                raise ValueError(
                    f"video {_name(key)} holds a {event.kind} event ({event.onset}…{event.offset}); "
                    "only micro-expressions are scored"
                )


def _counts_dict(counts: Counts | Recognition) -> dict[str, float]:
    return {name: getattr(counts, name) for name in ("tp", "fp", "fn", "precision", "recall", "f1")}


def _event_dict(event: Event) -> dict[str, Any]:
    return {"onset": event.onset, "offset": event.offset, "apex": event.apex, "emotion": event.emotion}
