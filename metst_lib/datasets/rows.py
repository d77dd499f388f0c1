"""Rows of the owners' tables to one table of annotations, with an audit of every change.

Readers never edit a file. What they repair, clip or drop stands in the audit with the row as Excel shows it
(1 is the sheet's first row, headers counted), the action and the reason (paper, Sec. IV-A, Table I).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from metst_lib.datasets.sheets import Sheet, number, text
from metst_lib.events import Key

#: Columns of the normalised table of annotations.
COLUMNS = (
    "dataset", "subject", "video", "onset", "apex", "offset", "fps", "kind",
    "emotion_raw", "emotion", "action_units", "source_row", "notes",
)  # fmt: skip
AUDIT_COLUMNS = ("table", "row", "action", "reason", "subject", "video", "kind")
#: repaired: a value was corrected; clipped: cut to the frames that exist; kept: a choice that another reader
#: makes otherwise; flagged: taken as it is, but worth knowing; dropped: the event is left out.
ACTIONS = ("repaired", "clipped", "kept", "flagged", "dropped")
#: A labelled micro-expression this long or longer (60 frames at 30 fps) is kept and flagged.
LONG_SECONDS = 2.0


@dataclass
class AuditLog:
    """Collects the audit while a reader works. labels: kind of event -> the table and sheet it stands in."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def add(self, action: str, reason: str, **where: Any) -> None:
        """One entry. where: table, row (as Excel shows it), subject, video and kind, as far as known."""
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(ACTIONS)}")
        entry = dict.fromkeys(AUDIT_COLUMNS) | {"table": "", "action": action, "reason": reason}
        self.entries.append(entry | where)

    def frame(self) -> pd.DataFrame:
        """The audit as a table (`AUDIT_COLUMNS`)."""
        return pd.DataFrame(self.entries, columns=list(AUDIT_COLUMNS)).astype({"row": "Int64"})


@dataclass
class RowReader:
    """Turns the rows of a sheet into rows of the normalised table, logging what it changes.

    `on` says which sheet is being read and `at` which row. bad_rows says what becomes of a row that is wrong
    in a way its set is not known for: "error" (a ValueError that names file, row and column) or "drop" (an
    audit entry). as_released: leave out what the authors' released code leaves out.
    """

    dataset: str
    fps: float
    log: AuditLog
    bad_rows: str = "error"
    as_released: bool = False
    sheet: Sheet | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=dict)

    def on(self, sheet: Sheet) -> "RowReader":
        """A reader for this sheet, which has no records yet."""
        return replace(self, sheet=sheet, records=[], where={})

    def at(
        self, row: int, subject: str | None = None, video: str | None = None, kind: str | None = None
    ) -> None:
        """The row being read, as Excel numbers it, and what is known of it so far."""
        self.where = {"row": row, "subject": subject, "video": video, "kind": kind}

    def note(self, action: str, reason: str) -> None:
        """An audit entry about this row, or about the sheet before the first row."""
        self.log.add(action, reason, table=self.sheet.label, **self.where)

    def bad(self, column: str, what: str) -> None:
        """Raise or drop, as `bad_rows` says."""
        if self.bad_rows != "drop":
            place = f"{self.sheet.place}, row {self.where['row']}"
            raise ValueError(f'{place}, column {column!r}: {what}; bad_rows="drop" leaves such rows out')
        self.note("dropped", f"{column}: {what}")

    def numbers(self, cells: Mapping[str, Any], *columns: str) -> tuple[float, ...] | None:
        """Frame numbers of the given columns, or None (after `bad`) where a cell holds none."""
        numbers = tuple(number(cells[column]) for column in columns)
        for column, found in zip(columns, numbers, strict=True):
            if not math.isfinite(found):
                return self.bad(column, f"{text(cells[column])!r} is not a frame number")
        return numbers

    def emotion(self, column: str, raw: str, classes: Mapping[str, str]) -> str | None:
        """The emotion class of an owner's label, or None (after `bad`) where the label is not known."""
        if raw.casefold() not in classes:
            return self.bad(column, f"unknown emotion {raw!r}; known: {', '.join(classes)}")
        return classes[raw.casefold()]

    def take(
        self,
        onset: float,
        apex: float | None,
        offset: float,
        *,
        notes: Iterable[str] = (),
        onset_column: str = "Onset",
        **labels: str | None,
    ) -> None:
        """Add this row's event; round, empty or flag what needs it. A contradiction goes to `bad`.

        labels: emotion_raw, emotion and action_units, as far as they are known.
        """
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
        if self.where["kind"] == "micro":
            notes += self._odd(start, top, end)
        units = labels.get("action_units") or ""
        if unread := action_units(units)[1]:
            told = ", ".join(map(repr, unread))
            self.note("flagged", f"Action Units {units!r}: {told} cannot be read and is left out")
        self.log.labels[self.where["kind"]] = self.sheet.label
        record = dict.fromkeys(COLUMNS) | {"action_units": ""} | self.where | labels
        record |= {"dataset": self.dataset, "fps": self.fps, "source_row": record.pop("row")}
        record |= {"onset": start, "apex": top, "offset": end, "notes": "; ".join(notes)}
        self.records.append(record)
        return None

    def _odd(self, start: int, top: int | None, end: int) -> Iterable[str]:
        """Flag what a micro-expression should not be: too long, or at its height from the first frame."""
        length = end - start + 1
        if length >= LONG_SECONDS * self.fps:
            seconds = length / self.fps
            self.note("flagged", f"a micro-expression of {length} frames ({seconds:.1f} s): too long for one")
            yield "long"
        if top == start:
            self.note("flagged", f"onset and apex are the same frame, {start}")
            yield "onset = apex"

    def flag_overlaps(self, *kinds: str) -> None:
        """Flag each event of a kind (micro, if none is named) that begins before another has ended."""
        alike: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for record in self.records:
            if record["kind"] in (kinds or ("micro",)):
                alike.setdefault((record["subject"], record["video"], record["kind"]), []).append(record)
        for where, records in alike.items():
            before, *others = sorted(records, key=lambda record: (record["onset"], record["offset"]))
            for after in others:
                inside = after["offset"] <= before["offset"]
                if after["onset"] <= before["offset"]:
                    later, earlier = (f"{record['onset']}…{record['offset']}" for record in (after, before))
                    self.at(after["source_row"], *where)
                    what = f"{later} overlaps {earlier} of row {before['source_row']}"
                    self.note("flagged", what + (", inside which it lies" if inside else ""))
                before = before if inside else after


def action_units(cell: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Action Units of a table's cell, each once, and the parts that cannot be read.

    Units stand between "+" or ",": a number, before it L or R (the person's own side), T or B (top, bottom),
    A (both sides, unevenly) or "AU", behind it an intensity from A to E ("4B", "10B/C", "6(B/C)"), which is
    left out: "R4B+AU7" holds ("R4", "7").
    """
    parts = [part.strip() for part in re.split(r"[+,]", cell) if part.strip()]
    found = {part: _UNIT.fullmatch(part) for part in parts}
    read = [f"{match['side']}{int(match['number'])}".upper() for match in found.values() if match]
    return tuple(dict.fromkeys(read)), tuple(part for part, match in found.items() if not match)


_UNIT = re.compile(
    r"(?:AU)?(?P<side>[ABLRT]?)(?P<number>\d{1,2})(?:[A-E](?:/[A-E])?|\([A-E](?:/[A-E])?\))?", re.IGNORECASE
)


def annotation_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The normalised table (`COLUMNS`); frames are whole numbers, an apex may be missing."""
    table = pd.DataFrame(list(records), columns=list(COLUMNS))
    whole = dict.fromkeys(("onset", "apex", "offset", "source_row"), "Int64")
    return table.astype({**whole, "fps": float})


def keys_of(table: pd.DataFrame, *kinds: str) -> set[Key]:
    """(subject, video) of the rows of a table, of all kinds or of those given."""
    rows = table[table["kind"].isin(kinds)] if kinds else table
    return set(rows[["subject", "video"]].itertuples(index=False, name=None))
