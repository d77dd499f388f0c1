"""The paper's own numbers: as printed, and where they contradict each other."""

import pandas as pd
from paper import computed

from metst_lib.experiment import published


def test_published_tables_are_the_papers():
    assert [len(published.table(n)) for n in (1, 2, 3, 4, 5)] == [23, 8, 6, 8, 7]
    best = published.table(3).set_index("method").loc["ME-TST+"]
    assert (best.casme3_strs, best.sammlv_strs) == (0.0487, 0.1848)


def test_contradictions_follow_from_the_published_tables():
    pd.testing.assert_frame_equal(published.contradictions(), computed())
    found = published.contradictions().set_index("place")
    assert "0.1044" in found.loc["Table III, USTC-IAT-United", "elsewhere"]
    assert "0.0969" in found.loc["Table III, He et al.", "elsewhere"]
    assert "of precision 2/3 0.6787" in found.loc["Table IV, SAMM-LV, recognition, with", "elsewhere"]
    assert "LGSNet 0.0990" in found.loc["Sec. IV-C, spotting above all others", "elsewhere"]
    assert (
        "0.0851, 0.1221 against 0.1356" in found.loc["Table V, SAMM-LV, rows 3 and 4 against 2", "elsewhere"]
    )
    assert "858" in found.loc["Sec. IV-A, MEs of CAS(ME)³", "elsewhere"]
