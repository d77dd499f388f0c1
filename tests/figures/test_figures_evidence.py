"""Figures of chapter 9: whose number a mark is, chance beside it, shares, rules, protocols, parts."""

import numpy as np
import pytest
from pictures import texts

from metst_lib import figures
from metst_lib.events import Event
from metst_lib.evidence.errors import Sort
from metst_lib.figures import evidence
from metst_lib.metrics import Ranking

NONE = float("nan")
AUTHORS, THIRD = list(evidence.SOURCES)[:2]


def marks(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_a_row_has_its_interval_its_chance_and_the_mark_of_who_says_it():
    rows = {
        "a": figures.Row(0.3, 0.2, 0.4, 0.1, AUTHORS),
        "b": figures.Row(0.5, 0.4, 0.6, NONE, THIRD),
    }
    figure = figures.against_chance(rows, "Two methods")
    ax = figure.axes[0]
    assert [list(line.get_xdata()) for line in marks(ax, "o")] == [[0.3]]
    assert [list(line.get_xdata()) for line in marks(ax, "D")] == [[0.5]]
    assert ax.get_title(loc="left") == "Two methods" or ax.get_title() == "Two methods"
    told = figures.alt_text(figure)
    assert "a 0.300 (0.200 to 0.400), by chance 0.100; b 0.500 (0.400 to 0.600)." in told
    words = {text.get_text() for text in texts(figure)}
    assert {AUTHORS, THIRD, "by chance"} <= words and "extrapolated" not in words


def test_dumbbells_join_both_values_and_an_extrapolated_one_is_hollow():
    figure = figures.dumbbells({"a": (0.1, 0.05, "extrapolated")}, ("some", "all"), "It falls")
    (square,) = marks(figure.axes[0], "s")
    assert list(square.get_xdata()) == [0.05] and square.get_markerfacecolor() == "white"
    assert "a from 0.100 to 0.050 (extrapolated)" in figures.alt_text(figure)


def test_hits_stand_beside_those_by_chance_on_the_scale_of_all_truths():
    figure = figures.hits_by_chance({"a": (np.array([1, 2, 2, 3]), 9, 20)})
    ax = figure.axes[0]
    assert list(ax.lines[0].get_xdata()) == [9, 9] and ax.get_xlim() == (0, 20)
    assert [bar.get_height() for bar in ax.patches] == [1, 2, 1]
    assert "a: 9 of 20 seen, 2.0 by chance" in figures.alt_text(figure)


def test_a_curve_shows_hits_filled_and_misses_hollow_without_any_emotion():
    score = np.sin(np.arange(200) / 10) + 1
    truth = [Event(30, 49, emotion="positive"), Event(100, 150, kind="macro")]
    figure = figures.curve(score, 5, 0.6, 30, [Event(32, 50), Event(120, 140)], truth)
    bars = [patch.get_facecolor() for patch in figure.axes[1].patches[-3:]]
    assert bars[0] == bars[1] != bars[2] == (1, 1, 1, 1)
    assert (
        "2 intervals found, 1 on a true micro-expression, of which there are 1; 1 macro"
        in figures.alt_text(figure)
    )


def test_recall_is_told_at_one_false_positive_a_minute_and_points_are_numbered():
    ranking = Ranking(np.array([3.0, 2, 1]), np.array([1, 1, 2]), np.array([0, 1, 1]), 4)
    figure = figures.alarms({"a": (ranking, 2.0)}, "Costs", {"b": (3.0, 0.5, THIRD)})
    assert list(figure.axes[0].lines[0].get_xdata()) == [0, 0.5, 0.5]
    told = figures.alt_text(figure)
    assert "a: recall 0.50 at one a minute, 0.50 at most" in told
    assert "1 b: 3.0 a minute, recall 0.50" in told


def test_shares_stand_beside_those_by_chance_and_sorts_of_nothing_are_left_out():
    sorts = [
        Sort("miss", "no peak", 1, 0.25, 0.5),
        Sort("miss", "interval off", 3, 0.75, 0.5),
        Sort("miss", "dropped by the vote", 0, 0.0, 0.0),
        Sort("false alarm", "elsewhere", 2, 1.0, 1.0),
    ]
    figure = figures.error_shares({"a": sorts}, "miss")
    assert [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes] == ["no peak", "interval off"]
    assert figure.axes[0].patches[0].get_width() == 0.25
    assert "Sorts of misses. a: no peak 25% (by chance 50%), interval off 75%" in figures.alt_text(figure)
    assert "Sorts of false alarms" in figures.alt_text(figures.error_shares({"a": sorts}, "false alarm"))


def test_the_first_rule_has_a_band_and_each_its_best_height():
    rules = {"ours": [(0.1, 0.0, 0.2), (0.3, 0.2, 0.4)], "other": [(0.2, NONE, NONE), (0.1, NONE, NONE)]}
    figure = figures.thresholds({"set": rules}, [0.4, 0.6], 0.6)
    assert len(figure.axes[0].collections) == 1
    told = figures.alt_text(figure)
    assert "set, ours: highest 0.300 at p = 0.6; set, other: highest 0.200 at p = 0.4" in told


def test_protocols_show_every_combination_and_the_mean_of_each_choice():
    figure = figures.protocols({"set": ([0.1, 0.2, 0.3], 0.2, {"width": {"mean": 0.15, "median": 0.25}})})
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "all combinations",
        "k_p from mean",
        "k_p from median",
    ]
    assert [float(line.get_xdata()[0]) for line in marks(ax, "o")] == [0.15, 0.25]
    assert "set: 0.100 to 0.300, published 0.200" in figures.alt_text(figure)


def test_parts_stack_with_their_numbers_and_small_ones_stand_above():
    figure = figures.parts({"all": {"big": 90, "small": 1}, "some": {"small": 5}}, "What is in it")
    bars = figure.axes[0].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 90), (90, 1), (0, 5)]
    assert bars[1].get_facecolor() == bars[2].get_facecolor() != bars[0].get_facecolor()
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert heights["90"] == 0 and heights["1"] == pytest.approx(-0.42)
    assert figures.alt_text(figure) == "What is in it. all: 90 big, 1 small; some: 5 small."
