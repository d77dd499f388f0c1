"""What runs leave on disk: the names of all artefacts, the records in them, and the one rule of what holds.

A fold holds if it was made of today's inputs: its settings, its labels, its flow, and the number of each step
that computes (`STEPS`). Everything that asks (runs, tables, figures, plan, trace, explorer, chapters, the
workflow) asks `state`. What is foreign, damaged or older is no fold of ours and is made again. Every file is
written whole or not at all, and read as a typed record.

Glossary: T frames of a video; k_p half the mean length of an event.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib._files import atomic, digest, sha256, sweep
from metst_lib.events import Event, Key, Prediction, Video, named
from metst_lib.experiment.config import Config
from metst_lib.experiment.records import read, write
from metst_lib.experiment.variants import presets_of
from metst_lib.fold import Fold
from metst_lib.metrics import MEASURES, Scores

#: A number for each step, raised by whoever changes what it computes: what was made before is stale then.
STEPS = {"flow": 2, "training": 2, "baseline": 1, "prediction": 2, "spotting": 1, "metrics": 1}

#: What stands for the flow of a video that can give none.
NO_FLOW = "no flow"

# --- places ---------------------------------------------------------------------------------------------


def flow_folder(config: Config) -> Path:
    """Where the flow that a run reads lies, keyed by its settings."""
    s, marks = config.settings, config.places.landmarks
    settings = (config.what.roi_set, s.window, s.flow_mode, s.frame_step, marks.name + "/" * marks.is_dir())
    name = f"roi{config.what.roi_set}-k{s.window}-{s.flow_mode}-{digest(settings)[:6]}"
    return config.places.data / "flow" / config.dataset / name


def flow_path(config: Config, video: Video) -> Path:
    """Where a video's ROI flow lies."""
    return flow_folder(config) / f"{video.subject}_{video.name}.npz"


def flow_report_path(config: Config) -> Path:
    """The record of all flow in a folder, written last."""
    return flow_folder(config) / "complete.json"


def landmarks_path(config: Config, video: Video) -> Path:
    """Where the landmarks that the predictor found in a video are kept."""
    folder = config.places.data / "landmarks" / config.dataset / config.places.landmarks.stem
    return folder / f"{video.subject}_{video.name}.npz"


def manifest_path(config: Config) -> Path:
    """What the frames of a set's videos were when they were last read."""
    return config.places.data / "manifests" / f"{config.dataset}.json"


def edition_folder(config: Config) -> Path:
    """Where all runs of an edition lie, their executed chapters and the page that shows them."""
    return config.places.data / "runs" / config.edition


def run_folder(config: Config) -> Path:
    """Where the folds of a variant, kind and seed lie."""
    return edition_folder(config) / config.variant / config.settings.kind / f"seed{config.seed}"


def seeds_of(config: Config) -> list[int]:
    """The seeds of which a run of this variant and kind has a folder."""
    found = [path.name.removeprefix("seed") for path in run_folder(config).parent.glob("seed*")]
    return sorted(int(number) for number in found if number.isdigit())


def fold_folder(config: Config, subject: str) -> Path:
    """Where a fold's artefacts lie."""
    return run_folder(config) / subject


def checkpoint_path(config: Config, subject: str) -> Path:
    """Where a fold's training keeps its state, as long as it lasts."""
    return fold_folder(config, subject) / "checkpoint.pt"


def metrics_path(config: Config, subject: str) -> Path:
    """The file that a finished fold ends with."""
    return fold_folder(config, subject) / "metrics.json"


def scores_path(config: Config) -> Path:
    """The curves of a whole run as other methods' are read (`evidence.scorefile`)."""
    return run_folder(config) / "scores.npz"


def truth_path(config: Config) -> Path:
    """The events of an edition's videos as a table of intervals (`evidence.intervals`)."""
    return edition_folder(config) / "truth.csv"


def model_path(config: Config) -> Path:
    """Where the model lies that was trained on all subjects."""
    return config.places.data / "models" / config.edition / f"{config.variant}.npz"


def pack_path(config: Config) -> Path:
    """Where `metst share` puts what may travel of a variant."""
    return edition_folder(config) / "shared" / f"{config.edition}-{config.variant}.json"


def chapter_path(config: Config, chapter: str, suffix: str = ".html") -> Path:
    """Where the executed copy of a chapter goes, as a page or (".ipynb") as a notebook."""
    return edition_folder(config) / "notebooks" / f"{chapter}{suffix}"


def index_page(config: Config) -> Path:
    """The page that an edition's run ends with."""
    return edition_folder(config) / "index.html"


def figures_folder(config: Config) -> Path:
    """Where an edition's tables and figures go; `figures/synthetic/` itself is the stored edition."""
    name = (
        next(iter(presets_of(config.dataset, config.places.data))) if config.reader.truth else config.dataset
    )
    return config.places.figures / config.edition.replace(config.dataset, name, 1)


# --- records --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spent:
    """What some work took: seconds, peak memory of the process and of the GPU (MiB), when it ended (UTC)."""

    seconds: float
    peak_memory_mib: int | None
    peak_gpu_memory_mib: int | None
    finished: str


@dataclass(frozen=True)
class Fitting:
    """What a fold's predictions were made of and with, and what it took; files: their hashes."""

    identity: str
    files: dict[str, str]
    subject: str
    settings: dict[str, Any]
    fitted: dict[str, Any]
    made_with: dict[str, Any]
    spent: Spent
    resumed_after_epoch: int


@dataclass(frozen=True)
class Scoring:
    """What became of a fold's predictions: k_p of its training subjects, and the scores."""

    identity: str
    files: dict[str, str]
    subject: str
    half_width: int
    measures: dict[str, float]
    scores: Scores


# --- folds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inputs:
    """Today's inputs of a run: for each video what its flow is ("" where there is none that holds), and a
    digest of its length and of its events of the kind that is spotted."""

    flow: Mapping[Key, str]
    labels: Mapping[Key, str]

    def of(self, subject: str, inside: bool) -> list[tuple[Key, str]]:
        """(video, flow) of the videos of a subject, or of all others."""
        return sorted((key, flow) for key, flow in self.flow.items() if (key[0] == subject) == inside)


def fit_identity(config: Config, subject: str, inputs: Inputs) -> str:
    """Names all that decides a fold's predictions; labels of the subject left out are no part of it."""
    learns = "training" if config.recipe.training else "baseline"
    steps = {name: STEPS[name] for name in ("flow", learns, "prediction")}
    train = [(*seen, inputs.labels[seen[0]]) for seen in inputs.of(subject, False)]
    return digest(config.fitting(), steps, subject, train, inputs.of(subject, True))


def identity(config: Config, subject: str, inputs: Inputs) -> str:
    """Names everything that decides a fold's scores."""
    steps = {name: STEPS[name] for name in ("spotting", "metrics")}
    test = sorted((key, labels) for key, labels in inputs.labels.items() if key[0] == subject)
    return digest(fit_identity(config, subject, inputs), config.to_dict(), steps, test)


def fitting(config: Config, subject: str, inputs: Inputs) -> Fitting | None:
    """The record of a fold's fit, where that holds."""
    record, folder = read_fitting(config, subject), fold_folder(config, subject)
    same = record and (record.subject, record.identity) == (subject, fit_identity(config, subject, inputs))
    return record if same and _whole(folder, record.files, _OF_A_FIT) else None


def read_fitting(config: Config, subject: str) -> Fitting | None:
    """The record of a fold's fit, whether it holds or not."""
    return read(fold_folder(config, subject) / _FITTED, Fitting)


def made(config: Config, subject: str) -> tuple[str, str]:
    """Short hashes of a finished fold's predictions, and of all that it was made of."""
    scored = read(metrics_path(config, subject), Scoring)
    return scored.files[_PREDICTIONS][:12], scored.identity


def scoring(config: Config, subject: str, inputs: Inputs) -> Scoring | None:
    """The record of a fold's scores, where those hold."""
    record, folder = read(metrics_path(config, subject), Scoring), fold_folder(config, subject)
    same = record and (record.subject, record.identity) == (subject, identity(config, subject, inputs))
    return record if same and _whole(folder, record.files, _OF_SCORES) else None


def state(config: Config, subject: str, inputs: Inputs) -> str:
    """The rule of validity: a fold is "valid", "missing", or "stale": what is there does not hold."""
    if not metrics_path(config, subject).exists():
        return "missing"
    holds = scoring(config, subject, inputs) and fitting(config, subject, inputs)
    return "valid" if holds else "stale"


def save_fit(
    config: Config,
    subject: str,
    inputs: Inputs,
    predictions: Mapping[Key, Prediction],
    history: pd.DataFrame,
    **about: Any,
) -> None:
    """Keep what a fit predicted for the subject left out; about: the rest of `Fitting`."""
    folder = _begun(config, subject)
    arrays = {}
    for key, seen in predictions.items():
        arrays[f"score/{named(key)}"], arrays[f"logits/{named(key)}"] = seen.score, seen.logits
    with atomic(folder / _HISTORY) as path:
        history.to_csv(path, index=False)
    with atomic(folder / _PREDICTIONS) as path:
        np.savez_compressed(path, **arrays)
    hashes = {name: sha256(folder / name) for name in _OF_A_FIT}
    made = fit_identity(config, subject, inputs)
    write(folder / _FITTED, Fitting(made, hashes, subject, config.fitting(), **about))


def copy_fit(source: Config, config: Config, subject: str) -> None:
    """The fit of a shared training, taken over; its record, which makes it valid, comes last."""
    there, folder = fold_folder(source, subject), _begun(config, subject)
    for name in (*_OF_A_FIT, _FITTED):
        with atomic(folder / name) as path:
            path.write_bytes((there / name).read_bytes())


def save_scores(config: Config, subject: str, inputs: Inputs, fold: Fold) -> None:
    """Keep what was found of a fold's predictions, and its scores."""
    folder = fold_folder(config, subject)
    metrics_path(config, subject).unlink(missing_ok=True)
    with atomic(folder / _EVENTS) as path:
        _events_table(fold).to_csv(path, index=False)
    hashes = {name: sha256(folder / name) for name in _OF_SCORES}
    measures = {name: fold.scores.measure(name) for name in MEASURES}
    made = identity(config, subject, inputs)
    record = Scoring(made, hashes, subject, fold.rule.half_width, measures, fold.scores)
    write(metrics_path(config, subject), record)


def read_predictions(config: Config, subject: str) -> dict[Key, Prediction]:
    """The predictions of a fold, by video."""
    with np.load(fold_folder(config, subject) / _PREDICTIONS, allow_pickle=False) as stored:
        keys = [name.removeprefix("score/") for name in stored.files if name.startswith("score/")]
        found = {key: Prediction(stored[f"score/{key}"], stored[f"logits/{key}"]) for key in keys}
    return {(subject, key.removeprefix(f"{subject} ")): seen for key, seen in found.items()}


def read_history(config: Config, subject: str) -> pd.DataFrame:
    """The losses of a fold's training, a row an epoch; empty without a training."""
    return pd.read_csv(fold_folder(config, subject) / _HISTORY)


def read_fold(config: Config, subject: str, inputs: Inputs, videos: Iterable[Video]) -> Fold:
    """A finished fold; videos: those of the subject. FileNotFoundError where there is none that holds."""
    scored, fitted = scoring(config, subject, inputs), fitting(config, subject, inputs)
    if not (scored and fitted):
        stale = state(config, subject, inputs) == "stale"
        why = "was made of other settings or inputs" if stale else "has not been run"
        raise FileNotFoundError(f"fold {subject} of {config.variant}, seed {config.seed}, {why}")
    table = pd.read_csv(fold_folder(config, subject) / _EVENTS, dtype=_COLUMNS)
    keys = [video.key for video in videos]
    return Fold(
        rule=dataclasses.replace(config.recipe.rule, half_width=scored.half_width),
        predictions=read_predictions(config, subject),
        predicted=_events_of(table, "predicted", keys),
        truth=_events_of(table, "true", keys),
        scores=scored.scores,
        statistics=fitted.fitted,
        history=read_history(config, subject),
    )


_FITTED, _HISTORY, _PREDICTIONS, _EVENTS = "config.json", "history.csv", "predictions.npz", "events.csv"
_OF_A_FIT, _OF_SCORES = (_HISTORY, _PREDICTIONS), (_EVENTS, _PREDICTIONS)  # what the two records vouch for
# Types of the columns of events.csv. Left to itself pandas takes a column of nothing but "true" for truth
# values, and a fold without a prediction would lose its true events.
_COLUMNS = dict.fromkeys(("subject", "video", "origin", "kind", "emotion"), str) | {"apex": "Int64"}


def _begun(config: Config, subject: str) -> Path:
    """A fold's folder, from here on neither fitted nor scored, until both records are back."""
    folder = fold_folder(config, subject)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    for path in (metrics_path(config, subject), folder / _FITTED, scores_path(config)):
        path.unlink(missing_ok=True)
    return folder


def _whole(folder: Path, files: Mapping[str, str], names: Sequence[str]) -> bool:
    """Whether the files that a record has to vouch for are there as they were written."""
    try:
        return files == {name: sha256(folder / name) for name in names}
    except OSError:
        return False


def _events_table(fold: Fold) -> pd.DataFrame:
    rows = [
        (*key, origin, event.kind, event.onset, event.apex, event.offset, event.emotion)
        for origin, found in (("predicted", fold.predicted), ("true", fold.truth))
        for key, events in found.items()
        for event in events
    ]
    columns = ["subject", "video", "origin", "kind", "onset", "apex", "offset", "emotion"]
    return pd.DataFrame(rows, columns=columns).astype({"apex": "Int64"})


def _events_of(table: pd.DataFrame, origin: str, keys: list[Key]) -> dict[Key, list[Event]]:
    found: dict[Key, list[Event]] = {key: [] for key in keys}
    for row in table[table.origin == origin].itertuples():
        apex = None if pd.isna(row.apex) else int(row.apex)
        emotion = None if pd.isna(row.emotion) else row.emotion
        found[row.subject, row.video].append(Event(row.onset, row.offset, apex, emotion, row.kind))
    return found
