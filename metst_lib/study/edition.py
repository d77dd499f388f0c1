"""An edition of the study, grown run by run: pieces on this machine, then the committed counts.

A piece is one row on one replicate with one seed: `data/runs/study/<replicate>/<row>/seed<k>` with `.csv`
(its counts), `.json` (what it was made of and with) and, of a training, `.npz` (its curves, for decoders).
Pieces that hold are skipped, others are made again; rows that share a training read the same curves.
"""

import dataclasses
import itertools
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from metst_lib import fold as folding
from metst_lib import metrics, rois, spotting, ssm
from metst_lib._files import atomic, digest, read_npz, write_text
from metst_lib.events import Key, Prediction
from metst_lib.experiment import provenance, records, store
from metst_lib.experiment.config import configure, home
from metst_lib.fold import Fold
from metst_lib.study import controls, counts, rows
from metst_lib.study.counts import Counted, Name, Run
from metst_lib.synthetic import replicates
from metst_lib.synthetic.difficulty import difficulty

#: The replicates that an edition has when it is whole: 1 to so many.
REPLICATES = 5
#: The library's steps and, as "study", replicates and controls: raised by whoever changes what they give.
STEPS = store.STEPS | {"study": 1}


@dataclass(frozen=True)
class About:
    """The record of a piece: its line among the runs, and what it was made with."""

    run: Run
    made_with: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run found: its line and counts, and the curves of its test videos."""

    counted: Counted
    predictions: Mapping[Key, Prediction]
    made_with: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """The runs that one training serves, the one that is trained first."""

    root: Path
    replicate: int
    seed: int
    rows: tuple[str, ...]


def folder(root: Path) -> Path:
    """Where all pieces lie, below the compendium's folder."""
    return root / "data" / "runs" / "study"


def piece(root: Path, name: Name, suffix: str) -> Path:
    """A file of a piece."""
    replicate, row, seed = name
    return folder(root) / str(replicate) / row / f"seed{seed}{suffix}"


def places(root: str | Path = "") -> tuple[Path, Path]:
    """The compendium's folder, and that of the study's counts, tables and figures."""
    found = configure("synthetic", root=root).places
    return found.root, found.figures / "synthetic"


def numbers(text: str) -> tuple[int, ...]:
    """The replicates that a text such as "1-5" or "1,3" names; ValueError for any other."""
    found: list[int] = []
    for part in text.split(","):
        ends = part.strip().split("-")
        if len(ends) > 2 or not all(end.isdecimal() for end in ends):
            raise ValueError(f"replicates are numbers such as 1-5 or 1,3, not {text!r}")
        first, last = int(ends[0]), int(ends[-1])
        if first > last:
            raise ValueError(f"replicates {part} run backwards: {last}-{first} is wanted")
        found += range(first, last + 1)
    if 0 in found:
        raise ValueError(
            "replicate 0 is never counted: learning rates and the best variant are chosen on it; "
            "counted ones begin with 1"
        )
    return tuple(dict.fromkeys(found))


# --- what a run is --------------------------------------------------------------------------------------


def identity(name: Name) -> dict[str, str]:
    """What decides a run's counts, as keys: the difficulty file, the row's settings, the library's steps."""
    return {
        "difficulty": difficulty().key,
        "settings": digest(settings(name[1])),
        "code": digest(STEPS),
    }


def settings(row: str) -> dict[str, Any]:
    """A row's recipe and control, JSON-able."""
    return dataclasses.asdict(rows.recipe(row)) | {"control": rows.ROWS[row].control}


def differs(run: Run) -> list[str]:
    """Which keys of a run are not today's; a row that is no more has other settings."""
    if run.row not in rows.ROWS:
        return ["settings"]
    return [what for what, key in identity(run.name).items() if getattr(run, what) != key]


def held(root: Path, name: Name) -> About | None:
    """The record of a piece that is there, whole, and made of today's settings."""
    about = records.read(piece(root, name, ".json"), About)
    if about is None or about.run.name != name or differs(about.run):
        return None
    try:
        whole = counts.hashed(about.run.line, _lines(root, name)) == about.run.counts
    except OSError:
        return None
    return about if whole else None


def _lines(root: Path, name: Name) -> tuple[str, ...]:
    return tuple(piece(root, name, ".csv").read_text(encoding="utf-8").splitlines()[1:])


def run(number: int, row: str, seed: int, given: Outcome | None = None) -> Outcome:
    """All groups of a replicate left out in turn; given: a run whose training this row shares."""
    began, recipe, control = time.perf_counter(), rows.recipe(row), rows.ROWS[row].control
    drawn = replicates.replicate(number)
    if control:
        folds = [controls.CONTROLS[control](drawn, group, recipe, seed) for group in drawn.groups]
    else:
        flows, fit = drawn.flow(recipe.roi_set), folding.fit
        if given:
            flows, fit = dict.fromkeys(flows) | dict(given.predictions), _Given(given.counted.run.steps)
        folds = [folding.fold(flows, drawn.truth, group, recipe, seed, fit) for group in drawn.groups]
    lines, chance = counts.lines_of((number, row, seed), folds, drawn.videos)
    trained = recipe.training is not None
    made_with = provenance.surroundings("cpu", ssm.choose_backend("cpu") if trained else None)
    made_with = given.made_with if given else made_with
    versions = made_with["versions"] | {"python": made_with["machine"]["python"]}
    minutes = sum(video.n_frames / video.fps for video in drawn.videos) / 60
    about = Run(
        *(number, row, seed),
        **identity((number, row, seed)),
        git=made_with["git"] or "unknown",
        versions="; ".join(f"{name} {version}" for name, version in versions.items()),
        scan=made_with["backend"] or "none",
        device=made_with["machine"]["device"].replace(",", ""),
        parameters=rows.parameters(row),
        steps=folds[0].statistics.get("steps"),
        lr=recipe.training.lr if trained else None,
        average_precision=_average_precision(folds),
        chance_f1=round(chance.f1, 6),
        fp_per_minute=round(chance.observed.fp / minutes, 6),
        seconds=round(time.perf_counter() - began, 1),
    )
    about = dataclasses.replace(about, counts=counts.hashed(about.line, lines))
    predictions = {key: seen for fold in folds for key, seen in fold.predictions.items()}
    return Outcome(Counted(about, tuple(lines)), predictions, made_with)


class _Given:
    """A fit that "predicts" what a shared training predicted; in place of flow it takes that."""

    def __init__(self, steps: int | None) -> None:
        self.statistics, self.history = {"steps": steps}, ()

    def __call__(self, *_: Any) -> Any:
        return self

    def predict(self, seen: Prediction) -> Prediction:
        return seen


def _average_precision(folds: Sequence[Fold]) -> float | None:
    """Of all local peaks by height, one list over all folds; None where curves are marks and rank nothing."""
    ranked = {
        key: spotting.ranked(seen.score, seen.logits, fold.rule.half_width, kind=fold.rule.kind)
        for fold in folds
        for key, seen in fold.predictions.items()
    }
    truth = {key: events for fold in folds for key, events in fold.truth.items()}
    marks = all(len(np.unique(seen.score)) < 3 for fold in folds for seen in fold.predictions.values())
    if set(ranked) != set(truth) or marks:
        return None
    return round(metrics.average_precision(ranked, truth), 6)


# --- pieces ---------------------------------------------------------------------------------------------


def seeds(row: str) -> range:
    """The seeds of a row that are run: as many as any row with the same training has."""
    return range(max(rows.seeds(other) for other in rows.ROWS if _lead(other) == _lead(row)))


def _lead(row: str) -> str:
    """The row whose training a row reads: itself, or that it is trained as. ValueError where they differ in
    more than the rule."""
    lead = rows.ROWS[row].what.trained_as if not rows.ROWS[row].control else None
    if lead and dataclasses.replace(rows.recipe(lead), rule=rows.recipe(row).rule) != rows.recipe(row):
        raise ValueError(f"{row} is trained as {lead}, but they differ in more than the rule")
    return lead or row


def tasks(root: Path, numbers: Iterable[int], only: Collection[str] = ()) -> list[Task]:
    """What is missing of these replicates: one replicate after the other, expensive trainings first.

    only: the rows that are wanted, () for all. ValueError for an unknown one.
    """
    if unknown := [row for row in only if row not in rows.ROWS]:
        raise ValueError(f"unknown row {unknown[0]!r} of the study; known: {', '.join(rows.ROWS)}")
    families: dict[str, list[str]] = {}
    for row in only or rows.ROWS:
        families.setdefault(_lead(row), []).append(row)
    order = sorted(families, key=_cost, reverse=True)
    found = []
    for number, lead in itertools.product(numbers, order):
        for seed in seeds(lead):
            if missing := [row for row in families[lead] if not held(root, (number, row, seed))]:
                found.append(Task(root, number, seed, tuple(dict.fromkeys((lead, *missing)))))
    return found


def _cost(row: str) -> tuple[int, int]:
    """What orders rows by their time: channels of flow, and parameters, where something is trained."""
    recipe = rows.recipe(row)
    if recipe.training is None:
        return 0, 0
    return len(rois.channel_names(recipe.roi_set)), rows.parameters(row)


def run_missing(root: Path, numbers: Iterable[int], only: Collection[str] = (), jobs: int = 1) -> int:
    """Make what is missing, so many runs at once; returns how many runs were made.

    A run that fails stops no other: RuntimeError at the end, naming those that failed and why.
    """
    wanted, failed, made = tasks(root, numbers, only), {}, 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that begin below
    with (
        tqdm(total=sum(len(task.rows) for task in wanted), desc="study", unit="run") as line,
        ProcessPoolExecutor(jobs, get_context("spawn")) if jobs > 1 else _Here() as pool,
    ):
        begun = {pool.submit(work, task): task for task in wanted}
        for future in as_completed(begun):
            task = begun[future]
            line.update(len(task.rows))
            line.set_postfix_str(f"replicate {task.replicate}, {task.rows[0]}")
            try:
                made += len(future.result())
            except Exception as error:
                failed[task] = error
    if failed:
        said = "; ".join(
            f"{counts.in_words((t.replicate, t.rows[0], t.seed))}: {e}" for t, e in failed.items()
        )
        raise RuntimeError(f"{len(failed)} of {len(wanted)} trainings failed: {said}")
    return made


class _Here:
    """A pool of this process alone."""

    def __enter__(self) -> "_Here":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def submit(self, function: Any, argument: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(argument))
        except Exception as error:
            future.set_exception(error)
        return future


def work(task: Task) -> list[Name]:
    """Make the runs of one task, each kept at once; one that is there is read. Returns those made."""
    torch.set_num_threads(1)  # runs go side by side, one thread each
    cv2.setNumThreads(0)
    lead, *others = ((task.replicate, row, task.seed) for row in task.rows)
    made = []
    try:
        given = _read(task.root, lead)
    except FileNotFoundError:
        given = run(*lead)
        _keep(task.root, given)
        made.append(lead)
    for name in others:
        _keep(task.root, run(*name, given))
        made.append(name)
    return made


def _keep(root: Path, found: Outcome) -> None:
    """Write a piece; its record, which makes it hold, comes last."""
    name, arrays = found.counted.run.name, {}
    piece(root, name, ".json").unlink(missing_ok=True)
    for key, seen in found.predictions.items():
        arrays["score/" + "/".join(key)], arrays["logits/" + "/".join(key)] = seen.score, seen.logits
    if arrays and _lead(name[1]) == name[1]:
        with atomic(piece(root, name, ".npz")) as path:
            np.savez_compressed(path, **arrays)
    write_text(piece(root, name, ".csv"), counts.text(found.counted.lines))
    records.write(piece(root, name, ".json"), About(found.counted.run, found.made_with))


def curves(root: Path, name: Name) -> dict[Key, Prediction]:
    """What a run predicted, by video, of a row with a training of its own. FileNotFoundError where it is not
    on this machine."""
    path = piece(root, name, ".npz")
    if not (held(root, name) and path.is_file()):
        raise FileNotFoundError(
            f"no curves of {counts.in_words(name)} at {path}; `metst study run` leaves them"
        )
    stored = read_npz(path, "", "a file of curves")
    keys = [tuple(array.split("/")[1:]) for array in stored if array.startswith("score/")]
    return {
        key: Prediction(*(stored["/".join((part, *key))] for part in ("score", "logits"))) for key in keys
    }


def _read(root: Path, name: Name) -> Outcome:
    """A piece that holds, with its curves; FileNotFoundError where it does not."""
    seen = curves(root, name)
    about = records.read(piece(root, name, ".json"), About)
    return Outcome(Counted(about.run, _lines(root, name)), seen, about.made_with)


# --- the committed counts -------------------------------------------------------------------------------


def collect(root: Path, into: Path) -> dict[Name, Counted]:
    """Write what this machine holds into the committed counts; returns all of them.

    What stands there already and was not run here stays where difficulty, settings and code are today's;
    ValueError naming the runs where they are not. Rows that are no more are left out.
    """
    found = {name: one for name, one in committed(into).items() if name[1] in rows.ROWS}
    for number, row in itertools.product(_there(root), rows.ROWS):
        for seed in seeds(row):
            if about := held(root, (number, row, seed)):
                found[number, row, seed] = Counted(about.run, _lines(root, (number, row, seed)))
    refuse(found.values())
    counts.write(into, found.values())
    return found


def kept(name: str, root: str | Path = "") -> Path:
    """A file of figures/synthetic for texts to read: the compendium's, the checkout's where that has none."""
    files = [place / "figures" / "synthetic" / name for place in (home(root), provenance.CHECKOUT)]
    return next((path for path in files if path.is_file()), files[0])


def committed(folder: Path) -> dict[Name, Counted]:
    """The counts that stand in a folder, {} where there are none yet."""
    return counts.read(folder) if (folder / counts.NAME).is_file() else {}


def refuse(found: Iterable[Counted]) -> None:
    """ValueError naming the runs that were made of another difficulty, settings or code than today's."""
    if other := {one.run.name: what for one in found if (what := differs(one.run))}:
        said = "; ".join(f"{counts.in_words(name)} ({', '.join(what)})" for name, what in other.items())
        raise ValueError(
            f"runs of another edition are not pooled with today's: {said}. `metst study run` makes them again"
        )


def _there(root: Path) -> list[int]:
    """The replicates that have pieces here, 0 left out."""
    return sorted(int(path.name) for path in folder(root).glob("[1-9]*") if path.name.isdecimal())
