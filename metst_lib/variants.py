"""What can be run: variants, presets, and a configuration of them with the places of its files.

Variants are the rows of Table V and the comparators; presets hold the settings of each data set (Sec. IV-B
and the released ME-TST). `configure` makes a `Config` of their names.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metst_lib import datasets, faces, models, spotting, training
from metst_lib._files import digest
from metst_lib.synthetic import signals


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


MATMUL = ("highest", "high", "medium")
"""Precisions of float32 matrix products, by torch's names; the default first."""


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
    recompute: bool = False  # states anew in the backward pass of the readable scan: less memory, more time
    matmul: str = (
        "highest"  # torch's precision of float32 matrix products; "medium" is faster where bfloat16 is
    )
    p: float = spotting.P
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
        epochs = f"-{self.epochs}epochs" if self.epochs else ""
        return self.dataset + preset + epochs + (f"-{self.matmul}" if self.matmul != MATMUL[0] else "")

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
        } | ({"matmul": self.matmul} if self.matmul != MATMUL[0] else {})

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
    `data/shape_predictor_68_face_landmarks.dat` for the others. $METST_RECOMPUTE=1 sets recompute,
    $METST_MATMUL=medium the precision of matrix products (such runs lie in folders of their own).
    Raises ValueError for an unknown data set, variant, preset or precision, listing the known ones.
    """
    known = presets_of(dataset)
    preset = preset or known[0]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} for {dataset}; known: {', '.join(known)}")
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if seed < 0:
        raise ValueError(f"the seed is a whole number from 0 on, not {seed}")
    root = home(root)
    own = "synthetic/shape_predictor_68_synthetic.dat" if dataset == "synthetic" else faces.PREDICTOR.name
    if dataset in datasets.REHEARSALS:
        landmarks = root / "data" / "none"  # no face, so no landmarks
    marks = Path(os.path.abspath(landmarks or os.environ.get("METST_LANDMARKS") or root / "data" / own))
    recompute = os.environ.get("METST_RECOMPUTE", "") not in ("", "0")
    matmul = os.environ.get("METST_MATMUL") or MATMUL[0]
    if matmul not in MATMUL:
        raise ValueError(f"unknown precision METST_MATMUL={matmul}; known: {', '.join(MATMUL)}")
    settings = PRESETS[dataset, preset]
    return Config(dataset, variant, seed, preset, root, settings, marks, recompute=recompute, matmul=matmul)
