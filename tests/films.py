"""Films to read: folders and clips of flat pictures, and MP4 files as phones make them.

Those are turned, or of a varying frame rate, by patching the file's own tables.
"""

import struct
from pathlib import Path

import cv2
import numpy as np

from metst_lib.recording.film import write_video

NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def jpeg(value: int, size: tuple[int, int] = (16, 24)) -> bytes:
    """A flat grey picture as the bytes of a file."""
    return cv2.imencode(".jpg", np.full(size, value, np.uint8))[1].tobytes()


def folder_of(tmp_path: Path, values: dict[int, int], template: str = "{}.jpg") -> Path:
    """A folder in which frame `number` is a flat picture of grey `value`."""
    folder = tmp_path / "color"
    folder.mkdir()
    for number, value in values.items():
        (folder / template.format(number)).write_bytes(jpeg(value))
    return folder


def grey(image: np.ndarray) -> int:
    """The mean grey of a picture."""
    return round(float(image.mean()))


def level(index: int) -> int:
    """The grey of frame `index` of a clip."""
    return 20 + 10 * index % 220


def clip_of(path: Path, count: int = 20, fps: float = 25.0, size: tuple[int, int] = (48, 64)) -> Path:
    """A video file of flat frames, each of its own grey."""
    return write_video(path, [np.full(size, level(i), np.uint8) for i in range(count)], fps)


def near(image: np.ndarray, index: int) -> bool:
    """Whether a picture is frame `index` of a clip."""
    return abs(grey(image) - level(index)) <= 3


# --- phones ---


def rebuilt(content: bytes, name: bytes, change) -> bytes:
    """The boxes of an MP4 with the payload of those of one name changed, and all sizes made right.

    The movie box lies behind the pictures, so that it may grow without moving them.
    """
    parts, at = [], 0
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        payload = content[at + 8 : at + size]
        if kind in NESTED:
            payload = rebuilt(payload, name, change)
        if kind == name:
            payload = change(payload)
        parts.append(struct.pack(">I4s", len(payload) + 8, kind) + payload)
        at += size
    return b"".join(parts)


def rotated(path: Path, degrees: int) -> Path:
    """The video beside it with a display matrix that turns it clockwise by so many degrees."""
    a, b, c, d = TURNS[degrees]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    content = rebuilt(path.read_bytes(), b"tkhd", lambda header: header[:40] + matrix + header[76:])
    turned = path.with_stem(f"{path.stem}_{degrees}")
    turned.write_bytes(content)
    return turned


def with_durations(path: Path, durations: list[int]) -> Path:
    """The video beside it with each frame shown for so many frames of the original."""

    def stretch(table: bytes) -> bytes:
        (unit,) = struct.unpack(">I", table[12:16])
        rows = b"".join(struct.pack(">II", 1, unit * duration) for duration in durations)
        return table[:4] + struct.pack(">I", len(durations)) + rows

    varied = path.with_stem(f"{path.stem}_varied")
    content = rebuilt(path.read_bytes(), b"stts", stretch)
    varied.write_bytes(rebuilt(content, b"edts", lambda edits: b""))  # whose length would be wrong now
    return varied
