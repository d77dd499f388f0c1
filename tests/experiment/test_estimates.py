"""Our numbers with their doubt: seeds, intervals over subjects, paired differences, folds not there."""

from dataclasses import replace

import pytest
from handmade import ALL, HALF, run

from metst_lib import inference, metrics
from metst_lib.experiment.estimates import (
    Difference,
    Estimate,
    adjusted,
    differences,
    lacking,
    missing_folds,
    our_rows,
)


def test_several_seeds_give_mean_and_deviation():
    one = Estimate((0.5,), 0.4, 0.6)
    three = Estimate((0.4, 0.5, 0.6), 0.3, 0.7)
    assert str(one) == "0.5000 [0.40, 0.60]"
    assert str(three) == "0.5000 ± 0.1000 [0.30, 0.70]"


def test_part_of_the_folds_gives_how_many_there_are():
    partial = run("me-tst", {"s1": 1, "s2": 2}, missing=["s3"])
    (row,) = our_rows({"me-tst": [run("me-tst", ALL), partial]}).to_dict("records")
    assert {row[measure] for measure in metrics.MEASURES} == {"5 of 6 folds"}  # of both seeds


def test_missing_and_stale_folds_are_counted_and_named_apart():
    runs = {
        "me-tst": [run("me-tst", {"s1": 1}, missing=["s2"], stale=["s3"]), run("me-tst", ALL, 1)],
        "transformer": [run("transformer", {}, missing=["s1", "s2", "s3"])],
        "me-tst-plus": [run("me-tst-plus", {}, stale=["s1", "s2", "s3"])],
    }
    assert lacking(runs["me-tst"]) == "4 of 6 folds" and lacking(runs["transformer"]) == "0 of 3 folds"
    missing, stale = missing_folds(runs)
    assert missing.endswith(": ME-TST, seed 0: s2; transformer, seed 0: all.") and "missing" in missing
    assert stale.endswith(": ME-TST, seed 0: s3; ME-TST+, seed 0: all.") and "stale" in stale
    assert missing_folds({"me-tst": [run("me-tst", ALL)]}) == ()


@pytest.mark.parametrize(
    ("values", "low", "high", "words"),
    [
        ((0.1, 0.2), 0.01, 0.3, "higher with every seed"),
        ((-0.1, -0.2), -0.3, -0.01, "lower with every seed"),
        ((0.3, -0.1), 0.01, 0.2, "higher on average, not with every seed"),
        ((0.1,), 0.01, 0.2, "higher with one seed"),
        ((0.1, 0.2), -0.001, 0.3, "no difference seen"),
        ((0.1, 0.2), 0.0, 0.3, "no difference seen"),
        ((0.0,), 0.0, 0.0, "no difference seen"),
    ],
)
def test_no_difference_is_called_one_where_its_interval_contains_zero(values, low, high, words):
    assert Difference(values, low, high).words == words


def test_alike_is_said_only_where_it_is_shown():
    assert Difference((0.001, 0.0), -0.01, 0.01, alike=True).words == "no difference larger than .02"
    assert (
        Difference((0.01, 0.012), 0.005, 0.015, 0.01, True).words
        == "higher with every seed, by less than .02"
    )
    found = inference.Difference(0.001, -0.01, 0.012, p=0.8, inner=(-0.008, 0.01))
    assert Difference.of(found).words == "no difference larger than .02"
    assert Difference.of(replace(found, inner=(-0.03, 0.01))).words == "no difference seen"
    assert Difference.of(found, (0.0, 0.002)).values == (0.0, 0.002)


def test_among_several_comparisons_only_what_holm_leaves_is_called_a_difference():
    one = Difference((0.1,), 0.01, 0.2, p=0.03)
    clear, none = Difference((0.1,), 0.05, 0.2, p=0.01), Difference((0.1,), -0.1, 0.2, p=0.4)
    table = adjusted({"one": one, "clear": clear, "none": none})
    assert [d.p for d in table.values()] == pytest.approx([0.06, 0.03, 0.4])
    assert one.words == table["clear"].words == "higher with one seed"
    assert table["one"].words == "no difference seen among 3 comparisons"
    assert table["none"].words == "no difference seen" and adjusted({}) == {}


def test_differences_are_those_of_each_seed_and_of_their_mean():
    a = [run("me-tst-plus", ALL), run("me-tst-plus", HALF, 1)]
    b = [run("me-tst", HALF), run("me-tst", HALF, 1)]
    f1 = differences(a, b)["spotting.f1"]
    # all hit: 2·6/(2·6 + 3 + 0) = 0.8; half hit: 2·3/(2·3 + 3 + 3) = 0.5
    assert f1.values == pytest.approx((0.3, 0.0)) and f1.value == pytest.approx(0.15)
    assert f1.words == "higher on average, not with every seed"
    # three equal subjects: every draw gives the same difference
    assert str(f1) == "+0.1500 [+0.150, +0.150]"


def test_differences_refuse_seeds_that_do_not_pair():
    with pytest.raises(ValueError, match="same seeds"):
        differences([run("me-tst-plus", ALL)], [run("me-tst", ALL, 1)])
