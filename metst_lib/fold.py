"""One fold, whole (Fig. 3; Sec. IV-B): split, fit, predict, find, evaluate.

From arrays and a `Recipe` alone; what keeps, resumes and repeats folds wraps this from `experiment`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from torch import nn

from metst_lib import baseline, metrics, models, rois, training
from metst_lib.events import Event, Key, Prediction
from metst_lib.spotting import Candidate, Rule
from metst_lib.windows import Flow


@dataclass(frozen=True)
class Recipe:
    """All that decides a fold beside its data: what is fitted, how, and how predictions become events.

    network: a name in `models.NETWORKS`, size its other arguments; or `baseline.NAME`, which has no training.
    roi_set: the regions whose flow it reads. stitch: how windows become one curve (`windows.stitch`).
    """

    network: str
    roi_set: str = "5"
    size: Mapping[str, Any] = field(default_factory=dict)
    training: training.TrainingSettings | None = None
    rule: Rule = field(default_factory=Rule)
    stitch: str = "mean"

    def build(self) -> nn.Module:
        """The network, freshly initialised from torch's current random state."""
        return models.build(self.network, len(rois.channel_names(self.roi_set)), **self.size)


@dataclass(frozen=True, eq=False)
class Fold:
    """What was predicted and found in the test videos, the truth, their scores; k_p stands in the rule.
    statistics (JSON-able) and history (a row an epoch): what the fit took from the data, how losses went."""

    rule: Rule
    predictions: Mapping[Key, Prediction]
    predicted: dict[Key, list[Event]]
    truth: dict[Key, list[Event]]
    scores: metrics.Scores
    statistics: dict[str, Any]
    history: pd.DataFrame

    def candidates(self, key: Key) -> list[Candidate]:
        """Every interval that the score of one video proposes, before result-level synergy."""
        return self.rule.candidates(self.predictions[key])


def fit(flows: Mapping[Key, Flow], events: Mapping, recipe: Recipe, seed: int, **options: Any) -> Any:
    """The recipe fitted on these videos; options go to `training.fit`. It can `predict(flow)`."""
    if recipe.network == baseline.NAME:
        return baseline.fit(flows, events, recipe.rule.kind)
    options |= {"kind": recipe.rule.kind, "stitch": recipe.stitch}
    options["relabel"] = getattr(models.NETWORKS[recipe.network], "relabel", None)
    return training.fit(recipe.build, flows, events, recipe.training, seed, **options)


def fold(
    flows: Mapping[Key, Flow],
    truth: Mapping[Key, Sequence[Event]],
    left_out: Collection[str],
    recipe: Recipe,
    seed: int = 0,
    fit: Callable[..., Any] = fit,
) -> Fold:
    """Fit on all subjects but those left out, and score on these. truth names every video, flows those that
    have one: without flow a video trains nothing, and in the test its events count as missed."""
    train, test = split(truth, left_out)
    known = {key: truth[key] for key in train if key in flows}
    fitted = fit({key: flows[key] for key in known}, known, recipe, seed)
    predictions = {key: fitted.predict(flows[key]) for key in test if key in flows}
    training.check_predictions(predictions, len(fitted.history))
    rule = recipe.rule.fitted(event for events in known.values() for event in events)
    found = {key: rule.find(predictions[key]) if key in predictions else [] for key in test}
    real = {key: [event for event in truth[key] if event.kind == rule.kind] for key in test}
    scores = metrics.evaluate(found, real, kind=rule.kind)
    return Fold(rule, predictions, found, real, scores, fitted.statistics, fitted.history)


def split(keys: Collection[Key], left_out: Collection[str]) -> tuple[list[Key], list[Key]]:
    """Videos that train and videos that test with these subjects left out. ValueError for an unknown one."""
    train, test = ([key for key in keys if (key[0] in left_out) == out] for out in (False, True))
    there = dict.fromkeys(subject for subject, _ in keys)
    if unknown := [subject for subject in left_out if subject not in there]:
        raise ValueError(f"unknown subject {unknown[0]!r}; known: {', '.join(there)}")
    if not train:
        raise ValueError(f"no subject but {', '.join(left_out)} to train on")
    return train, test
