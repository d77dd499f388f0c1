"""Score files: what is written is read again, in both forms; what does not fit is named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metst_lib.events import Prediction
from metst_lib.evidence import scorefile


def made(lengths=(5, 3), logits=True, seed=0):
    rng = np.random.default_rng(seed)
    return {
        ("006", f"006_{i}"): Prediction(rng.random(n), rng.random((n, 5)) * logits)
        for i, n in enumerate(lengths, 1)
    }


@pytest.mark.parametrize("ending", ["npz", "csv"])
@pytest.mark.parametrize("logits", [True, False])
def test_what_is_written_is_read_again(tmp_path, ending, logits):
    predictions = made(logits=logits)
    path = scorefile.write(tmp_path / f"x.{ending}", "sammlv", predictions, 200)
    found = scorefile.read(path)
    assert (found.dataset, found.recognised) == ("sammlv", logits) and scorefile.is_score_file(path)
    assert found.fps == dict.fromkeys(predictions, 200.0) and list(found.predictions) == list(predictions)
    assert found.n_frames == {("006", "006_1"): 5, ("006", "006_2"): 3}
    for key, prediction in predictions.items():
        np.testing.assert_array_equal(found.predictions[key].score, prediction.score)
        np.testing.assert_array_equal(found.predictions[key].logits, prediction.logits)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.floats(1, 500))
def test_any_lengths_and_rates_survive(tmp_path_factory, lengths, fps):
    folder = tmp_path_factory.mktemp("any")
    for ending in ("npz", "csv"):
        found = scorefile.read(scorefile.write(folder / f"x.{ending}", "s", made(lengths), fps))
        assert list(found.n_frames.values()) == lengths and set(found.fps.values()) == {fps}


def test_a_score_that_is_not_finite_is_refused_before_anything_is_written(tmp_path):
    predictions = made()
    predictions["006", "006_2"].score[1] = np.nan
    with pytest.raises(ValueError, match="video 006 006_2: the score not finite at frame 1"):
        scorefile.write(tmp_path / "x.npz", "sammlv", predictions, 200)
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize(("fps", "told"), [(0, "0.0"), ({("006", "006_1"): 30.0}, "None")])
def test_a_frame_rate_that_is_none_is_refused(tmp_path, fps, told):
    with pytest.raises(ValueError, match=f"a frame rate above 0 wanted, not {told}"):
        scorefile.write(tmp_path / "x.csv", "sammlv", made(), fps)


def test_no_video_and_logits_of_another_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no video to score"):
        scorefile.write(tmp_path / "x.npz", "sammlv", {}, 30)
    with pytest.raises(ValueError, match=r"video a b: .* wanted, not \(4,\), \(3, 5\)"):
        scorefile.write(tmp_path / "x.npz", "s", {("a", "b"): Prediction(np.ones(4), np.ones((3, 5)))}, 30)


def test_lengths_that_do_not_add_up_and_videos_that_occur_twice_are_named(tmp_path):
    path = scorefile.write(tmp_path / "x.npz", "sammlv", made(), 200)
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"n_frames": np.array([5, 4])})
    with pytest.raises(ValueError, match=r"n_frames add up to 9, but score has shape \(8,\)"):
        scorefile.read(path)
    np.savez(path, **arrays | {"video": np.array(["006_1", "006_1"])})
    with pytest.raises(ValueError, match="video 006 006_1 occurs twice"):
        scorefile.read(path)
    np.savez(path, **arrays | {"fps": np.array([200.0])})
    with pytest.raises(ValueError, match="not subject 2, video 2, fps 1, n_frames 2"):
        scorefile.read(path)
    np.savez(path, score=arrays["score"])
    with pytest.raises(ValueError, match="is no score file: it lacks dataset, subject"):
        scorefile.read(path)


def test_frames_that_are_not_0_1_2_are_named_by_row(tmp_path):
    path = scorefile.write(tmp_path / "x.csv", "sammlv", made(), 200)
    table = pd.read_csv(path, dtype={"subject": str})
    table.drop(index=6).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"x\.csv, row 8: frame 2 of video 006 006_2, not 1"):
        scorefile.read(path)
    table.assign(dataset=["a"] * 4 + ["b"] * 4).to_csv(path, index=False)
    with pytest.raises(ValueError, match="one data set wanted, not a, b"):
        scorefile.read(path)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no score file"):
        scorefile.read(tmp_path / "x.npz")
    (tmp_path / "x.npz").write_text("text")
    with pytest.raises(ValueError, match="is not a score file"):
        scorefile.read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", "abc", r"row 4: score 'abc' is no number"),
        ("frame", "f2", r"row 4: frame 'f2' is no number"),
        ("fps", "thirty", r"row 4: fps 'thirty' is no number"),
        ("fps", "60", "video 006 006_1: one frame rate wanted, not several"),
        ("positive", "x", r"row 4: positive 'x' is no number"),
        ("subject", "", r"row 4: no data set, subject or video"),
        ("dataset", "", r"row 4: no data set, subject or video"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_by_row(tmp_path, column, value, message):
    path = scorefile.write(tmp_path / "x.csv", "sammlv", made(), 200)
    table = pd.read_csv(path, dtype=str)
    table.loc[2, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"x\.csv.*{message}"):
        scorefile.read(path)


def test_logits_of_some_classes_alone_and_endless_rates_are_refused(tmp_path):
    path = scorefile.write(tmp_path / "x.csv", "sammlv", made(), 200)
    pd.read_csv(path, dtype={"subject": str}).drop(columns="neutral").to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"logits of all of negative, .*, neutral wanted, not of 4"):
        scorefile.read(path)
    with pytest.raises(ValueError, match="a frame rate above 0 wanted, not inf"):
        scorefile.write(path, "sammlv", made(), np.inf)


def test_quotes_capitals_and_a_byte_order_mark_hide_no_score_file(tmp_path):
    path = scorefile.write(tmp_path / "X.CSV", "sammlv", made(), 200)
    head = path.read_text().split("\n", 1)[0]
    words = sorted(head.split(","), key=lambda word: word != "score")
    table = pd.read_csv(path, dtype=str)[words].to_csv(index=False)
    quoted = ",".join(f'"{word}"' for word in words) + "\n" + table.split("\n", 1)[1]
    path.write_text(quoted, encoding="utf-8-sig")
    assert scorefile.is_score_file(path)
    assert scorefile.read(path).n_frames == {("006", "006_1"): 5, ("006", "006_2"): 3}
