"""Counts of each subject: the committed table, and intervals that are borrowed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metst_lib.evidence import check, counts
from metst_lib.metrics import Counts


def test_the_committed_counts_add_up_to_what_is_published():
    table = counts.table()

    def total(**where):
        return Counts(*counts.array(table, **where).sum(axis=0).tolist())

    for (dataset, kind), printed in check.PRINTED.items():
        found = total(method="SL-Swin", dataset=dataset, kind=kind, decoder=counts.THEIRS)
        assert found == printed
    for decoder, reported in check.REPORTED.items():
        assert total(method="ME-TST+", decoder=f"third party's {decoder}") == reported
    assert total(method="LGSNet", decoder=counts.THEIRS) == check.HEADLINE
    dma = {"method": "DMA LBP", "dataset": "sammlv", "videos": counts.ALL}
    assert total(**dma).f1 == pytest.approx(0.0423, abs=5e-5)
    assert total(**dma | {"videos": counts.LABELLED}).f1 == pytest.approx(0.0654, abs=5e-5)


def test_third_parties_are_named_as_such():
    table = counts.table()
    assert set(table.loc[table["method"] == "ME-TST+", "whose"]) == {check.THIRD}
    assert set(table.loc[table["method"] != "ME-TST+", "whose"]) == {check.AUTHORS}
    assert list(table) == list(counts.COLUMNS)


def test_counts_that_are_not_of_one_run_are_refused():
    with pytest.raises(ValueError, match="hold a subject twice"):
        counts.array(counts.table(), method="SL-Swin")
    with pytest.raises(ValueError, match="no counts with method 'nobody'"):
        counts.array(counts.table(), method="nobody")


def test_equal_subjects_are_taken_as_independent_events():
    # By hand: TP 20 of 40, FP 60: (1/20 + 1/80)² · 10 + 60/80² = .0390625 + .009375.
    same = np.tile([5, 15, 5], (4, 1))
    assert counts.dispersion(same) == 1.0
    assert counts._independent(Counts(20, 60, 20)) == pytest.approx(0.0484375)
    found = counts.borrowed(Counts(20, 60, 20), same)
    # logit of 1/3 is −.693147; t of 3 degrees 3.182446 times the root of the variance is .700407.
    assert found.value == pytest.approx(1 / 3)
    assert (found.low, found.high) == pytest.approx((0.19884, 0.50182), abs=1e-5)


def test_the_jackknife_of_two_subjects_by_hand():
    # Without the first 2·8/(10 + 2), without the second 2·2/(20 + 8): logs .287682 and −1.945910.
    found = counts.dispersion(np.array([[2, 20, 8], [8, 10, 2]]))
    spread = 0.5 * 2 * ((0.287682 + 1.945910) / 2) ** 2
    assert found == pytest.approx(spread / counts._independent(Counts(10, 30, 10)), rel=1e-5)


@given(st.integers(1, 60), st.integers(1, 300), st.integers(1, 200))
def test_a_borrowed_interval_holds_its_value_and_lies_in_0_to_1(tp, fp, fn):
    like = counts.array(counts.table(), method="ME-TST+", decoder="third party's G")
    found = counts.borrowed(Counts(tp, fp, fn), like)
    assert 0 < found.low < found.value < found.high < 1


def test_the_wider_the_spread_over_subjects_the_wider_the_interval():
    alike, apart = np.tile([5, 15, 5], (4, 1)), np.array([[17, 5, 1], [1, 20, 7], [1, 18, 5], [1, 17, 7]])
    totals = Counts(20, 60, 20)
    assert counts.dispersion(apart) > 2
    assert counts.borrowed(totals, apart).high > counts.borrowed(totals, alike).high


def test_totals_that_allow_no_interval_are_refused():
    with pytest.raises(ValueError, match="no interval for 0 hits"):
        counts.borrowed(Counts(0, 5, 5), np.tile([5, 15, 5], (4, 1)))
    with pytest.raises(ValueError, match="one subject holds all hits"):
        counts.dispersion(np.array([[3, 1, 1], [0, 1, 1]]))
    with pytest.raises(ValueError, match="two subjects or more"):
        counts.dispersion(np.array([[3, 1, 1]]))


def test_an_f1_without_totals_borrows_truths_and_predictions():
    assert counts.totals_of(0.2723, Counts(52, 171, 107)) == Counts(52, 171, 107)
    found = counts.totals_of(0.1331, Counts(52, 171, 107))
    assert found == Counts(25, 198, 134) and found.f1 == pytest.approx(0.1331, abs=0.003)
    with pytest.raises(ValueError, match="not to be had"):
        counts.totals_of(0.95, Counts(1, 2, 300))
