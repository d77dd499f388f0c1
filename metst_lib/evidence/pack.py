"""The pack: other people's curves, intervals and counts, as `evidence.convert` leaves them in a folder.

Frames are 0-based indices, inclusive, of every frame of a video, but where a table keeps the owners' numbers:
LGSNet's and DMA's. Subjects and videos are named as our readers name them. Keys of a set: all its videos
whose length is known.

A pack need not be whole: what is not there is None and `missing` names it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib._files import read_npz
from metst_lib.events import EMOTIONS, Event, Key, named
from metst_lib.evidence.authors import MAKERS, K
from metst_lib.evidence.convert import ORIGIN
from metst_lib.evidence.intervals import check_intervals

_TEXT = dict.fromkeys(
    ("dataset", "subject", "video", "code", "emotion", "decoder", "class", "kind", "set", "feature", "what"),
    str,
)


@dataclass(frozen=True, eq=False)
class Pack:
    """What is there of other people's evidence.

    scores: (data set, kind) → SL-Swin's curves, key → float64 (T − k,), index = frame; of the videos that
    have a label of the kind. truth: data set → key → events of both kinds, all videos. n_frames: the same →
    length in frames. fps: data set → frames a second.
    test: MEGC 2022's unseen videos, (set, kind) → video → curve; submission: what was sent in of it.
    sweep, per_subject: SL-Swin's printed counts over p and of each subject. lgsnet (intervals of every epoch,
    owners' numbers with fractions, text), lgsnet_truth, dma (owners' numbers), peaks (frames of step 7),
    counts, audit: tables as in their files.
    missing: files that are not there. changed: sources that were not the known ones.
    """

    folder: Path
    scores: dict[tuple[str, str], dict[Key, np.ndarray]]
    truth: dict[str, dict[Key, list[Event]]]
    n_frames: dict[str, dict[Key, int]]
    fps: dict[str, float]
    test: dict[tuple[str, str], dict[str, np.ndarray]] | None
    tables: dict[str, pd.DataFrame] = field(repr=False)
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> pd.DataFrame | None:
        if name not in _TABLES:
            raise AttributeError(name)
        return self.tables.get(name)

    @property
    def warning(self) -> str:
        """A sentence for every caption where the pack was made of other sources than the known ones."""
        if not self.changed:
            return ""
        return f"Made of sources other than the known ones: {'; '.join(self.changed)}."

    def truth_of(self, dataset: str, kind: str) -> dict[Key, list[Event]]:
        """The events of one kind, with a key for every video."""
        return {key: [e for e in events if e.kind == kind] for key, events in self.truth[dataset].items()}


def there(folder: str | Path = "", home: str | Path = ".") -> Pack | None:
    """The pack in `folder`, else in $METST_EVIDENCE, else in data/evidence below `home`; None without one.

    FileNotFoundError where a folder was named and holds none; ValueError as `load`.
    """
    named_folder = folder or os.environ.get("METST_EVIDENCE", "")
    place = Path(named_folder or Path(home) / "data" / "evidence")
    return load(place) if named_folder or (place / "videos.csv").is_file() else None


# Tables without further structure: attribute → file.
_TABLES = {
    "submission": "slswin_megc2022_submission.csv",
    "sweep": "slswin_published_p_sweep.csv",
    "per_subject": "slswin_published_per_subject.csv",
    "lgsnet": "lgsnet_casme2sq.csv",
    "lgsnet_truth": "lgsnet_casme2sq_truth.csv",
    "dma": "dma.csv",
    "peaks": "metstplus_sammlv_peaks.csv",
    "counts": "metstplus_sammlv_counts.csv",
    "audit": "metstplus_audit.csv",
}


def load(folder: str | Path) -> Pack:
    """Read a pack.

    Raises FileNotFoundError where the folder, its videos or its truth are not there; ValueError naming the
    file, and video or row, where a curve does not fit its video's length or is not finite, or an interval has
    its onset after its offset, begins below zero or is no number. Of LGSNet's intervals, raw output of a
    network, those with onset after offset stay: its own scorer takes them as they are.
    """
    folder = Path(folder)
    for name in ("videos.csv", "truth.csv"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"no {name} in {folder}; `metst evidence convert CLONES --out {folder}` makes the pack"
            )
    videos = _table(folder / "videos.csv")
    lengths: dict[str, dict[Key, int]] = {}
    for row in videos.itertuples():
        lengths.setdefault(row.dataset, {})[row.subject, row.video] = int(row.n_frames)
    origin = _table(folder / ORIGIN) if (folder / ORIGIN).is_file() else pd.DataFrame()
    changed = origin["changed"].dropna().unique() if "changed" in origin else []
    test = folder / "slswin_megc2022_test.npz"
    return Pack(
        folder=folder,
        scores={
            (name, kind): _curves(path, lengths.get(name, {}), k)
            for (name, kind), k in K.items()
            if (path := folder / f"slswin_{name}_{kind}.npz").is_file()
        },
        truth=_truth(folder / "truth.csv", lengths),
        n_frames=lengths,
        fps=videos.groupby("dataset")["fps"].first().astype(float).to_dict(),
        test=_test(test) if test.is_file() else None,
        tables={name: _checked(folder / file) for name, file in _TABLES.items() if (folder / file).is_file()},
        missing=tuple(name for name in MAKERS if not (folder / name).is_file()),
        changed=tuple(sorted({part for text in changed for part in str(text).split(" | ")})),
    )


#: What each table has to have; its columns that are no numbers stand in `_TEXT`.
_COLUMNS = {
    "videos.csv": "dataset subject video n_frames fps",
    "truth.csv": "dataset subject video kind onset offset emotion",
    "slswin_megc2022_submission.csv": "set kind video onset offset",
    "slswin_published_p_sweep.csv": "dataset kind p tp fp fn",
    "slswin_published_per_subject.csv": "dataset kind p subject tp fp fn",
    "lgsnet_casme2sq.csv": "epoch subject video onset offset confidence",
    "lgsnet_casme2sq_truth.csv": "subject video kind onset offset n_frames",
    "dma.csv": "dataset feature subject video true_onset true_offset onset offset iou class",
    "metstplus_sammlv_peaks.csv": "decoder subject video peak",
    "metstplus_sammlv_counts.csv": "decoder subject tp fp fn tp_synergy fp_synergy fn_synergy",
    "metstplus_audit.csv": "dataset what tp fp fn paper_tp paper_fp paper_fn n",
}


def _table(path: Path) -> pd.DataFrame:
    """A table with the columns of its name; ValueError where one is missing or holds no finite numbers."""
    try:
        table = pd.read_csv(path, dtype=_TEXT)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from None
    wanted = _COLUMNS.get(path.name, "").split()
    if missing := [name for name in wanted if name not in table]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table)}")
    for name in wanted:
        if name in _TEXT:
            odd = table[name].isna() & (name != "emotion")
        else:
            numbers = pd.to_numeric(table[name], errors="coerce")
            odd = (table[name].notna() & numbers.isna()) | np.isinf(numbers)
        if odd.any():
            row = int(odd.to_numpy().argmax())
            raise ValueError(f"{path}, row {row + 2}: {name} is {table[name].iloc[row]!r}")
    return table


def _curves(path: Path, lengths: dict[Key, int], k: int) -> dict[Key, np.ndarray]:
    curves = {}
    for name, curve in read_npz(path, "", "a file of curves").items():
        subject, _, video = name.partition("/")
        key = subject, video
        if key not in lengths:
            raise ValueError(f"{path}: video {named(key)} is not in videos.csv")
        if curve.shape != (lengths[key] - k,):
            raise ValueError(
                f"{path}, video {named(key)}: a score of shape {curve.shape}, but its {lengths[key]} frames "
                f"take {lengths[key] - k}"
            )
        curves[key] = _finite(path, named(key), curve)
    return curves


def _finite(path: Path, what: str, curve: np.ndarray) -> np.ndarray:
    if not np.issubdtype(curve.dtype, np.number):
        raise ValueError(f"{path}, video {what}: the score is {curve.dtype}, not numbers")
    if not np.isfinite(curve).all():
        frame = int(np.argmin(np.isfinite(curve)))
        raise ValueError(f"{path}, video {what}: the score is not finite at frame {frame}")
    return curve.astype(np.float64)


def _test(path: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for name, curve in read_npz(path, "", "a file of curves").items():
        if name.count("/") != 2 or curve.ndim != 1 or not len(curve):
            raise ValueError(f"{path}: {name!r} is no curve of a set/kind/video")
        part, kind, video = name.split("/")
        found.setdefault((part, kind), {})[video] = _finite(path, name, curve)
    return found


def _truth(path: Path, lengths: dict[str, dict[Key, int]]) -> dict[str, dict[Key, list[Event]]]:
    table = _checked(path)
    found = {name: {key: [] for key in videos} for name, videos in lengths.items()}
    for row in table.itertuples():
        key = row.subject, row.video
        if key not in found.get(row.dataset, {}):
            raise ValueError(f"{path}, row {row.Index + 2}: video {named(key)} is not in videos.csv")
        emotion = row.emotion if row.emotion in EMOTIONS else None
        event = Event(int(row.onset), int(row.offset), emotion=emotion, kind=row.kind)
        found[row.dataset][key].append(event)
    return found


def _checked(path: Path) -> pd.DataFrame:
    """A table whose intervals, where it has any, are sound; rows are named as an editor numbers them."""
    table = _table(path)
    for onset, offset in (("onset", "offset"), ("true_onset", "true_offset")):
        if onset in table:
            ordered, empty = path.name != _TABLES["lgsnet"], "class" in table
            check_intervals(path, table, onset, offset, ordered=ordered, empty=empty)
    if "peak" in table:
        check_intervals(path, table, "peak", "peak")
    return table
