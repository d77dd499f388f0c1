"""The comparator without training: what it measures, chooses and refuses."""

import json

import numpy as np
import pytest
from toys import CHANNELS, as_flow, toy

from metst_lib.baseline import MEASURES, FlowMagnitude, displacement, fit
from metst_lib.events import Event
from metst_lib.metrics import evaluate
from metst_lib.spotting import Rule

NONE = (None, None, None)


def found(predictor, flows, half_width=5, synergy=True):
    rule = Rule(half_width=half_width, result_synergy=synergy)
    return {key: rule.find(predictor.predict(flow)) for key, flow in flows.items()}


def test_displacement_undoes_the_windows():
    signal = np.cumsum(np.random.default_rng(0).normal(size=(75, CHANNELS)), axis=0)
    path = displacement(as_flow(signal))
    np.testing.assert_allclose(path, signal - signal[0], atol=1e-5)


def test_motion_out_and_back_is_found_and_told_by_its_direction():
    flows, events = toy(subjects=4)
    unseen = {key: flows.pop(key) for key in list(flows) if key[0] == "s3"}
    truth = {key: events.pop(key) for key in unseen}
    fitted = fit(flows, events)
    assert fitted.half_width == 5 and fitted.f1 > 0.9
    scores = evaluate(found(fitted, unseen), truth)
    assert scores.spotting.f1 > 0.8 and scores.recognition.uar > 0.8


@pytest.mark.parametrize("measure", MEASURES)
def test_motion_counts_and_place_does_not(measure):
    # A region that drifts away slowly scores low all the while; one that goes out and back scores high there.
    path = np.zeros((120, CHANNELS))
    path[:, 0] = np.linspace(0, 5, 120)
    path[60:71, 2] = np.sin(np.linspace(0, np.pi, 11))
    settings = FlowMagnitude(measure, 5, "max", None, None, 5, 0.0, ((1.0, 0, 0, 0), *NONE))
    seen = settings.predict(as_flow(path))
    score, logits = seen.score, seen.logits
    assert score.shape == (120,) and logits.shape == (120, 5) and score.dtype == logits.dtype == np.float32
    assert abs(int(score.argmax()) - 65) <= 5
    assert score[:50].max() < 0.5 * score.max()
    assert (logits[:, 4] < logits[:, :4].min(axis=1)).all()  # never neutral
    assert (logits[:, 1:4] == -1).all()  # classes that training lacks


def test_the_return_is_the_distance_from_the_middle_by_hand():
    path = np.zeros((40, CHANNELS))
    path[20, 0], path[20, 1] = 3.0, 4.0  # one region, one frame, 5 pixels
    seen = FlowMagnitude("return", 2, "max", None, None, 5, 0.0, ((0.6, 0.8, 0, 0), *NONE)).predict(
        as_flow(path)
    )
    expected = np.zeros(40)
    expected[[18, 20, 22]] = 2.5, 5.0, 2.5  # as a neighbour at ± 2 frames it counts half
    np.testing.assert_allclose(seen.score, expected, atol=1e-5)
    mean = FlowMagnitude("return", 2, "mean", None, None, 5, 0.0, ((0.6, 0.8, 0, 0), *NONE))
    np.testing.assert_allclose(mean.predict(as_flow(path)).score, expected / 2, atol=1e-5)
    assert seen.logits[20, 0] == pytest.approx(1) and seen.logits[15, 0] == pytest.approx(-1)  # back again


def test_the_ceiling_and_the_limit_keep_large_motion_from_hiding_small_motion():
    path = np.zeros((200, CHANNELS))
    for onset, height in ((40, 1.0), (120, 6.0)):
        path[onset : onset + 11, 2] = height * np.sin(np.linspace(0, np.pi, 11))

    def apexes(ceiling, limit):
        settings = FlowMagnitude("return", 5, "max", ceiling, limit, 5, 0.0, ((0, 0, 1.0, 0), *NONE))
        return {event.apex // 20 for event in found(settings, {"v": as_flow(path)})["v"]}

    assert apexes(None, None) == {6}
    assert apexes(0.5, None) == {2, 6}
    assert apexes(None, 3.0) == {2}


def test_it_chooses_by_what_it_is_given_and_the_same_each_time():
    flows, events = toy(subjects=2)
    one, two = fit(flows, events), fit(dict(reversed(flows.items())), events)
    assert one == two
    scores = evaluate(found(one, flows, one.half_width, synergy=False), events)
    assert scores.spotting.f1 == pytest.approx(one.f1)  # as fitted, so predicted
    without = {key: [e for e in marked if e.emotion != "others"] for key, marked in events.items()}
    assert fit(flows, without).centroids[3] is None


def test_what_it_learned_can_be_written_as_json_and_there_is_no_history():
    fitted = fit(*toy(subjects=2))
    seen = json.loads(json.dumps(fitted.statistics, allow_nan=False))
    assert seen["half_width"] == 5 and seen["measure"] in MEASURES and len(seen["centroids"]) == 4
    assert (len(fitted.history), fitted.model, fitted.resumed, fitted.earlier) == (0, None, 0, 0)


def test_macro_expressions_are_fitted_by_their_own_kind():
    flows, events = toy(subjects=2)
    both = {
        key: [Event(e.onset, e.offset, kind="macro") for e in marked] + [Event(0, 3, emotion="others")]
        for key, marked in events.items()
    }
    macro, micro = fit(flows, both, kind="macro"), fit(flows, events)
    assert macro.centroids == (None, None, None, None)  # they have no emotion
    assert (macro.half_width, macro.f1) == (micro.half_width, micro.f1)


def test_bad_flow_is_refused():
    flows, events = toy(subjects=2)
    fitted = fit(flows, events)
    with pytest.raises(ValueError, match="fitted on flow of 4 channels, got 2"):
        fitted.predict(as_flow(np.zeros((60, 2))))
    flows["s1", "a"].values[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="flow of video s1 a holds NaN"):
        fit(flows, events)
    with pytest.raises(ValueError, match="flow holds NaN"):
        fitted.predict(flows["s1", "a"])
    with pytest.raises(ValueError, match="same videos: s1 a"):
        fit({k: v for k, v in flows.items() if k != ("s1", "a")}, events)
    with pytest.raises(ValueError, match="no micro-expression"):
        fit({("s0", "a"): flows["s0", "a"]}, {("s0", "a"): []})
