"""Runs asked after training: candidates with their fate, false positives with their cause, other settings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metst_lib import datasets, experiment, metrics
from metst_lib.datasets import Dataset
from metst_lib.events import CLASSES, Event, Prediction, Video
from metst_lib.experiment import analysis, runs, store
from metst_lib.fold import Fold
from metst_lib.spotting import Rule

SURPRISE, NEUTRAL = CLASSES.index("surprise"), CLASSES.index("neutral")
KEY = ("s1", "a")


def logits(classes):
    return np.eye(5)[classes] * 4.0


@pytest.fixture
def run():
    """One video of 200 frames: a score with three equal bumps, about frames 40, 100 and 160.

    The first two are MEs; the recogniser calls the first surprise, the other two neutral.
    """
    score, classes = np.zeros(200), np.full(200, NEUTRAL)
    for middle in (40, 100, 160):
        score[middle - 5 : middle + 5] = 1.0
    classes[30:50] = SURPRISE
    truth = [Event(35, 45, emotion="surprise"), Event(95, 105, emotion="negative")]
    config = experiment.configure("synthetic", "me-tst-plus")
    predicted = {KEY: [Event(35, 45, emotion="surprise")]}
    scores = metrics.evaluate(predicted, {KEY: truth})
    predictions = {KEY: Prediction(score, logits(classes))}
    rule = Rule(half_width=5)
    fold = Fold(rule, predictions, predicted, {KEY: truth}, scores, {}, pd.DataFrame())
    return experiment.Run(config, {"s1": fold}, [], [])


def test_candidates_meet_the_truth_before_any_is_dropped(run):
    table = analysis.candidate_table(run)
    assert table.vote.tolist() == ["surprise", "neutral", "neutral"]
    assert table.dropped.tolist() == [False, True, True]
    assert table.true.tolist() == [True, True, False]
    assert table.truth.tolist() == ["surprise", "negative", ""]
    assert (table.subject == "s1").all() and (table.offset - table.onset == 10).all()


def test_fig_4_counts_candidates_by_fate_and_truth(run):
    counts = analysis.synergy_counts(run)
    assert counts._asdict() == {"kept_true": 1, "kept_false": 0, "dropped_true": 1, "dropped_false": 1}
    run.folds["s1"].predictions[KEY].logits[150:170] = np.eye(5)[
        SURPRISE
    ]  # the third bump is called surprise too
    assert analysis.synergy_counts(run) == (1, 1, 1, 0)


def test_fig_4_of_a_run_that_proposes_nothing(run):
    run.folds["s1"].predictions[KEY].score[:] = 0
    assert analysis.synergy_counts(run) == (0, 0, 0, 0)


def test_rescore_with_nothing_changed_gives_the_runs_own_scores(tiny_root):
    config = experiment.configure(variant="flow-magnitude", root=tiny_root)
    experiment.run_folds(config, experiment.folds(config), progress=False)
    stored = experiment.read_run(config)
    assert analysis.rescore(stored) == stored.scores()
    assert analysis.rescore(stored, p=0.99) != stored.scores()


def test_rescore_takes_other_settings(run):
    assert analysis.rescore(run).spotting == metrics.Counts(1, 0, 1)
    assert analysis.rescore(run, result_synergy=False).spotting == metrics.Counts(2, 1, 0)
    # intervals of 41 frames meet the true 11 with an IoU of 11/41
    assert analysis.rescore(run, half_width=20).spotting.tp == 0
    assert analysis.rescore(run, scorer="megc2024").scorer == "megc2024"


def test_a_video_without_scores_still_counts_its_misses(run):
    run.folds["s1"].truth["s1", "b"] = [Event(3, 9, emotion="others")]
    assert analysis.rescore(run).spotting.fn == 2


# --- seeds ----------------------------------------------------------------------------------------------


def test_finished_seeds_have_every_fold_of_every_variant(tmp_path, monkeypatch):
    finished = {("me-tst", seed): {"s1", "s2"} for seed in (0, 2, 10)}
    finished |= {("me-tst-plus", 0): {"s1", "s2"}, ("me-tst-plus", 2): {"s1"}}
    finished |= {("me-tst-plus", 10): {"s1", "s2"}}
    for variant, seed in finished:
        config = experiment.configure("synthetic", variant, seed, root=tmp_path)
        store.run_folder(config).mkdir(parents=True)

    def states(config, _):
        there = finished.get((config.variant, config.seed), ())
        return {subject: "valid" if subject in there else "stale" for subject in ("s1", "s2")}

    monkeypatch.setattr(analysis.flows, "inputs", lambda _: store.Inputs({}, {}))
    monkeypatch.setattr(runs, "states", states)
    config = experiment.configure(root=tmp_path)
    assert analysis.finished_seeds(config, ["me-tst"]) == [0, 2, 10]
    assert analysis.finished_seeds(config, ["me-tst", "me-tst-plus"]) == [0, 10]
    assert analysis.finished_seeds(config, ["me-tst", "transformer"]) == []


# --- errors, sorted -------------------------------------------------------------------------------------

VIDEO = Video(
    *KEY,
    fps=30,
    n_frames=100,
    events=(
        Event(10, 19, emotion="negative"),
        Event(40, 59, kind="macro"),
        Event(80, 84, kind="blink"),
    ),
)
DATA = Dataset(datasets.reader_of("casme3"), (VIDEO,), pd.DataFrame(), 30.0, blink_subjects=frozenset({"s1"}))
UNLABELLED = replace(
    DATA, videos=(replace(VIDEO, events=VIDEO.events[:2]),), blink_subjects=frozenset({"someone else"})
)
"""The same video where nobody labelled this subject's blinks."""


@pytest.fixture
def three_found():
    """A run with one hit and two false alarms: on the macro-expression, half on a blink."""
    config = experiment.configure("synthetic", "me-tst-plus")
    predicted, truth = {KEY: [Event(10, 19), Event(41, 51), Event(80, 89)]}, {KEY: VIDEO.events_of("micro")}
    scores = metrics.evaluate(predicted, truth)
    predictions = {KEY: Prediction(np.zeros(100), np.zeros((100, 5)))}
    fold = Fold(Rule(half_width=5), predictions, predicted, truth, scores, {}, pd.DataFrame())
    return experiment.Run(config, {"s1": fold}, [], [])


def counted(table):
    return {row.sort: row.count for row in table.itertuples(index=False) if row.count}


def test_false_alarms_lie_on_what_the_data_set_labels(three_found):
    assert counted(analysis.errors(three_found, DATA)) == {"on a macro": 1, "on a blink or gaze shift": 1}
    told = analysis.errors(three_found, DATA, {KEY: np.zeros((100, 2))})
    assert "on a head movement" in told.sort.tolist()


def test_a_false_alarm_is_not_said_to_lie_elsewhere_where_blinks_were_not_labelled(three_found):
    table = analysis.errors(three_found, UNLABELLED)
    assert counted(table) == {"on a macro": 1, "elsewhere, not labelled": 1}
    assert table.set_index("sort").by_chance["elsewhere"] == 0


def test_misses_are_sorted_by_the_runs_own_curve(run):
    """Of two true MEs the first is found; the second has a peak that the recogniser's vote dropped, or, where
    it is lower, a peak under the threshold."""
    data = replace(DATA, videos=(Video(*KEY, fps=30, n_frames=200, events=tuple(run.truth[KEY])),))
    assert counted(analysis.errors(run, data)) == {"dropped by the vote": 1}
    run.folds["s1"].predictions[KEY].score[90:110] *= 0.3
    assert counted(analysis.errors(run, data)) == {"under the threshold": 1}


def test_labels_of_a_kind_are_those_of_the_other():
    assert analysis.labels(DATA, "macro")["on a micro"] == {KEY: [VIDEO.events[0]]}
    assert analysis.labels(DATA) == {
        "on a macro": {KEY: [VIDEO.events[1]]},
        "on a blink or gaze shift": {KEY: [VIDEO.events[2]]},
    }


def test_the_head_moves_where_its_path_is_longest():
    head = np.zeros((100, 2))
    head[50:, 0], head[50:, 1] = 3.0, 4.0  # one jump of 5 px between frames 49 and 50
    moves = analysis.head_moves(head, length=11, share=0.2)
    assert [move.onset for move in moves] == list(range(40, 50))  # the eleven frames hold both 49 and 50
    assert {move.length for move in moves} == {11}


def test_heads_are_known_where_they_were_rendered(tiny_root):
    config = experiment.configure(root=tiny_root)
    videos = experiment.load_data(config).videos
    heads = analysis.true_heads(config, videos)
    assert {key: head.shape for key, head in heads.items()} == {v.key: (v.n_frames, 2) for v in videos}
    assert analysis.true_heads(experiment.configure("casme3", root=tiny_root), videos) == {}


def test_a_setting_for_a_subject_is_chosen_on_the_others():
    """High suits a and b, low suits c so well that it wins wherever c has a say."""

    def scores(**counts):
        empty = ((0,) * 5,) * 4
        parts = {name: metrics.SubjectScores(metrics.Counts(*c), empty) for name, c in counts.items()}
        return metrics.Scores("strict", parts)

    high = scores(a=(3, 0, 1), b=(3, 0, 1), c=(0, 5, 9))
    low = scores(a=(2, 1, 2), b=(2, 1, 2), c=(9, 0, 0))
    assert analysis.chosen_on_others({0.7: high, 0.3: low}) == {"a": 0.3, "b": 0.3, "c": 0.7}
    assert analysis.chosen_on_others({0.5: high, 0.6: high}) == dict.fromkeys("abc", 0.5)
    assert analysis.chosen_on_others({0.5: scores(a=(1, 0, 0)), 0.6: scores(a=(2, 0, 0))}) == {"a": 0.5}
