"""The figure of a recording: a row for each minute, its events numbered and told."""

import itertools

import numpy as np

from metst_lib import figures


def test_a_recording_takes_a_row_for_each_minute_and_no_more_than_eight():
    for seconds, rows in ((30, 1), (60, 1), (61, 2), (170, 3), (1200, 8)):
        time = np.arange(seconds * 2 + 1) / 2
        figure = figures.recording("a recording", time, np.zeros(len(time)), 0.5, [])
        ends = [ax.get_xlim() for ax in figure.axes]
        assert len(ends) == rows
        assert ends[0][0] == 0 and ends[-1][1] >= seconds
        assert all(before[1] == after[0] for before, after in itertools.pairwise(ends))


def test_events_are_numbered_below_the_curve_and_told_in_the_text_alternative():
    time = np.arange(300) / 10
    events = [(2.0, 2.4, "negative"), (9.0, 9.5, "others")]
    figure = figures.recording("a recording", time, np.zeros(300), 0.5, events, [(20.0, 25.0)])
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["1", "2"]
    marks = [patch for patch in ax.patches if patch.get_y() < 0]
    assert [patch.get_x() for patch in marks] == [2.0, 9.0]
    alt = figures.alt_text(figure)
    assert "2 micro-expressions reported: 2.00 to 2.40 s, negative; 9.00 to 9.50 s, others." in alt
    assert alt.endswith("1 span not scored.")
