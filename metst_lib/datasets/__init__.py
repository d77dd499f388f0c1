"""Long-video data sets: annotations to one table, frames to videos, every change in an audit.

    load("casme3", "data")                       # frames under data/casme3/, see data/README.md
    read_annotations("casme3", micro, second)    # the tables alone

A set is a `Reader`: what it is called, where it lies, how it is read (paper, Sec. IV-A, Table I). Three stand
here, each in a module that tells how its tables err; others come by an entry point or `register`, or are your
own, a folder that `own` reads. This drawer imports the method and nothing beyond it.
"""

from pathlib import Path

from metst_lib.datasets.dataset import Dataset as Dataset
from metst_lib.datasets.dataset import is_long as is_long
from metst_lib.datasets.loading import find_tables as find_tables
from metst_lib.datasets.loading import load as load
from metst_lib.datasets.loading import read_annotations as read_annotations
from metst_lib.datasets.manifest import Manifest as Manifest
from metst_lib.datasets.reader import Reader as Reader
from metst_lib.datasets.registry import known as known
from metst_lib.datasets.registry import reader_of as reader_of
from metst_lib.datasets.registry import register as register
from metst_lib.datasets.rows import LONG_SECONDS as LONG_SECONDS


def how_to_get(name: str, data: Path | None = None) -> str:
    """One sentence on where a set comes from."""
    return reader_of(name, data).how_to_get
