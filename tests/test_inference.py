"""How sure a score is."""

import pytest
from toys import random_case

from metst_lib.events import Event
from metst_lib.inference import bootstrap, compare
from metst_lib.metrics import MEASURES, Counts, evaluate

A = ("s1", "a")


def ev(onset, offset, emotion="negative"):
    return Event(onset, offset, emotion=emotion)


def test_the_bootstrap_interval_holds_the_value_and_follows_its_seed():
    scores = evaluate(*random_case(1, subjects=10))
    one, again, other = (bootstrap(scores, n=300, seed=seed) for seed in (1, 1, 2))
    assert list(one) == list(MEASURES) and one == again != other
    for name in MEASURES:
        assert one[name].value == pytest.approx(scores.measure(name))
        assert one[name].low < one[name].value < one[name].high
    narrow = bootstrap(scores, n=300, seed=1, level=0.5)["strs"]
    assert one["strs"].low < narrow.low < narrow.high < one["strs"].high


def test_the_bootstrap_resamples_whole_subjects():
    predicted, truth = random_case(2, subjects=2)
    scores = evaluate(predicted, truth)
    # Two subjects: a draw holds the first twice, the second twice, or both.
    possible = set()
    for subjects in (("s0", "s0"), ("s0", "s1"), ("s1", "s1")):
        parts = [scores.by_subject[s].spotting for s in subjects]
        possible.add(round(Counts(*(sum(getattr(c, k) for c in parts) for k in ("tp", "fp", "fn"))).f1, 12))
    interval = bootstrap(scores, n=400)["spotting.f1"]
    assert {round(interval.low, 12), round(interval.high, 12)} <= possible
    assert interval.low == pytest.approx(min(possible)) and interval.high == pytest.approx(max(possible))


def test_a_like_for_every_subject_has_no_spread():
    predicted = {(f"s{s}", "a"): [ev(0, 9), ev(30, 39, "positive")] for s in range(5)}
    truth = {(f"s{s}", "a"): [ev(0, 9), ev(50, 59)] for s in range(5)}
    interval = bootstrap(evaluate(predicted, truth), n=100)["spotting.f1"]
    assert (interval.low, interval.value, interval.high) == (0.5, 0.5, 0.5)


def test_several_seeds_are_averaged():
    (p1, truth), (p2, _) = random_case(4), random_case(4)
    p2 = {key: found[:-1] for key, found in p2.items()}
    one, two = evaluate(p1, truth), evaluate(p2, truth)
    both = bootstrap([one, two], n=50)["strs"]
    assert both.value == pytest.approx((one.strs + two.strs) / 2)


def test_a_paired_difference_is_tighter_than_two_intervals_suggest():
    predicted, truth = random_case(5, subjects=12)
    scores = evaluate(predicted, truth)
    # The same predictions, less one false alarm each: better on every draw of subjects.
    worse = {key: [*found, ev(300, 310)] for key, found in predicted.items()}
    difference = compare(scores, evaluate(worse, truth), n=400)["spotting.f1"]
    assert 0 < difference.low <= difference.value <= difference.high
    alone = bootstrap(scores, n=400)["spotting.f1"]
    assert difference.high - difference.low < (alone.high - alone.low) / 2
    nothing = compare(scores, scores, n=100)["strs"]
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_a_bootstrap_needs_subjects_it_can_share():
    predicted, truth = random_case(5, subjects=3)
    scores = evaluate(predicted, truth)
    fewer = {key: truth[key] for key in truth if key[0] != "s2"}
    with pytest.raises(ValueError, match="do not share their subjects: s2"):
        compare(scores, evaluate({k: predicted[k] for k in fewer}, fewer))
    with pytest.raises(ValueError, match="at least two subjects"):
        bootstrap(evaluate({A: []}, {A: [ev(0, 9)]}))
    with pytest.raises(ValueError, match="different scorers"):
        compare(scores, evaluate(predicted, truth, "released"))
    with pytest.raises(ValueError, match="no scores"):
        bootstrap([])
