"""Tables I–III of the paper as data frames: the published rows, and ours beside or below them.

Published numbers come from `metst_lib/published/*.csv`, ours from the finished folds of a data set. On the
synthetic set ours stand in a column of their own that says so: they come from other data than the
published ones and cannot be compared with them.
"""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import experiment, metrics
from metst_lib._files import write_text

TITLES = {"casme3": "CAS(ME)³", "sammlv": "SAMM-LV", "casme2sq": "CAS(ME)²", "synthetic": "synthetic"}
"""Names of the data sets as they stand in tables and figures."""

DASH = "–"


@dataclass(frozen=True)
class Table:
    """A table ready to be written: its number in the paper, a caption, the rows, and notes below them."""

    name: str
    caption: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """Caption, rows and notes as GitHub Markdown."""
        rows = self.frame.to_markdown(index=False, disable_numparse=True)
        notes = "".join(f"\n- {note}" for note in self.notes)
        return f"**{self.caption}**\n\n{rows}\n{notes}\n"

    def to_latex(self) -> str:
        """The same as a LaTeX table (booktabs)."""
        style = self.frame.style.hide(axis="index").format(escape="latex")
        style = style.format_index(escape="latex", axis=1)
        body = style.to_latex(hrules=True, caption=_latex(self.caption), label=f"tab:{self.name}")
        notes = " ".join(_latex(note) for note in self.notes)
        return body.replace("\\end{table}", f"\n\\smallskip\n\\footnotesize {notes}\n\\end{{table}}")

    def write(self, folder: Path) -> list[Path]:
        """Write `<name>.md`, `.csv` and `.tex` into a folder; returns the paths."""
        return [
            write_text(folder / f"{self.name}.md", self.to_markdown()),
            write_text(folder / f"{self.name}.csv", self.frame.to_csv(index=False)),
            write_text(folder / f"{self.name}.tex", self.to_latex()),
        ]


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


def our_rows(dataset: str, variants: Sequence[str], seeds: Sequence[int], **options: str) -> pd.DataFrame:
    """One row a variant: its title, and an `Estimate` for each of `metrics.MEASURES` as text.

    A variant with missing folds has "k of n folds" in place of every number.
    """
    rows = []
    for variant in variants:
        runs = [experiment.read_run(experiment.configure(dataset, variant, s, **options)) for s in seeds]
        lacking = [f"{len(r.folds)} of {len(r.folds) + len(r.missing)} folds" for r in runs if r.missing]
        cells = dict.fromkeys(metrics.MEASURES, lacking[0]) if lacking else estimates(runs)
        row = {"type": "S&R", "method": experiment.VARIANTS[variant].title}
        rows.append(row | {measure: str(cell) for measure, cell in cells.items()})
    return pd.DataFrame(rows)


# --- the paper's tables ---------------------------------------------------------------------------------

OURS = ("flow-magnitude", "me-tst")
"""The variants that the tables show, the yardstick first."""


def make(dataset: str = "synthetic", seeds: Sequence[int] = (0,), **options: str) -> list[Table]:
    """Tables I–III of an edition. options are those of `experiment.configure` (preset, root)."""
    config = experiment.configure(dataset, **options)
    ours = our_rows(dataset, OURS, seeds, **options)
    about = _about(config, len(seeds))
    where = TITLES[dataset]
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
            (*about, _GIVEN_INTERVALS, _TABLE_2_MISPRINT),
        ),
        Table(
            "table3_analysis",
            f"Table III. ME analysis, STRS = spotting F1 × recognition F1 (our rows: {_kind(config)})",
            _with_published(
                published(3),
                {
                    f"{title}, {TITLES[name]}, published": f"{name}_{measure}"
                    for name in ("casme3", "sammlv")
                    for title, (measure, _) in _ANALYSIS.items()
                },
                ours,
                {f"{title}, {where}, ours": measure for title, (_, measure) in _ANALYSIS.items()},
            ),
            (*about, *_fitted(dataset, seeds, **options), _CHALLENGE, _TABLE_3_MISPRINT),
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
    return (
        size,
        "Synthetic data are rendered motion of one face: our numbers say how the methods compare with each "
        "other on them, and nothing about the published columns, which come from real data.",
    )


def _fitted(dataset: str, seeds: Sequence[int], **options: str) -> tuple[str, ...]:
    """What the training-free comparator chose on the training subjects: each setting over all folds."""
    run = experiment.read_run(experiment.configure(dataset, "flow-magnitude", seeds[0], **options))
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


def _latex(text: str) -> str:
    for plain, escaped in (("%", r"\%"), ("&", r"\&"), ("_", r"\_"), ("`", "")):
        text = text.replace(plain, escaped)
    return text
