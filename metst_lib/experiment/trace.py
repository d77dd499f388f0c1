"""Where a table or figure comes from, read back from its side file and held against today (`metst trace`)."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib._files import sha256
from metst_lib.experiment import flows, records, runs, store
from metst_lib.experiment.config import configure
from metst_lib.experiment.provenance import SideFile, side_file

UNKNOWN = "–"


@dataclass(frozen=True)
class Trace:
    """What a side file says, as tables to print: heading → rows; the files that it no longer fits; and the
    runs behind it whose folds do not hold any more."""

    title: str
    tables: dict[str, pd.DataFrame]
    from_runs: bool
    changed: tuple[str, ...]
    stale: tuple[str, ...]
    side: SideFile


def trace(path: str | Path, folds: bool = False, **options: str | Path) -> Trace:
    """Where a table or figure comes from; `folds` adds a table with every fold.

    options: root and landmarks, as `configure` takes them: of the runs that are looked at.

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
    content = records.read(side, SideFile)
    if content is None:
        raise ValueError(f"{side} is damaged, or no side file of ours")
    if path != side and path.name not in content.files:
        raise ValueError(f"{side.name} is not about {path.name} but about {', '.join(content.files)}")
    asked = content.files if path == side else [path.name]
    there = {name: path.with_name(name) for name in asked}
    changed = [name for name, file in there.items() if file.is_file() and sha256(file) != content.files[name]]
    tables = {
        "Numbers": _numbers(content),
        "Runs": _runs(content),
        "Settings": _what_was_set(content),
        "Made with": _made_with(content),
    }
    if folds:
        tables["Folds"] = _folds(content)
    tables = {heading: frame for heading, frame in tables.items() if len(frame)}
    stale = () if content.counted else tuple(_stale(content, options))
    return Trace(content.title, tables, bool(content.runs), tuple(changed), stale, content)


def _stale(content: SideFile, options: Mapping[str, str | Path]) -> Iterable[str]:
    """The folds behind a file that are stale today, or were made again since; a line a run.

    Runs that are not on this machine, and those of a set that is not, cannot be asked.
    """
    if not content.data:
        return
    (dataset, preset), today = content.data[0], flows.shared_inputs()
    for about in content.runs:
        try:
            config = configure(dataset, about.variant, about.seed, preset, **options)
            matmul = content.settings.get(about.variant, {}).get("matmul", config.matmul)
            config = dataclasses.replace(config, matmul=matmul)
            states = runs.states(config, today(config))
        except FileNotFoundError:
            continue
        except ValueError as error:
            yield f"{about.variant}, seed {about.seed}: cannot be asked: {error}"
            continue
        said: dict[str, list[str]] = {"stale": [], "made again since": []}
        for name, fold in about.folds.items():
            was = dict(zip(content.fold, fold, strict=True)).get("identity")
            if states.get(name) == "stale":
                said["stale"].append(name)
            elif states.get(name) == "valid" and was not in (None, store.made(config, name)[1]):
                said["made again since"].append(name)
        for what, names in said.items():
            if names:
                yield f"{about.variant}, seed {about.seed}: {what}: {', '.join(names)}"


def _numbers(content: SideFile) -> pd.DataFrame:
    """Each of our numbers, those of one row and one source together, and the folds they come from."""
    together: dict[tuple, list[str]] = {}
    for row, column, value, variants in content.numbers:
        together.setdefault((row, tuple(variants)), []).append(f"{column.removesuffix(', ours')}: {value}")
    rows = [
        (row, "\n".join(said), "\n".join(_sources(content, variants)))
        for (row, variants), said in together.items()
    ]
    return pd.DataFrame(rows, columns=["row", "numbers", "come from"])


def _sources(content: SideFile, variants: Iterable[str]) -> list[str]:
    """For each variant the seeds and folds, seeds with the same folds together."""
    lines = []
    for variant in variants:
        seeds: dict[tuple, list[str]] = {}
        for run in content.runs:
            if run.variant == variant:
                seeds.setdefault((tuple(run.folds), (*run.missing, *run.stale)), []).append(str(run.seed))
        for (there, missing), of in seeds.items():
            unit = "replicate" if content.counted else "fold"
            folds = f"{unit}s {', '.join(there)}" if there else f"no {unit}"
            if content.counted and there:
                folds += f" ({content.counted}, row {variant})"
            short = f"; missing: {', '.join(missing)}" if missing else ""
            lines.append(f"{variant}, seed{'s' * (len(of) > 1)} {', '.join(of)}: {folds}{short}")
    return lines


def _runs(content: SideFile) -> pd.DataFrame:
    """A row for each variant and seed: folds, when they ended, how long they took, on what."""
    rows = []
    for run in content.runs:
        folds = [dict(zip(content.fold, fold, strict=True)) for fold in run.folds.values()]
        around = [content.surroundings[i] for i in dict.fromkeys(fold["surroundings"] for fold in folds)]
        total = len(folds) + len(run.missing) + len(run.stale)
        shared = f"trained as {run.trained_as}" if run.trained_as else ""
        rows.append(
            {
                "variant": run.variant,
                "seed": str(run.seed),
                ("replicates" if content.counted else "folds"): str(total)
                if total == len(folds)
                else f"{len(folds)} of {total}",
                "finished": _span([fold.get("finished") for fold in folds]),
                "minutes": shared or _all(folds, "seconds", lambda s: f"{sum(s) / 60:.1f}"),
                "peak MiB": _all(folds, "peak_memory_mib", lambda mib: str(max(mib))),
                "device": _each(each["machine"].get("device") for each in around),
                "scan": _each(each["backend"] or "none" for each in around),
            }
        )
    return pd.DataFrame(rows)


def _what_was_set(content: SideFile) -> pd.DataFrame:
    """The settings of each variant: first what all agree on that have it, then what is its own."""
    flat = {variant: _flat(settings) for variant, settings in content.settings.items()}
    values: dict[str, list[Any]] = {}
    for settings in flat.values():
        for key, value in settings.items():
            values.setdefault(key, []).append(value)
    common = {k: of[0] for k, of in values.items() if len(of) > 1 and all(v == of[0] for v in of)}
    where = "; ".join(f"{dataset}, preset {preset}" for dataset, preset in content.data)
    rows = [("all", f"{where}; {_pairs(common)}")] if common else []
    for variant, settings in flat.items():
        own = {key: value for key, value in settings.items() if key not in common}
        rows.append((variant, _pairs(own) if rows else f"{where}; {_pairs(own)}"))
    return pd.DataFrame(rows, columns=["variant", "settings"])


def _made_with(content: SideFile) -> pd.DataFrame:
    """Code, packages and system of the folds; the last line is of the table or figure itself."""
    rows = []
    for around in content.surroundings:
        packages = _pairs(around["versions"] | {"python": around["machine"]["python"]})
        rows.append(("folds", *_revision(around), packages, around["machine"]["system"]))
    rows.append(("this file", *_revision(content.written_by), "", ""))
    return pd.DataFrame(rows, columns=["what", "git", "lock", "packages", "system"]).drop_duplicates()


def _revision(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["git"] or UNKNOWN, (of["lock"] or UNKNOWN)[:12]


def _folds(content: SideFile) -> pd.DataFrame:
    names = [name.replace("_", " ") for name in content.fold[1:]]
    rows = [
        {"variant": run.variant, "seed": str(run.seed), "fold": subject}
        | {
            name: str(UNKNOWN if value is None else value)
            for name, value in zip(names, fold[1:], strict=True)
        }
        for run in content.runs
        for subject, fold in run.folds.items()
    ]
    return pd.DataFrame(rows)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings as one level: {"size": {"dim": 16}} → {"size dim": 16}; empty ones are left out."""
    (flat,) = pd.json_normalize(settings, sep=" ").to_dict("records")
    return {key: value for key, value in flat.items() if value not in (None, {})}


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items())


def _all(folds: Sequence[Mapping[str, Any]], key: str, reduce: Any) -> str:
    """A value over all folds; a dash where one does not have it."""
    values = [fold.get(key) for fold in folds]
    return UNKNOWN if not values or None in values else reduce(values)


def _span(dates: Sequence[str | None]) -> str:
    """First and last of some dates, to the minute."""
    if not dates or None in dates:
        return UNKNOWN
    first, last = (date[:16].replace("T", " ") for date in (min(dates), max(dates)))
    return first if first == last else f"{first} – {last if last[:10] != first[:10] else last[11:]}"


def _each(values: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(value or UNKNOWN for value in values)) or UNKNOWN
