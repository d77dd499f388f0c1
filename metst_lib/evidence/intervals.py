"""Tables of intervals (csv): how predictions and truths of any method are handed over.

A row is an event: subject, video, onset, offset, and where known dataset, kind ("micro", "macro"; micro where
the column is missing), apex, emotion, fps, n_frames, first, frame_step. Frames are 0-based and inclusive;
frame i is the owners' number first + i · frame_step. A video in which there is nothing has a row without
onset and offset, so that it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib._files import write_text
from metst_lib.events import Event, Key, named

_NUMBERS = ("first", "frame_step")
_EVENT = ("onset", "offset", "apex", "emotion", "kind")
_TEXT = dict.fromkeys(("dataset", "subject", "video", "kind", "emotion"), str)


@dataclass(frozen=True)
class Intervals:
    """The events of the videos of one data set ("" where none is named), and of each what else is told."""

    dataset: str
    events: dict[Key, list[Event]]
    fps: dict[Key, float]
    n_frames: dict[Key, int]
    first: dict[Key, int] = field(default_factory=dict)
    frame_step: dict[Key, int] = field(default_factory=dict)


def read(path: str | Path, dataset: str = "") -> Intervals:
    """Read a table of intervals; dataset: which, where it holds several.

    Raises FileNotFoundError; ValueError naming file and row (the header is row 1) for an onset after its
    offset, a negative frame, NaN, an unknown kind or emotion, an interval that begins beyond n_frames (two
    of SAMM-LV's own labels end beyond it).
    """
    path = Path(path)
    table = read_table(path)
    if lacking := [name for name in ("subject", "video", "onset", "offset") if name not in table]:
        raise ValueError(f"{path}: no column {', '.join(lacking)}; found: {', '.join(table)}")
    sets = sorted(table["dataset"].dropna().unique()) if "dataset" in table else []
    if dataset and sets:
        if dataset not in sets:
            raise ValueError(f"{path} holds no rows of {dataset!r}; it holds {', '.join(sets)}")
        table = table[table["dataset"] == dataset]
    elif len(sets) > 1:
        raise ValueError(f"{path} holds several data sets, {', '.join(sets)}: say which")
    check_intervals(path, table, empty=True)
    check_numbers(path, table, *({"fps", "n_frames", "apex", *_NUMBERS} & set(table)))
    found = Intervals(dataset or "".join(sets), {}, {}, {})
    for row in table.to_dict("index").items():
        _take(path, found, *row)
    return found


def _take(path: Path, found: Intervals, index: int, row: dict) -> None:
    row = {name: value for name, value in row.items() if value == value}  # NaN: an empty cell
    key = row.get("subject", ""), row.get("video", "")
    where = f"{path}, row {index + 2}"
    if not all(key):
        raise ValueError(f"{where}: no subject or no video")
    for name in (name for name in ("fps", "n_frames", *_NUMBERS) if name in row):
        told, owners = getattr(found, name), name in _NUMBERS
        if not (0 < row[name] < np.inf or (name == "first" and row[name] == 0)):
            raise ValueError(f"{where}: {name} of {row[name]:g} where a number above 0 is wanted")
        if owners and row[name] != int(row[name]):
            raise ValueError(f"{where}: {name} of {row[name]:g} is no whole number")
        if told.setdefault(key, int(row[name]) if owners else row[name]) != row[name]:
            raise ValueError(f"{where}: {name} {row[name]:g}, but {told[key]:g} above for video {named(key)}")
    events = found.events.setdefault(key, [])
    if "onset" not in row:
        return
    try:
        numbers = {name: row[name] for name in ("onset", "offset", "apex") if name in row}
        whole = {name: int(value) if value == int(value) else value for name, value in numbers.items()}
        event = Event(**whole, **{name: row[name] for name in ("emotion", "kind") if name in row})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if event.onset >= found.n_frames.get(key, np.inf):
        raise ValueError(f"{where}: an onset of {event.onset} in a video of {found.n_frames[key]:g} frames")
    events.append(event)


def write(
    path: str | Path,
    dataset: str,
    events: Mapping[Key, Sequence[Event]],
    fps: Mapping[Key, float] | None = None,
    n_frames: Mapping[Key, int] | None = None,
    numbers: Mapping[Key, tuple[int, int]] | None = None,
) -> Path:
    """Write the events of a data set's videos as such a table; returns the path.

    numbers: first and frame_step of the videos.
    """
    tails = {key: {"fps": (fps or {}).get(key), "n_frames": (n_frames or {}).get(key)} for key in events}
    for key, (first, step) in (numbers or {}).items():
        tails[key] |= {"first": first, "frame_step": step}
    table = pd.DataFrame(_rows(dataset, events, tails))
    whole = [name for name in (*_EVENT[:3], "n_frames", *_NUMBERS) if name in table]
    table = table.astype(dict.fromkeys(whole, "Int64")).dropna(axis=1, how="all")
    for name in ("onset", "offset"):
        table = table if name in table else table.assign(**{name: ""})
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _rows(dataset: str, events: Mapping[Key, Sequence[Event]], tails: Mapping[Key, dict]) -> Iterator[dict]:
    for key, of in events.items():
        head = {"dataset": dataset, "subject": key[0], "video": key[1]}
        yield from (head | {name: getattr(event, name) for name in _EVENT} | tails[key] for event in of)
        if not of:
            yield head | tails[key]


def read_table(path: str | Path) -> pd.DataFrame:
    """A csv whose names are text; ValueError where it is none."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return pd.read_csv(path, dtype=_TEXT)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from None


def check_numbers(path: str | Path, table: pd.DataFrame, *columns: str) -> None:
    """ValueError naming file and row (the header is row 1) of the first cell of a column that is text."""
    for name in columns:
        text = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
        if text.any():
            row = int(np.argmax(text))
            where = f"{path}, row {table.index[row] + 2}"
            raise ValueError(f"{where}: {name} {table[name].iloc[row]!r} is no number")


def check_intervals(
    path: str | Path,
    table: pd.DataFrame,
    onset: str = "onset",
    offset: str = "offset",
    *,
    ordered: bool = True,
    empty: bool = False,
) -> None:
    """ValueError naming file and row (the header is row 1) of the first interval that is none.

    ordered: an onset after its offset is one. empty: a row without both says that there is nothing.
    """
    try:
        first, last = (pd.to_numeric(table[name]).astype(np.float64).to_numpy() for name in (onset, offset))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {onset} and {offset} should be numbers: {error}") from None
    none = np.isnan(first) & np.isnan(last) & empty
    for wrong, what in (
        (~none & ~(np.isfinite(first) & np.isfinite(last)), "an end that is no number"),
        (first < 0, f"a negative {onset}"),
        (ordered & (first > last), f"{onset} after {offset}"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            ends = f"{table[onset].iloc[row]} … {table[offset].iloc[row]}"
            raise ValueError(f"{path}, row {table.index[row] + 2}: {what} ({ends})")
