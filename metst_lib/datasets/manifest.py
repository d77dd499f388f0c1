"""What the frames of videos were when they were last read, so that an edited one is noticed.

Of each video two digests: of its files' names, sizes and times, which takes an instant, and of their
contents, read anew only where the first one changed. The flow of a video carries the second: times may differ
from copy to copy, contents do not.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from metst_lib._files import digest, read_json, write_json
from metst_lib.datasets.frames import GRAIN, FrameFiles, VideoFile
from metst_lib.events import Key, Video


class Manifest:
    """The digests of a set's videos, kept in the file `path`; what is no such file counts as empty."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._known = self._stored()
        self._changed: dict[str, tuple[str, str]] = {}

    def key(self, video: Video, new: bool = False) -> str | None:
        """Digest of the contents of the files that a video's frames are read from.

        None for a video without frames, and for one that was never read: then new=True reads it.
        """
        before, contents = self._known.get("/".join(video.key), ("", ""))
        if video.source is None or not (contents or new):
            return None
        facts = _facts(video.source)
        stat = digest([fact[:3] for fact in facts])
        if stat != before:
            contents = _contents(facts)
            newest = max((changed for _, _, changed, _ in facts), default=0)
            self._note(video, "" if time.time_ns() - newest < GRAIN else stat, contents)
        return contents

    def keys(self, videos: Iterable[Video], new: bool = False) -> dict[Key, str | None]:
        """(subject, video) -> `key`, for many at once: most of the time is spent waiting for the disk."""
        videos = list(videos)
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda video: self.key(video, new), videos)
            return {video.key: key for video, key in zip(videos, found, strict=True)}

    def altered(self, video: Video) -> bool:
        """Whether the contents are others than when they were read; the next `key` reads them anew.

        False where it was never read.
        """
        _, contents = self._known.get("/".join(video.key), ("", ""))
        if not contents or contents == _contents(_facts(video.source)):
            return False
        self._note(video, "", contents)
        return True

    def save(self) -> None:
        """Write what is new, whole or not at all, beside what other processes wrote; where it can be."""
        if self._changed:
            with suppress(OSError):
                write_json(self.path, self._stored() | self._changed)
                self._changed = {}

    def _note(self, video: Video, stat: str, contents: str) -> None:
        name, entry = "/".join(video.key), (stat, contents)
        if self._known.get(name) != entry:
            self._known[name] = self._changed[name] = entry

    def _stored(self) -> dict[str, tuple[str, str]]:
        with suppress(OSError, ValueError, TypeError):
            return {name: (str(stat), str(key)) for name, (stat, key) in read_json(self.path).items()}
        return {}


def _facts(source: FrameFiles | VideoFile | Path | str) -> list[tuple[str, int, int, str]]:
    """(name, size, time of change in ns, path) of each file that is there."""
    paths = [str(source.path if isinstance(source, VideoFile) else source)]
    if isinstance(source, FrameFiles):
        names = map(source.template.format, source.numbers)
        paths = [os.path.join(source.folder, name) for name in names]
    facts = []
    for path in paths:
        with suppress(FileNotFoundError):
            found = os.stat(path)
            facts.append((os.path.basename(path), found.st_size, found.st_mtime_ns, path))
    return facts


def _contents(facts: Iterable[tuple[str, int, int, str]]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for name, _, _, path in facts:
        with open(path, "rb") as file:
            total.update(name.encode() + b"\0" + hashlib.file_digest(file, hashlib.blake2b).digest())
    return total.hexdigest()
