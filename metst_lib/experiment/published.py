"""The paper's own numbers (`published/*.csv`), and where they contradict each other."""

import importlib.resources

import pandas as pd

from metst_lib import datasets

FOLDER = importlib.resources.files("metst_lib.experiment") / "published"
#: The paper's data sets.
THEIRS = ("casme3", "sammlv")
TITLES = {name: datasets.reader_of(name).title for name in THEIRS}


def table(number: int) -> pd.DataFrame:
    """The paper's table of that number (1–5) as it is printed, misprints included."""
    (file,) = [f for f in FOLDER.iterdir() if f.name.startswith(f"table{number}_")]
    with file.open() as text:
        return pd.read_csv(text)


def with_successors(number: int) -> pd.DataFrame:
    """The same, and below it what later work of the authors prints for its columns, where it prints any."""
    with (FOLDER / "successors.csv").open() as text:
        later = pd.read_csv(text)
    printed = table(number)
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
