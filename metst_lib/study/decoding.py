"""Ways to turn score curves into events, and which of their settings are best on other people's curves.

A `Setting` is one rule whole: the paper's threshold or another, over peaks of the smoothed curve. A `Decoder`
is one setting, or several of which each group of subjects gets the one that is best (spotting F1) on the
others' curves; so do k_p and a cut that is left open. Networks that scored the others had seen the group in
training: what they scored, not how it is read.

Glossary: k_p half width of intervals in frames; p height of the threshold between a curve's mean (0) and its
maximum (1); t height above the median in median absolute deviations (MAD).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from metst_lib import metrics, spotting
from metst_lib.events import Event, Key, Prediction
from metst_lib.evidence.scoring import HEIGHTS
from metst_lib.metrics import Counts, Scores
from metst_lib.spotting import FLAT, Candidate, P, Rule

#: What a proposal is ranked by: its height relative to its video's mean and maximum, as it is, or in MADs
#: above its video's median.
RANKS = ("relative", "height", "mad")
#: Width of soft suppression: an interval loses the share 1 − exp(−IoU² / σ) to each higher one it overlaps.
SIGMA = 0.5


@dataclass(frozen=True)
class Setting:
    """One way to read a curve. by: one of `RANKS`; cut: the least that a proposal must have there, None for
    the one that is best on the other groups. prominence, growth, edges: as in `spotting.Rule`. width: k_p
    times that. soft: ranks fall where intervals overlap (`suppressed`)."""

    cut: float | None = P
    by: str = "relative"
    prominence: float = 0.0
    growth: str = "none"
    edges: str = "padded"
    width: float = 1.0
    soft: bool = False

    def rule(self, base: Rule) -> Rule:
        """The base, whose k_p is known, with what this setting says; p lets every local peak through."""
        k_p = max(1, round(base.half_width * self.width))
        own = {"prominence": self.prominence, "growth": self.growth, "edges": self.edges}
        return replace(base, half_width=k_p, p=-np.inf, **own)

    def ranked(self, seen: Prediction, base: Rule) -> list[tuple[Candidate, float]]:
        """Every interval that a curve proposes, and its rank."""
        rule = self.rule(base)
        found = rule.candidates(seen)
        if not found or self.by == "height":
            return [(one, one.height) for one in found]
        score, k_p = np.asarray(seen.score, np.float64), rule.half_width
        curve = spotting.smooth(score, k_p)[spotting.inside(len(score), k_p, self.edges)]
        low, unit = _scale(curve, self.by)
        ranks = [(one.height - low) / unit for one in found]
        return list(zip(found, suppressed(found, ranks) if self.soft else ranks, strict=True))

    def find(self, seen: Prediction, base: Rule) -> list[Event]:
        """The events of a curve."""
        rule = self.rule(base)
        if self.by == "relative" and not self.soft:
            return replace(rule, p=self.cut).find(seen)  # what `ranked` gives, but for grown intervals
        return rule.events(one for one, rank in self.ranked(seen, base) if rank >= self.cut)


def _scale(curve: np.ndarray, by: str) -> tuple[float, float]:
    """What counts as 0 and as 1; a curve that hardly moves about its median has no finer unit than `FLAT`."""
    if by == "mad":
        middle = np.median(curve)
        return float(middle), float(max(np.median(np.abs(curve - middle)), FLAT * np.abs(curve).max()))
    low = spotting.threshold(curve, 0)
    return low, spotting.threshold(curve, 1) - low


def suppressed(found: Sequence[Candidate], ranks: Sequence[float]) -> list[float]:
    """Ranks after Gaussian soft non-maximum suppression, which takes the highest of those left in turn.

    Only positive ranks fall: one below 0 is under the mean anyway. Source: Bodla et al., Soft-NMS (2017).
    """
    onset, end = np.array([(one.onset, one.offset + 1) for one in found]).T
    ranks, left = np.array(ranks, dtype=float), np.ones(len(found), bool)
    while left.any():
        top = int(np.where(left, ranks, -np.inf).argmax())
        left[top] = False
        shared = np.clip(np.minimum(end, end[top]) - np.maximum(onset, onset[top]), 0, None)
        iou = shared / (end - onset + end[top] - onset[top] - shared)
        ranks[left & (ranks > 0)] *= np.exp(-(iou**2) / SIGMA)[left & (ranks > 0)]
    return ranks.tolist()


@dataclass(frozen=True)
class Decoder:
    """Settings of which each group gets the best on the others; averaged: of the seeds' mean curve."""

    settings: tuple[Setting, ...] = (Setting(),)
    averaged: bool = False


_PROMINENCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_WIDTHS = (1.0, 0.75, 1.25, 1.5)
PAPER, PROMINENT = "mean + .55 (max − mean)", Setting(prominence=0.5)
#: The decoders that are compared, the paper's first.
DECODERS = {
    PAPER: Decoder(),
    "prominence .5": Decoder((PROMINENT,)),
    "prominence chosen": Decoder(tuple(Setting(prominence=share) for share in _PROMINENCES)),
    "p chosen": Decoder(tuple(Setting(p) for p in sorted(HEIGHTS, key=lambda p: abs(p - P)))),
    "k_p chosen": Decoder(tuple(Setting(width=width) for width in _WIDTHS)),
    "p, prominence and k_p chosen": Decoder(
        tuple(
            Setting(p, prominence=share, width=width)
            for p, share, width in itertools.product((0.55, 0.45, 0.65, 0.75), (0.0, 0.25, 0.5), _WIDTHS[:3])
        )
    ),
    "one height for all videos": Decoder((Setting(None, "height"),)),
    "median + t MAD": Decoder((Setting(None, "mad"),)),
    "whole windows only": Decoder((Setting(edges="whole"),)),
    "soft suppression": Decoder((Setting(soft=True),)),
    "grown along the curve": Decoder((Setting(growth="curve"),)),
    "mean of the seeds": Decoder(averaged=True),
    "mean of the seeds, prominence .5": Decoder((PROMINENT,), averaged=True),
}


@dataclass(frozen=True, eq=False)
class Curves:
    """Score curves of one data set, each of a network that had not seen its subject.

    source: "study" or "real". rule: how the row reads its curves, k_p not yet taken where it comes from the
    other groups. seeds: the predictions of each training. truth: of every video, events of the rule's kind.
    groups: subject → what is left out with it. minutes: length of the videos. difficulty: the study's key.
    """

    name: str
    source: str
    rule: Rule
    seeds: tuple[Mapping[Key, Prediction], ...]
    truth: Mapping[Key, Sequence[Event]]
    groups: Mapping[str, str]
    minutes: float
    difficulty: str = ""

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """The curves of each seed."""
        return tuple(Reading(self, seen) for seen in self.seeds)

    @cached_property
    def average(self) -> Reading:
        """The mean curve of the seeds."""
        return Reading(self, {key: mean(seen[key] for seen in self.seeds) for key in self.seeds[0]})


def mean(seeds: Iterable[Prediction]) -> Prediction:
    """The mean of several predictions of one video, scores and logits."""
    score, logits = zip(*((np.asarray(s.score, np.float64), s.logits) for s in seeds), strict=True)
    return Prediction(np.mean(score, axis=0), np.mean(np.asarray(logits, np.float64), axis=0))


@dataclass(frozen=True, eq=False)
class Reading:
    """One set of curves under many settings; what a setting gives is kept."""

    curves: Curves
    seen: Mapping[Key, Prediction]
    _kept: dict = field(default_factory=dict, repr=False)

    def scores(self, base: Rule, setting: Setting) -> Scores:
        """Every video by one setting, strictly scored."""
        if (base, setting) not in self._kept:
            found = {key: setting.find(seen, base) for key, seen in self.seen.items()}
            self._kept[base, setting] = metrics.evaluate(found, self.curves.truth, kind=base.kind)
        return self._kept[base, setting]

    def chosen(self, decoder: Decoder) -> dict[str, tuple[Rule, Setting]]:
        """For each group the rule with k_p, and the setting, that the other groups give it; of equally good
        ones the first."""
        groups, made = self.curves.groups, {}
        for group in dict.fromkeys(groups.values()):
            others = [key for key in self.curves.truth if groups[key[0]] != group]
            base = self.curves.rule.fitted(e for key in others for e in self.curves.truth[key])
            settings = decoder.settings
            if settings[0].cut is None:
                settings = (replace(settings[0], cut=self._cut(base, settings[0], others)),)
            best = settings[0]
            if len(settings) > 1:
                people = {subject for subject, _ in others}
                best = max(settings, key=lambda one: _f1(self.scores(base, one), people))
            made[group] = base, best
        return made

    def _cut(self, base: Rule, setting: Setting, keys: Sequence[Key]) -> float:
        """The rank above which F1 over these videos is highest; beyond all of them where no peak is a hit."""
        kept = {key: self._proposed(base, setting, key, base.result_synergy) for key in keys}
        found = metrics.ranking(kept, {key: self.curves.truth[key] for key in keys})
        f1 = 2 * found.tp / (found.tp + found.fp + found.n_true)
        return float(found.height[f1.argmax()]) if f1.any() else np.inf

    def _proposed(self, base: Rule, setting: Setting, key: Key, veto: bool) -> list[tuple[Event, float]]:
        """All intervals of a video with their ranks, those that the recogniser drops left out with veto."""
        if (base, replace(setting, cut=None), key) not in self._kept:
            ranked = setting.ranked(self.seen[key], base)
            kept = replace(base, result_synergy=False)
            events_ = kept.events(one for one, _ in ranked)
            made = [(e, rank, one.dropped) for e, (one, rank) in zip(events_, ranked, strict=True)]
            self._kept[base, replace(setting, cut=None), key] = made
        made = self._kept[base, replace(setting, cut=None), key]
        return [(event, rank) for event, rank, dropped in made if not (veto and dropped)]

    def decoded(self, decoder: Decoder) -> tuple[Scores, float]:
        """Scores of all, each group by the setting chosen for it, and average precision at IoU .5."""
        chosen, groups = self.chosen(decoder), self.curves.groups
        by_subject = {
            subject: self.scores(*chosen[group]).by_subject[subject] for subject, group in groups.items()
        }
        ranked = {key: self._proposed(*chosen[groups[key[0]]], key, False) for key in self.curves.truth}
        return Scores("strict", by_subject), metrics.average_precision(ranked, self.curves.truth)


def _f1(scores: Scores, people: Iterable[str]) -> float:
    return sum((scores.by_subject[name].spotting for name in people), Counts()).f1
