"""A fold's artefacts: whole or absent, read back as they were, and no fold where one of them is not right."""

import dataclasses
import json
import os
import shutil

import pytest
from trials import compendium, shorten

from metst_lib import experiment, metrics
from metst_lib.experiment import configure, flows, runs, store


@pytest.fixture
def config(tiny_root, tmp_path, monkeypatch):
    """ME-TST on the tiny set, two epochs, with runs of its own."""
    shorten(monkeypatch)
    return configure(root=compendium(tiny_root, tmp_path / "own"))


@pytest.fixture
def yardstick(config):
    """The comparator without training, its first fold run."""
    yardstick = dataclasses.replace(config, variant="flow-magnitude")
    experiment.run_fold(yardstick, "spNO.1")
    return yardstick


def test_a_fold_leaves_its_artefacts_and_is_read_back_as_it_was(config):
    scores = experiment.run_fold(config, "spNO.2")
    folder = store.fold_folder(config, "spNO.2")
    assert folder.relative_to(config.places.data).as_posix() == "runs/synthetic/me-tst/micro/seed0/spNO.2"
    expected = ["config.json", "events.csv", "history.csv", "metrics.json", "predictions.npz"]
    assert sorted(p.name for p in folder.iterdir()) == expected
    fold = experiment.read_fold(config, "spNO.2")
    assert fold.scores == scores == metrics.evaluate(fold.predicted, fold.truth)
    assert list(fold.history["epoch"]) == [1, 2]
    prediction = fold.predictions["spNO.2", "a"]
    assert prediction.score.shape == (240,) and prediction.logits.shape == (240, 5)
    assert fold.predicted["spNO.2", "a"] == fold.rule.find(prediction)
    about = store.read_fitting(config, "spNO.2")
    assert about.settings["training"]["epochs"] == 2
    assert about.made_with["versions"]["torch"].startswith("2.13.0")
    assert about.made_with["backend"] and about.spent.seconds > 0
    (video,) = experiment.load_data(config).videos_of("spNO.2")
    assert fold.truth == {video.key: list(video.events_of("micro"))}


def test_records_hold_no_path_and_their_measures_are_the_scores(yardstick):
    folder = store.fold_folder(yardstick, "spNO.1")
    for name in ("config.json", "metrics.json"):
        assert str(yardstick.places.root) not in (folder / name).read_text()
    written = json.loads((folder / "metrics.json").read_text())
    scores = experiment.read_fold(yardstick, "spNO.1").scores
    assert written["measures"] == {name: scores.measure(name) for name in metrics.MEASURES}


@pytest.mark.parametrize("name", ["events.csv", "predictions.npz", "history.csv"])
def test_a_damaged_file_of_a_fold_makes_it_stale_and_is_made_again(yardstick, name):
    scores = experiment.read_fold(yardstick, "spNO.1").scores
    path = store.fold_folder(yardstick, "spNO.1") / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:60], whole + b" "):
        if damaged == whole:
            continue
        path.write_bytes(damaged)
        with pytest.raises(FileNotFoundError, match=r"fold spNO\.1 of flow-magnitude, seed 0, was made of"):
            experiment.read_fold(yardstick, "spNO.1")
        assert experiment.read_run(yardstick).stale == ["spNO.1"]
        assert experiment.run_fold(yardstick, "spNO.1") == scores
        assert experiment.read_fold(yardstick, "spNO.1").scores == scores and path.read_bytes() == whole


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"identity": 3', '{"identity": "a"}'])
def test_a_damaged_record_makes_a_fold_stale_and_is_made_again(yardstick, name, content):
    path = store.fold_folder(yardstick, "spNO.1") / name
    path.write_text(content)
    assert experiment.read_run(yardstick).stale == ["spNO.1"]
    experiment.run_fold(yardstick, "spNO.1")
    assert experiment.read_run(yardstick).stale == []
    experiment.read_fold(yardstick, "spNO.1")


def test_every_number_of_a_step_counts(yardstick, monkeypatch):
    """Who changes what a step computes raises its number: what was made before is stale then."""
    assert runs.states(yardstick)["spNO.1"] == "valid"
    for step, number in store.STEPS.items():
        with monkeypatch.context() as patch:
            patch.setitem(store.STEPS, step, number + 1)
            expected = "valid" if step == "training" else "stale"  # the comparator has none
            assert runs.states(yardstick)["spNO.1"] == expected, step


def test_which_inputs_decide_what(config):
    """Own labels decide the scores alone; all other labels, and all flow, the predictions too."""
    today, subject = flows.inputs(config), "spNO.1"
    own, other = (
        next(key for key in today.flow if (key[0] == subject) == is_own) for is_own in (True, False)
    )

    def changed(**parts):
        one = dataclasses.replace(today, **parts)
        fit = store.fit_identity(config, subject, one) != store.fit_identity(config, subject, today)
        return fit, store.identity(config, subject, one) != store.identity(config, subject, today)

    assert changed() == (False, False)
    assert changed(labels={**today.labels, own: "x"}) == (False, True)
    assert changed(labels={**today.labels, other: "x"}) == (True, True)
    for key in (own, other):
        assert changed(flow={**today.flow, key: "x"}) == (True, True)


def test_nothing_is_stale_in_a_copy_of_the_folder(yardstick, tmp_path):
    shutil.copytree(yardstick.places.root, tmp_path / "copy", symlinks=True)
    moved = configure(variant="flow-magnitude", root=tmp_path / "copy")
    for path in store.flow_folder(moved).iterdir():
        path.touch()  # times may differ from copy to copy
    assert experiment.read_run(moved).stale == [] and list(experiment.read_run(moved).folds) == ["spNO.1"]


def test_what_a_killed_writer_left_is_swept_away(yardstick):
    folder = store.fold_folder(yardstick, "spNO.1")
    left = folder / ".predictions.abcd1234.npz"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    store.metrics_path(yardstick, "spNO.1").unlink()
    (folder / "config.json").unlink()
    experiment.run_fold(yardstick, "spNO.1")
    assert not left.exists()
