"""Records as JSON files, read with their types, and the files of flow (`store` says where they lie)."""

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from metst_lib._files import atomic, read_npz, write_text
from metst_lib.events import Key, named
from metst_lib.flow import RoiFlow

T = TypeVar("T")


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def write(path: Path, record: Any) -> Path:
    """Write a record as JSON, whole or not at all."""
    return write_text(path, _adapter(type(record)).dump_json(record, indent=1).decode() + "\n")


def read(path: Path, kind: type[T]) -> T | None:
    """The record in a file; None where there is none, and where it is damaged, foreign or of another form."""
    try:
        return _adapter(kind).validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


@dataclass(frozen=True)
class VideoFlow:
    """A video's flow file: what it was made of, its arrays' hash, the file's size and time."""

    key: str
    hash: str
    file: tuple[int, int]
    windows: int
    flagged: int
    replaced: int


@dataclass(frozen=True)
class Failure:
    """Why a video gave no flow, and what it would have been made of."""

    key: str
    reason: str


@dataclass(frozen=True)
class Imported:
    """Flow taken from the authors' caches: their hashes, and the frame numbers that each video covers."""

    files: dict[str, str]
    ranges: list[tuple[str, str, int, int]]


@dataclass(frozen=True)
class FlowReport:
    """The flow of a set with some settings; videos by "<subject> <video>"."""

    videos: dict[str, VideoFlow] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    imported: Imported | None = None


@dataclass(frozen=True)
class _About:
    """Beside the arrays of a flow file: the rest of `RoiFlow`, whose flow it is, its arrays' hash."""

    n_frames: int
    fps: float | None
    roi_set: str
    mode: str
    settings: dict[str, Any]
    video: Key
    key: str
    hash: str


def save_flow(path: Path, video: Key, key: str, flow: RoiFlow) -> VideoFlow:
    """Write a video's flow with its name, what it was made of, and a hash of its arrays."""
    about = _About(flow.n_frames, flow.fps, flow.roi_set, flow.mode, flow.settings, video, key, _hash(flow))
    text = _adapter(_About).dump_json(about).decode()
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, values=flow.values, starts=flow.starts, flags=flow.flags, about=np.array(text))
    return _seen(path, key, about.hash, flow)


def load_flow(path: Path, video: Key, key: str | None = None) -> RoiFlow:
    """Read what `save_flow` wrote of this video.

    FileNotFoundError where there is no file; ValueError naming it where it is not a whole flow file, is
    another video's, was made of something else than `key`, or does not have the hash that it carries.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no flow file at {path}")
    stored = read_npz(path, "values starts flags about", "a flow file")
    try:
        about = _adapter(_About).validate_json(str(stored.pop("about")))
        how = {name: getattr(about, name) for name in ("n_frames", "fps", "roi_set", "mode", "settings")}
        flow = RoiFlow(**stored, **how)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a usable flow file: {error}") from None
    if about.video != video:
        raise ValueError(f"{path} is the flow of video {named(about.video)}, not of {named(video)}")
    if about.hash != _hash(flow) or key not in (None, about.key):
        raise ValueError(f"{path} is not the flow that was written for it; `metst flow` makes it again")
    return flow


def imported(path: Path) -> bool:
    """Whether a flow file was taken from the authors' caches."""
    try:
        about = read_npz(path, "about", "a flow file")["about"]
        return bool(_adapter(_About).validate_json(str(about)).settings.get("imported"))
    except ValueError:
        return False


def current_flow(path: Path, video: Key, key: str, about: VideoFlow | None) -> VideoFlow | None:
    """What is to be said of a video's flow file, where it was made of `key`; None where it was not.

    about: what was said of it last. The file is read only where its size or time is another one.
    """
    if not path.is_file():
        return None
    if about and about.key == key and stamp(path) == about.file:
        return about
    try:
        flow = load_flow(path, video, key)
    except ValueError:
        return None
    found = _seen(path, key, _hash(flow), flow)
    return found if about is None or about.key != key or about.hash == found.hash else None


def _seen(path: Path, key: str, hashed: str, flow: RoiFlow) -> VideoFlow:
    flagged, replaced = int(flow.flags.sum()), flow.settings.get("replaced", 0)
    return VideoFlow(key, hashed, stamp(path), len(flow.starts), flagged, replaced)


def stamp(path: Path) -> tuple[int, int]:
    """A file's size and time of change, in ns."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _hash(flow: RoiFlow) -> str:
    arrays = (flow.values, flow.starts, flow.flags)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
