"""Flow made of signals: windows like those of `flow`, measured gains found again, and a whole rehearsal."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from metst_lib import cli, datasets, experiment, figures, preparation, rois
from metst_lib.events import Event, Video
from metst_lib.flow import RoiFlow
from metst_lib.synthetic import rehearsal, signals
from metst_lib.synthetic.script import Action

sys.path.append(str(Path(__file__).parents[1] / "datasets"))
import lookalikes

EVENTS = (
    Event(60, 70, 64, "positive"),
    Event(120, 131, None, "negative"),
    Event(160, 200, 175, kind="macro"),
    Event(166, 172, 168, "others"),  # overlaps the macro-expression
    Event(220, 220, 220, "surprise"),  # one frame: nothing moves
    Event(250, 262, 250, "surprise"),  # onset = apex
)
VIDEO = Video("spNO.1", "a", 30.0, 330, EVENTS)


def quiet(roi_set="5"):
    """A response without spread, noise and drift, so that only gains are left."""
    channels = 2 * len(rois.roi_set(roi_set))
    nothing = np.zeros((channels, channels))
    return signals.Response(roi_set, signals.response(roi_set).gains, np.zeros(channels), nothing, nothing)


# --- windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("roi_set", "window"), [("5", 50), ("18", 30)])
def test_windows_are_those_of_flow_and_begin_at_zero(roi_set, window):
    made = signals.roi_flow(VIDEO, roi_set, window)
    assert made.values.dtype == np.float32
    assert made.values.shape[1:] == (2 * len(rois.roi_set(roi_set)), window)
    assert made.starts[:2].tolist() == [0, window // 2]
    assert made.starts[-1] + window == VIDEO.n_frames
    assert not made.values[:, :, 0].any()
    assert not made.flags.any()
    assert (made.mode, made.fps) == (signals.MODE, 30.0)


def test_windows_that_overlap_see_one_path():
    made = signals.roi_flow(VIDEO, window=50)
    late = made.values[0, :, 25:] - made.values[0, :, 25:26]
    np.testing.assert_allclose(made.values[1, :, :25], late, atol=1e-5)


def test_a_video_shorter_than_a_window_is_named():
    with pytest.raises(ValueError, match=r"spNO\.9 c: the video has 40 frames, fewer than one window of 50"):
        signals.roi_flow(Video("spNO.9", "c", 30.0, 40, ()))


# --- what depends on what ---------------------------------------------------------------------------------


def test_the_seed_and_the_video_decide_and_nothing_else():
    other = dataclasses.replace(VIDEO, name="b")
    alone = signals.roi_flow(VIDEO).values
    signals.roi_flow(other)
    np.testing.assert_array_equal(signals.roi_flow(VIDEO).values, alone)
    assert np.abs(signals.roi_flow(VIDEO, seed=1).values - alone).max() > 0.1
    assert np.abs(signals.roi_flow(other).values - alone).max() > 0.1


def test_both_sets_of_regions_see_the_same_actions():
    five = signals.roi_flow(VIDEO, "5", measured=quiet("5")).values
    all_of_them = signals.roi_flow(VIDEO, "18", measured=quiet("18")).values
    brow, mouth = (rois.channel_names("18").index(f"{name} y") for name in ("right brow", "mouth"))
    np.testing.assert_allclose(five[:, 3], all_of_them[:, brow], atol=1e-3)
    np.testing.assert_allclose(five[:, 5], all_of_them[:, mouth], atol=1e-3)


# --- actions ----------------------------------------------------------------------------------------------


def test_each_event_becomes_an_action_of_its_emotion_and_place():
    actions = signals.acted(VIDEO, blinks=False)
    assert [(a.onset, a.offset) for a in actions] == [
        (60, 70),
        (120, 131),
        (160, 200),
        (166, 172),
        (250, 262),
    ]
    assert [a.emotion for a in actions if a.kind == "micro"] == ["positive", "negative", "others", "surprise"]
    assert [a.apex for a in actions][0::2] == [64, 175, actions[-1].apex]
    assert all(a.onset < a.apex < a.offset for a in actions)
    assert all(0.6 <= a.amplitude <= 1.3 for a in actions if a.kind == "micro")


def test_a_micro_expression_moves_its_regions_by_gain_times_amplitude():
    action = next(a for a in signals.acted(VIDEO, blinks=False) if a.onset == 60)
    made = signals.roi_flow(VIDEO, "5", 50, blinks=False, measured=quiet())
    window = int(np.flatnonzero(made.starts == 50)[0])
    units = [signals.UNITS.index(unit) for unit in action.action_units]
    left, right = signals.response("5").gains[:, units].sum(axis=1)
    strengths = {"": (1 + action.balance, 1 - action.balance), "L": (0, 1), "R": (1, 0)}[action.side]
    expected = action.amplitude * (strengths[0] * left + strengths[1] * right)
    np.testing.assert_allclose(made.values[window, :, 64 - 50], expected, atol=1e-5)
    assert not made.values[window, :, 20:].any()  # back at rest at the offset


def test_blinks_are_drawn_where_no_event_is():
    long = Video("spNO.2", "a", 30.0, 3000, tuple(Event(n, n + 200, kind="macro") for n in (0, 500, 2799)))
    blinks = [a for a in signals.acted(long) if a.kind == "blink"]
    assert 12 < len(blinks) < 45  # 80 s without an event, one blink every 2–6 s
    for blink in blinks:
        assert blink.offset < 3000
        assert all(blink.offset < e.onset - 18 or blink.onset > e.offset + 18 for e in long.events)
    assert not [a for a in signals.acted(long, blinks=False) if a.kind == "blink"]


# --- measuring --------------------------------------------------------------------------------------------


def acting_set(tmp_path, measured, videos=24):
    """Flow of a known response, and the truth that the renderer would write beside it."""
    flows, rng = {}, np.random.default_rng(0)
    for number in range(videos):
        actions = []
        for n, onset in enumerate(range(20, 860, 60)):
            units, side = [((1, 2), ""), ((12,), "L"), ((45,), ""), ((12,), "R")][n % 4]
            amplitude = float(rng.uniform(3, 6))
            kind, course = "blink" if 45 in units else "macro", (onset, onset + 6, onset + 14)
            actions.append(Action(kind, *course, amplitude, units, None, side))
        video = Video("s", str(number), 30.0, 900, ())
        flows[video.key] = signals.roi_flow(video, "5", 30, actions=actions, measured=measured)
        columns = {name: [getattr(a, name) for a in actions] for name in ("kind", "onset", "apex", "offset")}
        names = [a.unit_names for a in actions]
        amplitudes = [a.amplitude for a in actions]
        path = tmp_path / f"s_{number}.npz"
        np.savez(path, **columns, amplitude=amplitudes, action_units=np.array(names))
    return flows


def test_a_known_response_is_found_again(tmp_path):
    known = signals.response("5")
    flows = acting_set(tmp_path, known)
    found = signals.measure(flows, tmp_path)
    blink, smile = signals.UNITS.index(45), signals.UNITS.index(12)
    np.testing.assert_allclose(found.gains[:, smile], known.gains[:, smile], atol=0.06)
    np.testing.assert_allclose(found.gains[:, blink].sum(0), known.gains[:, blink].sum(0), atol=0.06)
    brows = [signals.UNITS.index(unit) for unit in (1, 2)]
    np.testing.assert_allclose(
        found.gains[:, brows].sum((0, 1)), known.gains[:, brows].sum((0, 1)), atol=0.06
    )
    np.testing.assert_allclose(np.sqrt(np.diag(found.noise)), np.sqrt(np.diag(known.noise)), rtol=0.15)
    np.testing.assert_allclose(np.sqrt(np.diag(found.drift)), np.sqrt(np.diag(known.drift)), rtol=0.35)
    np.testing.assert_allclose(found.spread, known.spread, rtol=0.35)


def test_a_tiny_rendered_set_agrees_with_the_stored_response(tiny_root):
    config = experiment.configure(root=tiny_root)
    flows = experiment.load_flow(config, experiment.load_data(config).videos)
    truth = tiny_root / "data" / "synthetic" / "truth"
    found, stored = signals.measure(flows, truth), signals.response("5")
    blink = signals.UNITS.index(45)
    brow = rois.channel_names("5").index("left brow y")
    assert found.gains[:, blink, brow].sum() == pytest.approx(stored.gains[:, blink, brow].sum(), rel=0.4)
    assert 0.8 < stored.gains[:, blink, brow].sum() < 1.3  # amplitude 1 is 1 px at the brow
    for name in ("noise", "drift"):
        ratio = np.sqrt(np.diag(getattr(found, name)) / np.diag(getattr(stored, name)))
        assert 0.5 < np.median(ratio) < 2


def test_measured_flow_and_signals_are_alike_on_a_tiny_rendered_set(tiny_root):
    config = experiment.configure(root=tiny_root)
    flows = experiment.load_flow(config, experiment.load_data(config).videos)
    table = signals.compare(flows, tiny_root / "data" / "synthetic" / "truth")
    assert set(table["kind"]) >= {"micro", "blink"}
    brows = table[(table["kind"] == "blink") & table["region"].str.contains("brow")]
    middle = brows.groupby("source")["length"].median()
    assert middle["signals"] == pytest.approx(middle["measured"], rel=0.4)
    figure = figures.flow_lengths(table, ["left brow", "mouth"])
    assert "blink measured" in figures.alt_text(figure)
    with pytest.raises(ValueError, match="no flow of region 'chin' in the table"):
        figures.flow_lengths(table, ["chin"])


def test_a_response_is_read_as_it_was_written_and_refused_for_other_regions(tmp_path):
    path = signals.response("18").save(tmp_path / "r.csv")
    assert signals.Response.load(path, "18").key == signals.response("18").key
    with pytest.raises(ValueError, match=r"r\.csv is no response of roi_set '5'"):
        signals.Response.load(path, "5")


def test_flow_of_two_sets_of_regions_is_not_measured_together(tmp_path):
    flows = {("s", n): signals.roi_flow(dataclasses.replace(VIDEO, name=n), n) for n in ("5", "18")}
    with pytest.raises(ValueError, match="one set of regions"):
        signals.measure(flows, tmp_path)


# --- the rehearsal of a set -------------------------------------------------------------------------------


@pytest.fixture
def owners(tmp_path):
    """A folder with look-alike workbooks and the videos' frame ranges, as the owners' tables lie."""
    folder = tmp_path / "owners"
    lookalikes.casme3(folder)
    rows = [f"{s},{v},{first},{last}" for (s, v), (first, last) in lookalikes.CASME3_FIRST_LAST.items()]
    (folder / datasets.RANGES).write_text("subject,video,first_jpg,last_jpg\n" + "\n".join(rows) + "\n")
    return folder


def test_a_rehearsal_is_written_trained_and_scored_by_the_command_line(owners, tmp_path, monkeypatch):
    root = tmp_path / "compendium"
    small = {"METST": {"dim": 8, "depth": 1, "d_state": 4}}
    preset = ("casme3-rehearsal", "paper")
    monkeypatch.setitem(
        experiment.PRESETS, preset, dataclasses.replace(experiment.PRESETS[preset], sizes=small)
    )
    call = ["data", "rehearse", "casme3", "--tables", str(owners), "--root", str(root), "--roi-set", "both"]
    result = CliRunner().invoke(cli.main, call)
    assert result.exit_code == 0, result.output
    assert result.output.count("SYNTHETIC signals of 4 videos, 28 windows") == 2
    config = experiment.configure("casme3-rehearsal", root=root)
    assert config.synthetic
    stored = experiment.load_flow(config, experiment.load_data(config).videos)
    assert {flow.window for flow in stored.values()} == {50}
    call = ["run", "casme3-rehearsal", "me-tst", "--subject", "spNO.1", "--epochs", "1", "--root", str(root)]
    result = CliRunner().invoke(cli.main, call)
    assert result.exit_code == 0, result.output
    assert "spNO.1: spotting F1" in result.output
    short = dataclasses.replace(config, epochs=1)
    assert short.edition == "casme3-rehearsal-1epochs"
    assert experiment.read_fold(short, "spNO.1").history["epoch"].tolist() == [1]


def test_flow_of_a_rehearsal_is_made_again_only_when_its_annotations_change(owners, tmp_path):
    data = tmp_path / "data"
    rehearsal.write("casme3", data, owners)
    config = experiment.configure("casme3-rehearsal", root=tmp_path)
    preparation._load.cache_clear()
    first = experiment.prepare(config, progress=False)
    paths = sorted(config.flow_folder.glob("*.npz"))
    times = [path.stat().st_mtime_ns for path in paths]
    assert experiment.prepare(config, progress=False) == first
    assert [path.stat().st_mtime_ns for path in paths] == times
    rows = [[*lookalikes.CASME3_MICRO[0][:2], "90", "95", "102", "4", "VII", "disgust"]]
    lookalikes.casme3(owners, micro=lookalikes.CASME3_MICRO[1:] + rows)
    rehearsal.write("casme3", data, owners)
    preparation._load.cache_clear()
    assert experiment.prepare(config, progress=False) != first


def test_without_ranges_the_frames_on_disk_are_counted(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    lookalikes.casme3_frames(tmp_path / "casme3", {("spNO.1", "a"): (8, 107)})
    folder = rehearsal.write("casme3", tmp_path)
    assert (folder / datasets.RANGES).read_text().splitlines()[1:] == ["spNO.1,a,8,107"]
    (video,) = datasets.load("casme3-rehearsal", tmp_path, subjects=["spNO.1"]).videos
    assert (video.n_frames, video.source) == (100, None)


def test_bad_input_of_a_rehearsal_is_named(tmp_path):
    with pytest.raises(ValueError, match="no rehearsal of 'sammlv'; known: casme3"):
        rehearsal.write("sammlv", tmp_path)
    with pytest.raises(FileNotFoundError, match="no table of CAS"):
        rehearsal.write("casme3", tmp_path, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="metst data rehearse casme3"):
        datasets.load("casme3-rehearsal", tmp_path)


def test_signals_are_saved_and_loaded_as_flow_files(tmp_path):
    made = signals.roi_flow(VIDEO, "18")
    again = RoiFlow.load(made.save(tmp_path / "v.npz"))
    np.testing.assert_array_equal(again.values, made.values)
    assert again.settings["response"] == signals.response("18").key
