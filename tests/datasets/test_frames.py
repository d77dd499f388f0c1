"""Frames of a video: numbering, lazy reading, what stands in for a frame that does not open."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import clip_of, folder_of, grey, jpeg, near

from metst_lib.datasets import frames
from metst_lib.events import Video


def opened(folder: Path, frame_step: int = 1) -> frames.Frames:
    files = frames.list_frames(folder).files(frame_step)
    return frames.open(Video("s", "v", 30.0, len(files.numbers), (), files))


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
    assert len(list(video)) == len(video) and video.replaced == {2: 1, 5: 4, 6: 7, 9: 8}
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


@pytest.fixture
def clip(tmp_path) -> Path:
    return clip_of(tmp_path / "clip.avi")


def test_a_video_file_is_read_in_any_order(clip):
    images = frames.open(Video("me", "clip", 12.5, 10, (), frames.VideoFile(clip, range(0, 20, 2))))
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
    real = frames.opened
    monkeypatch.setattr(frames, "opened", lambda path: opened_files.append(path) or real(path))
    images = frames.open(Video("me", "clip", 25.0, 22, (), clip_of(tmp_path / "clip.mp4", 22)))
    for index in range(10):
        assert near(images[index + 11], index + 11) and near(images[index], index)
    assert len(opened_files) == 1
