"""What is there and what is not: Python, packages, scans, compiler, graphics card, landmarks, data, disk.

`metst doctor` prints it; every line that is not well says what to do. Nothing here changes anything.
"""

import importlib.metadata
import os
import re
import shutil
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from metst_lib import datasets, experiment, ssm
from metst_lib.app import devices
from metst_lib.datasets.landmarks import PREDICTOR, DlibLandmarker
from metst_lib.experiment import plan, store
from metst_lib.recording import model as models
from metst_lib.synthetic import predictor

PYTHON = (3, 11)
LOCK = "requirements.lock"
CHECKOUT = Path(__file__).resolve().parents[2]
#: GB that the demonstration needs, its environment included.
DISK = 3.0
#: A note is something that works, only slower or with less; a problem stops something.
OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"


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
    lock = next((p for p in (home / LOCK, CHECKOUT / LOCK) if p.is_file()), home / LOCK)
    lines = [python(), *packages(lock), *scans(), compiler(), card(), *landmarks(home / "data")]
    lines += [*sets(home / "data"), model(home), browser(), disk(home)]
    return pd.DataFrame([vars(line) for line in lines])


def report(found: pd.DataFrame, width: int = 100) -> str:
    """What `examine` found, as text for a terminal of so many columns: what to do stands below an arrow.

    Lines are broken between words only, so that an address stays whole.
    """
    names = max(map(len, found["what"])) + 2
    indent = " " * (len(PROBLEM) + 2 + names)
    width = max(width, len(indent) + 30)
    shown = []
    for row in found.itertuples():
        head = f"{row.state:<{len(PROBLEM) + 2}}{row.what:<{names}}"
        shown += _wrapped(row.found, head, indent, width)
        if row.to_do:
            shown += _wrapped(row.to_do, f"{indent}→ ", f"{indent}  ", width)
    problems, notes = (int((found["state"] == state).sum()) for state in (PROBLEM, NOTE))
    counts = f"{problems} problem{'s' * (problems != 1)}, {notes} note{'s' * (notes != 1)}"
    meaning = "a problem stops something; with a note all works, only slower or with less"
    shown += ["", *_wrapped(f"{counts}: {meaning}.", "", "", width)]
    return "\n".join(shown)


def _wrapped(text: str, first: str, rest: str, width: int) -> list[str]:
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, **whole)


def python() -> Line:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= PYTHON:
        return Line("Python", OK, found)
    return Line("Python", PROBLEM, found, f"install Python {'.'.join(map(str, PYTHON))} or newer")


def locked(lock: Path) -> dict[str, str]:
    """Packages and versions of a requirements.lock that apply to this Python and system."""
    from packaging.requirements import Requirement

    lines = lock.read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if re.match(r"[\w.-]+==", line)]
    return {r.name: str(r.specifier)[2:] for r in wanted if r.marker is None or r.marker.evaluate()}


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
        found = f"other versions: {', '.join(other)}"
        yield Line("packages", NOTE, found, f"{install}, for the same numbers")
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
            yield Line(what, NOTE, reasons[name], "with a C compiler: pip install --no-deps -e .")
        elif name == "mamba_ssm" and device == "cuda":
            yield Line(what, NOTE, reasons[name], "README, “Speed, memory, graphics cards”")
        else:
            yield Line(what, NOTE, reasons[name], f"nothing to do: networks here use {chosen!r}")


def compiler() -> Line:
    """The C compiler, which the C scan is built with."""
    name = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if found := shutil.which(name) or shutil.which("cc"):
        return Line("C compiler", OK, found)
    if "c" in ssm.available_backends():
        return Line("C compiler", OK, "none, and none is needed: the C scan is built")
    to_do = "install one (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)"
    return Line("C compiler", NOTE, f"none (looked for {name}): the scan is slower without", to_do)


def card() -> Line:
    """The graphics card."""
    if torch.cuda.is_available():
        return Line("GPU", OK, torch.cuda.get_device_name())
    if cards := devices.seen():
        found = f"{len(cards)} seen by the driver, none by torch {torch.__version__}"
        return Line("GPU", NOTE, found, "install the CUDA build of torch (README, “Two commands”)")
    return Line("GPU", NOTE, "none that torch can use", "not needed; full-size networks take hours without")


def landmarks(data: Path) -> Iterator[Line]:
    """The landmark predictors of the demonstration and of real faces."""
    own = data / "synthetic" / predictor.NAME
    if own.is_file():
        yield _predictor("landmarks, synthetic", own, "metst data synth --overwrite")
    else:
        yield Line("landmarks, synthetic", NOTE, "not there yet", "metst data synth trains it")
    what, named = "landmarks, real faces", os.environ.get("METST_LANDMARKS")
    real = Path(named) if named else data / PREDICTOR.name
    packed = real.with_name(f"{real.name}.bz2")
    if real.is_dir():
        yield Line(what, OK, f"landmark files in {real}")
    elif real.exists():
        yield _predictor(what, real, "unpack dlib's 68-point file there once more (data/README.md)")
    elif named:
        yield Line(what, PROBLEM, f"METST_LANDMARKS names {named}: not there", "correct it")
    elif packed.is_file():
        yield Line(what, NOTE, f"data/{packed.name} is still packed", f"bunzip2 data/{packed.name}")
    else:
        to_do = "put dlib's 68-point file there, or name it by METST_LANDMARKS (data/README.md)"
        yield Line(what, NOTE, f"no data/{real.name}", to_do)


def _predictor(what: str, path: Path, to_do: str) -> Line:
    """A predictor's file: whether dlib can read it."""
    if path.suffix.lower() in (".npz", ".csv"):
        return Line(what, OK, f"known landmarks, {path.name}")
    try:
        DlibLandmarker(path)
    except (ValueError, OSError):
        return Line(what, PROBLEM, f"{path.name} is no predictor of 68 landmarks, or not a whole one", to_do)
    return Line(what, OK, path.name)


def sets(data: Path) -> Iterator[Line]:
    """The data sets: which are there, and how to get the others."""
    for name in datasets.known(data):
        folder, what = data / name, f"data set {name}"
        if not folder.is_dir() or not any(folder.iterdir()):
            yield Line(what, NOTE, "not there", datasets.how_to_get(name, data))
            continue
        try:
            loaded = datasets.load(name, data)
        except (FileNotFoundError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and (data / "flow" / name).is_dir():
                found = "tables and imported flow, no frames"
                yield Line(
                    what, NOTE, found, "enough for notebooks 03 to 05 (04: with the flow of 18 regions)"
                )
            else:
                yield Line(what, PROBLEM, str(error), f"metst data check {name}")
        else:
            yield Line(what, OK, f"{len(loaded.subjects)} subjects, {len(loaded.videos)} videos with an ME")


def model(home: Path) -> Line:
    """The demonstration model, which `metst analyze` reads a video with."""
    what = "demonstration model"
    path = store.model_path(experiment.configure(variant=plan.DEMONSTRATION, root=home))
    try:
        about = models.load(path).about
    except FileNotFoundError:
        return Line(what, NOTE, "not there yet", "metst train synthetic (make demo does it too)")
    except ValueError:
        found = f"{path.relative_to(home)} is no model, or not a whole one"
        return Line(what, PROBLEM, found, "train it anew: metst train synthetic")
    return Line(what, OK, f"{path.name}: {about.title}, trained on {about.videos} synthetic videos")


def browser() -> Line:
    """Chromium, which some tests need and nothing else does."""
    if found := shutil.which("chromium") or shutil.which("chromium-browser"):
        return Line("Chromium", OK, found)
    to_do = "needed by tests in a browser only (Debian: apt-get install chromium)"
    return Line("Chromium", NOTE, "none: those tests are skipped", to_do)


def disk(home: Path) -> Line:
    """Free disk where data and runs go."""
    if not home.is_dir():
        return Line("disk", PROBLEM, f"no folder {home}", "correct METST_ROOT or --root")
    place = home / "data" if (home / "data").is_dir() else home  # may be a link to another disk
    if not os.access(place, os.W_OK):
        return Line("disk", PROBLEM, f"no right to write in {place}", "correct its rights or --root")
    free = shutil.disk_usage(place).free / 1e9
    found = f"{free:.0f} GB free"
    if free < DISK:
        return Line("disk", PROBLEM, found, f"the demonstration needs {DISK:g} GB: make room")
    return Line("disk", OK, f"{found}; `metst data check` says what a real set's flow needs")
