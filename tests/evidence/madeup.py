"""A made-up pack: every file, a few videos, numbers without any meaning."""

from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib.evidence import audit as reader
from metst_lib.evidence.authors import TEST_VIDEOS, K

VIDEOS = """dataset,subject,video,code,n_frames,fps
sammlv,006,006_1,,400,200
sammlv,006,006_2,,300,200
sammlv,021,021_3,,500,200
casme2sq,s15,disgust1,0101,120,30
casme2sq,s15,happy1,0502,200,30
casme2sq,s16,anger1,0401,150,30
"""
# Without rows of source 3: a blank line of the workbook.
TRUTH = """dataset,subject,video,kind,onset,offset,emotion,source_row
casme2sq,s15,disgust1,macro,20,59,negative,1
casme2sq,s15,happy1,macro,90,130,positive,4
casme2sq,s15,happy1,micro,40,51,positive,2
casme2sq,s16,anger1,macro,30,66,negative,6
casme2sq,s16,anger1,micro,80,92,negative,5
sammlv,006,006_1,macro,0,150,,4
sammlv,006,006_1,micro,210,280,surprise,3
sammlv,006,006_2,macro,20,120,,7
sammlv,021,021_3,micro,100,170,negative,8
sammlv,021,021_3,micro,300,377,others,6
"""
LGSNET = """epoch,subject,video,onset,offset,confidence
0,s15,happy1,39.500,52.250,0.9010
0,s15,disgust1,60.125,20.000,0.1003
1,s15,happy1,88.000,131.000,0.7123
0,s16,anger1,29.000,64.000,0.6120
"""
LGSNET_TRUTH = """subject,video,kind,onset,offset,n_frames
s15,disgust1,macro,21,60,120
s15,happy1,macro,91,131,200
s15,happy1,micro,41,52,200
s16,anger1,macro,31,67,150
s16,anger1,micro,81,93,150
"""
DMA = """dataset,feature,subject,video,true_onset,true_offset,onset,offset,iou,class
casme2sq,LBP,s15,happy1,41,52,40,52,0.923077,TP
casme2sq,LBP,s16,anger1,81,93,,,,FN
sammlv,LBP,006,006_1,211,281,,,,FN
sammlv,LBP,006,006_1,,,10,40,,FP
casme2sq,MDMO,s16,anger1,,,30,44,,FP
"""
SWEEP = """dataset,kind,p,tp,fp,fn
casme2sq,micro,0.5,2,9,1
casme2sq,micro,0.6,1,4,2
casme2sq,macro,0.6,1,2,2
"""
SUBJECTS = """dataset,kind,p,subject,tp,fp,fn
casme2sq,micro,0.6,s15,1,3,0
casme2sq,micro,0.6,s16,0,1,2
casme2sq,macro,0.6,s15,1,0,1
casme2sq,macro,0.6,s16,0,2,1
"""
SUBMISSION = """set,kind,video,onset,offset
castest,macro,sub01,10,46
castest,micro,sub02,100,112
sammtest,micro,001_2,20,94
"""
PEAKS = """decoder,subject,video,peak
G,006,006_1,35
G,021,021_3,19
G,021,021_3,48
EqualMean,006,006_1,35
"""
COUNTS = """decoder,subject,tp,fp,fn,tp_synergy,fp_synergy,fn_synergy
G,006,1,0,0,1,0,0
G,021,2,0,0,1,0,1
EqualMean,006,1,0,0,1,0,0
EqualMean,021,0,0,2,0,0,2
L,006,0,0,1,0,0,1
L,021,0,1,2,0,1,2
"""


def write(folder: Path) -> Path:
    """Write the pack into `folder`; returns it."""
    files = {
        "videos.csv": VIDEOS,
        "truth.csv": TRUTH,
        "lgsnet_casme2sq.csv": LGSNET,
        "lgsnet_casme2sq_truth.csv": LGSNET_TRUTH,
        "dma.csv": DMA,
        "slswin_published_p_sweep.csv": SWEEP,
        "slswin_published_per_subject.csv": SUBJECTS,
        "slswin_megc2022_submission.csv": SUBMISSION,
        "metstplus_sammlv_peaks.csv": PEAKS,
        "metstplus_sammlv_counts.csv": COUNTS,
        "metstplus_audit.csv": _audit(),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    rng = np.random.default_rng(0)
    lengths = {tuple(line.split(",")[:3]): int(line.split(",")[4]) for line in VIDEOS.splitlines()[1:]}
    labelled = {tuple(line.split(",")[:4]) for line in TRUTH.splitlines()[1:]}
    for (name, kind), k in K.items():
        curves = {
            f"{subject}/{video}": rng.random(n - k, dtype=np.float32)
            for (dataset, subject, video), n in lengths.items()
            if dataset == name and (name, subject, video, kind) in labelled
        }
        np.savez(folder / f"slswin_{name}_{kind}.npz", **curves)
    test = {
        f"{part}/{kind}/{video}": rng.random(400, dtype=np.float32)
        for part, names in TEST_VIDEOS.items()
        for kind in ("micro", "macro")
        for video in names
    }
    np.savez(folder / "slswin_megc2022_test.npz", **test)
    return folder


def _audit() -> str:
    """Its rows as a whole pack has them, CAS(ME)³ with one kind of miss that SAMM-LV has not."""
    rows = [(name, what, *paper, *paper, "") for (name, what), paper in reader.PAPER.items()]
    rows += [("sammlv", what, 5, 6, 7, *[""] * 4) for what in (*reader._CHOSEN, *reader._INTERVALS)]
    for name in ("sammlv", "casme3"):
        whats = [what for what in reader._KINDS if name == "casme3" or what != "miss: other"]
        rows += [(name, what, *[""] * 6, i + 1) for i, what in enumerate(whats)]
    columns = ["dataset", "what", "tp", "fp", "fn", "paper_tp", "paper_fp", "paper_fn", "n"]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n")
