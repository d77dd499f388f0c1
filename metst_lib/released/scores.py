"""What the authors' released weights score on their released caches, beside the row that they published.

Paper, Table III, row ME-TST; code and weights: github.com/zizheng-guo/ME-TST. Each subject's windows run
through the weights that were fitted without that subject; scores are stitched, turned into events and
counted as the released code does, but for the differences that `NOTES` names.

Glossary: k frames of a window; k_p half the mean length of a micro-expression (ME); T frames of a video.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from operator import attrgetter
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from metst_lib import datasets, metrics, training
from metst_lib.datasets import Dataset
from metst_lib.events import Event, Key
from metst_lib.flow import RoiFlow
from metst_lib.metrics import Scores
from metst_lib.released import weights as released
from metst_lib.released.caches import CACHED
from metst_lib.spotting import P, Rule, half_width

#: How the released code can turn the recogniser's votes into an emotion, and whether that is result-level
#: synergy: as it is shipped (its strategy 2), and its strategy 1.
READINGS = {"neutral left out": False, "neutral drops the interval": True}

#: What cannot be, or is not, reproduced, and why: under "every", and under the data set it is true of.
NOTES = tomllib.loads((resources.files(__package__) / "notes.toml").read_text("utf-8"))

#: What is shown.
MEASURES = (
    *(f"spotting.{part}" for part in ("tp", "fp", "fn", "precision", "recall", "f1")),
    *(f"recognition.{part}" for part in ("total", "f1", "uf1", "uar")),
    "strs",
)
#: Measure -> the published table and column that has it (Table II is of CAS(ME)³ alone).
PUBLISHED = {
    "spotting.f1": (3, "spotting_f1"),
    "recognition.f1": (3, "recognition_f1"),
    "recognition.uf1": (2, "uf1"),
    "recognition.uar": (2, "uar"),
    "strs": (3, "strs"),
}


@dataclass(frozen=True)
class Reproduction:
    """Scores of the released weights on a released cache, for each of `READINGS`; k_p in frames."""

    dataset: str
    half_width: int
    scores: dict[str, Scores]

    @property
    def notes(self) -> list[str]:
        """What differs from the released code, and why."""
        return [*NOTES["every"].values(), *NOTES.get(self.dataset, {}).values()]

    def table(self, published: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
        """One row a measure: what was published for ME-TST, where it was, and ours for each reading.

        published: gives the paper's table of a number.
        """
        rows = []
        for measure in MEASURES:
            theirs = _published(measure, self.dataset, published)
            ours = {reading: _number(attrgetter(measure)(scores)) for reading, scores in self.scores.items()}
            rows.append({"measure": measure, "ME-TST, published": theirs, **ours})
        return pd.DataFrame(rows)


def evaluate(
    flows: Mapping[Key, RoiFlow], data: Dataset, weights: str | Path, p: float = P, progress: bool = True
) -> Reproduction:
    """Score the authors' weights on their cache.

    Args:
        flows: the flow of each video, as `caches.read_caches` gives it.
        data: the videos with all their MEs; see `whole_truth`.
        weights: the folder that holds a `subject_<id>.pkl` for every subject.
        p: height of the threshold.

    Stitching, scorer and k_p are the released ones; k_p is taken over the MEs of all subjects, that of the
    weights' own test subject too. MEs behind the last window of a cache count as missed, as there.

    Raises FileNotFoundError where weights are missing (the first is named), ValueError as
    `weights.load_weights`.
    """
    files = weights_of(data.subjects, weights)
    truth = data.events("micro")
    k_p = half_width((event for events in truth.values() for event in events), longest=None)
    rules = {reading: Rule("micro", k_p, p, synergy) for reading, synergy in READINGS.items()}
    predicted: dict[str, dict[Key, list[Event]]] = {reading: {} for reading in READINGS}
    for subject in tqdm(data.subjects, desc="weights", unit="subject", disable=None if progress else True):
        model = released.load_weights(files[subject])
        for video in data.videos_of(subject):
            prediction = training.predict(model, flows[video.key], stitch="released")
            for reading, rule in rules.items():
                predicted[reading][video.key] = rule.find(prediction)
    scores = {reading: metrics.evaluate(found, truth, "released") for reading, found in predicted.items()}
    return Reproduction(data.name, k_p, scores)


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


def check_known(name: str) -> None:
    """ValueError for a data set for which the authors released no weights."""
    if name not in CACHED:
        known = ", ".join(CACHED)
        raise ValueError(f"the authors released no weights for {name!r}; there are those of {known}")


def whole_truth(
    name: str, data: str | Path, ranges: Sequence[Sequence], *, window: int, frame_step: int
) -> Dataset:
    """The videos of a cache, as long as they may have been: no ME behind the last window is cut.

    data, window, frame_step: as for `caches.read_caches`; ranges: what that found. ValueError for a data set
    without released weights.
    """
    check_known(name)
    rest = frame_step * (window // 2 - 1)
    longest = {(subject, video): (first, last + rest) for subject, video, first, last in ranges}
    return datasets.load(
        name, data, kinds=("micro",), frame_step=frame_step, ranges=longest, as_released=True
    )


def _published(measure: str, dataset: str, published: Callable[[int], pd.DataFrame]) -> str:
    """What the paper prints for ME-TST, a dash where it prints nothing."""
    number, column = PUBLISHED.get(measure, (0, ""))
    if not number or (number == 2 and dataset != "casme3"):
        return "–"
    row = published(number).set_index("method").loc["ME-TST"]
    return _number(row[column if number == 2 else f"{dataset}_{column}"])


def _number(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.4f}"
