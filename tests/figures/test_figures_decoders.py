"""Decoders side by side: what decides, what is open, what is not there."""

import pandas as pd
from pictures import DIFFERENCES

from metst_lib import figures


def points(ax):
    """(difference, face colour) of the marks in a panel."""
    marks = [line for line in ax.lines if line.get_marker() not in ("None", "|")]
    return [(float(line.get_xdata()[0]), line.get_markerfacecolor()) for line in marks]


def test_a_panel_each_and_what_holds_zero_is_hollow():
    study, real = figures.decoder_differences(DIFFERENCES).axes
    assert study.get_title(loc="left") == "synthetic study" and points(study) == [(0.02, "#222222")]
    assert points(real) == [(0.01, "white"), (-0.04, "#0072B2")]
    ticks = [line for line in study.lines if line.get_marker() == "|"]
    assert len(ticks) == 4  # more rows than marks: each without its interval
    assert [label.get_text() for label in study.get_yticklabels()] == ["rule"]


def test_the_text_alternative_tells_every_difference():
    said = figures.alt_text(figures.decoder_differences(DIFFERENCES))
    assert "synthetic study, all rows, rule +0.020 (+0.010 to +0.030)" in said
    assert "real curves, macro, rule -0.040 (-0.070 to -0.010)" in said and "paper +" not in said


def test_a_source_without_numbers_says_so():
    study, real = figures.decoder_differences(DIFFERENCES[DIFFERENCES["source"] == "real"]).axes
    assert [text.get_text() for text in study.texts] == ["no numbers yet"] and not real.texts
    empty = figures.decoder_differences(pd.DataFrame(DIFFERENCES[:0]))
    assert "nothing yet" in figures.alt_text(empty)
