"""The frame manifest: an edited frame is noticed, an untouched one is not read again."""

import os
import shutil
import time

import lookalikes
import pytest

from metst_lib.datasets import Manifest, frames, manifest
from metst_lib.datasets import check as checks
from metst_lib.events import Video

OLD = time.time_ns() - 10**12


@pytest.fixture
def video(tmp_path):
    """Six frames, none of them fresh."""
    lookalikes.write_frames(tmp_path / "v", "{}.jpg", range(3, 9))
    for path in (tmp_path / "v").iterdir():
        os.utime(path, ns=(OLD, OLD))
    return Video("s", "v", 30.0, 6, (), frames.list_frames(tmp_path / "v").files())


@pytest.fixture
def reads(monkeypatch):
    """How often contents were read."""
    calls, real = [], manifest._contents
    monkeypatch.setattr(manifest, "_contents", lambda facts: calls.append(len(facts)) or real(facts))
    return calls


def read(tmp_path, video):
    """A manifest on disk that knows the video, and its key."""
    known = Manifest(tmp_path / "m.json")
    key = known.key(video, new=True)
    known.save()
    return Manifest(tmp_path / "m.json"), key


def test_a_video_that_was_never_read_has_no_key_and_is_read_on_request_once(tmp_path, video, reads):
    known = Manifest(tmp_path / "m.json")
    assert known.key(video) is None and reads == []
    key = known.key(video, new=True)
    assert len(key) == 32 and known.key(video) == key and reads == [6]
    known.save()
    assert Manifest(tmp_path / "m.json").keys([video]) == {("s", "v"): key} and reads == [6]


def test_a_frame_of_other_pixels_changes_the_key(tmp_path, video):
    known, key = read(tmp_path, video)
    path = video.source.path(2)
    path.write_bytes(path.read_bytes()[:-2] + b"\xff\xd9")  # as before, at another time
    assert known.key(video) == key
    path.write_bytes(path.read_bytes()[:-3] + b"\x00\xff\xd9")  # as large as before
    assert known.key(video) != key


def test_a_frame_that_goes_or_changes_places_changes_the_key(tmp_path, video):
    known, key = read(tmp_path, video)
    first, second = video.source.path(0), video.source.path(1)
    second.write_bytes(second.read_bytes() + b"!")
    edited = known.key(video)
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    swapped = known.key(video)
    first.unlink()
    assert len({key, edited, swapped, known.key(video)}) == 4


def test_other_files_and_frames_that_are_not_used_do_not_matter(tmp_path, video, reads):
    stepped = Video("s", "v", 15.0, 3, (), frames.list_frames(tmp_path / "v").files(2))
    known, key = read(tmp_path, stepped)
    (tmp_path / "v/notes.txt").write_text("unused")
    (tmp_path / "v/4.jpg").write_bytes(b"unused")
    assert known.key(stepped) == key and reads == [3]


def test_a_copy_elsewhere_with_other_times_has_the_same_key(tmp_path, video):
    _, key = read(tmp_path, video)
    shutil.copytree(tmp_path / "v", tmp_path / "copy")
    copy = Video("s", "v", 30.0, 6, (), frames.list_frames(tmp_path / "copy").files())
    assert Manifest(tmp_path / "m.json").key(copy) == key


def test_a_fresh_file_may_change_again_unseen_and_is_read_again(tmp_path, video, reads):
    os.utime(video.source.path(0))  # now
    known, key = read(tmp_path, video)
    assert known.key(video) == key and reads == [6, 6]


def test_a_video_file_is_one_file_and_a_video_without_frames_none(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"first")
    known = Manifest(tmp_path / "m.json")
    plain, picked = (
        Video("s", name, 30.0, 2, (), source)
        for name, source in (
            ("a", tmp_path / "clip.mp4"),
            ("b", frames.VideoFile(tmp_path / "clip.mp4", (0, 2))),
        )
    )
    key = known.key(plain, new=True)
    assert key == known.key(picked, new=True)
    (tmp_path / "clip.mp4").write_bytes(b"other")
    assert known.key(plain) != key
    assert known.key(Video("s", "c", 30.0, 2, ()), new=True) is None


def test_what_two_processes_found_is_kept_and_a_damaged_file_is_as_none(tmp_path, video):
    one, two = Manifest(tmp_path / "m.json"), Manifest(tmp_path / "m.json")
    other = Video("s", "w", 30.0, 6, (), video.source)
    one.key(video, new=True)
    two.key(other, new=True)
    one.save()
    two.save()
    known = Manifest(tmp_path / "m.json")
    assert known.key(video) == known.key(other) is not None
    (tmp_path / "m.json").write_text('{"s/v": 3}')
    assert Manifest(tmp_path / "m.json").key(video) is None


def test_a_manifest_that_cannot_be_written_is_no_error(tmp_path, video):
    (tmp_path / "file").write_text("")
    known = Manifest(tmp_path / "file/m.json")
    known.key(video, new=True)
    known.save()
    assert not (tmp_path / "file/m.json").exists()


def test_a_deep_check_finds_a_frame_that_was_edited_under_its_old_time(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    lookalikes.casme3_frames(tmp_path / "casme3", {("spNO.1", "a"): (8, 60), ("spNO.2", "e"): (2, 90)})
    folder = tmp_path / "casme3/data/spNO.2/e/color"
    for path in folder.iterdir():
        os.utime(path, ns=(OLD, OLD))
    file = tmp_path / "manifests/casme3.json"
    video = Video("spNO.2", "e", 30.0, 89, (), frames.list_frames(folder).files())
    known = Manifest(file)
    key = known.key(video, new=True)
    known.save()
    item = "frames changed since flow was made from them"

    def row():
        return checks.check("casme3", tmp_path, deep=True).set_index("item").loc[item]

    assert row()["ok"]
    content = (folder / "5.jpg").read_bytes()
    (folder / "5.jpg").write_bytes(content[:-3] + b"\x00\xff\xd9")
    os.utime(folder / "5.jpg", ns=(OLD, OLD))
    assert Manifest(file).key(video) == key  # nothing to see from outside
    found = row()
    assert (found["found"], found["ok"]) == ("1 videos", False)
    assert found["to_do"] == "the first video: spNO.2 e. `metst flow casme3` makes it anew"
    assert Manifest(file).key(video) != key  # and now it is known
    assert item not in checks.check("casme3", tmp_path)["item"].tolist()
