"""A model as a file: what it keeps, and what is refused when it is read."""

import dataclasses
import json

import numpy as np
import pytest

from metst_lib import experiment, rois
from metst_lib.experiment import store
from metst_lib.flow import RoiFlow
from metst_lib.models import build
from metst_lib.recording import model as models


@pytest.fixture(scope="module")
def config(tiny_root):
    return dataclasses.replace(experiment.configure(root=tiny_root), epochs=2)


@pytest.fixture(scope="module")
def model(config):
    return models.fit(config)


@pytest.fixture
def stored(model, tmp_path):
    return models.save(model, tmp_path / "model.npz")


def test_it_is_trained_on_every_subject(config, model):
    videos = experiment.load_data(config).videos
    assert (model.about.subjects, model.about.videos) == (3, 3)
    assert model.about.micro_expressions == sum(len(v.events_of("micro")) for v in videos)
    assert (model.about.fps, model.about.window, model.about.roi_set) == (30.0, 30, "5")
    assert model.about.synthetic and not model.network.training


def test_a_stored_model_predicts_what_the_trained_one_does(config, model, stored):
    again = models.load(stored)
    assert again.about == model.about and len(again.key) == 12
    video = experiment.load_data(config).videos[0]
    flow = experiment.load_flow(config, [video])[video.key]
    ours, theirs = again.predict(flow), model.predict(flow)
    np.testing.assert_array_equal(ours.score, theirs.score)
    np.testing.assert_array_equal(ours.logits, theirs.logits)


def test_a_model_keeps_the_rule_and_the_form_of_its_variant(config, model, tmp_path):
    rule = dataclasses.replace(config.recipe.rule, half_width=model.about.half_width)
    assert (model.about.rule, model.about.size) == (rule, dict(config.recipe.size))
    size = {"dim": 8, "n_blocks": 2, "depth": 1, "d_state": 4, "shared_branches": True, "init": "released"}
    own = {"growth": "curve", "neutral": "zero", "cut": "last", "prominence": 0.5, "edges": "whole"}
    about = dataclasses.replace(model.about, network="METSTPlus", roi_set="18", size=size, **own)
    stored = models.save(models.Trained(build("METSTPlus", 36, **size), about), tmp_path / "model.npz")
    again = models.load(stored)
    assert again.about == about and again.network.recognition is None
    assert again.about.rule == dataclasses.replace(rule, **own)


def test_a_model_file_holds_plain_arrays_and_a_text(stored):
    with np.load(stored, allow_pickle=False) as arrays:
        kinds = {name: arrays[name].dtype.kind for name in arrays.files}
    assert kinds.pop("about") == "U" and set(kinds.values()) <= {"f", "i"}


def test_a_model_that_was_trained_outside_git_is_read_again(model, tmp_path):
    without = dataclasses.replace(model, about=dataclasses.replace(model.about, git=None))
    assert models.load(models.save(without, tmp_path / "model.npz")).about.git is None


def test_flow_that_does_not_hold_trains_no_model(config, monkeypatch):
    def stale(_):
        raise FileNotFoundError("make it with `metst flow`")

    monkeypatch.setattr(experiment.flows, "whole_inputs", stale)
    with pytest.raises(FileNotFoundError, match="make it with `metst flow`"):
        models.fit(config)


def test_its_place_is_beside_the_data_and_named_after_the_experiment():
    assert store.model_path(experiment.configure()).parts[-4:] == (
        "data",
        "models",
        "synthetic",
        "me-tst.npz",
    )


def test_its_limits_say_what_it_was_trained_on(model):
    rendered = " ".join(model.about.limits)
    assert "rendered motion of one face" in rendered and "Not for judging people" in rendered
    real = dataclasses.replace(model.about, synthetic=False, trained_on="casme3", subjects=98)
    assert "98 people recorded in a laboratory (CAS(ME)³)" in real.limits[0]
    assert all("left it" not in line for line in real.limits[:-1]) and "left it" in real.limits[-1]


def test_flow_of_other_regions_or_windows_is_refused(model):
    def flow(roi_set, window):
        channels = len(rois.channel_names(roi_set))
        return RoiFlow(np.zeros((1, channels, window)), np.array([0]), np.array([False]), 60, 30.0, roi_set)

    with pytest.raises(ValueError, match="reads 5 regions in windows of 30 frames, this flow has 18 in win"):
        model.predict(flow("18", 30))
    with pytest.raises(ValueError, match="this flow has 5 in windows of 50"):
        model.predict(flow("5", 50))


def rewritten(path, change=None, **about):
    """The model file with its arrays changed by a function, and its description by values."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["about"] = np.array(json.dumps(json.loads(str(arrays["about"])) | about))
    np.savez(path, **(change(arrays) or arrays if change else arrays))
    return path


def poisoned(arrays):
    arrays[next(name for name in arrays if name.endswith("weight"))][...] = np.nan


def test_a_model_that_cannot_be_used_says_why(stored):
    whole = stored.read_bytes()
    for change, message in [
        ({"roi_set": "7"}, "roi_set: Input should be '5' or '18'"),
        ({"roi_set": "18"}, "do not fit METST of 18 regions"),
        ({"network": "METSTTwo"}, "unknown network 'METSTTwo'"),
        ({"window": 31}, "window: Input should be a multiple of 2"),
        ({"fps": 0.0}, "fps: Input should be greater than 0"),
        ({"flow_mode": "rough"}, "flow_mode: Input should be 'exact' or 'fast'"),
        ({"classes": ["happy"]}, "classes are happy, not negative"),
        ({"colour": "red"}, "colour: Unexpected keyword argument"),
        ({"size": "small"}, "size: Input should be an object"),
        ({"half_width": "five"}, "half_width: Input should be a valid integer"),
        ({"change": poisoned}, "are not finite"),
    ]:
        stored.write_bytes(whole)
        rewritten(stored, **change)
        with pytest.raises(ValueError, match=message) as error:
            models.load(stored)
        assert "model.npz holds a model that cannot be used" in str(error.value)


def test_what_is_no_model_is_refused_by_name(stored, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model at .*none.npz: `metst train` makes"):
        models.load(tmp_path / "none.npz")
    stored.write_bytes(stored.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"model.npz is not a model, or not a whole one"):
        models.load(stored)
    np.savez(stored, values=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"model.npz holds a model that cannot be used: variant: Field required"
    ):
        models.load(stored)


def test_a_variant_without_a_network_leaves_no_model(tiny_root):
    with pytest.raises(ValueError, match="flow-magnitude has no network that could be kept"):
        models.fit(experiment.configure("synthetic", "flow-magnitude", root=tiny_root))
