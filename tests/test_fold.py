"""One fold from arrays: who trains and who tests, what may be seen, what is scored."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import QUICK, as_flow, toy

from metst_lib import baseline
from metst_lib import fold as folding
from metst_lib.events import CLASSES, Event, Prediction
from metst_lib.fold import Recipe, fold, split
from metst_lib.spotting import Rule

CHANNELS = 10  # of five regions
SIZES = {
    "METST": {"dim": 8, "depth": 1, "d_state": 4},
    "METSTPlus": {"dim": 8, "n_blocks": 1, "depth": 1, "d_state": 4},
    "Transformer": {"dim": 8, "depth": 1},
    "WindowClassifier": {"dim": 8},
}
RECIPES = {name: Recipe(name, size=size, training=QUICK) for name, size in SIZES.items()}
RECIPES[baseline.NAME] = Recipe(baseline.NAME, rule=Rule(result_synergy=False))
METST = RECIPES["METST"]


def data(**options):
    return toy(channels=CHANNELS, **options)


def same(one, two, keys):
    return all(
        np.array_equal(one.predictions[key].score, two.predictions[key].score)
        and np.array_equal(one.predictions[key].logits, two.predictions[key].logits)
        for key in keys
    )


class Seer:
    """A fit that keeps what it was given, and then sees the truth."""

    def __init__(self, truth, epochs=0):
        self.truth = truth
        self.history, self.statistics = pd.DataFrame({"epoch": range(epochs)}), {"seen": True}

    def __call__(self, flows, events, recipe, seed):
        self.given = flows, events, recipe, seed
        return self

    def predict(self, flow):
        score, logits = np.zeros(240, np.float32), np.zeros((240, 5), np.float32)
        for event in self.truth[flow.key]:
            score[event.onset : event.offset + 1] = 1 - abs(np.linspace(-1, 1, event.length))
            logits[:, CLASSES.index(event.emotion or "neutral")] += score
        return Prediction(score, logits)


def named_flows(truth):
    return {key: SimpleNamespace(key=key) for key in truth}


# --- split ----------------------------------------------------------------------------------------------


def test_a_split_is_by_subject_and_complete():
    keys = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")]
    assert split(keys, ["a"]) == ([("b", "1"), ("c", "1")], [("a", "1"), ("a", "2")])
    assert split(keys, ["c", "a"]) == ([("b", "1")], [("a", "1"), ("a", "2"), ("c", "1")])
    assert split(keys, []) == (keys, [])


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123")), unique=True),
    st.sets(st.sampled_from("abcd"), max_size=3),
)
def test_no_subject_is_on_both_sides_and_no_video_is_lost(keys, left_out):
    subjects = {subject for subject, _ in keys}
    if not left_out <= subjects or not subjects - left_out:
        with pytest.raises(ValueError, match=r"unknown subject|no subject but|known"):
            split(keys, left_out)
        return
    train, test = split(keys, left_out)
    assert sorted(train + test) == sorted(keys)
    assert {subject for subject, _ in test} == left_out
    assert not {subject for subject, _ in train} & left_out


def test_subjects_that_are_not_there_and_folds_without_training_are_refused():
    keys = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")]
    with pytest.raises(ValueError, match="unknown subject 'd'; known: a, b, c"):
        split(keys, ["a", "d"])
    with pytest.raises(ValueError, match="no subject but a to train on"):
        split([("a", "1")], ["a"])
    with pytest.raises(ValueError, match="no subject but a, b to train on"):
        split([("a", "1"), ("b", "1")], ["a", "b"])


# --- what may be seen -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_labels_of_the_subject_left_out_change_no_prediction(name):
    flows, truth = data()
    one = fold(flows, truth, ["s1"], RECIPES[name], seed=5)
    tested = list(one.predictions)
    assert tested == [("s1", "a"), ("s1", "b")]
    for key in tested:  # other emotions, much longer intervals
        truth[key] = [Event(0, 200, emotion="others"), Event(5, 9, emotion="surprise")]
    two = fold(flows, truth, ["s1"], RECIPES[name], seed=5)
    assert same(one, two, tested)
    assert one.statistics == two.statistics and one.history.equals(two.history)
    assert one.rule == two.rule and one.rule.half_width == 5  # spans of ten frames
    assert one.predicted == two.predicted and one.truth != two.truth
    assert two.scores.spotting.tp + two.scores.spotting.fn == 4


@pytest.mark.parametrize("name", RECIPES)
def test_frames_of_a_video_left_out_change_its_own_prediction_only(name):
    flows, truth = data()
    one = fold(flows, truth, ["s1"], RECIPES[name], seed=5)
    flows["s1", "b"] = as_flow(np.random.default_rng(1).normal(0, 9, (240, CHANNELS)))
    two = fold(flows, truth, ["s1"], RECIPES[name], seed=5)
    assert same(one, two, [("s1", "a")]) and not same(one, two, [("s1", "b")])
    assert one.statistics == two.statistics and one.history.equals(two.history)


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_trained_on_does_matter(name):
    # The counterpart of the two tests above: they would pass if nothing were looked at at all.
    flows, truth = data()
    one = fold(flows, truth, ["s1"], RECIPES[name], seed=5)
    relabelled = {**truth, ("s0", "a"): [Event(30, 48, emotion="others")]}
    moved = {**flows, ("s0", "a"): as_flow(np.random.default_rng(1).normal(0, 1, (240, CHANNELS)))}
    for two in (
        fold(flows, relabelled, ["s1"], RECIPES[name], seed=5),
        fold(moved, truth, ["s1"], RECIPES[name], seed=5),
    ):
        assert not same(one, two, one.predictions)


def test_a_fit_is_given_the_other_subjects_and_nothing_else():
    _, truth = data()
    flows, seer = named_flows(truth), Seer(truth)
    fold(flows, truth, ["s2", "s0"], METST, seed=7, fit=seer)
    given_flows, given_events, recipe, seed = seer.given
    assert list(given_flows) == list(given_events) == [("s1", "a"), ("s1", "b")]
    assert all(given_flows[key] is flows[key] and given_events[key] == truth[key] for key in given_flows)
    assert (recipe, seed) == (METST, 7)


def test_the_half_width_is_that_of_the_training_subjects():
    _, truth = data(subjects=2)
    truth["s0", "a"] = [Event(10, 40, emotion="others")]  # spans 30 and, in the other video, 10 each
    spans = [event.offset - event.onset for key in truth for event in truth[key] if key[0] == "s0"]
    found = fold(named_flows(truth), truth, ["s1"], METST, fit=Seer(truth))
    assert found.rule.half_width == int((np.mean(spans) + 1) / 2) > 5
    assert fold(named_flows(truth), truth, ["s0"], METST, fit=Seer(truth)).rule.half_width == 5
    fixed = replace(METST, rule=Rule(half_width=3))
    assert fold(named_flows(truth), truth, ["s1"], fixed, fit=Seer(truth)).rule == fixed.rule


def test_a_half_width_is_in_no_statistics_of_a_network():
    assert "half_width" not in fold(*data(subjects=2), ["s1"], METST).statistics


# --- what comes out -------------------------------------------------------------------------------------


def test_whoever_sees_the_truth_scores_one():
    _, truth = data()
    seer = Seer(truth)
    found = fold(named_flows(truth), truth, ["s1"], METST, fit=seer)
    assert found.scores.spotting.f1 == found.scores.recognition.f1 == 1
    assert found.truth == {key: truth[key] for key in (("s1", "a"), ("s1", "b"))}
    assert [event.apex for event in found.predicted["s1", "a"]] == [e.onset + 5 for e in truth["s1", "a"]]
    assert found.statistics is seer.statistics and found.history is seer.history
    candidates = found.candidates(("s1", "a"))
    assert [c.peak for c in candidates] == [event.apex for event in found.predicted["s1", "a"]]


def test_candidates_are_there_before_the_veto():
    _, truth = data()
    score = np.sin(np.arange(240) / 10).clip(0).astype(np.float32)
    neutral = Prediction(score, np.tile(np.eye(5, dtype=np.float32)[4], (240, 1)))
    seer = Seer(truth)
    seer.predict = lambda flow: neutral
    found = fold(named_flows(truth), truth, ["s1"], METST, fit=seer)
    assert found.predicted == {("s1", "a"): [], ("s1", "b"): []}
    assert len(found.candidates(("s1", "a"))) == 4 and all(c.dropped for c in found.candidates(("s1", "a")))
    kept = replace(METST, rule=Rule(result_synergy=False))
    assert len(fold(named_flows(truth), truth, ["s1"], kept, fit=seer).predicted["s1", "a"]) == 4


def test_several_subjects_are_left_out_together():
    flows, truth = data()
    found = fold(flows, truth, ["s2", "s0"], METST)
    assert list(found.scores.by_subject) == ["s0", "s2"]
    assert {key[0] for key in found.predictions} == {"s0", "s2"} and len(found.predictions) == 4
    alone = fold({k: f for k, f in flows.items() if k[0] != "s2"},
                 {k: e for k, e in truth.items() if k[0] != "s2"}, ["s0"], METST)  # fmt: skip
    assert same(found, alone, alone.predictions)  # both learned from s1 alone


def test_without_flow_a_video_trains_nothing_and_its_events_are_missed():
    flows, truth = data()
    lacking = {key: flow for key, flow in flows.items() if key not in (("s1", "b"), ("s0", "a"))}
    found = fold(lacking, truth, ["s1"], METST)
    assert list(found.predictions) == [("s1", "a")] and found.predicted["s1", "b"] == []
    assert found.truth["s1", "b"] == truth["s1", "b"]
    n_true = len(truth["s1", "a"]) + len(truth["s1", "b"])
    spotting = found.scores.spotting
    assert spotting.tp + spotting.fn == n_true and spotting.fn >= len(truth["s1", "b"])
    known = {key: events for key, events in truth.items() if key != ("s0", "a")}
    assert same(found, fold(lacking, known, ["s1"], METST), found.predictions)


def test_a_subject_without_any_flow_is_scored_as_missed():
    flows, truth = data()
    found = fold({key: flow for key, flow in flows.items() if key[0] != "s1"}, truth, ["s1"], METST)
    assert found.predictions == {} and found.scores.spotting.tp == found.scores.spotting.fp == 0
    assert found.scores.spotting.fn == len(truth["s1", "a"]) + len(truth["s1", "b"])


@pytest.mark.parametrize("name", RECIPES)
def test_macro_expressions_go_all_the_way(name):
    flows, truth = data()
    macro = {
        key: [Event(e.onset, e.offset, kind="macro") for e in events] + [Event(2, 30, emotion="others")]
        for key, events in truth.items()
    }
    recipe = replace(RECIPES[name], rule=replace(RECIPES[name].rule, kind="macro"))
    found = fold(flows, macro, ["s1"], recipe)
    assert found.rule.half_width == 5  # of macro-expressions: the micro-expressions there span 28 frames
    events = list(itertools.chain(*found.predicted.values()))
    assert events and {(event.kind, event.emotion) for event in events} == {("macro", None)}
    assert [e.kind for e in found.truth["s1", "a"]] == ["macro"] * len(truth["s1", "a"])
    counts = found.scores.spotting
    assert counts.tp + counts.fn == len(truth["s1", "a"]) + len(truth["s1", "b"])
    assert counts.tp + counts.fp == len(events)
    assert found.scores.recognition.total == 0
    without = {key: [e for e in events if e.kind == "macro"] for key, events in macro.items()}
    assert same(found, fold(flows, without, ["s1"], recipe), found.predictions)


def test_macro_expressions_are_learned():
    flows, truth = data(subjects=4)
    macro = {key: [Event(e.onset, e.offset, kind="macro") for e in events] for key, events in truth.items()}
    recipe = replace(RECIPES[baseline.NAME], rule=Rule("macro"))
    assert fold(flows, macro, ["s3"], recipe).scores.spotting.f1 > 0.8


# --- the recipe -----------------------------------------------------------------------------------------


def test_the_recipe_says_how_windows_are_joined_and_what_is_trained_on():
    flows, truth = data(subjects=2)
    mean = folding.fit(flows, truth, METST, 0)
    released = folding.fit(flows, truth, replace(METST, stitch="released"), 0)
    assert (mean.stitch, released.stitch) == ("mean", "released")
    assert mean.statistics == released.statistics
    by_window = folding.fit(flows, truth, RECIPES["WindowClassifier"], 0)
    assert by_window.statistics["frames"] != mean.statistics["frames"]  # one label a window


def test_a_network_reads_as_many_channels_as_its_regions_have():
    assert METST.build().in_channels == 10
    assert replace(METST, roi_set="18").build().in_channels == 36
    with pytest.raises(ValueError, match="unknown network 'METSD'; known: METST, METSTPlus, "):
        replace(METST, network="METSD").build()


def test_flow_of_other_regions_is_refused():
    with pytest.raises(ValueError, match=r"36.*10|10.*36"):
        fold(*data(subjects=2), ["s1"], replace(METST, roi_set="18"))


# --- errors ---------------------------------------------------------------------------------------------


def test_what_cannot_be_a_fold_is_refused_by_message():
    flows, truth = data(subjects=2)
    with pytest.raises(ValueError, match="unknown subject 's9'; known: s0, s1"):
        fold(flows, truth, ["s9"], METST)
    with pytest.raises(ValueError, match="no subject but s0, s1 to train on"):
        fold(flows, truth, ["s0", "s1"], METST)
    with pytest.raises(ValueError, match="no video to train on"):
        fold({}, truth, ["s1"], METST)
    calm = {key: [] if key[0] == "s0" else events for key, events in truth.items()}
    for recipe, message in (
        (METST, "none of the .* training windows holds a frame of a micro-expression"),
        (RECIPES[baseline.NAME], "no micro-expression of at most 300 frames to take the mean length of"),
    ):
        with pytest.raises(ValueError, match=message):
            fold(flows, calm, ["s1"], recipe)
    flows["s0", "b"].values[1, 2, 3] = np.nan
    for recipe in (METST, RECIPES[baseline.NAME]):
        with pytest.raises(ValueError, match="the flow of video s0 b holds NaN"):
            fold(flows, truth, ["s1"], recipe)


def test_a_prediction_that_is_no_answer_is_not_scored():
    _, truth = data()
    flat = Prediction(np.full(240, 0.5, np.float32), np.zeros((240, 5), np.float32))
    broken = Prediction(np.full(240, np.nan, np.float32), np.zeros((240, 5), np.float32))
    seer = Seer(truth, epochs=20)
    seer.predict = lambda flow: flat
    with pytest.raises(FloatingPointError, match=r"0\.500000 in every frame of every video after epoch 20"):
        fold(named_flows(truth), truth, ["s1"], METST, fit=seer)
    seer.predict = lambda flow: broken if flow.key == ("s1", "b") else flat
    with pytest.raises(FloatingPointError, match="scores of video s1 b are NaN or infinite"):
        fold(named_flows(truth), truth, ["s1"], METST, fit=seer)
    seer = Seer(truth)  # nothing was trained
    seer.predict = lambda flow: flat
    assert fold(named_flows(truth), truth, ["s1"], METST, fit=seer).scores.spotting.tp == 0
