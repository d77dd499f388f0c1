"""A finished run of two videos, made by hand."""

import numpy as np
import pandas as pd

from metst_lib import experiment, metrics
from metst_lib.events import CLASSES, Event, Prediction, Video
from metst_lib.fold import Fold
from metst_lib.spotting import Rule

KEY, OTHER = ("s1", "a"), ("s2", "a")


def hump(at: int, height: float, length: int = 120) -> np.ndarray:
    """A score that rises to `height` at one frame and falls again, ten frames to either side."""
    return height * np.clip(1 - abs(np.arange(length) - at) / 10, 0, None)


def logits(*named: tuple[int, str], length: int = 120) -> np.ndarray:
    """Neutral everywhere, but ten frames to either side of each frame that is named, its class."""
    values = np.zeros((length, len(CLASSES)))
    values[:, CLASSES.index("neutral")] = 1
    for at, name in named:
        values[max(at - 10, 0) : at + 11] = np.eye(len(CLASSES))[CLASSES.index(name)]
    return values


def fold(key, truth, score, classes, half_width=6) -> Fold:
    """A finished fold of one video."""
    rule, prediction = Rule(half_width=half_width), Prediction(score, classes)
    predicted = {key: rule.find(prediction)}
    scores = metrics.evaluate(predicted, {key: truth})
    return Fold(rule, {key: prediction}, predicted, {key: truth}, scores, {}, pd.DataFrame())


def run() -> experiment.Run:
    """Two folds. In the first, peaks at 30 (surprise, true), 60 (neutral) and 90 (negative, low, true)."""
    truth = [Event(25, 35, 30, "surprise"), Event(85, 95, 90, "negative")]
    score = hump(30, 1) + hump(60, 0.9) + hump(90, 0.4)
    first = fold(KEY, truth, score, logits((30, "surprise"), (90, "negative")))
    second = fold(OTHER, [Event(20, 30, 25, "positive")], hump(80, 1), logits((80, "others")), half_width=4)
    return experiment.Run(experiment.configure(variant="me-tst"), {"s1": first, "s2": second}, [], [])


def videos(run: experiment.Run) -> list[Video]:
    """The two videos, with a blink in the first; no frames."""
    blink = Event(50, 54, kind="blink")
    return [
        Video(*KEY, 30.0, 120, (*run.truth[KEY], blink)),
        Video(*OTHER, 30.0, 120, tuple(run.truth[OTHER])),
    ]
