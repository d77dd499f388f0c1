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

FPS = 30.0
FRAME_STEP = 1
TABLES = ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "CAS(ME)3_part_A_v2.xls")
FRAMES = "data/spNO.1/a/color/8.jpg"
SOURCE = "Institute of Psychology, Chinese Academy of Sciences: https://melabipcas.github.io/melab/en/databases.html"
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
_FRAMES = ("Onset", "Apex", "Offset")
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
    fps: float = FPS,
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
    reader = RowReader(name, sheet, fps, log, bad_rows)
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
        records += _macro(second, name, fps, log, bad_rows)
        records += _blinks(second, name, fps, log, bad_rows)
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
    real, notes = reader.dataset != "synthetic", []
    letter = _at(reader, row, cells, "micro", quiet=True)
    frames = reader.numbers(cells, *_FRAMES)
    raw = text(cells["emotion"])
    emotion = None if frames is None else reader.emotion("emotion", raw, EMOTION_CLASSES)
    if frames is None or emotion is None:
        return
    onset, apex, offset = frames
    if real and onset == 0 and apex == 0:
        reason = f"onset and apex are 0 (offset {offset:g}): where the event lies cannot be told"
        if as_released:  # its error 4: not copied, since it would make a wrong label
            reason += "; the released code drops it too, but gives its emotion to the next one of the video"
        reader.note("dropped", reason)
        return
    if as_released and letter != letter.lower():
        reader.note("dropped", f"the released code finds no folder {letter!r}")
        return
    _at(reader, row, cells, "micro")
    if real and (fault := _fault(*frames)):
        better = _twin_frames(twin)
        if better is not None and _fault(*better) is None:
            changes = _changes(frames, better)
            reader.note("repaired", f"{fault}: {changes}, from row {twin[0]} of the second workbook")
            onset, apex, offset = better
            notes.append(changes)
        elif offset == 0 and apex >= onset:
            reader.note("repaired", f"{fault}: offset 0 → {apex:g}, the apex")
            notes.append("offset taken from the apex")
            offset = apex
        elif onset > offset:
            reader.note("dropped", f"{fault}, and nothing to repair it from")
            return
    elif real and (other := _twin_frames(twin)) not in (None, frames):
        changes = _changes(frames, other)
        reader.note("kept", f"the second workbook has other frames in row {twin[0]} ({changes}): not taken")
    units = text(cells["AU"])
    reader.take(onset, apex, offset, emotion_raw=raw, emotion=emotion, action_units=units, notes=notes)


def _at(reader: RowReader, row: int, cells: dict[str, Any], kind: str, quiet: bool = False) -> str:
    """Set the reader on a row; returns its Filename. An upper-case letter is that video in lower case."""
    letter = text(cells["Filename"])
    reader.at(row, _subject(cells["Subject"]), letter.lower(), kind)
    if letter != letter.lower() and not quiet:
        reader.note("repaired", f"Filename {letter!r} is video {letter.lower()!r}")
    return letter


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


def _macro(path: str | Path, name: str, fps: float, log: AuditLog, bad_rows: str) -> list[dict[str, Any]]:
    reader = RowReader(name, read_sheet(path, "AU+Emotion", _ALL), fps, log, bad_rows)
    for row, cells in reader.sheet.rows():
        type_ = text(cells["Expression type"])
        kind = _KINDS.get(type_.casefold())
        if kind == "micro":  # those of the first workbook, without their emotion
            continue
        _at(reader, row, cells, kind)
        if kind is None:
            known = "Macro-expression, Micro-expression"
            reader.bad("Expression type", f"unknown type {type_!r}; known: {known}")
        elif frames := reader.numbers(cells, *_FRAMES):
            reader.take(*frames, action_units=text(cells["AU"]))
    return reader.records


def _blinks(path: str | Path, name: str, fps: float, log: AuditLog, bad_rows: str) -> list[dict[str, Any]]:
    reader = RowReader(name, read_sheet(path, "eye blink", _BLINK), fps, log, bad_rows)
    for row, cells in reader.sheet.rows():
        _at(reader, row, cells, "blink")
        if frames := reader.numbers(cells, "Onset", "Offset"):
            reader.take(frames[0], None, frames[1])
    return reader.records
