"""What is known of a data set before any of its files is opened: one record, which says it all.

Each module of a set ends with its `Reader`. Nothing outside asks for a set by its name: whether it is
synthetic, at what rate its frames come, whose licence it is under, what its folders are called, stands here
(paper, Sec. IV-A, Table I).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from metst_lib._files import read_json
from metst_lib.events import Key


@dataclass(frozen=True, eq=False)
class Reader:
    """A data set: its names, its layout below `data/<name>/`, and the functions that read it.

    **Names.** title: in tables, figures and texts. synthetic: whether every caption must say so; origin: then
    what the data are, in a phrase. licence: one sentence. source: its owners, "who: address"; command: what
    writes the set, in their place; a set of your own has neither.

    **Tables.** tables: the owners' file name of each -> pattern that finds it under another (case aside);
    the first is needed. read(rows, *paths) gives the records that a `rows.RowReader` took, with None for a
    path that is not there. expected: their counts, as `check.counts` names them. released: whether the
    reader's as_released means anything.

    **Frames.** example: a frame's file below the set's folder. locate(folder, paths of tables) gives
    (subject, video) -> folder of frames, of those that are unpacked (see `located`); place: where those of
    "{subject}" and "{video}" belong. fps and frame_step: the owners' rate, and every how many-th frame is
    kept by default. first_frame: number of the first frame of a video file, which may stand in a folder's
    place. window: k of its presets. unreadable: images known to be missing or not to open; lacking: videos
    that usable copies are known to lack. predictor: of landmarks, below `data/`.

    **Sets that we write.** marker: file written last, with the settings it was written with. truth: folder of
    what was rendered. all_blinks: whether every subject's blinks are labelled. A set without frames has
    ranges: the table of each video's first and last frame; flow(video, roi_set, window, blinks=) which makes
    a video's flow, with blinks of its own where none are labelled; flow_key(roi_set): what that depends on
    besides the events; flow_mode: what the flow says of itself; rehearses: the set whose annotations it has.
    """

    name: str
    title: str
    licence: str
    tables: Mapping[str, str]
    example: str
    read: Callable[..., list[dict[str, Any]]]
    locate: Callable[[Path, list[Path | None]], dict[Key, Path]]
    place: str
    source: str = ""
    command: str = ""
    fps: float = 30.0
    frame_step: int = 1
    first_frame: int = 0
    window: int = 50
    expected: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    lacking: int = 0
    released: bool = False
    predictor: str = "shape_predictor_68_face_landmarks.dat"
    synthetic: bool = False
    origin: str = ""
    marker: str = ""
    truth: str = ""
    all_blinks: bool = False
    ranges: str = ""
    flow: Callable[..., Any] | None = None
    flow_key: Callable[[str], str] | None = None
    flow_mode: str = ""
    rehearses: str = ""

    @property
    def how_to_get(self) -> str:
        """One sentence on where the set comes from."""
        if self.command:
            return f"Write the set with `{self.command}`."
        if not self.source:
            return 'It is yours: data/README.md says under "A set of your own" what belongs where.'
        return (
            f"It comes from its owners ({self.source}); data/README.md says how to apply and where to put it."
        )

    def find_tables(self, folder: Path) -> list[Path | None]:
        """The tables in a folder, None for one that is not there; of several files the best by `_rank`."""
        return [(_candidates(folder, *table) or [None])[0] for table in self.tables.items()]

    def passed_over(self, folder: Path) -> list[str]:
        """For each table: which other files of the folder could be it, and why they are not read; or ""."""
        lines = []
        for owners, pattern in self.tables.items():
            found = _candidates(folder, owners, pattern)
            others = [f"{path.name} ({_why_not(path, found[0], owners)})" for path in found[1:]]
            lines.append(", ".join(others) and f"not {', '.join(others)}")
        return lines

    def settings(self, folder: Path) -> dict[str, Any]:
        """What the set in a folder was written with; nothing where it comes from its owners.

        FileNotFoundError where it was not written to the end.
        """
        if not self.marker:
            return {}
        marker = folder / self.marker
        if not marker.is_file():
            raise FileNotFoundError(
                f"no whole {self.title} set in {folder} (looked for {marker.name}, written last). "
                + self.how_to_get
            )
        return read_json(marker).get("settings", {})


def expected_of(name: str) -> dict[str, int]:
    """Counts of the tables of an owners' set as its reader gives them (`expected.csv`)."""
    counts = pd.read_csv(Path(__file__).with_name("expected.csv"), index_col="item")[name]
    return counts.dropna().astype(int).to_dict()


def natural_key(text: str) -> tuple:
    """Sort key under which "spNO.2" stands before "spNO.10"."""
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", text))


def located(folder: Path, glob: str, pattern: str, key: Callable[[re.Match[str]], Key]) -> dict[Key, Path]:
    """key(match) -> folder, of the folders below `folder` whose path matches; case and hidden ones aside.

    glob says where to look. Of two folders with one key the first by name counts.
    """
    found: dict[Key, Path] = {}
    for path in sorted(folder.glob(glob)):
        name = path.relative_to(folder).as_posix()
        match = re.fullmatch(pattern, name, re.IGNORECASE)
        if match and "/." not in name and path.is_dir():
            found.setdefault(key(match), path)
    return found


def _candidates(folder: Path, owners: str, pattern: str) -> list[Path]:
    """Files that could be a table, the best first; Excel's lock files and hidden ones do not count."""
    found = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in (".xls", ".xlsx", Path(owners).suffix)
        and not path.name.startswith(("~$", "."))
        and re.search(pattern, path.name, re.IGNORECASE)
    ]
    return sorted(found, key=lambda path: (*_rank(path, owners).values(), path.name), reverse=True)


def _rank(path: Path, owners: str) -> dict[str, Any]:
    """What decides between files that could be one table, first things first: why the lesser is not read."""

    def shape(stem: str) -> str:
        return re.sub(r"\d+", "0", stem.casefold())  # numbers tell versions apart, not owners from users

    return {
        "not its owners' name": shape(path.stem) == shape(Path(owners).stem),
        "an earlier version or name": natural_key(path.stem.casefold()),
        "not its owners' format": path.suffix.lower() == Path(owners).suffix,
    }


def _why_not(path: Path, read: Path, owners: str) -> str:
    ranks, best = _rank(path, owners), _rank(read, owners)
    return next((why for why in ranks if ranks[why] != best[why]), "the same name in other letters")
