"""Frames of a video: numbering, lazy reading, what stands in for a frame that does not open."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import films
import numpy as np
import pytest

from metst_lib import frames
from metst_lib.events import Video


def jpeg(value: int, size: tuple[int, int] = (16, 24)) -> bytes:
    return cv2.imencode(".jpg", np.full(size, value, np.uint8))[1].tobytes()


def folder_of(tmp_path: Path, values: dict[int, int], template: str = "{}.jpg") -> Path:
    """A folder in which frame `number` is a flat picture of grey `value`."""
    folder = tmp_path / "color"
    folder.mkdir()
    for number, value in values.items():
        (folder / template.format(number)).write_bytes(jpeg(value))
    return folder


def opened(folder: Path, frame_step: int = 1) -> frames.Frames:
    files = frames.list_frames(folder).files(frame_step)
    return frames.open(Video("s", "v", 30.0, len(files.numbers), (), files))


def grey(image: np.ndarray) -> int:
    return round(float(image.mean()))


def test_the_first_number_is_index_0_and_every_step_th_frame_follows(tmp_path):
    folder = folder_of(tmp_path, {number: 10 * number for number in range(8, 19)})
    every = opened(folder)
    third = opened(folder, frame_step=3)
    assert [grey(image) for image in every] == [10 * n for n in range(8, 19)]
    assert [grey(image) for image in third] == [80, 110, 140, 170]
    assert every[0].shape == (16, 24) and every[0].dtype == np.uint8
    assert grey(every[-1]) == 180


@pytest.mark.parametrize(
    ("template", "found"),
    [("{}.jpg", "{}.jpg"), ("img{}.jpg", "img{}.jpg"), ("006_1_{:04d}.JPG", "006_1_{:04d}.JPG")],
)
def test_the_owners_file_names_are_recognised(tmp_path, template, found):
    folder = folder_of(tmp_path, {1: 10, 9: 20, 10: 30, 11: 40}, template)
    listing = frames.list_frames(folder)
    assert (listing.template, listing.first, listing.last) == (found, 1, 11)
    assert (listing.count, listing.missing) == (4, 7)


def test_other_files_in_the_folder_do_not_count(tmp_path):
    folder = folder_of(tmp_path, {3: 10, 4: 20})
    for name in ("Thumbs.db", "._900.jpg", "notes.txt", "cover7.jpg"):
        (folder / name).write_bytes(jpeg(0))
    listing = frames.list_frames(folder)
    assert (listing.template, listing.first, listing.last) == ("{}.jpg", 3, 4)
    (tmp_path / "empty").mkdir()
    assert frames.list_frames(tmp_path / "empty") is None


def test_numbers_longer_than_their_padding_are_read(tmp_path):
    folder = folder_of(tmp_path, {9999: 50, 10000: 60}, "004_1_{:04d}.jpg")
    (folder / "004_1_0001.jpg").write_bytes(jpeg(40))
    assert frames.list_frames(folder).files().path(0).name == "004_1_0001.jpg"
    assert frames.list_frames(folder).files().path(9999).name == "004_1_10000.jpg"


def test_a_missing_a_damaged_and_a_cut_off_frame_are_served_by_the_nearest_that_opens(tmp_path):
    folder = folder_of(tmp_path, {number: 10 * number for number in range(1, 11)})
    (folder / "3.jpg").unlink()
    (folder / "6.jpg").write_bytes(b"not a picture")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    (folder / "7.jpg").write_bytes(cv2.imencode(".jpg", noise)[1].tobytes()[:900])
    (folder / "10.jpg").write_bytes(b"")
    video = opened(folder)
    assert video.replaced == {}
    assert grey(video[2]) == 20  # both neighbours are one frame away: the earlier one
    assert video.replaced == {2: 1}
    assert video.check() == {2: 1, 5: 4, 6: 7, 9: 8}
    assert grey(video[6]) == 80


def test_no_readable_frame_names_the_video_and_its_folder(tmp_path):
    folder = folder_of(tmp_path, {1: 0, 2: 0})
    video = opened(folder)
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"video s v: none of its 2 frames opens .*color"):
        video[1]


def test_a_frame_outside_the_video_is_an_index_error(tmp_path):
    video = opened(folder_of(tmp_path, {1: 0, 2: 0}))
    with pytest.raises(IndexError, match="video s v has 2 frames, no frame 2"):
        video[2]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, ValueError, "comes without frames"),
        (
            frames.FrameFiles(Path("nowhere/color"), "{}.jpg", range(3)),
            FileNotFoundError,
            "nowhere.*not there",
        ),
        (Path("nowhere.mp4"), FileNotFoundError, "nowhere.mp4 is not there"),
        (7, ValueError, "cannot read frames from 7"),
    ],
)
def test_a_video_without_its_frames_says_what_is_missing(source, error, message):
    with pytest.raises(error, match=message):
        frames.open(Video("s", "v", 30.0, 3, (), source))


def test_the_cache_never_holds_more_than_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "CACHE_BYTES", 3 * 16 * 24)
    video = opened(folder_of(tmp_path, {number: number for number in range(1, 21)}))
    for index in (*range(20), 19, 18):
        assert grey(video[index]) == index + 1
    assert len(video._cache) == 3 and video._bytes == 3 * 16 * 24


def test_a_frame_at_hand_is_not_read_again_and_cannot_be_written_to(tmp_path):
    folder = folder_of(tmp_path, {1: 10, 2: 20})
    video = opened(folder)
    first = video[0]
    (folder / "1.jpg").unlink()
    assert video[0] is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


def test_many_threads_read_the_same_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "CACHE_FRAMES", 4)
    folder = folder_of(tmp_path, {number: 4 * number for number in range(1, 51)})
    (folder / "20.jpg").unlink()
    video = opened(folder)
    indices = np.random.default_rng(1).integers(0, 50, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda index: grey(video[index]), indices))
    assert seen == [4 * (19 if index == 19 else index + 1) for index in indices]
    assert video.replaced == {19: 18}
    assert len(video._cache) <= 4


# --- recordings of one's own --------------------------------------------------------------------------


def level(index: int) -> int:
    """The grey of frame `index` of a clip."""
    return 20 + 10 * index % 220


def clip_of(path: Path, count: int = 20, fps: float = 25.0, size: tuple[int, int] = (48, 64)) -> Path:
    """A video file of flat frames, each of its own grey."""
    return frames.write_video(path, [np.full(size, level(i), np.uint8) for i in range(count)], fps)


@pytest.fixture
def clip(tmp_path) -> Path:
    return clip_of(tmp_path / "clip.avi")


def near(image: np.ndarray, index: int) -> bool:
    return abs(grey(image) - level(index)) <= 3


def test_a_video_file_is_read_in_any_order(clip):
    images = frames.open(Video("me", "clip", 12.5, 10, (), frames.VideoFile(clip, frame_step=2)))
    for index in (0, 5, 9, 2, 0):
        assert near(images[index], 2 * index)
    assert images[3].shape == (48, 64) and images.replaced == {}


def test_a_plain_path_is_every_frame_of_a_file(clip):
    images = frames.open(Video("me", "clip", 25.0, 22, (), clip))
    assert near(images[19], 19)
    assert near(images[21], 19) and images.replaced == {21: 19}  # past its end: the last one
    assert near(images[3], 3)


def test_threads_a_window_apart_open_a_file_once(tmp_path, monkeypatch):
    opened_files = []
    real = frames._opened
    monkeypatch.setattr(frames, "_opened", lambda path: opened_files.append(path) or real(path))
    images = frames.open(Video("me", "clip", 25.0, 22, (), clip_of(tmp_path / "clip.mp4", 22)))
    for index in range(10):
        assert near(images[index + 11], index + 11) and near(images[index], index)
    assert len(opened_files) == 1


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "webm"])
@pytest.mark.parametrize("fps", [10.0, 25.0, 29.97, 60.0])
def test_time_stamps_of_a_file_are_its_frame_rate(tmp_path, suffix, fps):
    if suffix == "webm":  # holds VP8 and VP9 only
        path = tmp_path / "clip.webm"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), fps, (64, 48))
        for index in range(20):
            writer.write(np.full((48, 64, 3), level(index), np.uint8))
        writer.release()
    else:
        path = clip_of(tmp_path / f"clip.{suffix}", fps=fps)
    found = frames.look(path)
    assert (len(found.times), found.shape, found.rotation, found.first) == (20, (48, 64), 0, 0)
    assert found.fps == pytest.approx(fps, rel=0.01) and found.steady and found.stamped
    assert found.seconds == pytest.approx(20 / fps, rel=0.01)


def test_a_faster_recording_leaves_frames_out_and_a_slower_one_takes_them_twice(tmp_path):
    fast = frames.resample(frames.look(clip_of(tmp_path / "fast.mp4", fps=60.0)), 30.0)
    assert fast.taken.tolist() == list(range(0, 20, 2))
    slow = frames.resample(frames.look(clip_of(tmp_path / "slow.mp4", fps=15.0)), 30.0, name="mine")
    assert (slow.video.n_frames, slow.video.fps, slow.video.name) == (len(slow.taken), 30.0, "mine")
    assert set(np.bincount(slow.taken)[:-1]) == {2}
    np.testing.assert_allclose(slow.seconds, slow.taken / 15)
    images = frames.open(slow.video)
    for index in (0, 7, 8, 30, 3):
        assert near(images[index], slow.taken[index])


def test_a_steady_rate_that_is_nearly_the_models_is_taken_frame_by_frame(tmp_path):
    taken = frames.resample(frames.look(clip_of(tmp_path / "tv.mp4", fps=29.97)), 30.0)
    assert taken.taken.tolist() == list(range(20))
    np.testing.assert_allclose(taken.seconds, np.arange(20) / 29.97, atol=1e-3)


def test_a_varying_frame_rate_is_followed_by_its_time_stamps(tmp_path):
    """Ten frames at 30 per second, five at 10, five at 30 again: the slow ones stand three times as long."""
    path = films.with_durations(clip_of(tmp_path / "phone.mp4", fps=30.0), [1] * 10 + [3] * 5 + [1] * 5)
    found = frames.look(path)
    times = np.cumsum([0, *[1] * 10, *[3] * 5, *[1] * 4]) / 30
    np.testing.assert_allclose(found.times, times, atol=1e-6)
    assert not found.steady and found.slowest == pytest.approx(10)
    resampled = frames.resample(found, 30.0)
    assert np.bincount(resampled.taken).tolist()[:10] == [1] * 10
    assert np.bincount(resampled.taken)[11:14].tolist() == [3] * 3
    assert np.abs(resampled.seconds - np.arange(len(resampled.taken)) / 30).max() <= 1.5 / 30


@pytest.mark.parametrize(("degrees", "shape"), [(90, (64, 48)), (180, (48, 64)), (270, (64, 48))])
def test_a_phone_that_was_held_otherwise_gives_upright_frames(tmp_path, degrees, shape):
    image = np.full((48, 64), 20, np.uint8)
    image[:16, :16] = 220  # a bright corner, top left as the sensor sees it
    plain = frames.write_video(tmp_path / "plain.mp4", [image] * 5, 30.0)
    found = frames.look(films.rotated(plain, degrees))
    assert (found.rotation, found.shape) == (degrees, shape)
    shown = frames.open(frames.resample(found, 30.0).video)[2]
    assert shown.shape == shape
    corners = {90: shown[:12, -12:], 180: shown[-12:, -12:], 270: shown[-12:, :12]}
    assert corners[degrees].mean() > 180 and shown.mean() < 60


def test_times_that_do_not_rise_are_made_from_the_frame_rate(tmp_path):
    path = films.with_durations(clip_of(tmp_path / "odd.mp4", fps=30.0), [1] * 5 + [0] * 10 + [1] * 5)
    found = frames.look(path, fps=20.0)
    assert not found.stamped and found.fps == pytest.approx(20)
    np.testing.assert_allclose(found.times, np.arange(20) / 20)


def test_a_folder_of_your_own_needs_its_frame_rate(tmp_path):
    folder = folder_of(tmp_path, {5: 10, 6: 20, 8: 40})
    found = frames.look(folder, fps=60)
    assert (found.first, found.shape, found.fps) == (5, (16, 24), 60)
    resampled = frames.resample(found, 30.0)
    assert resampled.taken.tolist() == [0, 2]
    images = frames.open(frames.resample(found, 60.0).video)
    assert [grey(image) for image in images] == [10, 20, 20, 40]  # 7.jpg is not there
    with pytest.raises(ValueError, match="give fps="):
        frames.look(folder)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, FileNotFoundError, "no video file or folder"),
        (lambda path: path.mkdir(), ValueError, "holds no numbered images"),
        (lambda path: path.write_bytes(b"no video"), ValueError, "cannot be read as a video: it has no vid"),
        (lambda path: path.write_bytes(b""), ValueError, "is empty: a file of 0 bytes"),
        (lambda path: path.write_bytes(jpeg(20)), ValueError, "(one picture only|cannot be read)"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, capfd, make, error, message):
    path = tmp_path / "thing.mp4"
    make(path)
    with pytest.raises(error, match=message):
        frames.look(path, fps=30)
    assert capfd.readouterr().err == ""  # decoders' own complaints stay off the screen


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    whole = clip_of(tmp_path / "whole.mkv", 60, size=(240, 320)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.mp4").write_bytes(clip_of(tmp_path / "whole.mp4").read_bytes()[:-400])
    assert 10 < len(frames.look(tmp_path / "cut.mkv").times) < 50
    with pytest.raises(ValueError, match="is broken"):  # an mp4 has its table of contents at the end
        frames.look(tmp_path / "cut.mp4")


def test_a_video_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        frames.write_video(tmp_path / "none.mp4", [], 30.0)
    with pytest.raises(OSError, match="no encoder"):
        frames.write_video(tmp_path / "some.txt", [np.zeros((48, 64), np.uint8)], 30.0)
    assert list(tmp_path.iterdir()) == []
