"""SAMM Long Videos (paper, Sec. IV-A, Table I).

Grey frames at 200 fps in `SAMM_longvideos/<subject>_<n>/<subject>_<n>_<frame>.jpg`. The table of the long
videos has onset, apex, offset and type, but no emotion: that stands in the table of SAMM's clips and is
joined on Filename. The clips are numbered differently, so frames never come from there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from metst_lib.datasets.base import (
    AuditLog,
    Key,
    RowReader,
    annotation_table,
    find_table,
    flag_overlaps,
    read_sheet,
    text,
)

FPS = 200.0
FRAME_STEP = 7
TABLES = ("SAMM_LongVideos_V3_Release.xlsx", "SAMM_Micro_FACS_Codes_v2.xlsx")
FRAMES = "SAMM_longvideos/006_1/006_1_0001.jpg"
SOURCE = "Manchester Metropolitan University: https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php"
EMOTION_CLASSES = {
    "anger": "negative",
    "contempt": "negative",
    "disgust": "negative",
    "fear": "negative",
    "sadness": "negative",
    "happiness": "positive",
    "surprise": "surprise",
    "other": "others",
}
EXPECTED = {
    "rows": 502,
    "micro-expressions": 159,
    "subjects with a micro-expression": 29,
    "videos with a micro-expression": 79,
    "negative": 92,
    "positive": 26,
    "surprise": 15,
    "others": 26,
    "macro-expressions": 343,
    "subjects with a label": 30,
    "videos": 147,
}
"""Counts of the owners' tables as this reader gives them; see `check`."""

_LONG = (
    "Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units",
    "Notes",
)  # fmt: skip
_CLIPS = ("Filename", "Estimated Emotion")
_NAME = re.compile(r"^(\d+)_(\d+)_(\d+)$")


def tables(folder: Path) -> list[Path | None]:
    """The table of the long videos (the highest version there is) and that of the clips."""
    return [find_table(folder, r"samm_?long_?videos"), find_table(folder, r"samm_?micro_?facs")]


def read(
    long_videos: str | Path,
    clips: str | Path | None = None,
    *,
    log: AuditLog,
    name: str = "sammlv",
    bad_rows: str = "error",
    as_released: bool = False,
):
    """Annotations of the long videos in the owners' frame numbers (`base.COLUMNS`); changes go to the log.

    Known of these tables, and handled: a subject as a number or as padded text; frame numbers between frames
    (rounded); onset 0 (kept, flagged: the event begins before the video or its onset was not coded); apex −1
    (left empty). Without the table of the clips, emotions are not known. as_released changes nothing here:
    the released code has the same 159 micro-expressions.
    """
    sheet = read_sheet(long_videos, 0, _LONG)
    reader = RowReader(name, sheet, FPS, log, bad_rows)
    emotions = None if clips is None else _emotions(clips)
    if clips is None:
        reason = f"no table {TABLES[1]}: the emotions of micro-expressions are not known"
        log.add("flagged", reason, table=sheet.label)
    for row, cells in sheet.rows():
        _row(reader, row, cells, emotions)
    flag_overlaps(reader)
    return annotation_table(reader.records)


def locate(folder: Path, table_paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked."""
    found: dict[Key, Path] = {}
    for top in sorted(folder.iterdir()) if folder.is_dir() else []:
        if top.is_dir() and re.fullmatch(r"samm_?long_?videos", top.name, re.IGNORECASE):
            for path in sorted(top.iterdir()):
                match = re.fullmatch(r"(\d+)_(\d+)", path.name)
                if match and path.is_dir():
                    subject = match[1].zfill(3)
                    found.setdefault((subject, f"{subject}_{match[2]}"), path)
    return found


def place(key: Key) -> str:
    """Where the frames of a video belong, below the set's folder."""
    return f"SAMM_longvideos/{key[1]}"


def _emotions(path: str | Path) -> dict[str, tuple[int, str, str]]:
    """Filename -> row, emotion, and the name of the workbook."""
    sheet = read_sheet(path, 0, _CLIPS)
    return {
        _filename(cells["Filename"]): (row, text(cells["Estimated Emotion"]), sheet.path.name)
        for row, cells in sheet.rows()
    }


def _filename(cell: Any) -> str:
    match = _NAME.match(text(cell))
    return f"{match[1].zfill(3)}_{match[2]}_{match[3]}" if match else text(cell)


def _row(reader: RowReader, row: int, cells: dict[str, Any], emotions: dict | None) -> None:
    filename, type_ = _filename(cells["Filename"]), text(cells["Type"])
    reader.at(row)
    if not _NAME.match(filename):
        return reader.bad("Filename", f"{filename!r} is not <subject>_<video>_<number>")
    subject, video = filename.split("_")[0], filename.rpartition("_")[0]
    kind = next((kind for kind in ("macro", "micro") if type_.casefold().startswith(kind)), None)
    reader.at(row, subject, video, kind)
    if text(cells["Subject"]).zfill(3) != subject:
        return reader.bad("Subject", f"{text(cells['Subject'])!r}, but the Filename is {filename!r}")
    if kind is None:
        return reader.bad("Type", f"unknown type {type_!r}; known: Macro, Micro - 1/2")
    frames = reader.numbers(cells, "Onset", "Apex", "Offset")
    if frames is None:
        return None
    onset, apex, offset = frames
    raw = emotion = None
    if kind == "micro" and emotions is not None:
        if filename not in emotions:
            reader.note("flagged", f"{filename} is not in {TABLES[1]}: no emotion")
        else:
            clip_row, raw, book = emotions[filename]
            emotion = EMOTION_CLASSES.get(raw.casefold())
            if emotion is None:
                known = ", ".join(EMOTION_CLASSES)
                what = (
                    f"{book}, row {clip_row}, column {_CLIPS[1]!r}: unknown emotion {raw!r}; known: {known}"
                )
                return reader.bad("Filename", f"{filename}: {what}")
    notes = [text(cells["Notes"])]
    if onset == 0:
        reason = f"onset 0 (up to frame {offset:g}): it begins before the video, or its onset was not coded"
        reader.note("flagged", reason)
        notes.append("onset 0")
    if apex == -1:
        reader.note("repaired", "apex −1, not coded: left empty")
        notes.append("apex not coded")
        apex = None
    units = text(cells["Action Units"])
    return reader.take(onset, apex, offset, emotion_raw=raw, emotion=emotion, action_units=units, notes=notes)
