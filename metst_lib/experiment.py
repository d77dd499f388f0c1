"""Experiments: presets and variants, where files lie, and one fold from flow to scores (paper, Sec. IV).

A fold leaves one subject out: a variant is fitted on the other subjects' videos and scored on this one's.
Everything a fold leaves behind is written whole or not at all, and a fold whose settings and inputs have
not changed since is not fitted again.

Glossary: W windows of a video, C channels (region × x, y), k frames of a window, T frames of a video,
k_p half the mean length of a micro-expression (ME), p the peak threshold (Sec. III-A).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from tqdm.auto import tqdm

from metst_lib import datasets, faces, flow, frames, metrics, models, rois, spotting, ssm, training, windows
from metst_lib._files import atomic, digest, write_json
from metst_lib.datasets import Dataset
from metst_lib.events import Event, Video
from metst_lib.synthetic import signals

Key = tuple[str, str]  # (subject, video)


@dataclass(frozen=True)
class Variant:
    """What is compared: a network or comparator, its regions, and the two synergies (Table V).

    trained_as names the variant whose training this one shares: result-level synergy acts after training.
    """

    title: str
    network: str
    roi_set: str = "5"
    feature_synergy: bool = True
    result_synergy: bool = True
    trained_as: str | None = None


VARIANTS = {
    # comparators
    "flow-magnitude": Variant(
        "flow magnitude", "flow-magnitude", feature_synergy=False, result_synergy=False
    ),
    "window-classifier": Variant("window classifier", "WindowClassifier"),
    "transformer": Variant("transformer", "Transformer"),
    # Table V, rows 1–7
    "me-tst-no-synergy": Variant("ME-TST, no synergy", "METST", feature_synergy=False, result_synergy=False),
    "me-tst": Variant("ME-TST", "METST"),
    "slowfast-5roi": Variant("slow-fast, 5 regions", "METSTPlus", result_synergy=False),
    "single-path-18roi": Variant("single path, 18 regions", "METST", "18", result_synergy=False),
    "me-tst-plus-no-feature-synergy": Variant(
        "ME-TST+, no synergy", "METSTPlus", "18", feature_synergy=False, result_synergy=False
    ),
    "me-tst-plus-no-result-synergy": Variant(
        "ME-TST+, no result-level synergy", "METSTPlus", "18", result_synergy=False, trained_as="me-tst-plus"
    ),
    "me-tst-plus": Variant("ME-TST+", "METSTPlus", "18"),
}
"""Known variants by name."""


@dataclass(frozen=True)
class Preset:
    """Settings of a data set: frames, windows, network sizes and training (facts beside each in PRESETS)."""

    frame_step: int
    window: int
    flow_mode: str
    sizes: dict[str, dict[str, int]]
    training: dict[str, training.TrainingSettings]


_ME_TST = training.TrainingSettings(epochs=30, lr=1e-4, batch=32, ratio=0.5)  # the released ME-TST
_ME_TST_PLUS = dataclasses.replace(_ME_TST, epochs=50, lr=3e-4)  # the paper, Sec. IV-B
_FULL: dict[str, dict[str, int]] = {}  # the networks' own defaults are the paper's sizes
_FITS = {name: _ME_TST_PLUS if name == "METSTPlus" else _ME_TST for name in models.NETWORKS}
_LARGE = {name: dataclasses.replace(fit, batch=256, ratio=4.0) for name, fit in _FITS.items()}
# Small networks that a laptop trains in seconds, and a higher learning rate: a fold has 200–300 steps only.
_SMALL = {
    "METST": {"dim": 32, "depth": 4, "d_state": 16},
    "METSTPlus": {"dim": 32, "n_blocks": 3, "depth": 1, "d_state": 16},
    "Transformer": {"dim": 32, "depth": 4},
    "WindowClassifier": {"dim": 16},
}
_SHORT = dict.fromkeys(models.NETWORKS, training.TrainingSettings(epochs=20, lr=3e-3, batch=32, ratio=0.5))

PRESETS = {
    ("synthetic", "demo"): Preset(1, 30, "fast", _SMALL, _SHORT),
    ("synthetic", "paper"): Preset(1, 30, "exact", _FULL, _FITS),
    ("casme3", "paper"): Preset(1, 50, "exact", _FULL, _LARGE),
    ("sammlv", "paper"): Preset(7, 30, "exact", _FULL, _FITS),
    ("casme2sq", "paper"): Preset(1, 50, "exact", _FULL, _FITS),
    ("casme3-rehearsal", "paper"): Preset(1, 50, signals.MODE, _FULL, _LARGE),
}
"""(data set, preset) → settings. The first preset of a data set is its default."""


def presets_of(dataset: str) -> list[str]:
    """Names of the presets of a data set, the default first. ValueError listing the known data sets."""
    names = [preset for name, preset in PRESETS if name == dataset]
    if not names:
        raise ValueError(f"unknown data set {dataset!r}; known: {', '.join(datasets.known())}")
    return names


@dataclass(frozen=True)
class Config:
    """One experiment: everything that decides its numbers, and where its files lie. Made by `configure`."""

    dataset: str
    variant: str
    seed: int
    preset: str
    root: Path
    settings: Preset
    landmarks: Path
    epochs: int = 0  # in place of the preset's, to try things out; 0 leaves them
    p: float = 0.55
    stitch: str = "mean"
    scorer: str = "strict"

    @property
    def what(self) -> Variant:
        """The variant's description."""
        return VARIANTS[self.variant]

    @property
    def data(self) -> Path:
        """The folder that holds every data set, its flow and its runs."""
        return self.root / "data"

    @property
    def edition(self) -> str:
        """Name of the folders of runs and figures: the data set, with what is not its default."""
        default = presets_of(self.dataset)[0]
        preset = "" if self.preset == default else f"-{self.preset}"
        return self.dataset + preset + (f"-{self.epochs}epochs" if self.epochs else "")

    @property
    def run_folder(self) -> Path:
        """Where the folds of this variant and seed lie."""
        return self.data / "runs" / self.edition / self.variant / f"seed{self.seed}"

    @property
    def flow_folder(self) -> Path:
        """Where the flow that this experiment reads lies, keyed by its settings."""
        s = self.settings
        marks = self.landmarks.name + "/" * self.landmarks.is_dir()
        settings = (self.what.roi_set, s.window, s.flow_mode, s.frame_step, marks)
        name = f"roi{self.what.roi_set}-k{s.window}-{s.flow_mode}-{digest(settings)[:6]}"
        return self.data / "flow" / self.dataset / name

    @property
    def figures(self) -> Path:
        """Where tables and figures go: `figures/<edition>`, or under $METST_FIGURES where that is set."""
        base = os.environ.get("METST_FIGURES")
        return (Path(base) if base else self.root / "figures") / self.edition

    @property
    def synthetic(self) -> bool:
        """Whether the data are rendered or signals, which every caption then says."""
        return self.dataset == "synthetic" or self.rehearsal

    @property
    def rehearsal(self) -> bool:
        """Whether there are no frames at all: real annotations, and flow made of signals."""
        return self.dataset in datasets.REHEARSALS

    @property
    def trained(self) -> Config:
        """The experiment whose training this one uses: itself, or that of the variant it is trained as."""
        return dataclasses.replace(self, variant=self.what.trained_as or self.variant)

    def fitting(self) -> dict[str, Any]:
        """What decides the predictions, as JSON-able values; no paths of this machine."""
        network = self.what.network
        learned = network in self.settings.training
        return {
            "dataset": self.dataset,
            "variant": self.trained.variant,
            "seed": self.seed,
            "preset": self.preset,
            "roi_set": self.what.roi_set,
            "frame_step": self.settings.frame_step,
            "window": self.settings.window,
            "flow_mode": self.settings.flow_mode,
            "network": network,
            "size": self.settings.sizes.get(network, {}),
            "training": dataclasses.asdict(self.training) if learned else None,
            "stitch": self.stitch,
        }

    def to_dict(self) -> dict[str, Any]:
        """What decides the numbers: `fitting`, and how events are made of predictions and scored."""
        scoring = {"p": self.p, "result_synergy": self.what.result_synergy, "scorer": self.scorer}
        return self.fitting() | {"variant": self.variant, "scoring": scoring}

    @property
    def training(self) -> training.TrainingSettings:
        """Training settings of this variant's network, with its feature-level synergy."""
        chosen = self.settings.training[self.what.network]
        epochs = self.epochs or chosen.epochs
        return dataclasses.replace(chosen, epochs=epochs, feature_synergy=self.what.feature_synergy)


def home(root: str | Path = "") -> Path:
    """The compendium's folder: `root` if given, else $METST_ROOT, else the checkout, else this folder."""
    if root or os.environ.get("METST_ROOT"):
        return Path(root or os.environ["METST_ROOT"]).resolve()
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def configure(
    dataset: str = "synthetic",
    variant: str = "me-tst",
    seed: int = 0,
    preset: str = "",
    root: str | Path = "",
    landmarks: str | Path = "",
) -> Config:
    """The experiment of these names; empty texts mean the defaults.

    landmarks is dlib's predictor file, or a folder with a landmark file of each video (`landmark_file`): by
    default $METST_LANDMARKS, else the demonstration predictor for the synthetic set and
    `data/shape_predictor_68_face_landmarks.dat` for the others.
    Raises ValueError for an unknown data set, variant or preset, listing the known ones.
    """
    known = presets_of(dataset)
    preset = preset or known[0]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} for {dataset}; known: {', '.join(known)}")
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    root = home(root)
    own = "synthetic/shape_predictor_68_synthetic.dat" if dataset == "synthetic" else faces.PREDICTOR.name
    if dataset in datasets.REHEARSALS:
        landmarks = root / "data" / "none"  # no face, so no landmarks
    marks = Path(os.path.abspath(landmarks or os.environ.get("METST_LANDMARKS") or root / "data" / own))
    return Config(dataset, variant, seed, preset, root, PRESETS[dataset, preset], marks)


@functools.lru_cache(maxsize=4)
def _load(dataset: str, data: Path, frame_step: int, ranges: tuple = ()) -> Dataset:
    options: dict[str, Any] = {}
    if ranges:  # what lies behind a cache's last window is left out, audited
        options = {"ranges": {(subject, video): ends for subject, video, *ends in ranges}, "bad_rows": "drop"}
    return datasets.load(dataset, data, frame_step=frame_step, **options).with_me()


def load_data(config: Config) -> Dataset:
    """The videos that contain an ME, of every subject that has one: the folds and their test videos.

    Where the flow is imported from the authors' caches, these say which videos there are and how long they
    are, and no frames are needed; other regions take the frames where they are there, else the same.
    """
    settings = config.dataset, config.data, config.settings.frame_step
    if ranges := _imported(config):
        return _load(*settings, ranges)
    try:
        return _load(*settings)
    except FileNotFoundError:
        if ranges := _imported(dataclasses.replace(config, variant="me-tst")):
            return _load(*settings, ranges)
        raise


def _imported(config: Config) -> tuple:
    """(subject, video, first, last frame number) of each video whose flow is imported; () where none is."""
    try:
        imported = flow_report(config).get("imported", {})
    except FileNotFoundError:
        return ()
    return tuple(map(tuple, imported.get("ranges", ())))


# --- flow -----------------------------------------------------------------------------------------------


def landmarks_along(config: Config, video: Video) -> np.ndarray:
    """Landmarks (T, 68, 2) for figures: those of each window's first frame, kept until the next one.

    A frame without a face has its neighbour's. ValueError where the video has none at all.
    """
    points, images = landmarker(config, video), frames.open(video)
    starts = windows.window_starts(video.n_frames, config.settings.window)
    found = [(start, points(images[start], start)) for start in starts.tolist()]
    found = [(start, seen) for start, seen in found if seen is not None]
    if not found:
        raise ValueError(f"no face found in {video.subject} {video.name}")
    points.save()
    at = np.searchsorted([start for start, _ in found], np.arange(video.n_frames), side="right") - 1
    return np.stack([seen for _, seen in found])[np.maximum(at, 0)]


def flow_path(config: Config, video: Video) -> Path:
    """Where a video's ROI flow lies."""
    return config.flow_folder / f"{video.subject}_{video.name}.npz"


def landmark_file(config: Config, video: Video) -> Path:
    """A video's file in the folder of landmarks: `<subject>_<video>.npz` of ours, or `.csv` of OpenFace.

    It has one row for every frame of the video, before frame_step. FileNotFoundError naming what is missing.
    """
    paths = [config.landmarks / f"{video.subject}_{video.name}{suffix}" for suffix in (".npz", ".csv")]
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"no landmarks of video {video.subject} {video.name}: looked for {paths[0]} and {paths[1].name}"
    )


def landmarker(config: Config, video: Video) -> faces.CachedLandmarker | faces.PrecomputedLandmarks:
    """Where the face is in a video: its landmark file where config.landmarks is a folder, else by predictor.

    What the predictor finds is cached under `data/landmarks/`. ValueError where a landmark file has another
    number of frames than the video.
    """
    if config.landmarks.is_dir():
        path, step = landmark_file(config, video), config.settings.frame_step
        points = faces.read_landmarks(path, step)
        if len(points) != video.n_frames:
            kept = f", every {step}th kept" if step > 1 else ""
            raise ValueError(
                f"{path}: landmarks of {len(points)} frames{kept}, but video {video.subject} {video.name} "
                f"has {video.n_frames}; a row is wanted for every frame, with or without a face"
            )
        return points
    name = f"{video.subject}_{video.name}.npz"
    cache = config.data / "landmarks" / config.dataset / config.landmarks.stem / name
    return faces.CachedLandmarker(_dlib(config.landmarks), cache)


@functools.lru_cache(maxsize=1)
def _dlib(predictor: Path) -> faces.DlibLandmarker:
    return faces.DlibLandmarker(predictor)  # the predictor for real faces is 100 MB: read it once


def prepare(config: Config, jobs: int = 2, progress: bool = True) -> dict[str, Any]:
    """Extract and cache the flow of every video of the experiment; returns the report it writes.

    The report (`complete.json` beside the flow, written last) holds each video's hash, its flagged windows
    and replaced frames, and under "failed" the videos that gave none, with the reason. Videos whose flow is
    there and whose inputs have not changed are skipped. Flow imported from the authors' caches is left as it
    is, and its report returned.
    """
    if _imported(config):
        return flow_report(config)
    data = load_data(config)
    if not config.rehearsal and all(video.source is None for video in data.videos):
        raise FileNotFoundError(
            f"no frames of {config.dataset}: the authors' caches hold the flow of 5 regions, and "
            f"{config.variant} reads {len(rois.roi_set(config.what.roi_set))}"
        )
    files = {v.key: landmark_file(config, v) for v in data.videos} if config.landmarks.is_dir() else {}
    known = _sha(config.landmarks) if config.landmarks.is_file() else None
    made_with = _made_with(config)
    report: dict[str, Any] = {"predictor": known, "videos": {}, "failed": {}}
    for video in tqdm(
        data.videos, desc=f"flow of {config.dataset}", unit="video", disable=None if progress else True
    ):
        name, path = f"{video.subject} {video.name}", flow_path(config, video)
        marks = _sha(files[video.key]) if files else known
        inputs = digest(marks, made_with, video.n_frames, video.fps, _source(video))
        try:
            if not _is_current(path, inputs):
                _extract(config, video, path, inputs, jobs)
        except ValueError as error:
            report["failed"][name] = str(error)
            tqdm.write(f"error: no flow of {name}: {error}")
            continue
        stored = flow.RoiFlow.load(path)
        report["videos"][name] = {
            "sha256": _sha(path),
            "windows": len(stored.starts),
            "flagged": int(stored.flags.sum()),
            "replaced": stored.settings.get("replaced", 0),
        }
    if not report["videos"]:
        raise ValueError(f"no video of {config.dataset} gave any flow; the first: {_first(report['failed'])}")
    write_json(config.flow_folder / "complete.json", report)
    return report


def _made_with(config: Config) -> Any:
    """What synthetic flow comes from, besides the videos' frames and lengths."""
    if config.rehearsal:
        labels = [
            (v.subject, v.name, [dataclasses.astuple(e) for e in v.events]) for v in load_data(config).videos
        ]
        return signals.response(config.what.roi_set).key, labels
    if config.synthetic:
        return (config.data / config.dataset / "complete.json").read_text()
    return ""


def _extract(config: Config, video: Video, path: Path, inputs: str, jobs: int) -> None:
    if config.rehearsal:
        blinks = not load_data(config).has_blinks(video.subject)
        s = config.settings
        made = signals.roi_flow(video, config.what.roi_set, s.window, blinks=blinks)
        made.save(path, inputs=inputs)
        return
    points, images = landmarker(config, video), frames.open(video)
    try:
        values = flow.extract(
            images,
            points,
            roi_set=config.what.roi_set,
            window=config.settings.window,
            mode=config.settings.flow_mode,
            threads=jobs,
            fps=video.fps,
            name=f"{video.subject} {video.name}",
        )
    finally:
        points.save()
    values.save(path, inputs=inputs, replaced=len(images.replaced))


def _is_current(path: Path, inputs: str) -> bool:
    try:
        return flow.RoiFlow.load(path).settings.get("inputs") == inputs
    except (FileNotFoundError, ValueError):
        return False


def _source(video: Video) -> str:
    """What the pixels are read from, without the machine's own folder names."""
    source = video.source
    return f"{source.template} {source.numbers}" if hasattr(source, "numbers") else str(source)


def load_flow(config: Config, videos: Iterable[Video]) -> dict[Key, flow.RoiFlow]:
    """The cached flow of these videos; videos that `prepare` could not extract are left out.

    Raises FileNotFoundError naming the command that makes it where there is no flow yet.
    """
    report = flow_report(config)
    kept = [v for v in videos if f"{v.subject} {v.name}" not in report["failed"]]
    return {video.key: flow.RoiFlow.load(flow_path(config, video)) for video in kept}


def flow_report(config: Config) -> dict[str, Any]:
    """What `prepare` wrote beside the flow. FileNotFoundError naming the command where it has not run."""
    path = config.flow_folder / "complete.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no flow of {config.dataset} with these settings ({config.flow_folder}); "
            f"make it with `metst flow {config.dataset}`"
        )
    return json.loads(path.read_text())


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

    def candidates(self, key: Key, p: float = 0.55) -> list[spotting.Candidate]:
        """Every interval that the score of one video proposes, before result-level synergy."""
        return spotting.candidates(self.score[key], self.logits[key], self.half_width, p)


def folds(config: Config) -> list[str]:
    """The subjects that are left out in turn: those that have an ME."""
    return load_data(config).subjects


def chosen(config: Config, subject: str) -> list[str]:
    """The folds that a notebook's `subject` names: one, several with commas between, or "all".

    ValueError listing the known folds where one is unknown.
    """
    known = folds(config)
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
    end, what was fitted), history.csv, predictions.npz, events.csv, metrics.json. The fit is skipped where
    predictions of the same settings and inputs are there. ValueError for an unknown subject.
    """
    data = load_data(config)
    (subject,) = chosen(config, subject)
    train = [video for video in data.videos if video.subject != subject]
    test = data.videos_of(subject)
    identity = digest(config.fitting(), _inputs(config, data))
    source, folder = fold_folder(config.trained, subject), fold_folder(config, subject)
    if _stored_identity(source) != identity:
        _fit_and_predict(config.trained, train, test, source, identity, subject)
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


@dataclass(frozen=True)
class Fit:
    """A fitted variant: predict(RoiFlow of a video) -> score (T,), logits (T, 5); what was fitted; history.

    model is the network on the CPU, None where the variant has none.
    """

    predict: Callable[[flow.RoiFlow], tuple[np.ndarray, np.ndarray]]
    fitted: dict[str, Any]
    history: pd.DataFrame
    model: torch.nn.Module | None = None


def fit(config: Config, train: Iterable[Video]) -> Fit:
    """Fit the variant on the flow and micro-expressions of these videos alone."""
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
    result = training.fit(make, flows, truth, config.training, config.seed, relabel=relabel)
    predict = functools.partial(training.predict, result.model, stitch=config.stitch)
    return Fit(predict, result.statistics, result.history, result.model)


def build(config: Config) -> torch.nn.Module:
    """The variant's network, freshly initialised from torch's current random state."""
    network = config.what.network
    channels = len(rois.channel_names(config.what.roi_set))
    return models.build(network, channels, **config.settings.sizes.get(network, {}))


def _fit_and_predict(
    config: Config, train: list[Video], test: list[Video], folder: Path, identity: str, subject: str
) -> None:
    began = time.perf_counter()
    fitting = fit(config, train)
    arrays = {}
    for (_, name), values in load_flow(config, test).items():
        score, logits = fitting.predict(values)
        arrays[f"score/{name}"], arrays[f"logits/{name}"] = score, logits
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").unlink(missing_ok=True)  # until it is rewritten, the fold counts as not fitted
    with atomic(folder / "history.csv") as path:
        fitting.history.to_csv(path, index=False)
    with atomic(folder / "predictions.npz") as path:
        np.savez_compressed(path, **arrays)
    write_json(
        folder / "config.json",
        {
            "identity": identity,
            "subject": subject,
            "settings": config.fitting(),
            "inputs": _inputs(config, load_data(config)),
            "fitted": fitting.fitted,
            "backend": ssm.choose_backend(fitting.fitted["device"]) if fitting.model else None,
            "git": git_revision(),
            "versions": versions(),
            "machine": {"python": platform.python_version(), "system": platform.platform()},
            "seconds": round(time.perf_counter() - began, 2),
        },
    )


def _copy_fit(source: Path, folder: Path) -> None:
    """Predictions of a shared training, taken over; config.json, which makes them valid, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("history.csv", "predictions.npz", "config.json"):
        with atomic(folder / name) as path:
            path.write_bytes((source / name).read_bytes())


def _score(
    config: Config, train: list[Video], test: list[Video], folder: Path, subject: str, fit_identity: str
) -> metrics.Scores:
    identity = digest(fit_identity, config.to_dict())
    if scores := _stored_scores(folder / "metrics.json", identity):
        return scores
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
        {"identity": identity, "subject": subject, "half_width": half_width, **scores.to_dict()},
    )
    return scores


def _stored_scores(path: Path, identity: str) -> metrics.Scores | None:
    """The scores in a metrics.json of the same predictions and scoring, which then counts as made now."""
    try:
        stored = json.loads(path.read_text())
        scores = metrics.Scores.from_dict(stored) if stored["identity"] == identity else None
    except (OSError, ValueError, KeyError):
        return None
    if scores is not None:
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
    """A finished fold from its artefacts. FileNotFoundError where it has not been run."""
    folder = fold_folder(config, subject)
    if not (folder / "metrics.json").is_file():
        raise FileNotFoundError(f"fold {subject} of {config.variant}, seed {config.seed}, has not been run")
    stored = json.loads((folder / "metrics.json").read_text())
    table = pd.read_csv(folder / "events.csv", dtype={"subject": str, "video": str, "apex": "Int64"})
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
        fitted=json.loads((folder / "config.json").read_text())["fitted"],
        history=history,
    )


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


def _stored_identity(folder: Path) -> str | None:
    try:
        stored = json.loads((folder / "config.json").read_text())
        with np.load(folder / "predictions.npz", allow_pickle=False):
            return stored["identity"]
    except (OSError, ValueError, KeyError):
        return None


def versions() -> dict[str, str]:
    """Versions of the packages that decide numbers."""
    names = ("metst-lib", "numpy", "scipy", "torch", "opencv-python-headless", "dlib-bin", "scikit-learn")
    return {name: importlib.metadata.version(name) for name in names}


def git_revision() -> str | None:
    """The checkout's commit, with "-dirty" where tracked files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first(named: dict[str, str]) -> str:
    return next((f"{name}: {reason}" for name, reason in named.items()), "there is no video")
