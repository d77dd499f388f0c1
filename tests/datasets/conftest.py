"""Sets to read: look-alikes anywhere, the owners' tables where METST_TABLES names a folder with them."""

from dataclasses import dataclass
from pathlib import Path

import lookalikes
import pytest


@dataclass(frozen=True)
class Casme3Tables:
    """Both workbooks, the frame ranges of the videos, and what a correct reader gives for them."""

    micro: Path
    second: Path
    ranges: object
    rows: int
    kept: int
    subjects: int
    videos: int
    released: tuple[int, int]  # micro-expressions and videos that the released code keeps
    classes: dict[str, int]  # of all rows, the dropped one ("others") included
    macro: tuple[int, int]  # events and subjects
    blinks: tuple[int, int]
    clipped: int  # micro-expressions that begin before the first frame
    long: int  # 60 frames and more, after the repairs
    same: int  # onset = apex, among those kept
    overlaps: int


def _lookalike(folder: Path) -> Casme3Tables:
    micro, second = lookalikes.casme3(folder / "casme3")
    return Casme3Tables(
        micro,
        second,
        lookalikes.CASME3_FIRST_LAST,
        rows=11,
        kept=10,
        subjects=3,
        videos=4,
        released=(9, 3),
        classes={"negative": 5, "positive": 1, "surprise": 1, "others": 4},
        macro=(3, 3),
        blinks=(3, 2),
        clipped=1,
        long=1,
        same=1,
        overlaps=1,
    )


def _real() -> Casme3Tables:
    folder = lookalikes.owners("casme3")
    return Casme3Tables(
        folder / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
        folder / "CAS(ME)3_part_A_v2.xls",
        folder / "video_frames.csv",
        rows=860,
        kept=859,
        subjects=94,
        videos=463,
        released=(858, 462),
        classes={"negative": 457, "positive": 55, "surprise": 187, "others": 161},
        macro=(3346, 98),
        blinks=(841, 13),
        clipped=73,
        long=77,  # 76 as the tables stand, and one whose offset 0 becomes 77 frames
        same=54,  # 55 as the tables stand, one of them with onset and apex 0
        overlaps=8,
    )


@pytest.fixture(scope="session", params=["look-alike", "real"])
def casme3_tables(request, tmp_path_factory) -> Casme3Tables:
    return _real() if request.param == "real" else _lookalike(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def owners_folder():
    """name -> the folder of a set's own tables, or a skip."""
    return lookalikes.owners


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A folder like data/ with the three look-alike sets, tables and frames."""
    root = tmp_path_factory.mktemp("data")
    lookalikes.casme3(root / "casme3")
    lookalikes.casme3_frames(root / "casme3")
    lookalikes.sammlv(root / "sammlv")
    lookalikes.sammlv_frames(root / "sammlv")
    lookalikes.casme2sq(root / "casme2sq")
    lookalikes.casme2sq_frames(root / "casme2sq")
    return root
