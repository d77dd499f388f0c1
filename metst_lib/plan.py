"""What a run would still have to do: flow that is missing, folds that are missing, and the hours they take.

A fold counts as finished where `experiment.run_fold` would skip it. The time of a missing one is what
finished folds of its variant took, on whatever machine; where none is finished it is estimated (`cost`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from metst_lib import cost, experiment
from metst_lib._files import read_json

LISTED = 8
"""So many missing folds are named; of more, their number stands in the table already."""

Finished = list[tuple[experiment.Config, list[str]]]
"""Runs, each with the subjects whose fold is finished."""


@dataclass(frozen=True)
class Plan:
    """flow: one row for each set of regions; folds: one for each variant and seed, with the hours left."""

    dataset: str
    flow: pd.DataFrame
    folds: pd.DataFrame

    def in_words(self, jobs: int) -> str:
        """What is left, with so many folds at once."""
        missing, cached = self.folds["missing"].sum(), self.flow["missing"].sum()
        if not missing:
            return f"{self.dataset}: every fold is finished" + (", but flow is missing" if cached else "")
        hours = self.folds["hours left"].sum() / jobs
        span = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
        flow = f"flow of {cached} videos, " if cached else ""
        return (
            f"{self.dataset}: {missing} of {self.folds['folds'].sum()} folds are missing, about {span} with "
            f"{jobs} at once; {flow}notebooks and scoring come on top"
        )


def make(dataset: str, seeds: Iterable[int], variants: Sequence[str] = (), **options: str) -> Plan:
    """The plan of some variants (default: all) and seeds. options are those of `experiment.configure`.

    FileNotFoundError, saying what was looked for and how to get it, where the data set is not there.
    """
    seeds, variants = list(seeds), list(variants or experiment.VARIANTS)
    runs = [
        experiment.configure(dataset, name, seed, **options)
        for name, seed in itertools.product(variants, seeds)
    ]
    folders = {run.flow_folder: run for run in runs}
    flow = pd.DataFrame([_flow_row(run) for run in folders.values()])
    finished = [(run, experiment.finished(run)) for run in runs]
    rows = [_row(run, subjects, finished) for run, subjects in finished]
    return Plan(dataset, flow, pd.DataFrame(rows))


def _flow_row(run: experiment.Config) -> dict[str, object]:
    videos = experiment.load_data(run).videos
    cached = sum(experiment.flow_path(run, video).exists() for video in videos)
    return {
        "regions": run.what.roi_set,
        "videos": len(videos),
        "cached": cached,
        "missing": len(videos) - cached,
    }


def _row(run: experiment.Config, done: list[str], finished: Finished) -> dict[str, object]:
    known = experiment.folds(run)
    missing = [subject for subject in known if subject not in done]
    seconds, source = _seconds(run, finished) if missing else (0.0, "")
    return {
        "variant": run.variant,
        "seed": run.seed,
        "folds": len(known),
        "finished": len(known) - len(missing),
        "missing": len(missing),
        "which": ", ".join(missing) if len(missing) <= LISTED else "",
        "minutes a fold": seconds / 60,
        "hours left": seconds * len(missing) / 3600,
        "time": source,
    }


def _seconds(run: experiment.Config, finished: Finished) -> tuple[float, str]:
    """Seconds that a fold takes, and where that is known from."""
    if run.trained != run:
        return 0.0, f"none: trained as {run.trained.variant}"
    taken = [
        read_json(experiment.fold_folder(other, subject) / "config.json")["seconds"]
        for other, subjects in finished
        if other.variant == run.variant
        for subject in subjects
    ]
    if taken:
        return sum(taken) / len(taken), f"measured, {len(taken)} folds"
    if run.what.network not in run.settings.training:
        return 0.0, "none: not trained"
    windows, steps = cost.fold_size(run)
    return steps * cost.step_seconds(run, min(windows, run.training.batch)), "estimated"
