"""Flow on disk: extracted once, held against today's frames, and never half read."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from trials import compendium, shorten

from metst_lib import experiment
from metst_lib._files import digest
from metst_lib.datasets import frames
from metst_lib.events import Event, Video
from metst_lib.experiment import configure, flows, records, store


@pytest.fixture
def config(tiny_root, tmp_path, monkeypatch):
    """ME-TST on the tiny set, two epochs, with flow and runs of its own."""
    shorten(monkeypatch)
    return configure(root=compendium(tiny_root, tmp_path / "own"))


def count(monkeypatch):
    """From here on: (video, sets of regions) of each extraction."""
    asked, real = [], flows.flow.extract_sets

    def counted(images, points, roi_sets, **settings):
        asked.append((settings["name"], tuple(roi_sets)))
        return real(images, points, roi_sets, **settings)

    monkeypatch.setattr(flows.flow, "extract_sets", counted)
    return asked


def test_flow_is_extracted_once(config, monkeypatch):
    asked = count(monkeypatch)
    report = experiment.prepare(config, progress=False)
    assert sorted(report.videos) == ["spNO.1 a", "spNO.2 a", "spNO.3 a"]
    assert report.failed == {} and asked == []
    assert experiment.flow_report(config) == report


def test_two_sets_of_regions_take_one_pass(config, monkeypatch):
    wide = dataclasses.replace(config, variant="me-tst-plus")
    shutil.rmtree(store.flow_folder(wide), ignore_errors=True)
    videos = experiment.load_data(config).videos
    before = {v.key: experiment.load_flow(config, [v])[v.key].values for v in videos}
    for video in videos[:2]:
        store.flow_path(config, video).unlink()
    asked, real = [], flows.flow.extract_sets

    def counted(images, points, roi_sets, **settings):
        asked.append((settings["name"], tuple(roi_sets)))
        if len(roi_sets) > 1 and settings["name"] == "spNO.2 a":  # a region that one set alone has is outside
            raise ValueError("nothing of region 'below left eye' lies in the face crop")
        return real(images, points, roi_sets, **settings)

    monkeypatch.setattr(flows.flow, "extract_sets", counted)
    experiment.prepare(config, progress=False, beside=[wide])
    assert asked == [("spNO.1 a", ("5", "18")), ("spNO.2 a", ("5", "18")), ("spNO.2 a", ("5",))]
    for video in videos[:2]:
        again = experiment.load_flow(config, [video])[video.key].values
        np.testing.assert_array_equal(again, before[video.key])
    asked.clear()
    assert experiment.prepare(wide, progress=False).failed == {}
    assert asked == [("spNO.2 a", ("18",)), ("spNO.3 a", ("18",))]  # that of the first video is there


def test_half_a_flow_file_is_never_read_as_whole(config):
    video = experiment.load_data(config).videos[0]
    whole = experiment.load_flow(config, [video])[video.key].values
    path = store.flow_path(config, video)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=path.name):
        experiment.load_flow(config, [video])
    experiment.prepare(config, progress=False)
    np.testing.assert_array_equal(experiment.load_flow(config, [video])[video.key].values, whole)


def test_the_flow_of_another_video_is_refused_by_name(config):
    first, second = experiment.load_data(config).videos[:2]
    store.flow_path(config, first).write_bytes(store.flow_path(config, second).read_bytes())
    with pytest.raises(ValueError, match=r"is the flow of video spNO\.2 a, not of spNO\.1 a"):
        experiment.load_flow(config, [first])
    assert flows.inputs(config).flow[first.key] == ""


def test_a_video_without_a_face_is_reported_and_the_rest_goes_on(config, monkeypatch, capsys):
    videos = experiment.load_data(config).videos
    store.flow_path(config, videos[1]).unlink()
    real = frames.open

    class Blank:
        def __init__(self, video):
            self.frames, self.replaced = real(video), {}

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, i):
            return np.zeros_like(self.frames[i])

    monkeypatch.setattr(frames, "open", Blank)
    (config.places.root / "data" / "landmarks").unlink()  # or they would be known from before
    (config.places.root / "data" / "landmarks").mkdir()
    report = experiment.prepare(config, progress=False)
    assert list(report.failed) == ["spNO.2 a"]
    assert "face" in report.failed["spNO.2 a"].reason
    assert "spNO.2 a" in capsys.readouterr().out
    assert flows.inputs(config).flow["spNO.2", "a"] == store.NO_FLOW
    assert list(experiment.load_flow(config, videos)) == [("spNO.1", "a"), ("spNO.3", "a")]
    scores = experiment.run_fold(config, "spNO.2")  # nothing found there, so every ME is missed
    assert scores.spotting.tp == scores.spotting.fp == 0
    assert scores.spotting.fn == len(videos[1].events_of("micro")) > 0
    assert experiment.read_fold(config, "spNO.2").predicted == {("spNO.2", "a"): []}


def test_a_missing_flow_names_the_command_that_makes_it(config):
    store.flow_report_path(config).unlink()
    with pytest.raises(FileNotFoundError, match="metst flow synthetic --variant me-tst"):
        experiment.run_fold(config, "spNO.1")


def test_flow_that_does_not_hold_stops_a_fold_and_names_the_video(config):
    store.flow_path(config, experiment.load_data(config).videos[2]).unlink()
    expected = r"flow of 1 videos of synthetic is not that of .*\(first: spNO\.3 a\).*metst flow synthetic"
    with pytest.raises(FileNotFoundError, match=expected):
        experiment.run_fold(config, "spNO.1")


def test_a_missing_predictor_says_which_file_is_wanted(config):
    store.flow_path(config, experiment.load_data(config).videos[0]).unlink()
    places = dataclasses.replace(config.places, landmarks=config.places.root / "none.dat")
    without = dataclasses.replace(config, places=places)
    with pytest.raises(FileNotFoundError, match=r"none\.dat.*shape_predictor_68_face_landmarks\.dat"):
        experiment.prepare(without, progress=False)


@pytest.mark.parametrize("content", ["", "null", "{}", '{"videos": {"spNO.1 a": {"key": 3}}}'])
def test_a_damaged_report_of_the_flow_counts_as_none_and_is_made_again(config, monkeypatch, content):
    path = store.flow_report_path(config)
    before = records.read(path, records.FlowReport)
    path.write_text(content)
    assert not any(flows.inputs(config).flow.values())
    with pytest.raises(FileNotFoundError, match="metst flow synthetic"):
        experiment.run_fold(config, "spNO.1")
    asked = count(monkeypatch)
    experiment.prepare(config, progress=False)
    assert asked == []  # the files say themselves what they were made of
    assert experiment.flow_report(config) == before


def test_a_report_of_an_older_form_counts_as_none(config):
    path = store.flow_report_path(config)
    keys = {name: about["key"] for name, about in json.loads(path.read_text())["videos"].items()}
    old = {
        name: {"stamp": [key, None], "flagged": 0, "replaced": 0, "windows": 15} for name, key in keys.items()
    }
    path.write_text(json.dumps({"videos": old, "failed": {}}))
    with pytest.raises(FileNotFoundError, match="metst flow synthetic"):
        experiment.flow_report(config)


def test_a_damaged_frame_and_its_repair_make_the_flow_of_the_video_anew(config):
    frame = experiment.load_data(config).videos[0].source.path(100)
    before = experiment.prepare(config, progress=False).videos["spNO.1 a"]
    whole = frame.read_bytes()
    frame.write_bytes(whole[:2000])
    try:
        damaged = experiment.prepare(config, progress=False).videos["spNO.1 a"]
        assert damaged.replaced == 1 and damaged.key != before.key and damaged.hash != before.hash
    finally:
        frame.write_bytes(whole)
    after = experiment.prepare(config, progress=False).videos["spNO.1 a"]
    assert dataclasses.replace(after, file=before.file) == before


def test_landmarks_for_figures_follow_the_face(config):
    video = experiment.load_data(config).videos[0]
    points = experiment.landmarks_along(config, video)
    with np.load(config.places.data / "synthetic" / "truth" / "spNO.1_a.npz") as truth:
        distance = np.linalg.norm(points[::15] - truth["landmarks"][::15], axis=-1)
    assert points.shape == (video.n_frames, 68, 2)
    assert np.median(distance) < 4
    np.testing.assert_array_equal(points[15], points[29])


@pytest.mark.parametrize("units", [(), ("4", "L12")])
def test_action_units_change_neither_the_digest_of_labels_nor_the_key_of_made_up_flow(units):
    video = Video("s1", "a", 30.0, 100, (Event(3, 9, 5, "positive", aus=units), Event(20, 25, kind="macro")))
    label = [(3, 9, 5, "positive", "micro")]
    made = SimpleNamespace(
        dataset="toy",
        what=SimpleNamespace(roi_set="5"),
        settings=SimpleNamespace(kind="micro", window=30, flow_mode="exact", frame_step=1),
        reader=SimpleNamespace(flow=True, flow_key=str),
    )
    assert flows._labels(made, [video]) == {("s1", "a"): digest(100, label)} == {("s1", "a"): "680678711804"}
    some = SimpleNamespace(
        config=made,
        report=SimpleNamespace(imported=None),
        data=SimpleNamespace(has_blinks=lambda _: True),
    )
    assert flows.FlowSet._key(some, video, None) == "5d7d6e100c4b"
