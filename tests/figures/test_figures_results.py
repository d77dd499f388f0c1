"""Figures of results show the scores, classes, intervals and counts that they were given."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from pictures import CANDIDATES, FLOW, FPS, FRAMES, PREDICTED, VIDEO, bars

from metst_lib import figures


def test_score_to_events_draws_the_smoothed_score_its_threshold_and_what_is_dropped():
    score = np.zeros(60)
    score[30:34] = 1
    figure = figures.score_to_events(score, CANDIDATES[:1], 2, FPS)
    raw, smoothed, mean, level, peaks = (line.get_ydata() for line in figure.axes[0].lines)
    assert raw.max() == smoothed.max() == 1 and np.sum(smoothed > 0) == 7  # 4 ones seen through 4 frames
    assert mean[0] == pytest.approx(4 / 60)
    assert level[0] == pytest.approx(4 / 60 + 0.55 * 56 / 60)
    assert peaks.tolist() == [0.9]
    figure = figures.score_to_events(score, CANDIDATES, 2, FPS)
    kept, dropped = (patch.get_facecolor() for patch in figure.axes[1].patches)
    assert kept[:3] == to_rgb(figures.PALETTE["negative"]) and dropped[:3] == to_rgb("white")
    assert "2 peaks above it, of which 1 dropped" in figures.alt_text(figure)


def test_confusion_shows_counts_and_shares_of_the_true_class():
    counts = np.array([[3, 1, 0], [0, 0, 0]])
    ax = figures.confusion({"x": (counts, ["negative", "positive", "others"])}).axes[0]
    assert [t.get_text() for t in ax.texts] == ["3\n75%", "1\n25%", "0\n0%", "–", "–", "–"]
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert np.allclose(shown, [[0.75, 0.25, 0], [np.nan] * 3], equal_nan=True)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["negative\n(n = 4)", "positive\n(n = 0)"]


def test_one_video_draws_score_probabilities_and_threshold(output):
    score, probabilities = output
    figure = figures.one_video(VIDEO, score, probabilities, PREDICTED, threshold=0.5)
    above, classes, lanes = figure.axes
    assert np.array_equal(above.lines[0].get_ydata(), score)
    assert list(above.lines[1].get_ydata()) == [0.5, 0.5]
    assert [line.get_color() for line in classes.lines] == list(figures.PALETTE.values())
    assert np.array_equal(np.array([line.get_ydata() for line in classes.lines]).T, probabilities)
    assert [t.get_text() for t in lanes.get_yticklabels()] == ["true", "predicted", "distractors"]
    assert [row for _, _, row in bars(lanes)] == [0] * 3 + [1] * 2 + [2] * 3


def test_a_prediction_that_meets_no_truth_is_hollow(output):
    lanes = figures.one_video(VIDEO, *output, PREDICTED).axes[-1]
    hit, miss = lanes.patches[3:5]
    assert hit.get_facecolor()[:3] == to_rgb(figures.PALETTE["negative"])
    assert miss.get_facecolor()[:3] == (1, 1, 1)
    assert miss.get_edgecolor()[:3] == to_rgb(figures.PALETTE["positive"])


def test_scores_of_another_length_than_the_video_are_refused(output):
    score, probabilities = output
    with pytest.raises(ValueError, match=r"spNO.1 a has 150 frames, but the score has 149"):
        figures.one_video(VIDEO, score[:-1], probabilities, [])


def test_a_frame_without_a_face_leaves_its_picture_empty(output):
    lost = np.full((FRAMES, 68, 2), np.nan)
    figure = figures.one_video(VIDEO, *output, PREDICTED, landmarks=lost)
    figure.canvas.draw()
    assert len(figure.axes) == 3 + 3
    assert [len(ax.lines) for ax in figure.axes if not len(ax.get_yticks())] == [0, 0, 0]


def test_two_variants_stand_one_above_the_other(output):
    score, probabilities = output
    outputs = [
        figures.Output("ME-TST", score, probabilities, PREDICTED),
        figures.Output("ME-TST+", 1 - score, probabilities, PREDICTED[:1]),
    ]
    axes = figures.two_variants(VIDEO, outputs).axes
    assert np.array_equal(axes[0].lines[0].get_ydata(), score)
    assert np.array_equal(axes[2].lines[0].get_ydata(), 1 - score)
    assert [ax.get_title(loc="left") for ax in (axes[0], axes[2])] == ["ME-TST", "ME-TST+"]
    lanes = [t.get_text() for t in axes[4].get_yticklabels()]
    assert lanes == ["true", "ME-TST", "ME-TST+", "distractors"]
    assert [row for _, _, row in bars(axes[4])].count(2) == 1


def test_key_regions_show_flow_on_the_time_axis_of_the_scores(drawn):
    axes = np.array(drawn["key_regions"].axes[:8]).reshape(4, 2)
    assert np.array_equal(axes[2, 0].lines[0].get_ydata(), FLOW[0])
    assert np.array_equal(axes[3, 1].lines[1].get_ydata(), FLOW[3])
    assert np.array_equal(axes[0, 0].lines[0].get_xdata(), axes[3, 0].lines[0].get_xdata())
    assert [axes[0, column].get_title(loc="left") for column in (0, 1)] == ["a  a", "b  b"]
