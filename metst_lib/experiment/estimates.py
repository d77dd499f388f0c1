"""Our numbers with their doubt: each measure over seeds, its interval over subjects, and paired differences.

`Difference.words` alone decides what a text may say of two variants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from metst_lib import inference, metrics
from metst_lib.events import Video
from metst_lib.experiment import flows
from metst_lib.experiment.config import configure
from metst_lib.experiment.runs import Run, read_run
from metst_lib.experiment.variants import VARIANTS

#: Variant → its runs, one for each seed.
Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of one variant, wherever it is kept.

    scores: replicate (an independent data set) → seed → its scores, the same seeds for each. beside: F1 by
    chance and false alarms per minute, means over all; () where lengths are not known. lacking: stands in
    place of every number; partly: behind every number. units: what subjects of a single replicate are left
    out with; of several, whole ones are left out.
    """

    title: str
    scores: Mapping[int, Mapping[int, metrics.Scores]] = field(default_factory=dict)
    beside: tuple[float, ...] = ()
    lacking: str = ""
    partly: str = ""
    units: Mapping[str, str] | None = None

    @property
    def nested(self) -> list[list[metrics.Scores]]:
        """The scores by replicate and seed, as `inference` takes them."""
        return [list(of.values()) for of in self.scores.values()]

    @property
    def left_out(self) -> Mapping[str, str] | None:
        """The units of `inference`."""
        return self.units if len(self.scores) == 1 else None

    def measured(self, measure: str) -> list[float]:
        """A measure for each seed, of several replicates for each of these (the mean over its seeds)."""
        found = [[run.measure(measure) for run in seeds] for seeds in self.nested]
        return found[0] if len(found) == 1 else [float(np.mean(values)) for values in found]

    def only(self, replicates: Iterable[int], seeds: Iterable[int]) -> Found:
        """The same of these replicates and seeds alone."""
        seeds = list(seeds)
        kept = {r: {seed: self.scores[r][seed] for seed in seeds} for r in replicates}
        return replace(self, scores=kept)


def found_in(source: Found | Sequence[Run], videos: Iterable[Video] = ()) -> Found:
    """What runs, the seeds of one variant, found; videos: for their lengths. A `Found` stays as it is."""
    if isinstance(source, Found):
        return source
    title, videos = VARIANTS[source[0].config.variant].title, list(videos)
    if short := lacking(source):
        return Found(title, lacking=short)
    scores = {0: {run.config.seed: run.scores() for run in source}}
    known = [by_chance(run, videos) for run in source] if videos else []
    means = np.mean([(chance.f1, alarms) for chance, alarms in known], axis=0) if known else ()
    return Found(title, scores, tuple(map(float, means)))


@dataclass(frozen=True)
class Estimate:
    """One measure of one variant: its value for each seed or replicate, and a 95 % interval. pooled: the
    value from counts pooled over replicates; of one data set it is the mean over seeds."""

    values: tuple[float, ...]
    low: float
    high: float
    pooled: float | None = None

    def __str__(self) -> str:
        value = np.mean(self.values) if self.pooled is None else self.pooled
        spread = f" ± {np.std(self.values, ddof=1):.4f}" if len(self.values) > 1 else ""
        return f"{value:.4f}{spread} [{self.low:.2f}, {self.high:.2f}]"


def estimates(source: Found | Sequence[Run]) -> dict[str, Estimate]:
    """Each of `metrics.MEASURES` of one variant; the runs, its seeds, must be complete."""
    found, made = found_in(source), {}
    for measure in metrics.MEASURES:
        one = inference.interval_of(found.nested, measure, units=found.left_out)
        made[measure] = Estimate(tuple(found.measured(measure)), one.low, one.high, one.value)
    return made


@dataclass(frozen=True)
class Difference:
    """One measure of one variant less that of another: for each seed, and a 95 % interval over subjects.

    p: of chance alone, after Holm among so many comparisons where `adjusted` made it; alike: whether it is
    shown that the two differ by less than `inference.ALIKE`. over: what the values are of; pooled: see
    `Estimate`.
    """

    values: tuple[float, ...]
    low: float
    high: float
    p: float = 1.0
    alike: bool = False
    among: int = 1
    over: str = "seed"
    pooled: float | None = None

    @classmethod
    def of(cls, found: inference.Difference, values: Sequence[float] = (), over: str = "seed") -> Difference:
        """As `inference.paired` found it; values: of each seed or replicate, where there are several."""
        values = tuple(values) or (found.value,)
        return cls(values, found.low, found.high, found.p, found.within(), over=over, pooled=found.value)

    @property
    def value(self) -> float:
        """The mean over seeds, of counts pooled over replicates."""
        return float(np.mean(self.values)) if self.pooled is None else self.pooled

    @property
    def words(self) -> str:
        """What may be said: "higher" or "lower" only where the interval leaves zero out, and among several
        comparisons (`adjusted`) only where p, after Holm, is at most .05.

        That it rests on one seed, or that not every seed falls on that side, is said as well. "No difference
        larger than .02" is said only where that is shown; else none was seen, which is less.
        """
        within = f"{inference.ALIKE:.2f}".lstrip("0")
        if self.low <= 0 <= self.high:
            return f"no difference larger than {within}" if self.alike else "no difference seen"
        if self.among > 1 and self.p > 0.05:
            return f"no difference seen among {self.among} comparisons"
        side = "higher" if self.value > 0 else "lower"
        small = f", by less than {within}" if self.alike else ""
        if len(self.values) == 1:
            return f"{side} with one {self.over}{small}"
        agree = all(value * self.value > 0 for value in self.values)
        every = f"with every {self.over}"
        return (f"{side} {every}" if agree else f"{side} on average, not {every}") + small

    def __str__(self) -> str:
        return f"{self.value:+.4f} [{self.low:+.3f}, {self.high:+.3f}]"


def adjusted(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """The differences of one table, none adjusted yet, with p after Holm over all of them."""
    p = inference.holm([difference.p for difference in differences.values()])
    every = zip(differences.items(), p, strict=True)
    return {name: replace(one, p=new, among=len(p)) for (name, one), new in every}


def differences(a: Found | Sequence[Run], b: Found | Sequence[Run]) -> dict[str, Difference]:
    """Each of `metrics.MEASURES` of one variant less another's, on the replicates and seeds that both have;
    runs complete, one for each seed.

    ValueError where the two have no seed of a replicate in common, or folds are missing.
    """
    a, b = in_common(found_in(a), found_in(b))
    over = "replicate" if len(a.scores) > 1 else "seed"
    return {
        measure: Difference.of(
            inference.paired(a.nested, b.nested, measure=measure, units=a.left_out),
            [x - y for x, y in zip(a.measured(measure), b.measured(measure), strict=True)],
            over,
        )
        for measure in metrics.MEASURES
    }


def in_common(a: Found, b: Found) -> tuple[Found, Found]:
    """Both on the replicates and seeds that both have; ValueError where there is none."""
    for one in (a, b):
        if one.lacking:
            raise ValueError(f"{one.title}: {one.lacking} are there")
    replicates = [number for number in a.scores if number in b.scores]
    seeds = [
        seed
        for seed in next(iter(a.scores.values()))
        if all(seed in one.scores[number] for one in (a, b) for number in replicates)
    ]
    if not (replicates and seeds):
        raise ValueError(f"{a.title} and {b.title} were not run with the same seeds")
    return a.only(replicates, seeds), b.only(replicates, seeds)


def read_runs(
    dataset: str, variants: Sequence[str], seeds: Sequence[int], **options: str
) -> dict[str, list[Run]]:
    """The runs of these variants, finished or not; options are those of `configure`."""
    today = flows.shared_inputs()

    def read(variant: str, seed: int) -> Run:
        config = configure(dataset, variant, seed, **options)
        return read_run(config, today(config))

    return {variant: [read(variant, seed) for seed in seeds] for variant in variants}


def missing_folds(runs: Runs) -> tuple[str, ...]:
    """Notes that name every fold that is missing, and every one that is stale; () where all hold."""
    sentences = {
        "missing": "Folds that are missing (no number stands for a part of them)",
        "stale": "Folds that are stale, made of other settings or inputs than today's, and left out",
    }
    said: dict[str, list[str]] = {what: [] for what in sentences}
    for run in (run for of_seeds in runs.values() for run in of_seeds):
        title, every = f"{run.config.what.title}, seed {run.config.seed}", len(run.folds) + len(run.lacking)
        for what, names in (("missing", run.missing), ("stale", run.stale)):
            if names:
                said[what].append(f"{title}: " + ("all" if len(names) == every else ", ".join(names)))
    return tuple(f"{sentences[what]}: {'; '.join(lines)}." for what, lines in said.items() if lines)


def lacking(source: Found | Sequence[Run]) -> str:
    """ "k of n folds" of a variant, all seeds together, where some are missing; "" where none is."""
    if isinstance(source, Found):
        return source.lacking
    there, missing = sum(len(run.folds) for run in source), sum(len(run.lacking) for run in source)
    return f"{there} of {there + missing} folds" if missing else ""


#: What stands beside a spotting F1: F1 by chance, and false alarms per minute.
BESIDE = ("chance f1", "fp per minute")


def beside(found: Found) -> dict[str, str]:
    """`BESIDE` of one variant as text; {} where lengths are not known."""
    if not found.beside:
        return {}
    chance, alarms = found.beside
    return dict(zip(BESIDE, (f"{chance:.4f}", f"{alarms:.1f}"), strict=True))


def by_chance(run: Run, videos: Iterable[Video]) -> tuple[metrics.Chance, float]:
    """What chance alone hits with the intervals of a complete run, and its false alarms per minute."""
    lengths, truth = {video.key: video for video in videos}, run.truth
    frames = {key: lengths[key].n_frames for key in truth}
    seconds = sum(frames[key] / lengths[key].fps for key in truth)
    chance = metrics.chance(run.predicted, truth, frames, kind=run.config.settings.kind)
    return chance, metrics.per_minute(chance.observed.fp, seconds, fps=1)


def our_rows(runs: Mapping[str, Found | Sequence[Run]], videos: Iterable[Video] = ()) -> pd.DataFrame:
    """One row a variant: its title, and an `Estimate` for each of `metrics.MEASURES` as text.

    With videos, for their lengths, `BESIDE` as well. A variant with missing folds has "k of n folds" in place
    of every number.
    """
    rows, videos = [], list(videos)
    for variant, source in runs.items():
        found = found_in(source, videos)
        if found.lacking:
            cells = dict.fromkeys((*metrics.MEASURES, *BESIDE), found.lacking)
        else:
            cells = estimates(found) | beside(found)
        row = {"variant": variant, "type": "S&R", "method": found.title}
        rows.append(row | {measure: f"{cell}{found.partly}" for measure, cell in cells.items()})
    return pd.DataFrame(rows)
