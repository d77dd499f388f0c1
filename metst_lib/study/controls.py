"""What a fold finds where nothing, or everything, is there to be found: controls beside the study's rows.

Each has a fold's purpose: a replicate, the subjects left out, a recipe and a seed give a `fold.Fold`, and all
but one thing is as in `fold.fold`. None but "leaked" sees the test subjects' labels, and "perfect" is made
of them. "Blind tiling" and "chance" see no flow; their intervals are as long as any (peak ± k_p) and enter
the counts alone: their curves hold no ranking.

Glossary: T frames of a video; k_p half the mean length of an ME in training, in frames.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from metst_lib import fold, windows
from metst_lib.events import CLASSES, EMOTIONS, Event, Key, Prediction, clip
from metst_lib.fold import Fold, Recipe
from metst_lib.metrics.chance import moved, shifts
from metst_lib.spotting import Candidate, Rule
from metst_lib.synthetic.replicates import Replicate
from metst_lib.training import HISTORY

Flows, Events = Mapping[Key, Any], Mapping[Key, Sequence[Event]]
#: What each control tells.
SAYS = {
    "shuffled": "training labels of each video moved by one random time: what is found without any lesson",
    "erased": "tested on the same videos without their MEs: what is still found is none",
    "perfect": "the labels themselves as scores: the ceiling of the decoder, of spotting and of emotions",
    "leaked": "the test subjects' own videos are in training too: what a leak is worth",
    "tiling": "intervals everywhere, side by side, all of the commonest class in training",
    "chance": "as many intervals a minute as training has MEs, at random times, its classes as often",
}


def shuffled(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """Fitted on labels that one random time has moved within each training video; the test as it is."""

    def fit(flows: Flows, events: Events, *rest: Any) -> Any:
        lengths = {key: flow.n_frames for key, flow in flows.items()}
        by = shifts(events, lengths, 1, seed)
        elsewhere = {key: _moved(events[key], by[key], lengths[key], key) for key in events}
        return fold.fit(flows, elsewhere, *rest)

    return fold.fold(replicate.flow(recipe.roi_set), replicate.truth, group, recipe, seed, fit)


def erased(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """Fitted as ever, tested on signals of the same scripts without their micro-expressions."""
    without = replicate.flow(recipe.roi_set, without=("micro",))
    flows = {
        key: without[key] if key[0] in group else flow for key, flow in replicate.flow(recipe.roi_set).items()
    }
    return fold.fold(flows, replicate.truth, group, recipe, seed)


def perfect(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """The training targets of the test videos (`windows.targets`) in place of a network's curves."""
    curves = {}
    for video in replicate.videos:
        score, emotion = windows.targets(replicate.truth[video.key], video.n_frames, recipe.rule.kind)
        curves[video.key] = Prediction(score, np.eye(len(CLASSES), dtype=np.float32)[emotion])
    return fold.fold(curves, replicate.truth, group, recipe, seed, lambda *_: _Blind(lambda curve: curve))


def leaked(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """Fitted on all videos, those of the test among them; k_p is that of the others."""
    flows, truth = replicate.flow(recipe.roi_set), replicate.truth
    return fold.fold(flows, truth, group, recipe, seed, lambda *_: fold.fit(flows, truth, recipe, seed))


def tiling(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """Intervals of 2 k_p + 1 frames side by side from frame 0 on, all of training's commonest class.

    At the end fewer than k_p + 1 frames may be left over.
    """

    def fit(flows: Flows, events: Events, recipe: Recipe, seed: int) -> Any:
        k_p = recipe.rule.fitted(_all(events)).half_width
        common = int(_shares(events, recipe).argmax())
        return _Blind(lambda video: _marks(np.arange(k_p, video.n_frames, 2 * k_p + 1), common, video))

    return _blind(replicate, group, recipe, seed, fit)


def chance(replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int) -> Fold:
    """Intervals peak ± k_p at uniformly random times, as many a minute as training has MEs (Poisson)."""
    rng = np.random.default_rng([seed, replicate.number, *",".join(sorted(group)).encode()])

    def fit(flows: Flows, events: Events, recipe: Recipe, seed: int) -> Any:
        number = sum(event.kind == recipe.rule.kind for event in _all(events))
        rate, shares = number / sum(video.n_frames for video in flows.values()), _shares(events, recipe)

        def draw(video: Any) -> Prediction:
            peaks = rng.integers(video.n_frames, size=rng.poisson(rate * video.n_frames))
            return _marks(peaks, rng.choice(len(shares), size=len(peaks), p=shares), video)

        return _Blind(draw)

    return _blind(replicate, group, recipe, seed, fit)


#: Controls by name.
CONTROLS: dict[str, Callable[[Replicate, Collection[str], Recipe, int], Fold]] = {
    "shuffled": shuffled,
    "erased": erased,
    "perfect": perfect,
    "leaked": leaked,
    "tiling": tiling,
    "chance": chance,
}


@dataclass(frozen=True)
class _Blind:
    """What was fitted without training."""

    predict: Callable[[Any], Prediction]
    statistics: dict[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> pd.DataFrame:
        return pd.DataFrame(columns=HISTORY)


class _Marks(Rule):
    """Every frame whose score is not 0 is the middle of an interval ± k_p; its logits name the class."""

    def candidates(self, prediction: Prediction) -> list[Candidate]:
        found = []
        for middle in np.flatnonzero(prediction.score).tolist():
            ends = clip(middle - self.half_width, middle + self.half_width, len(prediction.score))
            name = EMOTIONS[prediction.logits[middle].argmax()]
            found.append(Candidate(middle, *ends, 1.0, name, name))
        return found


def _blind(
    replicate: Replicate, group: Collection[str], recipe: Recipe, seed: int, fit: Callable[..., Any]
) -> Fold:
    rule = _Marks(recipe.rule.kind, recipe.rule.half_width, width=recipe.rule.width)
    videos = {video.key: video for video in replicate.videos}
    return fold.fold(videos, replicate.truth, group, replace(recipe, rule=rule), seed, fit)


def _marks(middles: np.ndarray, classes: Any, video: Any) -> Prediction:
    """A score (T,) of 1 at each middle, and there the class's logit 1."""
    score = np.zeros(video.n_frames, np.float32)
    logits = np.zeros((video.n_frames, len(CLASSES)), np.float32)
    score[middles], logits[middles, classes] = 1, 1
    return Prediction(score, logits)


def _moved(events: Sequence[Event], by: np.ndarray, n_frames: int, key: Key) -> list[Event]:
    onsets = moved(events, by, n_frames, key)[0].tolist()
    return [
        replace(event, onset=onset, offset=onset + event.length - 1, apex=_after(event, onset))
        for event, onset in zip(events, onsets, strict=True)
    ]


def _after(event: Event, onset: int) -> int | None:
    return None if event.apex is None else event.apex + onset - event.onset


def _all(events: Events) -> list[Event]:
    return [event for of_video in events.values() for event in of_video]


def _shares(events: Events, recipe: Recipe) -> np.ndarray:
    """How often training has each of `EMOTIONS`, (4,), summing to 1; alike where the kind has none."""
    classes = [EMOTIONS.index(e.emotion) for e in _all(events) if e.kind == recipe.rule.kind and e.emotion]
    counts = np.bincount(classes, minlength=len(EMOTIONS)) if classes else np.ones(len(EMOTIONS))
    return counts / counts.sum()
