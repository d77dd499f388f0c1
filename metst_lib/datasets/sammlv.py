"""SAMM Long Videos (paper, Sec. IV-A, Table I).

Grey frames at 200 fps in `SAMM_longvideos/<subject>_<n>/<subject>_<n>_<frame>.jpg`. The table of the long
videos has onset, apex, offset and type, but no emotion: that stands in the table of SAMM's clips and is
joined on Filename. The clips are numbered differently, so frames never come from there.
"""

import re
from pathlib import Path
from typing import Any

from metst_lib.datasets.reader import Reader, expected_of, located
from metst_lib.datasets.rows import RowReader
from metst_lib.datasets.sheets import read_sheet, text
from metst_lib.events import Key

EMOTION_CLASSES = dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative")
EMOTION_CLASSES |= {"happiness": "positive", "surprise": "surprise", "other": "others"}
_LONG = ("Subject", "Filename", "Onset", "Apex", "Offset", "Type", "Action Units", "Notes")
_CLIPS = ("Filename", "Estimated Emotion")
_CLIPS_BOOK = "SAMM_Micro_FACS_Codes_v2.xlsx"
_NAME = re.compile(r"^(\d+)_(\d+)_(\d+)$")


def read(rows: RowReader, long_videos: Path, clips: Path | None = None) -> list[dict]:
    """Rows of the long videos in the owners' frame numbers.

    Known of these tables, and handled: a subject as a number or as padded text; frame numbers between frames
    (rounded); onset 0 (kept, flagged: the event begins before the video or its onset was not coded); apex −1
    (left empty). Without the table of the clips, emotions are not known. as_released changes nothing here:
    the released code has the same 159 micro-expressions.
    """
    reader = rows.on(read_sheet(long_videos, _LONG))
    if clips is None:
        reader.note("flagged", f"no table {_CLIPS_BOOK}: the emotions of micro-expressions are not known")
    emotions = None if clips is None else _emotions(clips)
    for row, cells in reader.sheet.rows():
        _row(reader, row, cells, emotions)
    reader.flag_overlaps()
    return reader.records


def locate(folder: Path, paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked."""

    def key(match: re.Match[str]) -> Key:
        subject = match[1].zfill(3)
        return subject, f"{subject}_{match[2]}"

    return located(folder, "*/*", r"samm_?long_?videos/(\d+)_(\d+)", key)


def _emotions(path: Path) -> dict[str, tuple[str, str]]:
    """Filename -> emotion, and the place where it stands."""
    sheet, (name, column) = read_sheet(path, _CLIPS), _CLIPS
    found = {}
    for row, cells in sheet.rows():
        where = f"{sheet.path.name}, row {row}, column {column!r}"
        found[_filename(cells[name])] = text(cells[column]), where
    return found


def _filename(cell: Any) -> str:
    match = _NAME.match(text(cell))
    return f"{match[1].zfill(3)}_{match[2]}_{match[3]}" if match else text(cell)


def _row(reader: RowReader, row: int, cells: dict[str, Any], emotions: dict | None) -> None:
    filename, type_, number = _filename(cells["Filename"]), text(cells["Type"]), text(cells["Subject"])
    reader.at(row)
    if not _NAME.match(filename):
        return reader.bad("Filename", f"{filename!r} is not <subject>_<video>_<number>")
    subject, video = filename.split("_")[0], filename.rpartition("_")[0]
    kind = next((kind for kind in ("macro", "micro") if type_.casefold().startswith(kind)), None)
    reader.at(row, subject, video, kind)
    if number.zfill(3) != subject:
        return reader.bad("Subject", f"{number!r}, but the Filename is {filename!r}")
    if kind is None:
        return reader.bad("Type", f"unknown type {type_!r}; known: Macro, Micro - 1/2")
    frames = reader.numbers(cells, "Onset", "Apex", "Offset")
    if frames is None:
        return None
    onset, apex, offset = frames
    notes, raw = [text(cells["Notes"])], None
    if kind == "micro" and emotions is not None:
        raw, where = emotions.get(filename, (None, None))
        if raw is None:
            reader.note("flagged", f"{filename} is not in {_CLIPS_BOOK}: no emotion")
        elif raw.casefold() not in EMOTION_CLASSES:
            known = ", ".join(EMOTION_CLASSES)
            return reader.bad("Filename", f"{filename}: {where}: unknown emotion {raw!r}; known: {known}")
    if onset == 0:
        what = f"onset 0 (up to frame {offset:g})"
        reader.note("flagged", f"{what}: it begins before the video, or its onset was not coded")
        notes.append("onset 0")
    if apex == -1:
        reader.note("repaired", "apex −1, not coded: left empty")
        notes.append("apex not coded")
        apex = None
    emotion, units = raw and EMOTION_CLASSES[raw.casefold()], text(cells["Action Units"])
    return reader.take(onset, apex, offset, emotion_raw=raw, emotion=emotion, action_units=units, notes=notes)


READER = Reader(
    name="sammlv",
    title="SAMM-LV",
    licence="By agreement with its owners: non-commercial research, no redistribution, some faces not shown.",
    source="Manchester Metropolitan University: https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php",
    tables={
        "SAMM_LongVideos_V3_Release.xlsx": r"samm_?long_?videos",
        _CLIPS_BOOK: r"samm_?micro_?facs",
    },
    example="SAMM_longvideos/006_1/006_1_0001.jpg",
    read=read,
    locate=locate,
    place="SAMM_longvideos/{video}",
    fps=200.0,
    frame_step=7,
    window=30,
    released=True,
    expected=expected_of("sammlv"),
)
