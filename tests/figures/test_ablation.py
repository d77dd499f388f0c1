"""Figures of the ablations: intervals against a reference, and F1 over the settings."""

import numpy as np
import pytest

from metst_lib import figures


def test_forest_draws_intervals_and_leaves_those_that_hold_zero_hollow():
    rows = {"a less b": (0.08, 0.02, 0.14), "a less c": (0.01, -0.03, 0.05)}
    ax = figures.forest(rows, "difference in F1 (−1 to 1)", reference=0).axes[0]
    intervals = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]
    assert [list(line.get_xdata()) for line in intervals[:2]] == [[0.02, 0.14], [-0.03, 0.05]]
    values = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() for line in values] == ["#222222", "white"]


def test_sensitivity_frames_the_settings_in_use_and_names_the_best():
    f1 = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.0]])
    figure = figures.sensitivity(f1, [0.5, 0.55, 0.6], [6, 7], used=(0.55, 7))
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == (0.5, 0.5)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert " ".join(words) == "0.10 0.20 0.30 0.40 0.50 0.00"
    assert "highest at p = 0.6, k_p = 6 frames" in figures.alt_text(figure)
    with pytest.raises(ValueError, match=r"\(3, 2\) for 2 thresholds"):
        figures.sensitivity(f1, [0.5, 0.55], [6, 7])
