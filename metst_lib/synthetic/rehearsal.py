"""A rehearsal: the annotations and lengths of a real set's videos, for flow made of signals.

`write("casme3", "data")` fills `data/casme3-rehearsal/` with copies of the owners' workbooks and a table of
each video's first and last frame; its `Reader` then makes flow by `signals`, at the real size and without a
face. It is a data set of its own name, so that nobody mistakes it for the real one, and lies under `data/`,
which git ignores: what comes from the owners' tables is theirs.
"""

from pathlib import Path

import pandas as pd

from metst_lib import datasets
from metst_lib._files import atomic
from metst_lib.synthetic.reader import REHEARSAL


def write(source: str, data: str | Path, tables: str | Path | None = None) -> Path:
    """Fill the folder of a set's rehearsal under `data` and return it.

    tables: a folder with the owners' workbooks and perhaps `video_frames.csv` (columns subject, video,
    first…, last…); by default the set's own folder under `data`. Without that table the frames on disk are
    counted, of the videos that have a micro-expression and are unpacked.

    ValueError for a set that has no rehearsal; FileNotFoundError where tables or frames are missing.
    """
    if source != REHEARSAL.rehearses:
        raise ValueError(f"no rehearsal of {source!r}; known: {REHEARSAL.rehearses}")
    folder, there = Path(tables) if tables else Path(data) / source, Path(data) / REHEARSAL.name
    paths = datasets.find_tables(source, folder)
    ranges = folder / REHEARSAL.ranges
    table = pd.read_csv(ranges, dtype=str) if ranges.is_file() else _ranges(source, data, paths)
    for old in filter(None, REHEARSAL.find_tables(there)):  # of another edition, might be read instead
        old.unlink()
    for path in filter(None, paths):
        with atomic(there / path.name) as temporary:
            temporary.write_bytes(path.read_bytes())
    with atomic(there / REHEARSAL.ranges) as temporary:
        table.to_csv(temporary, index=False)
    datasets.load(REHEARSAL.name, data)  # fails now rather than later where tables and lengths do not fit
    return there


def _ranges(source: str, data: str | Path, paths: list[Path | None]) -> pd.DataFrame:
    found = datasets.load(source, data, tables=paths, frame_step=1).videos
    rows = [(*video.key, video.source.numbers[0], video.source.numbers[-1]) for video in found]
    return pd.DataFrame(rows, columns=["subject", "video", "first", "last"])
