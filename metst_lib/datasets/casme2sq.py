"""CAS(ME)² (not in the paper's tables; for transfer between data sets).

Frames lie in `rawpic/s15/15_0101disgustingteeth/img<k>.jpg`, 30 fps. One workbook without header row names
subjects 1…22 and videos "anger1"; its second sheet maps the subjects to s15 …, its third the codes in the
folders' names (0101, with the leading zero) to "disgust1".
"""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from metst_lib.datasets.reader import Reader, expected_of, located
from metst_lib.datasets.rows import RowReader
from metst_lib.datasets.sheets import Sheet, read_cells, text
from metst_lib.events import EMOTIONS, Key

EMOTION_CLASSES = {emotion: emotion for emotion in EMOTIONS}
_COLUMNS = ("subject", "video", "onset", "apex", "offset", "action units", "emotion", "type", "self-report")
_KINDS = {"macro-expression": "macro", "micro-expression": "micro"}


def read(rows: RowReader, codes: Path) -> list[dict]:
    """Rows in the owners' frame numbers; subjects are called s15 …, videos anger1 ….

    The self-report stands in the notes. Known of this table, and handled: no header; offset 0 (the apex is
    taken); "happyiness" in the self-report; the self-report's column may be absent.
    """
    (name, cells), *_ = read_cells(codes).items()
    if cells.shape[1] < len(_COLUMNS) - 1:
        raise ValueError(
            f"{codes.name}, sheet {name!r}: {len(_COLUMNS)} columns wanted ({', '.join(_COLUMNS)}), "
            f"{cells.shape[1]} found"
        )
    cells = cells.reindex(columns=range(len(_COLUMNS))).set_axis(_COLUMNS, axis=1).dropna(how="all")
    reader = rows.on(Sheet(codes, name, cells))
    subjects = subject_names(codes, set(cells["subject"].map(text)) - {""})
    videos = set(video_codes(codes).values())
    for row, values in reader.sheet.rows():
        _row(reader, row, {column: text(cell) for column, cell in values.items()}, subjects, videos)
    reader.flag_overlaps()
    return reader.records


def locate(folder: Path, paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of its frames, for all that are unpacked."""
    codes = video_codes(paths[0]) if paths and paths[0] else {}

    def key(match: re.Match[str]) -> Key:
        return match[1].lower(), codes.get(match[2], match[2])

    return located(folder, "rawpic/*/*", r"rawpic/([^/]+)/\d+_(\d{4})[^/]*", key)


def subject_names(path: Path, numbers: set[str]) -> dict[str, str]:
    """Number in the first sheet -> name of the folder ("1" -> "s15"), from the sheet that has both.

    ValueError where no sheet maps all of the numbers.
    """
    if names := _naming(path, r"s\d+", lambda column: numbers <= set(column)):
        return dict(names)
    shown = ", ".join(sorted(numbers, key=lambda n: n.zfill(4)))
    raise ValueError(f"{path.name}: no sheet maps the subjects {shown} to folders such as s15")


def video_codes(path: Path) -> dict[str, str]:
    """Code in a folder's name -> name of the video ("0101" -> "disgust1"); a lost leading zero is restored.

    ValueError where no sheet has both.
    """
    if names := _naming(path, r"[a-z]{2,}\d+", lambda column: _mostly(column, r"\d{3,4}")):
        return {code.zfill(4): name for code, name in names if code.isdigit()}
    raise ValueError(f"{path.name}: no sheet maps codes such as 0101 to videos such as disgust1")


def _naming(path: Path, pattern: str, is_key: Callable[[pd.Series], bool]) -> list[tuple[str, str]]:
    """Pairs of key and name from the first sheet that has a column of each; none where no sheet has."""
    for cells in list(read_cells(path).values())[1:]:
        cells = cells.map(text)
        names = [column for column in cells if _mostly(cells[column], pattern)][:1]
        keys = [column for column in cells if column not in names and is_key(cells[column])]
        if names and keys:
            pairs = zip(cells[keys[0]], cells[names[0]], strict=True)
            return [(key, name.lower()) for key, name in pairs if key and name]
    return []


def _mostly(column: pd.Series, pattern: str) -> bool:
    """Whether most of a column's cells look so (a header above them may not)."""
    return column[column != ""].str.fullmatch(pattern, case=False).mean() > 0.5


def _row(
    reader: RowReader, row: int, cells: dict[str, str], subjects: dict[str, str], videos: set[str]
) -> None:
    subject, raw, report = subjects.get(cells["subject"]), cells["emotion"], cells["self-report"]
    video, kind = cells["video"].rpartition("_")[0].lower(), _KINDS.get(cells["type"].casefold())
    reader.at(row, subject, video, kind)
    if subject is None:
        return reader.bad("subject", "no subject")
    if video not in videos:
        known = ", ".join(sorted(videos))
        return reader.bad("video", f"{cells['video']!r} is no video of the naming sheet; known: {known}")
    if kind is None:
        return reader.bad("type", f"unknown type {cells['type']!r}; known: {', '.join(_KINDS)}")
    frames = reader.numbers(cells, "onset", "apex", "offset")
    emotion = None if frames is None else reader.emotion("emotion", raw, EMOTION_CLASSES)
    if frames is None or emotion is None:
        return None
    onset, apex, offset = frames
    if report.casefold() == "happyiness":
        reader.note("repaired", f"self-report {report!r} → 'happiness'")
        report = "happiness"
    notes = [report and f"self-report: {report}"]
    if offset == 0 and apex >= onset:
        reader.note("repaired", f"offset 0 → {apex:g}, the apex")
        notes.append("offset taken from the apex")
        offset = apex
    labels = {"emotion_raw": raw, "emotion": emotion, "action_units": cells["action units"]}
    return reader.take(onset, apex, offset, onset_column="onset", notes=notes, **labels)


READER = Reader(
    name="casme2sq",
    title="CAS(ME)²",
    licence="By agreement with its owners: the signed copy says what it allows.",
    source="Institute of Psychology, Chinese Academy of Sciences: https://melabipcas.github.io/melab/en/databases.html",
    tables={"CAS(ME)^2code_final.xlsx": r"code_?final"},
    example="rawpic/s15/15_0101disgustingteeth/img1.jpg",
    read=read,
    locate=locate,
    place="rawpic/{subject}/…_<code of {video}>…",
    lacking=2,
    expected=expected_of("casme2sq"),
)
