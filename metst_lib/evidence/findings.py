"""What the pack says beyond its headlines: one record a method, and SL-Swin's curves under varied rules.

Every method's events and truths stand in one form (`Spotted`), so that chance, false positives a minute and
errors are asked of all in the same way. A `Study` varies the rule on SL-Swin's curves, the only real ones.
Videos with a label of the kind count throughout, since there are curves of no others.

Glossary: k half of SL-Swin's smoothing window and of its intervals, in frames; p height of the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from metst_lib import metrics, spotting
from metst_lib.events import Event, Key, clip, iou, overlap
from metst_lib.evidence import check, decoders, protocols
from metst_lib.evidence.authors import K, P
from metst_lib.evidence.decoders import STEP
from metst_lib.evidence.errors import Sort, errors
from metst_lib.evidence.pack import Pack
from metst_lib.evidence.scorefile import bare
from metst_lib.metrics import Chance, Counts, Scores

Events = Mapping[Key, Sequence[Event]]

#: How pictures call the data sets.
TITLES = {"sammlv": "SAMM-LV", "casme2sq": "CAS(ME)²", "casme3": "CAS(ME)³"}
#: Frames about a macro-expression in which `Study.masked` silences the score.
MARGIN = 5


@dataclass(frozen=True, eq=False)
class Spotted:
    """A method's events beside the truths of the same videos, in frames of `fps`.

    ranked: every local peak with its height, where there are curves; labels: what a false alarm may lie on,
    by name; dropped: what a recogniser's veto took away; whose: who says the events.
    """

    name: str
    predicted: Events
    truth: Events
    n_frames: Mapping[Key, int]
    fps: float
    kind: str = "micro"
    ranked: Mapping[Key, list[tuple[Event, float]]] | None = None
    labels: dict[str, Events] = field(default_factory=dict)
    dropped: Events | None = None
    whose: str = check.AUTHORS

    @cached_property
    def scores(self) -> Scores:
        """By the strict scorer."""
        return metrics.evaluate(self.predicted, self.truth, kind=self.kind)

    @property
    def counts(self) -> Counts:
        """TP, FP and FN of all."""
        return self.scores.spotting

    @property
    def minutes(self) -> float:
        """Length of the videos that count."""
        return sum(self.n_frames[key] for key in self.truth) / self.fps / 60

    @property
    def fp_per_minute(self) -> float:
        """False positives a minute of these videos."""
        return self.counts.fp / self.minutes

    def chance(self, draws: int = 1000, seed: int = 0) -> Chance:
        """The chance line (`metrics.chance`)."""
        return metrics.chance(self.predicted, self.truth, self.n_frames, draws, seed, self.kind)

    def errors(self, draws: int = 100) -> list[Sort]:
        """Misses (where there are curves) and false alarms by sort (`evidence.errors`)."""
        there = self.ranked or {}, self.labels, self.dropped
        found = errors(self.predicted, self.truth, self.n_frames, *there, draws, kind=self.kind)
        return [sort for sort in found if self.ranked or sort.error != "miss"]


def spotted(pack: Pack) -> dict[str, Spotted]:
    """Every method of the pack whose events are there: name → events.

    SL-Swin by our rule at p = .6; DMA and ME-TST+ (a third party's decoders, frames of step 7) as published;
    LGSNet at its headline, its macro- and micro-expressions not told apart, and so all called "micro".
    """
    found = [Study(pack, *of).spotted() for of in K]
    for dataset, feature in (("sammlv", "LBP"), ("casme2sq", "LBP"), ("casme2sq", "MDMO")):
        predicted, truth, _ = check.dma(pack, dataset, feature)
        found.append(_of(pack, f"DMA {feature}", dataset, "micro", predicted, truth))
    for decoder in check.REPORTED:
        made = _of(pack, f"ME-TST+, {decoder}", "sammlv", "micro", *check.peaks(pack, decoder))
        n_frames = {key: -(-made.n_frames[key] // STEP) for key in made.truth}
        labels = {
            name: {key: decoders.stepped(events) for key, events in of.items()}
            for name, of in made.labels.items()
        }
        changed = {"n_frames": n_frames, "fps": made.fps / STEP, "labels": labels, "whose": check.THIRD}
        found.append(replace(made, **changed))
    found.append(_of(pack, "LGSNet", "casme2sq", "both", *map(check.alike, check.lgsnet(pack))))
    return {one.name: one for one in found}


def _of(pack: Pack, method: str, dataset: str, kind: str, predicted: Events, truth: Events) -> Spotted:
    truth = {key: events for key, events in truth.items() if events}
    other = {"micro": "macro", "macro": "micro"}.get(kind)
    there = {other: pack.truth_of(dataset, other)} if other else {}
    return Spotted(
        name=f"{method} · {TITLES[dataset]} {kind}",
        predicted={key: predicted[key] for key in truth},
        truth=truth,
        n_frames=pack.n_frames[dataset],
        fps=pack.fps[dataset],
        kind="micro" if kind == "both" else kind,
        labels={f"on a {name}": {key: events[key] for key in truth} for name, events in there.items()},
    )


@dataclass(frozen=True, eq=False)
class Study:
    """SL-Swin's curves of one data set and kind, under rules that differ in one thing each."""

    pack: Pack
    dataset: str
    kind: str = "micro"

    @property
    def name(self) -> str:
        """As pictures call it."""
        return f"{TITLES[self.dataset]} {self.kind}"

    @property
    def k(self) -> int:
        """SL-Swin's, in frames."""
        return K[self.dataset, self.kind]

    @property
    def curves(self) -> dict[Key, np.ndarray]:
        """The videos with a label of the kind: key → score (T − k,)."""
        return self.pack.scores[self.dataset, self.kind]

    @cached_property
    def truth(self) -> dict[Key, list[Event]]:
        """The events of the kind in these videos."""
        return self._labels(self.kind)

    @cached_property
    def other(self) -> dict[Key, list[Event]]:
        """The events of the other kind in these videos."""
        return self._labels("macro" if self.kind == "micro" else "micro")

    def _labels(self, kind: str) -> dict[Key, list[Event]]:
        every = self.pack.truth_of(self.dataset, kind)
        return {key: every[key] for key in self.curves}

    def find(
        self,
        p: float = P,
        edges: str = "padded",
        smoothing: float = 1,
        width: float = 1,
        curves: Mapping[Key, np.ndarray] | None = None,
    ) -> dict[Key, list[Event]]:
        """The events of every video at height p.

        edges: "padded" or "whole" (`protocols.detect`); smoothing, width: k of the average, and of the
        interval, times that; curves: others in place of SL-Swin's.
        """
        k, half, found = round(self.k * smoothing), round(self.k * width), {}
        for key, curve in (curves or self.curves).items():
            tops = [_top(e) for e in protocols.detect(bare(curve), k, p, edges=edges, kind=self.kind)]
            ends = [clip(top - half, top + half, len(curve)) for top in tops]
            found[key] = [Event(*of, apex=top, kind=self.kind) for of, top in zip(ends, tops, strict=True)]
        return found

    def score(self, found: Events) -> Scores:
        """Such events by the strict scorer."""
        return metrics.evaluate(found, self.truth, kind=self.kind)

    def ranked(self, relative: bool = False) -> dict[Key, list[tuple[Event, float]]]:
        """Every local peak ± k with its height (`spotting.ranked`)."""
        curves = {key: bare(curve) for key, curve in self.curves.items()}
        return {
            key: spotting.ranked(of.score, of.logits, self.k, relative, self.kind)
            for key, of in curves.items()
        }

    def spotted(self) -> Spotted:
        """What our rule finds at p = .6."""
        made = _of(self.pack, "SL-Swin", self.dataset, self.kind, self.find(), self.truth)
        return replace(made, ranked=self.ranked())

    def masked(self, events: Events) -> dict[Key, np.ndarray]:
        """The curves with 0 within `MARGIN` frames of these events."""
        silent = {key: curve.copy() for key, curve in self.curves.items()}
        for key, curve in silent.items():
            for event in events[key]:
                curve[max(0, event.onset - MARGIN) : event.offset + MARGIN + 1] = 0
        return silent


def vetoed(found: Events, events: Events, share: float = 0.5) -> dict[Key, list[Event]]:
    """What is left without those of which this share or more lies in one of `events`; 0: that meet one."""

    def inside(one: Event, other: Event) -> bool:
        common = overlap(one, other)
        return common > 0 and common >= share * one.length

    return {key: [e for e in of if not any(inside(e, o) for o in events[key])] for key, of in found.items()}


def _top(event: Event) -> int:
    return (event.onset + event.offset) // 2 if event.apex is None else event.apex


def best(ranking: metrics.Ranking) -> float:
    """The highest F1 that one height for all videos reaches, the height chosen in sample."""
    return float((2 * ranking.tp / (ranking.tp + ranking.fp + ranking.n_true)).max(initial=0))


def lgsnet_grid(pack: Pack, epochs: Sequence[int], cuts: Sequence[float], kind: str = "both") -> np.ndarray:
    """LGSNet's counts by its own matching, of every epoch, cut and subject: int (epochs, cuts, subjects, 3).

    kind: "micro" or "macro" takes the intervals and truths of that length alone. As `decoders.lgsnet` and
    `double_service`, in one pass: a truth is hit at every cut below the confidence of the surest interval
    that meets it. ValueError for epoch 0, in which intervals end before they begin.
    """
    truth, cuts = check.lgsnet(pack)[1], np.asarray(cuts, float)
    subjects = sorted({subject for subject, _ in truth})
    counts = np.zeros((len(epochs), len(cuts), len(subjects), 3), int)
    for epoch, of_epoch in zip(epochs, counts, strict=True):
        found = decoders.lgsnet(pack.lgsnet, epoch, -1)  # the surest 14 of each video, falling
        sure = _confidences(pack.lgsnet, epoch)
        for key, true in truth.items():
            there = list(zip(found.get(key, ()), sure.get(key, ()), strict=True))
            if kind != "both":
                there, true = [of for of in there if of[0].kind == kind], [e for e in true if e.kind == kind]
            surest = [max((s for e, s in there if iou(e, t) >= 0.5), default=-1.0) for t in true]
            hits, over = (
                (np.array(values)[:, None] > cuts).sum(axis=0) for values in (surest, [s for _, s in there])
            )
            counts_here = np.stack([hits, over - hits, len(true) - hits], axis=1)
            of_epoch[:, subjects.index(key[0])] += counts_here
    return counts


def lgsnet_ranked(pack: Pack, epoch: int, kind: str = "both") -> tuple[dict, dict[Key, list[Event]]]:
    """All of LGSNet's intervals of an epoch with their confidence, and its truths: of a length ("macro",
    "micro": truths by their label), or both; all called "micro", as `metrics.ranking` takes one kind."""
    truth: dict[Key, list[Event]] = {key: [] for key in check.lgsnet(pack)[1]}
    for row in pack.lgsnet_truth.itertuples():
        if kind in ("both", row.kind):
            truth[row.subject, row.video].append(Event(row.onset, row.offset))
    found: dict[Key, list[tuple[Event, float]]] = {key: [] for key in truth}
    for row in pack.lgsnet[pack.lgsnet["epoch"] == epoch].itertuples():
        onset, offset = int(row.onset), int(row.offset)
        if (row.subject, row.video) in found and kind in ("both", decoders.kind_of(onset, offset)):
            found[row.subject, row.video].append((Event(onset, offset), row.confidence))
    return found, truth


def f1_of(counts: np.ndarray) -> np.ndarray:
    """F1 of counts (…, 3) of TP, FP and FN."""
    tp, fp, fn = np.moveaxis(np.asarray(counts), -1, 0)
    return 2 * tp / np.maximum(2 * tp + fp + fn, 1)


def _confidences(table: pd.DataFrame, epoch: int) -> dict[Key, list[float]]:
    """Of the surest 14 intervals of each video, falling, the last digit left off (`decoders.lgsnet`)."""
    rows = table[table["epoch"] == epoch].groupby(["subject", "video"], sort=False).head(decoders.MOST)
    cut = rows.assign(sure=np.floor(rows["confidence"] * 1000 + 1e-6) / 1000)
    return {key: of.tolist() for key, of in cut.groupby(["subject", "video"])["sure"]}
