"""What the authors' released weights score on their released caches, beside the row that they published.

Paper, Table III, row ME-TST; code and weights: github.com/zizheng-guo/ME-TST. Each subject's windows run
through the weights that were fitted without that subject; scores are stitched, turned into events and
counted as the released code does, but for the differences that `NOTES` names.

Glossary: k frames of a window; k_p half the mean length of a micro-expression (ME); T frames of a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from metst_lib import datasets, experiment, metrics, released, spotting, tables, training
from metst_lib.datasets import Dataset
from metst_lib.experiment import Config
from metst_lib.metrics import Scores

READINGS = {"neutral left out": False, "neutral drops the interval": True}
"""How the released code can turn the recogniser's votes into an emotion, and whether that is result-level
synergy: as it is shipped (its strategy 2), and its strategy 1."""

NOTES = {
    "stitching": "The released code asks for a window's place in its batch where it means its place in the "
    "video, so every video of a subject but the first loses its first k/2 frames, and the first window of "
    "each later batch overwrites half of the one before. Here the first window of every video counts whole.",
    "edges": "The released code lets an interval reach beyond the first or last frame; here it is cut there, "
    "which can change its overlap with an ME at the video's edge.",
    "no peak": "The released code stops at a video in which no peak is found; here nothing is found in it.",
    "neutral": "The released code drops neutral intervals after matching, so that a truth they took stays "
    "missed; here it is free for the next interval.",
    "arithmetic": "The released code runs Mamba's CUDA kernels: sums in another order differ a little.",
    "row": "The published row has result-level synergy (Table V, row 2), the released code is shipped "
    "without it, and whether the row was made with these weights is not said. Both readings are shown.",
}
"""What cannot be, or is not, reproduced, and why."""
NOTES_CASME3 = {
    "repairs": "Labels that the released code reads wrongly are right here: two offsets 0, an onset after "
    "its offset, and the emotion of spNO.216 e, which there comes from the row with onset 0.",
    "classes": "The released code scores CAS(ME)³'s recognition on four classes; here it is three, without "
    "others, as the paper's Sec. IV-E says.",
}
"""More of them, for CAS(ME)³ alone."""

MEASURES = {
    "spotting.tp": None,
    "spotting.fp": None,
    "spotting.fn": None,
    "spotting.precision": None,
    "spotting.recall": None,
    "spotting.f1": (3, "spotting_f1"),
    "recognition.total": None,
    "recognition.f1": (3, "recognition_f1"),
    "recognition.uf1": (2, "uf1"),
    "recognition.uar": (2, "uar"),
    "strs": (3, "strs"),
}
"""What is shown -> the published table and column that has it (Table II is of CAS(ME)³ alone)."""


@dataclass(frozen=True)
class Reproduction:
    """Scores of the released weights on a released cache, for each of `READINGS`; k_p in frames."""

    dataset: str
    half_width: int
    scores: dict[str, Scores]

    @property
    def notes(self) -> list[str]:
        """What differs from the released code, and why."""
        return [*NOTES.values(), *(NOTES_CASME3.values() if self.dataset == "casme3" else ())]

    def table(self) -> pd.DataFrame:
        """One row a measure: what was published for ME-TST, where it was, and ours for each reading."""
        rows = []
        for measure, source in MEASURES.items():
            cells = {reading: _number(attrgetter(measure)(scores)) for reading, scores in self.scores.items()}
            rows.append({"measure": measure, "ME-TST, published": self._published(source), **cells})
        return pd.DataFrame(rows)

    def _published(self, source: tuple[int, str] | None) -> str:
        if source is None or (source[0] == 2 and self.dataset != "casme3"):
            return tables.DASH
        number, column = source
        row = tables.published(number).set_index("method").loc["ME-TST"]
        return _number(row[column if number == 2 else f"{self.dataset}_{column}"])


def evaluate(config: Config, weights: str | Path, progress: bool = True) -> Reproduction:
    """Score the authors' weights on their cache, which `released.import_cache` has put in its place.

    weights: the folder that holds a `subject_<id>.pkl` for every subject. Stitching, scorer and k_p are the
    released ones; k_p is taken over the MEs of all subjects, that of the weights' own test subject too. MEs
    behind the last window of a cache count as missed, as there.

    Raises FileNotFoundError where no cache is imported or weights are missing (the first is named), and
    ValueError as `released.load_weights`.
    """
    data = _whole_truth(config)
    files = weights_of(data.subjects, weights)
    truth = data.events("micro")
    half_width = spotting.half_width((event for events in truth.values() for event in events), longest=None)
    predicted: dict[str, dict] = {reading: {} for reading in READINGS}
    for subject in tqdm(data.subjects, desc="weights", unit="subject", disable=None if progress else True):
        model = released.load_weights(files[subject])
        for key, flow in experiment.load_flow(config, data.videos_of(subject)).items():
            score, logits = training.predict(model, flow, stitch="released")
            for reading, synergy in READINGS.items():
                predicted[reading][key] = spotting.find_events(
                    score, logits, half_width, p=config.p, result_synergy=synergy
                )
    scores = {reading: metrics.evaluate(found, truth, "released") for reading, found in predicted.items()}
    return Reproduction(config.dataset, half_width, scores)


def weights_of(subjects: Sequence[str], folder: str | Path) -> dict[str, Path]:
    """Subject -> file of the weights fitted without it: subject_006.pkl of 006, subject_1.pkl of spNO.1.

    FileNotFoundError naming the first that is missing.
    """
    folder = Path(folder)
    files = {subject: folder / f"subject_{subject.rpartition('.')[2]}.pkl" for subject in subjects}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(files)} subjects have no weights in {folder}, first {missing[0]}. "
            "Wanted: one of the folders under weights/ of zizheng-guo/ME-TST"
        )
    return files


def _whole_truth(config: Config) -> Dataset:
    """The videos of an imported cache, as long as they may have been: no ME behind the last window is cut."""
    if config.dataset not in released.CACHED:
        known = ", ".join(released.CACHED)
        raise ValueError(
            f"the authors released no weights for {config.dataset!r}; there are those of {known}"
        )
    try:
        imported = experiment.flow_report(config).get("imported")
    except FileNotFoundError:
        imported = None
    if imported is None:
        raise FileNotFoundError(
            f"no imported cache of {config.dataset} in {config.flow_folder}; "
            f"import it with `metst data import-cache {config.dataset} FILE…`"
        )
    step = config.settings.frame_step
    rest = step * (config.settings.window // 2 - 1)
    ranges = {(subject, video): (first, last + rest) for subject, video, first, last in imported["ranges"]}
    return datasets.load(
        config.dataset, config.data, kinds=("micro",), frame_step=step, ranges=ranges, as_released=True
    )


def _number(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.4f}"
