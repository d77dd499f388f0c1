"""Errors sorted, with their share by chance: by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from metst_lib.events import Event
from metst_lib.evidence.errors import errors, lies_on
from metst_lib.metrics import evaluate

A, B = ("s1", "a"), ("s1", "b")
TRUTH = {A: [Event(10, 19), Event(100, 109), Event(200, 209), Event(300, 309), Event(400, 409)], B: []}
PREDICTED = {
    A: [
        Event(10, 19),  # hits
        Event(106, 115),  # meets 100…109 by 4/16
        Event(150, 159),  # half on a macro
        Event(250, 259),  # four frames on a macro, none on a blink
        Event(270, 279),  # on a blink, and half on a macro that comes first
        Event(280, 289),  # on a blink
    ],
    B: [Event(30, 39)],
}
PEAKS = {A: [(Event(195, 205), 0.2), (Event(315, 325), 0.1)], B: []}  # at 200, in 200…209; at 320, in none
LABELS = {
    "on a macro": {A: [Event(155, 180, kind="macro"), Event(256, 274, kind="macro")], B: []},
    "on a blink": {A: [Event(270, 289, kind="blink")]},  # nobody labelled those of b
}
N_FRAMES = {A: 1000, B: 1000}


def counted(records):
    return {(record.error, record.sort): record.count for record in records if record.count}


def test_every_miss_and_every_false_alarm_has_one_sort():
    found = errors(PREDICTED, TRUTH, N_FRAMES, PEAKS, LABELS)
    assert counted(found) == {
        ("miss", "interval off"): 1,
        ("miss", "under the threshold"): 1,
        ("miss", "no peak"): 2,
        ("false alarm", "on a macro"): 2,
        ("false alarm", "on a blink"): 1,
        ("false alarm", "near a truth"): 1,
        ("false alarm", "elsewhere"): 1,
        ("false alarm", "elsewhere, not labelled"): 1,
    }
    table = pd.DataFrame(found).groupby("error")[["count", "share", "by_chance"]].sum()
    spotting = evaluate(PREDICTED, TRUTH).spotting
    assert table["count"].to_dict() == {"miss": spotting.fn, "false alarm": spotting.fp}
    assert table[["share", "by_chance"]].to_numpy() == pytest.approx(1)
    assert next(r for r in found if r.sort == "no peak").share == 2 / 4


def test_a_candidate_that_the_vote_dropped_is_a_sort_of_its_own_where_it_is_given():
    dropped = {
        A: [Event(205, 215), Event(100, 109)]
    }  # the second misses where a prediction meets: the first sort
    found = counted(errors(PREDICTED, TRUTH, N_FRAMES, PEAKS, LABELS, dropped))
    assert found["miss", "dropped by the vote"] == found["miss", "interval off"] == 1
    assert ("miss", "under the threshold") not in found
    assert "dropped by the vote" not in {record.sort for record in errors(PREDICTED, TRUTH, N_FRAMES, PEAKS)}


def test_a_peak_is_an_intervals_apex_or_else_its_middle():
    truth = {A: [Event(200, 203)]}
    one = {A: [(Event(190, 201), 1.0)]}
    assert counted(errors({A: []}, truth, N_FRAMES, one)) == {("miss", "no peak"): 1}  # middle 195
    other = {A: [(Event(190, 201, apex=201), 1.0)]}
    assert counted(errors({A: []}, truth, N_FRAMES, other)) == {("miss", "under the threshold"): 1}


def test_a_truth_whose_prediction_serves_another_is_missed_with_its_interval_off():
    truth, predicted = {A: [Event(0, 9), Event(3, 12)]}, {A: [Event(2, 11)]}
    assert counted(errors(predicted, truth, N_FRAMES, {})) == {("miss", "interval off"): 1}


def test_shares_by_chance_are_those_of_labels_that_lie_anywhere():
    # 500…509 has half of it inside a macro of 200 frames that begins at 305…505, of shifts 0…999.
    labels = {"on a macro": {A: [Event(0, 199, kind="macro")]}}
    found = errors({A: [Event(500, 509)]}, {A: []}, {A: 1000}, {}, labels, draws=4000)
    share = {record.sort: record.by_chance for record in found if record.error == "false alarm"}
    assert share["on a macro"] == pytest.approx(201 / 1000, abs=0.02)
    assert share["on a macro"] + share["elsewhere"] == pytest.approx(1)


def test_macros_are_sorted_as_micros_are():
    def macro(events):
        return {key: [replace(event, kind="macro") for event in found] for key, found in events.items()}

    peaks = {key: [(replace(event, kind="macro"), h) for event, h in found] for key, found in PEAKS.items()}
    one = errors(PREDICTED, TRUTH, N_FRAMES, PEAKS, LABELS)
    assert errors(macro(PREDICTED), macro(TRUTH), N_FRAMES, peaks, LABELS, kind="macro") == one


def test_where_an_interval_lies():
    labels = {"macro": [Event(0, 9)], "blink": [Event(5, 30)]}
    lie = [lies_on(Event(onset, onset + 9), labels) for onset in (5, 6, 26, 27)]
    assert lie == ["macro", "blink", "blink", "elsewhere"]
    assert lies_on(Event(0, 4), {}) == "elsewhere"


def test_errors_refuse_what_chance_refuses():
    with pytest.raises(ValueError, match="video s1 b has no length"):
        errors(PREDICTED, TRUTH, {A: 1000}, PEAKS)
    with pytest.raises(ValueError, match="video s1 a holds a macro event"):
        errors({A: [Event(0, 9, kind="macro")]}, {A: []}, N_FRAMES, {})
