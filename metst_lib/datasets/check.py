"""Is a data set in its place and whole, and what did its reader change: two tables to print.

`check` compares what lies under `data/<name>/` with what its owners give: folders, tables, counts, frames,
and the disk that caches need. `audit` explains how the rows of the tables become the events that are used
(paper, Sec. IV-A: 860 micro-expressions of CAS(ME)³ in one place, 858 in another).

Glossary: k = window length in frames; W = windows of a video; C = flow channels (10 or 36).
"""

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib.datasets.frames import Listing, decode, film_rate
from metst_lib.datasets.loading import INDEX, find_tables, load, read_annotations
from metst_lib.datasets.manifest import Manifest
from metst_lib.datasets.reader import Reader, natural_key
from metst_lib.datasets.registry import reader_of
from metst_lib.datasets.rows import ACTIONS, keys_of
from metst_lib.datasets.videos import list_videos
from metst_lib.events import EMOTIONS, Key, Video, window_starts

CHECK_COLUMNS = ("item", "found", "expected", "ok", "to_do")
AUDIT_COLUMNS = ("step", "table", "row", "micro", "videos", "subjects", "reason")
#: Regions -> C.
CHANNELS = {5: 10, 18: 36}
#: Frame rates that differ by less than this share are one: 29.97 is 30.
SAME_RATE = 0.02
_DIFFERENT = "another version, or rows changed? `metst data audit` shows every row that was left out"
#: Item, found, expected, whether that is as it should be, and what to do where it is not.
Row = tuple[str, object, object, bool, str]


def check(
    name: str,
    root: str | Path = "data",
    *,
    deep: bool = False,
    expected: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """What is found of a set under `root`/<name>/, what is expected, and what to do (`CHECK_COLUMNS`).

    Works on an empty and on a half-unpacked folder. Of each video's frames the first, middle and last are
    opened; with deep=True all of them, and their contents are compared with those that the manifest
    `root`/manifests/<name>.json knows. expected: counts in place of the owners' (see `Reader.expected`).
    Raises ValueError for an unknown set, and for a rehearsal, which has no frames to look for.
    """
    reader, folder = reader_of(name, Path(root)), Path(root) / name
    if reader.ranges:
        raise ValueError(
            f"{name} has no files of its own to check: try `metst data check {reader.rehearses}`"
        )
    look = _Look(reader, folder, expected)
    rows = [*look.files(), *look.counts(), *look.frames(), *look.video_files()]
    if look.there:
        rows += [*look.events(), *look.images(deep), *look.disk()]
    if look.there and deep:
        rows += look.changed(Manifest(Path(root) / "manifests" / f"{name}.json"))
    table = pd.DataFrame(rows, columns=list(CHECK_COLUMNS))
    table = table.astype({"found": str, "expected": str, "ok": bool})
    return table.assign(to_do=table["to_do"].mask(table["ok"], ""))


def counts(table: pd.DataFrame, log: pd.DataFrame | None = None) -> dict[str, int]:
    """Numbers of a table of annotations, named as in `Reader.expected`."""
    micro, macro, blinks = (table[table["kind"] == kind] for kind in ("micro", "macro", "blink"))
    dropped = pd.Series(dtype=object) if log is None else log.loc[log["action"] == "dropped", "kind"]
    return {
        "rows": len(table) + len(dropped),
        "rows of micro-expressions": len(micro) + int((dropped == "micro").sum()),
        "micro-expressions": len(micro),
        "subjects with a micro-expression": micro["subject"].nunique(),
        "videos with a micro-expression": len(keys_of(micro)),
        **{emotion: int((micro["emotion"] == emotion).sum()) for emotion in EMOTIONS},
        "macro-expressions": len(macro),
        "subjects with a macro-expression": macro["subject"].nunique(),
        "blinks": len(blinks),
        "subjects with labelled blinks": blinks["subject"].nunique(),
        "subjects with a label": table["subject"].nunique(),
    }


class _Look:
    """One look at a set: each method gives rows, and leaves what later ones need."""

    def __init__(self, reader: Reader, folder: Path, expected: Mapping[str, int] | None) -> None:
        self.reader, self.folder = reader, folder
        self.expected = dict(reader.expected if expected is None else expected)
        self.paths = reader.find_tables(folder)
        self.table: pd.DataFrame | None = None
        self.there: dict[Key, Listing] = {}
        self.films: dict[Path, int] = {}  # video files -> their frames

    def files(self) -> Iterator[Row]:
        """The folder, the tables, and the marker of a set of our own, which says how large it is."""
        there, get = self.folder.is_dir(), self.reader.how_to_get
        yield "folder", "there" if there else "missing", self.folder, there, get
        passed_over = self.reader.passed_over(self.folder)
        for path, wanted, others in zip(self.paths, self.reader.tables, passed_over, strict=True):
            found = ", ".join(filter(None, [path.name, others])) if path else "missing"
            yield "table", found, wanted, path, f"put it into {self.folder}. {get}"
        if self.reader.marker:
            whole = (self.folder / self.reader.marker).is_file()
            settings = self.reader.settings(self.folder) if whole else {}
            if "subjects" in settings and not self.expected:
                subjects = settings["subjects"]
                self.expected = {"subjects with a micro-expression": subjects, "subjects": subjects}
                self.expected["videos"] = subjects * settings["videos"]
            to_do = f"run `{self.reader.command}` again"
            yield "written to the end", "yes" if whole else "no", "yes", whole, to_do

    def counts(self) -> Iterator[Row]:
        """The tables' rows; a set whose counts nobody knows has its own."""
        if self.paths[0] is None:
            return
        try:
            self.table, log = read_annotations(self.reader.name, *self.paths)
        except ValueError as error:
            yield "tables read", "error", "no error", False, str(error)
            try:
                self.table, log = read_annotations(self.reader.name, *self.paths, bad_rows="drop")
            except ValueError:
                return
        for item, found in counts(self.table, log).items():
            if item in self.expected or not self.reader.expected:
                wanted = self.expected.get(item, "–")
                yield item, found, wanted, wanted in (found, "–"), _DIFFERENT

    def frames(self) -> Iterator[Row]:
        """Videos that have frames, and those that should."""
        example, get = self.folder / self.reader.example, self.reader.how_to_get
        unpack = f"unpack the frames so that {example} is one of them. {get}"
        try:
            places = self.reader.locate(self.folder, self.paths)
        except ValueError as error:  # a broken table, reported above, or a folder of no meaning
            places, unpack = {}, str(error)
        listings = list_videos(places, self.folder / INDEX, self.reader.first_frame) if places else {}
        self.there = {key: listing for key, listing in listings.items() if listing and listing.count}
        self.films = {
            found.folder: found.count for found in listings.values() if found and not found.template
        }
        for item, found in (("subjects", len({key[0] for key in self.there})), ("videos", len(self.there))):
            wanted = self.expected.get(item)
            ok = found and found == (wanted or found)
            if item == "videos" and (few := self.few_missing(wanted or found)):
                found, ok = f"{found}, {few}", True
            yield f"{item} with frames", found, wanted or "–", ok, unpack
        if keys := self.labelled():
            lacking = _in_order(keys - self.there.keys())
            for subject, video in lacking[:1]:
                place = self.folder / self.reader.place.format(subject=subject, video=video)
                unpack = f"the first without: {place}. {unpack}"
            item, found = "videos with a micro-expression and frames", len(keys) - len(lacking)
            yield item, found, len(keys), not lacking, unpack

    def few_missing(self, wanted: int) -> str:
        """Videos without frames by name, where no more are missing than usable copies lack; else ""."""
        if self.table is None or not self.there:
            return ""
        named = [" ".join(key) for key in _in_order(keys_of(self.table) - self.there.keys())]
        named += ["a video without a label"] * (wanted - len(self.there) - len(named))
        if not 0 < len(named) <= self.reader.lacking:
            return ""
        return f"{'one' if len(named) == 1 else len(named)} missing: {', '.join(named)}"

    def labelled(self) -> set[Key]:
        """Videos with a micro-expression."""
        return set() if self.table is None else keys_of(self.table, "micro")

    def events(self) -> Iterator[Row]:
        """Events that lie outside the frames of their video."""
        outside = []
        for record in () if self.table is None else self.table.itertuples(index=False):
            listing = self.there.get((record.subject, record.video))
            if listing and (record.offset < listing.first or record.onset > listing.last):
                event = f"{record.kind} {record.onset}…{record.offset} of {record.subject} {record.video}"
                frames = f"whose frames are {listing.first}…{listing.last}"
                outside.append(f"{event}, {frames} (row {record.source_row})")
        to_do = f"unpack that video again; the first: {outside[0]}" if outside else ""
        yield "events outside their video", len(outside), 0, not outside, to_do

    def images(self, deep: bool) -> Iterator[Row]:
        """Frames that are missing or do not open."""
        most = self.reader.unreadable
        wanted = f"at most {most}" if most else "0"
        missing, bad, looked = [], [], 0
        for listing in self.there.values():
            if not listing.template:
                continue  # a video file
            files, n_frames = listing.files(), listing.last - listing.first + 1
            every = map(files.path, range(n_frames) if listing.missing else ())
            missing += [path for path in every if not path.is_file()]
            some = range(n_frames) if deep else sorted({0, (n_frames - 1) // 2, n_frames - 1})
            there = [path for path in map(files.path, some) if path.is_file()]
            looked += len(there)
            bad += [path for path in there if decode(path.read_bytes()) is None]
        first = "the first: {}; the nearest frame serves. Unpack {}"
        to_do = missing and first.format(missing[0], "again if unpacking was stopped")
        yield "missing frames", len(missing), wanted, len(missing) <= most, to_do
        found, to_do = f"{len(bad)} of {looked} opened", bad and first.format(bad[0], "it again")
        yield "frames that do not open", found, wanted, len(bad) <= most, to_do

    def video_files(self) -> Iterator[Row]:
        """Video files that cannot be read, and those whose header tells of another frame rate."""
        if not self.films:
            return
        bad = [path for path, count in self.films.items() if not count]
        to_do = bad and f"the first: {bad[0]}. Convert it to .mp4, or to a folder of numbered images"
        yield "video files that cannot be read", len(bad), 0, not bad, to_do
        wanted = self.reader.fps
        rates = {path: film_rate(path) for path, count in self.films.items() if count}
        other = [(path, rate) for path, rate in rates.items() if rate and abs(rate / wanted - 1) > SAME_RATE]
        to_do = other and "the first: {} has {:g}; a set has one frame rate".format(*other[0])
        yield f"video files of other than {wanted:g} frames/s", len(other), 0, not other, to_do

    def changed(self, manifest: Manifest) -> Iterator[Row]:
        """Videos whose frames are others than those that their flow was made from."""
        fps, step = self.reader.fps, self.reader.frame_step
        videos = [Video(*key, fps, 1, (), listing.files(step)) for key, listing in self.there.items()]
        changed = [" ".join(video.key) for video in videos if manifest.altered(video)]
        manifest.save()
        to_do = changed and f"the first video: {changed[0]}. `metst flow {self.reader.name}` makes it anew"
        item = "frames changed since flow was made from them"
        yield item, f"{len(changed)} videos", "0 videos", not changed, to_do

    def disk(self) -> Iterator[Row]:
        """Room for the flow of the videos with a micro-expression, of all where no table tells of any."""
        keys = self.there.keys() & (self.labelled() or self.there.keys())
        step, free = self.reader.frame_step, shutil.disk_usage(self.folder).free
        lengths = [(self.there[key].last - self.there[key].first) // step + 1 for key in keys]
        for regions, channels in CHANNELS.items():
            need = sum(flow_bytes(length, self.reader.window, channels) for length in lengths)
            item = f"disk for the flow of {regions} regions ({len(lengths)} videos)"
            to_do = f"free {_size(need - free)} on the disk of {self.folder}"
            yield item, f"{_size(free)} free", _size(need), free >= need, to_do


def flow_bytes(n_frames: int, window: int, channels: int) -> int:
    """Bytes of a video's flow before compression: W windows of C channels and k frames, float32."""
    windows = len(window_starts(n_frames, window)) if n_frames >= window else 0
    return windows * channels * window * 4


def _in_order(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: tuple(map(natural_key, key)))


def _size(n_bytes: float) -> str:
    power = min(4, int(math.log10(max(1, n_bytes)) / 3))
    return f"{n_bytes / 1000**power:.3g} {('B', 'KB', 'MB', 'GB', 'TB')[power]}"


# --- audit ---------------------------------------------------------------------------------------------


def audit(
    name: str,
    source: str | Path | Sequence[str | Path] = "data",
    *,
    as_released: bool = False,
    ranges: str | Path | Mapping[Key, tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """How the rows of the tables become the micro-expressions in use, step by step (`AUDIT_COLUMNS`).

    source: the folder that holds the sets, or the tables themselves. micro, videos and subjects are what is
    left after the step; a step that repairs, clips or flags leaves them as they are. Steps that concern many
    rows in the same way are one line with the first of them. Where frames are unpacked, or the videos' ranges
    are given as to `load`, what it leaves out or clips of all videos is there too. The whole audit, row by
    row, is `entries`.
    """
    table, log, loaded = _read(name, source, as_released, ranges)
    micro = table.loc[table["kind"] == "micro", ["subject", "video"]]
    keys: list[Key] = list(micro.itertuples(index=False, name=None))
    dropped = log[log["action"] == "dropped"]
    whole, dropped = dropped[dropped["row"].isna()], dropped[dropped["kind"] == "micro"]  # videos, and events
    keys += [(entry.subject, entry.video) for entry in dropped.itertuples()]
    whole = whole[[key in keys for key in zip(whole["subject"], whole["video"], strict=True)]]
    lines: list[tuple] = []

    def add(step: str, table_: str = "", row: Any = None, reason: str = "") -> None:
        known = [key for key in keys if key[0] is not None]
        lines.append((step, table_, row, len(keys), len(set(known)), len({s for s, _ in known}), reason))

    add("rows of micro-expressions")
    for entry in dropped.itertuples():
        keys.remove((entry.subject, entry.video))
        add("dropped", entry.table, entry.row, entry.reason)
    add("kept")
    for entry in whole.itertuples():
        keys = [key for key in keys if key != (entry.subject, entry.video)]
        add("dropped", entry.table, entry.row, f"{entry.subject} {entry.video}: {entry.reason}")
    if loaded:
        add("loaded")
    for line in _grouped(log.drop(dropped.index).drop(whole.index)):
        add(*line)
    return pd.DataFrame(lines, columns=list(AUDIT_COLUMNS)).astype({"row": "Int64"})


def entries(
    name: str,
    source: str | Path | Sequence[str | Path] = "data",
    *,
    as_released: bool = False,
    ranges: str | Path | Mapping[Key, tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """The audit row by row: table, row as Excel shows it, action, reason, subject, video, kind."""
    return _read(name, source, as_released, ranges)[1]


def _read(name: str, source: Any, as_released: bool, ranges: Any) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Annotations, audit, and whether it is that of `load`."""
    folder = Path(source) / name if isinstance(source, str | Path) else None
    paths = find_tables(name, folder) if folder else source
    options = {"as_released": as_released, "bad_rows": "drop"}
    table, log = read_annotations(name, *paths, **options)
    if ranges is not None or (folder and reader_of(name, folder.parent).locate(folder, paths)):
        root = source if folder else "data"
        data = load(name, root, videos="all", tables=paths, ranges=ranges, **options)
        return table, data.audit, True
    return table, log, False


def _grouped(log: pd.DataFrame, most: int = 5) -> list[tuple[str, str, Any, str]]:
    """Entries as lines: those of one kind of reason together where they are more than `most`."""
    lines = []
    alike = log["reason"].str.replace(r"[\d.]+", "n", regex=True).str.replace(r"'[^']*'", "x", regex=True)
    alike = alike.str.replace(r"(\w+ n → n,? ?)+", "n → n", regex=True)
    for (action, table, _), group in log.groupby(["action", log["table"], alike], sort=False):
        many = f"{len(group)} rows, the first: " if len(group) > most else ""
        for entry in group.head(1 if many else most).itertuples():
            video = f"{entry.subject} {entry.video}: " if pd.isna(entry.row) and entry.video else ""
            lines.append((action, table, entry.row, many + video + entry.reason))
    return sorted(lines, key=lambda line: ACTIONS.index(line[0]))
