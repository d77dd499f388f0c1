"""The authors' caches: what they hold, how they fit the owners' tables, and files that are refused."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from authors import SAMMLV, WINDOWS, Hostile, cache, lookalikes, written

from metst_lib import released, rois
from metst_lib.released import caches


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_caches_of_every_protocol_are_read(tmp_path, protocol, dtype):
    content = cache(dtype=dtype)
    videos = released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert [v.shape for v in videos] == [(3, 10, 30), (2, 10, 30)]
    assert all(v.dtype == np.float32 for v in videos)
    np.testing.assert_array_equal(videos[1][0], content[1][0].astype(np.float32))


def test_caches_of_numpy_1_are_read(tmp_path):
    content = cache(k=7)
    new = pickle.dumps(content, protocol=2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    (tmp_path / "c.pkl").write_bytes(old)
    np.testing.assert_array_equal(released.load_cache(tmp_path / "c.pkl")[0], np.float32(content[0]))


def test_a_video_may_be_one_array_fortran_ordered_or_without_windows(tmp_path):
    content = [np.stack(cache()[0]), [np.asfortranarray(w) for w in cache()[1]], []]
    first, second, none = released.load_cache(written(tmp_path / "c.pkl", content))
    np.testing.assert_array_equal(first, np.float32(content[0]))
    np.testing.assert_array_equal(second, np.float32(content[1]))
    assert none.shape == (0, 10, 30)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_cache_is_named_and_not_run(tmp_path, protocol):
    content = [*cache(), [Hostile(tmp_path / "harm")]]
    with pytest.raises(
        ValueError, match=r"c\.pkl cannot be read.*it asks for (posix|nt)\.mkdir, and only numpy"
    ):
        released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("pickled", "name"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", "builtins.eval"),
        (b"cnumpy\nload\n(Vx\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(Vx\ntR.", "numpy.core.multiarray.fromfile"),
        (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "numpy.ndarray.__class__"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "rot13"),
        (b"Pname\n.", "persistent"),
        (b"\x82\x01.", "extension"),
    ],
)
def test_names_beside_numpy_arrays_are_refused(tmp_path, pickled, name):
    (tmp_path / "c.pkl").write_bytes(pickled)
    with pytest.raises(ValueError, match="cannot be read as a cache of flow") as caught:
        released.load_cache(tmp_path / "c.pkl")
    assert name in str(caught.value)


@pytest.mark.parametrize("part", [0, 1, 10, 500, -1])
def test_a_cache_cut_short_is_refused(tmp_path, part):
    path = written(tmp_path / "c.pkl", cache())
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"c\.pkl cannot be read as a cache of flow"):
        released.load_cache(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "should hold a list of videos, not an empty dict"),
        ([], "should hold a list of videos, not an empty list"),
        ([3], "video 0 should be a list of windows, not a int"),
        (
            [[np.zeros((10, 5))], [np.zeros((9, 5))]],
            r"video 1, window 0 should be .* not an array of shape \(9, 5\)",
        ),
        ([[np.zeros((10, 5), int)]], "window 0 should be a float array"),
        ([[np.zeros((10, 5), object)]], "window 0 should be a float array"),
        ([[[1.0, 2.0]]], r"should be a float array \(10, k\), not a list"),
        ([[np.zeros((10, 5)), np.zeros((10, 6))]], r"video 0 has windows of \(10, 5\) and \(10, 6\)"),
        ([[np.zeros((10, 5))], [np.zeros((10, 6))]], "windows of different lengths: 5, 6 frames"),
        ([[np.zeros((10, 5)), np.full((10, 5), np.nan)]], "video 0, window 1 holds NaN or infinity"),
    ],
)
def test_a_cache_of_another_form_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        released.load_cache(written(tmp_path / "c.pkl", content))


def test_a_missing_cache_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no cache at .*none"):
        released.load_cache(tmp_path / "none.pkl")


# --- caches as flow ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A data folder with the tables of two sets, and no frames."""
    data = tmp_path_factory.mktemp("tables")
    lookalikes().sammlv(data / "sammlv")
    lookalikes().casme3(data / "casme3")
    return data


def imported(tables, files, name="sammlv", window=30, frame_step=7):
    return released.read_caches(name, files, tables, window=window, frame_step=frame_step)


def test_a_cache_becomes_the_flow_of_each_video_with_an_me(tmp_path, tables):
    content = cache(WINDOWS)
    path = written(tmp_path / "c.pkl", content)
    found = imported(tables, [path])
    assert list(found.flows) == SAMMLV
    for flow, windows in zip(found.flows.values(), content, strict=True):
        np.testing.assert_array_equal(flow.values, np.float32(windows))
        np.testing.assert_array_equal(flow.starts, 15 * np.arange(len(windows)))
        assert flow.n_frames == 15 * (len(windows) + 1)
        assert flow.fps == pytest.approx(200 / 7)
        assert not flow.flags.any()
    assert found.hashes == {"c.pkl": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert found.ranges == [
        ("004", "004_1", 1, 525),
        ("005", "005_2", 1, 630),
        ("012", "012_3", 1, 315),
    ]
    assert sorted(tables.iterdir()) == [tables / "casme3", tables / "sammlv"]  # nothing is written


def test_the_channels_of_a_cache_are_in_our_order():
    released_order = ("left brow", "right brow", "mouth", "left nose wing", "right nose wing")
    assert rois.channel_names("5") == [f"{name} {axis}" for name in released_order for axis in "xy"]


def test_caches_in_parts_are_joined_and_leave_out_what_the_released_code_cannot_place(tmp_path, tables):
    content = cache((7, 7, 6), k=50)  # 207, 205 and 201 frames; spNO.10 J finds no folder
    parts = [written(tmp_path / f"{i}.pkl", part) for i, part in enumerate((content[:2], content[2:]))]
    found = imported(tables, parts, "casme3", 50, 1)
    assert found.ranges == [("spNO.1", "a", 1, 200), ("spNO.1", "b", 1, 200), ("spNO.2", "e", 1, 175)]
    np.testing.assert_array_equal(found.flows["spNO.2", "e"].values, np.float32(content[2]))
    assert list(found.hashes) == ["0.pkl", "1.pkl"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            cache((4, 5)),
            {},
            r"c\.pkl: 2 videos, but the tables of sammlv have 3 with a micro-expression\. Nothing was",
        ),
        (cache((4, 5, 2, 2)), {}, "4 videos, but the tables of sammlv have 3"),
        (  # it begins at frame 450, index 64, so there are at least 65 frames: 65 // 15 − 1 windows
            cache((4, 2, 5)),
            {},
            "video 005 005_2: 2 windows of 30 frames, but a micro-expression begins at frame 450, "
            "which takes at least 3",
        ),
        ([*cache((4, 5)), []], {}, "video 012 012_3: 0 windows of 30 frames, but .* takes at least 1"),
        (cache(WINDOWS, k=50), {}, "video 004 004_1: windows of 50 frames, not of 30"),
        ([*cache((4, 5)), [np.full((10, 30), np.nan)]], {}, "video 2, window 0 holds NaN or infinity"),
        ([*cache((4, 5)), [np.full((10, 30), 1e300)] * 2], {}, "not finite"),
        ([*cache((4, 5)), [Hostile("harm")]], {}, r"it asks for (posix|nt)\.mkdir, and only numpy"),
        (cache(WINDOWS), {"name": "casme2sq"}, "released no cache of 'casme2sq'; .* sammlv, casme3"),
        (cache(WINDOWS), {"files": []}, "no file is named"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_cache_that_does_not_fit_is_refused(tmp_path, tables, content, options, message):
    options = {"files": [written(tmp_path / "c.pkl", content)], "name": "sammlv"} | options
    with pytest.raises(ValueError, match=message):
        imported(tables, options["files"], options["name"])


def test_a_truncated_part_or_a_missing_table_is_named(tmp_path, tables):
    path = written(tmp_path / "c.pkl", cache(WINDOWS))
    with pytest.raises(FileNotFoundError, match=r"no table of SAMM.*SAMM_LongVideos_V3_Release\.xlsx"):
        imported(tmp_path, [path])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"c\.pkl cannot be read as a cache of flow"):
        imported(tables, [path])


def test_the_owners_tables_fit_caches_of_their_videos_lengths():
    folder = Path(os.environ.get("METST_TABLES", "none")) / "casme3"
    if not folder.is_dir():
        pytest.skip("set METST_TABLES to a folder with the owners' tables (casme3/ in it)")
    onsets = caches._last_onsets("casme3", folder)
    assert len(onsets) == 462
    assert ("spNO.14", "j") not in onsets
    lengths = pd.read_csv(folder / "video_frames.csv").set_index(["subject", "video"])["last_jpg"]
    for key, onset in onsets.items():
        windows = np.empty((lengths[key] // 25 - 1, 10, 50), np.float32)
        caches._check_windows(" ".join(key), windows, onset, 50, 1)
    first = np.empty((lengths["spNO.1", "a"] // 25 - 1, 10, 50), np.float32)  # in another video's place
    with pytest.raises(ValueError, match="32 windows of 50 frames, but a micro-expression begins at frame"):
        caches._check_windows("spNO.4 g", first, onsets["spNO.4", "g"], 50, 1)
