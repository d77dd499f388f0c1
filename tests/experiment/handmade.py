"""Runs made by hand: three subjects with two micro-expressions each, of which some are found."""

import pandas as pd

from metst_lib import experiment, metrics
from metst_lib.events import Event, Key
from metst_lib.fold import Fold
from metst_lib.spotting import Rule

ALL, HALF = {"s1": 2, "s2": 2, "s3": 2}, {"s1": 1, "s2": 1, "s3": 1}
"""Subject → how many of its two micro-expressions are hit."""


def run(variant, found, seed=0, missing=(), stale=(), dataset="synthetic", video="a"):
    """A run of three subjects with one negative and one surprise ME each; found: how many of each are hit."""
    config = experiment.configure(dataset, variant, seed)
    folds = {}
    for subject, hits in found.items():
        key: Key = (subject, video)
        truth = [Event(20, 30, emotion="negative"), Event(60, 70, emotion="surprise")]
        predicted = [*truth[:hits], Event(200, 210, emotion="negative")]
        scores = metrics.evaluate({key: predicted}, {key: truth})
        rule = Rule(half_width=5)
        folds[subject] = Fold(rule, {}, {key: predicted}, {key: truth}, scores, {}, pd.DataFrame())
    return experiment.Run(config, folds, list(missing), list(stale))
