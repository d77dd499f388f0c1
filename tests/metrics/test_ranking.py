"""Ranked candidates: curves and average precision by hand."""

import numpy as np
import pytest

from metst_lib.events import Event
from metst_lib.metrics import average_precision, per_minute, ranking

A, B = ("s1", "a"), ("s1", "b")
TRUTH = {A: [Event(0, 9), Event(50, 59)], B: [Event(20, 29)]}
HIT_0, HIT_50, HIT_20, ALARM = Event(0, 9), Event(50, 59), Event(20, 29), Event(80, 89)


def test_the_curve_counts_down_one_list_of_all_videos():
    curve = ranking({A: [(ALARM, 0.8), (HIT_0, 0.9), (HIT_50, 0.6)], B: [(HIT_20, 0.7)]}, TRUTH)
    assert curve.height.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.tp.tolist() == [1, 1, 2, 3] and curve.fp.tolist() == [0, 1, 1, 1]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])
    # Precision never falls below what a lower height reaches: 1 for the first third, 3/4 for the others.
    assert curve.average_precision == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)


def test_average_precision_of_false_alarms_first():
    ranked = {A: [(ALARM, 3.0), (HIT_0, 2.0)], B: [(HIT_20, 1.0)]}
    assert average_precision(ranked, TRUTH) == pytest.approx(2 / 3 * 2 / 3)  # two of three truths, at 2/3


def test_each_truth_serves_the_highest_candidate_that_reaches_it():
    ranked = {A: [(Event(0, 8), 1.0), (Event(0, 9), 2.0)], B: []}
    assert ranking(ranked, TRUTH).tp.tolist() == [1, 1]
    # A candidate whose best truth is taken goes on to the next one: 2…11 has 8/12 and 9/11.
    near = {A: [Event(0, 9), Event(3, 12)]}
    assert ranking({A: [(Event(3, 12), 2.0), (Event(2, 11), 1.0)]}, near).tp.tolist() == [1, 2]


def test_the_overlap_asked_for_decides():
    ranked = {A: [(Event(0, 6), 1.0)], B: []}  # 7/10 of 0…9
    assert [average_precision(ranked, TRUTH, iou) for iou in (0.3, 0.7, 0.71)] == [1 / 3, 1 / 3, 0]


def test_equal_heights_stay_in_the_order_given():
    one = ranking({A: [(HIT_0, 1.0), (ALARM, 1.0)], B: []}, TRUTH)
    other = ranking({A: [(ALARM, 1.0), (HIT_0, 1.0)], B: []}, TRUTH)
    assert one.tp.tolist() == [1, 1] and other.tp.tolist() == [0, 1]


def test_nothing_to_rank_and_nothing_true():
    assert average_precision({A: [], B: []}, TRUTH) == 0
    curve = ranking({A: [(ALARM, 1.0)]}, {A: []})
    assert curve.recall.tolist() == [0] and curve.average_precision == 0
    assert average_precision({}, {}) == 0


def test_false_alarms_per_minute():
    assert per_minute(10, frames=1800, fps=30) == 10  # one minute
    assert per_minute(np.array([0, 3]), frames=600, fps=200).tolist() == [0, 60]  # three seconds


def test_what_cannot_be_ranked_is_named():
    with pytest.raises(ValueError, match="video s1 b has a candidate of height nan"):
        ranking({A: [], B: [(HIT_20, float("nan"))]}, TRUTH)
    with pytest.raises(ValueError, match="video s1 b has no prediction"):
        ranking({A: []}, TRUTH)
    with pytest.raises(ValueError, match="one kind are ranked at a time, got macro, micro"):
        ranking({A: [(HIT_0, 1.0)]}, {A: [Event(0, 9, kind="macro")]})
