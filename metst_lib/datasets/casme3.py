"""CAS(ME)³ part A, and the synthetic set in the same layout (paper, Sec. IV-A, Table I).

Frames lie in `data/<subject>/<letter>/color/<jpg index>.jpg`, 30 fps; the first index is not 1. Two
workbooks stand beside `data/`: the micro-expressions with their emotions, frames as jpg indices; and all
expressions (macro and micro, no emotion) with the blinks of some subjects.

What is repaired, and from where: `read`.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from metst_lib.datasets.reader import Reader, expected_of, located
from metst_lib.datasets.rows import RowReader
from metst_lib.datasets.sheets import number, read_sheet, text
from metst_lib.events import Key

EMOTION_CLASSES = dict.fromkeys(("disgust", "anger", "fear", "sad"), "negative")
EMOTION_CLASSES |= {"happy": "positive", "surprise": "surprise", "others": "others"}
_MICRO = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
_ALL = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type", "Objective class")
_BLINK = ("Subject", "Filename", "Onset", "Offset")
_FRAMES = ("Onset", "Apex", "Offset")
_KINDS = {"macro-expression": "macro", "micro-expression": "micro"}
_Twin = tuple[int, tuple[float, ...]]  # row and frames


def read(rows: RowReader, micro: Path, second: Path | None = None, *, repair: bool = True) -> list[dict]:
    """Rows of both workbooks in the owners' jpg indices.

    Known of these tables, and handled: an upper-case letter of a video; "Others" beside "others"; onset and
    apex both 0 (dropped: nothing says where the event lies); offset 0, apex outside the interval, onset
    after offset. The last three are taken from the second workbook where it has the same row without the
    fault. Without it an offset 0 becomes the apex, an apex outside is left empty, a row whose onset lies
    after its offset is dropped. With repair=False, for tables of our own, all of these are errors.

    as_released leaves out what the authors' released code leaves out: the row with an upper-case letter
    too, for which it finds no folder.
    """
    reader = rows.on(read_sheet(micro, _MICRO))
    if second is None:
        reason = "macro-expressions and blinks are not known, and repairs have less to go by"
        reader.note("flagged", f"no second workbook: {reason}")
        twins = {}
    else:
        every = rows.on(read_sheet(second, _ALL, "AU+Emotion"))
        twins = _twins(reader, every) if repair else {}
    for place, (row, cells) in enumerate(reader.sheet.rows()):
        _micro_row(reader, row, cells, twins.get(place), repair)
    reader.flag_overlaps()
    if second is None:
        return reader.records
    return reader.records + _macro(every) + _blinks(rows.on(read_sheet(second, _BLINK, "eye blink")))


def locate(folder: Path, paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked. Letters in either case."""
    pattern = r"data/([^/]+)/([^/]+)/color"
    return located(folder, "data/*/*/*", pattern, lambda match: (_subject(match[1]), match[2].lower()))


def _subject(cell: Any) -> str:
    name = text(cell)
    return f"spNO.{name.rpartition('.')[2]}" if name.casefold().startswith("spno.") else name


def _twins(reader: RowReader, every: RowReader) -> dict[int, _Twin]:
    """Place of a micro row -> that of the second workbook; none, with an entry, where their order differs."""

    def keys(rows: Iterable[tuple[int, dict[str, Any]]]) -> list[tuple[str, str]]:
        return [(_subject(cells["Subject"]), text(cells["Filename"]).lower()) for _, cells in rows]

    twins = [(row, cells) for row, cells in every.sheet.rows() if _kind(cells) == "micro"]
    if keys(reader.sheet.rows()) == keys(twins):
        frames = [tuple(number(cells[column]) for column in _FRAMES) for _, cells in twins]
        return {place: (row, frames[place]) for place, (row, _) in enumerate(twins)}
    reason = (
        f"its {len(twins)} micro rows are not those of {reader.sheet.label} in the same order "
        f"({len(reader.sheet.cells)} rows): nothing is repaired from it"
    )
    every.note("flagged", reason)
    return {}


def _micro_row(reader: RowReader, row: int, cells: dict[str, Any], twin: _Twin | None, repair: bool) -> None:
    letter = _at(reader, row, cells, "micro", quiet=True)
    frames = reader.numbers(cells, *_FRAMES)
    raw, notes = text(cells["emotion"]), []
    emotion = None if frames is None else reader.emotion("emotion", raw, EMOTION_CLASSES)
    if frames is None or emotion is None:
        return
    onset, apex, offset = frames
    if repair and onset == 0 and apex == 0:
        reason = f"onset and apex are 0 (offset {offset:g}): where the event lies cannot be told"
        if reader.as_released:  # not copied: it would make a wrong label
            reason += "; the released code drops it too, but gives its emotion to the next one of the video"
        return reader.note("dropped", reason)
    if reader.as_released and letter != letter.lower():
        return reader.note("dropped", f"the released code finds no folder {letter!r}")
    _at(reader, row, cells, "micro")
    fault = _fault(*frames) if repair else None
    better = twin[1] if twin and all(map(math.isfinite, twin[1])) else None
    changes = _changes(frames, better or frames)
    if fault and better and _fault(*better) is None:
        reader.note("repaired", f"{fault}: {changes}, from row {twin[0]} of the second workbook")
        onset, apex, offset = better
        notes = [changes]
    elif fault and offset == 0 and apex >= onset:
        reader.note("repaired", f"{fault}: offset 0 → {apex:g}, the apex")
        notes = ["offset taken from the apex"]
        offset = apex
    elif fault and onset > offset:
        return reader.note("dropped", f"{fault}, and nothing to repair it from")
    elif changes and not fault:
        reader.note("kept", f"the second workbook has other frames in row {twin[0]} ({changes}): not taken")
    units = text(cells["AU"])
    reader.take(onset, apex, offset, emotion_raw=raw, emotion=emotion, action_units=units, notes=notes)


def _at(reader: RowReader, row: int, cells: dict[str, Any], kind: str | None, quiet: bool = False) -> str:
    """Set the reader on a row; returns its Filename. An upper-case letter is that video in lower case."""
    letter = text(cells["Filename"])
    reader.at(row, _subject(cells["Subject"]), letter.lower(), kind)
    if letter != letter.lower() and not quiet:
        reader.note("repaired", f"Filename {letter!r} is video {letter.lower()!r}")
    return letter


def _kind(cells: dict[str, Any]) -> str | None:
    return _KINDS.get(text(cells["Expression type"]).casefold())


def _fault(onset: float, apex: float, offset: float) -> str | None:
    if offset == 0:
        return "offset 0"
    if onset > offset:
        return f"onset {onset:g} lies after offset {offset:g}"
    if not onset <= apex <= offset:
        return f"apex {apex:g} lies outside {onset:g}…{offset:g}"
    return None


def _changes(old: tuple[float, ...], new: tuple[float, ...]) -> str:
    changes = zip(("onset", "apex", "offset"), old, new, strict=True)
    return ", ".join(f"{name} {a:g} → {b:g}" for name, a, b in changes if a != b)


def _macro(reader: RowReader) -> list[dict]:
    for row, cells in reader.sheet.rows():
        kind = _kind(cells)
        if kind == "micro":  # those of the first workbook, without their emotion
            continue
        _at(reader, row, cells, kind)
        if kind is None:
            type_, known = text(cells["Expression type"]), "Macro-expression, Micro-expression"
            reader.bad("Expression type", f"unknown type {type_!r}; known: {known}")
        elif frames := reader.numbers(cells, *_FRAMES):
            reader.take(*frames, action_units=text(cells["AU"]))
    return reader.records


def _blinks(reader: RowReader) -> list[dict]:
    for row, cells in reader.sheet.rows():
        _at(reader, row, cells, "blink")
        if frames := reader.numbers(cells, "Onset", "Offset"):
            reader.take(frames[0], None, frames[1])
    return reader.records


READER = Reader(
    name="casme3",
    title="CAS(ME)³",
    licence="By agreement with its owners: no commercial use, no redistribution, most faces not shown.",
    source="Institute of Psychology, Chinese Academy of Sciences: https://melabipcas.github.io/melab/en/databases.html",
    tables={
        "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": r"part_?a.*label",
        "CAS(ME)3_part_A_v2.xls": r"^(?!.*label).*part_?a",
    },
    example="data/spNO.1/a/color/8.jpg",
    read=read,
    locate=locate,
    place="data/{subject}/{video}/color",
    unreadable=130,
    released=True,
    expected=expected_of("casme3"),
)
