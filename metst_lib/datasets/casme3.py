"""CAS(ME)³ part A, and the synthetic set in the same layout (paper, Sec. IV-A, Table I).

Frames lie in `data/<subject>/<letter>/color/<jpg index>.jpg`, 30 fps; the first index is not 1. Two
workbooks stand beside `data/`: the micro-expressions with their emotions, frames as jpg indices; and all
expressions (macro and micro, no emotion) with the blinks of some subjects.

What is repaired, and from where: `read`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metst_lib.datasets.base import (
    AuditLog,
    Key,
    RowReader,
    Sheet,
    annotation_table,
    find_table,
    flag_overlaps,
    read_sheet,
    text,
)

TITLE = "CAS(ME)³ part A"
FPS = 30.0
FRAME_STEP = 1
TABLES = ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "CAS(ME)3_part_A_v2.xls")
FRAMES = "data/spNO.1/a/color/8.jpg"
SOURCE = "Institute of Psychology, Chinese Academy of Sciences: http://casme.psych.ac.cn/casme/e4"
EMOTION_CLASSES = {
    "disgust": "negative",
    "anger": "negative",
    "fear": "negative",
    "sad": "negative",
    "happy": "positive",
    "surprise": "surprise",
    "others": "others",
}
EXPECTED = {
    "rows of micro-expressions": 860,
    "micro-expressions": 859,
    "subjects with a micro-expression": 94,
    "videos with a micro-expression": 463,
    "negative": 457,
    "positive": 55,
    "surprise": 187,
    "others": 160,
    "macro-expressions": 3346,
    "blinks": 841,
    "subjects with labelled blinks": 13,
    "subjects": 100,
    "videos": 1300,
}
"""Counts of the owners' tables (version 2) as this reader gives them; see `check`."""

_MICRO = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
_ALL = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type", "Objective class")
_BLINK = ("Subject", "Filename", "Onset", "Offset")
_KINDS = {"macro-expression": "macro", "micro-expression": "micro"}


def tables(folder: Path) -> list[Path | None]:
    """The two workbooks in a folder, None for one that is not there."""
    return [
        find_table(folder, r"part_?a.*label.*"),
        find_table(folder, r"part_?a", exclude=r"label"),
    ]


def read(
    micro: str | Path,
    second: str | Path | None = None,
    *,
    log: AuditLog,
    name: str = "casme3",
    bad_rows: str = "error",
    as_released: bool = False,
):
    """Annotations of both workbooks in the owners' jpg indices (`base.COLUMNS`); changes go to the log.

    Known of these tables, and handled: an upper-case letter of a video; "Others" beside "others"; onset and
    apex both 0 (dropped: nothing says where the event lies); offset 0, apex outside the interval, onset
    after offset. The last three are taken from the second workbook where it has the same row without the
    fault. Without it an offset 0 becomes the apex, an apex outside is left empty, a row whose onset lies
    after its offset is dropped. The synthetic set has none of these: there they are errors.

    as_released leaves out what the authors' released code leaves out: the row with an upper-case letter
    too, for which it finds no folder.
    """
    sheet = read_sheet(micro, 0, _MICRO)
    reader = RowReader(name, sheet, FPS, log, bad_rows)
    twins: list[tuple[int, dict[str, Any]]] = []
    if second is None:
        reason = (
            "no second workbook: macro-expressions and blinks are not known, and repairs have less to go by"
        )
        log.add("flagged", reason, table=sheet.label)
    elif name != "synthetic":  # whose tables need no repair
        twins = _twins(sheet, read_sheet(second, "AU+Emotion", _ALL), log)
    for at, (row, cells) in enumerate(sheet.rows()):
        _micro_row(reader, row, cells, twins[at] if twins else None, as_released)
    flag_overlaps(reader)
    records = list(reader.records)
    if second is not None:
        records += _macro(second, name, log, bad_rows)
        records += _blinks(second, name, log, bad_rows)
    return annotation_table(records)


def locate(folder: Path, table_paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked. Letters in either case."""
    found: dict[Key, Path] = {}
    for subject in _folders(folder / "data"):
        for letter in _folders(subject):
            for color in _folders(letter):
                if color.name.casefold() == "color":
                    found.setdefault((_subject(subject.name), letter.name.lower()), color)
    return found


def place(key: Key) -> str:
    """Where the frames of a video belong, below the set's folder."""
    return f"data/{key[0]}/{key[1]}/color"


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _subject(cell: Any) -> str:
    number = text(cell).rpartition(".")[2]
    return f"spNO.{number}" if text(cell).casefold().startswith("spno.") else text(cell)


def _twins(sheet: Sheet, second: Sheet, log: AuditLog) -> list[tuple[int, dict[str, Any]]]:
    """The second workbook's micro rows, where they stand in the same order; else none, and an entry."""
    twins = [
        (row, cells)
        for row, cells in second.rows()
        if _KINDS.get(text(cells["Expression type"]).casefold()) == "micro"
    ]

    def keys(rows: Any) -> list[tuple[str, str]]:
        return [(_subject(cells["Subject"]), text(cells["Filename"]).lower()) for _, cells in rows]

    if keys(sheet.rows()) == keys(twins):
        return twins
    reason = (
        f"its {len(twins)} micro rows are not those of {sheet.label} in the same order "
        f"({len(sheet.cells)} rows): nothing is repaired from it"
    )
    log.add("flagged", reason, table=second.label)
    return []


def _micro_row(
    reader: RowReader,
    row: int,
    cells: dict[str, Any],
    twin: tuple[int, dict[str, Any]] | None,
    as_released: bool,
) -> None:
    subject, letter = _subject(cells["Subject"]), text(cells["Filename"])
    real, video = reader.dataset != "synthetic", letter.lower()
    frames = _frames(reader, row, cells)
    if frames is None:
        return
    raw = text(cells["emotion"])
    emotion = reader.emotion(row, "emotion", raw, EMOTION_CLASSES)
    if emotion is None:
        return
    notes = []
    onset, apex, offset = frames
    if real and onset == 0 and apex == 0:
        reason = f"onset and apex are 0 (offset {offset:g}): where the event lies cannot be told"
        reader.note(row, "dropped", reason, subject, video)
        return
    if as_released and letter != video:
        reader.note(row, "dropped", f"the released code finds no folder {letter!r}", subject, video)
        return
    _key(reader, row, cells)
    if real and (fault := _fault(*frames)):
        better = _twin_frames(twin)
        if better is not None and _fault(*better) is None:
            changes = _changes(frames, better)
            reason = f"{fault}: {changes}, from row {twin[0]} of the second workbook"
            reader.note(row, "repaired", reason, subject, video)
            onset, apex, offset = better
            notes.append(changes)
        elif offset == 0 and apex >= onset:
            reader.note(row, "repaired", f"{fault}: offset 0 → {apex:g}, the apex", subject, video)
            notes.append("offset taken from the apex")
            offset = apex
        elif onset > offset:
            reader.note(row, "dropped", f"{fault}, and nothing to repair it from", subject, video)
            return
    elif real and twin is not None and (other := _twin_frames(twin)) not in (None, frames):
        reason = (
            f"the second workbook has other frames in row {twin[0]} ({_changes(frames, other)}): not taken"
        )
        reader.note(row, "kept", reason, subject, video)
    reader.take(
        row, subject, video, onset, apex, offset, "micro",
        emotion_raw=raw, emotion=emotion, action_units=text(cells["AU"]), notes=notes,
    )  # fmt: skip


def _frames(reader: RowReader, row: int, cells: dict[str, Any]) -> tuple[float, float, float] | None:
    frames = []
    for column in ("Onset", "Apex", "Offset"):
        frames.append(reader.number(row, cells, column))
        if frames[-1] is None:
            return None
    return tuple(frames)


def _twin_frames(twin: tuple[int, dict[str, Any]] | None) -> tuple[float, float, float] | None:
    try:
        return None if twin is None else tuple(float(text(twin[1][c])) for c in ("Onset", "Apex", "Offset"))
    except ValueError:
        return None


def _fault(onset: float, apex: float, offset: float) -> str | None:
    if offset == 0:
        return "offset 0"
    if onset > offset:
        return f"onset {onset:g} lies after offset {offset:g}"
    if not onset <= apex <= offset:
        return f"apex {apex:g} lies outside {onset:g}…{offset:g}"
    return None


def _changes(old: tuple[float, ...], new: tuple[float, ...]) -> str:
    names = ("onset", "apex", "offset")
    return ", ".join(f"{n} {a:g} → {b:g}" for n, a, b in zip(names, old, new, strict=True) if a != b)


def _key(reader: RowReader, row: int, cells: dict[str, Any]) -> Key:
    """Subject and video of a row; an upper-case letter becomes lower case, with an entry."""
    subject, letter = _subject(cells["Subject"]), text(cells["Filename"])
    if letter != letter.lower():
        reader.note(
            row, "repaired", f"Filename {letter!r} is video {letter.lower()!r}", subject, letter.lower()
        )
    return subject, letter.lower()


def _macro(path: str | Path, name: str, log: AuditLog, bad_rows: str) -> list[dict[str, Any]]:
    reader = RowReader(name, read_sheet(path, "AU+Emotion", _ALL), FPS, log, bad_rows)
    for row, cells in reader.sheet.rows():
        kind = _KINDS.get(text(cells["Expression type"]).casefold())
        if kind is None:
            what = (
                f"unknown type {text(cells['Expression type'])!r}; known: Macro-expression, Micro-expression"
            )
            reader.bad(row, "Expression type", what)
        elif kind == "macro":  # the micro rows are those of the first workbook, without emotion
            frames = _frames(reader, row, cells)
            if frames is not None:
                reader.take(row, *_key(reader, row, cells), *frames, "macro", action_units=text(cells["AU"]))
    return reader.records


def _blinks(path: str | Path, name: str, log: AuditLog, bad_rows: str) -> list[dict[str, Any]]:
    reader = RowReader(name, read_sheet(path, "eye blink", _BLINK), FPS, log, bad_rows)
    for row, cells in reader.sheet.rows():
        onset = reader.number(row, cells, "Onset")
        offset = None if onset is None else reader.number(row, cells, "Offset")
        if offset is not None:
            reader.take(row, *_key(reader, row, cells), onset, None, offset, "blink")
    return reader.records
