"""A video of one's own: what is found, what is said of bad input, and what is left behind."""

import dataclasses
import json
import re
from pathlib import Path

import films
import numpy as np
import pandas as pd
import pytest

from metst_lib import experiment, figures
from metst_lib.datasets import frames, landmarks
from metst_lib.datasets.landmarks import PrecomputedLandmarks
from metst_lib.events import Event, Prediction, overlap
from metst_lib.experiment import store
from metst_lib.recording import analysis as analysing
from metst_lib.recording import face as faces
from metst_lib.recording import film, report
from metst_lib.recording import model as models


@pytest.fixture(scope="module")
def config(tiny_root):
    return experiment.configure(root=tiny_root)


@pytest.fixture(scope="module")
def model(config):
    """Trained until it knows its three short videos by heart: surely not good, but sure of itself."""
    return models.load(
        models.save(models.fit(dataclasses.replace(config, epochs=100)), store.model_path(config))
    )


@pytest.fixture(scope="module")
def marks(tiny_root):
    return faces.landmarks_from(root=tiny_root)[0]


@pytest.fixture(scope="module")
def videos(config):
    return experiment.load_data(config).videos


@pytest.fixture(scope="module")
def images(videos):
    """The eight seconds of the first subject."""
    return list(frames.open(videos[0]))


@pytest.fixture(scope="module")
def by_folder(videos, model, marks):
    """The first subject's video as a folder of frames."""
    return analysing.analyze(videos[0].source.folder, model, marks, fps=30.0)


@pytest.fixture(scope="module")
def clip(images, tmp_path_factory) -> Path:
    """The first subject's video as an MP4 that loses nothing, so that results can be compared to the bit."""
    return film.write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", images, 30.0, lossless=True)


@pytest.fixture(scope="module")
def analysis(clip, model, marks):
    return analysing.analyze(clip, model, marks)


# --- what is found --------------------------------------------------------------------------------------


def test_a_folder_of_frames_gives_what_an_experiment_finds(config, videos, by_folder, model):
    score = model.predict(experiment.load_flow(config, videos[:1])[videos[0].key]).score
    np.testing.assert_allclose(by_folder.prediction.score, score, atol=1e-5)
    assert by_folder.scored.all() and by_folder.own_frames[0] == videos[0].source.numbers[0]


def test_an_mp4_gives_the_events_of_its_frames(by_folder, analysis):
    assert analysis.events == by_folder.events != [] and analysis.notes == []
    np.testing.assert_allclose(analysis.prediction.score, by_folder.prediction.score, atol=1e-4)


def test_compression_changes_the_flow_by_little(videos, config, marks, model, tmp_path):
    """About 0.1 px beside micro-expressions of 1 px: what a phone's compression costs."""
    flow = experiment.load_flow(config, videos[:1])[videos[0].key].values
    recording = film.look(film.write_video(tmp_path / "lossy.mp4", frames.open(videos[0]), 30.0))
    resampled = film.resample(recording, 30.0)
    face = faces.find_face(recording, resampled, marks, 30)
    lossy = analysing.extract(resampled, face, marks, model.about).values
    assert np.sqrt(np.mean((lossy - flow) ** 2)) < 0.2 < np.abs(flow).max()
    assert np.corrcoef(lossy.ravel(), flow.ravel())[0, 1] > 0.9


def test_a_turned_phone_gives_the_same_events(images, analysis, model, marks, tmp_path):
    turned = [np.rot90(image) for image in images]
    lying = film.write_video(tmp_path / "lying.mp4", turned, 30.0, lossless=True)
    found = analysing.analyze(films.rotated(lying, 90), model, marks)
    assert found.seen.all() and found.events == analysis.events != []
    assert found.notes == ["The file says that it is turned by 90°: its frames are read upright."]
    with pytest.raises(ValueError, match=r"lying.mp4: no face found in any of the \d+ frames looked at"):
        analysing.analyze(lying, model, marks)


def test_half_the_frame_rate_is_told_and_the_curves_keep_their_place(
    images, analysis, model, marks, tmp_path
):
    slow = film.write_video(tmp_path / "slow.mp4", images[::2], 15.0, lossless=True)
    found = analysing.analyze(slow, model, marks)
    assert len(found.prediction.score) == len(images) - 1 and found.recording.fps == pytest.approx(15)
    assert "15 frames per second, the model was trained on 30: frames are repeated" in found.notes[0]
    np.testing.assert_allclose(found.resampled.seconds[::2], analysis.resampled.seconds[::2], atol=1e-3)
    assert found.own_frames.max() == 119
    assert np.corrcoef(found.prediction.score, analysis.prediction.score[:-1])[0, 1] > 0.5


def test_a_repeated_frame_makes_a_slope_and_no_step(images, marks, model, tmp_path):
    """Every second frame left out: in between, flow lies on the straight line of its neighbours."""
    slow = film.write_video(tmp_path / "slow.mp4", images[:80:2], 15.0, lossless=True)
    recording = film.look(slow)
    resampled = film.resample(recording, 30.0)
    assert resampled.taken[:6].tolist() == [0, 0, 1, 1, 2, 2]
    face = faces.find_face(recording, resampled, marks, 30)
    values = analysing.extract(resampled, face, marks, model.about).values[0]  # (C, k), from frame 0 on
    between = (values[:, 0:-2:2] + values[:, 2::2]) / 2
    np.testing.assert_allclose(values[:, 1:-2:2], between, atol=1e-5)
    assert (values[:, 0] == 0).all() and np.abs(np.diff(values[:, :-1], axis=1)).min(axis=1).max() > 0


def test_a_varying_frame_rate_is_told_and_its_time_stamps_are_kept(images, model, marks, tmp_path):
    plain = film.write_video(tmp_path / "phone.mp4", [*images[:60], *images[60:120:2]], 30.0)
    path = films.with_durations(plain, [1] * 60 + [2] * 30)
    found = analysing.analyze(path, model, marks)
    assert "The frame rate varies" in found.notes[0] and "15.0 at its slowest" in found.notes[0]
    assert len(found.prediction.score) == 119 and found.own_frames[-1] == 89
    np.testing.assert_allclose(found.resampled.seconds[-1], 118 / 30, atol=0.002)


def test_known_landmarks_need_no_detector(clip, analysis, model, tmp_path):
    points = np.repeat(analysis.face.points[:1], 240, axis=0)
    points[100:130] = np.nan
    PrecomputedLandmarks(points).save(tmp_path / "clip.npz")
    known = faces.known_landmarks(tmp_path, clip)
    found = analysing.analyze(clip, model, known, face=2)
    assert found.seen.sum() == 210 and not found.scored[100:130].any()
    assert found.notes[0] == "--face chooses nothing where landmarks come from a file."
    with pytest.raises(FileNotFoundError, match=r"no landmarks of other.mp4: looked for .*other.npz"):
        faces.known_landmarks(tmp_path, Path("other.mp4"))
    with pytest.raises(ValueError, match=r"clip.mp4 has 240 frames, its landmarks 200"):
        analysing.analyze(clip, model, PrecomputedLandmarks(points[:200]))
    with pytest.raises(ValueError, match="show no face in any frame"):
        analysing.analyze(clip, model, PrecomputedLandmarks(np.full((240, 68, 2), np.nan)))


# --- bad input ------------------------------------------------------------------------------------------


def test_a_face_lost_midway_is_told_and_no_event_is_invented_there(images, analysis, model, marks, tmp_path):
    blank = [*images[:90], *[np.full_like(images[0], 90)] * 45, *images[135:]]
    path = film.write_video(tmp_path / "gone.mp4", blank, 30.0, lossless=True)
    found = analysing.analyze(path, model, marks)
    assert not found.seen[90:135].any() and found.seen[:85].all() and found.seen[141:].all()
    ((start, end),) = found.unseen
    assert 2.7 < start <= 3.0 and 4.5 <= end < 4.8
    assert any(note.startswith("No face at 2.9–4.5 s: no score and no event there") for note in found.notes)
    assert not any(overlap(event, Event(90, 134)) for event in found.events)
    assert found.scored[:85].all() and found.scored[180:].all()
    curves = found.curves_table()
    assert curves["score"].isna().tolist() == (~found.scored).tolist()
    assert curves["face"].tolist() == found.seen.astype(int).tolist()


def test_frames_without_a_score_move_no_threshold_and_make_no_event(analysis, model):
    score = np.tile([0.0] * 25 + [0.9] * 5, 8)
    prediction = Prediction(score, np.zeros((240, 5)))
    everywhere = np.ones(240, bool)
    found, level = analysing.find_events(prediction, everywhere, model.about)
    hidden = everywhere.copy()
    hidden[85:95] = False
    left, moved = analysing.find_events(prediction, hidden, model.about)
    assert len(left) == len(found) - 1 and moved == pytest.approx(level, abs=0.02)
    assert not any(c.onset <= 94 and c.offset >= 85 for c in left)


@pytest.mark.parametrize(
    ("count", "fps", "message"),
    [(20, 30.0, "is too short: 0.67 s; the model reads windows of 1.00 s"), (1, 30.0, "one picture only")],
)
def test_a_video_that_is_too_short_says_how_long_it_must_be(
    images, model, marks, tmp_path, count, fps, message
):
    path = film.write_video(tmp_path / "short.mp4", images[:count], fps)
    with pytest.raises(ValueError, match=rf"short.mp4 .*{message}"):
        analysing.analyze(path, model, marks)


def test_a_face_seen_for_a_moment_only_is_not_enough(images, model, marks, tmp_path):
    brief = [*images[:10], *[np.full_like(images[0], 90)] * 50]
    found = film.write_video(tmp_path / "brief.mp4", brief, 30.0)
    known = PrecomputedLandmarks(np.full((60, 68, 2), np.nan))
    known.points[5:10] = analysing.analyze(
        film.write_video(tmp_path / "whole.mp4", images[:40], 30.0), model, marks
    ).face.points[0]
    with pytest.raises(ValueError, match=r"never in view for a whole window of 1.00 s"):
        analysing.analyze(found, model, known)


def test_too_few_frames_and_a_file_that_ends_early_are_told(model, clip):
    recording = film.look(clip)
    slow = dataclasses.replace(recording, times=np.arange(240) / 6)
    assert "6 frames per second are too few" in analysing.rate_notes(slow, model.about)[0]
    cut = dataclasses.replace(recording, promised=500)
    assert analysing.rate_notes(cut, model.about) == [
        "The file ends early or is damaged: its header tells of 500 frames, 240 could be read."
    ]


def test_frames_that_are_missing_in_a_folder_are_told(videos, model, marks, tmp_path):
    source = videos[0].source
    for i in range(45):
        if i not in (7, 8, 31):
            (tmp_path / source.path(i).name).write_bytes(source.path(i).read_bytes())
    found = analysing.analyze(tmp_path, model, marks)
    assert found.notes == [
        "The folder's frame rate is taken to be the model's, 30 per second; --fps gives it.",
        "3 frames are missing or do not open: the nearest one serves for each.",
    ]
    assert len(found.prediction.score) == 45


def test_of_several_faces_the_largest_is_taken_and_another_may_be_chosen(images, marks, tmp_path):
    small = [np.pad(image[::2, ::2], ((120, 120), (0, 0))) for image in images[:40]]
    both = [np.hstack([a, b]) for a, b in zip(small, images[:40], strict=True)]
    recording = film.look(film.write_video(tmp_path / "two.mp4", both, 30.0))
    resampled = film.resample(recording, 30.0)
    largest = faces.find_face(recording, resampled, marks, 30)
    assert largest.found.all() and (largest.points[:, :, 0] > 240).all()
    assert "Several faces: at 0.0 s 2 faces, from left to right: 1 at x =" in largest.notes[0]
    assert "Analysed is number 2, the largest; --face chooses another." in largest.notes[0]
    left = faces.find_face(recording, resampled, marks, 30, number=1)
    assert (left.points[:, :, 0] < 240).all() and "Analysed is number 1;" in left.notes[0]
    with pytest.raises(ValueError, match=r"two.mp4: no face 3: 2 faces, from left to right"):
        faces.find_face(recording, resampled, marks, 30, number=3)


def test_a_large_picture_is_made_small_to_look_for_faces(images, tiny_root):
    predictor = tiny_root / "data" / "synthetic" / "shape_predictor_68_synthetic.dat"
    plain = landmarks.DlibLandmarker(predictor)(images[0])
    large = np.kron(images[0], np.ones((4, 4), np.uint8))
    looked_on = []
    landmarker = landmarks.DlibLandmarker(predictor, detect_on=480)
    landmarker._local.detector = lambda image, up: looked_on.append(image.shape) or real(image, up)
    real = landmarks.dlib.get_frontal_face_detector()
    found = landmarker(large)
    assert looked_on == [(480, 480)]
    assert np.abs(found / 4 - plain).max() < 3


# --- landmarks ------------------------------------------------------------------------------------------


def test_landmarks_are_the_users_else_those_in_data_else_the_demonstrations(tiny_root, tmp_path, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    usual = tiny_root / "data" / "synthetic" / "shape_predictor_68_synthetic.dat"
    demonstration, notes = faces.landmarks_from(root=tiny_root)
    assert demonstration.path == usual and "knows one rendered face" in notes[0]
    mine = tmp_path / "mine.dat"
    mine.write_bytes(usual.read_bytes())
    for given in (lambda: faces.landmarks_from(mine, tiny_root), lambda: faces.landmarks_from()):
        found, notes = given()
        assert found.path == mine and notes == [] and found.detect_on == faces.DETECT_ON
        monkeypatch.setenv("METST_LANDMARKS", str(mine))
    assert faces.landmarks_from(tmp_path, tiny_root) == (tmp_path, [])
    monkeypatch.delenv("METST_LANDMARKS")
    with pytest.raises(
        FileNotFoundError, match=r"no landmark predictor at .*dlib's 68-point shape predictor"
    ):
        faces.landmarks_from(root=tmp_path)


# --- what is left behind --------------------------------------------------------------------------------


def test_the_tables_speak_of_the_recordings_own_frames_and_seconds(by_folder, videos):
    found, first = by_folder, videos[0].source.numbers[0]
    table = found.events_table()
    assert table["start_frame"].tolist() == [first + event.onset for event in found.events]
    assert table["apex_frame"].tolist() == [first + event.apex for event in found.events]
    np.testing.assert_allclose(table["start_s"], [e.onset / 30 for e in found.events], atol=5e-4)
    np.testing.assert_allclose(table["end_s"], [(e.offset + 1) / 30 for e in found.events], atol=5e-4)
    assert table["emotion"].tolist() == [event.emotion for event in found.events]
    curves = found.curves_table()
    assert len(curves) == 240 and curves["frame"].tolist() == list(videos[0].source.numbers)
    sums = curves[[f"p_{name}" for name in found.about.classes]].sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-3)


CLOCK = r"\d{2}:[0-5]\d:[0-5]\d\.\d{3}"


def test_the_subtitles_are_webvtt(analysis):
    """https://www.w3.org/TR/webvtt1/#file-structure: the blocks of a file, parted by blank lines."""
    text = report.subtitles(analysis)
    signature, note, *cues = text.rstrip("\n").split("\n\n")
    assert signature == "WEBVTT" and note.startswith("NOTE\n") and "-->" not in note
    assert "Not for judging people" in note
    assert len(cues) == len(analysis.events) > 0
    last = ""
    for number, cue in enumerate(cues, start=1):
        name, times, payload = cue.split("\n")
        start, end = re.fullmatch(rf"({CLOCK}) --> ({CLOCK})", times).groups()
        assert name == str(number) and last < start < end
        assert re.fullmatch(r"(negative|positive|surprise|others) \(score \d\.\d\d\)", payload)
        last = start


@pytest.mark.parametrize(
    ("seconds", "clock"), [(0.0, "00:00:00.000"), (59.9996, "00:01:00.000"), (3725.25, "01:02:05.250")]
)
def test_a_time_stamp_of_the_subtitles(seconds, clock):
    assert report._clock(seconds) == clock


def test_the_page_loads_nothing_and_says_the_limits(analysis, tmp_path):
    report.write(analysis, tmp_path / "my")
    text = (tmp_path / "my" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    (source,) = re.findall(r'src="([^"]{30})', text)
    assert source.startswith("data:image/png;base64,")
    for line in analysis.about.limits:
        assert line.replace("'", "&#39;") in text
    assert text.count("<td>") >= 6 * len(analysis.events) and "clip.mp4" in text
    alt = figures.alt_text(tmp_path / "my" / "figure.png")
    assert "not for judging people" in alt and f"{len(analysis.events)} micro-expression" in alt


def test_a_name_is_text_on_the_page_and_no_markup(analysis):
    odd = dataclasses.replace(analysis.recording, path=Path("<b>&x.mp4"))
    page = report.page(dataclasses.replace(analysis, recording=odd), b"", "")
    assert "<b>&x" not in page and "&lt;b&gt;&amp;x.mp4" in page


def test_every_file_is_there_and_says_how_it_was_made(analysis, tmp_path):
    folder = report.write(analysis, tmp_path / "my")
    assert sorted(path.name for path in folder.iterdir()) == sorted(report.FILES)
    about = json.loads((folder / "analysis.json").read_text())
    assert about["recording"]["name"] == "clip.mp4" and about["recording"]["frames"] == 240
    assert about["limits"] == analysis.about.limits and about["model"]["key"] == analysis.model.key
    assert str(tmp_path) not in json.dumps(about)
    assert len(pd.read_csv(folder / "events.csv")) == len(analysis.events)
    assert len(pd.read_csv(folder / "curves.csv")) == 240


def test_an_interrupted_analysis_leaves_the_earlier_one(analysis, tmp_path, monkeypatch):
    folder = report.write(analysis, tmp_path / "my")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_):
        raise KeyboardInterrupt

    for step in ("subtitles", "write_json"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(report, step, interrupted)
            report.write(dataclasses.replace(analysis, threshold=0.1), folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert list(tmp_path.iterdir()) == [folder]


def test_a_result_lost_between_two_renames_comes_back(analysis, tmp_path, monkeypatch):
    def unwritable(*_):
        raise OSError("the disk is full")

    folder = report.write(analysis, tmp_path / "my")
    folder.rename(tmp_path / ".my.old")  # as a kill in the middle of the swap leaves it
    (tmp_path / ".my.new").mkdir()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk is full"):
        patch.setattr(report, "subtitles", unwritable)
        report.write(analysis, folder)
    assert list(tmp_path.iterdir()) == [folder] and (folder / "report.html").is_file()
    (tmp_path / ".my.old").mkdir()
    report.write(analysis, folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_other_files_is_left_alone(analysis, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds notes.txt, which .* would be lost"):
        report.write(analysis, tmp_path)
    with pytest.raises(FileExistsError, match="is a file; --out names a folder"):
        report.write(analysis, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_of_several_recordings_one_that_fails_stops_no_other(images, model, tiny_root, tmp_path):
    clip = film.write_video(tmp_path / "clip.mp4", images[90:150], 30.0, lossless=True)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "other").mkdir()
    again = tmp_path / "other" / "clip.mp4"
    again.write_bytes(clip.read_bytes())
    recordings = [clip, tmp_path / "broken.mp4", again]
    outcomes = list(report.run(recordings, model, tmp_path / "out", root=tiny_root))
    assert [outcome.folder.name for outcome in outcomes] == ["clip", "broken", "clip-2"]
    assert "broken.mp4 cannot be read as a video" in outcomes[1].error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["all_events.csv", "clip", "clip-2"]
    table = pd.read_csv(tmp_path / "out" / "all_events.csv")
    assert table["video"].tolist() == ["clip"] * (len(table) // 2) + ["clip-2"] * (len(table) // 2)
    assert list(table.columns[1:]) == list(outcomes[0].analysis.events_table().columns)


def test_spans_of_a_mask():
    assert analysing.spans(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [(0, 1), (4, 4), (6, 6)]
    assert analysing.spans(np.zeros(3, bool)) == []
