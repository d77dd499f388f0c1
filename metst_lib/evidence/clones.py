"""Clones of other people's repositories: what is there, whether it is what was measured, read safely.

A clone is a folder `<owner>+<name>`, `<owner>/<name>` or `<name>` in one folder that holds them all. Every
source is held against its hash, a git clone against its commit as well.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metst_lib._files import sha256
from metst_lib.datasets.reader import natural_key
from metst_lib.evidence.sources import Source

#: All that a pickle of curves may hold.
PLAIN = (float, int, str, list, dict)
#: The instructions that such a pickle takes, by their names in `pickletools`, and a few harmless ones.
_PLAIN = set(
    "PROTO FRAME STOP MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET EMPTY_LIST LIST APPEND "
    "APPENDS EMPTY_DICT DICT SETITEM SETITEMS FLOAT BINFLOAT INT BININT BININT1 BININT2 LONG LONG1 STRING "
    "BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE NONE NEWTRUE NEWFALSE BINBYTES "
    "SHORT_BINBYTES".split()
)


@dataclass
class Clones:
    """The clones in a folder.

    changed: a sentence for each source or commit that is not the known one; unchecked: sources without a
    known hash in a clone that does not tell its commit. Both grow as `find` is asked.

    accept_changed: go on with another file or commit; otherwise `find` raises ValueError with both hashes.
    """

    folder: Path
    accept_changed: bool = False
    changed: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def clone(self, repository: str) -> Path | None:
        """Where the clone of "owner/name" lies, None where there is none."""
        owner, name = repository.split("/")
        places = (self.folder / f"{owner}+{name}", self.folder / owner / name, self.folder / name)
        return next((place for place in places if place.is_dir()), None)

    def find(self, source: Source) -> list[Path]:
        """The files of a source, in natural order, none where they are not there; checked.

        Raises ValueError where the clone stands at another commit, or the content is another.
        """
        place = self.clone(source.repository)
        paths = [] if place is None else _matching(place, source.path)
        if not paths:
            return []
        where = f"{source.repository}, {source.path}"
        found = sha256(paths[0]) if "*" not in source.path else hash_of_all(paths)
        commit = _commit(place)
        if source.sha256 and found != source.sha256:
            self._differs(f"{where}: SHA-256 {found}, not {source.sha256}", source)
        if commit and commit != source.commit:
            self._differs(f"{source.repository} stands at commit {commit}, not {source.commit}", source)
        if not (source.sha256 or commit):
            self.unchecked.append(where)
        return paths

    def _differs(self, what: str, source: Source) -> None:
        if not self.accept_changed:
            raise ValueError(
                f"{what}. Take the known one (git checkout {source.commit}), or accept the change "
                "(--accept-changed): every caption then says so"
            )
        if what not in self.changed:
            self.changed.append(what)


def _matching(place: Path, path: str) -> list[Path]:
    """The files at a path below `place`; only a * is special, for brackets occur in names."""
    if "*" not in path:
        return [place / path] if (place / path).is_file() else []
    pattern = path.replace("[", "[[]").replace("?", "[?]")
    return sorted((p for p in place.glob(pattern) if p.is_file()), key=lambda p: natural_key(str(p)))


def hash_of_all(paths: Iterable[Path]) -> str:
    """One hash of many files: SHA-256 of their SHA-256 in hex, one after the other."""
    return hashlib.sha256("".join(map(sha256, paths)).encode()).hexdigest()


def _commit(place: Path) -> str:
    """The commit that a clone stands at; empty where it is none, or git is not there."""
    if not (place / ".git").exists():
        return ""
    command = ["git", "-C", str(place), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


class _NoNames(pickle.Unpickler):
    """Admits no global at all: numbers, text and plain containers need none."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and no name at all is admitted")


def plain_pickle(path: str | Path) -> Any:
    """What a pickle of floats, lists, dicts and strings holds; nothing of it can run.

    Raises ValueError naming the file where it is cut short, asks for a name, holds anything else, or more
    than it has bytes for (one list many times over).
    """
    data = Path(path).read_bytes()
    try:
        _only_plain(data)
        content = _NoNames(io.BytesIO(data)).load()
    except Exception as error:  # a cut or foreign pickle fails in many ways
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as plain lists of numbers: {reason}") from error
    left, values = [content], 0
    while left:
        value, values = left.pop(), values + 1
        if type(value) not in PLAIN:
            raise ValueError(f"{path} holds a {type(value).__name__}; floats, lists, dicts and strings only")
        if isinstance(value, list | dict):
            left += [*value, *value.values()] if isinstance(value, dict) else value
        if values + len(left) > len(data):
            raise ValueError(f"{path} holds more values than bytes: it repeats itself")
    return content


def _only_plain(data: bytes) -> None:
    """ValueError for a pickle with an instruction that no plain list takes, before any is followed."""
    for instruction, argument, _ in pickletools.genops(data):
        if instruction.name in ("GLOBAL", "STACK_GLOBAL", "INST"):
            return  # where the unpickler stops, and says the name
        if instruction.name not in _PLAIN:
            raise ValueError(f"it holds {instruction.name}; floats, lists, dicts and strings only")
        if instruction.name.endswith("PUT") and int(argument) > len(data):
            raise ValueError("it numbers more values than it has bytes")
