"""Where a number comes from: what a fold was made with, and the side file of each table and figure.

`surroundings` is what a fold's config.json keeps of its making. `write` gathers that of every fold behind a
table or figure into `<stem>.provenance.json` beside it, what they share written once; `trace` reads it.
Dates, seconds and memory stand there and nowhere else, so that the same seeds give the same table, byte by
byte. No path and no host name goes in.
"""

import functools
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from metst_lib._files import sha256
from metst_lib.experiment import records, store
from metst_lib.experiment.config import Config

SUFFIX = ".provenance.json"
CHECKOUT = Path(__file__).parents[2]

# --- what a fold was made with --------------------------------------------------------------------------


def surroundings(device: str = "cpu", backend: str | None = None) -> dict[str, Any]:
    """Code, packages and machine of this process, as JSON-able values.

    device is torch's name of where the network was trained, backend the scan that it used.
    """
    return {
        "backend": backend,
        "git": git_revision(),
        "lock": lock_hash(),
        "versions": versions(),
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "device": device_name(device),
        },
    }


def spent(seconds: float, device: str = "cpu") -> store.Spent:
    """What the work since `start_counting` took, and when it ended (UTC).

    Peak memory is the process's own, in MiB: where one process fits several folds it is an upper bound for
    all but the largest. None where the system does not tell.
    """
    gpu = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return store.Spent(round(seconds, 2), peak_memory(), None if gpu is None else round(gpu), now)


def start_counting() -> None:
    """From here on a GPU's memory is counted anew; that of the process cannot be."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int | None:
    """The largest resident memory of this process so far, in MiB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def device_name(device: str) -> str:
    """A device of torch with the product's name, such as "cpu: Intel Xeon …"."""
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {_processor()}"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def _processor() -> str:
    try:
        if sys.platform == "darwin":
            return _said("sysctl", "-n", "machdep.cpu.brand_string")
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of the packages that decide numbers."""
    names = ("metst-lib", "numpy", "scipy", "torch", "opencv-python-headless", "dlib-bin", "scikit-learn")
    return {name: importlib.metadata.version(name) for name in names}


def git_revision() -> str | None:
    """The checkout's commit, with "-dirty" where tracked files differ from it; None outside a checkout."""
    try:
        return _said("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.CalledProcessError):
        return None


def lock_hash() -> str | None:
    """Hash of the checkout's requirements.lock; None outside a checkout."""
    path = CHECKOUT / "requirements.lock"
    return sha256(path) if path.is_file() else None


# --- the side file --------------------------------------------------------------------------------------


class Number(NamedTuple):
    """One of our numbers in a table: where it stands, as it is printed, and the variants it comes from."""

    row: str
    column: str
    value: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class RunAbout:
    """One variant and seed behind a file: for each fold the values of `SideFile.fold`, and folds left out."""

    variant: str
    seed: int
    folds: dict[str, list[Any]]
    trained_as: str | None = None
    missing: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


#: What the side file keeps of a fold, in this order; "surroundings" counts in the list of that name.
FOLD = ("surroundings", "seconds", "peak_memory_mib", "finished", "predictions", "identity")


@dataclass(frozen=True)
class SideFile:
    """Where a table or figure comes from; files: hash of each format, data: (data set, preset).

    A table from counts has replicates in place of folds, and counted says in which files its counts lie.
    """

    title: str
    files: dict[str, str]
    written_by: dict[str, str | None]
    data: list[tuple[str, str]]
    numbers: list[Number]
    settings: dict[str, dict[str, Any]]
    surroundings: list[dict[str, Any]]
    fold: tuple[str, ...]
    runs: list[RunAbout]
    counted: str = ""


@dataclass(frozen=True)
class Behind:
    """What stands behind a table or figure; the fields are those of `SideFile`."""

    data: list[tuple[str, str]]
    settings: dict[str, dict[str, Any]]
    surroundings: list[dict[str, Any]]
    runs: list[RunAbout]
    fold: tuple[str, ...] = FOLD
    counted: str = ""


def side_file(path: str | Path) -> Path:
    """Where the side file of a table or figure lies; of the side file itself, that path."""
    path = Path(path)
    return path if path.name.endswith(SUFFIX) else path.with_name(path.stem + SUFFIX)


def write(
    files: Sequence[Path], title: str, behind: Behind | Iterable[Any] = (), numbers: Iterable[Number] = ()
) -> Path:
    """Write the side file of these files, one table or figure in several formats; returns its path.

    behind: runs, or what is said of them. The same files and runs give the same bytes, from one revision of
    the code.
    """
    behind = behind if isinstance(behind, Behind) else of_runs(behind)
    side = SideFile(
        title=title,
        files={path.name: sha256(path) for path in files},
        written_by={"git": git_revision(), "lock": lock_hash()},
        numbers=list(numbers),
        **vars(behind),
    )
    return records.write(side_file(files[0]), side)


def of_runs(runs: Iterable[Any]) -> Behind:
    """What is to be said of runs in folders."""
    runs, made_with = list(runs), []
    return Behind(
        data=sorted({(run.config.dataset, run.config.preset) for run in runs}),
        settings={run.config.variant: _settings(run.config) for run in runs},
        runs=[_about_run(run, made_with) for run in runs],
        surroundings=made_with,
    )


def _about_run(run: Any, made_with: list[dict[str, Any]]) -> RunAbout:
    """One variant and seed; what its folds were made with goes into the list, if it is not there yet."""
    folds = {}
    for subject in run.folds:
        about = store.read_fitting(run.config, subject)
        if about.made_with not in made_with:
            made_with.append(about.made_with)
        spent = [getattr(about.spent, key) for key in FOLD[1:4]]
        folds[subject] = [made_with.index(about.made_with), *spent, *store.made(run.config, subject)]
    trained_as = run.config.what.trained_as
    return RunAbout(run.config.variant, run.config.seed, folds, trained_as, run.missing, run.stale)


def _settings(config: Config) -> dict[str, Any]:
    known = ("dataset", "preset", "variant", "seed")  # said elsewhere
    return {key: value for key, value in config.to_dict().items() if key not in known}
