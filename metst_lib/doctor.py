"""What is there and what is not: Python, packages, scans, graphics card, landmarks, data sets, disk.

`metst doctor` prints it; every line that is not well says what to do. Nothing here changes anything.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from metst_lib import datasets, experiment, faces, ssm

PYTHON = (3, 11)
LOCK = "requirements.lock"
DISK = 3.0
"""GB that the demonstration needs, its environment included."""
OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"
"""A note is something that works, only slower or with less; a problem stops something."""


@dataclass(frozen=True)
class Line:
    """One finding: what was looked at, how it stands (`OK`, `NOTE`, `PROBLEM`), and what to do."""

    what: str
    state: str
    found: str
    to_do: str = ""


def examine(root: str | Path = "") -> pd.DataFrame:
    """Everything that was found, one row each: what, state, found, to_do."""
    home = experiment.home(root)
    lines = [python(), *packages(home / LOCK), *scans(), card(), *landmarks(home / "data")]
    lines += [*sets(home / "data"), disk(home)]
    return pd.DataFrame([vars(line) for line in lines])


def python() -> Line:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= PYTHON:
        return Line("Python", OK, found)
    return Line("Python", PROBLEM, found, f"install Python {'.'.join(map(str, PYTHON))} or newer")


def locked(lock: Path) -> dict[str, str]:
    """Packages and versions of a requirements.lock that apply to this Python and system."""
    from packaging.markers import Marker

    versions = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([A-Za-z0-9_.-]+)==([^\s;]+)\s*(?:;\s*(.+))?$", line):
            name, version, marker = found.groups()
            if marker is None or Marker(marker).evaluate():
                versions[name] = version
    return versions


def packages(lock: Path) -> Iterator[Line]:
    """The installed packages against the lock: one line, or one for each kind of difference."""
    install = f"pip install -r {LOCK}"
    if not lock.is_file():
        yield Line("packages", NOTE, f"no {LOCK} here", "run it in a checkout to compare versions")
        return
    missing, other = [], []
    wanted = locked(lock)
    for name, version in wanted.items():
        try:
            there = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if there.partition("+")[0] != version.partition("+")[0]:  # 2.13.0+cpu is 2.13.0
            other.append(f"{name} {there} (lock: {version})")
    if missing:
        yield Line("packages", PROBLEM, f"missing: {', '.join(missing)}", install)
    if other:
        yield Line(
            "packages", NOTE, f"other versions: {', '.join(other)}", f"{install}, for the same numbers"
        )
    if not missing and not other:
        yield Line("packages", OK, f"{len(wanted)} as in {LOCK}")


def scans() -> Iterator[Line]:
    """The selective scan's back ends, and which one networks will use."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen, reasons = ssm.choose_backend(device), ssm.missing_backends(device)
    for name in ssm.BACKENDS:
        what = f"scan {name!r}"
        if name not in reasons:
            yield Line(what, OK, f"works on {device}" + (", and is the one used" if name == chosen else ""))
        elif name == "c" and device == "cpu":
            yield Line(what, NOTE, reasons[name], "install a C compiler, then: pip install --no-deps -e .")
        else:
            yield Line(what, NOTE, reasons[name], "" if device == "cpu" else "README, “On a GPU”")


def card() -> Line:
    """The graphics card."""
    if torch.cuda.is_available():
        return Line("GPU", OK, torch.cuda.get_device_name())
    return Line("GPU", NOTE, "none that torch can use", "not needed; full-size networks take hours without")


def landmarks(data: Path) -> Iterator[Line]:
    """The landmark predictors of the demonstration and of real faces."""
    own = data / "synthetic" / "shape_predictor_68_synthetic.dat"
    if own.is_file():
        yield Line("landmarks, synthetic", OK, own.name)
    else:
        yield Line("landmarks, synthetic", NOTE, "not there yet", "metst data synth trains it")
    named = os.environ.get("METST_LANDMARKS")
    real = Path(named) if named else data / faces.PREDICTOR.name
    if real.exists():
        yield Line("landmarks, real faces", OK, str(real) if named else real.name)
    elif named:
        yield Line(
            "landmarks, real faces", PROBLEM, f"METST_LANDMARKS names {named}: not there", "correct it"
        )
    else:
        to_do = "put dlib's 68-point file there, or name it by METST_LANDMARKS (data/README.md)"
        yield Line("landmarks, real faces", NOTE, f"no data/{real.name}", to_do)


def sets(data: Path) -> Iterator[Line]:
    """The data sets: which are there, and how to get the others."""
    for name in datasets.known():
        folder, what = data / name, f"data set {name}"
        if not folder.is_dir() or not any(folder.iterdir()):
            yield Line(what, NOTE, "not there", datasets.how_to_get(name))
            continue
        try:
            loaded = datasets.load(name, data)
        except FileNotFoundError as error:
            if (data / "flow" / name).is_dir():
                yield Line(
                    what, NOTE, "tables and imported flow, no frames", "enough for notebooks 03 and 05"
                )
            else:
                yield Line(what, PROBLEM, str(error), f"metst data check {name}")
            continue
        except ValueError as error:
            yield Line(what, PROBLEM, str(error), f"metst data check {name}")
            continue
        yield Line(what, OK, f"{len(loaded.subjects)} subjects, {len(loaded.videos)} videos with an ME")


def disk(home: Path) -> Line:
    """Free disk where data and runs go."""
    if not home.is_dir():
        return Line("disk", PROBLEM, f"no folder {home}", "correct METST_ROOT or --root")
    free = shutil.disk_usage(home).free / 1e9
    found = f"{free:.0f} GB free"
    if free < DISK:
        return Line("disk", PROBLEM, found, f"the demonstration needs {DISK:g} GB: make room")
    return Line("disk", OK, f"{found}; `metst data check` says what a real set's flow needs")
