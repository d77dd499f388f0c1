"""The authors' caches: what they hold, how they fit the owners' tables, and files that are refused."""

import hashlib
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from authors import SAMMLV, WINDOWS, Hostile, cache, lookalikes, written

from metst_lib import released, rois
from metst_lib.released import caches

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("channels", [10, 36])
def test_caches_of_every_protocol_are_read(tmp_path, protocol, dtype, channels):
    content = cache(dtype=dtype, channels=channels)
    videos = released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert [v.shape for v in videos] == [(3, channels, 30), (2, channels, 30)]
    assert all(v.dtype == np.float32 for v in videos)
    np.testing.assert_array_equal(videos[1][0], content[1][0].astype(np.float32))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_caches_of_numpy_1_are_read(tmp_path, protocol):
    content = cache(k=7)
    new = pickle.dumps(content, protocol)
    for core in (b"multiarray", b"numeric"):  # a name's length stands before it
        new = new.replace(b"\x8c\x16numpy._core." + core, b"\x8c\x15numpy.core." + core)
        new = new.replace(b"\x8c\x13numpy._core." + core, b"\x8c\x12numpy.core." + core)
    old = new.replace(b"cnumpy._core.", b"cnumpy.core.")
    assert b"numpy.core." in old and b"_core" not in old
    (tmp_path / "c.pkl").write_bytes(old)
    np.testing.assert_array_equal(released.load_cache(tmp_path / "c.pkl")[0], np.float32(content[0]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_video_may_be_one_array_fortran_ordered_or_without_windows(tmp_path, protocol):
    content = [np.stack(cache()[0]), [np.asfortranarray(w) for w in cache()[1]], []]
    first, second, none = released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    np.testing.assert_array_equal(first, np.float32(content[0]))
    np.testing.assert_array_equal(second, np.float32(content[1]))
    assert none.shape == (0, 10, 30)


def test_parts_are_joined_in_their_order(tmp_path):
    content = cache((1, 2, 3, 1), channels=36)
    parts = [written(tmp_path / f"{i}.pkl", content[i : i + 2]) for i in (0, 2)]
    found = released.load_cache(parts)
    for video, windows in zip(found, content, strict=True):
        np.testing.assert_array_equal(video, np.float32(windows))
    odd = written(tmp_path / "odd.pkl", cache((1,)))
    with pytest.raises(ValueError, match=r"0\.pkl, odd\.pkl: .*different forms: \(10, 30\), \(36, 30\)"):
        released.load_cache([parts[0], odd])
    with pytest.raises(ValueError, match="no file is named"):
        released.load_cache([])


def test_a_pointer_says_how_to_get_the_file(tmp_path):
    path = tmp_path / "SAMMLV_dataset.pkl"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 130\n")
    with pytest.raises(ValueError, match=r"SAMMLV_dataset\.pkl is a git-lfs pointer.*git lfs pull"):
        released.load_cache(path)


# --- pickles that would do harm -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hostile_cache_is_named_and_not_run(tmp_path, protocol):
    content = [*cache(), [Hostile(tmp_path / "harm")]]
    with pytest.raises(
        ValueError, match=r"c\.pkl cannot be read.*it asks for (posix|nt)\.mkdir, and only float arrays"
    ):
        released.load_cache(written(tmp_path / "c.pkl", content, protocol))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("pickled", "name"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", "builtins.eval"),
        (b"cnumpy\nload\n(Vx\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(Vx\ntR.", "numpy.core.multiarray.fromfile"),
        (b"cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"),
        (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "numpy.ndarray.__class__"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "codec 'rot13'"),
        (b"Pname\n.", "PERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"(i__main__\nx\n.", "INST"),
        (b"(cnumpy\nndarray\no.", "OBJ"),
        (b"cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"}.", "EMPTY_DICT"),
        (b"cnumpy\nndarray\n((I1\ntR.", "calls what is no function"),
        (b"\x80\x04cnumpy\ndtype\n(V|S%d\nI0\nI1\ntR." % 10**17, "arrays of type '|S1000"),
        (b"]K\x01b.", "fill what is no float array"),
        (b"K\x01K\x02a.", "appends to what is no list"),
        (b"((K\x01tK\x02\x93.", "name is no text"),
    ],
)
def test_all_beside_arrays_in_lists_is_refused_by_name(tmp_path, pickled, name):
    (tmp_path / "c.pkl").write_bytes(pickled)
    with pytest.raises(ValueError, match="cannot be read as a cache of flow") as caught:
        released.load_cache(tmp_path / "c.pkl")
    assert name in str(caught.value)


DTYPE = b"cnumpy\ndtype\n(Vf8\nI00\nI01\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntb"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"
CRASHES = {  # what numpy's own constructors would make of these ends or blocks the process
    "more rows than bytes": (
        ARRAY + b"(I1\n(I1000000000\nI10\nt" + DTYPE + b"I00\nC\x01btb.",
        "shape does not",
    ),
    "negative rows": (ARRAY + b"(I1\n(I-1\nt" + DTYPE + b"I00\nC\x08--------tb.", "shape does not"),
    "rows of true": (ARRAY + b"(I1\n(I01\nt" + DTYPE + b"I00\nC\x08--------tb.", "shape does not"),
    "objects": (
        ARRAY + b"(I1\n(I1\nt" + DTYPE.replace(b"f8", b"O8") + b"I00\nC\x08--------tb.",
        "type 'O8'",
    ),
    "a type told to be another": (DTYPE.replace(b"V<\nNNN", b"V<\n(Vf8\nI9\ntNN") + b".", "fill what is no"),
    "a type of swapped state": (DTYPE.replace(b"V<", b"V!") + b".", "fill what is no"),
    "a type without state": (
        ARRAY + b"(I1\n(I1\nt" + DTYPE.partition(b"(I3")[0] + b"I00\nC\x08--------tb.",
        "made of bytes",
    ),
    "state of a class": (
        b"cnumpy\nndarray\n(I1\n(I1\nt" + DTYPE + b"I00\nC\x08--------tb.",
        "fill what is no",
    ),
    "numbers in place of bytes": (ARRAY + b"(I1\n(I1\nt" + DTYPE + b"I00\nI8\ntb.", "made of bytes"),
    "a buffer of a list": (
        b"cnumpy.core.numeric\n_frombuffer\n(]" + DTYPE + b"(I1\ntVC\ntR.",
        "made of bytes",
    ),
    "8 exabytes": (
        b"\x80\x04\x8e" + (2**63 - 1).to_bytes(8, "little") + b"x.",
        "expected 9223372036854775807",
    ),
    "a place of 2 billion": (b"]r\xff\xff\xff\x7f.", "empty list"),
    "a name a million deep": (b"(K\x01" + b"\x85" * 10**6 + b"K\x02\x93.", "name is no text"),
    "a list in itself": (b"]q\x00h\x00a.", "window 0 should be a float array"),
    "lists of lists, 2 ** 200": (
        b"]" + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(200)) + b".",
        "not a list",
    ),
}


@pytest.mark.parametrize("what", CRASHES)
def test_pickles_that_would_end_the_process_end_in_an_error(tmp_path, what):
    pickled, message = CRASHES[what]
    (tmp_path / "c.pkl").write_bytes(pickled)
    with pytest.raises(ValueError) as caught:
        released.load_cache(tmp_path / "c.pkl")
    assert message in str(caught.value)


def test_a_window_that_is_repeated_a_million_times_is_refused_at_once(tmp_path):
    window = cache((1,))[0]
    for content, message in (
        ([window * 2], "it holds one array twice"),
        ([window] * 2, "video 1 repeats windows: the file has fewer bytes than its numbers take"),
        ([window] * 10**6, "repeats windows"),
    ):
        with pytest.raises(ValueError, match=message):
            released.load_cache(written(tmp_path / "c.pkl", content))


def test_any_change_of_bytes_gives_arrays_or_an_error(tmp_path):
    """20,400 caches of every protocol with a few bytes changed, in a process of its own: it would not survive
    a crash."""
    code = """
        import pickle, random, sys
        import numpy as np
        from metst_lib.released import load_cache
        rng, path, read = random.Random(0), sys.argv[1], 0
        content = [[np.full((10, 1), 0.5, kind) for kind in ("<f4", ">f8")]]
        file = open(path, "wb", buffering=0)  # opened once, which is much faster
        for protocol in range(6):
            whole = pickle.dumps(content, protocol)
            for _ in range(3400):
                changed = bytearray(whole)
                for _ in range(rng.choice((1, 1, 2, 5))):
                    at = rng.randrange(len(changed))
                    how = rng.randrange(4)
                    if how == 0:
                        del changed[at]
                    elif how == 1:
                        changed.insert(at, rng.randrange(256))
                    else:
                        changed[at] = rng.randrange(256) if how == 2 else whole[rng.randrange(len(whole))]
                file.seek(0)
                file.write(changed)
                file.truncate()
                try:
                    videos = load_cache(path)
                except ValueError:
                    continue
                assert all(video.dtype == np.float32 and video.ndim == 3 for video in videos)
                read += 1
        print(read)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(tmp_path / "c.pkl")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 100 < int(done.stdout) < 20_000, "some changes are of a number, most are fatal"


# --- caches of another form -----------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 1, 10, 500, -1])
def test_a_cache_cut_short_is_refused(tmp_path, part):
    path = written(tmp_path / "c.pkl", cache())
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"c\.pkl cannot be read as a cache of flow"):
        released.load_cache(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((), "should hold a list of videos, not an empty tuple"),
        ([], "should hold a list of videos, not an empty list"),
        ([3], "video 0 should be a list of windows, not a int"),
        (
            [[np.zeros((10, 5))], [np.zeros((9, 5))]],
            r"video 1, window 0 should be .* not an array of shape \(9, 5\)",
        ),
        ([[np.zeros((10, 5), int)]], "arrays of type 'i8', not of 32- or 64-bit floats"),
        ([[np.zeros((10, 5), object)]], "arrays of type 'O8', not of"),
        ([[np.zeros((10, 5), np.float16)]], "arrays of type 'f2', not of"),
        ([[[1, 2]]], r"should be a float array \(10, k\) or \(36, k\), not a list"),
        ([[np.zeros(10)]], r"not an array of shape \(10,\)"),
        ([[np.zeros((10, 5)), np.zeros((10, 6))]], r"video 0 has windows of \(10, 5\) and \(10, 6\)"),
        ([[np.zeros((10, 5))], [np.zeros((10, 6))]], r"windows of different forms: \(10, 5\), \(10, 6\)"),
        ([[np.zeros((10, 5)), np.full((10, 5), np.nan)]], "video 0, window 1 holds NaN or infinity"),
        ([[np.full((10, 5), -1e39)]], "video 0, window 0 holds NaN or infinity"),  # as float32
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


def test_a_cache_of_eighteen_regions_is_flow_of_five_too(tmp_path, tables):
    content = cache(WINDOWS, channels=36)
    found = imported(tables, [written(tmp_path / "c.pkl", content)])
    five = caches.of_five(found)
    assert {flow.roi_set for flow in found.flows.values()} == {"18"}
    assert {flow.mode for flow in found.flows.values()} == {"released"}
    assert (five.hashes, five.ranges, list(five.flows)) == (found.hashes, found.ranges, SAMMLV)
    for flow, windows in zip(five.flows.values(), content, strict=True):
        regions = [0, 1, 8, 9, 16, 17, 28, 29, 30, 31]  # x and y of 1, 5, 9, 15, 16
        np.testing.assert_array_equal(flow.values, np.float32(windows)[:, regions])
        assert flow.roi_set == "5" and flow.channels == rois.channel_names("5")


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
        ([*cache((4, 5)), [np.full((10, 30), 1e300), np.zeros((10, 30))]], {}, "window 0 holds NaN or"),
        ([*cache((4, 5)), [Hostile("harm")]], {}, r"it asks for (posix|nt)\.mkdir, and only float"),
        (cache(WINDOWS), {"name": "casme2sq"}, "released no cache of 'casme2sq'; .* sammlv, casme3"),
        (cache(WINDOWS), {"files": []}, "no file is named"),
    ],
)
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
    folder = lookalikes().owners("casme3")
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
