"""What the intervals, differences and p of `inference` hold, measured on drawn studies.

A study is R replicates × G groups × S subjects × K seeds; each group left out is one training. Drawn are, on
the logit of the hit rate and the logarithm of the false alarms, and apart for both:

    a subject's hit rate (Beta) and its rate of false alarms (Gamma); of 1 + Poisson MEs each is hit or not;
    a data effect of each replicate, alike for both variants (`World.data`);
    a data effect that the two variants do not share: one data set suits one variant better (`World.apart`);
    a training effect of each variant, replicate, group and seed (`World.training`).

The same MEs are easy, and the same moments look like one, for both variants and every seed (`World.common`).
Sizes: seven networks of the demonstration moved in F1 by .02 to .06 over three seeds of eight folds, and a
fold by .06 to .10 (standard deviation) from seed to seed; these studies by .05 and .09. A seed alike for all
folds was not seen there (ratio of mean squares .97) and is not drawn. `apart` is not known: it is tried out.
What is true is the measure of all drawn studies pooled.

Glossary: D drawn studies, R replicates, G groups, S subjects of a group, K seeds, V variants, n units.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri

from metst_lib import inference
from metst_lib.events import EMOTIONS
from metst_lib.metrics import SCORED

#: Exchanges of a drawn study: as many as it takes for p ≤ .05 to come in exactly a twentieth of null studies.
WAYS = 199
#: Studies drawn at a time.
CHUNK = 250
#: Shares of the emotions (`EMOTIONS`) among MEs.
EMOTION = (0.4, 0.2, 0.2, 0.2)


@dataclass(frozen=True)
class World:
    """Of what studies are drawn. mes: mean of the Poisson; hit, named: Beta of the rates of hits and of right
    names; alarms: shape and mean of the Gamma; training, data, apart: standard deviations; common: the share
    of what decides an ME that variants and seeds have in common."""

    mes: float = 6.0
    hit: tuple[float, float] = (4, 3)
    alarms: tuple[float, float] = (2, 2)
    named: tuple[float, float] = (4, 3)
    training: float = 0.3
    data: float = 0.0
    apart: float = 0.0
    common: float = 0.7


#: Data sets whose subjects are left out one by one, F1 .61 and .14; replicates of the study, 3 MEs a subject.
MANY, FEW = World(), World(hit=(1, 4), alarms=(2, 12))
STUDY = World(mes=2, data=0.3)
SIZES = (8, 24, 94)
MEASURES = ("spotting.f1", "recognition.f1", "recognition.uf1", "strs")


def draw(
    world: World,
    rng: np.random.Generator,
    shape: tuple[int, int, int, int],
    seeds: int = 1,
    better: float = 0.0,
    named: bool = True,
) -> np.ndarray:
    """Counts (2, K, D, R, G, S, 18) of two variants in studies (D, R, G, S); not `named`: TP, FP, FN only.

    better: what the first variant has more on the logit of hits and less on the logarithm of alarms.
    """
    d, r, g, _ = shape

    def shared() -> np.ndarray:
        return world.data * rng.standard_normal((d, r, 1, 1))

    def own() -> np.ndarray:
        apart = world.apart * rng.standard_normal((2, 1, d, r, 1, 1))
        effects = apart + world.training * rng.standard_normal((2, seeds, d, r, g, 1))
        effects[0] += better
        return effects

    truths = 1 + rng.poisson(world.mes, shape)
    threshold = ndtri(expit(logit(rng.beta(*world.hit, shape)) + shared() + own()))
    tp = np.zeros(threshold.shape, dtype=np.int64)
    for k in range(truths.max()):
        ease = np.sqrt(world.common) * rng.standard_normal(shape)
        luck = np.sqrt(1 - world.common) * rng.standard_normal(tp.shape)
        tp += (ease + luck < threshold) & (k < truths)
    # Twice as many moments as alarms look like an ME, the same for all; each series takes about half of them.
    rate = rng.gamma(world.alarms[0], world.alarms[1] / world.alarms[0], shape)
    moments = rng.poisson(2 * rate * np.exp(shared()))
    fp = rng.binomial(moments, _share(own()))
    counts = np.stack([tp, fp, truths - tp], axis=-1)
    if not named:
        return counts
    right = expit(logit(rng.beta(*world.named, shape)) + shared() + own())
    return np.concatenate([counts, _confusion(rng, tp, right)], axis=-1)


def _share(effects: np.ndarray) -> np.ndarray:
    """The share of the moments that look like an ME which a variant takes for one."""
    return np.minimum(0.5 * np.exp(-effects), 1)


def _confusion(rng: np.random.Generator, tp: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Emotions of the hits: C scored ones × 5 names in a row; a wrong name is each other emotion's alike."""
    n, rows = len(EMOTIONS), []
    true = rng.multinomial(tp, EMOTION)
    for c in range(len(SCORED)):
        row = np.zeros((*tp.shape, n + 1), dtype=np.int64)
        row[..., c] = rng.binomial(true[..., c], right)
        others = [k for k in range(n) if k != c]
        row[..., others] = rng.multinomial(true[..., c] - row[..., c], [1 / len(others)] * len(others))
        rows.append(row)
    return np.concatenate(rows, axis=-1)


def lift(world: World, difference: float) -> float:
    """What the first variant has to have more (`draw`) for a spotting F1 higher by this difference."""
    rng = np.random.default_rng(0)
    spread, size = np.hypot(world.apart, world.training), 200_000
    rate = logit(rng.beta(*world.hit, size)) + world.data * rng.standard_normal(size)
    effects, alarms = spread * rng.standard_normal((2, size)), 2 * world.alarms[1] * np.exp(world.data**2 / 2)

    def f1(better: float) -> float:
        tp = (1 + world.mes) * expit(rate + effects[0] + better).mean()
        return 2 * tp / (tp + 1 + world.mes + alarms * _share(effects[1] + better).mean())

    return brentq(lambda better: f1(better) - f1(0) - difference, 0, 8) if difference else 0.0


def units(counts: np.ndarray, unit: str) -> np.ndarray:
    """Counts (K, D, n, columns) of the units "replicates", "groups" or "subjects" from (K, D, R, G, S, …)."""
    summed = {"replicates": (3, 4), "groups": (4,), "subjects": ()}[unit]
    counts = counts.sum(axis=summed).astype(float)
    return counts.reshape(*counts.shape[:2], -1, counts.shape[-1])


# ------------------------------------------------------------------------------------------------ coverage


@dataclass(frozen=True)
class Case:
    """Studies of one kind, by which units they are judged. difference: the true one of spotting F1."""

    design: str
    world: World
    shape: tuple[int, int, int]
    seeds: int = 1
    difference: float = 0.0
    units: tuple[str, ...] = ("subjects",)
    measures: tuple[str, ...] = MEASURES


def cases() -> list[Case]:
    """What `coverage` measures: data sets of three sizes, one in groups, and replicates of the study."""
    one = "one data set, each subject left out"
    found = [
        Case(f"{one}: {name}", world, (1, size, 1), difference=difference)
        for name, world in (("many hits", MANY), ("few hits", FEW))
        for size in SIZES
        for difference in (0.0, 0.05)
    ]
    found.append(Case("one data set, 6 groups of 4", MANY, (1, 6, 4), units=("groups", "subjects")))
    every = ("replicates", "groups", "subjects")
    plan = [(k, apart, 0.0) for k in (1, 2) for apart in (0.0, 0.1, 0.2)] + [(2, 0.1, 0.02), (2, 0.1, 0.05)]
    for seeds, apart, difference in plan:
        design = f"5 replicates × 6 groups × 4 subjects × {seeds} seed{'s' * (seeds > 1)}"
        world = replace(STUDY, apart=apart)
        found.append(Case(design, world, (5, 6, 4), seeds, difference, every))
    return found


def coverage(draws: int = 5000, seed: int = 0, jobs: int = 1, of: Sequence[Case] = ()) -> pd.DataFrame:
    """A row for each case (default: `cases`), unit and measure.

    held, width: of the interval of the first variant; difference_held, differ (intervals without 0), differ_p
    (p ≤ .05) and alike (shown to be within .02): of the difference of the two; hits: mean number of scored
    ones in a study. ValueError for fewer than 100 draws.
    """
    enough(draws)
    work = [(case, draws, [seed, i]) for i, case in enumerate(of or cases())]
    return pd.DataFrame([row for rows in spread(_judged, work, jobs) for row in rows])


def enough(draws: int) -> None:
    """ValueError for fewer than 100 draws."""
    if draws < 100:
        raise ValueError(f"{draws} drawn studies tell nothing: 100 or more are wanted")


def spread(function: Callable[..., list], work: Sequence[tuple], jobs: int) -> list:
    """The function of each piece of work, on so many processes."""
    if jobs == 1:
        return list(starmap(function, work))
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(function, *zip(*work, strict=True)))


def _judged(case: Case, draws: int, seed: Sequence[int]) -> list[dict]:
    rng, better = np.random.default_rng(seed), lift(case.world, case.difference)
    found: dict[tuple[str, str], list[np.ndarray]] = {(u, m): [] for u in case.units for m in case.measures}
    pooled, subjects = 0.0, int(np.prod(case.shape))
    for start in range(0, draws, CHUNK):
        counts = draw(case.world, rng, (min(CHUNK, draws - start), *case.shape), case.seeds, better)
        pooled = pooled + counts.sum(axis=(2, 3, 4, 5))[:, :, None].astype(float)  # (2, K, 1, 18)
        for unit in case.units:
            a, b = (units(side, unit) for side in counts)
            ways = inference.exchanges(a.shape[-2], int(rng.integers(2**32)), WAYS)
            for measure in case.measures:
                single = inference.limits(a, measure, subjects=subjects)
                pair = inference.contrast(a, b, measure, 0.95, ways)
                found[unit, measure].append(np.concatenate([single, pair]))
    rows = []
    for (unit, measure), parts in found.items():
        _, low, high, _, less, more, p, inner_low, inner_high = np.concatenate(parts, axis=1)
        # All studies as one, as two units that are alike: only the value counts.
        true, other = (float(inference.limits(np.repeat(side, 2, axis=1), measure)[0]) for side in pooled)
        rows.append(
            {
                "design": case.design,
                "apart": case.world.apart,
                "subjects": subjects,
                "unit": unit,
                "measure": measure,
                "true": true,
                "hits": pooled[0, :, 0, 3:].sum() / draws / case.seeds,
                "held": np.mean((low <= true) & (true <= high)),
                "width": np.mean(high - low),
                "true_difference": 0.0 if case.difference == 0 else true - other,
                "difference_held": np.mean((less <= true - other) & (true - other <= more))
                if case.difference
                else np.mean((less <= 0) & (more >= 0)),
                "difference_width": np.mean(more - less),
                "differ": np.mean((less > 0) | (more < 0)),
                "differ_p": np.mean(p <= 0.05),
                "alike": np.mean((inner_low > -inference.ALIKE) & (inner_high < inference.ALIKE)),
            }
        )
    return rows
