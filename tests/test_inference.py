"""How sure a score is: by hand, against counting all exchanges, and by coverage on drawn subjects."""

import itertools
from math import exp, log, sqrt
from statistics import pvariance

import numpy as np
import pytest
from toys import random_case

from metst_lib.events import Event
from metst_lib.inference import Difference, Interval, holm, interval, interval_of, limits, paired
from metst_lib.metrics import MEASURES, evaluate

A = ("s1", "a")
THREE = [[2, 1, 1], [1, 2, 0], [3, 0, 2]]  # F1 12/18; without each subject 8/12, 10/14, 6/10
T2 = 4.302652729749462  # Student's t, 2 degrees of freedom, 97.5 %


def f1(counts):
    tp, fp, fn = np.sum(counts, axis=0)
    return 2 * tp / (2 * tp + fp + fn)


def counts_of(scores):
    parts = [part.spotting for _, part in sorted(scores.by_subject.items())]
    return np.array([(c.tp, c.fp, c.fn) for c in parts])


def test_the_interval_of_three_subjects_by_hand():
    found = interval(THREE)
    left = [log(2), log(2.5), log(1.5)]  # logits of 8/12, 10/14, 6/10
    half = T2 * sqrt(2 * pvariance(left))
    assert found.value == 12 / 18 and found.level == 0.95
    assert found.low == pytest.approx(1 / (1 + exp(half - log(2))))
    assert found.high == pytest.approx(1 / (1 + exp(-half - log(2))))
    narrow = interval(THREE, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_where_one_subject_has_all_hits_the_interval_is_taken_without_the_logit_and_cut():
    counts = [[2, 1, 1], [0, 1, 1], [0, 1, 1]]  # F1 .4; 0 without the first, 4/8 without another
    half = T2 * sqrt(2 * pvariance([0, 0.5, 0.5]))
    assert 0.4 - half < 0 and 0.4 + half > 1
    assert interval(counts) == Interval(0.4, 0, 1)
    wide = interval(counts, level=0.5)  # t = .8165
    half = 0.816496580927726 * sqrt(2 * pvariance([0, 0.5, 0.5]))
    assert (wide.low, wide.high) == pytest.approx((0.4 - half, 0.4 + half))


def test_without_any_hit_the_interval_ends_where_so_many_subjects_would_rarely_have_none():
    none, every = interval([[0, 3, 2]] * 8), interval([[4, 0, 0]] * 8)
    assert (none.value, none.low, every.value, every.high) == (0, 0, 1, 1)
    assert (1 - none.high) ** 8 == pytest.approx(0.025)  # eight subjects without a hit
    assert every.low == pytest.approx(1 - none.high)
    assert interval([[0, 0, 0]] * 2).value == 0


def test_a_like_for_every_subject_has_no_spread():
    found = interval([[2, 1, 3]] * 5)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_of_several_replicates_whole_ones_are_left_out():
    counts = np.random.default_rng(0).integers(0, 6, (4, 7, 3))
    found, of_sums = interval(counts), interval(counts.sum(axis=1))
    assert found.value == pytest.approx(f1(counts.reshape(-1, 3)))
    assert (found.low, found.high) == pytest.approx((of_sums.low, of_sums.high))
    assert interval(counts[:1]) == interval(counts[0])


def test_every_measure_of_scores_has_an_interval_about_its_value():
    scores = evaluate(*random_case(1, subjects=10))
    for name in MEASURES:
        found = interval_of(scores, name)
        assert found.value == pytest.approx(scores.measure(name))
        assert 0 < found.low < found.value < found.high < 1
    assert interval_of(scores) == interval_of(scores, "strs")
    assert interval_of(scores, "spotting.f1") == interval(counts_of(scores))


def test_seeds_are_averaged_and_replicates_pooled():
    (p1, truth), (p2, _) = random_case(4), random_case(4)
    one = evaluate(p1, truth)
    two = evaluate({key: found[:-1] for key, found in p2.items()}, truth)
    both = interval_of([one, two])
    assert both.value == pytest.approx((one.strs + two.strs) / 2)
    replicates = [[one, two], [two, one], [one, one]]
    pooled = [[counts_of(seeds[k]) for seeds in replicates] for k in (0, 1)]
    value = np.mean([f1(np.concatenate(of_seed)) for of_seed in pooled])
    assert interval_of(replicates, "spotting.f1").value == pytest.approx(value)
    assert interval_of([[one], [two], [one]], "spotting.f1") == interval(
        np.array([counts_of(s) for s in (one, two, one)])
    )


# ------------------------------------------------------------------------------------------ differences


def test_a_paired_difference_by_hand():
    other = [[1, 1, 2], [1, 1, 0], [2, 0, 3]]  # F1 8/15; without each subject 6/10, 6/12, 4/8
    found = paired(THREE, other)
    left = [8 / 12 - 6 / 10, 10 / 14 - 6 / 12, 6 / 10 - 4 / 8]
    half = T2 * sqrt(2 * pvariance(left))
    assert found.value == pytest.approx(12 / 18 - 8 / 15)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_p_is_the_share_of_all_exchanges_with_as_large_a_difference():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, (2, 7, 3)) + np.array([[[1, 0, 0]], [[0, 0, 0]]])
    seen, large = f1(a) - f1(b), 0
    for swap in itertools.product([False, True], repeat=7):
        x, y = np.where(np.array(swap)[:, None], b, a), np.where(np.array(swap)[:, None], a, b)
        large += abs(f1(x) - f1(y)) >= abs(seen) - 1e-12
    assert 2 < large < 128
    one, other = paired(a, b), paired(b, a)
    assert one.p == other.p == large / 128
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_beyond_twelve_subjects_exchanges_are_drawn_by_the_seed():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, (2, 15, 3)) + np.array([[[1, 0, 0]], [[0, 0, 0]]])
    one, again, other = (paired(a, b, seed=seed).p for seed in (1, 1, 2))
    assert one == again != other and one == pytest.approx(other, abs=0.02)
    always = paired([[5, 0, 0]] * 15, [[3, 0, 2]] * 15)
    assert (always.low, always.high) == pytest.approx((0.25, 0.25)) and always.p < 0.001


def test_a_paired_difference_is_tighter_than_two_intervals_suggest():
    predicted, truth = random_case(5, subjects=12)
    scores = evaluate(predicted, truth)
    # The same predictions, less one false alarm each: better for every subject.
    worse = {key: [*found, Event(300, 310)] for key, found in predicted.items()}
    difference = paired(scores, evaluate(worse, truth))
    assert 0 < difference.low < difference.value < difference.high and difference.p == 2 / 2**12
    alone = interval_of(scores, "spotting.f1")
    assert difference.high - difference.low < (alone.high - alone.low) / 2
    nothing = paired(scores, scores, measure="strs")
    assert (nothing.low, nothing.value, nothing.high, nothing.p) == (0, 0, 0, 1)


def test_of_fewer_than_seven_units_p_is_students():
    other = [[1, 1, 2], [1, 1, 0], [2, 0, 3]]
    left = [8 / 12 - 6 / 10, 10 / 14 - 6 / 12, 6 / 10 - 4 / 8]
    t = (12 / 18 - 8 / 15) / sqrt(2 * pvariance(left))
    assert paired(THREE, other).p == pytest.approx(1 - t / sqrt(2 + t**2))  # two degrees of freedom
    assert paired(THREE, THREE).p == 1
    # Alike in each of three: no spread, so that only the exchanges tell, 2 of 8 ways.
    assert paired([[5, 0, 0]] * 3, [[3, 0, 2]] * 3).p == 2 / 8


def test_exchanges_of_groups_are_exact_too():
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 5, (2, 2, 8, 3))  # two replicates of four pairs: eight units
    groups = a.reshape(8, 2, 3).sum(axis=1), b.reshape(8, 2, 3).sum(axis=1)
    seen, large = f1(groups[0]) - f1(groups[1]), 0
    for swap in itertools.product([False, True], repeat=8):
        x, y = (np.where(np.array(swap)[:, None], *sides) for sides in (groups[::-1], groups))
        large += abs(f1(x) - f1(y)) >= abs(seen) - 1e-12
    assert paired(a, b, units=[0, 0, 1, 1, 2, 2, 3, 3]).p == large / 256


# ------------------------------------------------------------------------------------------------- units


def test_units_are_left_out_whole_and_apart_in_each_replicate():
    counts = np.random.default_rng(0).integers(0, 6, (3, 4, 3))
    pairs = counts.reshape(6, 2, 3).sum(axis=1)
    found, of_sums = interval(counts, units=["x", "x", "y", "y"]), interval(pairs)
    assert (found.value, found.low, found.high) == pytest.approx((of_sums.value, of_sums.low, of_sums.high))
    each = interval(counts, units=range(4))
    assert each == interval(counts.reshape(12, 3)) != interval(counts)


def test_units_of_scores_go_by_the_subjects_names():
    scores = evaluate(*random_case(1, subjects=8))
    names = sorted(scores.by_subject)
    groups = {name: number // 2 for number, name in enumerate(names)}
    found = interval_of(scores, "spotting.f1", units=groups)
    summed = interval(counts_of(scores).reshape(4, 2, 3).sum(axis=1))
    assert (found.low, found.high) == pytest.approx((summed.low, summed.high))
    assert paired(scores, scores, units=groups).p == 1
    with pytest.raises(ValueError, match=f"units and subjects do not fit: {names[0]}$"):
        interval_of(scores, units={name: 0 for name in names[1:]})
    with pytest.raises(ValueError, match="units and subjects do not fit: 7"):
        interval(counts_of(scores), units=range(7))
    with pytest.raises(ValueError, match="at least two units"):
        interval_of(scores, units=dict.fromkeys(names, 0))


def test_counts_with_their_confusion_give_what_scores_give():
    one, two = (evaluate(*random_case(seed, subjects=6)) for seed in (1, 2))
    seeds = [
        [
            [part.spotting.tp, part.spotting.fp, part.spotting.fn, *np.ravel(part.confusion[:3])]
            for _, part in sorted(run.by_subject.items())
        ]
        for run in (one, two)
    ]
    counts = np.array(seeds)[:, None]  # (seeds, one replicate, subjects, 18)
    for name in MEASURES:
        assert interval(counts, measure=name) == interval_of([one, two], name)
    assert paired(counts[0], counts[1], measure="strs") == paired(one, two, measure="strs")


# --------------------------------------------------------------------------- many comparisons, equivalence


def test_holm_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, the last not below .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1, 1] and holm([0.04]) == [0.04] and holm([]) == []
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    for odd in (-0.1, 1.2, float("nan")):
        with pytest.raises(ValueError, match=f"p lies between 0 and 1, not {odd}"):
            holm([0.5, odd])


def test_alike_is_shown_only_where_the_90_percent_interval_lies_inside():
    assert Difference(0.005, -0.02, 0.03, inner=(-0.019, 0.0199)).within()
    assert not Difference(0.005, -0.02, 0.03, inner=(-0.01, 0.02)).within()  # at the limit itself
    assert not Difference(0, 0, 0, inner=(-0.03, 0.01)).within() and not Difference(0, 0, 0).within()
    assert Difference(0, 0, 0, inner=(-0.03, 0.01)).within(0.05)
    for odd in (0, -0.02, float("nan")):
        with pytest.raises(ValueError, match="a limit above 0 is wanted"):
            Difference(0, 0, 0).within(odd)


def test_the_interval_of_equivalence_is_that_of_90_percent_whatever_the_level():
    other = [[1, 1, 2], [1, 1, 0], [2, 0, 3]]
    wide, inner = paired(THREE, other, level=0.99), paired(THREE, other, level=0.90)
    assert wide.inner == paired(THREE, other).inner == (inner.low, inner.high)
    assert wide.low < inner.low < inner.high < wide.high


def test_where_neither_has_a_hit_nothing_says_that_they_are_alike():
    found = paired([[0, 3, 2]] * 8, [[0, 1, 2]] * 8)
    assert (found.value, found.p) == (0, 1) and not found.within(0.3)
    assert (1 - found.high) ** 8 == pytest.approx(0.025) and found.low == -found.high
    assert paired([[2, 1, 1]] * 8, [[2, 1, 1]] * 8).within(1e-9)


def test_of_few_hits_no_recognition_is_told_and_strs_stays_below_f1():
    counts = np.zeros((6, 18), dtype=int)
    counts[:, :3], counts[:, 3], counts[:, 9] = [3, 1, 2], [1, 2, 1, 2, 1, 2], 1  # 15 scored hits
    found, strs = interval(counts, measure="recognition.uf1"), interval(counts, measure="strs")
    assert (found.low, found.high) == (0, 1) and 0 < found.value < 1
    assert (strs.low, strs.high) == (0, interval(counts).high)
    told = interval(counts * 2, measure="recognition.uf1")
    assert 0 < told.low < told.value == found.value < told.high < 1


# --------------------------------------------------------------------------------------------- coverage


def test_intervals_of_eight_subjects_hold_the_truth_as_often_as_they_say_unlike_the_bootstraps():
    # 1 + Poisson(6) MEs, hit rate Beta(4, 3), false alarms Poisson of a Gamma(2, 1) rate: F1 = 8/13.
    rng, studies, subjects = np.random.default_rng(0), 2500, (2500, 8)
    truths = 1 + rng.poisson(6, subjects)
    hits = rng.binomial(truths, rng.beta(4, 3, subjects))
    counts = np.stack([hits, rng.poisson(rng.gamma(2, 1, subjects)), truths - hits], axis=-1)
    _, low, high = found = limits(counts.astype(float)[None], "spotting.f1")
    assert 0.935 <= np.mean((low <= 8 / 13) & (8 / 13 <= high)) <= 0.97
    assert interval(counts[7]) == Interval(*found[:, 7])
    draws = rng.multinomial(8, np.full(8, 1 / 8), 400)
    tp, fp, fn = np.moveaxis(draws @ counts, -1, 0)
    low, high = np.quantile(2 * tp / (2 * tp + fp + fn), [0.025, 0.975], axis=1)
    assert low.shape == (studies,) and np.mean((low <= 8 / 13) & (8 / 13 <= high)) < 0.91


# -------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2, 3], r"expected counts \(subjects, 3 or 18\), replicates and seeds before, got \(3,\)"),
        ([[1, 2]], r"got \(1, 2\)"),
        ([[1.5, 2, 3], [1, 2, 3]], "whole numbers from 0 up"),
        ([[1, -2, 3], [1, 2, 3]], "whole numbers from 0 up"),
        ([[1, 2, 3]], "at least two subjects"),
    ],
)
def test_counts_that_are_none_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        interval(counts)
    with pytest.raises(ValueError, match=message):
        paired(counts, counts)


def test_scores_that_do_not_belong_together_are_refused():
    predicted, truth = random_case(5, subjects=3)
    scores = evaluate(predicted, truth)
    keys = [key for key in truth if key[0] != "s2"]
    fewer = evaluate({key: predicted[key] for key in keys}, {key: truth[key] for key in keys})
    with pytest.raises(ValueError, match="do not share their subjects: s2"):
        paired(scores, fewer)
    with pytest.raises(ValueError, match="do not share their subjects: s2"):
        interval_of([scores, fewer])
    with pytest.raises(ValueError, match="do not share their subjects: 2"):
        paired(THREE, THREE[:2])
    with pytest.raises(ValueError, match="at least two subjects"):
        interval_of(evaluate({A: []}, {A: [Event(0, 9)]}))
    with pytest.raises(ValueError, match="different scorers: released, strict"):
        interval_of([scores, evaluate(predicted, truth, "released")])
    for odd in (evaluate(predicted, truth, "released"), [scores, scores]):
        with pytest.raises(ValueError, match="different scorers, or have different numbers of seeds"):
            paired(scores, odd)
    with pytest.raises(ValueError, match="different numbers of seeds"):
        interval_of([[scores], [scores, scores]])
    with pytest.raises(ValueError, match=r"unknown measure 'f1'; known: spotting\.precision"):
        interval_of(scores, "f1")
    for nothing in ([], [[]]):
        with pytest.raises(ValueError, match="no scores"):
            interval_of(nothing)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ValueError, match="a level between 0 and 1"):
        interval([[1, 2, 3], [2, 1, 0]], level)


def test_counts_say_nothing_of_recognition():
    with pytest.raises(ValueError, match="say nothing of strs"):
        paired([[1, 2, 3], [2, 1, 0]], [[1, 1, 1], [2, 1, 0]], measure="strs")
