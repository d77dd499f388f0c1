"""Figures of learning: losses and learning rate, and intervals with their hits and misses."""

import pandas as pd
from pictures import FPS, MES, PREDICTED

from metst_lib import figures
from metst_lib.events import Event


def test_training_curves_draw_every_loss_and_the_learning_rate():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "spotting": [3.0, 1.5], "lr": [0.1, 0.2]})
    losses, rate = figures.training_curves(history).axes
    assert [list(line.get_ydata()) for line in losses.lines] == [[1, 0.5], [3, 1.5]]
    assert [list(line.get_ydata()) for line in rate.lines] == [[0.1, 0.2]]


def test_without_an_epoch_the_training_curves_say_so():
    for history in ({}, {"epoch": [], "loss": [], "lr": []}):
        figure = figures.training_curves(pd.DataFrame(history))
        assert [text.get_text() for text in figure.axes[0].texts] == ["not trained by epochs"]
        assert "nothing here was trained" in figures.alt_text(figure)


def test_five_intervals_keep_the_labels_of_two_pairs_of_one_truth_apart():
    guess = [Event(46, 56, emotion="surprise"), Event(53, 63, emotion="negative")]
    figure = figures.five_intervals(
        guess, [Event(10, 19), Event(50, 61)], [(0, 1, 7 / 16), (1, 1, 9 / 14)], FPS
    )
    figure.canvas.draw()
    a, b = (t.get_window_extent() for t in figure.axes[0].texts if t.get_text().startswith("IoU"))
    assert not a.overlaps(b)


def test_five_intervals_name_each_hit_and_miss():
    figure = figures.five_intervals(PREDICTED, MES, [(0, 0, 11 / 13), (1, 1, 0.1)], FPS)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["IoU 0.85", "IoU 0.10", "TP", "FN", "FN", "TP", "FP"]
    assert "TP 1, FP 1, FN 2" in figures.alt_text(figure)
