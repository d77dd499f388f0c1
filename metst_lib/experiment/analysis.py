"""What finished runs can be asked after training: other settings, fates of candidates, false positives.

Paper, Sec. III-C and Fig. 4 (what result-level synergy drops), Sec. IV-F (ablation). Nothing here trains: a
run's stored scores and logits are turned into events again, and these are looked at one by one.

Glossary: T frames of a video; k_p half the mean length of a micro-expression (ME), in frames; p height of
the peak threshold.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from metst_lib import metrics, spotting
from metst_lib.datasets import Dataset
from metst_lib.events import Event, Key, Video
from metst_lib.experiment import flows, runs, store
from metst_lib.experiment.config import Config
from metst_lib.experiment.runs import Run
from metst_lib.synthetic import read_truth

#: What can lie under a false positive, the first that applies; see `cause`.
CAUSES = (
    "micro-expression",
    "macro-expression",
    "blink",
    "head motion",
    "blinks not labelled",
    "nothing known",
)
#: Head motion counts where the head moves further than in all but this share of a video's intervals.
FASTEST = 0.1


class Synergy(NamedTuple):
    """Candidates of a run: kept or dropped by the recogniser's vote, and truly micro-expressions or not."""

    kept_true: int
    kept_false: int
    dropped_true: int
    dropped_false: int


# --- the same predictions, other settings ---------------------------------------------------------------


def candidates(run: Run) -> dict[Key, list[spotting.Candidate]]:
    """Every interval that the spotting scores of a run propose, by video, with the recogniser's vote."""
    return {key: fold.candidates(key) for fold in run.folds.values() for key in fold.predictions}


def rescore(run: Run, scorer: str = "strict", **changes: Any) -> metrics.Scores:
    """Scores of a run with other settings of its rule: p, half_width (k_p of every fold), result_synergy.

    The networks stay as they are. A value chosen by these scores was chosen on the test subjects.
    """
    predicted: dict[Key, list[Event]] = {key: [] for key in run.truth}
    for fold in run.folds.values():
        rule = dataclasses.replace(fold.rule, **changes)
        predicted |= {key: rule.find(seen) for key, seen in fold.predictions.items()}
    return metrics.evaluate(predicted, run.truth, scorer, run.config.settings.kind)


def chosen_on_others(settings: Mapping[Any, metrics.Scores]) -> dict[str, Any]:
    """For each subject, the setting with the best spotting F1 on all *other* subjects.

    settings: the scores of one run with each setting (`rescore`). Of equally good settings the first; with
    one subject alone there are no others to choose on, and it gets the first.
    """

    def f1(scores: metrics.Scores, out: str) -> float:
        counts = [subject.spotting for name, subject in scores.by_subject.items() if name != out]
        return metrics.Counts(*(sum(getattr(c, part) for c in counts) for part in ("tp", "fp", "fn"))).f1

    people = next(iter(settings.values())).by_subject
    return {out: max(settings, key=lambda setting: f1(settings[setting], out)) for out in people}


def finished_seeds(config: Config, variants: Sequence[str]) -> list[int]:
    """The seeds of which every fold of every one of these variants holds."""
    today = flows.shared_inputs()

    def whole(variant: str, seed: int) -> bool:
        run = dataclasses.replace(config, variant=variant, seed=seed)
        return set(runs.states(run, today(run)).values()) == {"valid"}

    seeds = store.seeds_of(dataclasses.replace(config, variant=variants[0]))
    return [seed for seed in seeds if all(whole(variant, seed) for variant in variants)]


# --- candidates, one by one -----------------------------------------------------------------------------


def candidate_table(run: Run) -> pd.DataFrame:
    """One row for each candidate: where, its votes, whether dropped, and the true ME it meets, if any.

    Columns subject, video, onset, offset, height, vote (of five classes), emotion (of four), dropped, true
    (it meets an ME, matched before anything is dropped), truth (that ME's emotion, else "").
    """
    rows = []
    for key, found in candidates(run).items():
        events = [candidate.event(result_synergy=False) for candidate in found]
        met = {i: run.truth[key][j] for i, j, _ in metrics.match_events(events, run.truth[key])}
        rows += [
            (*key, c.onset, c.offset, c.height, c.vote, c.emotion, c.dropped, i in met, _emotion(met.get(i)))
            for i, c in enumerate(found)
        ]
    columns = "subject video onset offset height vote emotion dropped true truth".split()
    return pd.DataFrame(rows, columns=columns).astype({"dropped": bool, "true": bool})


def synergy_counts(run: Run) -> Synergy:
    """Fig. 4 as counts: candidates kept and dropped by the recogniser's vote, true and false ones."""
    table = candidate_table(run)
    return Synergy(
        kept_true=int((~table.dropped & table.true).sum()),
        kept_false=int((~table.dropped & ~table.true).sum()),
        dropped_true=int((table.dropped & table.true).sum()),
        dropped_false=int((table.dropped & ~table.true).sum()),
    )


def _emotion(event: Event | None) -> str:
    return (event.emotion or "") if event else ""


# --- false positives ------------------------------------------------------------------------------------


def cause(
    interval: Event, video: Video, moving: np.ndarray | None = None, blinks_labelled: bool = True
) -> str:
    """What lies under an interval, the first of `CAUSES` that shares a frame with it.

    A micro-expression here is one that the interval touches without matching it. moving (T,): frames from
    which on the head moves much (`head_moves`); without it head motion is not known. Where nobody labelled
    this subject's blinks, an interval without another cause may lie on one: that is not "nothing known".
    """
    there = {
        event.kind
        for event in video.events
        if event.onset <= interval.offset and event.offset >= interval.onset
    }
    for name, kind in zip(CAUSES, ("micro", "macro", "blink"), strict=False):
        if kind in there:
            return name
    if moving is not None and moving[interval.onset]:
        return "head motion"
    return "nothing known" if blinks_labelled else "blinks not labelled"


def head_moves(head: np.ndarray, length: int, share: float = FASTEST) -> np.ndarray:
    """Which intervals of that many frames see the head move most: (T,) by their first frame.

    head (T, 2): where the head is, in pixels. An interval's motion is the diagonal of the box that holds the
    head's path; the `share` of all intervals with the largest ones count. The last length − 1 frames, from
    which no whole interval starts, take the value of the last that has one.
    """
    paths = np.lib.stride_tricks.sliding_window_view(np.asarray(head, dtype=float), length, axis=0)
    motion = np.hypot(*np.ptp(paths, axis=2).T)
    moves = motion > np.quantile(motion, 1 - share)
    return np.pad(moves, (0, len(head) - len(moves)), mode="edge")


def true_heads(config: Config, videos: Sequence[Video]) -> dict[Key, np.ndarray]:
    """The head's rendered position (T, 2) in px of the face crop; empty for recorded data: not known there.

    What the cached flow took for the head's motion is subtracted from it and not kept.
    """
    reader = config.reader
    folder = config.places.data / reader.name / reader.truth
    return {video.key: read_truth(folder, video.key)["head"] for video in videos if reader.truth}


def false_positives(run: Run, data: Dataset, heads: Mapping[Key, np.ndarray] | None = None) -> pd.DataFrame:
    """One row for each false positive: subject, video, onset, offset, emotion, cause.

    data: the run's data set, which knows whose blinks were labelled; heads: as `true_heads`.
    """
    hit = {(match.video, match.prediction) for match in metrics.evaluate(run.predicted, run.truth).matches}
    rows = []
    for video in data.videos:
        for i, event in enumerate(run.predicted.get(video.key, [])):
            if (video.key, i) not in hit:
                moving = _moving(video, event.length, heads)
                why = cause(event, video, moving, data.has_blinks(video.subject))
                rows.append((*video.key, event.onset, event.offset, event.emotion, why))
    columns = ["subject", "video", "onset", "offset", "emotion", "cause"]
    return pd.DataFrame(rows, columns=columns)


def by_chance(found: pd.DataFrame, data: Dataset, heads: Mapping[Key, np.ndarray] | None = None) -> pd.Series:
    """How many of these intervals would have each cause if each lay anywhere in its video by chance."""
    expected = pd.Series(0.0, index=list(CAUSES))
    for (subject, name, length), count in (
        found.groupby(["subject", "video", found.offset - found.onset + 1]).size().items()
    ):
        video, labelled = data.video(subject, name), data.has_blinks(subject)
        moving = _moving(video, length, heads)
        intervals = (Event(i, i + length - 1) for i in range(video.n_frames - length + 1))
        places = [cause(interval, video, moving, labelled) for interval in intervals]
        expected += count * pd.Series(places).value_counts(normalize=True).reindex(CAUSES, fill_value=0)
    return expected


def _moving(video: Video, length: int, heads: Mapping[Key, np.ndarray] | None) -> np.ndarray | None:
    return head_moves(heads[video.key], length) if heads else None
