"""Landmarks from elsewhere: a folder with a file for each video takes the place of dlib's predictor."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from trials import shorten

from metst_lib import experiment
from metst_lib.datasets import frames, landmarks
from metst_lib.events import window_starts
from metst_lib.experiment import configure, flows, store


def never(*_, **__):
    raise AssertionError("dlib's predictor was asked for")


@pytest.fixture
def root(tiny_root, tmp_path):
    """The tiny set with flow of its own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(tiny_root / "data" / "synthetic")
    return tmp_path


@pytest.fixture
def folder(root):
    """True landmarks: an .npz for each video, but OpenFace's .csv for the second."""
    folder = root / "marks"
    folder.mkdir()
    for path in (root / "data" / "synthetic" / "truth").glob("*.npz"):
        points = landmarks.read_landmarks(path)
        if path.stem == "spNO.2_a":
            openface(folder / f"{path.stem}.csv", points.points)
        else:
            points.save(folder / path.name)
    return folder


def openface(path, points, lost=()):
    """A table as OpenFace's FeatureExtraction writes it; `lost` frames have success 0."""
    names = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    table = pd.DataFrame(points.transpose(0, 2, 1).reshape(len(points), -1), columns=names)
    table.insert(0, "success", [0 if i in lost else 1 for i in range(len(points))])
    table.insert(0, "frame", np.arange(1, len(points) + 1))
    table.to_csv(path, index=False)


def test_flow_is_made_of_precomputed_landmarks_without_a_predictor(root, folder, monkeypatch):
    monkeypatch.setattr(landmarks, "DlibLandmarker", never)
    config = configure(root=root, landmarks=folder)
    asked = []

    def extract(images, points, roi_sets, **settings):
        asked.append((settings["name"], len(points), points(images[0], 7)))
        windows = window_starts(len(images), settings["window"])
        values = np.zeros((len(windows), 10, settings["window"]))
        return {"5": flows.flow.RoiFlow(values, windows, windows < 0, len(images))}

    monkeypatch.setattr(flows.flow, "extract_sets", extract)
    report = experiment.prepare(config, progress=False)
    assert report.failed == {}
    assert sorted(report.videos) == ["spNO.1 a", "spNO.2 a", "spNO.3 a"]
    for name, count, seventh in asked:
        truth = landmarks.read_landmarks(root / f"data/synthetic/truth/{name.replace(' ', '_')}.npz").points
        assert count == len(truth) == 240
        np.testing.assert_allclose(seventh, truth[7], atol=1e-6)
    assert not (root / "data" / "landmarks").exists()

    asked.clear()
    experiment.prepare(config, progress=False)
    assert asked == []  # nothing changed
    points = landmarks.read_landmarks(folder / "spNO.3_a.npz").points
    landmarks.PrecomputedLandmarks(points + 1).save(folder / "spNO.3_a.npz")
    experiment.prepare(config, progress=False)
    assert [name for name, *_ in asked] == ["spNO.3 a"]


def test_real_flow_of_true_landmarks_is_near_that_of_the_predictor(root, folder, tiny_root):
    config, by_predictor = configure(root=root, landmarks=folder), configure(root=tiny_root)
    video = experiment.load_data(config).videos[0]
    images, begin = frames.open(video), 60

    def window(points):
        piece = [images[begin + i] for i in range(30)]
        return flows.flow.extract(
            piece, lambda image, i: points(image, begin + i), window=30, mode="fast"
        ).values

    given, found = (window(experiment.landmarker(c, video)) for c in (config, by_predictor))
    assert np.corrcoef(given.ravel(), found.ravel())[0, 1] > 0.8


def test_flow_of_other_landmarks_lies_in_another_folder(root, folder, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    dlibs = configure(root=root)
    monkeypatch.setenv("METST_LANDMARKS", str(folder))
    ours = configure(root=root)
    assert ours.places.landmarks == folder
    shutil.copytree(folder, root / "openface")
    other = configure(root=root, landmarks=root / "openface")
    assert len({store.flow_folder(c) for c in (dlibs, ours, other)}) == 3
    assert {store.flow_folder(c).parent for c in (dlibs, ours, other)} == {
        root / "data" / "flow" / "synthetic"
    }
    # a folder that has the name of the predictor's file is no predictor
    named = root / "elsewhere" / dlibs.places.landmarks.name
    shutil.copytree(folder, named)
    assert store.flow_folder(configure(root=root, landmarks=named)) != store.flow_folder(dlibs)
    # nor does it matter how the folder is written
    monkeypatch.chdir(folder)
    assert store.flow_folder(configure(root=root, landmarks=".")) == store.flow_folder(ours)
    again = configure(root=root, landmarks=os.path.join("..", "marks", ""))
    assert store.flow_folder(again) == store.flow_folder(ours)


def test_a_missing_file_is_named_before_anything_is_extracted(root, folder, monkeypatch):
    (folder / "spNO.3_a.npz").unlink()
    monkeypatch.setattr(flows.flow, "extract_sets", never)
    config = configure(root=root, landmarks=folder)
    with pytest.raises(FileNotFoundError, match=r"no landmarks of video spNO\.3 a: .*spNO\.3_a\.npz and"):
        experiment.prepare(config, progress=False)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), r"spNO\.3_a\.npz is not a landmark file"),
        (lambda path: path.write_bytes(b"not a zip"), r"spNO\.3_a\.npz is not a landmark file"),
        (
            lambda path: np.savez(path, landmarks=np.zeros((240, 5, 2))),
            r"shape \(240, 5, 2\), not \(frames",
        ),
        (
            lambda path: np.savez(path, landmarks=np.zeros((200, 68, 2))),
            r"landmarks of 200 frames, but video spNO\.3 a has 240; a row is wanted for every frame",
        ),
        (
            lambda path: np.savez(path, landmarks=np.array([os.getcwd], dtype=object)),
            r"spNO\.3_a\.npz is not a landmark file",
        ),
        (
            lambda path: path.rename(path.with_name("spNO.3_a.csv")).write_text("frame,x_0\n1,2\n"),
            r"spNO\.3_a\.csv lacks column 'x_1'",
        ),
    ],
)
def test_a_bad_file_is_named_and_the_other_videos_go_on(root, folder, monkeypatch, capsys, spoil, message):
    spoil(folder / "spNO.3_a.npz")

    def extract(images, points, roi_sets, **settings):
        windows = window_starts(len(images), settings["window"])
        values = np.zeros((len(windows), 10, settings["window"]))
        return {"5": flows.flow.RoiFlow(values, windows, windows < 0, len(images))}

    monkeypatch.setattr(flows.flow, "extract_sets", extract)
    report = experiment.prepare(configure(root=root, landmarks=folder), progress=False)
    assert sorted(report.videos) == ["spNO.1 a", "spNO.2 a"]
    assert list(report.failed) == ["spNO.3 a"]
    assert re.search(message, report.failed["spNO.3 a"].reason)


def test_every_seventh_row_is_taken_where_every_seventh_frame_is(root, folder, monkeypatch):
    shorten(monkeypatch, frame_step=7)
    config = configure(root=root, landmarks=folder)
    truth = landmarks.read_landmarks(root / "data/synthetic/truth/spNO.2_a.npz").points
    openface(folder / "spNO.2_a.csv", truth, lost=[21])
    video = experiment.load_data(config).video("spNO.2", "a")
    points = experiment.landmarker(config, video)
    assert len(points) == video.n_frames == 35  # frames 0, 7, …, 238
    np.testing.assert_allclose(points(None, 5), truth[35], atol=1e-6)
    assert points(None, 3) is None


def test_landmarks_for_figures_come_from_the_folder_and_nothing_is_written(root, folder):
    config = configure(root=root, landmarks=folder)
    video = experiment.load_data(config).videos[0]
    truth = landmarks.read_landmarks(folder / "spNO.1_a.npz").points
    along = experiment.landmarks_along(config, video)
    np.testing.assert_allclose(along[[0, 14, 15, 239]], truth[[0, 0, 15, 210]])
    assert not (root / "data" / "landmarks").exists()


def test_a_predictor_that_is_missing_says_that_a_folder_will_do(root):
    config = configure(root=root, landmarks=root / "nowhere")
    video = experiment.load_data(config).videos[0]
    with pytest.raises(FileNotFoundError, match="or that of a folder with a landmark file for each video"):
        experiment.landmarker(config, video)
