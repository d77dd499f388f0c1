"""What a state shows of a finished run, in events, metrics and words."""

import dataclasses

import numpy as np
import pytest
from finished import KEY, OTHER, logits

from metst_lib import experiment, metrics
from metst_lib.app.view import State, at_frame, faces_of, look, neighbour, start, story, table
from metst_lib.events import Prediction
from metst_lib.spotting import Rule

# --- from a state to what it shows ----------------------------------------------------------------------


def test_the_runs_own_settings_show_the_runs_own_events_and_scores(run, videos):
    state = start(run, videos[0])
    view = look(run, state)
    assert state == State(KEY, 30, Rule(), "strict")
    assert [event for event, _ in view.found] == run.predicted[KEY]
    assert view.of_run == run.scores()
    assert view.half_width == 6


def test_a_lower_threshold_finds_the_low_peak_too(run):
    high, low = (look(run, State(KEY, rule=Rule(p=p))) for p in (0.55, 0.1))
    assert [(event.apex, hit) for event, hit in high.found] == [(30, True)]
    assert [(event.apex, hit) for event, hit in low.found] == [(30, True), (90, True)]
    assert low.threshold < high.threshold
    assert (high.of_video.spotting.fn, low.of_video.spotting.fn) == (1, 0)


def test_the_veto_moves_a_neutral_interval_from_found_to_dropped(run):
    on, off = (look(run, State(KEY, rule=Rule(result_synergy=switch))) for switch in (True, False))
    assert [(event.apex, hit) for event, hit in on.dropped] == [(60, False)]
    assert off.dropped == ()
    assert [event.apex for event, _ in off.found] == [30, 60]


def test_a_true_interval_that_is_dropped_is_told_from_a_false_one(run):
    neutral = {KEY: Prediction(run.folds["s1"].predictions[KEY].score, logits())}
    changed = dataclasses.replace(run.folds["s1"], predictions=neutral)
    run = dataclasses.replace(run, folds={**run.folds, "s1": changed})
    view = look(run, State(KEY))
    assert view.found == ()
    assert [(event.apex, hit) for event, hit in view.dropped] == [(30, True), (60, False)]


def test_k_p_is_each_folds_own_until_it_is_set_and_then_that_of_all(run):
    found = {k: [e for e, _ in look(run, State(OTHER, rule=Rule(half_width=k))).found] for k in (None, 7)}
    for given, k_p in ((None, 4), (7, 7)):
        first, second = run.folds["s1"].predictions[KEY], run.folds["s2"].predictions[OTHER]
        assert found[given] == Rule(half_width=k_p).find(second)
        expected = {OTHER: found[given], KEY: Rule(half_width=given or 6).find(first)}
        of_run = look(run, State(KEY, rule=Rule(half_width=given))).of_run
        assert of_run == metrics.evaluate(expected, run.truth)
    assert found[None] != found[7]


def test_another_scorer_counts_the_same_events_otherwise(run):
    views = {name: look(run, State(OTHER, scorer=name)) for name in metrics.SCORERS}
    assert len({view.found for view in views.values()}) == 1
    empty = dataclasses.replace(run.folds["s2"], truth={OTHER: []})
    run = dataclasses.replace(run, folds={**run.folds, "s2": empty})
    assert look(run, State(OTHER)).of_video.spotting.fp == 1
    assert look(run, State(OTHER, scorer="megc2024")).of_video.spotting.fp == 0


def test_a_video_without_a_score_is_refused_by_name(run):
    with pytest.raises(ValueError, match="me-tst has no score of video s1 z"):
        look(run, State(("s1", "z")))


def test_the_next_event_is_the_nearest_true_or_found_one(run):
    view, truth = look(run, State(KEY)), run.truth[KEY]
    assert [neighbour(view, truth, frame, 1) for frame in (0, 30, 90)] == [30, 90, 90]
    assert [neighbour(view, truth, frame, -1) for frame in (119, 90, 30)] == [90, 30, 30]


# --- in words -------------------------------------------------------------------------------------------


def test_the_story_counts_what_is_found_missed_and_dropped(run):
    view = look(run, State(KEY))
    assert story(view) == (
        "1 event found: 1 on a true one, 0 on none; 1 of 2 true ones missed. "
        "1 interval dropped as neutral, 0 on a true one."
    )


def test_a_frame_is_told_with_score_class_and_truth(run, videos):
    view = look(run, State(KEY))
    words = at_frame(view, videos[0], 30)
    assert words.startswith("Frame 30 of 120 (1.00 s): smoothed score 0.7")
    assert "above the threshold" in words
    assert words.endswith("most probable surprise (0.40); true: a surprise micro-expression.")
    assert at_frame(view, videos[0], 52).endswith("true: a blink.")
    assert at_frame(view, videos[0], 0).endswith("true: nothing labelled.")


def test_the_table_has_video_fold_and_run(run):
    rows = table(look(run, State(KEY)), "s1", "all 2 folds").split("<tr>")[2:]
    assert [row.split("</th>")[0].split(">")[-1] for row in rows] == ["this video", "fold s1", "all 2 folds"]
    assert "<td>1</td><td>0</td><td>1</td><td>0.667</td>" in rows[0]
    assert "<td>1</td><td>1</td><td>2</td><td>0.400</td>" in rows[2]


# --- faces ---


def test_a_face_is_shown_of_the_synthetic_set_alone(tiny_root, monkeypatch):
    config = experiment.configure(root=tiny_root)
    video = experiment.load_data(config).videos[0]
    shown = faces_of(config, video)(100)
    assert shown.image.shape == (320, 320)
    assert len(shown.layout.regions) == 5
    real = dataclasses.replace(config.reader, synthetic=False)
    monkeypatch.setattr(experiment.Config, "reader", real)
    licensed = faces_of(config, video)(100)
    assert licensed.image is None
    np.testing.assert_array_equal(licensed.landmarks, shown.landmarks)
    assert licensed.layout == shown.layout
