"""The paper's own numbers (`published/*.csv`), and where they contradict each other."""

import importlib.resources

import pandas as pd

from metst_lib import datasets
from metst_lib.experiment.variants import ABLATION, VARIANTS

FOLDER = importlib.resources.files("metst_lib.experiment") / "published"
#: The paper's data sets.
THEIRS = ("casme3", "sammlv")
TITLES = {name: datasets.reader_of(name).title for name in THEIRS}


def table(number: int) -> pd.DataFrame:
    """The paper's table of that number (1–5) as it is printed, misprints included."""
    (file,) = [f for f in FOLDER.iterdir() if f.name.startswith(f"table{number}_")]
    with file.open() as text:
        return pd.read_csv(text)


def successors() -> pd.DataFrame:
    """What later work of the authors prints, and where."""
    with (FOLDER / "successors.csv").open() as text:
        return pd.read_csv(text)


def with_successors(number: int) -> pd.DataFrame:
    """The same, and below it what later work of the authors prints for its columns, where it prints any."""
    later, printed = successors(), table(number)
    shared = [name for name in later if name in printed and name != "method"]
    return pd.concat([printed, later[["method", *shared]]]) if shared else printed


def contradictions() -> pd.DataFrame:
    """What the paper prints beside what its own numbers give: columns place, printed, elsewhere, remark.

    A test computes what can be computed from the published tables; the rest is quoted from the text.
    """
    with (FOLDER / "contradictions.csv").open() as text:
        return pd.read_csv(text, dtype=str)


def details() -> dict[tuple[str, str, str], dict]:
    """Table IV by (data set, result synergy, task)."""
    rows = table(4).to_dict("records")
    return {(row["dataset"], row["result_synergy"], row["task"]): row for row in rows}


def of_variant(dataset: str, variant: str) -> dict[str, tuple[str, float]]:
    """What is printed of a variant on a data set: measure → (where, value). Of Table V, else of Tables II and
    III or of a successor; {} where nothing is."""
    if dataset not in THEIRS:
        return {}
    ablation = table(5).assign(method=[VARIANTS[name].title for name in ABLATION], source="Table V")
    places = [ablation, table(3).assign(source="Table III"), successors()]
    columns = {f"{dataset}_{short}": name for short, name in _SHORT.items()}
    if dataset == "casme3":
        places.append(table(2).assign(source="Table II"))
        columns |= {name: f"recognition.{name}" for name in ("uf1", "uar")}
    found: dict[str, tuple[str, float]] = {}
    for rows in places:
        for row in rows[rows["method"] == VARIANTS[variant].title].to_dict("records"):
            for column, measure in columns.items():
                if pd.notna(row.get(column)):
                    found.setdefault(measure, (row["source"], row[column]))
    return found


# Columns of Tables III and V: name → measure.
_SHORT = {"strs": "strs", "spotting_f1": "spotting.f1", "recognition_f1": "recognition.f1"}
