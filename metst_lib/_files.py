"""Files that are whole or absent: everything the library writes goes through here."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path`, renamed onto it when the block ends well and removed when it does not.

    A killed run or a full disk therefore leaves the old file or none, never half a new one. The temporary
    name keeps the suffix, since some writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: str | Path, age: float = 5.0) -> None:
    """Remove the temporary files in a folder that writers left which were killed.

    Those that were written to in the last `age` seconds may be somebody's work and stay.
    """
    for path in Path(folder).glob(".*"):
        with contextlib.suppress(FileNotFoundError):  # finished in the meantime
            if _TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime > age:
                path.unlink()


# Names that `atomic` gives, by way of tempfile.
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")


def write_text(path: str | Path, text: str) -> Path:
    """Write text whole or not at all; returns the path."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, content: Any) -> Path:
    """Write JSON, indented and with keys in the given order; NaN is refused (ValueError)."""
    return write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file. FileNotFoundError where there is none, ValueError naming a damaged one."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object")
    return content


def read_npz(path: str | Path, names: str, what: str) -> dict[str, np.ndarray]:
    """The named arrays of a .npz ("": all), without pickle. ValueError saying `what` it is not."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names.split() or stored.files}
    except Exception as error:  # of zipfile, zlib and numpy, each its own kinds
        raise ValueError(
            f"{path} is not {what}, or not a whole one ({error}); delete it and make it anew"
        ) from None


def sha256(path: str | Path) -> str:
    """Hash of a file's bytes, in hex digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def digest(*content: Any) -> str:
    """A key of twelve hex digits for JSON-able content, equal for equal content on every machine."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
