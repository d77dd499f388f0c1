"""What a run still has to do: flow and folds that are missing or stale, the hours left, and its workflow.

A fold is done where it holds (`store.state`). The time of one that is not is what finished folds of its
variant took, on whatever machine; where none is finished, its steps are counted from the annotations and the
time of a step is measured with the variant's own network on random flow. `workflow` says all that the
Snakefile has to know.

Glossary: k frames of a window; C channels of flow; b windows of a batch.
"""

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from metst_lib import datasets, rois, synthetic, windows
from metst_lib.events import window_starts
from metst_lib.experiment import flows, runs, store
from metst_lib.experiment.config import Config, configure
from metst_lib.experiment.variants import TABLED

#: So many folds are named; of more, their number stands in the table already.
LISTED = 8


# --- what is left ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """flow: one row for each set of regions; folds: one for each variant and seed, with the hours left."""

    dataset: str
    flow: pd.DataFrame
    folds: pd.DataFrame

    def in_words(self, jobs: int) -> str:
        """What is left, with so many folds at once."""
        missing, cached = self.folds["missing"].sum(), self.flow["missing"].sum()
        stale = self.folds["stale"].sum()
        if not missing + stale:
            return f"{self.dataset}: every fold is finished" + (", but flow is missing" if cached else "")
        flow = f"flow of {cached} videos, " if cached else ""
        old = f", {stale} of them stale" if stale else ""
        return (
            f"{self.dataset}: {missing + stale} of {self.folds['folds'].sum()} folds are missing{old}, about "
            f"{_span(self.folds['hours left'].sum() / jobs)} with {jobs} at once; "
            f"{flow}notebooks and scoring come on top"
        )


def make(dataset: str, seeds: Iterable[int], variants: Sequence[str] = (), **options: str) -> Plan:
    """The plan of some variants (default: `TABLED`) and seeds. options are those of `configure`.

    FileNotFoundError, saying what was looked for and how to get it, where the data set is not there.
    """
    names = itertools.product(variants or TABLED, list(seeds))
    configs = [configure(dataset, name, seed, **options) for name, seed in names]
    today, by_folder = flows.shared_inputs(), {store.flow_folder(config): config for config in configs}
    flow = [(c.what.roi_set, [bool(held) for held in today(c).flow.values()]) for c in by_folder.values()]
    rows = [(roi_set, len(held), sum(held), len(held) - sum(held)) for roi_set, held in flow]
    states = {config: runs.states(config, today(config)) for config in configs}
    cached = pd.DataFrame(rows, columns=["regions", "videos", "cached", "missing"])
    return Plan(dataset, cached, pd.DataFrame([_row(config, states) for config in configs]))


def _row(config: Config, states: dict[Config, dict[str, str]]) -> dict[str, object]:
    of = {state: [s for s, other in states[config].items() if other == state] for state in _STATES}
    left = of["missing"] + of["stale"]
    seconds, source = _seconds(config, states) if left else (0.0, "")
    return {
        "variant": config.variant,
        "seed": config.seed,
        "folds": len(states[config]),
        "finished": len(of["valid"]),
        "missing": len(of["missing"]),
        "stale": len(of["stale"]),
        "which": ", ".join(left) if len(left) <= LISTED else "",
        "minutes a fold": seconds / 60,
        "hours left": seconds * len(left) / 3600,
        "time": source,
    }


_STATES = ("valid", "missing", "stale")


def _seconds(config: Config, states: dict[Config, dict[str, str]]) -> tuple[float, str]:
    """Seconds that a fold takes, and where that is known from."""
    if config.trained != config:
        return 0.0, f"none: trained as {config.trained.variant}"
    taken = [
        store.read_fitting(other, subject).spent.seconds
        for other, found in states.items()
        for subject, state in found.items()
        if other.variant == config.variant and state == "valid"
    ]
    if taken:
        return sum(taken) / len(taken), f"measured, {len(taken)} folds"
    if config.recipe.training is None:
        return 0.0, "none: not trained"
    n_windows, steps = fold_size(config)
    return steps * step_seconds(config, min(n_windows, config.recipe.training.batch)), "estimated"


def fold_size(config: Config) -> tuple[int, int]:
    """(training windows, steps) of one fold: the mean over videos, one subject left out."""
    data, k, training = flows.load_data(config), config.settings.window, config.recipe.training
    with_event, without = 0, 0
    for video in data.videos:
        if video.n_frames < k:
            continue  # gives no flow
        spot, _ = windows.targets(video.events, video.n_frames, config.settings.kind)
        has_event = windows.cut(spot, window_starts(video.n_frames, k), k).any(axis=1)
        with_event, without = with_event + has_event.sum(), without + (~has_event).sum()
    share = 1 - 1 / len(data.subjects)
    chosen = share * (with_event + min(without, training.ratio * with_event))
    return round(chosen), training.epochs * math.ceil(chosen / training.batch)


def step_seconds(config: Config, batch: int, repeats: int = 2) -> float:
    """The least time of a training step on b = batch random windows, in seconds, on one thread."""
    torch.set_num_threads(1)
    model, channels = config.recipe.build(), len(rois.channel_names(config.what.roi_set))
    flow = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, channels, config.settings.window)))
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        score, logits = model(flow.float())
        (score.square().mean() + logits.square().mean()).backward()
        optimiser.step()
        optimiser.zero_grad()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _span(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"


# --- the workflow ---------------------------------------------------------------------------------------

#: The variant of the model that `make demo` leaves: the one that finds most on subjects it has not seen,
#: for a few seconds more of training.
DEMONSTRATION = "me-tst-plus"
#: Notebook → the variants that it shows; it is executed where these are asked for.
CHAPTERS = {
    "01_data_exploration": (),
    "02_flow_extraction": ("me-tst", "me-tst-plus"),
    "03_me_tst": ("me-tst",),
    "04_me_tst_plus": ("me-tst", "me-tst-plus"),
    "05_synergy_ablations": ("me-tst", "me-tst-plus"),
    "06_visualization": ("me-tst", "me-tst-plus"),
    "07_your_own_video": (DEMONSTRATION,),
    "09_real_evidence": ("me-tst", "me-tst-plus"),
}
TABLES = (
    "table1_spotting_f1", "table2_recognition", "table3_analysis", "table4_result_synergy",
    "table5_ablation", "table5_differences",
)  # fmt: skip
DRAWN = (
    "fig1_state_transition", "fig2_window_against_video", "fig3_architecture", "fig4_result_synergy",
    "fig5_confusion", "fig6_one_video", "fig7_two_variants", "fig8_key_regions",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A job that trains some folds of one run. chapter: the notebook that runs them; flow: what this reads;
    needs: folds of the run whose training is shared; metrics: what it leaves, a file a fold. log: the
    executed notebook, since of a failed job Snakemake deletes the outputs and keeps the log."""

    name: str
    config: Config
    subjects: list[str]
    chapter: str
    flow: list[Path]
    needs: list[Path]
    metrics: list[Path]
    log: Path


def workflow(
    dataset: str = "synthetic",
    preset: str = "",
    seeds: Any = 1,
    variants: str = "",
    root: str = "",
    folds_per_job: Any = 0,
) -> SimpleNamespace:
    """All that the Snakefile asks, by Snakemake's --config settings; seeds is how many, variants have commas.

    By default a rendered set's folds of a run are one job, those of other sets a job each. What is told:

    - edition (`Config`), seeds, folds (the subjects left out in turn), jobs (`Job`);
    - rendered: the file that a rendered set ends with; labels: it, and the tables; sources: these, landmarks,
      and what the frames were;
    - flow: variant → report of its flow, one for each set of regions that is read; to_extract: those of them
      that do not hold; metrics: what all jobs leave; model: that of chapter 07;
    - pages, logs: executed chapters, as pages and as notebooks; drawn: the figures that a chapter leaves;
      tables; index: the page at the end.
    """
    edition = configure(dataset, preset=preset, root=root)
    reader, data, names = edition.reader, edition.places.data, str(variants or ",".join(TABLED)).split(",")
    configs = [_run(edition, *each) for each in itertools.product(names, range(int(seeds)))]
    rendered = [data / reader.name / reader.marker] if reader.truth else []
    there = all(path.exists() for path in rendered)
    labels = list(dict.fromkeys((*rendered, *(flows.tables_of(edition) if there else ()))))
    beside = (edition.places.landmarks, store.manifest_path(edition))
    # who is in a set is known before it is rendered
    planned = dict.fromkeys(video.subject for video in (() if there else synthetic.plan()))
    folds = runs.folds(edition) if there else list(planned)
    size = int(folds_per_job) or (len(folds) if rendered else 1)
    groups = [folds[at : at + size] for at in range(0, len(folds), size)]
    jobs = [_job(run, number, group) for run in configs for number, group in enumerate(groups)]
    read, both = {path for job in jobs for path in job.flow}, ("me-tst", "me-tst-plus")
    flow = {name: path for name in both if (path := store.flow_report_path(_run(edition, name))) in read}
    seen = not there or any(video.source for video in flows.load_data(edition).videos)
    chapters = _chapters(reader, names, seen)
    folder = store.figures_folder(edition)
    drawn = {"06_visualization": [folder / f"{name}.{kind}" for name in DRAWN for kind in ("png", "pdf")]}
    return SimpleNamespace(
        edition=edition,
        seeds=int(seeds),
        variants=",".join(names),
        rendered=rendered,
        labels=labels,
        sources=[*labels, *(path for path in beside if there and path.is_file())],
        folds=folds,
        jobs=jobs,
        flow=flow,
        to_extract={n: path for n, path in flow.items() if not there or _lacks(_run(edition, n))},
        metrics=[path for job in jobs for path in job.metrics],
        model=[store.model_path(_run(edition, DEMONSTRATION))] if "07_your_own_video" in chapters else [],
        pages={chapter: store.chapter_path(edition, chapter) for chapter in chapters},
        logs={chapter: store.chapter_path(edition, chapter, ".ipynb") for chapter in chapters},
        drawn={chapter: drawn.get(chapter, []) for chapter in chapters},
        tables=[folder / f"{name}.{kind}" for name in TABLES for kind in ("md", "csv", "tex")],
        index=store.index_page(edition),
    )


def _run(edition: Config, variant: str, seed: int = 0) -> Config:
    return configure(edition.dataset, variant, seed, edition.preset, edition.places.root)


def _job(config: Config, number: int, subjects: list[str]) -> Job:
    """Chapter 04 runs the slow-fast networks and compares both sets of regions, 03 runs all others."""
    slow_fast = config.what.network == "METSTPlus"
    read = [config, *(_run(config, name) for name in ("me-tst", "me-tst-plus") if slow_fast)]
    shared = config.trained
    return Job(
        name=f"{config.variant}_seed{config.seed}_job{number}",
        config=config,
        subjects=subjects,
        chapter="04_me_tst_plus" if slow_fast else "03_me_tst",
        flow=sorted({store.flow_report_path(each) for each in read}),
        needs=[store.metrics_path(shared, subject) for subject in subjects if shared != config],
        metrics=[store.metrics_path(config, subject) for subject in subjects],
        log=store.run_folder(config) / f"job{number}.ipynb",
    )


def _chapters(reader: datasets.Reader, variants: Sequence[str], seen: bool) -> list[str]:
    """The notebooks that are executed: where there are no frames, of signals and of imported flow, none can
    be shown, and a video of one's own is no part of a data set."""
    left_out = {"01", "02", "06"} if reader.flow or not seen else set()
    left_out |= set() if reader.truth else {"07"}
    asked = [name for name, shown in CHAPTERS.items() if set(shown) <= set(variants)]
    return [name for name in asked if name[:2] not in left_out]


def _lacks(config: Config) -> bool:
    """Whether flow is missing or stale."""
    return not store.flow_report_path(config).exists() or not all(flows.inputs(config).flow.values())


def stale(workflow: SimpleNamespace) -> set[str]:
    """Names of the rules whose files are there but do not hold: jobs with a stale fold, and the flow."""
    if not all(path.exists() for path in workflow.rendered):
        return set()
    today = flows.shared_inputs()

    def holds(job: Job) -> bool:
        return "stale" not in {store.state(job.config, s, today(job.config)) for s in job.subjects}

    names = {job.name for job in workflow.jobs if not holds(job)}
    return names | ({"flow"} if any(path.exists() for path in workflow.to_extract.values()) else set())
