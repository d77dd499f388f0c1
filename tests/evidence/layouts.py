"""The authors' layouts, written from a pack: what a folder of clones would hold if the pack came from it."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib.evidence import sources
from metst_lib.evidence.authors import TEST_VIDEOS, K

SWIN, LGS, DMA = "eddiehe99/pytorch-expression-spotting", "williamlee91/LGSNet", "TJUMMG/DMA-ME-Spotting"
MTSN, CLIPS, ZZY = (
    "genbing99/MTSN-Spot-ME-MaE",
    "MouathAb/AnalyseMiE-CNN_LSTM_SE",
    "zzy188zzy/megc_spotting_code",
)
GLSD = "kyx111666/GLSD"
RAW = {"negative": "Anger", "positive": "Happiness", "surprise": "Surprise", "others": "Other"}
KINDS = {"me": "micro", "mae": "macro"}


def write(pack: Path, folder: Path) -> Path:
    """Write every clone below `folder`; returns it."""
    tables = {path.name: pd.read_csv(path, dtype=str, keep_default_na=False) for path in pack.glob("*.csv")}
    for part in (_workbooks, _lengths, _slswin, _notebooks, _lgsnet, _dma, _glsd):
        part(tables, pack, folder)
    return folder


def _place(folder: Path, repository: str, path: str) -> Path:
    """Where a file lies; the three ways to name a clone's folder take turns."""
    owner, name = repository.split("/")
    way = {SWIN: Path(f"{owner}+{name}"), LGS: Path(owner) / name}.get(repository, Path(name))
    place = folder / way / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _of(file: str, repository: str) -> list[str]:
    return [source.path for source in sources.of(file) if source.repository == repository]


def _workbook(path: Path, sheets: dict[str, list[list]]) -> None:
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        for name, rows in sheets.items():
            width = max(map(len, rows))
            cells = [[*row, *[None] * (width - len(row))] for row in rows]
            pd.DataFrame(cells).to_excel(book, sheet_name=name, header=False, index=False)


def _workbooks(tables, pack, folder):
    truth, videos = tables["truth.csv"], tables["videos.csv"]
    samm = {int(row.source_row): row for row in truth[truth["dataset"] == "sammlv"].itertuples()}
    header = min(samm) - 1
    assert header >= 1
    rows, clips = [[None]] * (header - 1), [["Filename", "Estimated Emotion"]]
    names = ["Subject", "Filename", "Onset", "Apex", "Offset", "Type", "Action Units", "Notes"]
    rows = [*rows, names]
    for number in range(header + 1, max(samm) + 1):
        if number not in samm:
            rows.append([None])
            continue
        row, name = samm[number], f"{samm[number].video}_{number}"
        onset, offset = int(row.onset) + 1, int(row.offset) + 1
        kind = "Micro - 1/2" if row.kind == "micro" else "Macro"
        rows.append([row.subject, name, onset, onset, offset, kind, "4", ""])
        if row.emotion:
            clips.append([name, RAW[row.emotion]])
    long_videos, casme = _of("truth.csv", MTSN)
    _workbook(_place(folder, MTSN, long_videos), {"Sheet1": rows})
    _workbook(_place(folder, CLIPS, *_of("truth.csv", CLIPS)), {"Sheet1": clips})
    of_casme = {int(row.source_row): row for row in truth[truth["dataset"] == "casme2sq"].itertuples()}
    known = videos[videos["dataset"] == "casme2sq"]
    subjects = {name: i + 1 for i, name in enumerate(dict.fromkeys(known["subject"]))}
    rows = []
    for number in range(1, max(of_casme) + 1):
        row = of_casme.get(number)
        if row is None:
            rows.append([None] * 9)
            continue
        onset, offset = int(row.onset) + 1, int(row.offset) + 1
        kind = f"{row.kind}-expression"
        video = f"{row.video}_{number}"
        rows.append([subjects[row.subject], video, onset, onset, offset, "4", row.emotion, kind, "anger"])
    naming = [[number, number, name] for name, number in subjects.items()]
    codes = [
        [int(code), name] for name, code in dict(zip(known["video"], known["code"], strict=True)).items()
    ]
    _workbook(_place(folder, MTSN, casme), {"CASFEcode_final": rows, "naming1": naming, "naming2": codes})


def _lengths(tables, pack, folder):
    videos, labels = tables["videos.csv"], tables["lgsnet_casme2sq_truth.csv"]
    samm = videos[videos["dataset"] == "sammlv"]
    ours, casme = _of("videos.csv", LGS)
    lengths = samm["n_frames"].where(samm["video"] != "021_3", "13057")  # as it stands there
    names = "./SAMM_longvideos/" + samm["video"]
    pd.DataFrame({"subject": samm["subject"], "video": names, "frame_num": lengths})[1:].to_csv(
        _place(folder, LGS, ours), index=False
    )
    code = _codes(videos)
    names = [f"./x/longVideoFaceCropped/{s}/{code[s, v]}some" for s, v in _keys(labels)]
    table = pd.DataFrame({"video": names, "type": labels["kind"] + "-expression"})
    table = table.assign(startFrame=labels["onset"], endFrame=labels["offset"], frame_num=labels["n_frames"])
    table.to_csv(_place(folder, LGS, casme), index=False)
    of_samm, of_casme = _of("videos.csv", ZZY)
    pd.DataFrame({"sub_name": "samm_" + samm["video"], "duration": samm["n_frames"]}).to_csv(
        _place(folder, ZZY, of_samm), index=False
    )
    rows = videos[videos["dataset"] == "casme2sq"]
    names = [f"{code[key]}other" for key in _keys(rows)]
    pd.DataFrame({"vid": names, "org_vid": names, "duration": rows["n_frames"].to_list()}).to_csv(
        _place(folder, ZZY, of_casme), index=False
    )


def _keys(table):
    return list(zip(table["subject"], table["video"], strict=True))


def _codes(videos):
    rows = videos[videos["dataset"] == "casme2sq"]
    return {(r.subject, r.video): f"{r.subject[1:]}_{r.code}" for r in rows.itertuples()}


def _pickle(path: Path, curves: list[np.ndarray]) -> None:
    path.write_bytes(pickle.dumps([[[float(score)] for score in curve] for curve in curves]))


def _slswin(tables, pack, folder):
    for name, kind in K:
        file = f"slswin_{name}_{kind}.npz"
        subjects: dict[str, list] = {}
        for key, curve in np.load(pack / file).items():
            subjects.setdefault(key.split("/")[0], []).append(curve)
        joined = [np.concatenate(curves) for curves in subjects.values()]
        _pickle(_place(folder, SWIN, *_of(file, SWIN)), joined)
    curves, paths = np.load(pack / "slswin_megc2022_test.npz"), iter(_of("slswin_megc2022_test.npz", SWIN))
    for part, names in TEST_VIDEOS.items():
        for kind in KINDS.values():
            _pickle(_place(folder, SWIN, next(paths)), [curves[f"{part}/{kind}/{v}"] for v in names])
    table, types = tables["slswin_megc2022_submission.csv"], {v: k for k, v in KINDS.items()}
    for part, path in zip(TEST_VIDEOS, _of("slswin_megc2022_submission.csv", SWIN), strict=True):
        rows = table[table["set"] == part].assign(type=lambda t: t["kind"].map(types))
        rows = rows.rename(columns={"video": "vid", "onset": "pred_onset", "offset": "pred_offset"})
        rows[["vid", "pred_onset", "pred_offset", "type"]].to_csv(_place(folder, SWIN, path), index=False)


def _notebooks(tables, pack, folder):
    paths = _of("slswin_published_p_sweep.csv", SWIN)
    for kind, path in zip(KINDS.values(), paths, strict=True):
        table = tables["slswin_published_per_subject.csv"]
        rows, sums, printed = table[table["kind"] == kind], np.zeros(3, int), []
        for i, row in enumerate(rows.itertuples(), 1):
            sums = sums + np.array([row.tp, row.fp, row.fn], int)
            printed += [f"The current video be processed: subject {row.subject}, video 0101\n\n"]
            printed += ["True Positive: {}, False Posive: {}, False Negative: {}\n".format(*sums)]
            printed += [
                f"Precision = 0.1, Recall =0.1, F1-Score = 0.1\nSplit {i}/{len(rows)} is processed.\n\n"
            ]
        table = tables["slswin_published_p_sweep.csv"]
        sweep = [" p | TP | FP | FN | Precision | Recall | F1-Score\n"]
        for row in table[table["kind"] == kind].itertuples():
            sweep.append(f"{float(row.p):.2f} | {row.tp} | {row.fp} | {row.fn} | 0.1 | 0.1 | 0.1 |\n")
        total = "True Positive: {}, False Posive: {}, False Negative: {}\nFinal Precision\n".format(*sums)
        cells = [{"source": [], "outputs": [{"text": text}]} for text in (printed, [total], sweep)]
        _place(folder, SWIN, path).write_text(json.dumps({"cells": [{"source": ["import x"]}, *cells]}))


def _lgsnet(tables, pack, folder):
    table, code = tables["lgsnet_casme2sq.csv"], _codes(tables["videos.csv"])
    pattern = _of("lgsnet_casme2sq.csv", LGS)[0]
    names = pd.Series([f"{code[key]}some" for key in _keys(table)])
    lines = names + "\t" + table["onset"] + "\t" + table["offset"] + "\t" + table["confidence"] + "\n"
    for (subject, epoch), rows in lines.groupby([table["subject"], table["epoch"].astype(int)]):
        path = pattern.replace("subject_s*", f"subject_{subject}").replace("test_*", f"test_{epoch:02d}")
        _place(folder, LGS, path).write_text("".join(rows))


def _dma(tables, pack, folder):
    table, code = tables["dma.csv"], _codes(tables["videos.csv"])
    sheets = (("casme2sq", "LBP"), ("sammlv", "LBP"), ("casme2sq", "MDMO"))
    for (dataset, feature), path in zip(sheets, _of("dma.csv", DMA), strict=True):
        rows = table[(table["dataset"] == dataset) & (table["feature"] == feature)]
        cells = [[None, "T_1", "T_2", "P_1", "P_2", "K", "class"]]
        for row in rows.itertuples(index=False):
            name = row[3] if dataset == "sammlv" else code[row[2], row[3]]
            cells.append([name, *(int(x) if x else -1 for x in row[4:8]), float(row[8] or 0), row[9]])
        _workbook(_place(folder, DMA, path), {"Sheet1": cells})


def _glsd(tables, pack, folder):
    truth, peaks = tables["truth.csv"], tables["metstplus_sammlv_peaks.csv"]
    micro = truth[(truth["dataset"] == "sammlv") & (truth["kind"] == "micro")]
    records = []
    for decoder in dict.fromkeys(peaks["decoder"]):
        for variant in ("original", "expanded"):  # the second is to be left alone
            for subject, rows in micro.groupby("subject"):
                mine = peaks[(peaks["decoder"] == decoder) & (peaks["subject"] == subject)]
                found = [
                    [
                        [int(p) - 5, 0, int(p) + 5, 0, 0, 0, int(p)]
                        for p in mine.loc[mine["video"] == v, "peak"]
                    ]
                    for v in sorted(set(rows["video"]))
                ]
                records.append(
                    {"variant": variant, "subject": subject, "method": decoder, "predictions": found}
                )
    _place(folder, GLSD, *_of("metstplus_sammlv_peaks.csv", GLSD)).write_text(
        json.dumps({"records": records})
    )
    methods: dict[str, dict] = {}
    for row in tables["metstplus_sammlv_counts.csv"].itertuples(index=False):
        raw, full = [int(x) for x in row[2:5]], [int(x) for x in row[5:8]]
        methods.setdefault(row.decoder, {"selected": {}})["selected"][row.subject] = {
            "raw": raw,
            "full": full,
        }
    path = _place(folder, GLSD, *_of("metstplus_sammlv_counts.csv", GLSD))
    path.write_text(json.dumps({"methods": methods}))
    _pages(tables["metstplus_audit.csv"], folder)


def _pages(audit, folder):
    """The third party's three pages: the lines that are read, among others."""
    from metst_lib.evidence import audit as reader

    cells = {(row.dataset, row.what): row for row in audit.itertuples()}

    def line(cell, row, head=""):
        return f"| {head}{cell} | {row.tp} | {row.fp} | {row.fn} | 0.1 | 0.2 | 0.3 |"

    failures = ["# Audit", "", "Raw spotting is not this line: | raw spotting |"]
    for name, heading in reader._SETS.items():
        failures += [f"## 3. {heading}", ""]
        failures += [line(cell, cells[name, what]) for what, cell in reader._TOTALS.items()]
        removed = []
        for what, pattern in reader._KINDS.items():
            if (name, what) not in cells:
                continue
            number = cells[name, what].n
            if "removed：" in pattern:
                removed.append(number)
            else:
                failures.append(f"| {re.match(r'[-A-Za-z_]+', pattern)[0]} | {number} | 9.99% |")
        failures.append(f"- Neutral TP / FP removed：{removed[0]} / {removed[1]}")
    chosen = [line(cell, cells["sammlv", what]) for what, cell in reader._CHOSEN.items()]
    intervals = [line(cell, cells["sammlv", w], "SAMMLV | ") for w, cell in reader._INTERVALS.items()]
    texts = (failures, chosen, ["| CASME_3 | LVB | 1 | 2 | 3 | 0 |", *intervals])
    for path, lines in zip(_of("metstplus_audit.csv", GLSD), texts, strict=True):
        _place(folder, GLSD, path).write_text("\n".join(lines) + "\n", encoding="utf-8")
