"""What every benchmark shares: interleaved rounds, memory of a case in a process of its own, tables, targets.

Times are compared as ratios within one run: the cases take turns, round by round, so that a busy neighbour or
a warm processor meets all of them alike. A table gives the median and the minimum of the rounds; targets are
judged by the ratio of the minima, which is what a case takes when nothing disturbs it.
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
PARTS = HERE / ".parts"  # the last part of each benchmark, ignored by git
MIB = 2**20


@dataclass(frozen=True)
class Target:
    """A number to reach: `least` must be met, `aim` is hoped for. `at_most` turns both round.

    note: what else was measured that explains a miss.
    """

    what: str
    value: float
    least: float
    aim: float
    unit: str = "×"
    at_most: bool = False
    note: str = ""

    @property
    def status(self) -> str:
        """ "aim met", "met" or "MISSED"."""
        reached = (lambda goal: self.value <= goal) if self.at_most else (lambda goal: self.value >= goal)
        return "aim met" if reached(self.aim) else "met" if reached(self.least) else "MISSED"

    def cells(self) -> list[str]:
        """The target as a row: what, measured, at least, aim, status, note."""
        sign, gap = ("≤ ", " ") if self.at_most else ("", " ")
        gap = "" if self.unit == "×" else gap
        shown = [f"{sign}{goal:g}{gap}{self.unit}".strip() for goal in (self.least, self.aim)]
        return [self.what, f"{self.value:.3g}{gap}{self.unit}".strip(), *shown, self.status, self.note]


@dataclass(frozen=True)
class Part:
    """What one benchmark found: tables by heading, and targets."""

    name: str
    tables: dict[str, str]
    targets: list[Target] = field(default_factory=list)


def interleaved(
    cases: Mapping[str, Callable[[], Any]], rounds: int, warm: int = 1, at_least: float = 0.0
) -> dict[str, list[float]]:
    """Seconds of each run of each case; every round runs all cases, beginning with another one.

    Within a round a case runs once, and again until it has had `at_least` seconds.
    """
    for _ in range(warm):
        for run in cases.values():
            run()
    names = list(cases)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            spent = 0.0
            while spent <= at_least:
                began = time.perf_counter()
                cases[name]()
                times[name].append(time.perf_counter() - began)
                spent += times[name][-1]
                if not at_least:
                    break
    return times


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def timing_table(
    times: Mapping[str, Sequence[float]], slowest: str, extra: Mapping[str, Mapping] | None = None
) -> str:
    """Median, minimum and runs of each case, how many times faster than `slowest` it is, further columns."""
    columns = [("median, ms", lambda n: f"{1e3 * median(times[n]):.1f}"),
               ("minimum, ms", lambda n: f"{1e3 * min(times[n]):.1f}"),
               (f"{slowest} / this", lambda n: f"{min(times[slowest]) / min(times[n]):.1f}×"),
               ("runs", lambda n: len(times[n]))]  # fmt: skip
    columns += [(name, lambda n, of=of: of.get(n, "–")) for name, of in (extra or {}).items()]
    return markdown(["", *(name for name, _ in columns)], [[n, *(of(n) for _, of in columns)] for n in times])


def peak_memory() -> int:
    """Most memory that this process has held, in bytes.

    Linux's VmHWM; elsewhere getrusage, which a child may inherit from a larger parent.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def memory() -> int:
    """Memory that this process holds now, in bytes (its peak where the system does not say)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory()


def in_child(module: str, function: str, *arguments: Any) -> Any:
    """The JSON-able result of a benchmark module's function, run in a fresh process with one thread."""
    call = f"import _bench; _bench.answer({module!r}, {function!r}, {json.dumps(arguments)!r})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{module}.{function}{arguments} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer(module: str, function: str, arguments: str) -> None:
    """Print a function's result as JSON, for `in_child`."""
    print("\n" + json.dumps(getattr(importlib.import_module(module), function)(*json.loads(arguments))))


def machine() -> dict[str, str]:
    """The machine and what runs on it."""
    import numpy as np
    import torch

    cpu = platform.processor() or platform.machine()
    try:
        names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].partition(":")[2].strip()
    except (OSError, IndexError):
        pass
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "processor": cpu,
        "cores": str(os.cpu_count()),
        "load before": load,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
    }


def finish(part: Part, began: dict[str, str]) -> None:
    """Print a part, keep it, and write RESULTS.md from the last part of each benchmark."""
    print(_text(part, began))
    PARTS.mkdir(exist_ok=True)
    stored = {"part": asdict(part), "machine": began}
    (PARTS / f"{part.name}.json").write_text(json.dumps(stored, ensure_ascii=False))


def write_results(path: Path = RESULTS, parts: Path = PARTS, order: Sequence[str] = ()) -> Path:
    """Write RESULTS.md: the targets of all parts in one table, then each part."""
    found = {}
    for file in sorted(parts.glob("*.json")):
        stored = json.loads(file.read_text())
        made = [Target(**target) for target in stored["part"].pop("targets")]
        found[stored["part"]["name"]] = Part(**stored["part"], targets=made), stored["machine"]
    names = [name for name in order if name in found] + [name for name in found if name not in order]
    rows = [target.cells() for name in names for target in found[name][0].targets]
    text = [
        "# Results of the benchmarks",
        "",
        "Written by `make bench`; how to read it stands in README.md.",
        "",
    ]
    text += [
        "## Targets",
        "",
        markdown(["what", "measured", "wanted", "aim", "", "measured beside it"], rows),
    ]
    text += [_text(*found[name]) for name in names]
    path.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    return path


def _text(part: Part, made_on: Mapping[str, str]) -> str:
    lines = ["", f"## {part.name}", ""]
    lines += [", ".join(f"{name}: {value}" for name, value in made_on.items()), ""]
    for heading, table in part.tables.items():
        lines += [f"### {heading}", "", table, ""]
    for target in part.targets:
        what, value, least, aim, status, _ = target.cells()
        lines.append(f"- {what}: {value} (wanted {least}, aim {aim}): {status}")
    return "\n".join(lines)
