"""The study's tables, from the committed counts alone: no network, no curve, no run folder.

Tables I–V as `experiment.tables` makes them of runs, and the study's own: all rows, the pairs that answer a
claim, the controls, what differs between rows, which expressions are confused. Counts are pooled over
replicates, and whole replicates are left out for an interval; of a single one its groups of subjects.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import metrics
from metst_lib.experiment import estimates, notes, provenance, tables
from metst_lib.experiment.estimates import Found
from metst_lib.experiment.provenance import Behind, RunAbout
from metst_lib.experiment.tables import DASH, Ours, Table
from metst_lib.metrics import SCORED
from metst_lib.study import controls, counts, edition, effects, rows
from metst_lib.study.counts import Counted, Name
from metst_lib.synthetic.difficulty import difficulty

#: How our columns name the data, and what a replicate's numbers are made of.
WHERE = "synthetic study"
#: The rows of Tables I–III.
SHOWN = (
    *("chance", "blind-tiling", "flow-magnitude", "attention", "convolution"),
    *("me-tst", "me-tst-plus", "boosting-vrme"),
)
#: The row whose confusions are shown.
CONFUSED = "me-tst-plus"
#: Measures of the study's own tables.
MEASURES = {
    "F1 spot.": "spotting.f1",
    "F1 recog.": "recognition.f1",
    "UF1": "recognition.uf1",
    "STRS": "strs",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All counts by run, and what of the edition is there: replicates, and by row those that it has."""

    counted: Mapping[Name, Counted]

    @property
    def replicates(self) -> list[int]:
        """The replicates of which anything is there."""
        return sorted({replicate for replicate, _, _ in self.counted})

    def of(self, row: str) -> dict[int, dict[int, Counted]]:
        """A row's runs: replicate → seed → run, of the seeds that each replicate has."""
        found: dict[int, dict[int, Counted]] = {}
        for (replicate, name, seed), one in sorted(self.counted.items()):
            if name == row:
                found.setdefault(replicate, {})[seed] = one
        common = set.intersection(*map(set, found.values())) if found else set()
        return {
            r: {seed: one for seed, one in of.items() if seed in common} for r, of in found.items() if common
        }

    def found(self, row: str) -> Found:
        """What the row found; its numbers say where they lack replicates that other rows have."""
        title, of, every = rows.ROWS[row].what.title, self.of(row), self.replicates
        if not of:
            return Found(title, lacking=f"0 of {len(every)} replicates")
        runs = [one for seeds in of.values() for one in seeds.values()]
        beside = np.mean([(one.run.chance_f1, one.run.fp_per_minute) for one in runs], axis=0)
        lists = ", ".join(map(str, of))
        return Found(
            title,
            {replicate: {seed: one.scores for seed, one in seeds.items()} for replicate, seeds in of.items()},
            tuple(map(float, beside)),
            partly="" if len(of) == len(every) else f" (replicate{'s' * (len(of) > 1)} {lists} only)",
            units=_units(runs),
        )

    @cached_property
    def every(self) -> dict[str, Found]:
        """What each row found, by its name."""
        return {row: self.found(row) for row in rows.ROWS}

    @property
    def stale(self) -> str:
        """What of today's library the counts were not made of, behind a caption; "" where all holds."""
        other = dict.fromkeys(what for one in self.counted.values() for what in edition.differs(one.run))
        return f"; made of other {', '.join(other)} than today's" if other else ""

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Notes that name the replicates and seeds that rows lack; () where none does."""
        said = []
        if absent := [n for n in range(1, edition.REPLICATES + 1) if n not in self.replicates]:
            said.append(f"of {edition.REPLICATES} replicates {', '.join(map(str, absent))}")
        for row in names:
            seeds, lacks = edition.seeds(row), []
            for replicate in self.replicates:
                gone = [str(seed) for seed in seeds if (replicate, row, seed) not in self.counted]
                if gone:
                    which = "" if len(gone) == len(seeds) else f" seed {', '.join(gone)}"
                    lacks.append(f"replicate {replicate}{which}")
            if lacks:
                said.append(f"{rows.ROWS[row].what.title}: {', '.join(lacks)}")
        if not said:
            return ()
        return (
            "Missing from this edition: "
            + "; ".join(said)
            + ". Numbers and intervals are of what is there; a seed that not every replicate of a row has is "
            "left out, and differences are taken on what both rows have.",
        )

    def about(self) -> str:
        """Of what and how much the numbers are made."""
        one = next(iter(self.counted.values()))
        several = len(self.replicates) > 1
        subjects, minutes = len(one.scores.by_subject), one.seconds / 60
        return (
            f"Ours: {len(self.replicates)} replicates of {subjects} subjects and {minutes:.0f} minutes of "
            f"synthetic signals each (difficulty {one.run.difficulty}), {len(one.groups)} groups of subjects "
            "left out in turn, all videos counted, scorer `strict`. Counts are pooled over replicates, "
            "measures are means over seeds; ± is the standard deviation over replicates, in brackets stands "
            f"the 95 % interval (jackknife over {'replicates' if several else 'groups'}). They say how the "
            "methods compare on these signals, and nothing about the published columns, which "
            "come from real data."
        )

    def caption(self) -> str:
        """The data in a caption."""
        one = next(iter(self.counted.values()))
        many = f"{len(self.replicates)} replicate{'s' * (len(self.replicates) != 1)}"
        return f"SYNTHETIC data, study: {many} of {len(one.scores.by_subject)} subjects"

    def behind(self, names: Sequence[str]) -> Behind:
        """What the side file of a table of these rows says."""
        made_with, runs = [], []
        for row in names:
            by_seed: dict[int, dict[str, list]] = {seed: {} for seed in edition.seeds(row)}
            for replicate, seeds in self.of(row).items():
                for seed, one in seeds.items():
                    around = _surroundings(one)
                    if around not in made_with:
                        made_with.append(around)
                    keys = (
                        f"difficulty {one.run.difficulty}, settings {one.run.settings}, code {one.run.code}"
                    )
                    values = [made_with.index(around), one.run.seconds, one.run.counts, keys]
                    by_seed.setdefault(seed, {})[str(replicate)] = values
            for seed, folds in by_seed.items():
                lacks = [str(r) for r in self.replicates if str(r) not in folds]
                runs.append(RunAbout(row, seed, folds, rows.ROWS[row].what.trained_as, lacks))
        return Behind(
            [("synthetic", "study")],
            {row: _settings(row) for row in names},
            made_with,
            runs,
            ("surroundings", "seconds", "counts", "made of"),
            f"{counts.NAME}, {counts.RUNS_NAME}",
        )


def read(folder: Path, today: bool = True) -> Study:
    """The counts in a folder; ValueError where they were edited and where there are none. today: ValueError
    as well where they are of another edition than today's; else only where they are of several sets."""
    found = counts.read(folder)
    known = {name: one for name, one in found.items() if name[1] in rows.ROWS}
    if today:
        edition.refuse(known.values())
    if len(sets := {one.run.difficulty for one in known.values()}) > 1:
        raise ValueError(
            f"{folder}: counts of several difficulties are not pooled: {', '.join(sorted(sets))}"
        )
    if not known:
        raise ValueError(
            f"{folder / counts.NAME} holds no counts of today's rows; `metst study run` makes them"
        )
    return Study(known)


def stored(root: str | Path = "") -> Study:
    """The study as it is committed, for texts: the counts of the compendium's folder, of the checkout where
    that has none. They may be older than today's code, which `Study.stale` says."""
    return read(edition.kept(counts.NAME, root).parent, today=False)


def _units(runs: Sequence[Counted]) -> dict[str, str]:
    """Subject → the group that it was left out with, the same in all runs."""
    every = [{s: group for group, subjects in one.groups.items() for s in subjects} for one in runs]
    if any(one != every[0] for one in every):
        raise ValueError(f"{runs[0].run.row}: the runs do not leave out the same groups of subjects")
    return every[0]


def _surroundings(one: Counted) -> dict:
    versions = dict(part.rsplit(" ", 1) for part in one.run.versions.split("; "))
    machine = {"python": versions.pop("python"), "system": "", "device": one.run.device}
    return {
        "backend": one.run.scan,
        "git": one.run.git,
        "lock": None,
        "versions": versions,
        "machine": machine,
    }


def _settings(row: str) -> dict:
    return edition.settings(row) | {"difficulty": difficulty().key}


# --- tables ---------------------------------------------------------------------------------------------


def make(study: Study) -> list[Table]:
    """All tables of the study."""
    ours = Ours(
        WHERE, study.caption(), study.every, SHOWN, (study.about(),), study.missing, behind=study.behind
    )
    return [
        *tables.tables_of(ours),
        _paper_pairs(ours),
        _rows(ours, study),
        _pairs(ours),
        _controls(ours),
        _what_differs(ours),
        _confusion(ours),
    ]


def _paper_pairs(ours: Ours) -> Table:
    """The demo's pairs that the study has, too."""
    pairs = [pair for pair in tables.PAIRS if set(pair[1:]) <= set(ours.found)]
    frame = tables.difference_rows(ours.where, ours.found, pairs, holm=True)
    named = list(dict.fromkeys(row for _, *pair in pairs for row in pair))
    table = ours.table("table5_differences", frame, named, [(a, b) for _, a, b in pairs])
    return dataclasses.replace(table, notes=(*table.notes, _HOLM.format(pairs=len(pairs))))


_HOLM = (
    "Row less row on the replicates and seeds that both have. What is called higher or lower is so after "
    "Holm among the {pairs} pairs of a measure; no difference larger than .02 is said only where it is shown."
)


def _own(
    ours: Ours, name: str, title: str, frame: pd.DataFrame, sources: Sequence[tuple], *said: str
) -> Table:
    """One of the study's own tables, with what it says below."""
    named = list(dict.fromkeys(row for of in sources for row in of))
    below = (*ours.about, *ours.missing(named), *said)
    return Table(name, f"{title}. Ours: {ours.kind}", frame, below, {}, sources, ours.behind(named))


def _cells(ours: Ours, row: str, measures: Mapping[str, str]) -> dict[str, str]:
    """Each measure of a row with its interval, chance and false alarms, by column."""
    (found,) = estimates.our_rows({row: ours.found[row]}).to_dict("records")
    columns = {f"{title}, {ours.where}, ours": name for title, name in measures.items()}
    return {title: found[name] for title, name in (columns | tables.beside_columns(ours.where)).items()}


def _runs_of(found: Found) -> str:
    seeds = len(next(iter(found.scores.values()), ()))
    return f"{len(found.scores)} × {seeds}"


def _rows(ours: Ours, study: Study) -> Table:
    """Every row of the study."""
    lines = []
    for row, found in ours.found.items():
        precisions = [one.run.average_precision for of in study.of(row).values() for one in of.values()]
        known = bool(precisions) and None not in precisions
        line = {"Row": found.title, "Replicates × seeds": _runs_of(found)}
        line |= {"Parameters": f"{rows.parameters(row):,}" if rows.parameters(row) else DASH}
        line |= _cells(ours, row, MEASURES)
        line[f"AP, {ours.where}, ours"] = f"{np.mean(precisions):.4f}{found.partly}" if known else DASH
        lines.append(line)
    said = (*notes.absent(ours.found), notes.TEXTS["sentences"]["by_moving"].strip())
    title = "All rows of the study"
    return _own(ours, "study_rows", title, pd.DataFrame(lines), [(row,) for row in ours.found], *said)


def _pairs(ours: Ours) -> Table:
    """The pairs that answer a claim, each measure with p before and after Holm, and what may be said."""
    seen, after = effects.compared(ours.found)
    lines = []
    for pair in rows.PAIRS:
        a, b = ours.found[pair.a], ours.found[pair.b]
        line = {"Claim": pair.claim, "Rows": f"{a.title} − {b.title}", "Differ in": ", ".join(pair.differs)}
        short = effects.lacking(ours.found, pair)
        line["Replicates × seeds"] = DASH if short else _runs_of(estimates.in_common(a, b)[0])
        for title, measure in effects.MEASURES.items():
            line[f"{title}, {ours.where}, ours"] = short or (
                f"{seen[pair][measure]} p {seen[pair][measure].p:.3f}, Holm {after[pair][measure].p:.3f}"
            )
        line["Seen in ours"] = DASH if short else tables.reading(after[pair])
        lines.append(line)
    claims = [
        f"{p.claim[0].upper()}{p.claim[1:]}: {tables.reading(of)}." for p, of in after.items() if p.paper
    ]
    sources = [(pair.a, pair.b) for pair in rows.PAIRS]
    said = (_HOLM.format(pairs=len(after)), *(f"Of the paper's claims: {claim}" for claim in claims))
    return _own(ours, "study_differences", "Pairs of the study", pd.DataFrame(lines), sources, *said)


def _controls(ours: Ours) -> Table:
    """The controls, beside the row whose training, decoder or test they change."""
    named = [CONFUSED, *(name for name, row in rows.ROWS.items() if row.control)]
    lines = []
    for name in (name for name in named if name in ours.found):
        says = controls.SAYS.get(rows.ROWS[name].control, "nothing is changed")
        line = {"Row": ours.found[name].title, "What is changed": says}
        lines.append(line | _cells(ours, name, effects.MEASURES))
    sources = [(name,) for name in named if name in ours.found]
    return _own(ours, "study_controls", "Controls of the study", pd.DataFrame(lines), sources)


def _what_differs(ours: Ours) -> Table:
    frame = rows.differences_table().astype(str).replace("", DASH)
    sources = [(row,) for row in rows.ROWS]
    said = ("Every row is trained on the same windows in as many steps.",)
    table = _own(ours, "study_what_differs", "What differs between rows of the study", frame, sources, *said)
    return dataclasses.replace(table, notes=said)


# --- confusion ------------------------------------------------------------------------------------------


def confusion(study_found: Found) -> np.ndarray:
    """Counts (true class of the scored, predicted class of `metrics.COLUMNS`) over all runs of a row."""
    every = [run.recognition.confusion[: len(SCORED)] for seeds in study_found.nested for run in seeds]
    return np.sum(every, axis=0) if every else np.zeros((len(SCORED), len(metrics.COLUMNS)), int)


def _confusion(ours: Ours) -> Table:
    """Which expressions are taken for which, and the Action Units that they share."""
    found = ours.found[CONFUSED]
    seen = confusion(found)
    frame = pd.DataFrame({"True class": SCORED})
    for said, column in zip(metrics.COLUMNS, seen.T, strict=True):
        totals = np.maximum(seen.sum(axis=1), 1)
        cells = [f"{n} ({n / total:.0%})" for n, total in zip(column.tolist(), totals, strict=True)]
        frame[f"called {said}, {ours.where}, ours"] = found.lacking or cells
    title = f"Confusion of {found.title}, all its runs together"
    sources = [(CONFUSED,)] * len(SCORED)
    return _own(ours, "study_confusion", title, frame, sources, *_shared(seen))


def _shared(seen: np.ndarray) -> list[str]:
    """For each scored class the other that it is most often taken for, and the units that both move."""
    units: dict[str, dict[str, float]] = {}
    for emotion, recipes in difficulty().recipes:
        total = sum(count for _, count in recipes)
        for moved, count in recipes:
            for unit in moved.split():
                of = units.setdefault(emotion, {})
                of[unit] = of.get(unit, 0) + count / total
    said = []
    for row, true in enumerate(SCORED):
        wrong = np.where(np.arange(len(metrics.COLUMNS)) == row, 0, seen[row])[:-1]
        if not wrong.any():
            continue
        other = metrics.COLUMNS[int(wrong.argmax())]
        shares = {unit: min(share, units[other].get(unit, 0)) for unit, share in units[true].items()}
        top = sorted((unit for unit in shares if shares[unit]), key=lambda unit: -shares[unit])[:3]
        both = ", ".join(f"AU{u} ({units[true][u]:.0%} and {units[other][u]:.0%})" for u in top)
        said.append(
            f"{true} is most often taken for {other} ({int(wrong.max())} of {int(seen[row].sum())}); "
            f"in both move: {both or 'no unit in common'}."
        )
    return said


# --- where numbers come from ----------------------------------------------------------------------------


def stale(side: provenance.SideFile, folder: Path) -> list[str]:
    """The runs behind a table whose counts are other ones now, or made of other settings than today's.

    ValueError, naming the run, where the counts were edited.
    """
    found, said = counts.read(folder), []
    for about in side.runs:
        for replicate, values in about.folds.items():
            name = int(replicate), about.variant, about.seed
            was = dict(zip(side.fold, values, strict=True))["counts"]
            one = found.get(name)
            if one is None or one.run.counts != was:
                said.append(f"{counts.in_words(name)}: made again since")
            elif differs := edition.differs(one.run):
                said.append(f"{counts.in_words(name)}: stale, of other {', '.join(differs)} than today's")
    return said
