"""Decoders beside the paper's: what each does by hand, and that no choice sees the group it is made for."""

from dataclasses import replace

import numpy as np
import pytest

from metst_lib import metrics, spotting
from metst_lib.events import Event, Prediction
from metst_lib.spotting import Candidate, Rule
from metst_lib.study.decoding import DECODERS, PAPER, Curves, Decoder, Setting, mean, suppressed

LENGTH, BASE = 240, Rule(half_width=5, result_synergy=False)


def bumps(*peaks, rng=None):
    """A curve with a bump of each (frame, height), and a little noise."""
    frames = np.arange(LENGTH)
    score = sum(height * np.exp(-(((frames - at) / 4) ** 2)) for at, height in peaks)
    return Prediction(score + (0 if rng is None else 0.15 * rng.random(LENGTH)), np.zeros((LENGTH, 5)))


def made_up(seeds=1, **own):
    """Four subjects in two groups, two videos each: true bumps, false ones, and shoulders on some."""
    rng, truth, runs = np.random.default_rng(3), {}, [{} for _ in range(seeds)]
    for i in range(8):
        key, at = (f"s{i // 2}", "ab"[i % 2]), 60 + 5 * i
        truth[key] = [Event(at - 5, at + 4, emotion="others"), Event(150, 161, emotion="others")]
        for run in runs:
            places = ((at, 1), (at + 12, rng.uniform(0.6, 0.9)), (155, rng.uniform(0.4, 1)))
            run[key] = bumps(*places, (205, rng.uniform(0.3, 0.8)), rng=rng)
    groups = {"s0": "one", "s1": "one", "s2": "two", "s3": "two"}
    curves = Curves("made up", "study", Rule(result_synergy=False), tuple(runs), truth, groups, 1.0)
    return replace(curves, **own)


def test_soft_suppression_lowers_what_overlaps_a_higher_interval():
    found = [Candidate(0, *ends, 0.0, "others", "others") for ends in ((0, 9), (5, 14), (30, 39), (8, 17))]
    # (5, 14) shares 5 of 15 frames with the first; (8, 17) 2 of 18 with it, then 7 of 13 with (5, 14).
    second = 0.8 * np.exp(-((1 / 3) ** 2) / 0.5)
    last = 0.6 * np.exp(-((1 / 9) ** 2) / 0.5) * np.exp(-((7 / 13) ** 2) / 0.5)
    assert suppressed(found, [1, 0.8, 0.5, 0.6]) == pytest.approx([1, second, 0.5, last])
    assert suppressed(found[:2], [1, -0.5]) == [1, -0.5]


def test_ripples_of_a_hump_fall_under_the_threshold_by_soft_suppression_and_a_lone_bump_does_not():
    time = np.arange(LENGTH) - 60
    hump = np.exp(-((time / 12) ** 2)) * (1 + 0.8 * np.cos(2 * np.pi * time / 7))
    seen = Prediction(hump + bumps((150, 0.9)).score, np.zeros((LENGTH, 5)))
    apexes = {soft: [e.apex for e in Setting(0.5, soft=soft).find(seen, BASE)] for soft in (False, True)}
    assert apexes == {False: [51, 57, 64, 70, 150], True: [57, 64, 150]}


@pytest.mark.parametrize("own", [{}, {"prominence": 0.4}, {"edges": "whole"}, {"growth": "curve"}])
def test_a_setting_finds_what_such_a_rule_finds(own):
    for seen in made_up().seeds[0].values():
        expected = replace(BASE, p=0.4, **own).find(seen)
        assert Setting(0.4, **own).find(seen, BASE) == expected
        if "growth" not in own:
            over = [one.peak for one, rank in Setting(**own).ranked(seen, BASE) if rank >= 0.4]
            assert over == [event.apex for event in expected]


def test_a_wider_setting_smooths_and_draws_by_that_width():
    seen = bumps((100, 1))
    (event,) = Setting(width=1.5).find(seen, BASE)
    assert event == Rule(half_width=8, result_synergy=False).find(seen)[0] and event.length == 17


def test_median_and_mad_are_those_of_the_smoothed_curve():
    seen = bumps((60, 1), (150, 0.5), rng=np.random.default_rng(0))
    curve = spotting.smooth(seen.score, 5)
    for one, rank in Setting(None, "mad").ranked(seen, BASE):
        spread = np.median(np.abs(curve - np.median(curve)))
        assert one.height == pytest.approx(np.median(curve) + rank * spread)
    still = bumps((60, 1))  # most of it is zero to the last digit that counts: no division by zero
    assert np.isfinite([rank for _, rank in Setting(None, "mad").ranked(still, BASE)]).all()


def test_the_paper_comes_first_and_is_the_rule_itself():
    (first, *_), curves = DECODERS, made_up()
    scores, _ = curves.readings[0].decoded(DECODERS[PAPER])
    k_p = {group: rule.half_width for group, (rule, _) in curves.readings[0].chosen(Decoder()).items()}
    found = {
        key: replace(BASE, half_width=k_p[curves.groups[key[0]]]).find(seen)
        for key, seen in curves.seeds[0].items()
    }
    assert first == PAPER and scores.spotting == metrics.evaluate(found, curves.truth).spotting
    assert scores.spotting.tp > 0 and scores.spotting.fp > 0


def poisoned(curves, group):
    """The same with curves and truths of one group replaced by noise and short events."""
    rng, mine = np.random.default_rng(9), [key for key in curves.truth if curves.groups[key[0]] == group]
    truth = curves.truth | {key: [Event(3, 3 + 2 * i, emotion="others")] for i, key in enumerate(mine, 1)}
    seeds = tuple(
        run | {key: Prediction(50 * rng.random(LENGTH), np.zeros((LENGTH, 5))) for key in mine}
        for run in curves.seeds
    )
    return replace(curves, truth=truth, seeds=seeds)


@pytest.mark.parametrize("name", DECODERS)
def test_no_choice_sees_the_group_it_is_made_for(name):
    clean = made_up(seeds=2)
    other = poisoned(clean, "two")
    reading = "average" if DECODERS[name].averaged else "readings"
    before, after = (one.average if reading == "average" else one.readings[1] for one in (clean, other))
    before, after = before.chosen(DECODERS[name]), after.chosen(DECODERS[name])
    assert before["two"] == after["two"]
    assert before["one"] != after["one"]  # its k_p comes from the poisoned one


def test_the_setting_chosen_is_the_best_on_the_others_and_of_equals_the_first():
    reading = made_up().readings[0]
    decoder = DECODERS["prominence chosen"]
    for group, others in (("one", ("s2", "s3")), ("two", ("s0", "s1"))):
        base, best = reading.chosen(decoder)[group]
        f1 = []
        for setting in decoder.settings:
            by_subject = reading.scores(base, setting).by_subject
            f1.append(sum((by_subject[who].spotting for who in others), metrics.Counts()).f1)
        assert best == decoder.settings[f1.index(max(f1))]
        assert best.prominence > 0 and min(f1) < max(f1)


@pytest.mark.parametrize("by", ["height", "mad"])
def test_an_open_cut_is_the_best_of_all_cuts_on_the_others(by):
    reading = made_up().readings[0]
    base, best = reading.chosen(Decoder((Setting(None, by),)))["one"]
    others = [key for key in reading.seen if key[0] in ("s2", "s3")]
    truth = {key: reading.curves.truth[key] for key in others}

    def f1(cut):
        found = {key: replace(best, cut=cut).find(reading.seen[key], base) for key in others}
        return metrics.evaluate(found, truth).spotting.f1

    ranks = [rank for key in others for _, rank in best.ranked(reading.seen[key], base)]
    assert f1(best.cut) == pytest.approx(max(map(f1, ranks)))


def test_what_the_recogniser_drops_neither_counts_nor_chooses():
    curves = made_up(rule=Rule())
    neutral = {
        key: Prediction(s.score, np.tile([0.0, 0, 0, 0, 1], (LENGTH, 1)))
        for key, s in curves.seeds[0].items()
    }
    reading = replace(curves, seeds=(neutral,)).readings[0]
    for name in (PAPER, "one height for all videos", "soft suppression"):
        scores, precision = reading.decoded(DECODERS[name])
        assert (scores.spotting.tp, scores.spotting.fp) == (0, 0) and precision > 0.3  # all peaks are ranked
    assert reading.chosen(DECODERS["median + t MAD"])["one"][1].cut == np.inf


def test_the_mean_curve_is_the_mean_of_scores_and_logits():
    one, two = (
        Prediction(np.array([0, 1.0]), np.ones((2, 5))),
        Prediction(np.array([1, 0.5]), np.zeros((2, 5))),
    )
    both = mean([one, two])
    assert both.score.tolist() == [0.5, 0.75] and both.logits.tolist() == [[0.5] * 5] * 2
