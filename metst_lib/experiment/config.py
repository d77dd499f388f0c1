"""One run by its names: data set, variant, preset and seed, and where its files lie.

`configure` makes a `Config` of names and of the environment: METST_ROOT, METST_LANDMARKS,
METST_FIGURES, METST_RECOMPUTE, METST_MATMUL. `runs` adds METST_CHECKPOINT.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metst_lib import datasets
from metst_lib.experiment.variants import VARIANTS, Preset, Variant, presets_of
from metst_lib.fold import Recipe

#: Precisions of float32 matrix products, by torch's names; the default first.
MATMUL = ("highest", "high", "medium")


@dataclass(frozen=True)
class Places:
    """Where files lie. root: the compendium's folder; figures: that of all editions' tables and figures;
    landmarks: dlib's predictor file, or a folder with a landmark file for each video.
    """

    root: Path
    landmarks: Path
    figures: Path

    @property
    def data(self) -> Path:
        """The folder that holds every data set, its flow and its runs."""
        return self.root / "data"


@dataclass(frozen=True)
class Config:
    """One run: the names of what decides its numbers, and the places of its files. Made by `configure`.

    epochs: in place of the preset's, to try things out; 0 leaves them. matmul: torch's precision of float32
    matrix products; "medium" is faster where bfloat16 is. recompute: states anew in the backward pass of the
    readable scan: less memory, more time, the same numbers.
    """

    dataset: str
    variant: str
    seed: int
    preset: str
    places: Places
    epochs: int = 0
    matmul: str = MATMUL[0]
    recompute: bool = False

    @property
    def reader(self) -> datasets.Reader:
        """What is known of the data set."""
        return datasets.reader_of(self.dataset, self.places.data)

    @property
    def what(self) -> Variant:
        """The variant's description."""
        return VARIANTS[self.variant]

    @property
    def settings(self) -> Preset:
        """The preset's settings."""
        return presets_of(self.dataset, self.places.data)[self.preset]

    @property
    def recipe(self) -> Recipe:
        """All that a fold needs beside its data."""
        made = self.settings.recipe(self.what, **({"epochs": self.epochs} if self.epochs else {}))
        if self.recompute and made.network in ("METST", "METSTPlus"):  # those with a scan
            made = dataclasses.replace(made, size={**made.size, "recompute": True})
        return made

    @property
    def trained(self) -> Config:
        """The run whose training this one uses: itself, or that of the variant it is trained as."""
        return dataclasses.replace(self, variant=self.what.trained_as or self.variant)

    @property
    def edition(self) -> str:
        """Name of the folders of runs and figures: the data set, with what is not its default."""
        preset = (
            "" if self.preset == next(iter(presets_of(self.dataset, self.places.data))) else f"-{self.preset}"
        )
        epochs = f"-{self.epochs}epochs" if self.epochs else ""
        return self.dataset + preset + epochs + (f"-{self.matmul}" if self.matmul != MATMUL[0] else "")

    def fitting(self) -> dict[str, Any]:
        """What decides the predictions, as JSON-able values; no paths of this machine."""
        recipe, how = dataclasses.asdict(self.recipe), self.settings
        recipe["size"] = {name: value for name, value in recipe["size"].items() if name != "recompute"}
        read = {name: getattr(how, name) for name in ("frame_step", "window", "flow_mode", "kind")}
        names = {"dataset": self.dataset, "variant": self.trained.variant, "seed": self.seed}
        del recipe["rule"]
        return names | {"preset": self.preset} | read | recipe | {"matmul": self.matmul}

    def to_dict(self) -> dict[str, Any]:
        """What decides the numbers: `fitting`, and how events are made of predictions."""
        return self.fitting() | {"variant": self.variant, "rule": dataclasses.asdict(self.recipe.rule)}


def home(root: str | Path = "") -> Path:
    """The compendium's folder: `root` if given, else $METST_ROOT, else the checkout, else this folder."""
    if root or os.environ.get("METST_ROOT"):
        return Path(root or os.environ["METST_ROOT"]).resolve()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def configure(
    dataset: str = "synthetic",
    variant: str = "me-tst",
    seed: int = 0,
    preset: str = "",
    root: str | Path = "",
    landmarks: str | Path = "",
) -> Config:
    """The run of these names; empty texts mean the defaults.

    landmarks is dlib's predictor file, or a folder with a landmark file of each video: by default
    $METST_LANDMARKS, else the predictor that the data set's reader names, under `data/`. Tables and figures
    go below $METST_FIGURES, else `figures/`. $METST_RECOMPUTE=1 sets recompute, $METST_MATMUL=medium the
    precision of matrix products (such runs lie in folders of their own).
    Raises ValueError for an unknown data set, variant, preset or precision, listing the known ones.
    """
    root = home(root)
    known = presets_of(dataset, root / "data")
    preset = preset or next(iter(known))
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} for {dataset}; known: {', '.join(known)}")
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if seed < 0:
        raise ValueError(f"the seed is a whole number from 0 on, not {seed}")
    matmul = os.environ.get("METST_MATMUL") or MATMUL[0]
    if matmul not in MATMUL:
        raise ValueError(f"unknown precision METST_MATMUL={matmul}; known: {', '.join(MATMUL)}")
    reader = datasets.reader_of(dataset, root / "data")
    if reader.flow is None:  # else there is no face, so no landmarks
        landmarks = landmarks or os.environ.get("METST_LANDMARKS", "")
    marks = Path(os.path.abspath(landmarks or root / "data" / reader.predictor))
    figures = Path(os.environ.get("METST_FIGURES") or root / "figures")
    recompute = os.environ.get("METST_RECOMPUTE", "") not in ("", "0")
    places = Places(root, marks, figures)
    return Config(dataset, variant, seed, preset, places, matmul=matmul, recompute=recompute)
