"""The figure of the sweeps: a panel a sweep, a line a variant."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from metst_lib import figures
from metst_lib.study.sweeps import PERFECT, table


@pytest.fixture(scope="module")
def made():
    def line(sweep, level, variant, f1, own=False):
        bounds = {"low": f1 - 0.1, "high": f1 + 0.1, "fp_per_minute": 10 * f1}
        about = {"part": "signals", "sweep": sweep, "unit": "px", "level": level, "own": own}
        return about | {"variant": variant, "f1": f1} | bounds

    lines = [line("noise", level, "me-tst", f1, level == 1) for level, f1 in ((4, 0.2), (1, 0.6), (0, 0.7))]
    lines += [line("noise", level, "flow-magnitude", 0.3, level == 1) for level in (0, 1, 4)]
    lines += [line("errors", level, PERFECT, 1 - 0.1 * level, level == 0) for level in (0, 8)]
    return table(lines)


def test_each_sweep_has_f1_above_false_alarms(made):
    figure = figures.sweeps(made)
    upper, lower = figure.axes[0], figure.axes[2]
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["noise", "errors"]
    network = upper.lines[0]
    assert list(network.get_xdata()) == [0, 1, 2]  # levels 0, 1, 4, evenly spaced and in order
    assert list(network.get_ydata()) == [0.7, 0.6, 0.2]
    assert np.allclose(lower.lines[0].get_ydata(), [7, 6, 2])
    assert [label.get_text() for label in lower.get_xticklabels()] == ["0", "1", "4"]
    assert len(upper.collections) == 2  # a band a variant


def test_a_vertical_line_stands_at_the_own_level(made):
    figure = figures.sweeps(made)
    for ax, at in zip(figure.axes[:4], (1, 0, 1, 0), strict=True):
        assert [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == ":"][-1] == [at, at]


def test_a_variant_has_one_colour_in_all_panels_and_the_words_name_its_ends(made):
    figure = figures.sweeps(made)
    labels = {h.get_label(): to_hex(h.get_color()) for h in figure.legends[0].legend_handles}
    assert list(labels) == ["ME-TST", "flow magnitude", PERFECT, "own level"]
    assert labels["ME-TST"] == to_hex(figure.axes[0].lines[0].get_color())
    assert len(set(labels.values())) == 4 or labels["own level"] == labels["ME-TST"]
    words = figures.alt_text(figure)
    assert "noise: ME-TST 0.70 at 0 to 0.20 at 4" in words
    assert "errors: perfect spotter 1.00 at 0 to 0.20 at 8." in words


def test_a_table_without_lines_is_refused():
    with pytest.raises(ValueError, match="no sweep to draw"):
        figures.sweeps(table([]))
