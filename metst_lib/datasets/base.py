"""What all data sets share: one table of annotations, an audit of every change to it, and the Dataset.

Readers never edit a file. What they repair, clip or drop stands in the audit with the row as Excel shows it
(1 is the sheet's first row, headers counted), the action and the reason (paper, Sec. IV-A, Table I).

Glossary: first, last = the owners' frame numbers that a video begins and ends with; step = every how
many-th frame is kept; index = (number − first) // step, 0-based.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib._files import write_json
from metst_lib.events import EMOTIONS, KINDS, Event, Video
from metst_lib.frames import Listing, list_frames

COLUMNS = (
    "dataset", "subject", "video", "onset", "apex", "offset", "fps", "kind",
    "emotion_raw", "emotion", "action_units", "source_row", "notes",
)  # fmt: skip
"""Columns of the normalised table of annotations."""
AUDIT_COLUMNS = ("table", "row", "action", "reason", "subject", "video", "kind")
ACTIONS = ("repaired", "dropped", "clipped", "flagged", "kept")
"""repaired: a value was corrected; dropped: the event is left out; clipped: cut to the frames that exist;
flagged: taken as it is, but worth knowing; kept: a choice that another reader makes otherwise."""
LONG_SECONDS = 2.0
"""A labelled micro-expression this long or longer (60 frames at 30 fps) is kept and flagged."""

Key = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Videos with their events in 0-based frames after `frame_step`, and the audit of how they came about.

    fps is that after `frame_step`. blink_subjects are those whose blinks were labelled: a statement about
    blinks holds for them alone.
    """

    name: str
    videos: tuple[Video, ...]
    audit: pd.DataFrame
    fps: float
    synthetic: bool = False
    frame_step: int = 1
    blink_subjects: frozenset[str] = frozenset()

    @property
    def subjects(self) -> list[str]:
        """Subjects in natural order (spNO.2 before spNO.10)."""
        return sorted({video.subject for video in self.videos}, key=natural_key)

    def videos_of(self, subject: str) -> list[Video]:
        """The videos of one subject. KeyError naming the known ones where there is no such subject."""
        found = [video for video in self.videos if video.subject == subject]
        if not found:
            raise KeyError(f"unknown subject {subject!r} in {self.name}; known: {', '.join(self.subjects)}")
        return found

    def video(self, subject: str, name: str) -> Video:
        """One video by subject and name. KeyError naming the known ones where there is none."""
        videos = self.videos_of(subject)
        for video in videos:
            if video.name == name:
                return video
        known = ", ".join(video.name for video in videos)
        raise KeyError(f"unknown video {name!r} of {subject} in {self.name}; known: {known}")

    def with_me(self) -> Dataset:
        """Only the videos that contain a micro-expression; their subjects are the folds."""
        return replace(self, videos=tuple(video for video in self.videos if video.events_of("micro")))

    def has_blinks(self, subject: str) -> bool:
        """Whether this subject's blinks were labelled (not whether there are any)."""
        return subject in self.blink_subjects

    def events(self, *kinds: str) -> dict[Key, list[Event]]:
        """(subject, video) -> events of the given kinds (all by default); a key for every video."""
        return {video.key: video.events_of(*(kinds or KINDS)) for video in self.videos}

    def table(self) -> pd.DataFrame:
        """One row per event: subject, video, kind, emotion, onset, apex, offset, frames, seconds."""
        rows = [
            (v.subject, v.name, e.kind, e.emotion, e.onset, e.apex, e.offset, e.length, e.length / v.fps)
            for v in self.videos
            for e in v.events
        ]
        names = ("subject", "video", "kind", "emotion", "onset", "apex", "offset", "frames", "seconds")
        return pd.DataFrame(rows, columns=list(names)).astype({"apex": "Int64"})


def is_long(event: Event, fps: float) -> bool:
    """Whether an event lasts `LONG_SECONDS` or more: no micro-expression by any definition."""
    return event.length >= LONG_SECONDS * fps - 1e-9


def natural_key(text: str) -> tuple:
    """Sort key under which "spNO.2" stands before "spNO.10"."""
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", text))


# ---------------------------------------------------------------------------------------------- audit


@dataclass
class AuditLog:
    """Collects the audit while a reader works. labels: kind of event -> the table and sheet it stands in."""

    entries: list[tuple] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        action: str,
        reason: str,
        *,
        table: str = "",
        row: int | None = None,
        subject: str | None = None,
        video: str | None = None,
        kind: str | None = None,
    ) -> None:
        """One entry. row is the row that Excel shows, None where the entry is about no single row; kind that
        of the event, where it is known.
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(ACTIONS)}")
        self.entries.append((table, row, action, reason, subject, video, kind))

    def frame(self) -> pd.DataFrame:
        """The audit as a table (`AUDIT_COLUMNS`)."""
        return pd.DataFrame(self.entries, columns=list(AUDIT_COLUMNS)).astype({"row": "Int64"})


# ---------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook: cells by wanted column name, and where each row stands in Excel."""

    path: Path
    name: str
    cells: pd.DataFrame  # index = row number in Excel

    @property
    def label(self) -> str:
        return f"{self.path.name} [{self.name}]"

    def rows(self) -> Iterable[tuple[int, dict[str, Any]]]:
        """(row in Excel, cells by column) of every row that is not blank."""
        for number, cells in zip(self.cells.index, self.cells.to_dict("records"), strict=True):
            yield int(number), cells

    def wrong(self, row: int, column: str, what: str) -> str:
        """A message that names file, sheet, row and column."""
        return f"{self.path.name}, sheet {self.name!r}, row {row}, column {column!r}: {what}"


def read_sheet(
    path: str | Path, sheet: str | int, columns: Sequence[str], *, header: bool = True, optional: int = 0
) -> Sheet:
    """Read the wanted columns of a sheet (.xls or .xlsx), with Excel's row numbers as index.

    The header row is found by its names (case and outer blanks aside), since owners put preambles of
    different lengths above it. With header=False the columns are taken by position; the last `optional` of
    them may be absent. Raises FileNotFoundError where there is no such file, ValueError naming what was
    found and wanted where it is no workbook or lacks the sheet or a column.
    """
    path = Path(path)
    with _workbook(path) as book:
        names = list(map(str, book.sheet_names))
        if isinstance(sheet, int):
            if sheet >= len(names):
                raise ValueError(
                    f"{path.name} has {len(names)} sheets ({', '.join(names)}), none number {sheet + 1}"
                )
            name = names[sheet]
        else:
            found = [name for name in names if _plain(name) == _plain(sheet)]
            if not found:
                raise ValueError(f"{path.name}: sheet {sheet!r} wanted, sheets found: {', '.join(names)}")
            name = found[0]
        raw = _cells(book, name)
    raw.index = range(1, len(raw) + 1)
    if header:
        raw = _below_header(raw, columns, f"{path.name}, sheet {name!r}")
    else:
        if raw.shape[1] < len(columns) - optional:
            raise ValueError(
                f"{path.name}, sheet {name!r}: {len(columns)} columns wanted ({', '.join(columns)}), "
                f"{raw.shape[1]} found"
            )
        raw = raw.reindex(columns=range(len(columns)))
        raw.columns = list(columns)
    return Sheet(path, name, raw.dropna(how="all"))


def read_cells(path: str | Path) -> list[pd.DataFrame]:
    """All sheets of a workbook as they stand, without header."""
    with _workbook(path) as book:
        return [_cells(book, name) for name in book.sheet_names]


def _cells(book: pd.ExcelFile, name: str) -> pd.DataFrame:
    return pd.read_excel(book, sheet_name=name, header=None, dtype=object)


def _workbook(path: str | Path) -> pd.ExcelFile:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    try:
        return pd.ExcelFile(path, engine="calamine")
    except Exception as error:  # calamine has an error class of its own for each format
        raise ValueError(f"{path} cannot be read as an Excel workbook: {error}") from error


def _below_header(raw: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    wanted = {_plain(column): column for column in columns}
    nearest: set[str] = set()
    found: list[str] = []
    for number, row in raw.head(40).iterrows():
        names = [_plain(cell) for cell in row]
        if wanted.keys() <= set(names):
            below = raw.loc[number + 1 :].iloc[:, [names.index(plain) for plain in wanted]]
            below.columns = list(wanted.values())
            return below
        hits = wanted.keys() & set(names)
        if len(hits) > len(nearest) or not found:
            nearest, found = hits, [str(cell) for cell in row if not _blank(cell)]
    missing = [column for plain, column in wanted.items() if plain not in nearest]
    raise ValueError(
        f"{where}: no column {', '.join(map(repr, missing))}; "
        f"columns wanted: {', '.join(columns)}; found: {', '.join(found) or 'none'}"
    )


def _blank(cell: Any) -> bool:
    return (
        cell is None
        or cell is pd.NaT
        or (isinstance(cell, float) and math.isnan(cell))
        or not str(cell).strip()
    )


def _plain(cell: Any) -> str:
    return "" if _blank(cell) else " ".join(str(cell).split()).casefold()


def text(cell: Any) -> str:
    """A cell as text without outer blanks; whole numbers without ".0"; "" where it is blank."""
    if _blank(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def find_table(folder: Path, pattern: str, *, exclude: str | None = None) -> Path | None:
    """The workbook in a folder whose name matches (case aside); of several the last in natural order.

    So the highest version counts. Excel's lock files (~$…) and hidden files are passed over.
    """
    if not folder.is_dir():
        return None
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".xls", ".xlsx")
        and not path.name.startswith(("~$", "."))
        and re.search(pattern, path.name, re.IGNORECASE)
        and not (exclude and re.search(exclude, path.name, re.IGNORECASE))
    ]
    return max(found, key=lambda path: natural_key(path.name.casefold()), default=None)


# ------------------------------------------------------------------------------------- rows to events


@dataclass
class RowReader:
    """Turns the rows of a sheet into rows of the normalised table, logging what it changes.

    `at` says which row is being read. bad_rows says what becomes of a row that is wrong in a way its set is
    not known for: "error" (a ValueError that names file, row and column) or "drop" (an audit entry).
    """

    dataset: str
    sheet: Sheet
    fps: float
    log: AuditLog
    bad_rows: str = "error"
    records: list[dict[str, Any]] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=dict)

    def at(
        self, row: int, subject: str | None = None, video: str | None = None, kind: str | None = None
    ) -> None:
        """The row being read, as Excel numbers it, and what is known of it so far."""
        self.where = {"row": row, "subject": subject, "video": video, "kind": kind}

    def note(self, action: str, reason: str) -> None:
        """An audit entry about this row."""
        self.log.add(action, reason, table=self.sheet.label, **self.where)

    def bad(self, column: str, what: str) -> None:
        """Raise or drop, as `bad_rows` says."""
        if self.bad_rows == "drop":
            self.note("dropped", f"{column}: {what}")
        else:
            message = self.sheet.wrong(self.where["row"], column, what)
            raise ValueError(f'{message}; bad_rows="drop" leaves such rows out')

    def numbers(self, cells: Mapping[str, Any], *columns: str) -> tuple[float, ...] | None:
        """Frame numbers of the given columns, or None (after `bad`) where a cell holds none."""
        numbers = []
        for column in columns:
            cell = text(cells[column])
            try:
                numbers.append(float(cell))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                self.bad(column, f"{cell!r} is not a frame number")
                return None
        return tuple(numbers)

    def emotion(self, column: str, raw: str, classes: Mapping[str, str]) -> str | None:
        """The emotion class of an owner's label, or None (after `bad`) where the label is not known."""
        found = classes.get(raw.casefold())
        if found is None:
            self.bad(column, f"unknown emotion {raw!r}; known: {', '.join(classes)}")
        return found

    def take(
        self,
        onset: float,
        apex: float | None,
        offset: float,
        *,
        onset_column: str = "Onset",
        emotion_raw: str | None = None,
        emotion: str | None = None,
        action_units: str = "",
        notes: Iterable[str] = (),
    ) -> None:
        """Add this row's event; round, empty or flag what needs it. A contradiction goes to `bad`."""
        notes = [note for note in notes if note]
        frames = {"onset": onset, "apex": apex, "offset": offset}
        for name, value in frames.items():
            if value is not None and value != math.floor(value):
                frames[name] = math.floor(value + 0.5)
                self.note("repaired", f"{name} {value:g} is between frames: {frames[name]}")
        start, top, end = (None if value is None else int(value) for value in frames.values())
        if start > end:
            return self.bad(onset_column, f"onset {start} lies after offset {end}")
        if start < 0:
            return self.bad(onset_column, f"onset {start} is negative")
        if top is not None and not start <= top <= end:
            self.note("repaired", f"apex {top} lies outside {start}…{end}: left empty")
            notes.append("apex left empty")
            top = None
        length, kind = end - start + 1, self.where["kind"]
        if kind == "micro" and length >= LONG_SECONDS * self.fps:
            seconds = length / self.fps
            self.note("flagged", f"a micro-expression of {length} frames ({seconds:.1f} s): too long for one")
            notes.append("long")
        if kind == "micro" and top == start:
            self.note("flagged", f"onset and apex are the same frame, {start}")
            notes.append("onset = apex")
        self.log.labels[kind] = self.sheet.label
        values = (self.dataset, self.where["subject"], self.where["video"], start, top, end, self.fps, kind)
        values += (emotion_raw, emotion, action_units, self.where["row"], "; ".join(notes))
        self.records.append(dict(zip(COLUMNS, values, strict=True)))
        return None


def annotation_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The normalised table (`COLUMNS`); frames are whole numbers, an apex may be missing."""
    table = pd.DataFrame(list(records), columns=list(COLUMNS))
    whole = dict.fromkeys(("onset", "apex", "offset", "source_row"), "Int64")
    return table.astype({**whole, "fps": float})


def flag_overlaps(reader: RowReader) -> None:
    """Flag each micro-expression that begins before its predecessor in the video has ended."""
    by_video: dict[Key, list[dict[str, Any]]] = {}
    for record in reader.records:
        if record["kind"] == "micro":
            by_video.setdefault((record["subject"], record["video"]), []).append(record)
    for key, records in by_video.items():
        records.sort(key=lambda record: (record["onset"], record["offset"]))
        for before, after in pairwise(records):
            if after["onset"] <= before["offset"]:
                spans = [f"{record['onset']}…{record['offset']}" for record in (after, before)]
                reason = f"{spans[0]} overlaps {spans[1]} of row {before['source_row']}"
                reader.at(after["source_row"], *key, "micro")
                reader.note("flagged", reason)


# ------------------------------------------------------------------------------------ events to videos


def list_videos(folders: Mapping[Key, Path], index: Path | None = None) -> dict[Key, Listing | None]:
    """First and last frame of each folder, looking once into each; None for a folder without images.

    What was found is kept in the file `index` and used again as long as a folder has not changed, since a
    full set has over a thousand folders with thousands of files each. Where it cannot be written (a disk
    that only reads), each call looks again.
    """
    base = index.parent if index else Path()
    known: dict[str, list] = {}
    if index:
        try:
            known = json.loads(index.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}

    def look(folder: Path) -> tuple[str, list, Listing | None]:
        name = os.path.relpath(folder, base)
        changed = folder.stat().st_mtime_ns
        if name in known and known[name][0] == changed:
            entry = known[name]
            return name, entry, Listing(folder, *entry[1:]) if entry[1] is not None else None
        found = list_frames(folder)
        facts = [found.template, found.first, found.last, found.count] if found else [None] * 4
        # a folder changed within the clock's grain of now may change again unseen: look again next time
        fresh = time.time_ns() - changed < 2_000_000_000
        return name, [-1 if fresh else changed, *facts], found

    with ThreadPoolExecutor(8) as pool:  # waiting for the disk, not computing
        results = list(pool.map(look, folders.values()))
    entries = {name: entry for name, entry, _ in results if entry[0] != -1}
    if index and any(known.get(name) != entry for name, entry in entries.items()):
        with suppress(OSError):
            write_json(index, known | entries)
    return {key: found for key, (_, _, found) in zip(folders, results, strict=True)}


def assemble(
    annotations: pd.DataFrame,
    ranges: Mapping[Key, Listing | tuple[int, int] | None],
    log: AuditLog,
    *,
    frame_step: int,
    fps: float,
    strict: bool = True,
) -> list[Video]:
    """Videos of the given ranges, with the events of the table in 0-based indices after `frame_step`.

    ranges: (subject, video) -> a Listing of its frames, or (first, last) where only numbers are known, or
    None where the frames are not there: its events are left out, with an entry. An event that begins before
    the first frame or ends after the last is clipped, with an entry; one wholly outside is a ValueError
    naming table, row and column (strict), else left out.
    """
    by_video: dict[Key, list] = {}
    for record in annotations.itertuples(index=False):
        by_video.setdefault((record.subject, record.video), []).append(record)
    videos = []
    for key in sorted(ranges, key=lambda key: tuple(map(natural_key, key))):
        found, records = ranges[key], by_video.get(key, [])
        if found is None:
            counts = Counter(record.kind for record in records)
            count = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no events"
            log.add(
                "dropped", f"no frames of this video: left out with {count}", subject=key[0], video=key[1]
            )
            continue
        if isinstance(found, Listing):
            first, last, source = found.first, found.last, found.files(frame_step)
            if found.missing:
                reason = f"{found.missing} of the frames {first}…{last} are missing: the nearest one serves"
                log.add("flagged", reason, subject=key[0], video=key[1])
        else:
            (first, last), source = found, None
        events = []
        for record in records:
            event = _place(record, first, last, frame_step, log, strict)
            if event is not None:
                events.append(event)
        n_frames = (last - first) // frame_step + 1
        videos.append(Video(*key, fps / frame_step, n_frames, tuple(events), source))
    return videos


def _place(record: Any, first: int, last: int, step: int, log: AuditLog, strict: bool) -> Event | None:
    label = log.labels.get(record.kind, "")
    where = {"table": label, "row": int(record.source_row), "subject": record.subject, "video": record.video}
    where["kind"] = record.kind
    onset, offset = int(record.onset), int(record.offset)
    apex = None if pd.isna(record.apex) else int(record.apex)
    if offset < first or onset > last:
        column, value = ("Offset", offset) if offset < first else ("Onset", onset)
        what = (
            f"the {record.kind} event {onset}…{offset} lies outside the frames {first}…{last} "
            f"of video {record.subject} {record.video}"
        )
        if strict:
            raise ValueError(
                f"{label}, row {where['row']}, column {column!r} ({value}): {what}. "
                'Is its folder unpacked whole? bad_rows="drop" leaves such rows out'
            )
        log.add("dropped", what, **where)
        return None
    inside = {name: min(max(n, first), last) for name, n in (("onset", onset), ("offset", offset))}
    if apex is not None:
        inside["apex"] = min(max(apex, first), last)
    moved = [
        f"{name} {old} → {inside[name]}"
        for name, old in (("onset", onset), ("apex", apex), ("offset", offset))
        if old is not None and inside[name] != old
    ]
    if moved:
        log.add("clipped", f"{', '.join(moved)}: the frames are {first}…{last}", **where)
    index = {name: (number - first) // step for name, number in inside.items()}
    return Event(**index, emotion=_value(record.emotion), kind=record.kind)


def _value(cell: Any) -> str | None:
    return None if _blank(cell) else str(cell)


def choose(
    annotations: pd.DataFrame,
    log: AuditLog,
    *,
    kinds: Sequence[str] = KINDS,
    emotions: Sequence[str] = EMOTIONS,
    require_emotion: bool = False,
) -> pd.DataFrame:
    """The rows of the kinds asked for, and of micro-expressions only the emotions asked for.

    Micro-expressions whose emotion is not known stay unless require_emotion. Raises ValueError naming the
    known ones where a kind or an emotion is unknown.
    """
    all_known("kind", kinds, KINDS)
    all_known("emotion", emotions, EMOTIONS)
    rows = annotations[annotations["kind"].isin(list(kinds))]
    micro, nameless = rows["kind"] == "micro", rows["emotion"].isna()
    other = micro & ~nameless & ~rows["emotion"].isin(list(emotions))
    without = micro & nameless & bool(require_emotion)
    for mask, reason in (
        (other, f"micro-expressions of other emotions than asked for ({', '.join(emotions)})"),
        (without, "micro-expressions without an emotion (require_emotion)"),
    ):
        if mask.any():
            log.add("dropped", f"{int(mask.sum())} {reason}")
    return rows[~(other | without)]


def all_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    """ValueError listing the known names where one of those given is not among them, or is a bare text."""
    unknown = [given] if isinstance(given, str) else [item for item in given if item not in known]
    if unknown:
        hint = " (a list of names is wanted)" if isinstance(given, str) else ""
        raise ValueError(f"unknown {what} {unknown[0]!r}{hint}; known: {', '.join(known)}")
