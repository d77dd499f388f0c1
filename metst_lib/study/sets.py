"""Real sets, demo and study side by side: whether what is drawn looks like what was recorded.

The three real sets by their stored statistics, which need no licence; the demo and the study by their
scripts, before anything is rendered. All that is said of the last two is SYNTHETIC.
"""

from collections.abc import Iterable

import pandas as pd

from metst_lib.datasets import reader_of, statistics
from metst_lib.events import Video
from metst_lib.experiment.tables import DASH, Table
from metst_lib.synthetic import replicates, writer

#: The replicates that are counted.
COUNTED = (1, 2, 3, 4, 5)
#: Statistics that say how large a set is, and not what its videos look like.
SIZES = ("videos", "total length (min)", "subjects with an ME", "MEs")
DEMO, STUDY = "demo, synthetic", "study, synthetic"
CAPTION = "What the sets look like: three real ones beside the demo and the study (both SYNTHETIC)"
_NOTES = (
    "Real sets: counted in the owners' workbooks, as metst_lib/datasets/real_statistics.csv says. "
    f"{DASH}: the set does not label it. Blinks of CAS(ME)³ are labelled for 13 subjects, of some in one "
    "video only.",
    "Demo: dense in events on purpose, because it must run in minutes.",
    "5 % and 95 %: percentiles. ME: micro-expression; macro: macro-expression.",
)


def demo() -> list[Video]:
    """The videos of the demonstration, as their scripts say, without their frames."""
    return [
        Video(plan.subject, plan.video, plan.script.fps, plan.script.n_frames, plan.script.events)
        for plan in writer.plan()
    ]


def measured(numbers: Iterable[int] = COUNTED) -> pd.DataFrame:
    """Every statistic of every set: set, replicate (of the study; else missing), statistic, value.

    Sets in the order of the table's columns. ValueError where no replicate is named.
    """
    if not (numbers := list(numbers)):
        raise ValueError("no replicate is named: the study's column needs at least one")
    stored = statistics.real()
    real = stored.assign(set=[reader_of(name).title for name in stored["dataset"]])
    drawn = {(DEMO, None): demo()} | {(STUDY, n): replicates.replicate(n).videos for n in numbers}
    tables = [real[["set", "statistic", "value"]]]
    for (name, number), videos in drawn.items():
        found = statistics.statistics(videos).reset_index()
        tables.append(found.assign(set=name, replicate=number))
    table = pd.concat(tables, ignore_index=True)
    return table[["set", "replicate", "statistic", "value"]].astype({"replicate": "Int64"})


def table(found: pd.DataFrame) -> Table:
    """What `measured` found as a table: a row a statistic, a column a set; of replicates mean and range."""
    sets = list(dict.fromkeys(found["set"]))
    values = found.groupby(["statistic", "set"])["value"].agg(list)
    whole = found["value"].eq(found["value"].round()).groupby(found["statistic"]).all()
    names = list(dict.fromkeys(found["statistic"]))
    columns = {each: [_cell(values[name, each], whole[name]) for name in names] for each in sets}
    number = found["replicate"].nunique()
    said = f"Study: mean of {number} replicates, in brackets the lowest and the highest of them."
    frame = pd.DataFrame({"Statistic": names, **columns})
    return Table("data_compare", CAPTION, frame, (*_NOTES, said))


def _cell(values: list[float], whole: bool) -> str:
    """One value, or the mean of several and their range; a dash where nothing is labelled."""
    low, mean, high = (_text(value, whole) for value in (min(values), sum(values) / len(values), max(values)))
    return mean if low == high else f"{mean} ({low}–{high})"


def _text(value: float, whole: bool) -> str:
    """About three digits, 92.5 or 0.42; whole: in a row of whole numbers only means have fractions."""
    if pd.isna(value):
        return DASH
    places = 0 if value >= 100 or (whole and value == int(value)) else 1 if value >= 10 else 2
    return f"{value:.{places}f}"
