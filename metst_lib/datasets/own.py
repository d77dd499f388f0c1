"""A data set of your own: a folder with `labels.csv`, `set.toml` and `videos/`, read without any code.

`begin` lays it out, `reader_in` makes its `Reader`; data/README.md tells the rest. The frames of a video file
have the numbers from `first_frame` on, images those in their names; t seconds is the frame nearest to that
time after the first.
"""

import math
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from string import Template
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from metst_lib._files import write_text
from metst_lib.datasets.frames import list_frames
from metst_lib.datasets.reader import Reader
from metst_lib.datasets.rows import RowReader
from metst_lib.datasets.sheets import BEYOND, number, read_csv, text
from metst_lib.events import EMOTIONS, KINDS, Key

LABELS, SETTINGS, VIDEOS = "labels.csv", "set.toml", "videos"
COLUMNS = ("subject", "video", "onset", "offset", "kind", "emotion")
OPTIONAL = ("apex", "aus", "unit")
UNITS = ("frames", "seconds")
#: Endings of files that are tried as videos.
FILMS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv")
#: Folders below data/ and figures/ that are no data sets.
RESERVED = ("demo", "evidence", "flow", "landmarks", "manifests", "models", "released", "runs", "study")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.()-]*")  # of files' names, on every system and in every command
_WANTED = "letters a–z, digits and _ . ( ) - , beginning with a letter or digit"


@dataclass(frozen=True)
class Settings:
    """What `set.toml` holds; its comments say what each is."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^|\n]+$")]
    licence: str
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    frame_step: Annotated[int, Field(ge=1)] = 1
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 30
    unit: Literal["frames", "seconds"] = "frames"
    first_frame: Annotated[int, Field(ge=0)] = 0
    synthetic: str = ""
    emotions: dict[str, Literal["negative", "positive", "surprise", "others"]] = field(default_factory=dict)

    @property
    def classes(self) -> dict[str, str]:
        """Words for emotions, in small letters -> class; the classes themselves among them."""
        return {word.casefold(): name for word, name in self.emotions.items()} | dict(
            zip(EMOTIONS, EMOTIONS, strict=True)
        )


_SETTINGS = TypeAdapter(Settings)


def begin(data: Path, name: str, fps: float = 30.0, title: str = "", taken: Collection[str] = ()) -> Path:
    """Lay out a set `data`/<name>/: settings and labels with comments, a folder for videos; gives its folder.

    Labels and videos that are there already stay. ValueError for a name that could leave the folder or is
    taken by another set or another use, and for settings that make no set; FileExistsError where it is begun.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a set: small letters a–z, digits and _, a letter first")
    if name in RESERVED or name in taken:
        raise ValueError(f"the name {name!r} is taken by {'a folder' if name in RESERVED else 'a data set'}")
    folder, here = data / name, Path(__file__).parent
    if (folder / SETTINGS).exists():
        raise FileExistsError(f"{folder / SETTINGS} is there already; nothing was changed")
    step = max(1, round(fps / 30)) if 0 < fps < math.inf else 1
    values = {"title": title or name, "fps": f"{fps:g}", "step": str(step)}
    content = Template((here / SETTINGS).read_text("utf-8")).substitute(values)
    _parsed(content, folder / SETTINGS)
    (folder / VIDEOS).mkdir(parents=True, exist_ok=True)
    if not (folder / LABELS).exists():
        write_text(folder / LABELS, (here / LABELS).read_text("utf-8"))
    write_text(folder / SETTINGS, content)
    return folder


def names(data: Path) -> list[str]:
    """The sets of your own below a folder: those that have settings, by name."""
    return sorted(path.parent.name for path in data.glob(f"*/{SETTINGS}") if _is_set(path.parent.name))


def reader_in(data: Path, name: str) -> Reader | None:
    """The reader of a set of your own; None where there is none. ValueError where its settings are wrong."""
    path = data / name / SETTINGS
    if not _is_set(name) or not path.is_file():
        return None
    stat = path.stat()
    return _reader(path, (stat.st_mtime_ns, stat.st_size))


def _is_set(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name not in RESERVED


@lru_cache(maxsize=32)
def _reader(path: Path, stamp: tuple[int, int]) -> Reader:
    about = _parsed(path.read_text("utf-8"), path)
    told = "synthetic" in about.title.casefold() or not about.synthetic
    return Reader(
        name=path.parent.name,
        title=about.title if told else f"synthetic {about.title}",
        licence=about.licence,
        tables={LABELS: rf"^{re.escape(LABELS)}$", SETTINGS: rf"^{re.escape(SETTINGS)}$"},
        example=f"{VIDEOS}/anna/interview.mp4",
        read=partial(_read, about),
        locate=_locate,
        place=f"{VIDEOS}/{{subject}}/{{video}}",
        fps=about.fps,
        frame_step=about.frame_step,
        first_frame=about.first_frame,
        window=about.window,
        synthetic=bool(about.synthetic),
        origin=about.synthetic,
    )


def _parsed(content: str, path: Path) -> Settings:
    try:
        return _SETTINGS.validate_python(tomllib.loads(content))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ValueError(f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    except ValueError as error:  # tomllib's, with the line
        raise ValueError(f"{path}: {error}") from None


# --- videos ---------------------------------------------------------------------------------------------


def _locate(folder: Path, paths: list[Path | None]) -> dict[Key, Path]:
    """(subject, video) -> folder of images, or video file. ValueError where that cannot be told."""
    found: dict[Key, Path] = {}
    beside = sorted(folder.glob(f"{VIDEOS}/*"))
    if stray := [path for path in beside if path.suffix.lower() in FILMS and path.is_file()]:
        raise ValueError(f"{stray[0]} is no subject's: put it into {VIDEOS}/<subject>/")
    for path in sorted(folder.glob(f"{VIDEOS}/*/*")):
        hidden = path.name.startswith(".") or path.parent.name.startswith(".")
        if hidden or not (path.is_dir() or path.suffix.lower() in FILMS):
            continue
        key = path.parent.name, path.name if path.is_dir() else path.stem
        for part in key:
            if not _PART.fullmatch(part):
                raise ValueError(f"{path}: {part!r} is no name for a subject or video: {_WANTED}")
        if key in found:
            raise ValueError(f"{found[key]} and {path.name} are both video {' '.join(key)}: remove one")
        found[key] = path
    files: dict[str, Key] = {}
    for key in found:
        other = files.setdefault("_".join(key), key)  # how what is made of a video is called
        if other != key:
            raise ValueError(f"videos {'/'.join(other)} and {'/'.join(key)} would share files: rename one")
    return found


# --- labels ---------------------------------------------------------------------------------------------


def _read(about: Settings, rows: RowReader, labels: Path, settings: Path | None = None) -> list[dict]:
    """Rows of labels.csv in the numbers of the videos' frames."""
    reader = rows.on(read_csv(labels, COLUMNS, OPTIONAL))
    firsts = _Firsts(labels.parent / VIDEOS, about.first_frame)
    seen: dict[tuple, tuple[int, str]] = {}
    for row, cells in reader.sheet.rows():
        _row(reader, about, row, {column: text(cell) for column, cell in cells.items()}, firsts, seen)
    reader.flag_overlaps(*KINDS)
    return reader.records


class _Firsts(dict):
    """(subject, video) -> number of its first frame, looked for when asked; of a missing one as of a file."""

    def __init__(self, folder: Path, first: int) -> None:
        self.folder, self.first = folder, first

    def __missing__(self, key: Key) -> int:
        folder = self.folder.joinpath(*key)
        listing = list_frames(folder) if folder.is_dir() else None
        self[key] = listing.first if listing else self.first
        return self[key]


def _row(
    reader: RowReader, about: Settings, row: int, cells: dict[str, str], firsts: _Firsts, seen: dict
) -> None:
    subject, video = cells["subject"], cells["video"]
    if Path(video).suffix.lower() in FILMS:
        video = Path(video).stem
    kind = re.sub("[ -]?expression$", "", cells["kind"].casefold())
    kind = kind if kind in KINDS else None
    reader.at(row, subject, video, kind)
    if cells[BEYOND]:
        return reader.bad(BEYOND, f"{cells[BEYOND]!r} (a cell with a separator in it wants quotes)")
    for column, part in (("subject", subject), ("video", video)):
        if not _PART.fullmatch(part):
            return reader.bad(column, f"{part!r} is no name for a file: {_WANTED}")
    if kind is None:
        return reader.bad("kind", f"unknown kind {cells['kind']!r}; known: {', '.join(KINDS)}")
    unit = cells["unit"].casefold() or about.unit
    if unit not in UNITS:
        return reader.bad("unit", f"unknown unit {cells['unit']!r}; known: {', '.join(UNITS)}")
    frames = _frames(reader, cells, unit, about.fps, firsts[subject, video] if unit == "seconds" else 0)
    if frames is None:
        return None
    onset, apex, offset = frames
    raw, emotion = cells["emotion"], None
    if kind == "micro" and raw:
        emotion = reader.emotion("emotion", raw, about.classes)
        if emotion is None:
            return None
    same = seen.setdefault((subject, video, kind, onset, offset), (row, emotion))
    if same[0] != row and same[1] == emotion:
        return reader.note("dropped", f"the same event as in row {same[0]}")
    if same[0] != row:
        return reader.bad("emotion", f"{raw!r}, but row {same[0]} has the same event with another emotion")
    if kind == "micro" and not raw:
        reader.note("flagged", "no emotion: it counts for spotting alone")
    labels = {"emotion_raw": raw or None, "emotion": emotion, "action_units": cells["aus"]}
    return reader.take(onset, apex, offset, onset_column="onset", **labels)


def _frames(
    reader: RowReader, cells: dict[str, str], unit: str, fps: float, first: int
) -> tuple[float, float | None, float] | None:
    """Onset, apex and offset as frame numbers; None, after `bad`, where one is none."""
    if unit == "seconds":
        told = {}
        for column in ("onset", "apex", "offset"):
            value = number(
                re.sub(r"^(\d*),(\d+)$", r"\1.\2", cells[column])
            )  # 1,5 as some countries write it
            told[column] = first + math.floor(value * fps + 0.5) if math.isfinite(value) else cells[column]
            if value == 0 and column == "offset":
                return reader.bad("offset", "offset 0: the event's end is not known")
        cells = cells | told
    apex = ("apex",) if cells["apex"] != "" else ()
    numbers = reader.numbers(cells, "onset", "offset", *apex)
    if numbers is None:
        return None
    onset, offset, *rest = numbers
    if offset == 0:
        return reader.bad("offset", "offset 0: the event's end is not known")
    return onset, rest[0] if rest else None, offset
