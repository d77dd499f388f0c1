"""From annotations and folders of frames to videos with their events in 0-based indices.

Glossary: first, last = the owners' frame numbers that a video begins and ends with; step = every how
many-th frame is kept; index = (number − first) // step, 0-based.
"""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib._files import read_json, write_json
from metst_lib.datasets.frames import GRAIN, Listing, list_film, list_frames
from metst_lib.datasets.reader import natural_key
from metst_lib.datasets.rows import AuditLog, action_units
from metst_lib.events import Event, Key, Video


def list_videos(folders: Mapping[Key, Path], index: Path, first: int = 0) -> dict[Key, Listing | None]:
    """First and last frame of each folder, looking once into each; None for a folder without images.

    In a folder's place a video file may stand, whose frames are numbered from `first` on.
    What was found is kept in the file `index` and used again as long as a folder has not changed, since a
    full set has over a thousand folders with thousands of files each. Where it cannot be written (a disk
    that only reads), each call looks again.
    """
    known: dict[str, list] = {}
    with suppress(OSError, ValueError):
        known = read_json(index)

    def look(folder: Path) -> list:
        """[time of change, template, first, last, count]; the last four None where there are no images."""
        changed = folder.stat().st_mtime_ns
        entry = known.get(os.path.relpath(folder, index.parent))
        if isinstance(entry, list) and len(entry) == 5 and entry[0] == changed:
            return entry
        found = list_film(folder) if folder.is_file() else list_frames(folder)
        # a folder changed within the clock's grain of now may change again unseen: look again next time
        fresh = time.time_ns() - changed < GRAIN
        facts = (found.template, found.first, found.last, found.count) if found else [None] * 4
        return [None if fresh else changed, *facts]

    with ThreadPoolExecutor(8) as pool:  # waiting for the disk, not computing
        entries = dict(zip(folders.values(), pool.map(look, folders.values()), strict=True))
    settled = {os.path.relpath(f, index.parent): entry for f, entry in entries.items() if entry[0]}
    if not settled.items() <= known.items():
        with suppress(OSError):
            write_json(index, known | settled)
    listings = {f: Listing(f, *facts) if facts[0] is not None else None for f, (_, *facts) in entries.items()}
    for path, found in listings.items():
        if found and not found.template:
            listings[path] = replace(found, first=first, last=first + found.count - 1)
    return {key: listings[folder] for key, folder in folders.items()}


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
        note = partial(log.add, subject=key[0], video=key[1])
        unread = isinstance(found, Listing) and not found.count
        if found is None or unread:
            counts = Counter(record.kind for record in records)
            count = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no events"
            what = f"{found.folder.name} cannot be read as a video" if unread else "no frames of this video"
            note("dropped", f"{what}: left out with {count}")
            continue
        listed = isinstance(found, Listing)
        first, last = (found.first, found.last) if listed else found
        if listed and found.missing:
            reason = f"{found.missing} of the frames {first}…{last} are missing: the nearest one serves"
            note("flagged", reason)
        source = found.files(frame_step) if listed else None
        events = (_place(record, first, last, frame_step, log, strict) for record in records)
        n_frames = (last - first) // frame_step + 1
        videos.append(
            Video(*key, fps / frame_step, n_frames, tuple(filter(None, events)), source, first, frame_step)
        )
    return videos


def _place(record: Any, first: int, last: int, step: int, log: AuditLog, strict: bool) -> Event | None:
    """The event of a row, in indices; None, with an entry, where it lies outside the frames."""
    label, row, kind = log.labels.get(record.kind, ""), int(record.source_row), record.kind
    note = partial(log.add, table=label, row=row, subject=record.subject, video=record.video, kind=kind)
    numbers = {"onset": record.onset, "apex": record.apex, "offset": record.offset}
    numbers = {name: int(number) for name, number in numbers.items() if not pd.isna(number)}
    if record.offset < first or record.onset > last:
        column = "Offset" if record.offset < first else "Onset"
        what = (
            f"the {kind} event {record.onset}…{record.offset} lies outside the frames {first}…{last} "
            f"of video {record.subject} {record.video}"
        )
        if strict:
            raise ValueError(
                f"{label}, row {row}, column {column!r} ({numbers[column.lower()]}): {what}. "
                'Is its folder unpacked whole? bad_rows="drop" leaves such rows out'
            )
        note("dropped", what)
        return None
    inside = {name: min(max(number, first), last) for name, number in numbers.items()}
    moved = [f"{name} {old} → {inside[name]}" for name, old in numbers.items() if inside[name] != old]
    if moved:
        sides = {"begins before": record.onset < first, "ends after": record.offset > last}
        beyond = " and ".join(side for side, so in sides.items() if so)
        note("clipped", f"{', '.join(moved)}: it {beyond} its video, whose frames are {first}…{last}")
    index = {name: (number - first) // step for name, number in inside.items()}
    units, _ = action_units("" if pd.isna(record.action_units) else record.action_units)
    return Event(**index, emotion=None if pd.isna(record.emotion) else record.emotion, kind=kind, aus=units)


def all_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    """ValueError listing the known names where one of those given is not among them, or is a bare text."""
    unknown = [given] if isinstance(given, str) else [item for item in given if item not in known]
    if unknown:
        hint = " (a list of names is wanted)" if isinstance(given, str) else ""
        raise ValueError(f"unknown {what} {unknown[0]!r}{hint}; known: {', '.join(known)}")
