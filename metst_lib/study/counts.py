"""What runs of the study found, as counts per video and class: the two files that every table is made from.

`counts.csv` has a line a video of each run, `counts_runs.csv` a line a run, with a hash over that line and
the run's counts. A run is a row of `rows.ROWS` on one replicate with one seed, all groups of subjects left
out in turn. Counts of recognition that are zero are left empty. Both files are committed.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from metst_lib import metrics
from metst_lib._files import write_text
from metst_lib.events import EMOTIONS, Key, Video
from metst_lib.fold import Fold
from metst_lib.metrics import SCORED, Counts, Scores, SubjectScores

NAME, RUNS_NAME = "counts.csv", "counts_runs.csv"
#: Columns of the recognition: "true class>predicted class", the true one scored.
CONFUSION = tuple(f"{true}>{said}" for true in SCORED for said in metrics.COLUMNS)
COLUMNS = (
    *("replicate", "row", "seed", "group", "subject", "video", "seconds", "tp", "fp", "fn"),
    *CONFUSION,
    "chance_tp",
)
#: (replicate, row, seed), which names a run.
Name = tuple[int, str, int]


@dataclass(frozen=True)
class Run:
    """A line of the second file.

    difficulty, settings, code: what decides the counts, as keys: of the difficulty file, of the row's recipe,
    of the library's steps. steps: of the optimiser, in a fold. seconds: of work. counts: the hash.
    """

    replicate: int
    row: str
    seed: int
    difficulty: str
    settings: str
    code: str
    git: str
    versions: str
    scan: str
    device: str
    parameters: int
    steps: int | None
    lr: float | None
    average_precision: float | None
    chance_f1: float
    fp_per_minute: float
    seconds: float
    counts: str = ""

    @property
    def name(self) -> Name:
        return self.replicate, self.row, self.seed

    @property
    def line(self) -> str:
        """The run's line but for its hash."""
        *values, _ = asdict(self).values()
        return _line("" if value is None else value for value in values)


RUN_COLUMNS = tuple(field.name for field in fields(Run))


@dataclass(frozen=True, eq=False)
class Counted:
    """A run with its lines in the first file, as written."""

    run: Run
    lines: tuple[str, ...]

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """Its videos, a dict by column each."""
        return list(csv.DictReader(self.lines, COLUMNS))

    @cached_property
    def scores(self) -> Scores:
        """What the run's folds score, from the counts."""
        found: dict[str, SubjectScores] = {}
        for row in self.rows:
            part = SubjectScores(Counts(*(int(row[name]) for name in ("tp", "fp", "fn"))), _confusion(row))
            if before := found.get(row["subject"]):
                summed = np.add(before.confusion, part.confusion)
                part = SubjectScores(before.spotting + part.spotting, tuple(map(tuple, summed.tolist())))
            found[row["subject"]] = part
        return Scores("strict", dict(sorted(found.items())))

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The subjects that were left out together, by the group's number."""
        found: dict[str, dict[str, None]] = {}
        for row in self.rows:
            found.setdefault(row["group"], {})[row["subject"]] = None
        return {group: tuple(subjects) for group, subjects in found.items()}

    @property
    def seconds(self) -> float:
        """Length of all videos."""
        return sum(float(row["seconds"]) for row in self.rows)


def _confusion(row: Mapping[str, str]) -> metrics.Confusion:
    seen = np.array([int(row[name] or 0) for name in CONFUSION]).reshape(len(SCORED), -1)
    others = np.zeros((len(EMOTIONS) - len(SCORED), len(metrics.COLUMNS)), dtype=int)
    return tuple(map(tuple, np.vstack([seen, others]).tolist()))


def _line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def lines_of(name: Name, folds: Sequence[Fold], videos: Iterable[Video]) -> tuple[list[str], metrics.Chance]:
    """The lines of a run's folds, one for each group, by group and video; and what chance finds of it."""
    every = {video.key: video for video in videos}
    predicted = {key: found for fold in folds for key, found in fold.predicted.items()}
    truth = {key: events for fold in folds for key, events in fold.truth.items()}
    frames = {key: every[key].n_frames for key in truth}
    chance = metrics.chance(predicted, truth, frames, kind=folds[0].rule.kind)
    lines = []
    for group, fold in enumerate(folds, start=1):
        for key in sorted(fold.truth):
            seconds = round(every[key].n_frames / every[key].fps, 3)
            values = (seconds, *_counted(fold, key), f"{chance.by_video[key]:g}")
            lines.append(_line((*name, group, *key, *values)))
    return lines, chance


def _counted(fold: Fold, key: Key) -> list[object]:
    scores = metrics.evaluate({key: fold.predicted[key]}, {key: fold.truth[key]}, kind=fold.rule.kind)
    part = scores.by_subject[key[0]]
    named = np.ravel(part.confusion[: len(SCORED)]).tolist()
    return [*asdict(part.spotting).values(), *(count or "" for count in named)]


def hashed(line: str, lines: Iterable[str]) -> str:
    """What vouches for a run's line and its counts."""
    return hashlib.sha256("\n".join((line, *lines)).encode()).hexdigest()[:12]


def text(lines: Iterable[str]) -> str:
    """The first file of these lines, with its columns."""
    return "\n".join((_line(COLUMNS), *lines, ""))


def write(folder: Path, counted: Iterable[Counted]) -> None:
    """Write both files, runs by their names."""
    ordered = sorted(counted, key=lambda one: one.run.name)
    write_text(folder / NAME, text(line for one in ordered for line in one.lines))
    about = [f"{one.run.line},{one.run.counts}" for one in ordered]
    write_text(folder / RUNS_NAME, "\n".join((_line(RUN_COLUMNS), *about, "")))


def read(folder: Path) -> dict[Name, Counted]:
    """The runs of both files by name.

    FileNotFoundError where they are not there; ValueError for another form, and naming the run whose
    line or counts are not those that were written.
    """
    lines, abouts = (
        _lines(folder / name, header) for name, header in ((NAME, COLUMNS), (RUNS_NAME, RUN_COLUMNS))
    )
    of_runs = {name: tuple(found) for name, found in groupby(lines, _name)}
    found: dict[Name, Counted] = {}
    for about in abouts:
        name = _name(about)
        counts, (line, _, written) = of_runs.pop(name, ()), about.rpartition(",")
        if written != hashed(line, counts):
            raise ValueError(
                f"{folder}: {NAME} or {RUNS_NAME} was edited: {in_words(name)} is not as it was counted"
            )
        values = {key: value or None for key, value in zip(RUN_COLUMNS, about.split(","), strict=True)}
        found[name] = Counted(_RUN.validate_python(values), counts)
    for name in of_runs:
        raise ValueError(f"{folder}: {NAME} was edited: no line of {RUNS_NAME} speaks of {in_words(name)}")
    return found


def in_words(name: Name) -> str:
    replicate, row, seed = name
    return f"replicate {replicate}, {row}, seed {seed}"


_RUN = TypeAdapter(Run)


def _lines(path: Path, columns: Sequence[str]) -> list[str]:
    header, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    if header != _line(columns):
        raise ValueError(f"{path} is no such file of ours: its columns are others")
    return lines


def _name(line: str) -> Name:
    replicate, row, seed, *_ = line.split(",")
    return int(replicate), row, int(seed)
