"""The table of decoders, what it allows to say, and what stays of it where only one source is at hand."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_decoding import made_up

import metst_lib.study
from metst_lib import inference
from metst_lib.evidence import pack
from metst_lib.study import decoders
from metst_lib.study.decoding import DECODERS, PAPER
from metst_lib.synthetic import replicates

FEW = ("prominence .5", "whole windows only", "mean of the seeds")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few decoders: what each does is tested beside them."""
    monkeypatch.setattr(decoders, "DECODERS", {name: DECODERS[name] for name in (PAPER, *FEW)})


@pytest.fixture(scope="module")
def named():
    """Two rows of the study, of one with two seeds, on two replicates; two real sets and one of macros."""
    one, two = made_up(), made_up(seeds=2, name="two seeds")
    later = [replace(of, minutes=3.0, groups=of.groups) for of in (one, two)]
    macro = {k: [replace(e, kind="macro", emotion=None) for e in of] for k, of in one.truth.items()}
    real = [replace(one, name=name, source="real") for name in ("A", "B")]
    rule = replace(one.rule, kind="macro")
    real.append(replace(real[0], name="M", rule=rule, truth=macro))
    return [[one, later[0]], [two, later[1]], *([of] for of in real)]


@pytest.fixture(scope="module")
def table(named):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoders, "DECODERS", {name: DECODERS[name] for name in (PAPER, *FEW)})
        return decoders.table(iter(named))


def line(table, curves, decoder):
    (row,) = table[(table["curves"] == curves) & (table["decoder"] == decoder)].itertuples()
    return row


def test_a_line_holds_counts_rates_and_the_difference_to_the_papers_rule(named, table):
    scores = [
        [reading.decoded(DECODERS[name])[0] for reading in named[1][0].readings] for name in (FEW[0], PAPER)
    ]
    row, (ours, papers) = line(table, "two seeds", FEW[0]), scores
    assert (row.replicates, row.runs, row.subjects) == (2, 2, 8)
    assert row.fp == sum(run.spotting.fp for run in ours)  # two replicates of it, mean over two seeds
    assert row.fp_per_minute == row.fp / 4
    expected = inference.paired([ours, ours], [papers, papers])
    assert (row.difference, row.difference_low, row.p) == (expected.value, expected.low, expected.p)
    paper = line(table, "two seeds", PAPER)
    assert paper.f1 + row.difference == pytest.approx(row.f1) and np.isnan(paper.difference)


def test_the_mean_curve_has_a_line_only_where_there_are_seeds(table):
    assert set(table[table["decoder"] == "mean of the seeds"]["curves"]) == {"two seeds", "all rows"}
    # of all rows it is held against the paper's rule on those same rows
    alone, every = (line(table, name, "mean of the seeds") for name in ("two seeds", "all rows"))
    assert every.difference == pytest.approx(alone.difference) and alone.difference != 0


def test_the_study_decides_by_the_mean_over_its_rows_and_real_sets_by_all_their_subjects(table):
    rows = [line(table, name, FEW[0]) for name in ("made up", "two seeds")]
    every = line(table, "all rows", FEW[0])
    assert every.decides and every.runs == 3 and every.replicates == 2
    assert every.difference == pytest.approx((rows[0].difference + 2 * rows[1].difference) / 3)
    both, a, b = (line(table, name, FEW[0]) for name in ("both ME sets", "A", "B"))
    assert (both.tp, both.fp, both.fn) == (a.tp + b.tp, a.fp + b.fp, a.fn + b.fn) and both.subjects == 8
    assert table[table["decides"]]["kind"].eq("micro").all()


def test_rows_of_the_study_with_other_replicates_are_not_pooled(named):
    with pytest.raises(ValueError, match="rows of the study have different replicates"):
        decoders.table([named[0], named[1][:1]])


def lines(**differences):
    """A table that decides: decoder → differences with their reach, of the study, of real MEs, of macros."""
    rows = []
    for decoder, triple in differences.items():
        for source, kind, told in zip(
            ("study", "real", "real"), ("micro", "micro", "macro"), triple, strict=True
        ):
            if told:
                row = {"source": source, "kind": kind, "decides": kind == "micro", "decoder": FEW_BY[decoder]}
                value, reach = told
                ends = {
                    "difference": value,
                    "difference_low": value - reach,
                    "difference_high": value + reach,
                }
                rows.append(row | {"curves": kind} | ends)
    return pd.DataFrame(rows)


FEW_BY = {"prominence": FEW[0], "whole": FEW[1], "seeds": FEW[2]}
UP, DOWN, OPEN = (0.02, 0.01), (-0.04, 0.03), (0.02, 0.03)


def test_a_rule_that_gains_on_both_is_adopted_and_its_harm_to_macros_is_told():
    made = lines(prominence=(UP, UP, DOWN), whole=(UP, OPEN, None), seeds=(DOWN, None, None))
    found = decoders.gains(made)
    assert found.loc[FEW[0]].tolist() == ["gains", "gains", True]
    assert found.loc[FEW[1]].tolist() == ["gains", "no difference seen", False]
    assert found.loc[FEW[2]].tolist() == ["loses", "not measured", False]
    said = decoders.verdict(made)
    assert said.startswith(
        "Adopted beside the paper's rule: prominence .5, which gains +0.020 [+0.010, +0.030]"
    )
    assert "not for macro-expressions, where it loses (macro -0.040 [-0.070, -0.010])" in said
    assert "On the synthetic study alone gains: whole windows only +0.020" in said
    assert "On the synthetic study loses: mean of the seeds -0.040" in said


@pytest.mark.parametrize("pair", [(UP, OPEN), (OPEN, UP), (UP, DOWN), (DOWN, UP), (OPEN, OPEN)])
def test_a_gain_on_one_source_adopts_nothing(pair):
    made = lines(prominence=(*pair, None))
    assert not decoders.gains(made)["adopted"].any()
    assert decoders.verdict(made).startswith("No rule gains on both")


def test_without_one_source_nothing_is_decided():
    said = decoders.verdict(lines(prominence=(None, UP, DOWN)))
    assert said == "Nothing is decided: there are no numbers of the synthetic study."


def test_lines_of_the_source_that_is_not_at_hand_stay(table, tmp_path):
    study, real = (table[table["source"] == source] for source in ("study", "real"))
    decoders.write(tmp_path, real)
    whole = decoders.write(tmp_path, study)
    assert whole["source"].tolist() == ["study"] * len(study) + ["real"] * len(real)
    again = decoders.write(tmp_path, real.iloc[:4])
    assert len(again) == len(study) + 4
    page = (tmp_path / "decoders.md").read_text("utf-8")
    assert decoders.verdict(again) in page and "| two seeds (synthetic study)" in page
    assert decoders.read(tmp_path / "none") is None


def test_curves_of_the_study_come_with_their_groups_and_truth(monkeypatch, tmp_path):
    drawn = replicates.replicate(1)
    few = [video for video in drawn.videos if video.subject in ("s01", "s05")]
    small = SimpleNamespace(
        videos=few, truth={v.key: v.events for v in few}, groups=(("s01",), ("s05",)), number=1
    )
    asked, seen = [], object()
    edition = SimpleNamespace(
        curves=lambda root, name: asked.append(name) or {v.key: seen for v in few},
        seeds=lambda row: range(2),
        identity=lambda name: {"difficulty": "abc"},
    )
    monkeypatch.setattr(metst_lib.study, "edition", edition, raising=False)
    monkeypatch.setattr(replicates, "replicate", lambda number: small)
    ((one, two),) = decoders.synthetic(tmp_path, ["me-tst"], (1, 2))
    assert asked == [(1, "me-tst", 0), (1, "me-tst", 1), (2, "me-tst", 0), (2, "me-tst", 1)]
    assert one.groups == {"s01": "0", "s05": "1"} and one.difficulty == "abc" and len(two.seeds) == 2
    assert {e.kind for of in one.truth.values() for e in of} == {"micro"}
    assert one.minutes == pytest.approx(sum(v.n_frames for v in few) / few[0].fps / 60)


def test_real_curves_give_the_known_counts():
    if not os.environ.get("METST_EVIDENCE"):
        pytest.skip("set METST_EVIDENCE to the folder of the pack (metst evidence convert makes it)")
    found = decoders.table(decoders.real(pack.there()))
    known = {
        ("SAMM-LV micro", PAPER): (37, 534, 122),
        ("SAMM-LV micro", FEW[0]): (23, 244, 136),
        ("CAS(ME)² macro", PAPER): (78, 305, 220),
        ("both ME sets", FEW[0]): (38, 415, 178),
    }
    for where, counts in known.items():
        row = line(found, *where)
        assert (row.tp, row.fp, row.fn) == counts
