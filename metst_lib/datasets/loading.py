"""A data set from its tables and its folders: `read_annotations` takes the tables alone, `load` both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib.datasets.dataset import Dataset
from metst_lib.datasets.reader import Reader, natural_key
from metst_lib.datasets.registry import reader_of
from metst_lib.datasets.rows import AuditLog, RowReader, annotation_table, keys_of
from metst_lib.datasets.videos import all_known, assemble, list_videos
from metst_lib.events import KINDS, Key

#: Beside the tables of a set: what `list_videos` found in its folders.
INDEX = ".frame_index.json"
_BAD_ROWS = ("error", "drop")
# Which videos are taken -> the kind of event that they contain.
_VIDEOS = {"with_me": "micro", "with_macro": "macro", "all": None}


def find_tables(name: str, folder: str | Path) -> list[Path | None]:
    """The tables of a set in a folder; the second may be None. FileNotFoundError without the first.

    Of several files the owners' name counts, then the highest version: `check`, and the audit of whatever
    reads them, say which were passed over and why.
    """
    folder = Path(folder)
    reader = reader_of(name, folder.parent)
    paths = reader.find_tables(folder)
    if paths[0] is None:
        raise FileNotFoundError(
            f"no table of {reader.title} data: looked for {next(iter(reader.tables))} in {folder}. "
            + reader.how_to_get
        )
    return paths


def read_annotations(
    name: str, *tables: str | Path | None, as_released: bool = False, bad_rows: str = "error"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The annotations of a set from its tables alone, and the audit of what was changed.

    tables, in this order (the second may be left out):

    - synthetic, casme3: cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx, CAS(ME)3_part_A_v2.xls
    - sammlv: SAMM_LongVideos_V3_Release.xlsx (V1, V2 as well), SAMM_Micro_FACS_Codes_v2.xlsx
    - casme2sq: CAS(ME)^2code_final.xlsx
    - a set of your own: labels.csv, in its folder

    Returns a table with `rows.COLUMNS`, onset, apex and offset inclusive in the owners' frame numbers (`load`
    turns them into indices), and the audit (table, row as Excel shows it, action, reason, subject, video).
    as_released leaves out what the authors' released code leaves out. bad_rows: "error" raises ValueError,
    naming file, row and column, at a fault the set is not known for; "drop" leaves the row out, audited.
    Raises ValueError for an unknown set, a missing sheet or column, FileNotFoundError for a missing table.
    """
    reader = reader_of(name, Path(tables[0]).parent.parent if tables and tables[0] else None)
    rows = RowReader(name, reader.fps, AuditLog(), bad_rows, as_released)
    return _annotations(reader, rows, tables), rows.log.frame()


def load(
    name: str,
    root: str | Path = "data",
    *,
    kinds: Sequence[str] = KINDS,
    frame_step: int | None = None,
    videos: str = "with_me",
    subjects: Sequence[str] | None = None,
    ranges: str | Path | Mapping[Key, tuple[int, int]] | None = None,
    tables: Sequence[str | Path | None] | None = None,
    as_released: bool = False,
    bad_rows: str = "error",
) -> Dataset:
    """A data set under `root`/<name>/: its videos with their events in 0-based frames.

    kinds: events to keep. tables: their paths. ranges: first and last frame number of each video, (subject,
    video) -> (first, last) or the path of a .csv with columns subject, video, first…, last…; with ranges no
    frames are looked for, videos have no source.
    frame_step: keep every so-many-th frame, by default as the reader says; fps and n_frames are those after
    it, and the owners' frame n becomes index (n − first) // frame_step, for onset, apex and offset alike.
    videos: "with_me" = those that contain a micro-expression (the folds), "with_macro" a macro-expression,
    "all" = every one. subjects: only these. A video without its folder is left out, its events are audited.

    FileNotFoundError, saying how to get it, where a table or every folder is missing; ValueError for unknown
    names and options, and for rows as `read_annotations`, an event wholly outside its video among them.
    """
    reader, folder = reader_of(name, Path(root)), Path(root) / name
    frame_step = reader.frame_step if frame_step is None else frame_step
    if not isinstance(frame_step, int) or frame_step < 1:
        raise ValueError(f"frame_step {frame_step!r} is not a whole number of 1 or more")
    all_known("choice of videos", [videos], _VIDEOS)
    all_known("kind", kinds, KINDS)
    ends = _ranges(reader, folder, ranges)
    fps = reader.fps if ends is not None else reader.settings(folder).get("fps", reader.fps)
    paths = find_tables(name, folder) if tables is None else list(tables)
    rows = RowReader(name, fps, log := AuditLog(), bad_rows, as_released)
    table = _annotations(reader, rows, paths)
    blinkers = frozenset(table.loc[table["kind"] == "blink", "subject"])
    places = reader.locate(folder, paths) if ends is None else ends
    if ends is None and not places:
        raise FileNotFoundError(
            f"no frames of {reader.title} data under {folder}: "
            f"looked for files as {folder / reader.example}. {reader.how_to_get}"
        )
    if subjects is not None:
        there = {subject for subject, _ in places} | set(table["subject"])
        all_known(f"subject of {name}", subjects, sorted(there, key=natural_key))
        table = table[table["subject"].isin(list(subjects))]
        places = {key: place for key, place in places.items() if key[0] in subjects}
    wanted = keys_of(table, kind) if (kind := _VIDEOS[videos]) else keys_of(table) | set(places)
    found = {key: place for key, place in places.items() if key in wanted}
    found = list_videos(found, folder / INDEX, reader.first_frame) if ends is None else found
    found, table = dict.fromkeys(wanted) | found, table[table["kind"].isin(list(kinds))]
    made = assemble(table, found, log, frame_step=frame_step, fps=fps, strict=bad_rows != "drop")
    blinkers = frozenset(video.subject for video in made) if reader.all_blinks else blinkers
    data = Dataset(reader, tuple(made), log.frame(), fps / frame_step, frame_step, blinkers)
    return data.with_kind(kind) if kind in kinds else data


def _annotations(reader: Reader, rows: RowReader, tables: Sequence[str | Path | None]) -> pd.DataFrame:
    all_known("choice of bad_rows", [rows.bad_rows], _BAD_ROWS)
    if rows.as_released and not reader.released:
        raise ValueError(
            f"the authors released nothing for the {reader.title} set: as_released has no meaning here"
        )
    if not 1 <= len(tables) <= len(reader.tables) or tables[0] is None:
        raise ValueError(
            f"{reader.name} is read from 1 to {len(reader.tables)} tables: {', '.join(reader.tables)}"
        )
    paths = [table and Path(table) for table in tables]
    for place, path in enumerate(paths):
        if path and path == reader.find_tables(path.parent)[place]:
            if others := reader.passed_over(path.parent)[place]:
                rows.log.add("flagged", f"this file is read, {others}", table=path.name)
    return annotation_table(reader.read(rows, *paths))


def _ranges(reader: Reader, folder: Path, ranges: Any) -> dict[Key, tuple[int, int]] | None:
    """First and last frame number of each video, as `load` takes them; None where its frames say so."""
    if isinstance(ranges, Mapping) or (ranges is None and not reader.ranges):
        return ranges
    path = folder / reader.ranges if ranges is None else ranges
    if ranges is None and not path.is_file():
        raise FileNotFoundError(f"no {reader.ranges} in {folder}. {reader.how_to_get}")
    table = pd.read_csv(path, dtype={"subject": str, "video": str})
    wanted = ("subject", "video", "first", "last")
    columns = {name: [column for column in table if column.lower().startswith(name)] for name in wanted}
    if missing := [name for name in wanted if not columns[name]]:
        raise ValueError(
            f"frame ranges: no column {', '.join(missing)}; "
            f"wanted: {', '.join(wanted)}; found: {', '.join(table)}"
        )
    rows = table[[found[0] for found in columns.values()]].itertuples(index=False, name=None)
    return {(subject, video): (int(first), int(last)) for subject, video, first, last in rows}
