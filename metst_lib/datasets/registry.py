"""Which data sets there are: the owners' three, those that installed packages bring, those of this process,
and your own, which lie in folders of a compendium (`own`).

A package brings a set by an entry point of the group `metst.readers`: the set's name = its `Reader`. So does
this one with the synthetic sets, which `datasets` need not know of.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from metst_lib.datasets import casme2sq, casme3, own, sammlv
from metst_lib.datasets.reader import Reader

GROUP = "metst.readers"
_OWNERS = {reader.name: reader for reader in (casme3.READER, sammlv.READER, casme2sq.READER)}
_FIRST = "synthetic"  # the demonstration comes first wherever sets are listed
_registered: dict[str, Reader] = {}


@cache
def _brought() -> dict[str, EntryPoint]:
    """Entry points by name; reading those of all installed packages takes a moment."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def known(data: Path | None = None) -> list[str]:
    """Names of the data sets: the demonstration, the owners' sets, then the others by name.

    data: the folder that holds the sets, for those that are your own.
    """
    names = dict.fromkeys((*_OWNERS, *_brought(), *_registered, *(own.names(data) if data else ())))
    return sorted(names, key=lambda name: name != _FIRST)


def reader_of(name: str, data: Path | None = None) -> Reader:
    """What is known of a data set; data: the folder that holds the sets, where it may be one of your own.

    ValueError listing the known sets where it is unknown, or naming the entry point that cannot be loaded, or
    what is wrong in the settings of a set of your own.
    """
    if name in _OWNERS or name in _registered:
        return _OWNERS.get(name) or _registered[name]
    if name not in _brought():
        if data and (reader := own.reader_in(data, name)):
            return reader
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(known(data))}")
    point = _brought()[name]
    where = f"the data set {name!r} (entry point {GROUP}, {point.value})"
    try:
        reader = point.load()
    except Exception as error:  # a package of somebody else's, which may fail in any way
        raise ValueError(f"{where} cannot be loaded: {error}") from error
    if not isinstance(reader, Reader) or reader.name != name:
        raise ValueError(f"{where} is no Reader of that name")
    return reader


def register(reader: Reader) -> None:
    """Make a set known to this process, in a notebook or a test. ValueError where its name is taken."""
    if reader.name in known():
        raise ValueError(f"there is a data set {reader.name!r} already; known: {', '.join(known())}")
    _registered[reader.name] = reader
