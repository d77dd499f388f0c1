"""Files of the micro-expression grand challenge (MEGC): written, read again, and scored by its protocols.

    2022   vid, pred_onset, pred_offset, type        type: "me" or "mae" (macro-expression)
    2023   vid, onset, offset, type
    2024   subject, video, onset, offset, emotion    spot-then-recognise: micro-expressions alone

A row is an event found, frames are the owners' own numbers, both ends in the event; a video in which nothing
was found has no row. These columns and this numbering were seen in participants' code only, never in a text
of the organisers: compare with what the organisers hand out before you send anything.

vid is the video's name, or subject_video where several subjects have a video of that name.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib import inference, metrics
from metst_lib._files import write_text
from metst_lib.events import EMOTIONS, Event, Key, named, numbered
from metst_lib.evidence import intervals
from metst_lib.evidence.scoring import Given
from metst_lib.metrics import Counts
from metst_lib.metrics.scores import of_kind

#: Columns of a year's file, as participants wrote them.
YEARS = {
    2022: ("vid", "pred_onset", "pred_offset", "type"),
    2023: ("vid", "onset", "offset", "type"),
    2024: ("subject", "video", "onset", "offset", "emotion"),
}
#: What `type` says of each kind.
TYPES = {"micro": "me", "macro": "mae"}
#: Each protocol's scorer (`metrics.SCORERS`), and whether all videos count or only those with a label.
PROTOCOLS = {
    "megc2022": ("strict", "all"),
    "megc2024": ("megc2024", "all"),
    "strict": ("strict", "with_me"),
}
_KINDS = {name: kind for kind, short in TYPES.items() for name in (kind, short)}
_SAME = {"pred_onset": "onset", "pred_offset": "offset"}
_FRAME = re.compile(r"\d+(\.0*)?")


# --- writing --------------------------------------------------------------------------------------------


def write(path: str | Path, events: Mapping[Key, Sequence[Event]], year: int = 2022) -> Path:
    """Write the events of videos, in their owners' numbers, as the year's file; returns the path.

    ValueError for an unknown year, two videos of one name, blinks; in 2024's file for macro-expressions,
    which it has no column to tell, and for videos without a subject.
    """
    if year not in YEARS:
        raise ValueError(f"no file of {year} is known; known: {', '.join(map(str, YEARS))}")
    names, rows = {} if year == 2024 else _names(list(events)), []
    for key, event in [(key, event) for key, of in sorted(events.items()) for event in of]:
        if event.kind not in (("micro",) if year == 2024 else TYPES):
            raise ValueError(f"video {named(key)}: the file of {year} has no place for a {event.kind} event")
        if year == 2024 and not key[0]:
            raise ValueError(f"video {key[1]}: the file of 2024 names subjects, and this video has none")
        of = key if year == 2024 else (names[key],)
        says = event.emotion or "" if year == 2024 else TYPES[event.kind]
        rows.append((*of, event.onset, event.offset, says))
    table = pd.DataFrame(rows, columns=list(YEARS[year]))
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def found(path: str | Path) -> dict[Key, list[Event]]:
    """Events found, in owners' numbers: of a table of intervals, or of a folder.

    A table that tells `first` and `frame_step` of its videos is turned into owners' numbers by them; without
    them its frames are taken for such. Of a folder every `events.csv` below it counts that `metst analyze`
    left, its video named like the folder it lies in, without a subject; where there is none, every table of
    intervals in the folder. FileNotFoundError where there is nothing; ValueError as `intervals.read`, and for
    the events.csv of a fold, which holds true events too.
    """
    path = Path(path)
    files = sorted(path.rglob("events.csv")) or sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path} holds no events.csv of `metst analyze` and no table of intervals")
    events: dict[Key, list[Event]] = {}
    for file in files:
        table = intervals.read_table(file)
        if "origin" in table:
            raise ValueError(f"{file} is of a fold of a run: name the data set and its --variant instead")
        if "start_frame" in table:
            events.setdefault(("", file.resolve().parent.name), []).extend(_analysed(table))
            continue
        told = intervals.read(file)
        for key, of in told.events.items():
            how = told.first.get(key, 0), told.frame_step.get(key, 1)
            events.setdefault(key, []).extend(numbered(event, *how) for event in of)
    return events


def _analysed(table: pd.DataFrame) -> Iterator[Event]:
    for row in table.itertuples():
        emotion = row.emotion if isinstance(row.emotion, str) else None
        yield Event(int(row.start_frame), int(row.end_frame), emotion=emotion)


def _names(keys: Sequence[Key]) -> dict[Key, str]:
    """What `vid` says of each video; ValueError where two would be called the same."""
    videos = [video for _, video in keys]
    names = {key: key[1] if videos.count(key[1]) == 1 else "_".join(key) for key in keys}
    if doubles := [name for name in names.values() if list(names.values()).count(name) > 1]:
        raise ValueError(f"two videos would be called {doubles[0]!r} in the file")
    return names


# --- reading --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    """The events of a file in the frames of the truths, a key for every video of theirs.

    kinds, recognised: whether the file tells kinds (else all are micro-expressions), and emotions.
    """

    events: dict[Key, list[Event]]
    kinds: bool
    recognised: bool


def read(path: str | Path, truth: intervals.Intervals) -> Submission:
    """Read a file of any of the `YEARS`, against the videos of a table of truths.

    Where the truths tell `first` and `frame_step` of a video, the owners' number n is its frame
    (n − first) // frame_step; else file and truths have to number alike.

    Taken as they come: a byte-order mark, UTF-16, CRLF, semicolons or tabs, empty lines, further columns,
    columns in another order, spaces, capitals, whole numbers in quotes or written "12.0".
    FileNotFoundError; else ValueError naming file and line for whatever is not understood: no header, cells
    missing or too many, a video that is not in the truths, frames that are no whole numbers or lie before
    the video or begin beyond it, an onset after its offset, an unknown type or emotion.
    """
    path, events = Path(path), {key: [] for key in truth.events}
    known, (names, rows) = _videos(list(truth.events)), _table(path)
    for where, row in rows:
        try:
            key = _video(row, known)
            events[key].append(_event(row, key, truth))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return Submission(events, "type" in names, "emotion" in names)


def _text(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    data = path.read_bytes()
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: this is no text in UTF-8") from None


def _table(path: Path) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Names of the columns, and of each row its file and line and its cells by column."""
    text, names, rows = _text(path), [], []
    separator = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for line in lines:
            cells, where = [cell.strip() for cell in line], f"{path}, line {lines.line_num}"
            if not any(cells):
                continue
            if not names:
                names = _header(where, cells)
                continue
            if len(cells) < len(names) or any(cells[len(names) :]):
                raise ValueError(f"{where}: {len(names)} cells wanted, {len(cells)} found")
            rows.append((where, dict(zip(names, cells, strict=False))))
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines.line_num}: {error}") from None
    if not names:
        raise ValueError(f"{path}, line 1: the file is empty, not even a header is there")
    return names, rows


def _header(where: str, cells: Sequence[str]) -> list[str]:
    names = [_SAME.get(cell.casefold(), cell.casefold()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    there = set(names)
    if "kind" in there:
        raise ValueError(f"{where}: a table of intervals (column kind) is scored without a protocol")
    video, says = "vid" in there or {"subject", "video"} <= there, there & {"type", "emotion"}
    if not (video and says and {"onset", "offset"} <= there):
        wanted = "; or ".join(", ".join(columns) for columns in YEARS.values())
        raise ValueError(f"{where}: columns {wanted} wanted, not {', '.join(cells)}")
    if doubles := [name for name in names if name and names.count(name) > 1]:
        raise ValueError(f"{where}: two columns {doubles[0]}")
    return names


def _videos(keys: Sequence[Key]) -> dict[str, set[Key]]:
    """What a video may be called -> the videos that are called so."""
    known: dict[str, set[Key]] = {}
    for key in keys:
        for name in (key[1], *(mark.join(key) for mark in "_/ ")):
            known.setdefault(name, set()).add(key)
    return known


def _video(row: Mapping[str, str], known: Mapping[str, set[Key]]) -> Key:
    if "vid" in row:
        name, of = row["vid"], known.get(row["vid"], set())
    else:
        key = row["subject"], row["video"]
        name, of = named(key), {key} & known.get(key[1], set())
    if not of:
        raise ValueError(f"no video {name!r} in the truths")
    if len(of) > 1:
        raise ValueError(
            f"{name!r} may be any of {', '.join(map(named, sorted(of)))}: subject_video is wanted"
        )
    return next(iter(of))


def _event(row: Mapping[str, str], key: Key, truth: intervals.Intervals) -> Event:
    ends = {}
    for name in ("onset", "offset"):
        if not _FRAME.fullmatch(row[name]):
            raise ValueError(f"{name} {row[name]!r} is no whole frame number")
        ends[name] = int(row[name].partition(".")[0])
    first, step = truth.first.get(key, 0), truth.frame_step.get(key, 1)
    if ends["onset"] > ends["offset"]:
        raise ValueError(f"onset {ends['onset']} lies after offset {ends['offset']}")
    if ends["onset"] < first:
        raise ValueError(f"onset {ends['onset']} lies before frame {first}, the first of video {named(key)}")
    at = {name: (number - first) // step for name, number in ends.items()}
    if at["onset"] >= truth.n_frames.get(key, math.inf):
        last = first + (int(truth.n_frames[key]) - 1) * step
        raise ValueError(f"onset {ends['onset']} lies beyond frame {last}, the last of video {named(key)}")
    kind, emotion = row.get("type", "me").casefold(), row.get("emotion", "").casefold() or None
    if kind not in _KINDS:
        raise ValueError(f"unknown type {row['type']!r}; known: {', '.join(TYPES.values())}")
    if emotion not in (*EMOTIONS, None):
        raise ValueError(f"unknown emotion {row['emotion']!r}; known: {', '.join(EMOTIONS)}")
    return Event(**at, emotion=emotion, kind=_KINDS[kind])


# --- scoring --------------------------------------------------------------------------------------------


def given(
    path: str | Path, truth: str | Path, protocol: str, dataset: str = "", videos: str = ""
) -> tuple[Given, Submission]:
    """A file and the truths of the videos that count by a protocol, and the file as it was read.

    videos: "all" or "with_me" (those with a label of either kind), in place of the protocol's choice.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    labels = intervals.read(truth, dataset)
    seen = read(path, labels)
    read_as = labels.dataset, None, seen.events, labels.events, labels.fps, labels.n_frames
    all_of_it = Given(*read_as, recognised=seen.recognised, left_out=0)
    return all_of_it.only(videos or PROTOCOLS[protocol][1], "overall"), seen


def table(given: Given, protocol: str) -> pd.DataFrame:
    """The field's rows, macro, micro and overall: TP, FP, FN, precision, recall, F1 and its interval.

    Where emotions are given, the row of micro-expressions has the recognition's F1 and STRS too. Each row is
    what `metrics.evaluate` gives of its kind; the overall counts are the sum of both.
    """
    scores = {}
    for kind in TYPES:
        sides = [{k: of_kind(kind, side[k]) for k in given.truth} for side in (given.found, given.truth)]
        scores[kind] = metrics.evaluate(*sides, PROTOCOLS[protocol][0], kind)
    counts = {
        kind: np.array([list(vars(one.spotting).values()) for one in found.by_subject.values()])
        for kind, found in scores.items()
    }
    rows = []
    for kind, (total, interval) in both_kinds(counts["macro"], counts["micro"]).items():
        row = {"kind": kind} | vars(total)
        row |= {name: getattr(total, name) for name in ("precision", "recall", "f1")}
        rows.append(row | {"f1_low": interval.low, "f1_high": interval.high})
    made = pd.DataFrame(rows)
    if given.recognised:
        of = {"recognition_f1": scores["micro"].recognition.f1, "strs": scores["micro"].strs}
        for name, value in of.items():
            made[name] = np.where(made["kind"] == "micro", value, np.nan)
    return made


def both_kinds(macro: Any, micro: Any, level: float = 0.95) -> dict[str, tuple[Counts, inference.Interval]]:
    """The field's row of spotting: "macro", "micro" and "overall", each its counts and its F1 with interval.

    macro, micro: counts as for `inference.interval`, of the same subjects in the same order, a row of zeros
    where one has nothing of a kind. Overall F1 is that of the counts of both added, each event having been
    held against truths of its own kind. Of one subject the intervals are NaN. ValueError as there, and where
    shapes differ.
    """
    macro, micro = np.asarray(macro), np.asarray(micro)
    if macro.shape != micro.shape:
        raise ValueError(f"counts of the same subjects wanted, not of shapes {macro.shape} and {micro.shape}")
    row = {}
    for kind, counts in (("macro", macro), ("micro", micro), ("overall", macro + micro)):
        total = Counts(*map(int, counts.reshape(-1, 3).sum(axis=0)))
        alone = counts.reshape(-1, 3).shape[0] < 2
        unknown = inference.Interval(total.f1, np.nan, np.nan, level)
        row[kind] = total, unknown if alone else inference.interval(counts, level)
    return row
