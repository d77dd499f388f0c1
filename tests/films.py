"""MP4 files as phones make them: turned, or of a varying frame rate, by patching the file's own tables."""

import struct
from pathlib import Path

NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


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
