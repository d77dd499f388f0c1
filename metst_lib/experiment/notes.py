"""What stands below the tables: fixed sentences, and those that follow from the runs."""

import dataclasses
import importlib.resources
import tomllib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from metst_lib.experiment import flows
from metst_lib.experiment.config import Config
from metst_lib.experiment.estimates import Found
from metst_lib.experiment.runs import Run
from metst_lib.experiment.variants import ABLATION

TEXTS: dict[str, Any] = tomllib.loads(
    (importlib.resources.files("metst_lib.experiment") / "notes.toml").read_text(encoding="utf-8")
)


def fixed(table: str) -> list[str]:
    """The sentences below a table that follow from no run."""
    return [TEXTS["sentences"][name] for name in TEXTS["tables"][table]["notes"]]


def caption(table: str, kind: str) -> str:
    """What stands above a table; kind: of which data, as `kind` says it."""
    return TEXTS["tables"][table]["caption"].format(kind=kind)


def kind(config: Config) -> str:
    """The data of runs and what is counted of them."""
    counted = {"micro": "an ME", "macro": "a macro-expression"}[config.settings.kind]
    data = f"SYNTHETIC data, {config.preset}" if config.reader.synthetic else config.reader.title
    return f"{data}, counting videos with {counted}"


def about(config: Config, seeds: int) -> tuple[str, ...]:
    data = flows.load_data(config)
    kind = config.settings.kind
    events = sum(len(video.events_of(kind)) for video in data.videos)
    name = {"micro": "MEs", "macro": "macro-expressions"}[kind]
    one = "1 seed: its value" if seeds == 1 else f"{seeds} seeds: mean ± standard deviation over seeds"
    size = (
        f"Ours: leave-one-subject-out on {config.reader.title} data, preset `{config.preset}`, "
        f"{len(data.subjects)} subjects, {len(data.videos)} videos, {events} {name}, scorer "
        f"`strict`. {one}, and in brackets the 95 % interval over subjects (jackknife)."
    )
    if not config.reader.synthetic:
        return (size,)
    return (
        size,
        f"Synthetic data are {config.reader.origin}: our numbers say how the methods compare with each other "
        "on them, and nothing about the published columns, which come from real data.",
    )


def absent(found: Mapping[str, Found]) -> tuple[str, ...]:
    """Scored classes that appear neither as truth nor as prediction among the spotted MEs of a run."""
    said = []
    for one in found.values():
        for replicate, seeds in one.scores.items():
            where = f", replicate {replicate}" if replicate else ""
            for seed, scores in seeds.items():
                if classes := scores.recognition.absent:
                    said.append(f"{one.title}{where}, seed {seed}: {', '.join(classes)}")
    if not said:
        return ()
    return (
        "Classes with nothing true and nothing called so among the spotted MEs (they stay in the means with "
        f"the value 0): {'; '.join(said)}.",
    )


def unequal(config: Config) -> tuple[str, ...]:
    """What else differs between rows with one path and rows with two: the size."""
    sizes = {}
    for variant in ("me-tst", "single-path-18roi", "slowfast-5roi", "me-tst-plus"):
        network = dataclasses.replace(config, variant=variant).recipe.build()
        sizes[variant] = sum(parameter.numel() for parameter in network.parameters())
    rows = "; ".join(f"row {ABLATION.index(variant) + 1} {size:,}" for variant, size in sizes.items())
    return (f"Networks differ in size as well (parameters: {rows}); all are trained alike.",)


def paired(seeds: int, intervals: int) -> list[str]:
    """How paired differences are to be read, and how many would differ by chance."""
    names = ("paired_one_seed" if seeds == 1 else "paired", "by_chance")
    chance = round(intervals / 20)
    return [TEXTS["sentences"][n].format(seeds=seeds, intervals=intervals, chance=chance) for n in names]


def fitted(run: Run) -> tuple[str, ...]:
    """What the training-free comparator chose on the training subjects: each setting over all folds."""
    fitted = [fold.statistics for fold in run.folds.values()]
    if not fitted:
        return ()
    plain = [name for name, value in fitted[0].items() if not isinstance(value, list | dict)]
    chosen = "; ".join(f"{name} {_over_folds([fold[name] for fold in fitted])}" for name in plain)
    return (
        f"Flow magnitude has no training; its settings, fitted on each fold's training subjects: {chosen}.",
    )


def _over_folds(values: list) -> str:
    """Numbers as their range, everything else with how often it was chosen."""
    if all(isinstance(value, float) for value in values):
        low, high = f"{min(values):.2f}", f"{max(values):.2f}"
        return low if low == high else f"{low} to {high}"
    counts = Counter(map(str, values)).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{value} ({n} folds)" for value, n in counts)
