"""The paper's contradictions, computed from its own published tables."""

from collections.abc import Mapping

import pandas as pd

from metst_lib import metrics
from metst_lib.experiment.published import THEIRS, TITLES, details, table


def computed() -> pd.DataFrame:
    """What the paper prints beside what its own numbers give: columns place, printed, elsewhere, remark.

    What can be computed is computed from the published tables; the rest is quoted from the text.
    """
    rows = [*_text_against_tables(), *_misprints(), *_claims()]
    return pd.DataFrame(rows, columns=["place", "printed", "elsewhere", "remark"])


def _text_against_tables() -> list[tuple[str, str, str, str]]:
    best = table(2).set_index("method").loc["ME-TST+"]
    detail = details()
    recall, total = (detail["CASME3", "yes", task] for task in ("recognition", "spotting"))
    return [
        (
            "Sec. IV-D, ME-TST+ on CAS(ME)³",
            "UF1 0.5151, UAR 0.4930",
            f"Table II: {best.uf1:.4f}, {best.uar:.4f}",
            "text and table differ",
        ),
        (
            "Table II, UAR of four classes",
            f"{best.uar:.4f}",
            f"Table IV, recall of three classes: {recall['recall']:.4f}",
            "one number, two protocols",
        ),
        ("Sec. IV-A, MEs of CAS(ME)³", "860", f"Table IV: {total['total']}", "two are lost on the way"),
        ("Sec. IV-A, macro-expressions of CAS(ME)³", "3342", "owners' workbook: 3346", "four more"),
    ]


def _misprints() -> list[tuple[str, str, str, str]]:
    detail, three = details(), table(3).set_index("method")
    with_, without = (detail["SAMMLV", synergy, "recognition"] for synergy in ("yes", "no"))
    rows = [
        (
            "Table IV, SAMM-LV, recognition, with",
            f"precision {with_['precision']:.4f}, F1 {with_['f1']:.4f}",
            f"F1 {metrics.harmonic_mean(with_['precision'], with_['recall']):.4f}; of precision 2/3 "
            f"{metrics.harmonic_mean(2 / 3, with_['recall']):.4f}",
            "must be 0.6667",
        ),
        (
            "Table IV, SAMM-LV, recognition, without",
            f"precision {without['precision']:g}",
            f"11/18 = {11 / 18:.4f}",
            "cut, not rounded",
        ),
    ]
    for method in ("USTC-IAT-United", "He et al."):
        strs, spot, recog = three.loc[
            method, [f"sammlv_{name}" for name in ("strs", "spotting_f1", "recognition_f1")]
        ]
        product = f"{spot:.2f} × {recog:.2f} = {spot * recog:.4f}"
        rows.append((f"Table III, {method}", f"STRS {strs:.2f}", product, "not Eq. 7; a challenge scorer"))
    return rows


def _claims() -> list[tuple[str, str, str, str]]:
    detail = details()
    spotting = {
        name: [detail[name.upper(), synergy, "spotting"] for synergy in ("no", "yes")] for name in THEIRS
    }
    known = table(1).dropna(subset="casme3").set_index("method").casme3
    strs = table(5).set_index("row").sammlv_strs
    return [
        (
            "Sec. IV-C, spotting above all others",
            f"ME-TST+ on CAS(ME)³ {known['ME-TST+']:.4f}",
            f"Table I: {known.idxmax()} {known.max():.4f}",
            "holds among methods that do both tasks",
        ),
        (
            "Sec. IV-E, precision near recall on both sets",
            "“closely matched”",
            _each({name: f"{on['precision']:.3f}, {on['recall']:.3f}" for name, (_, on) in spotting.items()}),
            "holds on one",
        ),
        (
            "Table V, SAMM-LV, rows 3 and 4 against 2",
            "one part more",
            f"STRS {strs[3]:.4f}, {strs[4]:.4f} against {strs[2]:.4f}",
            "lower; result-level synergy is missing too",
        ),
        (
            "Sec. IV-F, joint gain above the sum of its parts",
            f"SAMM-LV, rows 5 to 7: STRS {strs[7] - strs[5]:+.4f}",
            f"{strs[6] - strs[5]:+.4f} and {strs[7] - strs[6]:+.4f}",
            "steps add up; no row has the result level alone",
        ),
    ]


def _each(values: Mapping[str, str]) -> str:
    return "; ".join(f"{TITLES[name]} {value}" for name, value in values.items())
