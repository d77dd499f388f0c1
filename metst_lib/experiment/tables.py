"""Tables I–V of the paper as data frames: the published numbers, and ours beside or below them.

Ours come from the finished folds of a data set. On a synthetic set they stand in columns of their own that
say so: they come from other data than the published ones and cannot be compared with them. Folds that are
missing or stale are named, and no number stands for the rest (`estimates`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib._files import write_text
from metst_lib.events import Video
from metst_lib.experiment import flows, notes, provenance, published
from metst_lib.experiment.config import Config, configure
from metst_lib.experiment.estimates import (
    BESIDE,
    Difference,
    Runs,
    beside,
    differences,
    estimates,
    lacking,
    missing_folds,
    our_rows,
    read_runs,
)
from metst_lib.experiment.published import THEIRS, TITLES
from metst_lib.experiment.runs import Run
from metst_lib.experiment.variants import ABLATION, VARIANTS

DASH = "–"


@dataclass(frozen=True)
class Table:
    """A table ready to be written: its number in the paper, a caption, the rows, and notes below them.

    runs: those that it is made from, by variant. sources: the variants behind our numbers, for each row in
    order, or by column where a variant has columns of its own.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    runs: Runs = field(default_factory=dict)
    sources: Sequence[tuple[str, ...]] | Mapping[str, tuple[str, ...]] = ()

    def numbers(self) -> list[provenance.Number]:
        """Each of our numbers with the variants it comes from."""
        label = "Method" if "Method" in self.frame else self.frame.columns[0]
        found = []
        for place, row in enumerate(self.frame.to_dict("records")):
            for column in (c for c in self.frame if c.endswith(", ours") and row[c] != DASH):
                of = self.sources[column if isinstance(self.sources, Mapping) else place]
                found.append(provenance.Number(row[label], column, row[column], of))
        return found

    def to_markdown(self) -> str:
        """Caption, rows and notes as GitHub Markdown."""
        rows = self.frame.to_markdown(index=False, disable_numparse=True)
        notes = "".join(f"\n- {note}" for note in self.notes)
        return f"**{self.caption}**\n\n{rows}\n{notes}\n"

    def to_latex(self) -> str:
        """The same as a LaTeX table (packages booktabs and amssymb)."""
        style = self.frame.style.hide(axis="index").format(escape="latex")
        style = style.format_index(escape="latex", axis=1)
        body = style.to_latex(hrules=True, caption=_latex(self.caption), label=f"tab:{self.name}")
        notes = " ".join(_latex(note) for note in self.notes)
        whole = body.replace("\\end{table}", f"\n\\smallskip\n\\footnotesize {notes}\n\\end{{table}}")
        for sign, command in _SIGNS.items():
            whole = whole.replace(sign, command)
        return whole

    def write(self, folder: Path) -> list[Path]:
        """Write `<name>.md`, `.csv` and `.tex` into a folder; returns their paths.

        A table that is made from runs gets a side file with them beside it, see `provenance`.
        """
        paths = [
            write_text(folder / f"{self.name}.md", self.to_markdown()),
            write_text(folder / f"{self.name}.csv", self.frame.to_csv(index=False)),
            write_text(folder / f"{self.name}.tex", self.to_latex()),
        ]
        if runs := [run for of_seeds in self.runs.values() for run in of_seeds]:
            provenance.write(paths, self.caption, runs, self.numbers())
        return paths


# --- our numbers ----------------------------------------------------------------------------------------


# --- the paper's tables ---------------------------------------------------------------------------------

#: The variants that Tables I–III show, the yardstick first.
OURS = ("flow-magnitude", "transformer", "me-tst", "me-tst-plus", "boosting-vrme")

#: What is compared with what: (what changes, variant, the variant it is held against).
PAIRS = (
    ("18 regions in place of 5", "me-tst-plus-no-result-synergy", "slowfast-5roi"),
    ("slow and fast path in place of one", "me-tst-plus-no-result-synergy", "single-path-18roi"),
    ("feature-level synergy", "me-tst-plus-no-result-synergy", "me-tst-plus-no-feature-synergy"),
    ("result-level synergy", "me-tst-plus", "me-tst-plus-no-result-synergy"),
    ("both synergies, in ME-TST+", "me-tst-plus", "me-tst-plus-no-feature-synergy"),
    ("both synergies, in ME-TST", "me-tst", "me-tst-no-synergy"),
    ("slow and fast path, without result-level synergy (two changes)", "slowfast-5roi", "me-tst"),
    ("18 regions, without result-level synergy (two changes)", "single-path-18roi", "me-tst"),
    ("one branch, and intervals along the curve (two changes)", "boosting-vrme", "me-tst-plus"),
    ("ME-TST+ in place of ME-TST", "me-tst-plus", "me-tst"),
    ("everything: the last row against the first", "me-tst-plus", "me-tst-no-synergy"),
    ("Mamba in place of attention, in ME-TST", "me-tst", "transformer"),
    ("ME-TST against no training", "me-tst", "flow-magnitude"),
    ("ME-TST+ against no training", "me-tst-plus", "flow-magnitude"),
)


def make(dataset: str = "synthetic", seeds: Sequence[int] = (0,), **options: str) -> list[Table]:
    """Tables I–V of an edition, and the differences between the rows of Table V.

    options are those of `experiment.configure` (preset, root).
    """
    config = configure(dataset, **options)
    every = read_runs(dataset, tuple(dict.fromkeys((*OURS, *ABLATION))), seeds, **options)
    about, videos = notes.about(config, len(seeds)), flows.load_data(config).videos
    return [
        *_tables_1_to_3(config, {variant: every[variant] for variant in OURS}, videos, about),
        _table_4(config, every, videos, about),
        _table_5(config, {variant: every[variant] for variant in ABLATION}, videos, about),
        difference_table(every),
    ]


def _made(name: str, config: Config, frame: pd.DataFrame, runs: Runs, sources: Any, *said: str) -> Table:
    """A table of that name with its caption; below it what is said of its runs, and its fixed sentences."""
    return Table(name, notes.caption(name, config), frame, (*said, *notes.fixed(name)), runs, sources)


def _tables_1_to_3(
    config: Config, runs: Runs, videos: Sequence[Video], about: tuple[str, ...]
) -> list[Table]:
    ours, where, absent = our_rows(runs, videos), config.reader.title, notes.absent(runs)
    said = (*about, *missing_folds(runs))
    theirs = {
        "table1_spotting_f1": {f"{TITLES[name]}, published": name for name in THEIRS},
        "table2_recognition": {f"{name.upper()}, CAS(ME)³, published": name for name in ("uf1", "uar")},
        "table3_analysis": {
            f"{title}, {TITLES[name]}, published": f"{name}_{measure}"
            for name in THEIRS
            for title, (measure, _) in _ANALYSIS.items()
        },
    }
    mine = {
        "table1_spotting_f1": {f"{where}, ours": "spotting.f1"} | _beside(where),
        "table2_recognition": {
            f"{name.upper()}, {where}, ours": f"recognition.{name}" for name in ("uf1", "uar")
        },
        "table3_analysis": _analysed(where),
    }
    more = {"table2_recognition": absent}
    more["table3_analysis"] = (*absent, *notes.fitted(runs["flow-magnitude"][0]))
    found = []
    for number, (name, columns) in enumerate(theirs.items(), start=1):
        published_rows = published.with_successors(number)
        frame = _with_published(published_rows, columns, ours, mine[name])
        sources = [()] * len(published_rows) + [(variant,) for variant in runs]
        found.append(_made(name, config, frame, runs, sources, *said, *more.get(name, ())))
    return found


# Table III's columns: heading → name in the published file, measure.
_ANALYSIS = {
    "STRS": ("strs", "strs"),
    "F1 spot.": ("spotting_f1", "spotting.f1"),
    "F1 recog.": ("recognition_f1", "recognition.f1"),
}


def _beside(where: str) -> dict[str, str]:
    """Columns that stand beside a spotting F1 of ours."""
    return dict(zip((f"F1 by chance, {where}, ours", f"FP/min, {where}, ours"), BESIDE, strict=True))


def _analysed(where: str) -> dict[str, str]:
    """Our columns of Tables III and V: heading → name in `our_rows`."""
    columns = {f"{title}, {where}, ours": measure for title, (_, measure) in _ANALYSIS.items()}
    return columns | _beside(where)


def _with_published(
    theirs: pd.DataFrame, columns: dict[str, str], ours: pd.DataFrame, mine: dict[str, str]
) -> pd.DataFrame:
    """Published rows, then ours below them in columns of their own; a dash where there is no number."""
    names = {"Type": "type", "Method": "method"} if "type" in theirs else {"Method": "method"}
    above = pd.DataFrame({title: theirs[name] for title, name in names.items()})
    for title, name in columns.items():
        above[title] = theirs[name].map("{:.4f}".format, na_action="ignore")
    below = pd.DataFrame({title: ours[name] for title, name in (names | mine).items()})
    below["Method"] += " (ours)"
    return pd.concat([above, below], ignore_index=True).fillna(DASH)


def _table_4(config: Config, runs: Runs, videos: Sequence[Video], about: tuple[str, ...]) -> Table:
    """Table IV: counts and ratios of both tasks, without and with result-level synergy."""
    theirs, columns = published.details(), {}
    for name in THEIRS:
        for synergy, words in (("no", "without"), ("yes", "with")):
            for task, short in _TASKS.items():
                row = theirs[name.upper(), synergy, task]
                columns[f"{TITLES[name]}, {words}, {short}, published"] = [
                    f"{row[key]}" if key in ("total", "tp", "fp", "fn") else f"{row[key]:.4f}"
                    for key in _DETAILS.values()
                ]
    pair = {"without": "me-tst-plus-no-result-synergy", "with": "me-tst-plus"}
    sources = {}
    for words, variant in pair.items():
        for task, short in _TASKS.items():
            heading = f"{config.reader.title}, {words}, {short}, ours"
            lengths = videos if task == "spotting" else ()
            columns[heading], sources[heading] = _details(runs[variant], task, lengths), (variant,)
    of_pair = {variant: runs[variant] for variant in pair.values()}
    rows = [*_DETAILS, "F1 by chance", "FP/min"]
    filled = {heading: column + [DASH] * (len(rows) - len(column)) for heading, column in columns.items()}
    frame = pd.DataFrame({"Metric": rows, **filled})
    said = (*about, *missing_folds(of_pair), *notes.absent(of_pair))
    return _made("table4_result_synergy", config, frame, of_pair, sources, *said)


_TASKS = {"spotting": "spot.", "recognition": "recog."}
# Table IV's rows: heading → name in the published file.
_DETAILS = {
    "Total": "total",
    "TP": "tp",
    "FP": "fp",
    "FN": "fn",
    "Precision": "precision",
    "Recall": "recall",
    "F1-score": "f1",
    "STRS": "strs",
}


def _details(runs: Sequence[Run], task: str, videos: Sequence[Video]) -> list[str]:
    """One column of Table IV, from top to bottom; videos: where chance and false alarms stand below."""
    if short := lacking(runs):
        return [short] * (len(_DETAILS) + 2 * bool(videos))
    parts = [getattr(run.scores(), task) for run in runs]
    ratios = estimates(runs)
    counts = [_count([part.tp + part.fn for part in parts])]
    counts += [_count([getattr(part, name) for part in parts]) for name in ("tp", "fp", "fn")]
    measures = [f"{task}.{name}" for name in ("precision", "recall", "f1")]
    shown = [*counts, *(str(ratios[measure]) for measure in (*measures, "strs"))]
    return shown + list(beside(runs, videos).values()) if videos else shown


def _count(values: Sequence[int]) -> str:
    """A count of one seed, or its mean and deviation over several."""
    if len(set(values)) == 1:
        return str(values[0])
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def _table_5(config: Config, runs: Runs, videos: Sequence[Video], about: tuple[str, ...]) -> Table:
    """Table V: which parts a row has, what the paper prints for it, and ours."""
    theirs = published.table(5)
    ours = our_rows(runs, videos).set_index("variant")
    variants = [VARIANTS[name] for name in ABLATION]
    frame = pd.DataFrame({"Row": theirs["row"].astype(str)})
    for title, has in _PARTS.items():
        frame[title] = ["✓" if has(variant) else "×" for variant in variants]
    for name in THEIRS:
        for title, (measure, _) in _ANALYSIS.items():
            frame[f"{title}, {TITLES[name]}, published"] = theirs[f"{name}_{measure}"].map("{:.4f}".format)
    for heading, name in _analysed(config.reader.title).items():
        frame[heading] = ours.loc[list(ABLATION), name].tolist()
    said = (*about, *missing_folds(runs), *notes.absent(runs), *notes.unequal(config))
    return _made("table5_ablation", config, frame, runs, [(name,) for name in ABLATION], *said)


# Table V's ticks: heading → whether a variant has the part.
_PARTS = {
    "18 regions": lambda variant: variant.roi_set == "18",
    "Slow-fast": lambda variant: variant.network == "METSTPlus",
    "Feature-level synergy": lambda variant: variant.feature_synergy,
    "Result-level synergy": lambda variant: variant.result_synergy,
}


def difference_table(runs: Runs, pairs: Sequence[tuple[str, str, str]] = PAIRS) -> Table:
    """The paired differences of `pairs`, with intervals and what may be said; runs must hold the variants."""
    (config,) = {run.config.dataset: run.config for of_seeds in runs.values() for run in of_seeds}.values()
    where, seeds = config.reader.title, len(next(iter(runs.values())))
    compared = {variant: runs[variant] for _, *pair in pairs for variant in pair}
    rows = []
    for change, a, b in pairs:
        row = {"Rows": _rows(a, b), "What changes": change}
        row |= {f"STRS, {TITLES[name]}, published": _published_difference(a, b, name) for name in THEIRS}
        short = lacking(runs[a]) or lacking(runs[b])
        found = {} if short else differences(runs[a], runs[b])
        for title, (_, measure) in _ANALYSIS.items():
            row[f"{title}, {where}, ours"] = short or str(found[measure])
        row["Seen in ours"] = DASH if short else reading(found)
        rows.append(row)
    said = (*notes.paired(seeds, len(pairs) * len(_ANALYSIS)), *missing_folds(compared))
    sources = [(a, b) for _, a, b in pairs]
    return _made("table5_differences", config, pd.DataFrame(rows), compared, sources, *said)


def reading(found: Mapping[str, Difference]) -> str:
    """What may be said of STRS and its two factors: the measures that differ, or "no difference seen"."""
    said: dict[str, list[str]] = {}
    for title, (_, measure) in _ANALYSIS.items():
        said.setdefault(found[measure].words, []).append(title)
    said.pop("no difference seen", None)
    return "; ".join(f"{', '.join(titles)} {words}" for words, titles in said.items()) or "no difference seen"


def _rows(a: str, b: str) -> str:
    names = [str(ABLATION.index(v) + 1) if v in ABLATION else VARIANTS[v].title for v in (a, b)]
    return " − ".join(names)


def _published_difference(a: str, b: str, dataset: str) -> str:
    if a not in ABLATION or b not in ABLATION:
        return DASH
    strs = published.table(5)[f"{dataset}_strs"]
    return f"{strs[ABLATION.index(a)] - strs[ABLATION.index(b)]:+.4f}"


# Signs that a plain LaTeX does not know.
_SIGNS = {"✓": r"$\checkmark$", "×": r"$\times$", "−": "$-$", "→": r"$\to$"}


def _latex(text: str) -> str:
    for plain, escaped in (("%", r"\%"), ("&", r"\&"), ("_", r"\_"), ("`", "")):
        text = text.replace(plain, escaped)
    return text
