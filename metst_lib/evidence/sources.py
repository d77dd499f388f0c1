"""What other people made public of their results on SAMM-LV and CAS(ME)², and where it lies.

`sources.csv` has a row for each file of the pack (`evidence.pack`) and each source that it is made of:
repository on GitHub, commit, path, licence as found there, SHA-256. Nothing of it is copied here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd


@dataclass(frozen=True)
class Source:
    """One source of one file of the pack.

    path: in the repository; with a * it stands for many files. sha256: of the source, of many files of their
    hashes in natural order of the names; empty where only the commit is known.
    """

    file: str
    repository: str
    path: str
    commit: str
    licence: str
    sha256: str


@cache
def known() -> tuple[Source, ...]:
    """All sources, in the order of the files of the pack."""
    with (resources.files(__package__) / "sources.csv").open(encoding="utf-8") as text:
        return tuple(Source(**row) for row in csv.DictReader(text))


def of(file: str) -> list[Source]:
    """The sources of a file of the pack."""
    return [source for source in known() if source.file == file]


def table() -> pd.DataFrame:
    """`known` as a table: file, repository, path, commit, licence, sha256."""
    return pd.DataFrame([vars(source) for source in known()])
