"""The set on disk: the owners' layout, read back by their reader; never half a set taken for a whole one."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from metst_lib import datasets, synthetic
from metst_lib.datasets import frames
from metst_lib.synthetic import predictor, writer
from metst_lib.synthetic.face import Film

TINY = {"subjects": 2, "videos": 1, "seconds": 2.5, "progress": False}


def not_trained(path, seed, progress):
    Path(path).write_bytes(b"a predictor")


@pytest.fixture
def no_training(monkeypatch):
    """A stand-in for the predictor's training, which takes seconds and has its own test."""
    monkeypatch.setattr(predictor, "train", not_trained)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor, "train", not_trained)
        return synthetic.write(
            tmp_path_factory.mktemp("data"), subjects=2, videos=2, seconds=9, progress=False
        )


def everything(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".jpg", ".npz")
    }


def test_the_reader_of_the_real_set_reads_it_without_a_repair(tiny):
    dataset = datasets.load("synthetic", tiny.parent)
    plans = writer.plan(2, 2, 9, 30, 0)
    assert [video.key for video in dataset.videos] == [(p.subject, p.video) for p in plans]
    for video, p in zip(dataset.videos, plans, strict=True):
        assert video.n_frames == 270
        fields = [(e.kind, e.onset, e.offset, e.emotion, e.aus) for e in video.events]
        assert fields == [(e.kind, e.onset, e.offset, e.emotion, e.aus) for e in p.script.events]
        assert all(bool(e.aus) == (e.kind != "blink") for e in video.events)
        assert (video.first, video.step) == (p.first, 1)
        assert [e.apex for e in video.events_of("micro")] == [a.apex for a in p.script.of("micro")]
    assert not dataset.audit["action"].isin(["repaired", "dropped", "clipped"]).any()


def test_first_jpg_index_differs_by_video_and_is_not_1(tiny):
    firsts = []
    for p in writer.plan(2, 2, 9, 30, 0):
        numbers = sorted(int(f.stem) for f in (tiny / "data" / p.subject / p.video / "color").iterdir())
        assert numbers == list(range(p.first, p.first + 270))
        firsts.append(p.first)
    assert len(set(firsts)) == len(firsts)
    assert 2 <= min(firsts) and max(firsts) <= 9


def test_workbooks_have_the_owners_sheets_columns_and_order(tiny):
    micro = pd.read_excel(tiny / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", engine="calamine")
    second = pd.read_excel(tiny / "CAS(ME)3_part_A_v2.xlsx", sheet_name=None, engine="calamine")
    columns = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU"]
    assert list(micro.columns) == [*columns, "Objective class", "emotion"]
    assert list(second) == ["AU+Emotion", "eye blink"]
    assert list(second["AU+Emotion"].columns) == [*columns, "Expression type", "Objective class"]
    assert list(second["eye blink"].columns) == ["Subject", "Filename", "Onset", "Offset"]
    same = second["AU+Emotion"].query("`Expression type` == 'Micro-expression'")[columns]
    assert same.astype(str).values.tolist() == micro[columns].astype(str).values.tolist()
    first_action = writer.plan(2, 2, 9, 30, 0)[0].script.of("micro")[0]
    assert micro.loc[0, "Onset"] == first_action.onset + 2  # video spNO.1 a starts at 2.jpg


def test_frames_and_truth_on_disk_are_those_of_the_film(tiny):
    p = writer.plan(2, 2, 9, 30, 0)[3]
    film, video = Film(p.script), datasets.load("synthetic", tiny.parent).videos[3]
    stored = frames.open(video)[100].astype(float)
    assert np.sqrt(np.mean((stored - film[100]) ** 2)) < 2.5  # JPEG
    truth = synthetic.read_truth(tiny / "truth", ("spNO.2", "b"))
    assert truth["landmarks"].shape == (270, 68, 2)
    assert truth["expression"].shape == (270, 68, 2)
    assert truth["rois"].shape == (270, 18, 2)
    assert truth["head"].shape == (270, 2)
    assert truth["rois"][[100]] == pytest.approx(film.truth([100])["rois"])
    assert int(truth["first"]) == p.first
    assert truth["onset"].tolist() == [a.onset for a in p.script.actions]
    assert truth["kind"].tolist() == [a.kind for a in p.script.actions]


def test_the_same_settings_again_touch_nothing_and_other_settings_are_refused(tmp_path, no_training):
    folder = synthetic.write(tmp_path, **TINY)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    start = time.perf_counter()
    synthetic.write(tmp_path, **TINY)
    assert time.perf_counter() - start < 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(
        ValueError, match=r"other settings \(seconds 2\.5 there, 3\.0 asked for\).*overwrite=True"
    ):
        synthetic.write(tmp_path, **{**TINY, "seconds": 3})
    assert (folder / "complete.json").is_file()
    synthetic.write(tmp_path, **{**TINY, "seconds": 3, "subjects": 1}, overwrite=True)
    assert len(list(folder.rglob("*.jpg"))) == 90
    assert json.loads((folder / "complete.json").read_text())["settings"]["seconds"] == 3


def test_a_lost_or_empty_frame_is_rendered_again(tmp_path, no_training):
    folder = synthetic.write(tmp_path, **TINY)
    whole = everything(folder)
    (folder / "data/spNO.1/a/color/7.jpg").unlink()
    (folder / "data/spNO.2/a/color/9.jpg").write_bytes(b"")
    synthetic.write(tmp_path, **TINY)
    assert everything(folder) == whole


def test_a_folder_with_other_files_is_left_alone(tmp_path, no_training):
    (tmp_path / "synthetic" / "data").mkdir(parents=True)
    (tmp_path / "synthetic" / "data" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="holds files, but no synthetic set"):
        synthetic.write(tmp_path, **TINY, overwrite=True)
    assert (tmp_path / "synthetic" / "data" / "mine.jpg").read_bytes() == b"mine"


def test_a_full_disk_leaves_nothing_that_looks_complete(tmp_path, no_training, monkeypatch):
    write_bytes, written = Path.write_bytes, []

    def full(path, data):
        if len(written) >= 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            synthetic.write(tmp_path, **TINY)
    folder = tmp_path / "synthetic"
    assert not (folder / "complete.json").is_file()
    assert len(list(folder.glob("truth/*.npz"))) < 2
    synthetic.write(tmp_path, **TINY)
    clean = synthetic.write(tmp_path / "clean", **TINY)
    assert everything(folder) == everything(clean)


def test_a_killed_run_is_not_taken_as_whole_and_goes_on(tmp_path, no_training):
    code = f"from metst_lib import synthetic; synthetic.write({str(tmp_path)!r}, 2, 1, 20, progress=False)"
    process = subprocess.Popen([sys.executable, "-c", code])
    folder = tmp_path / "synthetic"
    try:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("data/*/a/color/*.jpg"))) < 30 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "complete.json").is_file()
    with pytest.raises(ValueError, match="other settings"):
        synthetic.write(tmp_path, **TINY)
    synthetic.write(tmp_path, **TINY, overwrite=True)
    assert (folder / "complete.json").is_file()
    assert len(list(folder.rglob("*.jpg"))) == 150


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"subjects": 0}, "subjects = 0 must be a whole number from 1 to 999"),
        ({"videos": 27}, "videos = 27 must be a whole number from 1 to 26"),
        ({"seconds": 1}, "too short for its 1 expressions"),
        ({"jobs": 0}, "jobs = 0 must be between 1 and 64"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_written(tmp_path, setting, message):
    with pytest.raises(ValueError, match=message):
        synthetic.write(tmp_path, **{**TINY, **setting})
    assert not list(tmp_path.iterdir())


def test_the_predictor_finds_the_landmarks_of_subjects_it_has_not_seen(tmp_path):
    import dlib

    path = predictor.train(tmp_path / "predictor.dat", actors=20, frames=4)
    detector, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))
    errors = []
    for p in writer.plan(4, 1, 10, 30, 0):
        film, chosen = Film(p.script), range(10, 300, 60)
        for t, true in zip(chosen, film.truth(chosen)["landmarks"], strict=True):
            _, stored = cv2.imencode(".jpg", film[t], [cv2.IMWRITE_JPEG_QUALITY, writer.JPEG_QUALITY])
            image = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE)
            boxes = detector(image)
            assert len(boxes) == 1, f"{len(boxes)} faces in frame {t} of {p.subject}"
            found = np.array([(part.x, part.y) for part in predict(image, boxes[0]).parts()])
            errors.append(np.linalg.norm(found - true, axis=1))
    assert np.median(errors) < 2.6
