"""Is a data set in its place and whole, and what did its reader change: two tables to print.

`check` compares what lies under `data/<name>/` with what its owners give: folders, tables, counts, frames,
and the disk that caches need. `audit` explains how the rows of the tables become the events that are used
(paper, Sec. IV-A: 860 micro-expressions of CAS(ME)³ in one place, 858 in another).

Glossary: k = window length in frames; W = windows of a video; C = flow channels (10 or 36).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib.datasets import (
    REHEARSALS,
    find_tables,
    how_to_get,
    load,
    read_annotations,
    reader_of,
    synthetic_settings,
)
from metst_lib.datasets.base import Key, list_videos, natural_key
from metst_lib.events import EMOTIONS
from metst_lib.frames import Listing, decode

CHECK_COLUMNS = ("item", "found", "expected", "ok", "to_do")
AUDIT_COLUMNS = ("step", "table", "row", "micro", "videos", "subjects", "reason")
WINDOWS = {"synthetic": 30, "casme3": 50, "sammlv": 30, "casme2sq": 50}
"""k of the presets, for the size of the flow cache."""
CHANNELS = (10, 36)
"""C of 5 and of 18 regions."""
UNREADABLE = {"casme3": 130}
"""Images that are known to be missing or not to open in the owners' copy."""
_DIFFERENT = "another version, or rows changed? `metst data audit` shows every row that was left out"


def check(
    name: str, root: str | Path = "data", *, deep: bool = False, expected: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """What is found of a set under `root`/<name>/, what is expected, and what to do (`CHECK_COLUMNS`).

    Works on an empty and on a half-unpacked folder. Of each video's frames the first, middle and last are
    opened; with deep=True all of them. expected: counts in place of the owners' (see each reader's EXPECTED).
    Raises ValueError for an unknown set, and for a rehearsal, which has no frames to look for.
    """
    reader, folder = reader_of(name), Path(root) / name
    if name in REHEARSALS:
        raise ValueError(
            f"{name} has no files of its own to check: try `metst data check {REHEARSALS[name]}`"
        )
    rows: list[tuple] = []

    def add(item: str, found: Any, wanted: Any, ok: bool, to_do: str = "") -> None:
        rows.append((item, str(found), str(wanted), bool(ok), "" if ok else to_do))

    add("folder", "there" if folder.is_dir() else "missing", folder, folder.is_dir(), how_to_get(name))
    paths = reader.tables(folder)
    for path, wanted in zip(paths, reader.TABLES, strict=True):
        found = path.name if path else "missing"
        add("table", found, wanted, path is not None, f"put it into {folder}. {how_to_get(name)}")
    settings = None
    if name == "synthetic":
        try:
            settings = synthetic_settings(folder)
        except FileNotFoundError:
            pass
        whole = settings is not None
        add("written to the end", "yes" if whole else "no", "yes", whole, "run `metst data synth` again")
    table = _check_counts(name, paths, expected, settings, add)
    _check_frames(name, folder, paths, table, expected, settings, deep, add)
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def _check_counts(name: str, paths: list, expected: Mapping[str, int] | None, settings: Any, add: Any):
    if paths[0] is None:
        return None
    try:
        table, log = read_annotations(name, *paths)
    except ValueError as error:
        add("tables read", "error", "no error", False, str(error))
        try:
            table, log = read_annotations(name, *paths, bad_rows="drop")
        except ValueError:
            return None
    if expected is None:
        expected = {} if name == "synthetic" else reader_of(name).EXPECTED
        if settings and "subjects" in settings:
            expected = {"subjects with a micro-expression": settings["subjects"]}
    found = counts(table, log)
    for item in found:
        if item in expected:
            add(item, found[item], expected[item], found[item] == expected[item], _DIFFERENT)
        elif not expected or name == "synthetic":
            add(item, found[item], "–", True)
    return table


def counts(table: pd.DataFrame, log: pd.DataFrame | None = None) -> dict[str, int]:
    """Numbers of a table of annotations, named as in the readers' EXPECTED."""
    kinds = {kind: table[table["kind"] == kind] for kind in ("micro", "macro", "blink")}
    micro = kinds["micro"]
    dropped = 0 if log is None else int(((log["action"] == "dropped") & (log["kind"] == "micro")).sum())
    dropped_all = 0 if log is None else int((log["action"] == "dropped").sum())
    return {
        "rows": len(table) + dropped_all,
        "rows of micro-expressions": len(micro) + dropped,
        "micro-expressions": len(micro),
        "subjects with a micro-expression": micro["subject"].nunique(),
        "videos with a micro-expression": len(micro[["subject", "video"]].drop_duplicates()),
        **{emotion: int((micro["emotion"] == emotion).sum()) for emotion in EMOTIONS},
        "macro-expressions": len(kinds["macro"]),
        "subjects with a macro-expression": kinds["macro"]["subject"].nunique(),
        "blinks": len(kinds["blink"]),
        "subjects with labelled blinks": kinds["blink"]["subject"].nunique(),
        "subjects with a label": table["subject"].nunique(),
    }


def _check_frames(
    name: str,
    folder: Path,
    paths: list,
    table: pd.DataFrame | None,
    expected: Mapping[str, int] | None,
    settings: Any,
    deep: bool,
    add: Any,
) -> None:
    reader = reader_of(name)
    expected = reader.EXPECTED if expected is None and name != "synthetic" else dict(expected or {})
    if settings and "videos" in settings:
        expected = {"subjects": settings["subjects"], "videos": settings["subjects"] * settings["videos"]}
    try:
        places = reader.locate(folder, paths)
    except ValueError:  # a broken table, reported above
        places = {}
    listings = list_videos(places, folder / ".frame_index.json") if places else {}
    there = {key: listing for key, listing in listings.items() if listing is not None}
    unpack = f"unpack the frames so that {folder / reader.FRAMES} is one of them. {how_to_get(name)}"
    for item, found in (("subjects", len({key[0] for key in there})), ("videos", len(there))):
        wanted = expected.get(item)
        add(f"{item} with frames", found, wanted or "–", found > 0 and found == (wanted or found), unpack)
    micro = [] if table is None else table[table["kind"] == "micro"]
    if len(micro):
        keys = set(micro[["subject", "video"]].itertuples(index=False, name=None))
        lacking = sorted(keys - there.keys(), key=lambda key: tuple(map(natural_key, key)))
        first = f"the first without: {folder / reader.place(lacking[0])}. {unpack}" if lacking else ""
        add(
            "videos with a micro-expression and frames",
            len(keys) - len(lacking),
            len(keys),
            not lacking,
            first,
        )
    if there:
        if table is not None:
            _check_events(table, there, add)
        _check_images(name, there, deep, add)
        _check_disk(name, folder, there, micro, reader.FRAME_STEP, add)


def _check_events(table: pd.DataFrame, there: Mapping[Key, Listing], add: Any) -> None:
    outside = []
    for record in table.itertuples(index=False):
        listing = there.get((record.subject, record.video))
        if listing and (record.offset < listing.first or record.onset > listing.last):
            event = f"{record.kind} {record.onset}…{record.offset} of {record.subject} {record.video}"
            frames = f"whose frames are {listing.first}…{listing.last}"
            outside.append(f"{event}, {frames} (row {record.source_row})")
    to_do = f"unpack that video again; the first: {outside[0]}" if outside else ""
    add("events outside their video", len(outside), 0, not outside, to_do)


def _check_images(name: str, there: Mapping[Key, Listing], deep: bool, add: Any) -> None:
    most = UNREADABLE.get(name, 0)
    wanted = f"at most {most}" if most else "0"
    gaps = [listing for listing in there.values() if listing.missing]
    count = sum(listing.missing for listing in gaps)
    first = ""
    if gaps:
        files = gaps[0].files()
        path = next(path for path in map(files.path, range(len(files.numbers))) if not path.is_file())
        first = f"the first: {path}; the nearest frame serves. Unpack again if unpacking was stopped"
    add("missing frames", count, wanted, count <= most, first)
    bad, looked = [], 0
    for listing in there.values():
        files = listing.files()
        last = len(files.numbers) - 1
        for index in range(last + 1) if deep else sorted({0, last // 2, last}):
            path = files.path(index)
            if path.is_file():
                looked += 1
                if decode(path.read_bytes()) is None:
                    bad.append(path)
    to_do = f"the first: {bad[0]}; the nearest frame serves. Unpack it again" if bad else ""
    add("frames that do not open", f"{len(bad)} of {looked} opened", wanted, len(bad) <= most, to_do)


def _check_disk(
    name: str, folder: Path, there: Mapping[Key, Listing], micro: Any, step: int, add: Any
) -> None:
    keys = there.keys()
    if len(micro):
        keys &= set(micro[["subject", "video"]].itertuples(index=False, name=None))
    lengths = [(there[key].last - there[key].first) // step + 1 for key in keys]
    free = shutil.disk_usage(folder).free
    for channels in CHANNELS:
        need = sum(flow_bytes(length, WINDOWS[name], channels) for length in lengths)
        regions = {10: 5, 36: 18}[channels]
        to_do = f"free {_size(need - free)} on the disk of {folder}"
        item = f"disk for the flow of {regions} regions ({len(lengths)} videos)"
        add(item, f"{_size(free)} free", f"{_size(need)}", free >= need, to_do)


def flow_bytes(n_frames: int, window: int, channels: int) -> int:
    """Bytes of a video's flow before compression: W windows of C channels and k frames, float32."""
    if n_frames < window:
        return 0
    stride = max(1, window // 2)
    windows = -(-(n_frames - window) // stride) + 1
    return windows * channels * window * 4


def _size(n_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if n_bytes < 1000:
            break
        n_bytes, unit = n_bytes / 1000, {"B": "KB", "KB": "MB", "MB": "GB", "GB": "TB"}[unit]
    return f"{n_bytes:.3g} {unit}"


# ---------------------------------------------------------------------------------------------- audit


def audit(
    name: str, source: str | Path | Sequence[str | Path] = "data", *, as_released: bool = False
) -> pd.DataFrame:
    """How the rows of the tables become the micro-expressions in use, step by step (`AUDIT_COLUMNS`).

    source: the folder that holds the sets, or the tables themselves. micro, videos and subjects are what is
    left after the step; a step that repairs, clips or flags leaves them as they are. Steps that concern many
    rows in the same way are one line with the first of them. Where frames are unpacked, what `load` leaves
    out or clips is there too. The whole audit, row by row, is `entries`.
    """
    table, log, loaded = _read(name, source, as_released)
    micro = table[table["kind"] == "micro"]
    keys: list[Key] = list(micro[["subject", "video"]].itertuples(index=False, name=None))
    dropped = log[(log["action"] == "dropped") & (log["kind"] == "micro") & log["row"].notna()]
    keys += [(entry.subject, entry.video) for entry in dropped.itertuples()]
    lines: list[tuple] = []

    def add(step: str, table_: str = "", row: Any = None, reason: str = "") -> None:
        known = [key for key in keys if key[0] is not None]
        lines.append((step, table_, row, len(keys), len(set(known)), len({s for s, _ in known}), reason))

    add("rows of micro-expressions")
    for entry in dropped.itertuples():
        keys.remove((entry.subject, entry.video))
        add("dropped", entry.table, entry.row, entry.reason)
    add("kept")
    for entry in log[(log["action"] == "dropped") & log["row"].isna()].itertuples():
        keys = [key for key in keys if key != (entry.subject, entry.video)]
        add("dropped", entry.table, entry.row, f"{entry.subject} {entry.video}: {entry.reason}")
    if loaded:
        add("loaded")
    rest = log[~log.index.isin(dropped.index) & ~((log["action"] == "dropped") & log["row"].isna())]
    for step, rows, reason in _grouped(rest):
        add(step, rows[0], rows[1], reason)
    return pd.DataFrame(lines, columns=list(AUDIT_COLUMNS)).astype({"row": "Int64"})


def entries(
    name: str, source: str | Path | Sequence[str | Path] = "data", *, as_released: bool = False
) -> pd.DataFrame:
    """The audit row by row: table, row as Excel shows it, action, reason, subject, video, kind."""
    return _read(name, source, as_released)[1]


def _read(name: str, source: Any, as_released: bool) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    reader = reader_of(name)
    if not isinstance(source, str | Path):
        return (*read_annotations(name, *source, as_released=as_released, bad_rows="drop"), False)
    folder = Path(source) / name
    paths = find_tables(name, folder)
    table, log = read_annotations(name, *paths, as_released=as_released, bad_rows="drop")
    if not reader.locate(folder, paths):
        return table, log, False
    return table, load(name, source, as_released=as_released, bad_rows="drop").audit, True


def _grouped(log: pd.DataFrame, most: int = 5) -> list[tuple[str, tuple[str, Any], str]]:
    """Entries as lines: those of one kind of reason together where they are more than `most`."""
    lines = []
    alike = log["reason"].str.replace(r"[\d.]+", "n", regex=True).str.replace(r"'[^']*'", "x", regex=True)
    alike = alike.map(lambda reason: re.sub(r"(\w+ n → n,? ?)+", "n → n", reason))
    for (action, table, _), group in log.groupby(["action", log["table"], alike], sort=False):
        shown = group if len(group) <= most else group.head(1)
        for entry in shown.itertuples():
            reason = entry.reason if len(group) <= most else f"{len(group)} rows, the first: {entry.reason}"
            lines.append((action, (table, entry.row), reason))
    order = {"repaired": 0, "clipped": 1, "kept": 2, "flagged": 3, "dropped": 4}
    return sorted(lines, key=lambda line: order[line[0]])
