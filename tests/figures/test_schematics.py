"""The schematic figures hold the numbers they were given."""

import numpy as np
from matplotlib.patches import Rectangle
from pictures import FPS, MES

from metst_lib import figures
from metst_lib.experiment.analysis import Synergy


def test_state_transition_shows_the_norm_of_the_state_at_named_frames():
    state = np.zeros((40, 2))
    state[15] = 3, 4  # frame 35, the apex
    figure = figures.state_transition(np.zeros(40), state, MES[0], FPS, start=20)
    chain, x, norm = figure.axes
    assert norm.lines[0].get_ydata().max() == 5
    words = [text.get_text() for text in chain.texts if text.get_text()]
    apex = words.index("apex")
    assert words[apex - 3 : apex + 1] == ["5.00", "x(1.17 s)", "y", "apex"]
    assert words.count("non-ME") == 2
    assert len(x.patches) == 1  # the event, shaded


def test_window_answers_are_drawn_as_wide_as_the_window(output):
    answers = np.array([0.2, 0.9])
    figure = figures.window_against_video(answers, np.array([0, 15]), 30, output[0], MES, FPS)
    above = figure.axes[1]
    boxes = [patch for patch in above.patches if patch.get_width() == 1.0]  # 30 frames at 30 fps
    assert [(box.get_x(), box.get_height()) for box in boxes] == [(0, 0.2), (0.5, 0.9)]
    assert [bool(box.get_hatch()) for box in boxes] == [False, True]
    assert "2 windows of 30 frames, of which 1 say" in figures.alt_text(figure)


def test_result_synergy_bars_are_as_long_as_the_counts():
    figure = figures.result_synergy({"ME-TST": Synergy(45, 22, 1, 14)})
    ax = figure.axes[0]
    heights = [patch.get_height() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert heights == [46, 36, 45, 22, 1, 14]
    words = [text.get_text() for text in ax.texts]
    assert {"82 candidates", "45 TP", "22 FP", "1 TP lost", "14 FP avoided"} < set(words)
    assert ax.get_title(loc="left") == "ME-TST: precision 0.56 → 0.67"  # 46 / 82 and 45 / 67
