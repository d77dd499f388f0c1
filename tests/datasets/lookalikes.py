"""Workbooks and frame folders that look like the owners', with invented values and every known quirk.

Each set's sheets, column names, header offsets and oddities are there; no subject, number or label is real.
Workbooks are .xlsx throughout: the readers take either format, and nothing alive still writes .xls.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

CASME3_TABLES = ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "CAS(ME)3_part_A_v2.xlsx")
CASME3_FIRST_LAST = {
    ("spNO.1", "a"): (8, 207),
    ("spNO.1", "b"): (6, 205),
    ("spNO.2", "e"): (2, 201),
    ("spNO.3", "a"): (5, 104),  # no micro-expression
    ("spNO.10", "j"): (9, 208),  # its folder is "J"
}
_C3 = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
# frames stand as text, as in the owners' tables; the comment gives the row that Excel shows
CASME3_MICRO = [
    ["spNO.1", "a", "20", "25", "32", "4", "VII", "disgust"],  # 2
    ["spNO.1", "a", "30", "35", "41", "L14", "VII", "others"],  # 3 overlaps row 2
    ["spNO.1", "a", "5", "7", "18", "R12", "I", "happy"],  # 4 begins before the first jpg, 8
    ["spNO.1", "b", "50", "40", "70", "1+4", "VII", "fear"],  # 5 apex before onset; right: 55
    ["spNO.1", "b", "190", "95", "105", "15", "VII", "sad"],  # 6 onset after offset; right: 90
    ["spNO.2", "e", "0", "0", "33", "10", "VII", "others"],  # 7 cannot be repaired
    ["spNO.2", "e", "60", "60", "75", "1+2", "II", "surprise"],  # 8 onset = apex
    ["spNO.2", "e", "100", "110", "0", "14", "VII", "Others"],  # 9 offset 0; right: 121
    ["spNO.2", "e", "130", "140", "0", "4+7", "VII", "anger"],  # 10 offset 0; right: 150
    ["spNO.10", "J", "100", "104", "112", "24", "VII", "others"],  # 11 upper-case letter
    ["spNO.1", "b", "110", "120", "175", "4", "VII", "anger"],  # 12 66 frames long
]
_ALL = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type", "Objective class"]
CASME3_MACRO = [
    ["spNO.1", "a", "100", "110", "140", "6+12", "Macro-expression", "I"],
    ["spNO.2", "e", "1", "4", "30", "4", "Macro-expression", "VII"],  # begins before the first jpg, 2
    ["spNO.3", "a", "40", "50", "60", "12", "Macro-expression", "I"],
]
_BLINK = ["Subject", "Filename", "Onset", "Offset"]
CASME3_BLINKS = [["spNO.1", "a", "44", "50"], ["spNO.1", "b", "80", "86"], ["spNO.10", "J", "20", "26"]]


def owners(name: str) -> Path:
    """The folder of a set's own tables; the test is skipped where it is not there."""
    folder = Path(os.environ.get("METST_TABLES", "none")) / name
    if not folder.is_dir():
        pytest.skip(f"set METST_TABLES to a folder with the owners' tables ({name}/ in it)")
    return folder


def casme3_second_rows() -> list[list]:
    """The second workbook's rows: the same micro rows in the same order, right where the first errs."""
    right = {5: (50, 55, 70), 6: (90, 95, 105), 9: (100, 110, 121), 10: (130, 140, 150)}
    rows = []
    for row, cells in enumerate(CASME3_MICRO, start=2):
        frames = list(right.get(row, cells[2:5]))
        rows.append([*cells[:2], *frames, cells[5], "Micro-expression", cells[6]])
    return [CASME3_MACRO[0], *rows[:4], CASME3_MACRO[1], *rows[4:], CASME3_MACRO[2]]


def write_workbook(path: Path, sheets: dict[str, pd.DataFrame | list[list]]) -> Path:
    """Sheets by name: a DataFrame with its header row, or bare rows without one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        for name, content in sheets.items():
            bare = not isinstance(content, pd.DataFrame)
            if bare:
                width = max(map(len, content))
                content = pd.DataFrame([[*row, *[None] * (width - len(row))] for row in content])
            content.to_excel(writer, sheet_name=name, index=False, header=not bare)
    return path


def casme3(folder: Path, micro: list[list] | None = None, second: list[list] | None = None) -> list[Path]:
    """Both CAS(ME)³ workbooks; rows may be given in place of the usual ones."""
    first = write_workbook(
        folder / CASME3_TABLES[0],
        {
            "label": pd.DataFrame(CASME3_MICRO if micro is None else micro, columns=_C3),
            "Sheet1": pd.DataFrame(),
            "Sheet3": pd.DataFrame(),
        },
    )
    other = write_workbook(
        folder / CASME3_TABLES[1],
        {
            "AU+Emotion": pd.DataFrame(casme3_second_rows() if second is None else second, columns=_ALL),
            "eye blink": pd.DataFrame(CASME3_BLINKS, columns=_BLINK),
        },
    )
    return [first, other]


def casme3_frames(folder: Path, videos: dict[tuple[str, str], tuple[int, int]] | None = None) -> None:
    """Frames under `folder`/data; the subject with the upper-case letter gets an upper-case folder."""
    for (subject, letter), (first, last) in (videos or CASME3_FIRST_LAST).items():
        on_disk = letter.upper() if subject == "spNO.10" else letter
        write_frames(folder / "data" / subject / on_disk / "color", "{}.jpg", range(first, last + 1))


SAMMLV_TABLES = ("SAMM_LongVideos_V3_Release.xlsx", "SAMM_Micro_FACS_Codes_v2.xlsx")
_SAMM = [
    "Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units",
    "Notes",
]  # fmt: skip
# Excel's rows: nine rows of preamble, header in row 10, so these begin in row 11
SAMMLV_LONG = [
    [4, "004_1_1", 1, 101, 120, 141, 41, "Micro - 1/2", "AU4", ""],  # 11 subject as a number
    ["004", "004_1_2", 1, 200, -1, 250, 51, "Micro - 1/2", "AU12", ""],  # 12 apex −1
    ["005", "005_2_1", 2, 300.5, 350.25, 420.75, 121, "Macro", "AU6+AU12", ""],  # 13 between frames
    ["005", "005_2_2", 2, 0, 200, 520, 521, "Macro", "AU4", "long"],  # 14 onset 0
    ["005", "005_2_3", 2, 450, 470, 490, 41, "Micro - 1/2", "AU1+AU2", ""],  # 15
    [12, "012_3_1", 3, 50, 60, 90, 41, "Micro - 1/2", "AU14", ""],  # 16
    [12, "012_3_2", 3, 120, -1, 260, 141, "Macro", "AU9", ""],  # 17
]
_FACS = [
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration",
    "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
]  # fmt: skip
SAMMLV_CLIPS = [  # numbered as in the clips: thousands away from the long videos
    [4, "004_1_1", 1, 9101, 9120, 9141, 41, "Micro - 1/2", "AU4", "Anger", 2, ""],
    [4, "004_1_2", 1, 9200, 9210, 9250, 51, "Micro - 1/2", "AU12", "Happiness", 1, ""],
    [5, "005_2_3", 2, 9450, 9470, 9490, 41, "Micro - 1/2", "AU1+AU2", "Surprise", 3, ""],
    [12, "012_3_1", 3, 9050, 9060, 9090, 41, "Micro - 1/2", "AU14", "Other", 7, ""],
]
SAMMLV_FIRST_LAST = {
    ("004", "004_1"): (1, 600),
    ("005", "005_2"): (1, 700),
    ("012", "012_3"): (1, 400),
    ("012", "012_4"): (1, 300),  # no event
}


def sammlv(folder: Path, rows: list[list] | None = None, clips: list[list] | None = None, version: int = 3):
    """Both SAMM workbooks, with their preambles."""
    preamble = [["SAMM Long Videos look-alike"], *([[f"line {n} of the preamble"] for n in range(2, 10)])]
    long_videos = write_workbook(
        folder / SAMMLV_TABLES[0].replace("V3", f"V{version}"),
        {"Sheet1": [*preamble, _SAMM, *(SAMMLV_LONG if rows is None else rows)]},
    )
    facs = write_workbook(
        folder / SAMMLV_TABLES[1],
        {"MICRO ONLY": [[f"note {n}"] for n in range(1, 14)] + [_FACS, *(clips or SAMMLV_CLIPS)]},
    )
    return [long_videos, facs]


def sammlv_frames(folder: Path, videos: dict[tuple[str, str], tuple[int, int]] | None = None) -> None:
    for (_, video), (first, last) in (videos or SAMMLV_FIRST_LAST).items():
        write_frames(folder / "SAMM_longvideos" / video, video + "_{:04d}.jpg", range(first, last + 1))


CASME2SQ_TABLES = ("CAS(ME)^2code_final.xlsx",)
CASME2SQ_ROWS = [  # no header: these begin in row 1
    [1, "disgust1_1", 10, 14, 19, "4", "negative", "micro-expression", "disgust"],  # 1
    [1, "happy1_1", 30, 45, 0, "6+12", "positive", "macro-expression", "happyiness"],  # 2 offset 0; typo
    [2, "anger1_1", 5, 20, 40, "4", "negative", "macro-expression", "anger"],  # 3
    [2, "anger1_2", 50, 55, 61, "1+2", "surprise", "micro-expression", "surprise"],  # 4
    [2, "anger2_1", 8, 15, 30, "14", "others", "macro-expression", ""],  # 5
]
CASME2SQ_SUBJECTS = [["15", "s15", 1], ["16", "s16", 2]]
CASME2SQ_CODES = [["0101", "disgust1"], ["0401", "anger1"], ["0402", "anger2"], ["0502", "happy1"]]
CASME2SQ_FIRST_LAST = {
    "s15/15_0101disgustingteeth": (1, 80),
    "s15/15_0502funnything": (1, 90),
    "s16/16_0401girlcrash": (1, 100),
    "s16/16_0402beatingpregnantwoman": (1, 60),
}


def casme2sq(folder: Path, rows: list[list] | None = None, codes: list[list] | None = None) -> list[Path]:
    """The CAS(ME)² workbook of three sheets without headers."""
    sheets = {
        "CASFEcode_final": CASME2SQ_ROWS if rows is None else rows,
        "naming rule1": CASME2SQ_SUBJECTS,
        "naming rule2": CASME2SQ_CODES if codes is None else codes,
    }
    return [write_workbook(folder / CASME2SQ_TABLES[0], sheets)]


def casme2sq_frames(folder: Path) -> None:
    for name, (first, last) in CASME2SQ_FIRST_LAST.items():
        write_frames(folder / "rawpic" / name, "img{}.jpg", range(first, last + 1))


def write_frames(folder: Path, template: str, numbers: range) -> None:
    """Small grey JPEGs; the picture is the same throughout, since the readers only look at names."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = cv2.imencode(".jpg", np.full((8, 8), 128, np.uint8))[1].tobytes()
    for number in numbers:
        (folder / template.format(number)).write_bytes(picture)
