"""CAS(ME)² (not in the paper's tables; for transfer between data sets).

Frames lie in `rawpic/s15/15_0101disgustingteeth/img<k>.jpg`, 30 fps. One workbook without header row names
subjects 1…22 and videos "anger1"; its second sheet maps the subjects to s15 …, its third the codes in the
folders' names (0101, with the leading zero) to "disgust1".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib.datasets.base import (
    AuditLog,
    Key,
    RowReader,
    annotation_table,
    find_table,
    flag_overlaps,
    read_cells,
    read_sheet,
    text,
)

FPS = 30.0
FRAME_STEP = 1
TABLES = ("CAS(ME)^2code_final.xlsx",)
FRAMES = "rawpic/s15/15_0101disgustingteeth/img1.jpg"
SOURCE = "Institute of Psychology, Chinese Academy of Sciences: https://melabipcas.github.io/melab/en/databases.html"
EMOTION_CLASSES = {"negative": "negative", "positive": "positive", "surprise": "surprise", "others": "others"}
EXPECTED = {
    "rows": 357,
    "micro-expressions": 57,
    "macro-expressions": 300,
    "subjects": 22,
    "videos": 98,
}
"""Counts of the owners' table as this reader gives them; see `check`."""

_COLUMNS = ("subject", "video", "onset", "apex", "offset", "action units", "emotion", "type", "self-report")
_KINDS = {"macro-expression": "macro", "micro-expression": "micro"}


def tables(folder: Path) -> list[Path | None]:
    """The one workbook, None where it is not there."""
    return [find_table(folder, r"code_?final")]


def read(
    codes: str | Path,
    *,
    log: AuditLog,
    name: str = "casme2sq",
    bad_rows: str = "error",
    as_released: bool = False,
):
    """Annotations in the owners' frame numbers (`base.COLUMNS`); changes go to the log.

    Subjects are called s15 …, videos anger1 …; the self-report stands in the notes. Known of this table, and
    handled: no header; offset 0 (the apex is taken); "happyiness" in the self-report. Raises ValueError for
    as_released: the authors released nothing for this set.
    """
    if as_released:
        raise ValueError("the authors released nothing for CAS(ME)²: as_released has no meaning here")
    reader = RowReader(name, read_sheet(codes, 0, _COLUMNS, header=False, optional=1), FPS, log, bad_rows)
    numbers = {text(cells["subject"]) for _, cells in reader.sheet.rows()} - {""}
    subjects, videos = subject_names(codes, numbers), set(video_codes(codes).values())
    for row, cells in reader.sheet.rows():
        _row(reader, row, cells, subjects, videos)
    flag_overlaps(reader)
    return annotation_table(reader.records)


def locate(folder: Path, table_paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked."""
    codes = video_codes(table_paths[0]) if table_paths and table_paths[0] else {}
    found: dict[Key, Path] = {}
    for subject in _folders(folder / "rawpic"):
        for path in _folders(subject):
            match = re.match(r"^\d+_(\d{4})", path.name)
            if match:
                found.setdefault((subject.name.lower(), codes.get(match[1], match[1])), path)
    return found


def place(key: Key) -> str:
    """Where the frames of a video belong, below the set's folder."""
    return f"rawpic/{key[0]}/{key[0][1:]}_<code of {key[1]}>…"


def subject_names(path: str | Path, numbers: set[str]) -> dict[str, str]:
    """Number in the first sheet -> name of the folder ("1" -> "s15"), from the sheet that has both.

    ValueError where no sheet maps all of the numbers.
    """
    for cells in _other_sheets(path):
        names = _column(cells, r"s\d+")
        if names is None:
            continue
        for column in cells:
            if numbers <= set(cells[column]) - {""} and column != names:
                pairs = zip(cells[column], cells[names], strict=True)
                return {number: name.lower() for number, name in pairs if number and name}
    shown = ", ".join(sorted(numbers, key=lambda n: n.zfill(4)))
    raise ValueError(f"{Path(path).name}: no sheet maps the subjects {shown} to folders such as s15")


def video_codes(path: str | Path) -> dict[str, str]:
    """Code in a folder's name -> name of the video ("0101" -> "disgust1"); a lost leading zero is restored.

    ValueError where no sheet has both.
    """
    for cells in _other_sheets(path):
        names, codes = _column(cells, r"[a-z]{2,}\d+"), _column(cells, r"\d{3,4}")
        if names is not None and codes is not None:
            pairs = zip(cells[codes], cells[names], strict=True)
            return {code.zfill(4): name.lower() for code, name in pairs if code.isdigit() and name}
    raise ValueError(f"{Path(path).name}: no sheet maps codes such as 0101 to videos such as disgust1")


def _other_sheets(path: str | Path) -> list[pd.DataFrame]:
    return [sheet.map(text) for sheet in read_cells(path)[1:]]


def _column(cells: pd.DataFrame, pattern: str) -> Any:
    """The first column most of whose cells look so (a header above them may not)."""
    for column in cells:
        filled = [cell for cell in cells[column] if cell]
        if (
            filled
            and sum(bool(re.fullmatch(pattern, cell, re.IGNORECASE)) for cell in filled) > len(filled) / 2
        ):
            return column
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _row(
    reader: RowReader, row: int, cells: dict[str, Any], subjects: dict[str, str], videos: set[str]
) -> None:
    subject, type_ = subjects.get(text(cells["subject"])), text(cells["type"])
    video, kind = text(cells["video"]).rpartition("_")[0].lower(), _KINDS.get(type_.casefold())
    reader.at(row, subject, video, kind)
    if subject is None:
        return reader.bad("subject", "no subject")
    if video not in videos:
        known = ", ".join(sorted(videos))
        return reader.bad(
            "video", f"{text(cells['video'])!r} is no video of the naming sheet; known: {known}"
        )
    if kind is None:
        return reader.bad("type", f"unknown type {type_!r}; known: {', '.join(_KINDS)}")
    frames, raw = reader.numbers(cells, "onset", "apex", "offset"), text(cells["emotion"])
    emotion = None if frames is None else reader.emotion("emotion", raw, EMOTION_CLASSES)
    if frames is None or emotion is None:
        return None
    onset, apex, offset = frames
    notes, report = [], text(cells["self-report"])
    if report.casefold() == "happyiness":
        reader.note("repaired", f"self-report {report!r} → 'happiness'")
        report = "happiness"
    if report:
        notes.append(f"self-report: {report}")
    if offset == 0 and apex >= onset:
        reader.note("repaired", f"offset 0 → {apex:g}, the apex")
        notes.append("offset taken from the apex")
        offset = apex
    return reader.take(
        onset,
        apex,
        offset,
        onset_column="onset",
        emotion_raw=raw,
        emotion=emotion,
        action_units=text(cells["action units"]),
        notes=notes,
    )
