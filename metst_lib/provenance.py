"""Where a number comes from: what a fold was made with, and the side file of each table and figure.

`surroundings` is what a fold's config.json keeps of its making. `write` gathers that of every fold behind a
table or figure into `<stem>.provenance.json` beside it, what they share written once; `trace` reads it back.
Dates, seconds and memory stand there and nowhere else, so that the same seeds give the same table, byte by
byte. No path and no host name goes in.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from metst_lib._files import read_json, sha256, write_text
from metst_lib.variants import Config

SUFFIX = ".provenance.json"
UNKNOWN = "–"

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


def spent(seconds: float, device: str = "cpu") -> dict[str, Any]:
    """What the work since `start_counting` took, and when it ended (UTC).

    Peak memory is the process's own, in MiB: where one process fits several folds it is an upper bound for
    all but the largest. None where the system does not tell.
    """
    gpu = torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None
    return {
        "seconds": round(seconds, 2),
        "peak_memory_mib": peak_memory(),
        "peak_gpu_memory_mib": None if gpu is None else round(gpu),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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


@functools.cache
def _processor() -> str:
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
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
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def lock_hash() -> str | None:
    """Hash of the checkout's requirements.lock; None outside a checkout."""
    path = Path(__file__).parent.parent / "requirements.lock"
    return sha256(path) if path.is_file() else None


# --- the side file --------------------------------------------------------------------------------------


class Run(Protocol):
    """What this module needs of an `experiment.Run`: its configuration, and the folds there and not there."""

    config: Config
    folds: Mapping[str, Any]
    missing: Sequence[str]


@dataclass(frozen=True)
class Number:
    """One of our numbers in a table: where it stands, as it is printed, and the variants it comes from."""

    row: str
    column: str
    value: str
    variants: tuple[str, ...]


_FOLD = ("surroundings", "seconds", "peak_memory_mib", "finished", "predictions")
"""What the side file keeps of a fold, in this order; "surroundings" counts in the list of that name."""


def side_file(path: str | Path) -> Path:
    """Where the side file of a table or figure lies; of the side file itself, that path."""
    path = Path(path)
    return path if path.name.endswith(SUFFIX) else path.with_name(path.stem + SUFFIX)


def write(
    files: Sequence[Path], title: str, runs: Iterable[Run] = (), numbers: Iterable[Number] = ()
) -> Path:
    """Write the side file of these files, one table or figure in several formats; returns its path.

    The same files and runs give the same bytes, from one revision of the code.
    """
    runs = list(runs)
    made_with: list[dict[str, Any]] = []
    of_runs = [_about_run(run, made_with) for run in runs]
    settings = {run.config.variant: _settings(run.config) for run in runs}
    content = {
        "title": title,
        "files": {path.name: sha256(path) for path in files},
        "written_by": {"git": git_revision(), "lock": lock_hash()},
        "data": sorted({(run.config.dataset, run.config.preset) for run in runs}),
        "numbers": [dataclasses.astuple(number) for number in numbers],
        "settings": settings,
        "surroundings": made_with,
        "fold": _FOLD,
        "runs": of_runs,
    }
    return write_text(side_file(files[0]), _in_lines(content))


def _about_run(run: Run, made_with: list[dict[str, Any]]) -> dict[str, Any]:
    """One variant and seed; what its folds were made with goes into the list, if it is not there yet."""
    folds = {}
    for subject in run.folds:
        stored = read_json(run.config.run_folder / subject / "config.json")
        around = {key: stored.get(key) for key in ("inputs", "backend", "git", "lock", "versions", "machine")}
        if around not in made_with:
            made_with.append(around)
        predictions = stored["files"]["predictions.npz"][:12]
        spent = (stored.get(key) for key in _FOLD[1:-1])
        folds[subject] = (made_with.index(around), *spent, predictions)
    about = {"variant": run.config.variant, "seed": run.config.seed, "folds": folds}
    if run.config.what.trained_as:
        about["trained_as"] = run.config.what.trained_as
    return about | ({"missing": list(run.missing)} if run.missing else {})


def _settings(config: Config) -> dict[str, Any]:
    known = ("dataset", "preset", "variant", "seed")  # said elsewhere
    return {key: value for key, value in config.to_dict().items() if key not in known}


def _in_lines(content: Mapping[str, Any]) -> str:
    """JSON with a line for each entry of the outer lists and objects: small, and to be read by eye too."""
    parts = []
    for key, value in content.items():
        dump = functools.partial(json.dumps, ensure_ascii=False, allow_nan=False)
        if isinstance(value, Mapping):
            inner, ends = [f"{dump(name)}: {dump(entry)}" for name, entry in value.items()], "{}"
        elif isinstance(value, list):
            inner, ends = [dump(entry) for entry in value], "[]"
        else:
            parts.append(f"{dump(key)}: {dump(value)}")
            continue
        lines = ",\n  ".join(inner)
        parts.append(f"{dump(key)}: {ends[0]}\n  {lines}\n {ends[1]}" if inner else f"{dump(key)}: {ends}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


# --- read back ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """What a side file says, as tables to print: heading → rows, and the files that it no longer fits."""

    title: str
    tables: dict[str, pd.DataFrame]
    from_runs: bool
    changed: tuple[str, ...]


def trace(path: str | Path, folds: bool = False) -> Trace:
    """Where a table or figure comes from; `folds` adds a table with every fold.

    FileNotFoundError where it is not there or has no side file; ValueError where the side file is damaged
    or speaks of other files.
    """
    path, side = Path(path), side_file(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if not side.is_file():
        raise FileNotFoundError(
            f"{path.name} has no side file {side.name} beside it, so nothing says where it comes from: only "
            "tables and figures have one, those that `metst tables` and notebook 06 write"
        )
    content = read_json(side)
    try:
        files = content["files"]
        if path != side and path.name not in files:
            raise ValueError(f"{side.name} is not about {path.name} but about {', '.join(files)}")
        asked = files if path == side else [path.name]
        there = {name: path.with_name(name) for name in asked}
        changed = [name for name, file in there.items() if file.is_file() and sha256(file) != files[name]]
        tables = {
            "Numbers": _numbers(content),
            "Runs": _runs(content),
            "Settings": _what_was_set(content),
            "Made with": _made_with(content),
        }
        if folds:
            tables["Folds"] = _folds(content)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{side} is damaged: {type(error).__name__} {error}") from None
    tables = {heading: frame for heading, frame in tables.items() if len(frame)}
    return Trace(content["title"], tables, bool(content["runs"]), tuple(changed))


def _numbers(content: Mapping[str, Any]) -> pd.DataFrame:
    """Each of our numbers, those of one row and one source together, and the folds they come from."""
    together: dict[tuple, list[str]] = {}
    for row, column, value, variants in content["numbers"]:
        together.setdefault((row, tuple(variants)), []).append(f"{column.removesuffix(', ours')}: {value}")
    rows = [
        (row, "\n".join(said), "\n".join(_sources(content, variants)))
        for (row, variants), said in together.items()
    ]
    return pd.DataFrame(rows, columns=["row", "numbers", "come from"])


def _sources(content: Mapping[str, Any], variants: Iterable[str]) -> list[str]:
    """For each variant the seeds and folds, seeds with the same folds together."""
    lines = []
    for variant in variants:
        seeds: dict[tuple, list[str]] = {}
        for run in content["runs"]:
            if run["variant"] == variant:
                seeds.setdefault((tuple(run["folds"]), tuple(run.get("missing", ()))), []).append(
                    str(run["seed"])
                )
        for (there, missing), of in seeds.items():
            folds = f"folds {', '.join(there)}" if there else "no fold"
            short = f"; missing: {', '.join(missing)}" if missing else ""
            lines.append(f"{variant}, seed{'s' * (len(of) > 1)} {', '.join(of)}: {folds}{short}")
    return lines


def _runs(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each variant and seed: folds, when they ended, how long they took, on what."""
    rows = []
    for run in content["runs"]:
        folds = [dict(zip(content["fold"], fold, strict=True)) for fold in run["folds"].values()]
        around = [content["surroundings"][i] for i in dict.fromkeys(fold["surroundings"] for fold in folds)]
        total = len(folds) + len(run.get("missing", ()))
        rows.append(
            {
                "variant": run["variant"],
                "seed": str(run["seed"]),
                "folds": str(total) if total == len(folds) else f"{len(folds)} of {total}",
                "finished": _span([fold["finished"] for fold in folds]),
                "minutes": _shared(run) or _all(folds, "seconds", lambda s: f"{sum(s) / 60:.1f}"),
                "peak MiB": _all(folds, "peak_memory_mib", lambda mib: str(max(mib))),
                "device": _each(each["machine"].get("device") for each in around),
                "scan": _each(each["backend"] or "none" for each in around),
            }
        )
    return pd.DataFrame(rows)


def _shared(run: Mapping[str, Any]) -> str:
    return f"trained as {run['trained_as']}" if "trained_as" in run else ""


def _what_was_set(content: Mapping[str, Any]) -> pd.DataFrame:
    """The settings of each variant: first what all agree on that have it, then what is its own."""
    flat = {variant: _flat(settings) for variant, settings in content["settings"].items()}
    values: dict[str, list[Any]] = {}
    for settings in flat.values():
        for key, value in settings.items():
            values.setdefault(key, []).append(value)
    common = {k: of[0] for k, of in values.items() if len(of) > 1 and all(v == of[0] for v in of)}
    where = "; ".join(f"{dataset}, preset {preset}" for dataset, preset in content["data"])
    rows = [("all", f"{where}; {_pairs(common)}")] if common else []
    for variant, settings in flat.items():
        own = {key: value for key, value in settings.items() if key not in common}
        rows.append((variant, _pairs(own) if rows else f"{where}; {_pairs(own)}"))
    return pd.DataFrame(rows, columns=["variant", "settings"])


def _made_with(content: Mapping[str, Any]) -> pd.DataFrame:
    """Code, packages, system and inputs of the folds; the last line is of the table or figure itself."""
    inputs: dict[tuple[str, ...], list[str]] = {}
    for around in content["surroundings"]:
        packages = _pairs(around["versions"] | {"python": around["machine"]["python"]})
        rest = (*_revision(around), packages, around["machine"]["system"])
        inputs.setdefault(rest, []).append(around["inputs"])
    rows = [("folds", *rest, ", ".join(dict.fromkeys(of))) for rest, of in inputs.items()]
    itself = ("this file", *_revision(content["written_by"]), "", "", "")
    return pd.DataFrame([*rows, itself], columns=["what", "git", "lock", "packages", "system", "inputs"])


def _revision(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["git"] or UNKNOWN, (of["lock"] or UNKNOWN)[:12]


def _folds(content: Mapping[str, Any]) -> pd.DataFrame:
    names = [name.replace("_", " ") for name in content["fold"][1:]]
    rows = [
        {"variant": run["variant"], "seed": str(run["seed"]), "fold": subject}
        | {
            name: str(UNKNOWN if value is None else value)
            for name, value in zip(names, fold[1:], strict=True)
        }
        for run in content["runs"]
        for subject, fold in run["folds"].items()
    ]
    return pd.DataFrame(rows)


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"size": {"dim": 16}} → {"size dim": 16}; empty ones are left out."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{before} {key}".strip()
        if isinstance(value, Mapping):
            flat |= _flat(value, name)
        elif value is not None:
            flat[name] = value
    return flat


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items())


def _all(folds: Sequence[Mapping[str, Any]], key: str, reduce: Any) -> str:
    """A value over all folds; a dash where one does not have it."""
    values = [fold[key] for fold in folds]
    return UNKNOWN if not values or None in values else reduce(values)


def _span(dates: Sequence[str | None]) -> str:
    """First and last of some dates, to the minute."""
    if not dates or None in dates:
        return UNKNOWN
    first, last = (date[:16].replace("T", " ") for date in (min(dates), max(dates)))
    return first if first == last else f"{first} – {last if last[:10] != first[:10] else last[11:]}"


def _each(values: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(value or UNKNOWN for value in values)) or UNKNOWN
