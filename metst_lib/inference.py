"""How sure a score is: intervals and paired differences, by the jackknife.

Micro-expressions of one face are not independent, so whole subjects are left out, not events. Subjects that
were left out together share a training: then they are one unit (`units`). Replicates (independent data sets)
are left out whole, since the subjects of one share their data. A measure is taken of counts pooled over
subjects and replicates and averaged over seeds; the spread over seeds is told apart from the interval.

Each of n units left out once gives n values; their spread is that of the measure, with n − 1 degrees of
freedom of Student's t (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 11). A measure between
0 and 1 is taken on the logit, so that no interval leaves that range.

What holds (5,000 drawn studies a number, `metst study simulate`, figures/synthetic/inference_coverage.md):
95 % intervals of 8, 24, 94 subjects held spotting F1 in .947 to .962; recognition F1, UF1 and STRS with 20
hits or more in .948 to .970; with fewer UF1 fell to .85, so nothing is told of it (0 … 1, STRS up to F1's
high). Of 5 replicates all measures .946 to .957; left out by groups F1 only .81 to .87, by subjects .76 to
.82. Two variants alike differ in 3.6 to 5.8 % by interval or p (of few hits by interval: UF1 6.4 with 27, 6.8
with 9, there STRS 2.9; by p UF1 1.7), with whole replicates in 4.5 to 5.5 %. Groups of several replicates are
units only where no data set suits one variant better: else 7 to 20 %; subjects of groups: 10 to 33 %.

Glossary: S subjects, R replicates, K seeds, n units left out, C = 3 scored emotions.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from metst_lib.metrics import COLUMNS, MEASURES, SCORED, Scores

#: Up to so many units every exchange of two variants is counted, beyond it this many are drawn.
EXACT, DRAWN = 12, 9999
#: Of fewer units exchanges are too coarse for .05 (of six .03 or .06): p is then Student's.
FEWEST = 7
#: Of fewer scored hits nothing is told of their recognition.
FEWEST_HITS = 20
#: Two variants whose measures differ by less are alike: what "no difference" may at most mean.
ALIKE = 0.02

Units = Mapping[str, Hashable] | Sequence[Hashable] | None


@dataclass(frozen=True)
class Interval:
    """A value, and the interval that holds the true one in `level` of all studies."""

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Difference(Interval):
    """A difference a − b, its interval, how often chance alone makes it as large (p), and its 90 % interval
    (`inner`), which is two one-sided tests at 5 %."""

    p: float = 1.0
    inner: tuple[float, float] = (-1.0, 1.0)

    def within(self, limit: float = ALIKE) -> bool:
        """Whether it is shown that the two differ by less than the limit (equivalence: Schuirmann, 1987).

        ValueError for a limit that is not above 0.
        """
        if not limit > 0:
            raise ValueError(f"a limit above 0 is wanted, such as {ALIKE}, not {limit}")
        return -limit < self.inner[0] and self.inner[1] < limit


def interval(
    counts: Any, level: float = 0.95, seed: int = 0, measure: str = "spotting.f1", units: Units = None
) -> Interval:
    """A measure and its interval from counts: int (S, 3), (R, S, 3) or (K, R, S, 3) of TP, FP, FN; with 18
    columns, the confusion of the C classes (C · 5) after them, any of `MEASURES`.

    units: subject → what is left out with it, within a replicate (for counts, of subject 0 … S − 1); None:
    each subject alone, of several replicates whole ones. Of fewer than 20 scored hits no recognition is told.
    Where a unit left out makes the value 0 or 1 (one subject has all hits), the jackknife is taken without
    the logit and cut to 0…1. Where no subject has a hit, it has no spread: low is 0 and high the share of
    subjects with a hit that would leave S without one in (1 − level) / 2 of all studies, which bounds every
    measure here; mirrored where all is right. seed: for rules that draw; this one does not.

    Raises ValueError for other shapes, what is not a whole number from 0 up, units that do not fit, and fewer
    than two of them.
    """
    return _interval(_of_counts(counts, measure), measure, level, units)


def interval_of(
    scores: Scores | Sequence[Scores] | Sequence[Sequence[Scores]],
    measure: str = "strs",
    level: float = 0.95,
    seed: int = 0,
    units: Units = None,
) -> Interval:
    """One of `MEASURES` and its interval, as `interval`.

    scores: of one run, of its seeds (K), or of replicates and their seeds (R of K each).

    Raises ValueError for an unknown measure, no scores, different scorers, seeds of a replicate with
    different subjects, replicates with different numbers of seeds, and as `interval`.
    """
    return _interval(_of_scores(scores), measure, level, units)


def paired(
    a: Any,
    b: Any,
    level: float = 0.95,
    seed: int = 0,
    measure: str = "spotting.f1",
    units: Units = None,
) -> Difference:
    """The measure of a less that of b on the same subjects: its interval, and p by exchanging a and b.

    a, b: both as for `interval` or both as for `interval_of`; units as there. The interval is the jackknife's
    without the logit; where it contains zero, no difference was seen. p: share of all ways to exchange a and
    b within units (sign flips; 9,999 drawn ones by `seed` where n > 12) whose difference is as large; of
    fewer than seven units Student's, as the interval.

    Raises ValueError where subjects, scorers or numbers of seeds of a and b differ, and as `interval_of`.
    """
    one, other = _read(a, measure), _read(b, measure)
    if odd := set(one.names) ^ set(other.names):
        raise ValueError(f"the two do not share their subjects: {', '.join(sorted({n for _, n in odd}))}")
    if one.scorer != other.scorer or len(one.table) != len(other.table):
        raise ValueError("the two were scored by different scorers, or have different numbers of seeds")
    x, y = one.left_out(units), other.left_out(units)
    value, low, high, p, *inner = contrast(x, y, measure, level, exchanges(x.shape[1], seed)).tolist()
    return Difference(value, low, high, level, p, tuple(inner))


def holm(p: Sequence[float]) -> list[float]:
    """p of several comparisons, each so that all together err in at most as many studies (Holm, 1979).

    The k-th smallest of m is multiplied by m − k + 1, never falls below those before it, and ends at 1.
    ValueError for what is no share.
    """
    for one in p:
        if not 0 <= one <= 1:
            raise ValueError(f"p lies between 0 and 1, not {one}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0).tolist()


# ------------------------------------------------------------------------- from arrays: one study or many


def limits(units: np.ndarray, measure: str, level: float = 0.95, subjects: int = 0) -> np.ndarray:
    """Value, low and high (3, …) of `interval` from counts (K, …, n, 3 or 18) of the units, for many studies
    at once. subjects: how many there are, where units hold several."""
    total, left = _total(units, measure), _left(units, measure)
    none = ((1 - level) / 2) ** (1 / (subjects or units.shape[-2]))
    plain = np.clip(_student(total, left, level), 0, 1)
    inside = (left.min(axis=-1) > 0) & (left.max(axis=-1) < 1) & (total > 0) & (total < 1)
    safe, half = np.where(inside, total, 0.5), np.where(inside[..., None], left, 0.5)
    low, high = np.where(inside, expit(_student(logit(safe), logit(half), level)), plain)
    low, high = np.where(total == 1, none, low), np.where(total == 0, 1 - none, high)
    if not measure.startswith("spotting."):
        told = units[..., 3:].sum(axis=(-2, -1)).mean(axis=0) >= FEWEST_HITS
        most = limits(units, "spotting.f1", level, subjects)[2] if measure == "strs" else 1.0
        low, high = np.where(told, low, 0), np.where(told, high, most)
    return np.stack([total, low, high])


def contrast(a: np.ndarray, b: np.ndarray, measure: str, level: float, ways: np.ndarray) -> np.ndarray:
    """Value, low, high, p and the ends of the 90 % interval (6, …) of `paired`, from counts as for `limits`.

    ways: which units exchange a and b, (ways, n) of 0 and 1 from `exchanges`.
    """
    if measure.startswith("spotting."):
        a, b = a[..., :3], b[..., :3]
    one, other, n = _total(a, measure), _total(b, measure), a.shape[-2]
    value, left = one - other, _left(a, measure) - _left(b, measure)
    # Where both have no hit, or nothing but hits, all that is known is the bound of each.
    unknown = (one == other) & ((one == 0) | (one == 1)) & ~left.any(axis=-1)
    bounds = []
    for at in (level, 0.90):
        none = 1 - ((1 - at) / 2) ** (1 / n)
        low, high = np.clip(_student(value, left, at), -1, 1)
        bounds.append((np.where(unknown, -none, low), np.where(unknown, none, high)))
    if n < FEWEST:
        error = _error(left)
        varies = error > 1e-12
        ratio = np.divide(np.abs(value), error, out=np.zeros_like(value), where=varies)
        p = np.where(
            varies, 2 * student.sf(ratio, n - 1), np.where(np.abs(value) < 1e-12, 1.0, 2.0 ** (1 - n))
        )
    else:
        moved, both = ways @ (b - a), (a + b).sum(axis=-2, keepdims=True)
        swapped = a.sum(axis=-2, keepdims=True) + moved  # (K, …, ways, columns)
        found = _measured(swapped, measure) - _measured(both - swapped, measure)
        as_large = (np.abs(found) >= np.abs(value)[..., None] - 1e-12).sum(axis=-1)
        p = (as_large + (n > EXACT)) / (len(ways) + (n > EXACT))
    return np.stack(np.broadcast_arrays(value, *bounds[0], p, *bounds[1]))


def exchanges(units: int, seed: int, drawn: int = DRAWN) -> np.ndarray:
    """Which units exchange a and b, (ways, n) of 0 and 1: all ways, or so many drawn ones."""
    if units <= EXACT:
        return (np.arange(2**units)[:, None] >> np.arange(units) & 1).astype(float)
    return np.random.default_rng(seed).integers(0, 2, (drawn, units)).astype(float)


def _total(units: np.ndarray, measure: str) -> np.ndarray:
    return _measured(units.sum(axis=-2), measure)


def _left(units: np.ndarray, measure: str) -> np.ndarray:
    """The measure with each unit left out in turn, (…, n)."""
    return _measured(units.sum(axis=-2, keepdims=True) - units, measure)


def _error(left: np.ndarray) -> np.ndarray:
    """The jackknife's standard error, from the values (…, n) with each unit left out."""
    return np.sqrt((left.shape[-1] - 1) * np.var(left, axis=-1))


def _student(value: np.ndarray, left: np.ndarray, level: float) -> np.ndarray:
    """value ± t · standard error, (2, …)."""
    if not 0 < level < 1:
        raise ValueError(f"a level between 0 and 1 is wanted, such as 0.95, not {level}")
    half = student.ppf((1 + level) / 2, left.shape[-1] - 1) * _error(left)
    return np.array([value - half, value + half])


# ----------------------------------------------------------------------------------- what a study counted


@dataclass(frozen=True)
class _Study:
    """Counts (K, S of all replicates, 3 + C · 5), and the (replicate, subject) they are of."""

    table: np.ndarray
    names: tuple[tuple[int, str], ...]
    scorer: str = ""

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError("an interval over subjects needs at least two subjects")

    def left_out(self, units: Units) -> np.ndarray:
        """Counts of each unit, (K, n, 3 + C · 5), in the order of their first subjects."""
        several = self.names[0][0] != self.names[-1][0]
        if units is None:
            keys = [name[:1] if several else name for name in self.names]
        else:
            known = units if isinstance(units, Mapping) else {str(s): unit for s, unit in enumerate(units)}
            if odd := {name for _, name in self.names} ^ set(known):
                raise ValueError(f"units and subjects do not fit: {', '.join(sorted(map(str, odd)))}")
            keys = [(replicate, known[name]) for replicate, name in self.names]
        of = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        if len(of) < 2:
            raise ValueError("an interval needs at least two units to leave out")
        member = np.array([of[key] for key in keys])
        return np.stack([self.table[:, member == unit].sum(axis=1) for unit in range(len(of))], axis=1)


def _read(source: Any, measure: str) -> _Study:
    first = source
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return _of_scores(source) if isinstance(first, Scores) else _of_counts(source, measure)


def _of_counts(source: Any, measure: str) -> _Study:
    counts = np.asarray(source)
    columns = 3 + len(SCORED) * len(COLUMNS)
    if not 2 <= counts.ndim <= 4 or counts.shape[-1] not in (3, columns):
        raise ValueError(
            f"expected counts (subjects, 3 or {columns}), replicates and seeds before, got {counts.shape}"
        )
    if counts.shape[-1] == 3 and measure in MEASURES and not measure.startswith("spotting."):
        raise ValueError(f"counts of TP, FP and FN say nothing of {measure}: scores are wanted")
    if not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        raise ValueError("counts of TP, FP and FN are whole numbers from 0 up")
    counts = counts.reshape((1,) * (4 - counts.ndim) + counts.shape)
    table = counts.reshape(len(counts), -1, counts.shape[-1]).astype(float)
    return _Study(table, tuple((r, str(s)) for r, s in np.ndindex(counts.shape[1:3])))


def _of_scores(source: Any) -> _Study:
    runs = [source] if isinstance(source, Scores) else list(source)
    replicates = [runs] if all(isinstance(run, Scores) for run in runs) else list(map(list, runs))
    if not all(replicates):
        raise ValueError("no scores to give an interval for")
    scorers = sorted({run.scorer for seeds in replicates for run in seeds})
    if len(scorers) > 1:
        raise ValueError(f"scores of different scorers: {', '.join(scorers)}")
    if len({len(seeds) for seeds in replicates}) > 1:
        raise ValueError("replicates with different numbers of seeds")
    names = []
    for r, seeds in enumerate(replicates):
        for run in seeds:
            if odd := set(run.by_subject) ^ set(seeds[0].by_subject):
                raise ValueError(f"the scores do not share their subjects: {', '.join(sorted(odd))}")
        names += [(r, name) for name in sorted(seeds[0].by_subject)]
    table = [[_row(replicates[r][k], name) for r, name in names] for k in range(len(replicates[0]))]
    return _Study(np.array(table), tuple(names), scorers[0])


def _row(run: Scores, subject: str) -> np.ndarray:
    part = run.by_subject[subject]
    spotting = [part.spotting.tp, part.spotting.fp, part.spotting.fn]
    return np.concatenate([spotting, np.ravel(part.confusion[: len(SCORED)])]).astype(float)


def _interval(study: _Study, measure: str, level: float, units: Units) -> Interval:
    return Interval(*limits(study.left_out(units), measure, level, len(study.names)).tolist(), level)


def _measured(counts: np.ndarray, measure: str) -> np.ndarray:
    """A measure of `Scores` from pooled counts (K, …, 3 or 3 + C · 5), averaged over the K seeds: (…)."""
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}; known: {', '.join(MEASURES)}")
    what = measure.removeprefix("recognition.")
    if what != measure:
        return _recognised(counts, what).mean(axis=0)
    tp, fp, fn = np.moveaxis(counts[..., :3], -1, 0)
    if measure == "spotting.precision":
        return _divide(tp, tp + fp).mean(axis=0)
    if measure == "spotting.recall":
        return _divide(tp, tp + fn).mean(axis=0)
    f1 = _divide(2 * tp, 2 * tp + fp + fn)
    return (f1 * _recognised(counts, "f1") if measure == "strs" else f1).mean(axis=0)


def _recognised(counts: np.ndarray, what: str) -> np.ndarray:
    """Precision, recall, f1, uf1 or uar of the recognition, each a mean over the C classes."""
    confusion = counts[..., 3:].reshape(*counts.shape[:-1], len(SCORED), len(COLUMNS))
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # (K, …, C)
    true, named = confusion.sum(axis=-1), confusion.sum(axis=-2)[..., : len(SCORED)]
    if what == "uf1":
        return _divide(2 * hits, true + named).mean(axis=-1)
    precision, recall = _divide(hits, named).mean(axis=-1), _divide(hits, true).mean(axis=-1)
    f1 = _divide(2 * precision * recall, precision + recall)
    return {"precision": precision, "recall": recall, "uar": recall, "f1": f1}[what]


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a, dtype=float), where=b != 0)
