"""The figure of pixels beside signals."""

import pytest
from pictures import BESIDE

from metst_lib import figures


def test_a_region_lies_under_the_line_where_pixels_read_less_than_signals():
    figure = figures.pixels_beside_signals(BESIDE)
    rest, moved, found = figure.axes
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in rest.lines[:2]] == [(0.5, 0.4)] * 2
    assert [line.get_label() for line in moved.lines[:-1]] == ["micro-expressions"]
    assert [line.get_xdata()[0] for line in found.lines] == [0.4, 0.5]
    assert "micro-expressions 0.40 px and 0.50 px" in figures.alt_text(figure)


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="the table is empty"):
        figures.pixels_beside_signals(BESIDE[:0])
