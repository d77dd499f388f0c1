"""Experiments: one fold from flow to scores, its artefacts on disk, and all folds of a run (paper, Sec. IV).

A fold leaves one subject out: a variant is fitted on the other subjects' videos and scored on this one's.
Everything a fold leaves behind is written whole or not at all, and a fold whose settings and inputs have
not changed since is not fitted again; a training that was stopped goes on from its last checkpoint. What can
be run stands in `variants`, where the flow comes from in `preparation`; both are offered here too, so that a
notebook needs this one module.

Glossary: T frames of a video; k_p half the mean length of a micro-expression (ME); p the peak threshold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from tqdm.auto import tqdm

from metst_lib import flow, metrics, models, provenance, rois, spotting, ssm, training
from metst_lib._files import atomic, digest, read_json, sha256, sweep, write_json
from metst_lib.datasets import Dataset
from metst_lib.events import Event, Video
from metst_lib.preparation import (
    Key,
    flow_path,
    flow_report,
    landmark_file,
    landmarker,
    landmarks_along,
    load_data,
    load_flow,
    prepare,
    with_flow,
)
from metst_lib.provenance import git_revision, versions
from metst_lib.variants import PRESETS, VARIANTS, Config, Preset, Variant, configure, home, presets_of

__all__ = [
    "PRESETS",
    "VARIANTS",
    "Config",
    "Fit",
    "Fold",
    "Key",
    "Preset",
    "Run",
    "Variant",
    "build",
    "chosen",
    "configure",
    "finished",
    "fit",
    "flow_path",
    "flow_report",
    "fold_folder",
    "folds",
    "git_revision",
    "home",
    "landmark_file",
    "landmarker",
    "landmarks_along",
    "load_data",
    "load_flow",
    "prepare",
    "presets_of",
    "read_fold",
    "read_run",
    "run_fold",
    "run_folds",
    "score_fitted",
    "versions",
    "with_flow",
]


CHECKPOINT = "checkpoint.pt"
"""Name of the file in a fold's folder that holds the state of a training, as long as it lasts."""

# --- one fold -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fold:
    """A finished fold: one score and five logits per frame, the events found, the truth, and their scores."""

    subject: str
    predicted: dict[Key, list[Event]]
    truth: dict[Key, list[Event]]
    score: dict[Key, np.ndarray]  # (T,)
    logits: dict[Key, np.ndarray]  # (T, 5)
    half_width: int
    scores: metrics.Scores
    fitted: dict[str, Any]
    history: pd.DataFrame

    def probabilities(self, key: Key) -> np.ndarray:
        """Class probabilities (T, 5) of one video: softmax of its logits."""
        return softmax(self.logits[key], axis=1)

    def candidates(self, key: Key, p: float = spotting.P) -> list[spotting.Candidate]:
        """Every interval that the score of one video proposes, before result-level synergy."""
        return spotting.candidates(self.score[key], self.logits[key], self.half_width, p)


def folds(config: Config) -> list[str]:
    """The subjects that are left out in turn: those that have an ME."""
    return load_data(config).subjects


def chosen(config: Config, subject: str) -> list[str]:
    """The folds that a notebook's `subject` names: one, several with commas between, "all", "" the first.

    ValueError listing the known folds where one is unknown.
    """
    known = folds(config)
    if not subject:
        return known[:1]
    wanted = known if subject == "all" else [name.strip() for name in subject.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"{config.dataset} has no fold {unknown[0]!r}; known: {', '.join(known)}")
    return wanted


def fold_folder(config: Config, subject: str) -> Path:
    """Where a fold's artefacts lie."""
    return config.run_folder / subject


def run_fold(config: Config, subject: str) -> metrics.Scores:
    """Fit on all other subjects, score on this one, write the artefacts; returns the fold's scores.

    Artefacts in `fold_folder`: config.json (settings, versions, git revision, hash of the inputs, scan back
    end, what was fitted, what it took), history.csv, predictions.npz, events.csv, metrics.json. The fit is
    skipped where predictions of the same settings and inputs are there. While a network is trained, its
    checkpoint lies there too, renewed about every minute, or every $METST_CHECKPOINT seconds.

    ValueError for an unknown subject; FloatingPointError, naming the fold, where the training diverges or
    what the network predicts is no answer. Such a fold gets no metrics.json.
    """
    data = load_data(config)
    (subject,) = chosen(config, subject)
    videos = {video.key: video for video in data.videos}
    training_keys, test_keys = training.split(videos, subject)
    train = with_flow(config, [videos[key] for key in training_keys])
    test = [videos[key] for key in test_keys]
    identity = _fit_identity(config)
    source, folder = fold_folder(config.trained, subject), fold_folder(config, subject)
    if _stored_identity(source) != identity:
        _fit_and_predict(config.trained, train, test, source, identity, subject)
    (source / CHECKPOINT).unlink(missing_ok=True)  # of a run that was killed just before it did so itself
    if _stored_identity(folder) != identity:
        _copy_fit(source, folder)
    return _score(config, train, test, folder, subject, identity)


def run_folds(config: Config, subjects: Iterable[str], progress: bool = True) -> dict[str, metrics.Scores]:
    """Run several folds one after the other; a failing fold does not stop the rest.

    Raises RuntimeError at the end, naming the folds that failed and why.
    """
    done, failed = {}, {}
    for subject in tqdm(list(subjects), desc=config.variant, unit="fold", disable=None if progress else True):
        try:
            done[subject] = run_fold(config, subject)
        except Exception as error:
            failed[subject] = error
    if failed:
        reasons = "; ".join(f"{subject}: {error}" for subject, error in failed.items())
        raise RuntimeError(f"{len(failed)} of {len(failed) + len(done)} folds failed: {reasons}") from next(
            iter(failed.values())
        )
    return done


def finished(config: Config) -> list[str]:
    """The folds that `run_fold` would skip: made with these settings, from the flow that is there now."""
    try:
        fitted = _fit_identity(config)
    except FileNotFoundError:  # no flow yet
        return []
    return [
        subject for subject in folds(config) if _is_finished(fold_folder(config, subject), fitted, config)
    ]


def _is_finished(folder: Path, fit_identity: str, config: Config) -> bool:
    try:
        scored = read_json(folder / "metrics.json")
    except (OSError, ValueError):
        return False
    same = scored.get("identity") == digest(fit_identity, config.to_dict())
    return same and _is_whole(folder, scored) and _stored_identity(folder) == fit_identity


def score_fitted(config: Config) -> list[str]:
    """Score again the folds that are fitted but have no metrics.json any more; returns their subjects.

    Where one fold of a job fails, the workflow takes away the metrics.json of the job's finished folds too.
    """
    lost = [s for s in folds(config) if not (fold_folder(config, s) / "metrics.json").exists()]
    if not any((fold_folder(config, subject) / "config.json").exists() for subject in lost):
        return []
    identity = _fit_identity(config)
    fitted = [s for s in lost if _stored_identity(fold_folder(config, s)) == identity]
    for subject in fitted:
        run_fold(config, subject)
    return fitted


@dataclass(frozen=True)
class Fit:
    """A fitted variant: predict(RoiFlow of a video) -> score (T,), logits (T, 5); what was fitted; history.

    model is the network on the CPU, None where the variant has none. resumed and earlier: the epoch after
    which a stopped training went on (0: it ran through), and the seconds spent until then.
    """

    predict: Callable[[flow.RoiFlow], tuple[np.ndarray, np.ndarray]]
    fitted: dict[str, Any]
    history: pd.DataFrame
    model: torch.nn.Module | None = None
    resumed: int = 0
    earlier: float = 0.0


def fit(config: Config, train: Iterable[Video], checkpoint: training.Checkpoint | None = None) -> Fit:
    """Fit the variant on the flow and micro-expressions of these videos alone; see `training.fit`."""
    train = list(train)
    flows = load_flow(config, train)
    truth = {video.key: video.events_of("micro") for video in train if video.key in flows}
    if config.what.network == "flow-magnitude":
        magnitude = training.fit_flow_magnitude(flows, truth)
        predict = functools.partial(training.predict_flow_magnitude, settings=magnitude)
        return Fit(predict, dataclasses.asdict(magnitude), pd.DataFrame())
    torch.set_num_threads(1)  # folds run side by side, one thread each
    relabel = models.hard_targets if config.what.network == "WindowClassifier" else None
    make = functools.partial(build, config)
    result = training.fit(
        make, flows, truth, config.training, config.seed, relabel=relabel, checkpoint=checkpoint
    )
    predict = functools.partial(training.predict, result.model, stitch=config.stitch)
    return Fit(predict, result.statistics, result.history, result.model, result.resumed, result.earlier)


def build(config: Config) -> torch.nn.Module:
    """The variant's network, freshly initialised from torch's current random state."""
    network = config.what.network
    channels = len(rois.channel_names(config.what.roi_set))
    size = dict(config.settings.sizes.get(network, {}))
    if config.recompute and network in ("METST", "METSTPlus"):  # those with a scan
        size["recompute"] = True
    return models.build(network, channels, **size)


@contextlib.contextmanager
def _precision(matmul: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(matmul)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _fit_and_predict(
    config: Config, train: list[Video], test: list[Video], folder: Path, identity: str, subject: str
) -> None:
    began = time.perf_counter()
    provenance.start_counting()
    checkpoint = _checkpoint(config, folder, identity)
    try:
        with _precision(config.matmul):
            fitting = fit(config, train, checkpoint)
            predictions = {key: fitting.predict(values) for key, values in load_flow(config, test).items()}
        _check_predictions(predictions, len(fitting.history))
    except FloatingPointError as error:
        checkpoint.remove()
        raise FloatingPointError(
            f"fold {subject} of {config.variant}, seed {config.seed}: {error}"
        ) from error
    arrays = {}
    for (_, name), (score, logits) in predictions.items():
        arrays[f"score/{name}"], arrays[f"logits/{name}"] = score, logits
    device = fitting.fitted.get("device", "cpu")
    _begin(folder)
    with atomic(folder / "history.csv") as path:
        fitting.history.to_csv(path, index=False)
    with atomic(folder / "predictions.npz") as path:
        np.savez_compressed(path, **arrays)
    write_json(
        folder / "config.json",
        {
            "identity": identity,
            "files": _hashes(folder, "history.csv", "predictions.npz"),
            "subject": subject,
            "settings": config.fitting(),
            "inputs": _inputs(config, load_data(config)),
            "fitted": fitting.fitted,
            **provenance.surroundings(device, ssm.choose_backend(device) if fitting.model else None),
            **provenance.spent(fitting.earlier + time.perf_counter() - began, device),
            "resumed_after_epoch": fitting.resumed,
        },
    )
    checkpoint.remove()


def _checkpoint(config: Config, folder: Path, identity: str) -> training.Checkpoint:
    """Where the fold's training keeps its state; with another scan or other packages it is another one."""
    made_with = ssm.choose_backend("cuda" if torch.cuda.is_available() else "cpu"), versions()
    every = os.environ.get("METST_CHECKPOINT", "60")
    try:
        seconds = float(every)
    except ValueError:
        raise ValueError(f"METST_CHECKPOINT is a number of seconds, not {every!r}") from None
    return training.Checkpoint(
        folder / CHECKPOINT, digest(identity, folder.name, made_with), seconds, tqdm.write
    )


def _check_predictions(predictions: dict[Key, tuple[np.ndarray, np.ndarray]], epochs: int) -> None:
    """FloatingPointError for predictions that would be scored like any other but say nothing.

    epochs: how long a network was trained, 0 for a variant without training, which may well see nothing.
    """
    for (subject, name), (score, logits) in predictions.items():
        if not (np.isfinite(score).all() and np.isfinite(logits).all()):
            raise FloatingPointError(f"scores of video {subject} {name} are NaN or infinite")
    scores = [score for score, _ in predictions.values()]
    if epochs and scores and max(np.ptp(score) for score in scores) < _FLAT:
        raise FloatingPointError(
            f"the spotting score is {scores[0][0]:.6f} in every frame of every video after epoch "
            f"{epochs}: training has not converged; a lower lr may help"
        )


_FLAT = 1e-6
"""A network whose score moves less than this over whole videos has not learned to spot anything."""


def _begin(folder: Path) -> None:
    """From here on the fold counts as neither fitted nor scored, until both records are back."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    for name in ("metrics.json", "config.json"):
        (folder / name).unlink(missing_ok=True)


def _hashes(folder: Path, *names: str) -> dict[str, str]:
    return {name: sha256(folder / name) for name in names}


def _is_whole(folder: Path, about: dict[str, Any]) -> bool:
    """Whether the files that a config.json or metrics.json vouches for are there as they were written."""
    try:
        return about["files"] == _hashes(folder, *about["files"])
    except (OSError, KeyError, TypeError):
        return False


def _copy_fit(source: Path, folder: Path) -> None:
    """Predictions of a shared training, taken over; config.json, which makes them valid, comes last."""
    _begin(folder)
    for name in ("history.csv", "predictions.npz", "config.json"):
        with atomic(folder / name) as path:
            path.write_bytes((source / name).read_bytes())


def _score(
    config: Config, train: list[Video], test: list[Video], folder: Path, subject: str, fit_identity: str
) -> metrics.Scores:
    identity = digest(fit_identity, config.to_dict())
    if scores := _stored_scores(folder, identity):
        return scores
    (folder / "metrics.json").unlink(missing_ok=True)
    half_width = spotting.half_width(event for video in train for event in video.events_of("micro"))
    with np.load(folder / "predictions.npz", allow_pickle=False) as stored:
        predicted = {
            video.key: spotting.find_events(
                stored[f"score/{video.name}"],
                stored[f"logits/{video.name}"],
                half_width,
                p=config.p,
                result_synergy=config.what.result_synergy,
            )
            if f"score/{video.name}" in stored
            else []  # no flow, so nothing found: its MEs count as missed
            for video in test
        }
    truth = {video.key: video.events_of("micro") for video in test}
    scores = metrics.evaluate(predicted, truth, config.scorer)
    with atomic(folder / "events.csv") as path:
        _events_table(predicted, truth).to_csv(path, index=False)
    write_json(
        folder / "metrics.json",
        {
            "identity": identity,
            "files": _hashes(folder, "events.csv", "predictions.npz"),
            "subject": subject,
            "half_width": half_width,
            **scores.to_dict(),
        },
    )
    return scores


def _stored_scores(folder: Path, identity: str) -> metrics.Scores | None:
    """The scores in a metrics.json of the same predictions and scoring, which then counts as made now."""
    path = folder / "metrics.json"
    try:
        stored = read_json(path)
        if stored.get("identity") != identity or not _is_whole(folder, stored):
            return None
        scores = metrics.Scores.from_dict(stored)
    except (OSError, ValueError):
        return None
    os.utime(path)  # newer than its inputs again, or the workflow would ask for it for ever
    return scores


def _events_table(predicted: dict[Key, list[Event]], truth: dict[Key, list[Event]]) -> pd.DataFrame:
    rows = [
        (subject, video, origin, event.onset, event.apex, event.offset, event.emotion)
        for origin, found in (("predicted", predicted), ("true", truth))
        for (subject, video), events in found.items()
        for event in events
    ]
    columns = ["subject", "video", "origin", "onset", "apex", "offset", "emotion"]
    return pd.DataFrame(rows, columns=columns).astype({"apex": "Int64"})


def read_fold(config: Config, subject: str) -> Fold:
    """A finished fold from its artefacts.

    FileNotFoundError where it has not been run, or not with these settings; ValueError naming its folder
    where one of its files is damaged.
    """
    folder, name = fold_folder(config, subject), f"fold {subject} of {config.variant}, seed {config.seed},"
    if not ((folder / "metrics.json").is_file() and (folder / "config.json").is_file()):
        raise FileNotFoundError(f"{name} has not been run")
    stored, fitted = read_json(folder / "metrics.json"), read_json(folder / "config.json")
    if stored.get("identity") != digest(fitted.get("identity"), config.to_dict()):
        raise FileNotFoundError(f"{name} has been run with other settings only")
    if not (_is_whole(folder, stored) and _is_whole(folder, fitted)):
        raise ValueError(f"{name} is damaged: a file in {folder} is not as it was written; run it again")
    table = pd.read_csv(folder / "events.csv", dtype=_EVENT_COLUMNS)
    keys = [(subject, video.name) for video in load_data(config).videos_of(subject)]
    with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
        score = {key: arrays[f"score/{key[1]}"] for key in keys if f"score/{key[1]}" in arrays}
        logits = {key: arrays[f"logits/{key[1]}"] for key in score}
    try:
        history = pd.read_csv(folder / "history.csv")
    except pd.errors.EmptyDataError:
        history = pd.DataFrame()
    return Fold(
        subject=subject,
        predicted=_events_of(table, "predicted", keys),
        truth=_events_of(table, "true", keys),
        score=score,
        logits=logits,
        half_width=stored["half_width"],
        scores=metrics.Scores.from_dict(stored),
        fitted=fitted["fitted"],
        history=history,
    )


_EVENT_COLUMNS = {"subject": str, "video": str, "origin": str, "apex": "Int64", "emotion": str}
"""Types of the columns of events.csv. Left to itself pandas takes a column of nothing but "true" for truth
values, and a fold without a prediction would lose its true events."""


def _events_of(table: pd.DataFrame, origin: str, keys: list[Key]) -> dict[Key, list[Event]]:
    found: dict[Key, list[Event]] = {key: [] for key in keys}
    for row in table[table.origin == origin].itertuples():
        apex = None if pd.isna(row.apex) else int(row.apex)
        emotion = None if pd.isna(row.emotion) else row.emotion
        found[row.subject, row.video].append(Event(row.onset, row.offset, apex, emotion))
    return found


# --- all folds ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The folds of one variant and seed that are there, and the subjects whose fold is not."""

    config: Config
    folds: dict[str, Fold]
    missing: list[str]

    @property
    def predicted(self) -> dict[Key, list[Event]]:
        """The events found, of all videos."""
        return {key: found for fold in self.folds.values() for key, found in fold.predicted.items()}

    @property
    def truth(self) -> dict[Key, list[Event]]:
        """The true events, of all videos."""
        return {key: events for fold in self.folds.values() for key, events in fold.truth.items()}

    def scores(self, scorer: str = "strict") -> metrics.Scores:
        """Scores of all folds together: counts are pooled over the data set, then divided (Sec. IV-A).

        Raises ValueError naming the folds that are missing: no number stands for a part of them.
        """
        if self.missing:
            total = len(self.missing) + len(self.folds)
            raise ValueError(
                f"{self.config.variant}, seed {self.config.seed}: {len(self.folds)} of {total} folds are "
                f"there; missing: {', '.join(self.missing)}"
            )
        return metrics.evaluate(self.predicted, self.truth, scorer)


def read_run(config: Config) -> Run:
    """Every finished fold of a variant and seed."""
    found, missing = {}, []
    for subject in folds(config):
        try:
            found[subject] = read_fold(config, subject)
        except FileNotFoundError:
            missing.append(subject)
    return Run(config, found, missing)


# --- provenance -----------------------------------------------------------------------------------------


def _inputs(config: Config, data: Dataset) -> str:
    """Hash of everything that the folds read: flow files and labels."""
    labels = [
        (v.subject, v.name, v.n_frames, v.fps, [dataclasses.astuple(e) for e in v.events])
        for v in data.videos
    ]
    return digest(flow_report(config)["videos"], labels)


def _fit_identity(config: Config) -> str:
    """Names everything that decides a fold's predictions."""
    return digest(config.fitting(), _inputs(config, load_data(config)))


def _stored_identity(folder: Path) -> str | None:
    """What the predictions in a folder were made of; None where they are not there or damaged."""
    try:
        stored = read_json(folder / "config.json")
    except (OSError, ValueError):
        return None
    return stored.get("identity") if _is_whole(folder, stored) else None
