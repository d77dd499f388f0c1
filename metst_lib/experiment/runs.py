"""Runs: a fold kept, repeated and resumed around `fold.fold`, and all folds of a variant and seed (Sec. IV).

A fold whose settings and inputs have not changed since is not fitted again, one that was fitted already is
only scored, and a training that was stopped goes on from its checkpoint.

Glossary: T frames of a video; k_p half the mean length of an event, in frames.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from metst_lib import fold as folding
from metst_lib import metrics, ssm
from metst_lib._files import digest
from metst_lib.events import Event, Key, Prediction, Video, numbered
from metst_lib.evidence import intervals, scorefile
from metst_lib.experiment import flows, provenance, store
from metst_lib.experiment.checkpoint import Checkpoint
from metst_lib.experiment.config import Config
from metst_lib.fold import Fold


def folds(config: Config) -> list[str]:
    """The subjects that are left out in turn: those that have an event of the run's kind."""
    return flows.load_data(config).subjects


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


def run_fold(config: Config, subject: str, inputs: store.Inputs | None = None) -> metrics.Scores:
    """Fit on all other subjects, score on this one, keep the artefacts; returns the fold's scores.

    The fit is skipped where predictions of the same settings and inputs are there, the scoring too. While a
    network is trained, its checkpoint lies there as well, renewed about every minute, or every
    $METST_CHECKPOINT seconds. inputs: today's, where the caller knows them.

    ValueError for an unknown subject; FloatingPointError, naming the fold, where the training diverges or
    what the network predicts is no answer. Such a fold gets no scores.
    """
    (subject,) = chosen(config, subject)
    inputs = inputs or flows.whole_inputs(config)
    source = config.trained
    if store.fitting(source, subject, inputs) is None:
        _fit(source, subject, inputs)
    store.checkpoint_path(source, subject).unlink(missing_ok=True)  # of a run killed just before it did so
    if store.fitting(config, subject, inputs) is None:
        store.copy_fit(source, config, subject)
    if scored := store.scoring(config, subject, inputs):
        return scored.scores
    stored = _Stored(config, subject, inputs)
    fold = _fold(config, subject, stored.flow, stored)
    flows.ensure(config, inputs)
    store.save_scores(config, subject, inputs, fold)
    return fold.scores


def run_folds(config: Config, subjects: Iterable[str], progress: bool = True) -> dict[str, metrics.Scores]:
    """Run several folds one after the other; a failing fold does not stop the rest.

    Raises RuntimeError at the end, naming the folds that failed and why.
    """
    done, failed, inputs = {}, {}, flows.whole_inputs(config)
    for subject in tqdm(list(subjects), desc=config.variant, unit="fold", disable=None if progress else True):
        try:
            done[subject] = run_fold(config, subject, inputs)
        except Exception as error:
            failed[subject] = error
    if failed:
        reasons = "; ".join(f"{subject}: {error}" for subject, error in failed.items())
        first = next(iter(failed.values()))
        raise RuntimeError(f"{len(failed)} of {len(failed) + len(done)} folds failed: {reasons}") from first
    return done


def fit(config: Config, videos: Iterable[Video]) -> Any:
    """The run's recipe fitted on the flow and events of these videos alone; see `fold.fit`."""
    torch.set_num_threads(1)  # folds run side by side, one thread each
    flow = flows.load_flow(config, videos)
    truth = {video.key: list(video.events) for video in videos if video.key in flow}
    return folding.fit(flow, truth, config.recipe, config.seed)


def _fold(config: Config, subject: str, flow: Mapping[Key, Any], fit: Callable[..., Any]) -> Fold:
    """`fold.fold` on the run's labels."""
    truth = {video.key: list(video.events) for video in flows.load_data(config).videos}
    return folding.fold(flow, truth, [subject], config.recipe, config.seed, fit)


class _Stored:
    """A fit that is on disk: it "predicts" what was predicted. flow: in place of flow, by video."""

    def __init__(self, config: Config, subject: str, inputs: store.Inputs) -> None:
        predictions = store.read_predictions(config, subject)
        self.flow = {key: predictions.get(key) for key, flow in inputs.flow.items() if flow != store.NO_FLOW}
        self.history = store.read_history(config, subject)
        self.statistics = store.fitting(config, subject, inputs).fitted

    def __call__(self, *_: Any) -> Any:
        return self

    def predict(self, seen: Prediction) -> Prediction:
        return seen


def _fit(config: Config, subject: str, inputs: store.Inputs) -> None:
    """Fit and predict one fold, and keep what was predicted."""
    began = time.perf_counter()
    provenance.start_counting()
    checkpoint = _checkpoint(config, subject, inputs)
    fitted: list[Any] = []

    def fit(*arguments: Any) -> Any:
        fitted.append(folding.fit(*arguments, checkpoint=checkpoint))
        return fitted[0]

    torch.set_num_threads(1)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(config.matmul)
    try:
        fold = _fold(config, subject, flows.load_flow(config, flows.load_data(config).videos), fit)
    except FloatingPointError as error:
        checkpoint.remove()
        named = f"fold {subject} of {config.variant}, seed {config.seed}"
        raise FloatingPointError(f"{named}: {error}") from error
    finally:
        torch.set_float32_matmul_precision(before)
    (result,) = fitted
    device = fold.statistics.get("device", "cpu")
    flows.ensure(config, inputs)
    store.save_fit(
        config,
        subject,
        inputs,
        fold.predictions,
        fold.history,
        fitted=fold.statistics,
        made_with=provenance.surroundings(device, ssm.choose_backend(device) if result.model else None),
        spent=provenance.spent(result.earlier + time.perf_counter() - began, device),
        resumed_after_epoch=result.resumed,
    )
    checkpoint.remove()


def _checkpoint(config: Config, subject: str, inputs: store.Inputs) -> Checkpoint:
    """Where the fold's training keeps its state; with another scan or other packages it is another one."""
    made_with = ssm.choose_backend("cuda" if torch.cuda.is_available() else "cpu"), provenance.versions()
    every = os.environ.get("METST_CHECKPOINT", "60")
    try:
        seconds = float(every)
    except ValueError:
        raise ValueError(f"METST_CHECKPOINT is a number of seconds, not {every!r}") from None
    named = digest(store.fit_identity(config, subject, inputs), made_with)
    return Checkpoint(store.checkpoint_path(config, subject), named, seconds, tqdm.write)


# --- all folds ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The folds of one variant and seed that hold, and the subjects whose fold is missing or stale."""

    config: Config
    folds: dict[str, Fold]
    missing: list[str]
    stale: list[str]

    @property
    def predicted(self) -> dict[Key, list[Event]]:
        """The events found, of all videos."""
        return {key: found for fold in self.folds.values() for key, found in fold.predicted.items()}

    @property
    def truth(self) -> dict[Key, list[Event]]:
        """The true events, of all videos."""
        return {key: events for fold in self.folds.values() for key, events in fold.truth.items()}

    @property
    def lacking(self) -> list[str]:
        """The subjects without a fold that holds."""
        return [*self.missing, *self.stale]

    def scores(self, scorer: str = "strict") -> metrics.Scores:
        """Scores of all folds together: counts are pooled over the data set, then divided (Sec. IV-A).

        Raises ValueError naming the folds that are missing or stale: no number stands for a part of them.
        """
        self.require_whole()
        return metrics.evaluate(self.predicted, self.truth, scorer, self.config.settings.kind)

    def require_whole(self) -> None:
        """ValueError naming the folds that are missing or stale, where there are such."""
        if self.lacking:
            total = len(self.lacking) + len(self.folds)
            stale = f"; stale: {', '.join(self.stale)}" if self.stale else ""
            raise ValueError(
                f"{self.config.variant}, seed {self.config.seed}: {len(self.folds)} of {total} folds are "
                f"there; missing: {', '.join(self.missing) or 'none'}{stale}"
            )


def states(config: Config, inputs: store.Inputs | None = None) -> dict[str, str]:
    """Each fold's subject → "valid", "stale" or "missing" (`store.state`)."""
    inputs = inputs or flows.inputs(config)
    return {subject: store.state(config, subject, inputs) for subject in folds(config)}


def read_fold(config: Config, subject: str, inputs: store.Inputs | None = None) -> Fold:
    """A finished fold from its artefacts; FileNotFoundError where there is none that holds."""
    videos = flows.load_data(config).videos_of(subject)
    return store.read_fold(config, subject, inputs or flows.inputs(config), videos)


def read_run(config: Config, inputs: store.Inputs | None = None) -> Run:
    """Every fold of a variant and seed that holds."""
    inputs = inputs or flows.inputs(config)
    found = states(config, inputs)
    by_state = {state: [s for s, other in found.items() if other == state] for state in ("missing", "stale")}
    valid = {s: read_fold(config, s, inputs) for s, state in found.items() if state == "valid"}
    return Run(config, valid, **by_state)


def write_scores(run: Run) -> Path | None:
    """Write a run's curves and its videos' events for `metst score`; None, and no curves, unless it is whole.

    A video without flow has no curve. Each new fit takes the file away.
    """
    path, config = store.scores_path(run.config), run.config
    if run.lacking:
        path.unlink(missing_ok=True)
        return None
    data = flows.load_data(config)
    fps = {video.key: video.fps for video in data.videos}
    n_frames = {video.key: video.n_frames for video in data.videos}
    labels = data.events("micro", "macro")
    numbers = {video.key: (video.first, video.step) for video in data.videos}
    intervals.write(store.truth_path(config), config.dataset, labels, fps, n_frames, numbers)
    seen = {key: of for fold in run.folds.values() for key, of in fold.predictions.items()}
    return scorefile.write(path, config.dataset, seen, {key: fps[key] for key in seen})


def found_by(runs: Iterable[Run]) -> dict[Key, list[Event]]:
    """The events that whole runs (one a kind) found, together, in the owners' numbers of their frames.

    ValueError where a run lacks folds.
    """
    found: dict[Key, list[Event]] = {}
    for run in runs:
        run.require_whole()
        videos = {video.key: video for video in flows.load_data(run.config).videos}
        for key, events in run.predicted.items():
            how = videos[key].first, videos[key].step
            found.setdefault(key, []).extend(numbered(event, *how) for event in events)
    return found


def score_fitted(configs: Iterable[Config]) -> None:
    """Score the folds again that are fitted but have no scores any more.

    Where one fold of a job fails, the workflow takes away the scores of the job's finished folds too.
    """
    today = flows.shared_inputs()
    for config in configs:
        for subject, state in states(config, today(config)).items():
            if state == "missing" and store.fitting(config.trained, subject, today(config)):
                run_fold(config, subject, today(config))
