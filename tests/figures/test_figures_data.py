"""Figures of a data set show its events, in seconds and on their rows."""

import numpy as np
import pandas as pd
import pytest
from pictures import BARE, FACE, FPS, FRAMES, MES, SETS, VIDEO, bars

from metst_lib import figures
from metst_lib.datasets import statistics
from metst_lib.events import Event, Video


def test_durations_are_drawn_in_seconds_with_both_ends_counted():
    figure = figures.durations([Event(10, 24, None, "negative"), Event(50, 53, None, "negative")], FPS)
    points = figure.axes[0].collections[0].get_offsets()
    assert sorted(points[:, 0]) == pytest.approx([4 / 30, 15 / 30])
    assert "negative: n = 2, median 0.32 s" in figures.alt_text(figure)


def test_durations_read_a_table_and_go_logarithmic_for_very_long_labels():
    table = pd.DataFrame({"onset": [0, 5], "offset": [3455, 14], "emotion": ["negative", "others"]})
    figure = figures.durations(table, FPS)
    assert figure.axes[0].get_xscale() == "log"
    assert figures.durations(MES, FPS).axes[0].get_xscale() == "linear"


def test_class_counts_draws_one_bar_per_class_with_its_height():
    ax = figures.class_counts(MES).axes[0]
    assert [patch.get_width() for patch in ax.patches] == [1, 0, 1, 1]
    assert [text.get_text() for text in ax.texts] == ["1 (33%)", "0 (0%)", "1 (33%)", "1 (33%)"]


def test_timeline_places_every_event_on_its_videos_row():
    ax = figures.timeline([BARE, VIDEO]).axes[0]
    assert len(bars(ax)) == 6
    assert {row for _, _, row in bars(ax)} == {1}
    assert (30 / 30, 12 / 30, 1) in [pytest.approx(b) for b in bars(ax)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["spNO.2 b", "spNO.1 a"]


def test_timeline_says_how_many_videos_it_leaves_out():
    figure = figures.timeline([VIDEO] * 5, most=2)
    assert len(figure.axes[0].get_yticks()) == 2
    assert "3 further videos not shown" in figures.alt_text(figure)


def test_blink_rates_are_per_minute_and_leave_out_subjects_without_labelled_blinks():
    ax = figures.blink_rates([VIDEO, BARE]).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["spNO.1"]
    assert list(ax.collections[0].get_offsets()[:, 0]) == [24]  # 2 blinks in 5 s


def test_event_strip_says_what_it_needs():
    with pytest.raises(ValueError, match="needs landmarks where faces are not shown"):
        figures.event_strip(MES[0], FPS, frames=FACE)


def test_event_strip_shows_onset_apex_and_offset():
    points = np.zeros((FRAMES, 68, 2)) + np.random.default_rng(0).uniform(0, 300, (68, 2))
    titles = [
        ax.get_title(loc="center") for ax in figures.event_strip(MES[0], FPS, landmarks=points).axes[:6]
    ]
    assert titles[0] == "onset\n0.00 s" and titles[-1] == "offset\n0.37 s"
    assert "apex\n0.17 s" in titles


def test_event_strip_enlarges_the_movement_since_the_onset(landmarks):
    moved = np.repeat(landmarks[None], FRAMES, 0).astype(float)
    moved[41] += (0, 2)
    last = figures.event_strip(MES[0], FPS, landmarks=moved, gain=10).axes[-1]
    tracks = [line.get_ydata() for line in last.lines if len(line.get_ydata()) == 2][-68:]
    assert {float(y[1] - y[0]) for y in tracks} == {20.0}


def test_set_statistics_draws_a_row_a_set_and_a_mark_a_replicate():
    figure = figures.set_statistics(SETS)
    rate, lasts = figure.axes[0], figure.axes[4]
    assert [label.get_text() for label in rate.get_yticklabels()] == ["CAS(ME)³", "SAMM-LV", "study"]
    assert [list(line.get_xdata()) for line in rate.lines] == [[36], [240], [36, 18]]  # 3 in 5, 0.75, 10 s
    assert [list(line.get_ydata()) for line in rate.lines] == [[0], [1], [1.7, 2.3]]
    assert [line.get_markerfacecolor() == "white" for line in rate.lines] == [False, False, True]
    assert [line.get_xdata()[0] for line in lasts.lines] == pytest.approx([12 / 30, 12 / 200, 12 / 30])
    (first, *_) = [bar.get_segments()[0][:, 0] for bar in lasts.collections]
    assert list(first) == pytest.approx([10.2 / 30, 14.7 / 30])  # 5 % and 95 % of 10, 12 and 15 frames
    assert "SAMM-LV: 240.00 MEs a minute, median 0.06 s" in figures.alt_text(figure)


def test_set_statistics_leaves_empty_what_no_set_labels():
    found = statistics.statistics([Video("s", "a", 30, 300, (Event(3, 9),))]).reset_index().assign(set="x")
    axes = figures.set_statistics(found).axes
    drawn = [bool(np.isfinite(ax.lines[0].get_xdata()).all()) for ax in axes]
    assert drawn == [True, True, False, False, True, False, False, True]
