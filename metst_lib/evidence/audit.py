"""What a third party reports of ME-TST+ in its audits (Markdown): totals, kinds of misses and false alarms.

Its numbers stand in the pages as they are read here; whether they are right is not known. Three pages, one
expression a quantity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

#: Counts of the paper (Table IV) beside which two of the rows stand: set, synergy → TP, FP, FN.
PAPER = {
    ("sammlv", "no synergy"): (53, 184, 106),
    ("sammlv", "result synergy"): (52, 171, 107),
    ("casme3", "no synergy"): (81, 912, 777),
    ("casme3", "result synergy"): (76, 733, 782),
}
_SETS = {"sammlv": "SAMMLV", "casme3": "CASME_3"}
# What a line of counts is called → the first cell of its line.
_TOTALS = {"no synergy": "raw spotting", "result synergy": "final result_synergy"}
_CHOSEN = {
    "smoothing chosen (nested)": "Smooth-only",
    "threshold p chosen (nested), 0.65 in 29 of 29 folds": "Threshold-only",
    "distance chosen (nested), 1.25 in 29 of 29": "Distance-only",
    "interval width chosen (nested)": "Boundary-only",
    "all four chosen (nested)": "Full Tuned Native",
}
_INTERVALS = {
    "interval = run above the threshold": "TCB_reference",
    "interval = to the nearest minima": "LVB",
}
# What is counted → the expression whose group is its number; a row without a match is left out.
_KINDS = {
    "miss: no peak": r"FN-A_NO_PEAK \| (\d+)",
    "miss: peak under the threshold": r"FN-B_SUB_THRESHOLD \| (\d+)",
    "miss: interval off": r"FN-C_BOUNDARY \| (\d+)",
    "miss: removed by synergy": r"FN-D_SUPPRESSED \| (\d+)",
    "miss: other": r"FN-E_OTHER \| ([1-9]\d*)",
    "false positive: far from any micro-expression": r"FP-A_BACKGROUND \| (\d+)",
    "false positive: near one": r"FP-B_NEAR_GT_LOCALIZATION \| (\d+)",
    "micro-expressions within reach of some local peak": r"all_local_peaks \| (\d+)",
    "hits removed by synergy": r"Neutral TP / FP removed：(\d+) / \d+",
    "false positives removed by synergy": r"Neutral TP / FP removed：\d+ / (\d+)",
}


def audit(paths: Sequence[Sequence[Path]], made: Any) -> pd.DataFrame:
    """The three pages as one table: dataset, what, tp, fp, fn, paper_tp, paper_fp, paper_fn, n."""
    failures, chosen, intervals = (part[0].read_text("utf-8") for part in paths)
    sections = dict(zip(_SETS, _sections(failures, paths[0][0]), strict=True))
    rows = []
    for name, text in sections.items():
        for what, cell in _TOTALS.items():
            rows.append((name, what, *_counts(text, cell, paths[0][0]), *PAPER[name, what], None))
    for cells, text, path in ((_CHOSEN, chosen, paths[1][0]), (_INTERVALS, intervals, paths[2][0])):
        for what, cell in cells.items():
            rows.append(("sammlv", what, *_counts(text, cell, path), None, None, None, None))
    for name, text in sections.items():
        for what, pattern in _KINDS.items():
            if found := re.search(pattern, text):
                rows.append((name, what, *[None] * 6, int(found[1])))
    numbers = ["tp", "fp", "fn", "paper_tp", "paper_fp", "paper_fn", "n"]
    return pd.DataFrame(rows, columns=["dataset", "what", *numbers]).astype(dict.fromkeys(numbers, "Int64"))


def _sections(text: str, path: Path) -> list[str]:
    """The part of each data set."""
    starts = [text.find(f"## 3. {heading}\n") for heading in _SETS.values()]
    if -1 in starts:
        raise ValueError(f"{path}: no section of {' and '.join(_SETS.values())}")
    return [text[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _counts(text: str, cell: str, path: Path) -> list[int]:
    """TP, FP, FN behind the first line whose cell is so called (of SAMM-LV where a line names its set)."""
    found = re.search(rf"^\| (?:SAMMLV \| )?{re.escape(cell)} \| (\d+) \| (\d+) \| (\d+) \|", text, re.M)
    if not found:
        raise ValueError(f"{path}: no line {cell!r}")
    return [int(number) for number in found.groups()]
