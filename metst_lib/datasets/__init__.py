"""Long-video data sets: annotations to one table, frames to videos, every change in an audit.

    load("casme3", "data")                       # frames under data/casme3/, see data/README.md
    read_annotations("casme3", micro, second)    # the tables alone

Paper, Sec. IV-A, Table I. What each set looks like and how its tables err stands in its own module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from metst_lib.datasets import casme2sq, casme3, sammlv
from metst_lib.datasets.base import (
    COLUMNS,
    LONG_SECONDS,
    AuditLog,
    Dataset,
    Key,
    all_known,
    assemble,
    choose,
    is_long,
    list_videos,
    natural_key,
)
from metst_lib.events import EMOTIONS, KINDS

__all__ = [
    "COLUMNS", "LONG_SECONDS", "TITLES", "Dataset", "is_long", "known", "load", "natural_key",
    "read_annotations",
]  # fmt: skip

_READERS: dict[str, ModuleType] = {
    "synthetic": casme3,  # written in the layout of CAS(ME)³
    "casme3": casme3,
    "sammlv": sammlv,
    "casme2sq": casme2sq,
    "casme3-rehearsal": casme3,  # its annotations, and flow without frames: synthetic/rehearsal.py
}
TITLES = {
    "casme3": "CAS(ME)³",
    "sammlv": "SAMM-LV",
    "casme2sq": "CAS(ME)²",
    "synthetic": "synthetic",
    "casme3-rehearsal": "synthetic rehearsal of CAS(ME)³",
}
"""What a data set is called in tables, figures and texts; one that nobody recorded says "synthetic"."""
REHEARSALS = {"casme3-rehearsal": "casme3"}
"""Data sets that have the annotations of another one and flow made of signals, but no frames."""
RANGES = "video_frames.csv"
"""Table of each video's first and last frame, beside the annotations of a rehearsal."""
_BAD_ROWS, _VIDEOS = ("error", "drop"), ("with_me", "all")


def known() -> list[str]:
    """Names of the data sets."""
    return list(_READERS)


def reader_of(name: str) -> ModuleType:
    """The module that reads a data set. ValueError listing the known ones where it is unknown."""
    if name not in _READERS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(_READERS)}")
    return _READERS[name]


def read_annotations(
    name: str, *tables: str | Path | None, as_released: bool = False, bad_rows: str = "error"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The annotations of a set from its tables alone, and the audit of what was changed.

    tables, in this order (the second may be left out):

    - synthetic, casme3: cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx, CAS(ME)3_part_A_v2.xls
    - sammlv: SAMM_LongVideos_V3_Release.xlsx (V1, V2 as well), SAMM_Micro_FACS_Codes_v2.xlsx
    - casme2sq: CAS(ME)^2code_final.xlsx

    Returns a table with `COLUMNS`, onset, apex and offset inclusive in the owners' own frame numbers (`load`
    turns them into indices), and the audit (table, row as Excel shows it, action, reason, subject, video).
    as_released leaves out what the authors' released code leaves out. bad_rows: "error" raises ValueError,
    naming file, row and column, at a fault the set is not known for; "drop" leaves the row out, audited.
    Raises ValueError for an unknown set, a missing sheet or column, FileNotFoundError for a missing table.
    """
    log = AuditLog()
    table = _annotations(name, list(tables), log, as_released=as_released, bad_rows=bad_rows)
    return table, log.frame()


def load(
    name: str,
    root: str | Path = "data",
    *,
    kinds: Sequence[str] = KINDS,
    emotions: Sequence[str] = EMOTIONS,
    require_emotion: bool = False,
    frame_step: int | None = None,
    videos: str = "with_me",
    subjects: Sequence[str] | None = None,
    ranges: str | Path | pd.DataFrame | Mapping[Key, tuple[int, int]] | None = None,
    tables: Sequence[str | Path | None] | None = None,
    as_released: bool = False,
    bad_rows: str = "error",
) -> Dataset:
    """A data set under `root`/<name>/: its videos with their events in 0-based frames.

    kinds: events to keep; macro-expressions and blinks are for figures and for explaining false positives.
    emotions, require_emotion: which micro-expressions to keep.
    frame_step: keep every so-many-th frame, 1 by default, 7 for sammlv (200 fps). The owners' frame n becomes
    index (n − first) // frame_step, for onset, apex and offset alike; fps and n_frames are those after it.
    videos: "with_me" = those that contain a micro-expression (the folds), "all" = every video that is there.
    subjects: only these. tables: paths of the tables, where they lie elsewhere than in `root`/<name>/.
    ranges: first and last frame number of each video, (subject, video) -> (first, last) or a table with
    columns subject, video, first…, last…; then no frames are looked for and the videos have no source.

    Videos whose folder is missing are left out, with their events counted in the audit, so that a
    half-unpacked set loads. Raises FileNotFoundError, saying what was looked for, where, and how to get it,
    where a table or every folder is missing; ValueError for unknown names and options, and for rows as in
    `read_annotations`, an event wholly outside its video among them.
    """
    reader, folder, log = reader_of(name), Path(root) / name, AuditLog()
    if name in REHEARSALS and ranges is None:
        ranges = folder / RANGES
        if not ranges.is_file():
            raise FileNotFoundError(f"no {RANGES} in {folder}. {how_to_get(name)}")
    frame_step = reader.FRAME_STEP if frame_step is None else frame_step
    if not isinstance(frame_step, int) or frame_step < 1:
        raise ValueError(f"frame_step {frame_step!r} is not a whole number of 1 or more")
    all_known("choice of videos", [videos], _VIDEOS)
    all_known("kind", kinds, KINDS)
    fps = synthetic_settings(folder)["fps"] if name == "synthetic" and ranges is None else reader.FPS
    paths = find_tables(name, folder) if tables is None else list(tables)
    options = {"fps": fps} if name == "synthetic" else {}
    table = _annotations(name, paths, log, as_released=as_released, bad_rows=bad_rows, **options)
    blinkers = frozenset(table.loc[table["kind"] == "blink", "subject"])
    table = choose(table, log, emotions=emotions, require_emotion=require_emotion)
    places: dict[Key, Path] = {}
    found: dict[Key, Any] = {}
    if ranges is not None:
        found = _ranges(ranges)
    else:
        places = reader.locate(folder, paths)
        if not places:
            raise FileNotFoundError(
                f"no frames of {TITLES[name]} data under {folder}: "
                f"looked for files as {folder / reader.FRAMES}. {how_to_get(name)}"
            )
    if subjects is not None:
        there = {key[0] for key in (*places, *found)} | set(table["subject"])
        all_known(f"subject of {name}", subjects, sorted(there, key=natural_key))
        table = table[table["subject"].isin(list(subjects))]
        places = {key: path for key, path in places.items() if key[0] in subjects}
        found = {key: ends for key, ends in found.items() if key[0] in subjects}
    micro = table.loc[table["kind"] == "micro", ["subject", "video"]]
    wanted = set(micro.itertuples(index=False, name=None))
    if ranges is None:
        needed = {key: path for key, path in places.items() if videos == "all" or key in wanted}
        found = list_videos(needed, folder / ".frame_index.json")
    if videos == "all":
        wanted |= set(table[["subject", "video"]].itertuples(index=False, name=None)) | set(found)
    table = choose(table, log, kinds=kinds)
    made = assemble(
        table,
        {key: found.get(key) for key in wanted},
        log,
        frame_step=frame_step,
        fps=fps,
        strict=bad_rows != "drop",
    )
    if name == "synthetic":
        blinkers = frozenset(video.subject for video in made)
    synthetic = name == "synthetic" or name in REHEARSALS
    dataset = Dataset(name, tuple(made), log.frame(), fps / frame_step, synthetic, frame_step, blinkers)
    return dataset.with_me() if videos == "with_me" and "micro" in kinds else dataset


def find_tables(name: str, folder: str | Path) -> list[Path | None]:
    """The tables of a set in its folder; None for a second one that is not there.

    FileNotFoundError where the first is missing, saying what was looked for, where, and how to get it.
    """
    reader = reader_of(name)
    paths = reader.tables(Path(folder))
    if paths[0] is None:
        raise FileNotFoundError(
            f"no table of {TITLES[name]} data: looked for {reader.TABLES[0]} in {folder}. {how_to_get(name)}"
        )
    return paths


def synthetic_settings(folder: str | Path) -> dict[str, Any]:
    """What the synthetic set in a folder was written with. FileNotFoundError where there is no whole one."""
    marker = Path(folder) / "complete.json"
    if not marker.is_file():
        raise FileNotFoundError(
            f"no whole synthetic set in {folder} (looked for {marker.name}, written last). "
            + how_to_get("synthetic")
        )
    settings = json.loads(marker.read_text(encoding="utf-8")).get("settings", {})
    return {"fps": casme3.FPS, **settings}


def how_to_get(name: str) -> str:
    """One sentence on where a set comes from."""
    if name == "synthetic":
        return "Write the set with `metst data synth`."
    if name in REHEARSALS:
        return f"Write it with `metst data rehearse {REHEARSALS[name]}`."
    source = reader_of(name).SOURCE
    return f"It comes from its owners ({source}); data/README.md says how to apply and where to put it."


def _annotations(name: str, tables: list, log: AuditLog, **options: Any) -> pd.DataFrame:
    reader = reader_of(name)
    all_known("choice of bad_rows", [options["bad_rows"]], _BAD_ROWS)
    if options["as_released"] and name == "synthetic":
        raise ValueError(
            "the authors released nothing for the synthetic set: as_released has no meaning here"
        )
    if not 1 <= len(tables) <= len(reader.TABLES) or tables[0] is None:
        raise ValueError(f"{name} is read from 1 to {len(reader.TABLES)} tables: {', '.join(reader.TABLES)}")
    return reader.read(*tables, log=log, name=name, **options)


def _ranges(ranges: str | Path | pd.DataFrame | Mapping) -> dict[Key, tuple[int, int]]:
    if isinstance(ranges, Mapping):
        return {key: (int(first), int(last)) for key, (first, last) in ranges.items()}
    frame = ranges
    if not isinstance(frame, pd.DataFrame):
        frame = pd.read_csv(ranges, dtype={"subject": str, "video": str})
    columns = {
        name: next((c for c in frame.columns if str(c).lower().startswith(name)), None)
        for name in ("subject", "video", "first", "last")
    }
    missing = [name for name, column in columns.items() if column is None]
    if missing:
        found = ", ".join(map(str, frame.columns))
        raise ValueError(
            f"frame ranges: no column {', '.join(missing)}; "
            f"wanted: subject, video, first, last; found: {found}"
        )
    rows = frame[list(columns.values())].itertuples(index=False, name=None)
    return {(str(subject), str(video)): (int(first), int(last)) for subject, video, first, last in rows}
