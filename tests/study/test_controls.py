"""Controls: what a fold finds where nothing, or everything, is there to be found."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from toys import QUICK, as_flow, toy

from metst_lib import fold as folding
from metst_lib import metrics
from metst_lib.events import Event, Video
from metst_lib.fold import Recipe, fold
from metst_lib.spotting import Rule
from metst_lib.study import controls
from metst_lib.study.controls import CONTROLS, SAYS

RECIPE = Recipe("METST", size={"dim": 8, "depth": 1, "d_state": 4}, training=QUICK)
GROUP = ("s1",)


class Toy:
    """A replicate of bumps: what controls ask of one."""

    number = 1

    def __init__(self, truth=None, n_frames=240):
        flows, events = toy(channels=10, n_frames=n_frames)
        self.flows, self.truth = flows, truth or events
        self.videos = tuple(Video(*key, 30, n_frames, tuple(found)) for key, found in self.truth.items())

    def flow(self, roi_set, without=()):
        if not without:
            return self.flows
        rng = np.random.default_rng(1)
        return {key: as_flow(rng.normal(0, 0.03, (flow.n_frames, 10))) for key, flow in self.flows.items()}


@pytest.fixture
def seen(monkeypatch):
    """What every fit was given."""
    fit, calls = folding.fit, []

    def noted(flows, events, recipe, seed):
        calls.append(SimpleNamespace(flows=flows, events=events))
        return fit(flows, events, recipe, seed)

    monkeypatch.setattr(folding, "fit", noted)
    return calls


def micro(events):
    return [event for event in events if event.kind == "micro"]


def test_every_control_says_what_it_tells():
    assert list(CONTROLS) == list(SAYS)
    assert "ceiling" in SAYS["perfect"]


def test_shuffled_labels_keep_their_number_lengths_and_classes_and_the_test_its_truth(seen):
    data = Toy()
    found = controls.shuffled(data, GROUP, RECIPE, 0)
    (call,) = seen
    assert set(call.events) == {key for key in data.truth if key[0] != "s1"}
    for key, events in call.events.items():
        assert Counter((e.length, e.emotion) for e in events) == Counter(
            (e.length, e.emotion) for e in data.truth[key]
        )
        assert [e.onset for e in events] != [e.onset for e in data.truth[key]]
    assert found.truth == {key: data.truth[key] for key in data.truth if key[0] == "s1"}


def test_shuffled_labels_move_an_apex_with_its_event():
    events = [Event(10, 20, apex=14, emotion="positive"), Event(30, 40, emotion="others")]
    moved = controls._moved(events, np.array([5]), 100, ("s", "a"))
    assert moved == [Event(15, 25, apex=19, emotion="positive"), Event(35, 45, emotion="others")]


def test_erased_micro_expressions_are_missing_in_the_test_alone():
    data = Toy()
    found = controls.erased(data, GROUP, RECIPE, 0)
    assert found.truth == {key: data.truth[key] for key in data.truth if key[0] == "s1"}
    train, test = folding.split(data.truth, GROUP)
    known = {key: data.truth[key] for key in train}
    fitted = folding.fit({key: data.flows[key] for key in train}, known, RECIPE, 0)
    without = data.flow("5", without=("micro",))
    assert set(found.predictions) == set(test)
    for key, prediction in found.predictions.items():
        assert np.array_equal(prediction.score, fitted.predict(without[key]).score)


def test_perfect_scores_find_every_micro_expression_as_long_as_the_smoothing_and_its_emotion():
    data = Toy()  # all events have 11 frames, so that k_p = 5 and the smoothing is of 10
    scores = controls.perfect(data, GROUP, RECIPE, 0).scores
    assert scores.spotting.f1 == 1.0
    assert scores.recognition.f1 == 1.0


def test_perfect_scores_miss_what_the_smoothing_flattens():
    truth = {(s, "a"): [Event(50, 90, emotion="positive"), Event(150, 154, emotion="negative")] for s in "xy"}
    data = SimpleNamespace(truth=truth, videos=[Video(*key, 30, 240, tuple(truth[key])) for key in truth])
    counts = controls.perfect(data, "x", RECIPE, 0).scores.spotting
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)  # k_p = 11: three frames of 22 stay under p


def test_a_leak_has_the_test_videos_in_training(seen):
    data = Toy()
    leak = controls.leaked(data, GROUP, RECIPE, 0)
    assert set(seen[0].flows) == set(seen[0].events) == set(data.truth)
    honest = fold(data.flow("5"), data.truth, GROUP, RECIPE, 0)
    assert set(leak.predictions) == set(honest.predictions)
    assert leak.rule == honest.rule


def test_tiling_covers_the_video_in_the_commonest_class():
    # k_p = 5 from two MEs of 11 frames: tiles 0…10, 11…21, 22…32, and 33…39 cut at the end of 40 frames
    truth = {
        ("x", "a"): [Event(0, 10, emotion="surprise"), Event(20, 30, emotion="surprise")],
        ("y", "a"): [Event(9, 22, emotion="surprise"), Event(28, 38, emotion="negative")],
    }
    data = SimpleNamespace(truth=truth, videos=[Video(*key, 30, 40, tuple(truth[key])) for key in truth])
    found = controls.tiling(data, ["y"], RECIPE, 0)
    tiles = [(0, 10), (11, 21), (22, 32), (33, 39)]
    assert [(e.onset, e.offset, e.emotion) for e in found.predicted["y", "a"]] == [
        (*tile, "surprise") for tile in tiles
    ]
    # 9…22 shares 11 of 14 frames with the second; 28…38 shares 5 of 17 with the third, 6 of 12 with the last
    assert (found.scores.spotting.tp, found.scores.spotting.fp, found.scores.spotting.fn) == (2, 2, 0)
    assert found.scores.spotting.f1 == pytest.approx(2 / 3)
    assert found.candidates(("y", "a"))[0].emotion == "surprise"


def test_chance_draws_as_many_intervals_and_classes_as_training_has():
    events = [Event(t, t + 10, emotion="positive" if t % 400 else "others") for t in range(0, 4000, 200)]
    truth = {(s, "a"): events for s in "xy"}
    data = SimpleNamespace(
        number=1, truth=truth, videos=[Video(*key, 30, 4000, tuple(truth[key])) for key in truth]
    )
    drawn = [controls.chance(data, "y", RECIPE, seed).predicted["y", "a"] for seed in range(100)]
    assert np.mean([len(found) for found in drawn]) == pytest.approx(20, abs=1.5)  # ± 3 of its own spread
    classes = Counter(event.emotion for found in drawn for event in found)
    assert set(classes) == {"positive", "others"}
    assert classes["others"] / classes.total() == pytest.approx(0.5, abs=0.04)
    middles = [event.apex for found in drawn for event in found]
    assert np.mean(middles) == pytest.approx(2000, abs=80)
    assert controls.chance(data, "y", RECIPE, 0).predicted == controls.chance(data, "y", RECIPE, 0).predicted
    assert drawn[0] != drawn[1]


def test_blind_controls_take_the_recipes_kind():
    recipe = Recipe("METST", rule=Rule("macro"))
    truth = {(s, "a"): [Event(5, 25, kind="macro"), Event(30, 34, emotion="others")] for s in "xy"}
    data = SimpleNamespace(
        number=1, truth=truth, videos=[Video(*key, 30, 63, tuple(truth[key])) for key in truth]
    )
    found = controls.tiling(data, "x", recipe, 0)
    assert [(e.onset, e.offset, e.kind) for e in found.predicted["x", "a"]] == [
        (0, 20, "macro"), (21, 41, "macro"), (42, 62, "macro"),
    ]  # fmt: skip


def test_scores_of_a_control_are_those_of_its_events():
    found = controls.chance(Toy(), GROUP, RECIPE, 3)
    assert found.scores == metrics.evaluate(found.predicted, found.truth)
