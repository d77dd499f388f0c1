"""Tables I–V of the paper as data frames: the published numbers, and ours beside or below them.

Ours come from the finished folds of a data set. On a synthetic set they stand in columns of their own that
say so: they come from other data than the published ones and cannot be compared with them. Folds that are
missing or stale are named, and no number stands for the rest (`estimates`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib._files import write_text
from metst_lib.experiment import flows, notes, provenance, published
from metst_lib.experiment.config import configure
from metst_lib.experiment.estimates import (
    BESIDE,
    Difference,
    Found,
    Runs,
    adjusted,
    beside,
    differences,
    estimates,
    found_in,
    missing_folds,
    our_rows,
    read_runs,
)
from metst_lib.experiment.published import THEIRS, TITLES
from metst_lib.experiment.variants import ABLATION, VARIANTS

DASH = "–"


@dataclass(frozen=True)
class Table:
    """A table ready to be written: its number in the paper, a caption, the rows, and notes below them.

    runs: those that it is made from, by variant; behind: what is known of counts in their place. sources: the
    variants behind our numbers, for each row in order, or by column where a variant has columns of its own.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    runs: Runs = field(default_factory=dict)
    sources: Sequence[tuple[str, ...]] | Mapping[str, tuple[str, ...]] = ()
    behind: provenance.Behind | None = None

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
        runs = [run for of_seeds in self.runs.values() for run in of_seeds]
        if behind := self.behind or (provenance.of_runs(runs) if runs else None):
            provenance.write(paths, self.caption, behind, self.numbers())
        return paths


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


@dataclass(frozen=True)
class Ours:
    """Our side of the tables.

    where, kind: the data's name in headings and in captions. found: by variant; shown: those of Tables I–III.
    about: sentences below each table; missing: those on what is missing of some variants; more: those of one
    table. runs, behind: as in `Table`.
    """

    where: str
    kind: str
    found: Mapping[str, Found]
    shown: Sequence[str]
    about: tuple[str, ...]
    missing: Callable[[Sequence[str]], tuple[str, ...]]
    more: Mapping[str, Sequence[str]] = field(default_factory=dict)
    runs: Runs = field(default_factory=dict)
    behind: Callable[[Sequence[str]], provenance.Behind] | None = None

    def table(self, name: str, frame: pd.DataFrame, variants: Sequence[str], sources: Any) -> Table:
        """A table of that name with its caption, and the sentences below it."""
        said = [*self.about, *self.missing(variants)]
        if name not in ("table1_spotting_f1", "table5_differences"):
            said += notes.absent({variant: self.found[variant] for variant in variants})
        said += [*self.more.get(name, ()), *notes.fixed(name)]
        runs = {variant: self.runs[variant] for variant in variants if variant in self.runs}
        behind = self.behind(variants) if self.behind else None
        return Table(name, notes.caption(name, self.kind), frame, tuple(said), runs, sources, behind)


def make(dataset: str = "synthetic", seeds: Sequence[int] = (0,), **options: str) -> list[Table]:
    """Tables I–V of an edition, and the differences between the rows of Table V.

    options are those of `experiment.configure` (preset, root).
    """
    config = configure(dataset, **options)
    runs = read_runs(dataset, tuple(dict.fromkeys((*OURS, *ABLATION))), seeds, **options)
    videos = flows.load_data(config).videos
    ours = Ours(
        config.reader.title,
        notes.kind(config),
        {variant: found_in(of_seeds, videos) for variant, of_seeds in runs.items()},
        OURS,
        notes.about(config, len(seeds)),
        lambda variants: missing_folds({variant: runs[variant] for variant in variants}),
        {
            "table3_analysis": notes.fitted(runs["flow-magnitude"][0]),
            "table5_ablation": notes.unequal(config),
        },
        runs,
    )
    return [*tables_of(ours), difference_table(runs)]


def tables_of(ours: Ours) -> list[Table]:
    """Tables I–V, our side as given."""
    return [*_tables_1_to_3(ours), _table_4(ours), _table_5(ours)]


def _tables_1_to_3(ours: Ours) -> list[Table]:
    where, rows = ours.where, our_rows({variant: ours.found[variant] for variant in ours.shown})
    theirs = {
        "table1_spotting_f1": {f"{TITLES[name]}, published": name for name in THEIRS},
        "table2_recognition": {f"{name.upper()}, CAS(ME)³, published": name for name in ("uf1", "uar")},
        "table3_analysis": {
            f"{title}, {TITLES[name]}, published": f"{name}_{measure}"
            for name in THEIRS
            for title, (measure, _) in ANALYSIS.items()
        },
    }
    mine = {
        "table1_spotting_f1": {f"{where}, ours": "spotting.f1"} | beside_columns(where),
        "table2_recognition": {
            f"{name.upper()}, {where}, ours": f"recognition.{name}" for name in ("uf1", "uar")
        },
        "table3_analysis": _analysed(where),
    }
    made = []
    for number, (name, columns) in enumerate(theirs.items(), start=1):
        published_rows = published.with_successors(number)
        frame = _with_published(published_rows, columns, rows, mine[name])
        sources = [()] * len(published_rows) + [(variant,) for variant in ours.shown]
        made.append(ours.table(name, frame, ours.shown, sources))
    return made


# Table III's columns: heading → name in the published file, measure.
ANALYSIS = {
    "STRS": ("strs", "strs"),
    "F1 spot.": ("spotting_f1", "spotting.f1"),
    "F1 recog.": ("recognition_f1", "recognition.f1"),
}


def beside_columns(where: str) -> dict[str, str]:
    """Columns that stand beside a spotting F1 of ours."""
    return dict(zip((f"F1 by chance, {where}, ours", f"FP/min, {where}, ours"), BESIDE, strict=True))


def _analysed(where: str) -> dict[str, str]:
    """Our columns of Tables III and V: heading → name in `our_rows`."""
    columns = {f"{title}, {where}, ours": measure for title, (_, measure) in ANALYSIS.items()}
    return columns | beside_columns(where)


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


def _table_4(ours: Ours) -> Table:
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
            heading = f"{ours.where}, {words}, {short}, ours"
            columns[heading], sources[heading] = _details(ours.found[variant], task), (variant,)
    rows = [*_DETAILS, "F1 by chance", "FP/min"]
    filled = {heading: column + [DASH] * (len(rows) - len(column)) for heading, column in columns.items()}
    frame = pd.DataFrame({"Metric": rows, **filled})
    return ours.table("table4_result_synergy", frame, list(pair.values()), sources)


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


def _details(found: Found, task: str) -> list[str]:
    """One column of Table IV, from top to bottom; of the spotting, chance and false alarms below."""
    if found.lacking:
        return [found.lacking] * (len(_DETAILS) + 2 * (task == "spotting"))
    parts = [getattr(scores, task) for seeds in found.nested for scores in seeds]
    ratios = estimates(found)
    shown = [_count([part.tp + part.fn for part in parts])]
    shown += [_count([getattr(part, name) for part in parts]) for name in ("tp", "fp", "fn")]
    measures = [f"{task}.{name}" for name in ("precision", "recall", "f1")]
    shown += [str(ratios[measure]) for measure in (*measures, "strs")]
    shown += beside(found).values() if task == "spotting" else ()
    return [f"{cell}{found.partly}" for cell in shown]


def _count(values: Sequence[int]) -> str:
    """A count of one run, or its mean and deviation over several."""
    if len(set(values)) == 1:
        return str(values[0])
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def _table_5(ours: Ours) -> Table:
    """Table V: which parts a row has, what the paper prints for it, and ours."""
    theirs, variants = published.table(5), [VARIANTS[name] for name in ABLATION]
    rows = our_rows({variant: ours.found[variant] for variant in ABLATION}).set_index("variant")
    frame = pd.DataFrame({"Row": theirs["row"].astype(str)})
    for title, has in _PARTS.items():
        frame[title] = ["✓" if has(variant) else "×" for variant in variants]
    for name in THEIRS:
        for title, (measure, _) in ANALYSIS.items():
            frame[f"{title}, {TITLES[name]}, published"] = theirs[f"{name}_{measure}"].map("{:.4f}".format)
    for heading, name in _analysed(ours.where).items():
        frame[heading] = rows.loc[list(ABLATION), name].tolist()
    return ours.table("table5_ablation", frame, ABLATION, [(name,) for name in ABLATION])


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
    compared = {variant: runs[variant] for _, *pair in pairs for variant in pair}
    found = {variant: found_in(of_seeds) for variant, of_seeds in compared.items()}
    name, seeds = "table5_differences", len(next(iter(runs.values())))
    frame = difference_rows(config.reader.title, found, pairs)
    said = (*notes.paired(seeds, len(pairs) * len(ANALYSIS)), *missing_folds(compared), *notes.fixed(name))
    sources = [(a, b) for _, a, b in pairs]
    return Table(name, notes.caption(name, notes.kind(config)), frame, said, compared, sources)


def difference_rows(
    where: str, found: Mapping[str, Found], pairs: Sequence[tuple[str, str, str]], holm: bool = False
) -> pd.DataFrame:
    """A row a pair: what the paper prints, each measure of a less that of b, and what may be said. holm: p is
    adjusted among the pairs of each measure."""
    short = {(a, b): found[a].lacking or found[b].lacking for _, a, b in pairs}
    seen = {(a, b): differences(found[a], found[b]) for (a, b), said in short.items() if not said}
    for _, measure in ANALYSIS.values() if holm else ():
        for pair, one in adjusted({pair: of[measure] for pair, of in seen.items()}).items():
            seen[pair][measure] = one
    rows = []
    for change, a, b in pairs:
        names = [str(ABLATION.index(v) + 1) if v in ABLATION else found[v].title for v in (a, b)]
        row = {"Rows": " − ".join(names), "What changes": change}
        row |= {f"STRS, {TITLES[name]}, published": _published_difference(a, b, name) for name in THEIRS}
        for title, (_, measure) in ANALYSIS.items():
            row[f"{title}, {where}, ours"] = short[a, b] or str(seen[a, b][measure])
        row["Seen in ours"] = DASH if short[a, b] else reading(seen[a, b])
        rows.append(row)
    return pd.DataFrame(rows)


def reading(found: Mapping[str, Difference]) -> str:
    """What may be said of STRS and its two factors: the measures that differ, or "no difference seen"."""
    said: dict[str, list[str]] = {}
    for title, (_, measure) in ANALYSIS.items():
        said.setdefault(found[measure].words, []).append(title)
    said.pop("no difference seen", None)
    return "; ".join(f"{', '.join(titles)} {words}" for words, titles in said.items()) or "no difference seen"


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
