"""Any method's file against a table of truths: score files and tables of intervals, one way to numbers.

Videos without a truth are an error. Truths without a curve are not counted, since nothing was said of them;
truths that a table of intervals does not name are counted as misses. `Given.counted` says what was done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from metst_lib import inference, metrics, spotting
from metst_lib.events import Event, Key, Prediction, named
from metst_lib.evidence import intervals, scorefile
from metst_lib.evidence.decoders import stepped
from metst_lib.metrics import SCORERS, Scores
from metst_lib.spotting import Rule

#: Heights of the threshold in a sweep.
HEIGHTS = tuple(round(0.05 * i, 2) for i in range(1, 20))


@dataclass(frozen=True, eq=False)
class Given:
    """A method's file and the truths of its videos, in the same frames.

    predictions: of a score file; found: of a table of intervals; the other is None. truth: every video that
    counts. fps: of those that tell it. left_out: truths without a curve.
    """

    dataset: str
    predictions: dict[Key, Prediction] | None
    found: dict[Key, list[Event]] | None
    truth: dict[Key, list[Event]]
    fps: dict[Key, float]
    n_frames: dict[Key, int]
    recognised: bool
    left_out: int

    @property
    def minutes(self) -> float:
        """Length of all videos that count, in minutes; NaN where one's length is not told."""
        if not all(key in self.fps and key in self.n_frames for key in self.truth):
            return math.nan
        return sum(self.n_frames[key] / self.fps[key] for key in self.truth) / 60

    def only(self, videos: str, kind: str) -> Given:
        """The same with the videos "with_me", which have a label of the kind, or "all"."""
        if videos not in ("with_me", "all"):
            raise ValueError(f"unknown choice of videos {videos!r}; known: with_me, all")
        kinds = ("micro", "macro") if kind == "overall" else (kind,)
        kept = [k for k, of in self.truth.items() if videos == "all" or any(e.kind in kinds for e in of)]
        if not kept:
            raise ValueError(f"no video has a label of kind {kind}")
        return replace(self, truth={key: self.truth[key] for key in kept})

    @property
    def counted(self) -> str:
        """Which videos count, as a caption says it."""
        missing = f"; {self.left_out} more have a truth and no curve" if self.left_out else ""
        length = "" if math.isnan(self.minutes) else f", {self.minutes:.1f} minutes"
        return f"{len(self.truth)} videos of {len({s for s, _ in self.truth})} subjects{length}{missing}"


def read(file: str | Path, truth: str | Path, dataset: str = "", step: int = 1) -> Given:
    """Read a method's file (`scorefile`, or `intervals`) and a table of truths.

    step: the file takes every step-th frame of the truths' (n → n // step, fps and lengths likewise).
    Raises as the two readers; ValueError where a video has no truth, or a curve does not fit its video.
    """
    file = Path(file)
    labels = intervals.read(truth, dataset)
    if step < 1:
        raise ValueError(f"a step of {step} is none: 1 or more is wanted")
    true = {key: stepped(of, step) if step > 1 else of for key, of in labels.events.items()}
    lengths = {key: -(-int(n) // step) for key, n in labels.n_frames.items()}
    fps = {key: rate / step for key, rate in labels.fps.items()}
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    if scorefile.is_score_file(file):
        scores = scorefile.read(file)
        if labels.dataset and scores.dataset != labels.dataset:
            raise ValueError(f"{file} is of {scores.dataset}, the truths are of {labels.dataset}")
        _known(file, scores.predictions, true)
        for key, n in scores.n_frames.items():
            if lengths.get(key, n) != n:
                raise ValueError(
                    f"{file}, video {named(key)}: {n} scores, but the video has {lengths[key]} frames"
                )
        for key, rate in scores.fps.items():
            if abs(fps.get(key, rate) - rate) > 0.01 * rate:
                where = f"{file}, video {named(key)}"
                raise ValueError(f"{where}: {rate:g} frames a second, but the truths have {fps[key]:g}")
        truths = {key: true[key] for key in scores.predictions}
        told = scores.fps, scores.n_frames, scores.recognised, len(true) - len(truths)
        return Given(scores.dataset, scores.predictions, None, truths, *told)
    table = intervals.read(file, labels.dataset)
    _known(file, table.events, true)
    for key, of in table.events.items():
        if beyond := [event for event in of if event.onset >= lengths.get(key, math.inf)]:
            where = f"{file}, video {named(key)}"
            raise ValueError(f"{where}: {beyond[0].onset} … lies beyond its {lengths[key]} frames")
    found = {key: table.events.get(key, []) for key in true}
    recognised = any(event.emotion for of in found.values() for event in of)
    return Given(table.dataset or labels.dataset, None, found, true, fps, lengths, recognised, 0)


def _known(file: Path, keys: Iterable[Key], truth: Iterable[Key]) -> None:
    if unknown := [key for key in keys if key not in set(truth)]:
        raise ValueError(
            f"{file}: {len(unknown)} videos are not in the table of truths, {named(unknown[0])} the first; "
            "a video without events has a row without onset and offset there"
        )


def find(given: Given, rule: Rule) -> dict[Key, list[Event]]:
    """The events of each video that counts: those of the table, or what the rule finds in the curves.

    A rule without k_p takes it for each subject from the truths of the others, as the folds do.
    """
    if given.predictions is None:
        return {key: given.found[key] for key in given.truth}
    rules = _rules(given, rule)
    return {key: rules[key[0]].find(given.predictions[key]) for key in given.truth}


def _rules(given: Given, rule: Rule) -> dict[str, Rule]:
    """The rule of each subject."""
    rules = {}
    for subject in dict.fromkeys(subject for subject, _ in given.truth):
        others = [event for key, of in given.truth.items() if key[0] != subject for event in of]
        try:
            rules[subject] = rule.fitted(others)
        except ValueError as error:
            raise ValueError(f"k_p of subject {subject}, from the other subjects: {error}") from None
    return rules


def scores(given: Given, rule: Rule, kind: str = "micro", scorer: str = "strict") -> Scores:
    """Scores of the videos that count, for events of a kind, or "overall"."""
    return metrics.evaluate(*_sides(given, rule, kind), scorer, kind)


def _sides(given: Given, rule: Rule, kind: str) -> tuple[dict[Key, list[Event]], dict[Key, list[Event]]]:
    """Events found and true of a kind, of the videos that count."""
    if kind == "overall" and given.predictions is not None:
        raise ValueError("a score file is of one kind: overall F1 takes a table of intervals of both kinds")
    kinds = ("micro", "macro") if kind == "overall" else (kind,)
    found, truth = (
        {key: [event for event in of if event.kind in kinds] for key, of in side.items()}
        for side in (find(given, replace(rule, kind=kind) if kind != "overall" else rule), given.truth)
    )
    return found, truth


def table(
    given: Given, rule: Rule, kind: str = "micro", scorers: Sequence[str] = tuple(SCORERS)
) -> pd.DataFrame:
    """A row a scorer: TP, FP, FN, precision, recall, F1 and its interval over subjects, false positives a
    minute, F1 by chance and how often chance reaches it (the strict scorer's), and where the method names
    emotions the recognition's total, F1, UF1, UAR, and STRS. NaN where lengths or a second subject are not
    there."""
    sides = _sides(given, rule, kind)
    return pd.DataFrame([{"scorer": name} | _row(given, sides, kind, name) for name in scorers])


def ranking(given: Given, rule: Rule, kind: str = "micro") -> pd.DataFrame:
    """Average precision over every local peak at IoU .3, .5 and .7, a row a height that they are ranked by.

    relative: with the mean of the video as 0 and its maximum as 1. ValueError for a table of intervals.
    """
    if given.predictions is None:
        raise ValueError("a table of intervals has no heights to rank by: a score file is wanted")
    truth, rules = _sides(given, rule, kind)[1], _rules(given, replace(rule, kind=kind))
    rows = []
    for relative in (False, True):
        ranked = {}
        for key in given.truth:
            seen, k_p = given.predictions[key], rules[key[0]].half_width
            ranked[key] = spotting.ranked(seen.score, seen.logits, k_p, relative, kind)
        found = {f"ap_{iou}": metrics.average_precision(ranked, truth, iou) for iou in (0.3, 0.5, 0.7)}
        rows.append({"ranked by": "relative height" if relative else "height"} | found)
    return pd.DataFrame(rows)


def sweep(
    given: Given,
    rule: Rule,
    kind: str = "micro",
    scorer: str = "strict",
    heights: Sequence[float] = HEIGHTS,
) -> pd.DataFrame:
    """The same, a row a height p of the threshold: curves with their band. ValueError for a table of
    intervals, which has none."""
    if given.predictions is None:
        raise ValueError("a table of intervals has no threshold: a score file is wanted")
    sides = {p: _sides(given, replace(rule, p=p), kind) for p in heights}
    return pd.DataFrame([{"p": p} | _row(given, sides[p], kind, scorer) for p in heights])


def _row(given: Given, sides: tuple, kind: str, scorer: str) -> dict[str, float]:
    found = metrics.evaluate(*sides, scorer, kind)
    spotted, emotions = found.spotting, found.recognition
    row = {name: getattr(spotted, name) for name in ("tp", "fp", "fn", "precision", "recall", "f1")}
    row |= {"f1_low": math.nan, "f1_high": math.nan}
    if len(found.by_subject) > 1:
        interval = inference.interval_of(found, "spotting.f1")
        row |= {"f1_low": interval.low, "f1_high": interval.high}
    if not math.isnan(given.minutes):
        row["fp_per_minute"] = spotted.fp / given.minutes
    if set(given.n_frames) >= set(given.truth):
        line = metrics.chance(*sides, given.n_frames, kind=kind) if scorer == "strict" else None
        row["chance_f1"] = line.f1 if line else math.nan
        row["chance_p"] = line.p if line else math.nan
    if given.recognised:
        row |= {f"recognition_{name}": getattr(emotions, name) for name in ("total", "f1", "uf1", "uar")}
        row["strs"] = found.strs
    return row
