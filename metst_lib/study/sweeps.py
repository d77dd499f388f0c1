"""Where spotting breaks: variants fitted once and tested on signals that are changed in one thing, and what
errors in the labels do.

Fitted on all subjects of replicate 0 and tested on the 24 others of replicate 6, neither of which is counted
in any other table. A sweep changes one field of the test's difficulty; what was fitted stays, k_p and the
window in frames with it, so that at 15 frames a second an interval lasts twice as long as in training.

An error in a label moves onset, apex and offset, each by its own normally distributed number of frames:
in training (fitted again, tested on true labels), or in truth (nothing is fitted anew, and a perfect spotter,
which finds every micro-expression where it really is, shows what such truths can still measure).

Glossary: S subjects of the test.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from metst_lib import baseline, fold, inference, metrics
from metst_lib._files import write_text
from metst_lib.events import Event, Key
from metst_lib.experiment import provenance
from metst_lib.spotting import Rule
from metst_lib.study import rows
from metst_lib.synthetic import replicates
from metst_lib.synthetic.replicates import Replicate
from metst_lib.windows import Flow

NAME = "sweeps.csv"
STORED = provenance.CHECKOUT / "figures" / "synthetic" / NAME
#: The rows of the study that are swept.
SWEPT = (baseline.NAME, "me-tst", "me-tst-plus", rows.BEST)
#: The replicates that variants are fitted on and tested on.
TRAINED, TESTED = 0, 6
#: Finds every micro-expression where it is.
PERFECT = "perfect spotter"
#: What a sweep belongs to, in the order of the table; those of a part are made together.
PARTS = ("signals", "labels", "pixels")
COLUMNS = (
    *("synthetic", "part", "sweep", "unit", "level", "own", "variant", "f1", "low", "high", "fp_per_minute"),
    *("tp", "fp", "fn", "minutes", "ahead", "ahead_low", "ahead_high", "difficulty", "revision"),
)


@dataclass(frozen=True)
class Sweep:
    """What is changed in the test: its name, the field of the difficulty, the levels with their unit.

    times: levels multiply the study's own, which is 1; else they are values of the field.
    """

    name: str
    field: str
    levels: tuple[float, ...]
    unit: str
    times: bool = False

    def changed(self, own: Any) -> dict[float, Any]:
        """The difficulties to test at by level, the study's own among them."""
        value = getattr(own, self.field)
        levels = sorted({*self.levels, 1 if self.times else value})
        values = {level: value * level if self.times else level for level in levels}
        return {level: dataclasses.replace(own, **{self.field: x}) for level, x in values.items()}


_TIMES = {"unit": "times the study's", "times": True}
SWEEPS = (
    Sweep("ME amplitude", "amplitude", (0.25, 0.5, 0.75, 1, 1.5, 2), **_TIMES),
    Sweep("noise", "noise", (0, 0.5, 1, 2, 4), **_TIMES),
    Sweep("head motion", "head", (0, 0.5, 1, 2, 4), **_TIMES),
    Sweep("landmark jitter as noise", "jitter", (0, 0.5, 1, 2, 4), **_TIMES),
    Sweep("frame rate", "fps", (15, 20, 30, 45, 60), "frames a second"),
    Sweep("rate of MEs", "me_per_minute", (0.5, 1, 2, 4, 8), "MEs a minute"),
    Sweep("overlap with macros", "overlap", (0, 0.3, 0.6), "share of MEs"),
)
#: Standard deviations of an error in the labels, in frames.
ERRORS = (0, 2, 4, 8)
IN_TRAINING, IN_TRUTH = "label error in training", "label error in truth"
_FRAMES = "frames, standard deviation"


@dataclass(frozen=True, eq=False)
class Spotter:
    """A fitted variant with its rule: what it finds in a video."""

    fitted: Any
    rule: Rule
    roi_set: str

    def find(self, flows: Mapping[Key, Flow]) -> dict[Key, list[Event]]:
        """The events of each video."""
        return {key: self.rule.find(self.fitted.predict(flow)) for key, flow in flows.items()}


@dataclass(frozen=True, eq=False)
class Trial:
    """What each spotter found, what is true, and the length of all videos."""

    found: Mapping[Any, Mapping[Key, list[Event]]]
    truth: Mapping[Key, list[Event]]
    minutes: float
    difficulty: str


def run(
    names: Sequence[str] = SWEPT,
    jobs: int = 1,
    make: Callable[..., Replicate] = replicates.replicate,
    sweeps: Sequence[Sweep] = SWEEPS,
    errors: Sequence[float] = ERRORS,
) -> pd.DataFrame:
    """The table of the parts "signals" and "labels" (`COLUMNS`), a line for each sweep, level and variant.

    names: of rows; jobs: processes; make: gives a replicate from its number and difficulty. f1 with its 95 %
    interval over subjects; ahead: F1 less that of the training-free baseline, paired by subject, empty where
    it is not among the names; own: whether the level is the study's own. ValueError for an unknown row.
    """
    if unknown := [name for name in names if name not in rows.ROWS]:
        raise ValueError(f"unknown row {unknown[0]!r}; known: {', '.join(rows.ROWS)}")
    own = make(TESTED).difficulty
    levels = [(sweep, *level) for sweep in sweeps for level in sweep.changed(own).items()]
    plain, erred = ([(name, e) for name in names for e in es] for es in ((0,), sorted({*errors} - {0})))
    with _workers(jobs) as mapped:
        fits = plain + erred
        spotters = dict(zip(fits, mapped(partial(_fitted, make), fits), strict=True))
        usual = {name: spotters[name, 0] for name in names}
        changed = list(dict.fromkeys(level[-1] for level in levels if level[-1] != own))
        todo = [(own, spotters), *((difficulty, usual) for difficulty in changed)]
        seen = tqdm(mapped(partial(_tested, make), todo), "sweeps", len(todo), disable=None)
        tests = dict(zip([own, *changed], seen, strict=True))
    lines = []
    for sweep, level, difficulty in levels:
        test, about = tests[difficulty], {"part": "signals", "sweep": sweep.name, "unit": sweep.unit}
        found = {name: test.found[name if difficulty != own else (name, 0)] for name in names}
        lines += measured(found, test, **about, level=level, own=difficulty == own)
    return table([*lines, *_of_labels(names, errors, tests[own], make(TESTED))])


def _of_labels(
    names: Sequence[str], errors: Sequence[float], test: Trial, replicate: Replicate
) -> Iterator[dict[str, Any]]:
    """The lines of errors in training and in truth."""
    lengths = {video.key: video.n_frames for video in replicate.videos}
    for error in errors:
        about = {"part": "labels", "unit": _FRAMES, "level": error, "own": error == 0}
        yield from measured(
            {name: test.found[name, error] for name in names}, test, sweep=IN_TRAINING, **about
        )
        moved = dataclasses.replace(test, truth=misplaced(test.truth, error, lengths, TESTED))
        found = {name: test.found[name, 0] for name in names} | {PERFECT: test.truth}
        yield from measured(found, moved, sweep=IN_TRUTH, **about)


def _fitted(make: Callable[..., Replicate], task: tuple[str, float]) -> Spotter:
    """A row of the study fitted on all videos of the replicate that trains, its labels moved by an error."""
    (name, error), replicate = task, make(TRAINED)
    recipe, lengths = rows.recipe(name), {video.key: video.n_frames for video in replicate.videos}
    truth = misplaced(replicate.truth, error, lengths, TRAINED)
    fitted = fold.fit(replicate.flow(recipe.roi_set), truth, recipe, 0)
    rule = recipe.rule.fitted(event for events in truth.values() for event in events)
    return Spotter(fitted, rule, recipe.roi_set)


def _tested(make: Callable[..., Replicate], task: tuple[Any, Mapping[Any, Spotter]]) -> Trial:
    """What spotters find in the replicate that tests, made of a difficulty."""
    difficulty, spotters = task
    replicate = make(TESTED, difficulty)
    found = {name: spotter.find(replicate.flow(spotter.roi_set)) for name, spotter in spotters.items()}
    truth = {key: [e for e in events if e.kind == "micro"] for key, events in replicate.truth.items()}
    minutes = sum(video.n_frames / video.fps for video in replicate.videos) / 60
    return Trial(found, truth, minutes, difficulty.key)


def misplaced(
    truth: Mapping[Key, Sequence[Event]], error: float, n_frames: Mapping[Key, int], seed: int = 0
) -> dict[Key, list[Event]]:
    """Micro-expressions whose onset, apex and offset are each moved by a normal error of so many frames.

    Moved ones are put back in their order and into the video. The same seed moves them the same way, in
    proportion to the error. Other kinds stay.
    """
    rng, found = np.random.default_rng(seed), {}
    for key in sorted(truth):
        found[key] = []
        for event in truth[key]:
            if event.kind == "micro":
                ends = event.onset, event.apex if event.apex is not None else event.onset, event.offset
                at = np.rint(ends + error * rng.standard_normal(3)).astype(int)
                if event.apex is None:
                    at[1] = at[0]
                onset, apex, offset = sorted(np.clip(at, 0, n_frames[key] - 1).tolist())
                apex = None if event.apex is None else apex
                event = dataclasses.replace(event, onset=onset, apex=apex, offset=offset)
            found[key].append(event)
    return found


def measured(
    found: Mapping[str, Mapping[Key, Sequence[Event]]], test: Trial, **about: Any
) -> list[dict[str, Any]]:
    """A line of the table for each variant: what it found against the truth of a test."""
    counts = {name: _counts(of_name, test.truth) for name, of_name in found.items()}
    lines = []
    for name, of_name in counts.items():
        tp, fp, fn = of_name.sum(axis=0).tolist()
        f1 = inference.interval(of_name)
        line = about | {"variant": name, "f1": f1.value, "low": f1.low, "high": f1.high}
        line |= {"fp_per_minute": fp / test.minutes, "tp": tp, "fp": fp, "fn": fn, "minutes": test.minutes}
        if name != baseline.NAME and baseline.NAME in counts:
            more = inference.paired(of_name, counts[baseline.NAME])
            line |= {"ahead": more.value, "ahead_low": more.low, "ahead_high": more.high}
        lines.append(line | {"difficulty": test.difficulty})
    return lines


def _counts(found: Mapping[Key, Sequence[Event]], truth: Mapping[Key, Sequence[Event]]) -> np.ndarray:
    """TP, FP, FN of each subject, int (S, 3)."""
    scores = metrics.evaluate(found, truth).by_subject.values()
    return np.array([[part.spotting.tp, part.spotting.fp, part.spotting.fn] for part in scores])


def table(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Lines as a table with all `COLUMNS`: with the synthetic set and the revision that they were made by."""
    made = pd.DataFrame(lines, columns=list(COLUMNS))
    made["synthetic"] = np.where(made["part"] == "pixels", "demo", "study")
    return made.assign(revision=provenance.git_revision() or "")


def write(made: pd.DataFrame, path: str | Path) -> Path:
    """Write the table; parts that it lacks stay as they are in the file, if there is one."""
    if Path(path).is_file():
        there = read(path)
        made = pd.concat([there[~there["part"].isin(made["part"])], made], ignore_index=True)
    made = made.sort_values("part", key=lambda part: part.map(PARTS.index), kind="stable")
    return write_text(path, made.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def read(path: str | Path = STORED) -> pd.DataFrame:
    """The table of a file, the stored one by default; FileNotFoundError naming the command, ValueError for
    another file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no {path}; make them with `metst study sweeps`")
    made = pd.read_csv(path, dtype={"difficulty": str, "revision": str}, keep_default_na=True)
    if list(made.columns) != list(COLUMNS) or not set(made["part"]) <= set(PARTS):
        raise ValueError(f"{path} is no table of sweeps: its columns or parts are others")
    return made


def title(variant: str) -> str:
    """What tables and figures call a variant."""
    return rows.ROWS[variant].what.title if variant in rows.ROWS else variant


def falls_under(made: pd.DataFrame) -> list[str]:
    """For each variant a sentence: at which levels its F1 lies under that of the training-free baseline.

    Under it, where the interval of the paired difference lies below 0; not told apart, where it holds 0.
    """
    said = []
    for variant, of_variant in made[made["ahead"].notna()].groupby("variant", sort=False):
        if variant == PERFECT:
            continue
        under = of_variant["ahead_high"] < 0
        even = ~under & (of_variant["ahead_low"] <= 0)
        said.append(
            f"{title(variant)}. Under the training-free baseline: {_where(of_variant[under])}. Not told "
            f"apart from it: {_where(of_variant[even])}. Above it: at {int((~under & ~even).sum())} of "
            f"{len(of_variant)} levels."
        )
    return said


def _where(levels: pd.DataFrame) -> str:
    return (
        "; ".join(
            f"{sweep} {', '.join(f'{level:g}' for level in of_sweep['level'])}"
            for sweep, of_sweep in levels.groupby("sweep", sort=False)
        )
        or "nowhere"
    )


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A map over so many processes of one thread each; of one, in this process."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield pool.map
