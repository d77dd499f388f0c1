"""Each author's layout → a file of the pack: one small function a file.

A function takes the paths of its sources (for each, in the order of `sources.csv`, its files) and the tables
made before it; it gives a table, or arrays by key. A ValueError names the file that does not fit.

All layouts but GLSD's were read from snapshots of the repositories at the commits of `sources.csv`, and the
conversion of those was held against the pack; GLSD's were read from single stored pages of its files.

Glossary: k frames by which a curve of SL-Swin is shorter than its video, and half its smoothing window.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib import datasets
from metst_lib._files import read_json
from metst_lib.datasets.casme2sq import video_codes
from metst_lib.datasets.reader import natural_key
from metst_lib.evidence.audit import audit
from metst_lib.evidence.clones import plain_pickle

Made = Mapping[str, Any]
Paths = Sequence[Sequence[Path]]

#: SL-Swin's k of each set and kind, in frames.
K = {("sammlv", "micro"): 37, ("casme2sq", "micro"): 6, ("casme2sq", "macro"): 18}
#: Videos with a label that SL-Swin's copy of a set lacks.
LACKING = {("casme2sq", "s23", "happy1")}
#: MEGC 2022's unseen test videos, in the order of SL-Swin's files; set → owners' names.
TEST_VIDEOS = {
    "castest": ("sub01", "sub02", "sub03", "sub04", "sub05"),
    "sammtest": ("001_2", "002_4", "003_1", "004_3", "005_7"),
}
#: The p that SL-Swin's counts per subject are printed for.
P = 0.6
_KINDS = {"me": "micro", "mae": "macro"}


def truth(paths: Paths, made: Made) -> pd.DataFrame:
    """The owners' workbooks through our readers: number n → frame n − 1, at least 0; fractions cut off."""
    (samm,), (casme,), (codes,) = paths
    sets = {"casme2sq": (casme,), "sammlv": (samm, codes)}
    table = pd.concat([datasets.read_annotations(name, *files)[0] for name, files in sets.items()])
    for column in ("onset", "offset"):
        table[column] = (table[column].astype(int) - 1).clip(lower=0)
    table = table.sort_values(["dataset", "subject", "video", "kind", "onset", "source_row"])
    return table[["dataset", "subject", "video", "kind", "onset", "offset", "emotion", "source_row"]]


def videos(paths: Paths, made: Made) -> pd.DataFrame:
    """Lengths of the long videos: LGSNet's tables, and the second repository's where those lack a video.

    The two agree but for SAMM-LV's 021_3 (LGSNet's 13057 frames are more than it has) and CAS(ME)²'s s23
    disgust2 (one frame). The workbook names the videos of CAS(ME)².
    """
    samm = _lengths(paths[2], "sub_name", "duration") | _lengths(paths[0], "video", "frame_num")
    samm["021_3"] = _lengths(paths[2], "sub_name", "duration").get("021_3", samm["021_3"])
    casme = _lengths(paths[3], "org_vid", "duration") | _lengths(paths[1], "video", "frame_num")
    codes = video_codes(paths[4][0])
    rows = [("sammlv", v.split("_")[0], v, "", samm[v], 200) for v in sorted(samm, key=natural_key)]
    for name in sorted(casme, key=natural_key):
        subject, code = name.split("_")
        rows.append(("casme2sq", f"s{subject}", codes[code], code, casme[name], 30))
    return pd.DataFrame(rows, columns=["dataset", "subject", "video", "code", "n_frames", "fps"])


def _lengths(paths: Sequence[Path], name: str, frames: str) -> dict[str, int]:
    """Name of a video, 006_1 or 15_0101, → its frames; the words behind a code of CAS(ME)² are left off."""
    table = _csv(paths[0], name, frames)
    names = table[name].str.split("/").str[-1].str.removeprefix("samm_").str.rstrip(string.ascii_letters)
    return dict(zip(names, table[frames].astype(int), strict=True))


def slswin(paths: Paths, made: Made, dataset: str, kind: str) -> dict[str, np.ndarray]:
    """SL-Swin's curves: "subject/video" → float32 (n_frames − k,).

    The pickle holds a list of subjects, each a list of [score]: the curves of its videos one after the other,
    subjects and videos in natural order, of those only that have a label of the kind.
    """
    ((path,),), k = paths, K[dataset, kind]
    table, labels = made["videos.csv"], made["truth.csv"]
    labelled = labels[(labels["dataset"] == dataset) & (labels["kind"] == kind)]
    keys = set(zip(labelled["subject"], labelled["video"], strict=True))
    lengths: dict[str, dict[str, int]] = {}
    for row in table[table["dataset"] == dataset].itertuples():
        if (row.subject, row.video) in keys and (dataset, row.subject, row.video) not in LACKING:
            lengths.setdefault(row.subject, {})[row.video] = int(row.n_frames) - k
    subjects = _curves(path)
    if len(subjects) != len(lengths):
        raise ValueError(f"{path}: {len(subjects)} subjects, but {len(lengths)} have a label of kind {kind}")
    found = {}
    for (subject, parts), curve in zip(lengths.items(), subjects, strict=True):
        if len(curve) != sum(parts.values()):
            raise ValueError(
                f"{path}, subject {subject}: {len(curve)} scores, but its {len(parts)} videos take "
                f"{sum(parts.values())}"
            )
        ends = np.cumsum(list(parts.values()))[:-1]
        found |= {f"{subject}/{v}": c for v, c in zip(parts, np.split(curve, ends), strict=True)}
    return found


def slswin_test(paths: Paths, made: Made) -> dict[str, np.ndarray]:
    """SL-Swin's curves of MEGC 2022's unseen test: "set/kind/video" → float32, one subject a video."""
    found = {}
    for (path,), (name, kind) in zip(
        paths, [(name, kind) for name in TEST_VIDEOS for kind in _KINDS.values()], strict=True
    ):
        curves = _curves(path)
        if len(curves) != len(TEST_VIDEOS[name]):
            raise ValueError(f"{path}: {len(curves)} videos, not {len(TEST_VIDEOS[name])}")
        found |= {f"{name}/{kind}/{v}": c for v, c in zip(TEST_VIDEOS[name], curves, strict=True)}
    return found


def _curves(path: Path) -> list[np.ndarray]:
    content = plain_pickle(path)
    if not isinstance(content, list):
        raise ValueError(f"{path} should hold a list of subjects, not a {type(content).__name__}")
    curves = []
    for i, subject in enumerate(content):
        try:
            curve = np.array(subject, dtype=np.float32)
        except (TypeError, ValueError):
            curve = np.empty(0)
        if curve.ndim != 2 or curve.shape[1] != 1 or not np.isfinite(curve).all():
            raise ValueError(f"{path}, subject {i}: a list of [score] is wanted, finite numbers only")
        curves.append(curve[:, 0])
    return curves


def submission(paths: Paths, made: Made) -> pd.DataFrame:
    """SL-Swin's submission to MEGC 2022: vid, pred_onset, pred_offset, type "me" or "mae"."""
    parts = []
    for (path,), name in zip(paths, TEST_VIDEOS, strict=True):
        table = _csv(path, "vid", "pred_onset", "pred_offset", "type")
        columns = {"vid": "video", "pred_onset": "onset", "pred_offset": "offset"}
        parts.append(table.assign(set=name, kind=table["type"].map(_KINDS)).rename(columns=columns))
    return pd.concat(parts)[["set", "kind", "video", "onset", "offset"]]


def sweep(paths: Paths, made: Made) -> pd.DataFrame:
    """SL-Swin's table over p, "0.60 | 12 | 204 | 45 | …" a line, from the outputs of its notebooks."""
    rows = []
    for (path,), kind in zip(paths, _KINDS.values(), strict=True):
        lines = re.findall(r"^(\d\.\d\d) \| (\d+) \| (\d+) \| (\d+) \|", _printed(path), re.M)
        rows += [("casme2sq", kind, float(p), *map(int, counts)) for p, *counts in lines]
    return pd.DataFrame(rows, columns=["dataset", "kind", "p", "tp", "fp", "fn"])


def per_subject(paths: Paths, made: Made) -> pd.DataFrame:
    """SL-Swin's counts of each subject: differences of the running sums that its notebooks print."""
    pattern = re.compile(
        r"subject (s\d+), video \d+\s+True Positive: (\d+), False Posi(?:ti)?ve: (\d+), False Negative: (\d+)"
        r"[^\n]*\n[^\n]*\nSplit"
    )
    rows = []
    for (path,), kind in zip(paths, _KINDS.values(), strict=True):
        before = np.zeros(3, int)
        for subject, *sums in pattern.findall(_printed(path)):
            now = np.array(sums, int)
            rows.append(("casme2sq", kind, P, subject, *(now - before)))
            before = now
    return pd.DataFrame(rows, columns=["dataset", "kind", "p", "subject", "tp", "fp", "fn"])


def _printed(path: Path) -> str:
    """All that the cells of a notebook printed."""
    cells = read_json(path).get("cells", [])
    return "".join("".join(out.get("text", [])) for cell in cells for out in cell.get("outputs", []))


def lgsnet(paths: Paths, made: Made) -> pd.DataFrame:
    """LGSNet's intervals: files subject_<s>/test_detection/test_<epoch>.txt, tabs between video, start, end
    and confidence; the digits as they stand, since its scorer cuts them as text."""
    parts = []
    for path in paths[0]:
        names = ["code", "onset", "offset", "confidence"]
        if path.stat().st_size:
            table = pd.read_csv(path, sep="\t", names=names, dtype=str, index_col=False)
            if table.isna().any(axis=None):
                raise ValueError(f"{path}: a line without video, start, end and confidence")
            parts.append(table.assign(epoch=int(path.stem.split("_")[1])))
    return _named(pd.concat(parts), made)[["epoch", "subject", "video", "onset", "offset", "confidence"]]


def lgsnet_truth(paths: Paths, made: Made) -> pd.DataFrame:
    """LGSNet's own labels: owners' numbers, an offset of 0 made apex + 20."""
    ((path,),) = paths
    table = _csv(path, "video", "type", "startFrame", "endFrame", "frame_num")
    table = table.assign(code=table["video"].str.split("/").str[-1], kind=table["type"].str[:5])
    table = table.rename(columns={"startFrame": "onset", "endFrame": "offset", "frame_num": "n_frames"})
    return _named(table, made)[["subject", "video", "kind", "onset", "offset", "n_frames"]]


def dma(paths: Paths, made: Made) -> pd.DataFrame:
    """DMA's records: a sheet a file with video, T_1, T_2, P_1, P_2, K and class; −1 where there is none."""
    parts = []
    for (path,), (name, feature) in zip(
        paths, (("casme2sq", "LBP"), ("sammlv", "LBP"), ("casme2sq", "MDMO")), strict=True
    ):
        table = pd.read_excel(path, engine="calamine")
        if list(table.columns[1:]) != ["T_1", "T_2", "P_1", "P_2", "K", "class"]:
            raise ValueError(f"{path}: columns video, T_1, T_2, P_1, P_2, K, class wanted")
        table.columns = ["code", "true_onset", "true_offset", "onset", "offset", "iou", "class"]
        for column in ("true_onset", "true_offset", "onset", "offset"):
            table[column] = table[column].astype("Int64").where(table[column] >= 0)
        table["iou"] = table["iou"].where(table["iou"] > 0).round(6)
        if name == "sammlv":
            table["video"], table["subject"] = table["code"], table["code"].str.split("_").str[0]
        else:
            table = _named(table, made)
        parts.append(table.assign(dataset=name, feature=feature))
    columns = ["dataset", "feature", "subject", "video", "true_onset", "true_offset", "onset", "offset"]
    return pd.concat(parts)[[*columns, "iou", "class"]]


def peaks(paths: Paths, made: Made) -> pd.DataFrame:
    """ME-TST+ by a third party: records of a subject with predictions a video, the peak last in each.

    Its videos are those with a micro-expression, in natural order.
    """
    ((path,),) = paths
    labels = made["truth.csv"]
    labels = labels[(labels["dataset"] == "sammlv") & (labels["kind"] == "micro")]
    rows = []
    for method in ("G", "EqualMean"):
        for record in read_json(path)["records"]:
            if (record["variant"], record["method"]) != ("original", method):
                continue
            subject = record["subject"]
            names = sorted(set(labels.loc[labels["subject"] == subject, "video"]), key=natural_key)
            if len(names) != len(record["predictions"]):
                raise ValueError(
                    f"{path}, subject {subject}: {len(record['predictions'])} videos, not {len(names)}"
                )
            for video, found in zip(names, record["predictions"], strict=True):
                rows += [(method, subject, video, interval[-1]) for interval in found]
    return pd.DataFrame(rows, columns=["decoder", "subject", "video", "peak"])


def counts(paths: Paths, made: Made) -> pd.DataFrame:
    """The same third party's counts of each subject, before ("raw") and after ("full") result synergy."""
    methods = read_json(paths[0][0])["methods"]
    rows = [
        (method, subject, *found["raw"], *found["full"])
        for method in ("G", "EqualMean", "L")
        for subject, found in methods[method]["selected"].items()
    ]
    names = ["tp", "fp", "fn"]
    return pd.DataFrame(rows, columns=["decoder", "subject", *names, *(f"{n}_synergy" for n in names)])


def _named(table: pd.DataFrame, made: Made) -> pd.DataFrame:
    """With subject and video of CAS(ME)² for its codes, "15_0101disgustingteeth" or "15_0101"."""
    known = made["videos.csv"]
    known = known[known["dataset"] == "casme2sq"]
    names = dict(zip(known["code"].astype(str).str.zfill(4), known["video"], strict=True))
    subjects = "s" + table["code"].str.split("_").str[0]
    found = table.assign(subject=subjects, video=table["code"].str.split("_").str[1].str[:4].map(names))
    if (unknown := found["video"].isna()).any():
        raise ValueError(f"no video of CAS(ME)² has the code of {table['code'][unknown].iloc[0]!r}")
    return found


def _csv(path: Path, *wanted: str) -> pd.DataFrame:
    """A table as text; ValueError naming the columns that it lacks."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if lacking := [name for name in wanted if name not in table]:
        raise ValueError(f"{path}: no column {', '.join(lacking)}; found: {', '.join(table)}")
    return table


#: File of the pack → what makes it, and the files that have to be made before.
MAKERS: dict[str, tuple[Callable[[Paths, Made], Any], tuple[str, ...]]] = {
    "truth.csv": (truth, ()),
    "videos.csv": (videos, ()),
    **{
        f"slswin_{name}_{kind}.npz": (partial(slswin, dataset=name, kind=kind), ("videos.csv", "truth.csv"))
        for name, kind in K
    },
    "slswin_megc2022_test.npz": (slswin_test, ()),
    "slswin_megc2022_submission.csv": (submission, ()),
    "slswin_published_p_sweep.csv": (sweep, ()),
    "slswin_published_per_subject.csv": (per_subject, ()),
    "lgsnet_casme2sq.csv": (lgsnet, ("videos.csv",)),
    "lgsnet_casme2sq_truth.csv": (lgsnet_truth, ("videos.csv",)),
    "dma.csv": (dma, ("videos.csv",)),
    "metstplus_sammlv_peaks.csv": (peaks, ("truth.csv",)),
    "metstplus_sammlv_counts.csv": (counts, ()),
    "metstplus_audit.csv": (audit, ()),
}
