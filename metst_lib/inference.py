"""How sure a score is: bootstrap intervals over subjects, and paired differences of two variants.

Micro-expressions of one face are not independent, so subjects are drawn, not events. Several seeds are
averaged within each draw: the interval speaks of other subjects, the spread over seeds is told apart from it.

Glossary: S subjects; n draws; C = 3 scored emotions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metst_lib.metrics import MEASURES, SCORED, Scores


@dataclass(frozen=True)
class Interval:
    """A value, and the interval that holds the middle `level` of its bootstrap values."""

    value: float
    low: float
    high: float
    level: float = 0.95


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


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a, dtype=float), where=b != 0)
