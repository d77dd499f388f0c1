"""What finished runs can be asked after training: other settings, fates of candidates, sorts of errors.

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
from metst_lib.events import KINDS, Event, Key, Video
from metst_lib.evidence.findings import Spotted
from metst_lib.experiment import flows, runs, store
from metst_lib.experiment.config import Config
from metst_lib.experiment.runs import Run
from metst_lib.synthetic import read_truth

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


# --- errors, sorted -------------------------------------------------------------------------------------


def errors(
    run: Run, data: Dataset, heads: Mapping[Key, np.ndarray] | None = None, draws: int = 100
) -> pd.DataFrame:
    """Misses and false alarms of a run by sort, with their share and that by chance: `evidence.errors`.

    data: the run's data set; heads: as `true_heads`, the false alarms on a head movement are told with it.
    """
    found = spotted(run, data)
    if heads:
        longest = max(2 * fold.rule.half_width + 1 for fold in run.folds.values())
        found.labels["on a head movement"] = {key: head_moves(head, longest) for key, head in heads.items()}
    return pd.DataFrame(found.errors(draws))


def spotted(run: Run, data: Dataset, relative: bool = False) -> Spotted:
    """A run in the form that chapter 9 has other people's methods in: chance, alarms a minute, errors.

    relative: rank its peaks by height relative to their video's mean and maximum. Videos without a label of
    the kind count too.
    """
    seconds = sum(video.n_frames / video.fps for video in data.videos)
    kind, ranked, dropped = run.config.settings.kind, {}, {}
    for fold in run.folds.values():
        for key, seen in fold.predictions.items():
            ranked[key] = spotting.ranked(seen.score, seen.logits, fold.rule.half_width, relative, kind)
            vetoed = [c for c in fold.candidates(key) if c.dropped and fold.rule.result_synergy]
            dropped[key] = [candidate.event(result_synergy=False) for candidate in vetoed]
    n_frames = {video.key: video.n_frames for video in data.videos}
    fps = sum(n_frames.values()) / seconds
    title = f"{run.config.what.title} · {run.config.reader.title}"
    there, whose = labels(data, kind), "synthetic" if run.config.reader.truth else "ours"
    return Spotted(title, run.predicted, run.truth, n_frames, fps, kind, ranked, there, dropped, whose)


def labels(data: Dataset, kind: str = "micro") -> dict[str, dict[Key, list[Event]]]:
    """What a false alarm of this kind may lie on, by name and video. A video without labelled blinks is left
    out under theirs: what lies on none there is not known to lie elsewhere."""
    other = "macro" if kind == "micro" else "micro"
    blinks = [video for video in data.videos if data.has_blinks(video.subject)]
    return {
        f"on a {other}": data.events(other),
        "on a blink or gaze shift": {
            video.key: video.events_of(*(set(KINDS) - {"micro", "macro"})) for video in blinks
        },
    }


def head_moves(head: np.ndarray, length: int, share: float = FASTEST) -> list[Event]:
    """The intervals of that many frames that see the head move most.

    head (T, 2): where the head is, in pixels. An interval's motion is the diagonal of the box that holds the
    head's path; the `share` of all intervals with the largest ones count.
    """
    paths = np.lib.stride_tricks.sliding_window_view(np.asarray(head, dtype=float), length, axis=0)
    motion = np.hypot(*np.ptp(paths, axis=2).T)
    return [Event(i, i + length - 1) for i in np.flatnonzero(motion > np.quantile(motion, 1 - share))]


def true_heads(config: Config, videos: Sequence[Video]) -> dict[Key, np.ndarray]:
    """The head's rendered position (T, 2) in px of the face crop; empty for recorded data: not known there.

    What the cached flow took for the head's motion is subtracted from it and not kept.
    """
    reader = config.reader
    folder = config.places.data / reader.name / reader.truth
    return {video.key: read_truth(folder, video.key)["head"] for video in videos if reader.truth}
