"""A trained network as one file: weights, what they need to be used, and what they were trained on.

A fold of an experiment keeps predictions, not weights: it answers for the one subject that it left out. What
reads a video of your own is trained on all subjects (`fit`) and kept as a .npz of plain arrays and a JSON
text, which runs no code when it is loaded. `limits` says in words what such a model cannot know.

Glossary: T frames of a video; k frames of a window (`window`); k_p half the mean length of a micro-expression
(`half_width`); p height of the threshold.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metst_lib import experiment, flow, models, provenance, rois, training
from metst_lib._files import atomic, sha256
from metst_lib.datasets import TITLES
from metst_lib.events import CLASSES
from metst_lib.variants import Config

DEMONSTRATION = "me-tst-plus"
"""The variant of the model that `make demo` leaves: the one that finds most on subjects it has not seen,
for a few seconds more of training."""
_WEIGHTS, _ABOUT = "weights/", "about"
_HOW = "`metst train` makes such a file, `make demo` the demonstration's"


@dataclass(frozen=True)
class About:
    """What a model is, JSON-able: how its input is made, how its scores become events, where it comes from.

    network, size: see `models.build`. fps: frames per second of the videos that it was trained on, after
    frame_step. trained_on: name of the data set; synthetic: whether that is rendered or signals.
    """

    variant: str
    title: str
    network: str
    size: dict[str, int]
    roi_set: str
    window: int
    fps: float
    flow_mode: str
    half_width: int
    p: float
    stitch: str
    result_synergy: bool
    classes: list[str]
    trained_on: str
    synthetic: bool
    subjects: int
    videos: int
    micro_expressions: int
    seed: int
    preset: str
    git: str
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if self.roi_set not in rois.ROI_SETS:
            raise ValueError(f"it reads regions {self.roi_set!r}; known here: {', '.join(rois.ROI_SETS)}")
        if self.flow_mode not in flow.MODES:
            raise ValueError(f"it reads flow of the mode {self.flow_mode!r}; known: {', '.join(flow.MODES)}")
        if list(self.classes) != list(CLASSES):
            raise ValueError(f"its classes are {', '.join(self.classes)}, not {', '.join(CLASSES)}")
        if self.window < 2 or self.window % 2:
            raise ValueError(f"its windows have {self.window} frames; an even number is wanted")
        if not (0 < self.fps < float("inf") and self.half_width >= 1 and 0 <= self.p <= 1):
            raise ValueError("its frame rate, k_p or p is out of range")

    @property
    def limits(self) -> list[str]:
        """What every result has to say with it, a sentence or two each."""
        if self.synthetic:
            origin = (
                "The model was trained on synthetic data, rendered motion of one face. How well it does on "
                "real faces, light and cameras has not been tested."
            )
        else:
            origin = (
                f"The model was trained on {self.subjects} people recorded in a laboratory "
                f"({TITLES.get(self.trained_on, self.trained_on)}). On other faces, light and cameras it may "
                "do worse."
            )
        return [
            origin,
            "Scores are relative to each video: the strongest moments are reported even where the video "
            "shows no micro-expression at all.",
            "Not for judging people. A micro-expression, even a true one, does not tell what somebody thinks "
            "or whether they lie: no use in hiring, policing, surveillance, schools or health.",
            "Everything was computed on this machine. No video, picture or number left it.",
        ]


@dataclass(frozen=True, eq=False)
class Trained:
    """A network on the CPU in evaluation mode, what it is, and a short hash of its file ("" before that)."""

    network: torch.nn.Module
    about: About
    key: str = ""

    def predict(self, values: flow.RoiFlow) -> tuple[np.ndarray, np.ndarray]:
        """A video's spotting score (T,) and logits (T, 5); see `training.predict`.

        ValueError where the flow is of other regions or windows than the model reads.
        """
        wanted, given = (self.about.roi_set, self.about.window), (values.roi_set, values.window)
        if wanted != given:
            raise ValueError(
                f"the model reads {wanted[0]} regions in windows of {wanted[1]} frames, "
                f"this flow has {given[0]} in windows of {given[1]}"
            )
        return training.predict(self.network, values, stitch=self.about.stitch)


def fit(config: Config) -> Trained:
    """Train the variant on every subject of its data set. ValueError where it has no network to keep."""
    videos = experiment.with_flow(config, experiment.load_data(config).videos)
    if config.what.network not in models.NETWORKS:
        raise ValueError(f"{config.variant} has no network that could be kept")
    result = experiment.fit(config, videos)
    rates = {round(video.fps, 3) for video in videos}
    if len(rates) > 1:
        raise ValueError(f"videos of {config.dataset} differ in frame rate: {sorted(rates)}")
    about = About(
        variant=config.variant,
        title=config.what.title,
        network=config.what.network,
        size=dict(config.settings.sizes.get(config.what.network, {})),
        roi_set=config.what.roi_set,
        window=config.settings.window,
        fps=videos[0].fps,
        flow_mode=config.settings.flow_mode if config.settings.flow_mode in flow.MODES else "exact",
        half_width=result.fitted["half_width"],
        p=config.p,
        stitch=config.stitch,
        result_synergy=config.what.result_synergy,
        classes=list(CLASSES),
        trained_on=config.dataset,
        synthetic=config.synthetic,
        subjects=len({video.subject for video in videos}),
        videos=len(videos),
        micro_expressions=sum(len(video.events_of("micro")) for video in videos),
        seed=config.seed,
        preset=config.preset,
        git=provenance.git_revision(),
        versions=provenance.versions(),
    )
    return Trained(result.model, about)


def path_of(config: Config) -> Path:
    """Where `metst train` keeps the model of an experiment: data/models/<edition>/<variant>.npz."""
    return config.data / "models" / config.edition / f"{config.variant}.npz"


def save(trained: Trained, path: str | Path) -> Path:
    """Write a model, whole or not at all; returns the path."""
    weights = {_WEIGHTS + name: value.numpy() for name, value in trained.network.state_dict().items()}
    about = json.dumps(dataclasses.asdict(trained.about), allow_nan=False, ensure_ascii=False)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **weights, about=np.array(about))
    return Path(path)


def load(path: str | Path) -> Trained:
    """Read what `save` wrote; nothing in the file can run code.

    FileNotFoundError where there is none; ValueError naming the file where it is no model, is not whole, or
    needs regions, windows or a network that are not known here.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}: {_HOW}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored[_ABOUT]))
            weights = {
                name.removeprefix(_WEIGHTS): torch.from_numpy(stored[name])
                for name in stored.files
                if name.startswith(_WEIGHTS)
            }
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, TypeError) as error:
        raise ValueError(f"{path} is not a model, or not a whole one ({error}): {_HOW}") from None
    try:
        what = About(**about)
        network = _network(what, weights)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} holds a model that cannot be used: {reason}") from None
    return Trained(network, what, sha256(path)[:12])


def _network(about: About, weights: dict[str, Any]) -> torch.nn.Module:
    if strange := [name for name, x in weights.items() if x.is_floating_point() and not x.isfinite().all()]:
        raise ValueError(f"numbers in {strange[0]} are not finite")
    with torch.device("meta"):  # no time and no random numbers spent on initial weights
        network = models.build(about.network, len(rois.channel_names(about.roi_set)), **about.size)
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    given = {name: tuple(x.shape) for name, x in weights.items()}
    if odd := sorted(name for name in wanted.keys() | given if wanted.get(name) != given.get(name)):
        raise ValueError(
            f"{len(odd)} of its arrays do not fit {about.network} of {about.roi_set} regions, "
            f"first {odd[0]}: {given.get(odd[0], 'absent')} in place of {wanted.get(odd[0], 'none')}"
        )
    network.load_state_dict(weights, assign=True)
    return network.eval()
