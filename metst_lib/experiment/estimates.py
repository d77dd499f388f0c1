"""Our numbers with their doubt: each measure over seeds, its interval over subjects, and paired differences.

`Difference.words` alone decides what a text may say of two variants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Estimate:
    """One measure of one variant: its value for each seed, and a 95 % interval over subjects."""

    values: tuple[float, ...]
    low: float
    high: float

    def __str__(self) -> str:
        spread = f" ± {np.std(self.values, ddof=1):.4f}" if len(self.values) > 1 else ""
        return f"{np.mean(self.values):.4f}{spread} [{self.low:.2f}, {self.high:.2f}]"


def estimates(runs: Sequence[Run]) -> dict[str, Estimate]:
    """Each of `metrics.MEASURES` of one variant; the runs, its seeds, must be complete."""
    scores = [run.scores() for run in runs]
    found = {measure: inference.interval_of(scores, measure) for measure in metrics.MEASURES}
    return {
        measure: Estimate(tuple(s.measure(measure) for s in scores), interval.low, interval.high)
        for measure, interval in found.items()
    }


@dataclass(frozen=True)
class Difference:
    """One measure of one variant less that of another: for each seed, and a 95 % interval over subjects.

    p: of chance alone, after Holm among so many comparisons where `adjusted` made it; alike: whether it is
    shown that the two differ by less than `inference.ALIKE`.
    """

    values: tuple[float, ...]
    low: float
    high: float
    p: float = 1.0
    alike: bool = False
    among: int = 1

    @classmethod
    def of(cls, found: inference.Difference, values: Sequence[float] = ()) -> Difference:
        """As `inference.paired` found it; values: of each seed, where there are several."""
        return cls(tuple(values) or (found.value,), found.low, found.high, found.p, found.within())

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

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
            return f"{side} with one seed{small}"
        agree = all(value * self.value > 0 for value in self.values)
        return (f"{side} with every seed" if agree else f"{side} on average, not with every seed") + small

    def __str__(self) -> str:
        return f"{self.value:+.4f} [{self.low:+.3f}, {self.high:+.3f}]"


def adjusted(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """The differences of one table, none adjusted yet, with p after Holm over all of them."""
    p = inference.holm([difference.p for difference in differences.values()])
    every = zip(differences.items(), p, strict=True)
    return {name: replace(one, p=new, among=len(p)) for (name, one), new in every}


def differences(a: Sequence[Run], b: Sequence[Run]) -> dict[str, Difference]:
    """Each of `metrics.MEASURES` of one variant less another's; runs complete, one for each seed.

    ValueError where the two do not have the same seeds, or folds are missing.
    """
    if [run.config.seed for run in a] != [run.config.seed for run in b]:
        raise ValueError("the two variants were not run with the same seeds, in the same order")
    of_a, of_b = [run.scores() for run in a], [run.scores() for run in b]
    return {
        measure: Difference.of(
            inference.paired(of_a, of_b, measure=measure),
            [x.measure(measure) - y.measure(measure) for x, y in zip(of_a, of_b, strict=True)],
        )
        for measure in metrics.MEASURES
    }


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


def lacking(runs: Sequence[Run]) -> str:
    """ "k of n folds" of a variant, all seeds together, where some are missing; "" where none is."""
    there, missing = sum(len(run.folds) for run in runs), sum(len(run.lacking) for run in runs)
    return f"{there} of {there + missing} folds" if missing else ""


#: What stands beside a spotting F1: F1 by chance, and false alarms per minute.
BESIDE = ("chance f1", "fp per minute")


def beside(runs: Sequence[Run], videos: Iterable[Video]) -> dict[str, str]:
    """`BESIDE` of one variant as text, means over its seeds; the runs complete, videos: for their lengths."""
    found = [by_chance(run, videos) for run in runs]
    chance, alarms = np.mean([(chance.f1, alarms) for chance, alarms in found], axis=0)
    return dict(zip(BESIDE, (f"{chance:.4f}", f"{alarms:.1f}"), strict=True))


def by_chance(run: Run, videos: Iterable[Video]) -> tuple[metrics.Chance, float]:
    """What chance alone hits with the intervals of a complete run, and its false alarms per minute."""
    lengths, truth = {video.key: video for video in videos}, run.truth
    frames = {key: lengths[key].n_frames for key in truth}
    seconds = sum(frames[key] / lengths[key].fps for key in truth)
    chance = metrics.chance(run.predicted, truth, frames, kind=run.config.settings.kind)
    return chance, metrics.per_minute(chance.observed.fp, seconds, fps=1)


def our_rows(runs: Runs, videos: Iterable[Video] = ()) -> pd.DataFrame:
    """One row a variant: its title, and an `Estimate` for each of `metrics.MEASURES` as text.

    With videos, for their lengths, `BESIDE` as well. A variant with missing folds has "k of n folds" in place
    of every number.
    """
    rows, videos = [], list(videos)
    for variant, of_seeds in runs.items():
        short = lacking(of_seeds)
        if short:
            cells = dict.fromkeys((*metrics.MEASURES, *BESIDE), short)
        else:
            cells = estimates(of_seeds) | (beside(of_seeds, videos) if videos else {})
        row = {"variant": variant, "type": "S&R", "method": VARIANTS[variant].title}
        rows.append(row | {measure: str(cell) for measure, cell in cells.items()})
    return pd.DataFrame(rows)
