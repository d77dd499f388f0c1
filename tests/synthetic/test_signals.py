"""Flow made of signals: windows like those of `flow`, actions like those of the annotations."""

import dataclasses

import numpy as np
import pytest

from metst_lib import experiment, figures, rois
from metst_lib.events import Event, Video
from metst_lib.synthetic import response, signals

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
    return response.Response(roi_set, response.response(roi_set).gains, np.zeros(channels), nothing, nothing)


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
    units = [response.UNITS.index(unit) for unit in action.action_units]
    left, right = response.response("5").gains[:, units].sum(axis=1)
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


# --- beside the rendered set ------------------------------------------------------------------------------


def test_measured_flow_and_signals_are_alike_on_a_tiny_rendered_set(tiny_root):
    config = experiment.configure(root=tiny_root)
    flows = experiment.load_flow(config, experiment.load_data(config).videos)
    table = signals.compare(flows, tiny_root / "data" / "synthetic" / "truth")
    assert set(table["kind"]) >= {"micro", "blink"}
    brows = table[(table["kind"] == "blink") & table["region"].str.contains("brow")]
    middle = brows.groupby("source")["length"].median()
    assert middle["signals"] == pytest.approx(middle["measured"], rel=0.4)
    figure = figures.flow_lengths(table)
    assert "blink measured" in figures.alt_text(figure)
