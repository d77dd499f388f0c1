"""Tables I–V of the paper as data frames: the published numbers, and ours beside or below them.

Published numbers come from `metst_lib/published/*.csv`, ours from the finished folds of a data set. On the
synthetic set ours stand in columns of their own that say so: they come from other data than the published
ones and cannot be compared with them.

Ours always come with their doubt: the spread over seeds, and a bootstrap interval over subjects. Two
variants are compared by the paired difference (`differences`), and `Difference.words` alone decides what a
text may say of it.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import experiment, metrics, provenance
from metst_lib._files import write_text
from metst_lib.datasets import TITLES

DASH = "–"
_THEIRS = ("casme3", "sammlv")  # the paper's data sets


Runs = Mapping[str, Sequence[experiment.Run]]
"""Variant → its runs, one for each seed."""


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


def published(number: int) -> pd.DataFrame:
    """The paper's table of that number (1–5) as it is printed, misprints included."""
    folder = importlib.resources.files("metst_lib") / "published"
    (file,) = [f for f in folder.iterdir() if f.name.startswith(f"table{number}_")]
    with file.open() as text:
        return pd.read_csv(text)


# --- our numbers ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """One measure of one variant: its value for each seed, and a 95 % interval over subjects."""

    values: tuple[float, ...]
    low: float
    high: float

    def __str__(self) -> str:
        spread = f" ± {np.std(self.values, ddof=1):.4f}" if len(self.values) > 1 else ""
        return f"{np.mean(self.values):.4f}{spread} [{self.low:.2f}, {self.high:.2f}]"


def estimates(runs: Sequence[experiment.Run]) -> dict[str, Estimate]:
    """Each of `metrics.MEASURES` of one variant; the runs, its seeds, must be complete."""
    scores = [run.scores() for run in runs]
    intervals = metrics.bootstrap(scores)
    return {
        measure: Estimate(tuple(s.measure(measure) for s in scores), interval.low, interval.high)
        for measure, interval in intervals.items()
    }


@dataclass(frozen=True)
class Difference:
    """One measure of one variant less that of another: for each seed, and a 95 % interval over subjects."""

    values: tuple[float, ...]
    low: float
    high: float

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def words(self) -> str:
        """What may be said: "higher" or "lower" only where the interval leaves zero out.

        That it rests on one seed, or that not every seed falls on that side, is said as well.
        """
        if self.low <= 0 <= self.high:
            return "no difference seen"
        side = "higher" if self.value > 0 else "lower"
        if len(self.values) == 1:
            return f"{side} with one seed"
        agree = all(value * self.value > 0 for value in self.values)
        return f"{side} with every seed" if agree else f"{side} on average, not with every seed"

    def __str__(self) -> str:
        return f"{self.value:+.4f} [{self.low:+.3f}, {self.high:+.3f}]"


def differences(a: Sequence[experiment.Run], b: Sequence[experiment.Run]) -> dict[str, Difference]:
    """Each of `metrics.MEASURES` of one variant less another's; runs complete, one for each seed.

    ValueError where the two do not have the same seeds, or folds are missing.
    """
    if [run.config.seed for run in a] != [run.config.seed for run in b]:
        raise ValueError("the two variants were not run with the same seeds, in the same order")
    of_a, of_b = [run.scores() for run in a], [run.scores() for run in b]
    intervals = metrics.compare(of_a, of_b)
    return {
        measure: Difference(
            tuple(x.measure(measure) - y.measure(measure) for x, y in zip(of_a, of_b, strict=True)),
            interval.low,
            interval.high,
        )
        for measure, interval in intervals.items()
    }


def read_runs(
    dataset: str, variants: Sequence[str], seeds: Sequence[int], **options: str
) -> dict[str, list[experiment.Run]]:
    """The runs of these variants, finished or not; options are those of `experiment.configure`."""
    return {
        variant: [experiment.read_run(experiment.configure(dataset, variant, s, **options)) for s in seeds]
        for variant in variants
    }


def missing_folds(runs: Runs) -> tuple[str, ...]:
    """A note that names every fold that is not there; () where none is missing."""
    said = [
        f"{experiment.VARIANTS[variant].title}, seed {run.config.seed}: "
        + ("all" if not run.folds else ", ".join(run.missing))
        for variant, of_seeds in runs.items()
        for run in of_seeds
        if run.missing
    ]
    return (f"Folds that are missing (no number stands for a part of them): {'; '.join(said)}.",) * bool(said)


def lacking(runs: Sequence[experiment.Run]) -> str:
    """ "k of n folds" of a variant, all seeds together, where some are missing; "" where none is."""
    there, missing = sum(len(run.folds) for run in runs), sum(len(run.missing) for run in runs)
    return f"{there} of {there + missing} folds" if missing else ""


def our_rows(runs: Runs) -> pd.DataFrame:
    """One row a variant: its title, and an `Estimate` for each of `metrics.MEASURES` as text.

    A variant with missing folds has "k of n folds" in place of every number.
    """
    rows = []
    for variant, of_seeds in runs.items():
        short = lacking(of_seeds)
        cells = dict.fromkeys(metrics.MEASURES, short) if short else estimates(of_seeds)
        row = {"variant": variant, "type": "S&R", "method": experiment.VARIANTS[variant].title}
        rows.append(row | {measure: str(cell) for measure, cell in cells.items()})
    return pd.DataFrame(rows)


# --- the paper's tables ---------------------------------------------------------------------------------

OURS = ("flow-magnitude", "window-classifier", "transformer", "me-tst", "me-tst-plus")
"""The variants that Tables I–III show, the yardstick first."""

ABLATION = (
    "me-tst-no-synergy",
    "me-tst",
    "slowfast-5roi",
    "single-path-18roi",
    "me-tst-plus-no-feature-synergy",
    "me-tst-plus-no-result-synergy",
    "me-tst-plus",
)
"""The variants of Table V, row 1 first."""

PAIRS = (
    ("18 regions in place of 5", "me-tst-plus-no-result-synergy", "slowfast-5roi"),
    ("slow and fast path in place of one", "me-tst-plus-no-result-synergy", "single-path-18roi"),
    ("feature-level synergy", "me-tst-plus-no-result-synergy", "me-tst-plus-no-feature-synergy"),
    ("result-level synergy", "me-tst-plus", "me-tst-plus-no-result-synergy"),
    ("both synergies, in ME-TST+", "me-tst-plus", "me-tst-plus-no-feature-synergy"),
    ("both synergies, in ME-TST", "me-tst", "me-tst-no-synergy"),
    ("slow and fast path, without result-level synergy (two changes)", "slowfast-5roi", "me-tst"),
    ("18 regions, without result-level synergy (two changes)", "single-path-18roi", "me-tst"),
    ("ME-TST+ in place of ME-TST", "me-tst-plus", "me-tst"),
    ("everything: the last row against the first", "me-tst-plus", "me-tst-no-synergy"),
    ("Mamba in place of attention, in ME-TST", "me-tst", "transformer"),
    ("a score for each frame in place of one answer a window", "me-tst", "window-classifier"),
    ("ME-TST against no training", "me-tst", "flow-magnitude"),
    ("ME-TST+ against no training", "me-tst-plus", "flow-magnitude"),
)
"""What is compared with what: (what changes, variant, the variant it is held against)."""


def make(dataset: str = "synthetic", seeds: Sequence[int] = (0,), **options: str) -> list[Table]:
    """Tables I–V of an edition, and the differences between the rows of Table V.

    options are those of `experiment.configure` (preset, root).
    """
    config = experiment.configure(dataset, **options)
    every = read_runs(dataset, tuple(dict.fromkeys((*OURS, *ABLATION))), seeds, **options)
    about = _about(config, len(seeds))
    return [
        *_tables_1_to_3(config, {variant: every[variant] for variant in OURS}, about),
        _table_4(config, every, about),
        _table_5(config, {variant: every[variant] for variant in ABLATION}, about),
        difference_table(every),
    ]


def _tables_1_to_3(config: experiment.Config, runs: Runs, about: tuple[str, ...]) -> list[Table]:
    ours, where, absent = our_rows(runs), TITLES[config.dataset], _absent(runs)
    about = (*about, *missing_folds(runs))

    def sources(number: int) -> list[tuple[str, ...]]:
        return [()] * len(published(number)) + [(variant,) for variant in runs]

    return [
        Table(
            "table1_spotting_f1",
            f"Table I. ME spotting, F1-score (our rows: {_kind(config)})",
            _with_published(
                published(1),
                {"CAS(ME)³, published": "casme3", "SAMM-LV, published": "sammlv"},
                ours,
                {f"{where}, ours": "spotting.f1"},
            ),
            (*about, _CHALLENGE),
            runs,
            sources(1),
        ),
        Table(
            "table2_recognition",
            f"Table II. ME recognition, UF1 and UAR (our rows: {_kind(config)})",
            _with_published(
                published(2),
                {"UF1, CAS(ME)³, published": "uf1", "UAR, CAS(ME)³, published": "uar"},
                ours,
                {f"UF1, {where}, ours": "recognition.uf1", f"UAR, {where}, ours": "recognition.uar"},
            ),
            (*about, *absent, _GIVEN_INTERVALS, _CLASSES, _TABLE_2_MISPRINT),
            runs,
            sources(2),
        ),
        Table(
            "table3_analysis",
            f"Table III. ME analysis, STRS = spotting F1 × recognition F1 (our rows: {_kind(config)})",
            _with_published(
                published(3),
                {
                    f"{title}, {TITLES[name]}, published": f"{name}_{measure}"
                    for name in _THEIRS
                    for title, (measure, _) in _ANALYSIS.items()
                },
                ours,
                {f"{title}, {where}, ours": measure for title, (_, measure) in _ANALYSIS.items()},
            ),
            (*about, *absent, *_fitted(runs["flow-magnitude"][0]), _CHALLENGE, _TABLE_3_MISPRINT),
            runs,
            sources(3),
        ),
    ]


_ANALYSIS = {
    "STRS": ("strs", "strs"),
    "F1 spot.": ("spotting_f1", "spotting.f1"),
    "F1 recog.": ("recognition_f1", "recognition.f1"),
}
"""Table III's columns: heading → name in the published file, measure."""


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


def _table_4(config: experiment.Config, runs: Runs, about: tuple[str, ...]) -> Table:
    """Table IV: counts and ratios of both tasks, without and with result-level synergy."""
    theirs, columns = _table_4_published(), {}
    for name in _THEIRS:
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
            heading = f"{TITLES[config.dataset]}, {words}, {short}, ours"
            columns[heading], sources[heading] = _details(runs[variant], task), (variant,)
    of_pair = {variant: runs[variant] for variant in pair.values()}
    frame = pd.DataFrame({"Metric": list(_DETAILS), **columns})
    return Table(
        "table4_result_synergy",
        f"Table IV. Result-level synergy of ME-TST+ in detail (ours: {_kind(config)})",
        frame,
        (
            *about,
            *missing_folds(of_pair),
            *_absent(of_pair),
            _ONE_TRAINING,
            _FALSE_POSITIVES,
            _TABLE_4_MISPRINT,
        ),
        of_pair,
        sources,
    )


_TASKS = {"spotting": "spot.", "recognition": "recog."}
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
"""Table IV's rows: heading → name in the published file."""


def _details(runs: Sequence[experiment.Run], task: str) -> list[str]:
    """One column of Table IV, from top to bottom."""
    if short := lacking(runs):
        return [short] * len(_DETAILS)
    parts = [getattr(run.scores(), task) for run in runs]
    ratios = estimates(runs)
    counts = [_count([part.tp + part.fn for part in parts])]
    counts += [_count([getattr(part, name) for part in parts]) for name in ("tp", "fp", "fn")]
    measures = [f"{task}.{name}" for name in ("precision", "recall", "f1")]
    return [*counts, *(str(ratios[measure]) for measure in (*measures, "strs"))]


def _count(values: Sequence[int]) -> str:
    """A count of one seed, or its mean and deviation over several."""
    if len(set(values)) == 1:
        return str(values[0])
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def _table_5(config: experiment.Config, runs: Runs, about: tuple[str, ...]) -> Table:
    """Table V: which parts a row has, what the paper prints for it, and ours."""
    theirs, ours = published(5), our_rows(runs).set_index("variant")
    variants = [experiment.VARIANTS[name] for name in ABLATION]
    frame = pd.DataFrame({"Row": theirs["row"].astype(str)})
    for title, has in _PARTS.items():
        frame[title] = ["✓" if has(variant) else "×" for variant in variants]
    for name in _THEIRS:
        for title, (measure, _) in _ANALYSIS.items():
            frame[f"{title}, {TITLES[name]}, published"] = theirs[f"{name}_{measure}"].map("{:.4f}".format)
    for title, (_, measure) in _ANALYSIS.items():
        frame[f"{title}, {TITLES[config.dataset]}, ours"] = ours.loc[list(ABLATION), measure].tolist()
    return Table(
        "table5_ablation",
        f"Table V. Ablation, the parts of ME-TST+ (ours: {_kind(config)})",
        frame,
        (*about, *missing_folds(runs), *_absent(runs), _TWO_AT_ONCE, *_unequal(config), _ONE_TRAINING),
        runs,
        [(name,) for name in ABLATION],
    )


_PARTS = {
    "18 regions": lambda variant: variant.roi_set == "18",
    "Slow-fast": lambda variant: variant.network == "METSTPlus",
    "Feature-level synergy": lambda variant: variant.feature_synergy,
    "Result-level synergy": lambda variant: variant.result_synergy,
}
"""Table V's ticks: heading → whether a variant has the part."""


def difference_table(runs: Runs, pairs: Sequence[tuple[str, str, str]] = PAIRS) -> Table:
    """The paired differences of `pairs`, with intervals and what may be said; runs must hold the variants."""
    (config,) = {run.config.dataset: run.config for of_seeds in runs.values() for run in of_seeds}.values()
    where, seeds = TITLES[config.dataset], len(next(iter(runs.values())))
    compared = {variant: runs[variant] for _, *pair in pairs for variant in pair}
    rows = []
    for change, a, b in pairs:
        row = {"Rows": _rows(a, b), "What changes": change}
        row |= {f"STRS, {TITLES[name]}, published": _published_difference(a, b, name) for name in _THEIRS}
        short = lacking(runs[a]) or lacking(runs[b])
        found = {} if short else differences(runs[a], runs[b])
        for title, (_, measure) in _ANALYSIS.items():
            row[f"{title}, {where}, ours"] = short or str(found[measure])
        row["Seen in ours"] = DASH if short else reading(found)
        rows.append(row)
    return Table(
        "table5_differences",
        f"Table V, continued. Paired differences between its rows (ours: {_kind(config)})",
        pd.DataFrame(rows),
        (
            _paired(seeds),
            _by_chance(len(pairs) * len(_ANALYSIS)),
            *missing_folds(compared),
            _PUBLISHED_DIFFERENCES,
            _TWO_AT_ONCE,
        ),
        compared,
        [(a, b) for _, a, b in pairs],
    )


def reading(found: Mapping[str, Difference]) -> str:
    """What may be said of STRS and its two factors: the measures that differ, or "no difference seen"."""
    said: dict[str, list[str]] = {}
    for title, (_, measure) in _ANALYSIS.items():
        said.setdefault(found[measure].words, []).append(title)
    said.pop("no difference seen", None)
    return "; ".join(f"{', '.join(titles)} {words}" for words, titles in said.items()) or "no difference seen"


def _rows(a: str, b: str) -> str:
    names = [str(ABLATION.index(v) + 1) if v in ABLATION else experiment.VARIANTS[v].title for v in (a, b)]
    return " − ".join(names)


def _published_difference(a: str, b: str, dataset: str) -> str:
    if a not in ABLATION or b not in ABLATION:
        return DASH
    strs = published(5)[f"{dataset}_strs"]
    return f"{strs[ABLATION.index(a)] - strs[ABLATION.index(b)]:+.4f}"


# --- where the paper contradicts itself -----------------------------------------------------------------


def contradictions() -> pd.DataFrame:
    """What the paper prints beside what its own numbers give: columns place, printed, elsewhere, remark.

    What can be computed is computed from the published tables; the rest is quoted from the text.
    """
    rows = [*_text_against_tables(), *_misprints(), *_claims()]
    return pd.DataFrame(rows, columns=["place", "printed", "elsewhere", "remark"])


def _text_against_tables() -> list[tuple[str, str, str, str]]:
    best = published(2).set_index("method").loc["ME-TST+"]
    detail = _table_4_published()
    recall, total = (detail["CASME3", "yes", task] for task in ("recognition", "spotting"))
    return [
        (
            "Sec. IV-D, ME-TST+ on CAS(ME)³",
            "UF1 0.5151, UAR 0.4930",
            f"Table II: {best.uf1:.4f}, {best.uar:.4f}",
            "text and table differ",
        ),
        (
            "Table II, UAR of four classes",
            f"{best.uar:.4f}",
            f"Table IV, recall of three classes: {recall['recall']:.4f}",
            "one number, two protocols",
        ),
        ("Sec. IV-A, MEs of CAS(ME)³", "860", f"Table IV: {total['total']}", "two are lost on the way"),
        ("Sec. IV-A, macro-expressions of CAS(ME)³", "3342", "owners' workbook: 3346", "four more"),
    ]


def _misprints() -> list[tuple[str, str, str, str]]:
    detail, three = _table_4_published(), published(3).set_index("method")
    with_, without = (detail["SAMMLV", synergy, "recognition"] for synergy in ("yes", "no"))
    rows = [
        (
            "Table IV, SAMM-LV, recognition, with",
            f"precision {with_['precision']:.4f}, F1 {with_['f1']:.4f}",
            f"F1 {metrics.harmonic_mean(with_['precision'], with_['recall']):.4f}; of precision 2/3 "
            f"{metrics.harmonic_mean(2 / 3, with_['recall']):.4f}",
            "must be 0.6667",
        ),
        (
            "Table IV, SAMM-LV, recognition, without",
            f"precision {without['precision']:g}",
            f"11/18 = {11 / 18:.4f}",
            "cut, not rounded",
        ),
    ]
    for method in ("USTC-IAT-United", "He et al."):
        strs, spot, recog = three.loc[method, [f"sammlv_{name}" for name, _ in _ANALYSIS.values()]]
        product = f"{spot:.2f} × {recog:.2f} = {spot * recog:.4f}"
        rows.append((f"Table III, {method}", f"STRS {strs:.2f}", product, "not Eq. 7; a challenge scorer"))
    return rows


def _claims() -> list[tuple[str, str, str, str]]:
    detail = _table_4_published()
    spotting = {
        name: [detail[name.upper(), synergy, "spotting"] for synergy in ("no", "yes")] for name in _THEIRS
    }
    known = published(1).dropna(subset="casme3").set_index("method").casme3
    strs = published(5).set_index("row").sammlv_strs
    return [
        (
            "Sec. IV-C, spotting above all others",
            f"ME-TST+ on CAS(ME)³ {known['ME-TST+']:.4f}",
            f"Table I: {known.idxmax()} {known.max():.4f}",
            "holds among methods that do both tasks",
        ),
        (
            "Sec. IV-E, precision near recall on both sets",
            "“closely matched”",
            _each({name: f"{on['precision']:.3f}, {on['recall']:.3f}" for name, (_, on) in spotting.items()}),
            "holds on one",
        ),
        (
            "Table V, SAMM-LV, rows 3 and 4 against 2",
            "one part more",
            f"STRS {strs[3]:.4f}, {strs[4]:.4f} against {strs[2]:.4f}",
            "lower; result-level synergy is missing too",
        ),
        (
            "Sec. IV-F, joint gain above the sum of its parts",
            f"SAMM-LV, rows 5 to 7: STRS {strs[7] - strs[5]:+.4f}",
            f"{strs[6] - strs[5]:+.4f} and {strs[7] - strs[6]:+.4f}",
            "steps add up; no row has the result level alone",
        ),
    ]


def _table_4_published() -> dict[tuple[str, str, str], dict]:
    """Table IV by (data set, result synergy, task)."""
    rows = published(4).to_dict("records")
    return {(row["dataset"], row["result_synergy"], row["task"]): row for row in rows}


def _each(values: Mapping[str, str]) -> str:
    return "; ".join(f"{TITLES[name]} {value}" for name, value in values.items())


# --- notes ----------------------------------------------------------------------------------------------

_CHALLENGE = (
    "The published rows of USTC-IAT-United and He et al. come from a challenge scorer that forgives false "
    "positives in videos without an ME: they compare with no other row."
)
_GIVEN_INTERVALS = (
    'Published rows of type "R" recognise intervals that are given; "S&R" rows only what they spotted '
    "themselves."
)
_TABLE_2_MISPRINT = (
    "The paper's text has 0.5151 and 0.4930 for ME-TST+ where its table has 0.5317 and 0.5083."
)
_CLASSES = (
    "The paper says four classes for Table II and three for Tables III to V (its UAR in Table II is the "
    "recall in Table IV); ours are three throughout: negative, positive, surprise."
)
_ONE_TRAINING = (
    "Result-level synergy acts after training: ME-TST+ with and without it (rows 6 and 7 of Table V) are one "
    "set of trained networks."
)
_FALSE_POSITIVES = (
    "Recognition is scored on spotted MEs of three classes; one that is called others is a miss and nobody's "
    "false positive, hence FP and FN may differ."
)
_TABLE_4_MISPRINT = (
    "Published SAMM-LV: the recognition precision 0.6677 must be 0.6667 for the printed F1, and 0.6110 "
    "(printed 0.611) is 11/18 = 0.6111 cut short."
)
_TWO_AT_ONCE = (
    "Rows 3 and 4 differ from row 2 in two things: a part more, and no result-level synergy. Row 6 is the "
    "one to hold them against."
)
_PUBLISHED_DIFFERENCES = (
    "The paper gives no intervals and one run of each row; its differences are shown as printed."
)
_TABLE_3_MISPRINT = (
    "The published STRS of USTC-IAT-United and He et al. (0.11, 0.09) is not the product of their printed "
    "F1 scores (0.1044, 0.0969)."
)


def _kind(config: experiment.Config) -> str:
    return "SYNTHETIC data" if config.synthetic else TITLES[config.dataset]


def _about(config: experiment.Config, seeds: int) -> tuple[str, ...]:
    data = experiment.load_data(config)
    events = sum(len(video.events_of("micro")) for video in data.videos)
    one = "1 seed: its value" if seeds == 1 else f"{seeds} seeds: mean ± standard deviation over seeds"
    size = (
        f"Ours: leave-one-subject-out on {TITLES[config.dataset]} data, preset `{config.preset}`, "
        f"{len(data.subjects)} subjects, {len(data.videos)} videos, {events} MEs, scorer "
        f"`{config.scorer}`. {one}, and in brackets the 95 % bootstrap interval over subjects."
    )
    if not config.synthetic:
        return (size,)
    rendered = config.dataset == "synthetic"
    made = (
        "rendered motion of one face" if rendered else "flow made up for the real labels, with no face in it"
    )
    return (
        size,
        f"Synthetic data are {made}: our numbers say how the methods compare with each other on them, and "
        "nothing about the published columns, which come from real data.",
    )


def _absent(runs: Runs) -> tuple[str, ...]:
    """Scored classes that appear neither as truth nor as prediction among the spotted MEs of a run."""
    said = [
        f"{experiment.VARIANTS[variant].title}, seed {run.config.seed}: {', '.join(absent)}"
        for variant, of_seeds in runs.items()
        for run in of_seeds
        if not run.missing and (absent := run.scores().recognition.absent)
    ]
    if not said:
        return ()
    return (
        "Classes with nothing true and nothing called so among the spotted MEs (they stay in the means with "
        f"the value 0): {'; '.join(said)}.",
    )


def _unequal(config: experiment.Config) -> tuple[str, ...]:
    """What else differs between rows with one path and rows with two: size and training settings."""
    sizes = {}
    for variant in ("me-tst", "single-path-18roi", "slowfast-5roi", "me-tst-plus"):
        network = experiment.build(dataclasses.replace(config, variant=variant))
        sizes[variant] = sum(parameter.numel() for parameter in network.parameters())
    rows = "; ".join(f"row {ABLATION.index(variant) + 1} {size:,}" for variant, size in sizes.items())
    size = f"Networks differ in size as well (parameters: {rows})"
    one, two = (config.settings.training[name] for name in ("METST", "METSTPlus"))
    if one == two:
        return (f"{size}; all are trained alike.",)
    return (
        f"{size}, and in training: one path {one.epochs} epochs at {one.lr:g} at most, two paths "
        f"{two.epochs} at {two.lr:g}.",
    )


def _paired(seeds: int) -> str:
    chance = (
        "One seed: the chance of a training itself (its seed) is not in these intervals"
        if seeds == 1
        else f"Mean over {seeds} seeds, each draw of subjects scored with all of them"
    )
    return (
        "Row less row, in brackets the 95 % interval of the paired bootstrap over subjects. Where it "
        f"contains zero, no difference was seen. {chance}."
    )


def _by_chance(intervals: int) -> str:
    return (
        f"Of {intervals} such intervals about {round(intervals / 20)} would leave zero out by chance alone "
        "if nothing differed."
    )


def _fitted(run: experiment.Run) -> tuple[str, ...]:
    """What the training-free comparator chose on the training subjects: each setting over all folds."""
    fitted = [fold.fitted for fold in run.folds.values()]
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


_SIGNS = {"✓": r"$\checkmark$", "×": r"$\times$", "−": "$-$", "→": r"$\to$"}
"""Signs that a plain LaTeX does not know."""


def _latex(text: str) -> str:
    for plain, escaped in (("%", r"\%"), ("&", r"\&"), ("_", r"\_"), ("`", "")):
        text = text.replace(plain, escaped)
    return text
