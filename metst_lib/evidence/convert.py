"""Clones of public repositories → the pack that `evidence.pack` reads.

The layouts are the authors' own, as they lie in the clones (`evidence.sources`); `authors` reads each. The
pack is csv and npz, frames 0-based and inclusive unless its columns say "owners' numbers".

What a clone lacks is left out and named; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib._files import atomic, write_text
from metst_lib.evidence import authors, sources
from metst_lib.evidence.clones import Clones

#: Beside the files of the pack: where each comes from, and what was not as it is known.
ORIGIN = "SOURCES.csv"


@dataclass(frozen=True)
class Conversion:
    """What `convert` wrote (names of files), what it could not (name → why), and what it was not sure of.

    changed: sources that are not the known ones (accepted); unchecked: sources that nothing could be held
    against.
    """

    folder: Path
    written: tuple[str, ...]
    missing: dict[str, str]
    changed: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def convert(clones: str | Path, out: str | Path, accept_changed: bool = False) -> Conversion:
    """Write the pack into `out` from the clones in a folder, as far as they are there.

    Raises FileNotFoundError where there is no such folder, ValueError where a clone stands at another commit
    or a source is not the known one, unless accept_changed: then the pack says so in every caption. Nothing
    is written before all sources are checked.
    """
    clones, out = Path(clones), Path(out)
    if not clones.is_dir():
        raise FileNotFoundError(f"no folder {clones} with clones")
    found = Clones(clones, accept_changed)
    paths = {source: found.find(source) for source in sources.known()}
    made: dict[str, pd.DataFrame | dict[str, np.ndarray]] = {}
    missing: dict[str, str] = {}
    for name, (make, needs) in authors.MAKERS.items():
        lacking = [source for source in sources.of(name) if not paths[source]]
        if lacking:
            missing[name] = "not there: " + "; ".join(f"{s.repository}, {s.path}" for s in lacking)
        elif absent := [need for need in needs if need not in made]:
            missing[name] = f"needs {' and '.join(absent)}"
        else:
            made[name] = _made(name, make, [paths[source] for source in sources.of(name)], made)
    for name, content in made.items():
        _write(out / name, content)
    origin = sources.table()
    origin = origin[origin["file"].isin(list(made))].assign(changed="")
    for row in origin.index:
        here = [what for what in found.changed if what.startswith(origin.at[row, "repository"])]
        origin.at[row, "changed"] = " | ".join(here)
    if made:
        write_text(out / ORIGIN, origin.to_csv(index=False, lineterminator="\n"))
    return Conversion(out, tuple(made), missing, tuple(found.changed), tuple(found.unchecked))


def _made(name: str, make: Callable, paths: list[list[Path]], made: dict) -> Any:
    """What `authors` makes of the sources; a layout that is not the known one is a ValueError."""
    try:
        return make(paths, made)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        files = ", ".join(str(path) for of in paths for path in of[:1])
        raise ValueError(f"{name}: {files}: the layout is not the known one ({error!r})") from error


def _write(path: Path, content: pd.DataFrame | dict[str, np.ndarray]) -> None:
    if isinstance(content, pd.DataFrame):
        write_text(path, content.to_csv(index=False, lineterminator="\n"))
        return
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **content)
