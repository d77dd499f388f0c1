"""A recording of one's own: its time stamps, its frames at another rate, and how one is written."""

import cv2
import films
import numpy as np
import pytest

from metst_lib.datasets import frames
from metst_lib.recording import film


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "webm"])
@pytest.mark.parametrize("fps", [10.0, 25.0, 29.97, 60.0])
def test_time_stamps_of_a_file_are_its_frame_rate(tmp_path, suffix, fps):
    if suffix == "webm":  # holds VP8 and VP9 only
        path = tmp_path / "clip.webm"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), fps, (64, 48))
        for index in range(20):
            writer.write(np.full((48, 64, 3), films.level(index), np.uint8))
        writer.release()
    else:
        path = films.clip_of(tmp_path / f"clip.{suffix}", fps=fps)
    found = film.look(path)
    assert (len(found.times), found.shape, found.rotation, found.first) == (20, (48, 64), 0, 0)
    assert found.fps == pytest.approx(fps, rel=0.01) and found.steady and found.stamped
    assert found.seconds == pytest.approx(20 / fps, rel=0.01)


def test_a_faster_recording_leaves_frames_out_and_a_slower_one_takes_them_twice(tmp_path):
    fast = film.resample(film.look(films.clip_of(tmp_path / "fast.mp4", fps=60.0)), 30.0)
    assert fast.taken.tolist() == list(range(0, 20, 2))
    slow = film.resample(film.look(films.clip_of(tmp_path / "slow.mp4", fps=15.0)), 30.0)
    assert (slow.video.n_frames, slow.video.fps, slow.video.name) == (len(slow.taken), 30.0, "slow")
    assert set(np.bincount(slow.taken)[:-1]) == {2}
    np.testing.assert_allclose(slow.seconds, slow.taken / 15)
    images = frames.open(slow.video)
    for index in (0, 7, 8, 30, 3):
        assert films.near(images[index], slow.taken[index])


def test_a_steady_rate_that_is_nearly_the_models_is_taken_frame_by_frame(tmp_path):
    taken = film.resample(film.look(films.clip_of(tmp_path / "tv.mp4", fps=29.97)), 30.0)
    assert taken.taken.tolist() == list(range(20))
    np.testing.assert_allclose(taken.seconds, np.arange(20) / 29.97, atol=1e-3)


def test_a_varying_frame_rate_is_followed_by_its_time_stamps(tmp_path):
    """Ten frames at 30 per second, five at 10, five at 30 again: the slow ones stand three times as long."""
    path = films.with_durations(films.clip_of(tmp_path / "phone.mp4", fps=30.0), [1] * 10 + [3] * 5 + [1] * 5)
    found = film.look(path)
    times = np.cumsum([0, *[1] * 10, *[3] * 5, *[1] * 4]) / 30
    np.testing.assert_allclose(found.times, times, atol=1e-6)
    assert not found.steady and found.slowest == pytest.approx(10)
    resampled = film.resample(found, 30.0)
    assert np.bincount(resampled.taken).tolist()[:10] == [1] * 10
    assert np.bincount(resampled.taken)[11:14].tolist() == [3] * 3
    assert np.abs(resampled.seconds - np.arange(len(resampled.taken)) / 30).max() <= 1.5 / 30


@pytest.mark.parametrize(("degrees", "shape"), [(90, (64, 48)), (180, (48, 64)), (270, (64, 48))])
def test_a_phone_that_was_held_otherwise_gives_upright_frames(tmp_path, degrees, shape):
    image = np.full((48, 64), 20, np.uint8)
    image[:16, :16] = 220  # a bright corner, top left as the sensor sees it
    plain = film.write_video(tmp_path / "plain.mp4", [image] * 5, 30.0)
    found = film.look(films.rotated(plain, degrees))
    assert (found.rotation, found.shape) == (degrees, shape)
    shown = frames.open(film.resample(found, 30.0).video)[2]
    assert shown.shape == shape
    corners = {90: shown[:12, -12:], 180: shown[-12:, -12:], 270: shown[-12:, :12]}
    assert corners[degrees].mean() > 180 and shown.mean() < 60


def test_times_that_do_not_rise_are_made_from_the_frame_rate(tmp_path):
    path = films.with_durations(films.clip_of(tmp_path / "odd.mp4", fps=30.0), [1] * 5 + [0] * 10 + [1] * 5)
    found = film.look(path, fps=20.0)
    assert not found.stamped and found.fps == pytest.approx(20)
    np.testing.assert_allclose(found.times, np.arange(20) / 20)


def test_a_folder_of_your_own_needs_its_frame_rate(tmp_path):
    folder = films.folder_of(tmp_path, {5: 10, 6: 20, 8: 40})
    found = film.look(folder, fps=60)
    assert (found.first, found.shape, found.fps) == (5, (16, 24), 60)
    resampled = film.resample(found, 30.0)
    assert resampled.taken.tolist() == [0, 2]
    images = frames.open(film.resample(found, 60.0).video)
    assert [films.grey(image) for image in images] == [10, 20, 20, 40]  # 7.jpg is not there
    with pytest.raises(ValueError, match="give fps="):
        film.look(folder)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, FileNotFoundError, "no video file or folder"),
        (lambda path: path.mkdir(), ValueError, "holds no numbered images"),
        (lambda path: path.write_bytes(b"no video"), ValueError, "cannot be read as a video: it has no vid"),
        (lambda path: path.write_bytes(b""), ValueError, "is empty: a file of 0 bytes"),
        (lambda path: path.write_bytes(films.jpeg(20)), ValueError, "(one picture only|cannot be read)"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, capfd, make, error, message):
    path = tmp_path / "thing.mp4"
    make(path)
    with pytest.raises(error, match=message):
        film.look(path, fps=30)
    assert capfd.readouterr().err == ""  # decoders' own complaints stay off the screen


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    whole = films.clip_of(tmp_path / "whole.mkv", 60, size=(240, 320)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.mp4").write_bytes(films.clip_of(tmp_path / "whole.mp4").read_bytes()[:-400])
    assert 10 < len(film.look(tmp_path / "cut.mkv").times) < 50
    with pytest.raises(ValueError, match="is broken"):  # an mp4 has its table of contents at the end
        film.look(tmp_path / "cut.mp4")


def test_a_video_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        film.write_video(tmp_path / "none.mp4", [], 30.0)
    with pytest.raises(OSError, match="no encoder"):
        film.write_video(tmp_path / "some.txt", [np.zeros((48, 64), np.uint8)], 30.0)
    assert list(tmp_path.iterdir()) == []
