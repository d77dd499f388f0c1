"""Records as files, and flow files: what comes back, and what is refused."""

import dataclasses
import json
import os

import numpy as np
import pytest

from metst_lib import rois
from metst_lib.experiment import records
from metst_lib.experiment.records import Failure, FlowReport, Imported, VideoFlow, load_flow, save_flow
from metst_lib.flow import RoiFlow

VIDEO, KEY = ("spNO.1", "a"), "0123456789ab"


def made(seed=0, **changes) -> RoiFlow:
    values = np.random.default_rng(seed).normal(size=(3, 10, 8)).astype(np.float32)
    flow = RoiFlow(values, [0, 4, 6], [False, True, False], 14, 30.0, settings={"align": True, "replaced": 2})
    return dataclasses.replace(flow, **changes)


def rewritten(path, **arrays):
    """The file with some of its arrays in place of its own, all else as it was."""
    with np.load(path) as stored:
        content = {**stored, **arrays}
    np.savez(path, **content)


# --- records --------------------------------------------------------------------------------------------

REPORT = FlowReport(
    {"spNO.1 a": VideoFlow(KEY, "ff00", (812, 17), 3, 1, 2)},
    {"spNO.2 b": Failure("cd", "no face found")},
    Imported({"SAMMLV.pkl": "ab12"}, [("004", "004_1", 1, 99)]),
)


def test_a_record_comes_back_with_its_types(tmp_path):
    path = records.write(tmp_path / "deep" / "complete.json", REPORT)
    again = records.read(path, FlowReport)
    assert again == REPORT
    assert isinstance(again.videos["spNO.1 a"].file, tuple) and isinstance(again.imported.ranges[0], tuple)
    assert [p.name for p in path.parent.iterdir()] == ["complete.json"], "no temporary file is left"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{" * 10_000,
        lambda text: text.replace('"hash"', '"hsah"'),  # a field is missing
        lambda text: text.replace('"windows": 3', '"windows": "three"'),
        lambda text: text.replace("[\n    812", "[\n    1,\n    812"),  # three values for two
    ],
)
def test_a_damaged_or_foreign_record_is_none(tmp_path, damage):
    path = records.write(tmp_path / "complete.json", REPORT)
    text = path.read_text()
    assert damage(text) != text
    path.write_text(damage(text))
    assert records.read(path, FlowReport) is None


def test_a_record_that_is_not_there_is_none(tmp_path):
    assert records.read(tmp_path / "complete.json", FlowReport) is None
    assert records.read(tmp_path, FlowReport) is None


# --- flow files -----------------------------------------------------------------------------------------


def test_flow_comes_back_from_its_file(tmp_path):
    path = tmp_path / "deep" / "spNO.1_a.npz"
    about = save_flow(path, VIDEO, KEY, made())
    again = load_flow(path, VIDEO, KEY)
    assert np.array_equal(again.values, made().values) and again.values.dtype == np.float32
    assert again.starts.tolist() == [0, 4, 6] and again.flags.tolist() == [False, True, False]
    assert (again.n_frames, again.fps, again.roi_set, again.mode, again.window) == (14, 30.0, "5", "exact", 8)
    assert again.settings == {"align": True, "replaced": 2}
    assert again.channels == rois.channel_names("5")
    assert (about.key, about.windows, about.flagged, about.replaced) == (KEY, 3, 1, 2)
    assert about.file == (path.stat().st_size, path.stat().st_mtime_ns)
    assert [p.name for p in path.parent.iterdir()] == ["spNO.1_a.npz"], "no temporary file is left"


def test_an_unknown_frame_rate_stays_unknown(tmp_path):
    flow = RoiFlow(np.zeros((1, 36, 4)), np.zeros(1), np.zeros(1), 4, roi_set="18")
    about = save_flow(tmp_path / "x.npz", VIDEO, KEY, flow)
    assert load_flow(tmp_path / "x.npz", VIDEO).fps is None
    assert about.replaced == 0


def test_the_hash_is_that_of_the_arrays(tmp_path):
    def hashed(flow, name="x.npz"):
        return save_flow(tmp_path / name, VIDEO, KEY, flow).hash

    assert hashed(made()) == hashed(made(), "another name.npz")
    others = [made(1), made(flags=[True, True, False]), made(starts=[0, 4, 5])]
    assert len({hashed(flow) for flow in (made(), *others)}) == 4


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, part):
    save_flow(tmp_path / "whole.npz", VIDEO, KEY, made())
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match=r"half.npz is not a flow file, or not a whole one"):
        load_flow(tmp_path / "half.npz", VIDEO)


def test_a_file_of_another_kind_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz is not a flow file"):
        load_flow(tmp_path / "other.npz", VIDEO)
    np.savez(tmp_path / "pickled.npz", values=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"pickled.npz is not a flow file"):
        load_flow(tmp_path / "pickled.npz", VIDEO)
    with pytest.raises(FileNotFoundError, match=r"no flow file at .*gone.npz"):
        load_flow(tmp_path / "gone.npz", VIDEO)


def test_the_file_of_another_video_is_refused_by_name(tmp_path):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    save_flow(one, VIDEO, KEY, made())
    save_flow(two, ("spNO.2", "b"), KEY, made(1))
    os.replace(two, one)
    with pytest.raises(ValueError, match=r"one.npz is the flow of video spNO.2 b, not of spNO.1 a"):
        load_flow(one, VIDEO, KEY)


def test_flow_made_of_something_else_is_refused(tmp_path):
    path = tmp_path / "flow.npz"
    save_flow(path, VIDEO, KEY, made())
    with pytest.raises(ValueError, match=r"flow.npz is not the flow that was written for it; `metst flow` "):
        load_flow(path, VIDEO, "another key")
    assert load_flow(path, VIDEO).n_frames == 14  # whoever does not know the key does not ask


@pytest.mark.parametrize(
    "arrays",
    [
        {"values": made().values + np.float32(1e-6)},
        {"starts": np.array([0, 4, 5])},
        {"flags": np.array([False, False, False])},
    ],
)
def test_arrays_changed_under_the_stored_hash_are_refused(tmp_path, arrays):
    path = tmp_path / "flow.npz"
    save_flow(path, VIDEO, KEY, made())
    rewritten(path)
    assert load_flow(path, VIDEO, KEY).n_frames == 14  # the same arrays written again are the same flow
    rewritten(path, **arrays)
    with pytest.raises(ValueError, match=r"flow.npz is not the flow that was written for it"):
        load_flow(path, VIDEO, KEY)


def test_what_is_no_flow_is_not_read_from_a_file(tmp_path):
    path = tmp_path / "flow.npz"
    save_flow(path, VIDEO, KEY, made())
    with np.load(path) as stored:
        about = json.loads(str(stored["about"]))
    values = made().values.copy()
    values[1, 2, 3] = np.nan
    for arrays, message in (
        ({"values": values}, "flow values are not finite"),
        ({"starts": np.zeros(2)}, "3 windows of flow, but starts"),
        ({"about": np.array(json.dumps({**about, "roi_set": "9"}))}, "unknown roi_set"),
        ({"about": np.array(json.dumps({**about, "n_frames": 13}))}, "beyond the video's 13 frames"),
        ({"about": np.array("{}")}, "n_frames"),
        ({"about": np.array("no json")}, "JSON"),
    ):
        save_flow(path, VIDEO, KEY, made())
        rewritten(path, **arrays)
        with pytest.raises(ValueError, match=rf"(?s)flow.npz is not a usable flow file: .*{message}"):
            load_flow(path, VIDEO)


# --- what is said of a flow file ------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The flow files that are read, by name."""
    seen, read_npz = [], records.read_npz
    monkeypatch.setattr(
        records, "read_npz", lambda path, *rest: seen.append(path.name) or read_npz(path, *rest)
    )
    return seen


def test_a_flow_file_is_read_only_where_its_size_or_time_changed(tmp_path, reads):
    path = tmp_path / "flow.npz"
    about = save_flow(path, VIDEO, KEY, made())
    assert records.current_flow(path, VIDEO, KEY, about) == about and not reads
    os.utime(path, ns=(1, 1))
    touched = records.current_flow(path, VIDEO, KEY, about)
    assert reads == ["flow.npz"]
    assert touched.file == (path.stat().st_size, 1) and dataclasses.replace(touched, file=about.file) == about
    assert records.current_flow(path, VIDEO, KEY, touched) == touched and len(reads) == 1


def test_a_flow_file_of_which_nothing_was_said_yet_is_read(tmp_path, reads):
    path = tmp_path / "flow.npz"
    about = save_flow(path, VIDEO, KEY, made())
    assert records.current_flow(path, VIDEO, KEY, None) == about
    assert records.current_flow(path, VIDEO, KEY, dataclasses.replace(about, key="of before")) == about
    assert len(reads) == 2


def test_a_flow_file_that_does_not_hold_is_none(tmp_path):
    path = tmp_path / "flow.npz"
    about = save_flow(path, VIDEO, KEY, made())
    assert records.current_flow(path, VIDEO, "today's key", about) is None
    assert records.current_flow(path, ("spNO.2", "b"), KEY, None) is None
    assert records.current_flow(tmp_path / "gone.npz", VIDEO, KEY, about) is None
    save_flow(path, VIDEO, KEY, made(1))  # whole, but not what was said of it
    assert records.current_flow(path, VIDEO, KEY, about) is None
    path.write_bytes(path.read_bytes()[:-9])
    assert records.current_flow(path, VIDEO, KEY, about) is None
