"""How hard a replicate of the study set is, told without a network: what its difficulty was frozen by.

The noise floor, and the training-free spotter and recogniser (`baseline`) by groups of subjects. All numbers
are SYNTHETIC.

Glossary: T frames of a video; ME micro-expression; k_p half the mean length of an ME, in frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metst_lib import baseline, fold, metrics, rois, spotting
from metst_lib.datasets import statistics
from metst_lib.events import EMOTIONS, Event, Key
from metst_lib.flow import RoiFlow
from metst_lib.study import rows
from metst_lib.synthetic.replicates import Replicate

#: Share of frames at rest that lie under the noise floor.
LEVEL = 0.95
KINDS = ("micro", "macro", "blink", "talk", "gaze")
_BASELINE = "flow-magnitude"
_SAID = {
    "floor": "noise floor (px)",
    "under": "share of MEs under it",
    "spotting": "training-free spotter's F1",
    "false_alarms": "its false alarms per minute",
    "uf1": "training-free recogniser's UF1 on true intervals",
}


@dataclass(frozen=True)
class Hardness:
    """key: the difficulty's. floor: what the strongest region's motion out and back, over k_p frames each
    way, stays under in 95 % of the frames of faces that do nothing, px of the face crop. under: share of MEs
    whose own motion, noise apart, does not reach it. spotting: F1 of the baseline's spotter. false_alarms:
    its, per minute. uf1: of its recogniser on the true intervals."""

    key: str
    floor: float
    under: float
    spotting: float
    false_alarms: float
    uf1: float


def described(replicate: Replicate) -> pd.DataFrame:
    """The replicate's statistics, and how hard it is by both sets of regions: what, value (text)."""
    of_set = statistics.statistics(replicate.videos)
    lines = [("difficulty", replicate.difficulty.key), ("replicate", f"{replicate.number} (synthetic)")]
    lines += [(name, f"{value:.3g}") for name, value in of_set.items()]
    for roi_set in rois.ROI_SETS:
        found = hardness(replicate, roi_set)
        lines += [
            (f"{roi_set} regions: {said}", f"{getattr(found, name):.3f}") for name, said in _SAID.items()
        ]
    return pd.DataFrame(lines, columns=["what", "value"])


def hardness(replicate: Replicate, roi_set: str = "5") -> Hardness:
    """Measured on a replicate; folds leave out its groups."""
    floor, under = noise_floor(replicate, roi_set)
    recipe, flows = replace(rows.recipe(_BASELINE), roi_set=roi_set), replicate.flow(roi_set)
    found: dict[Key, list[Event]] = {}
    named: dict[Key, list[Event]] = {}
    for group in replicate.groups:
        one = fold.fold(flows, replicate.truth, group, recipe)
        found |= one.predicted
        named |= {key: [_read(e, one.predictions[key].logits) for e in one.truth[key]] for key in one.truth}
    truth = {key: [e for e in events if e.kind == "micro"] for key, events in replicate.truth.items()}
    spotted = metrics.evaluate(found, truth).spotting
    minutes = sum(video.n_frames / video.fps for video in replicate.videos) / 60
    uf1 = metrics.evaluate(named, truth).recognition.uf1
    key = replicate.difficulty.key
    return Hardness(key, floor, under, spotted.f1, spotted.fp / minutes, uf1)


def noise_floor(replicate: Replicate, roi_set: str = "5") -> tuple[float, float]:
    """The noise floor in px, and the share of MEs that stay under it, see `Hardness`."""
    events = [e for v in replicate.truth.values() for e in v]
    k_p = spotting.half_width(events)
    rest = replicate.flow(roi_set, KINDS)
    alone = {
        key: replace(flow, values=flow.values - rest[key].values)
        for key, flow in replicate.flow(roi_set, KINDS[1:]).items()
    }
    floor = float(np.quantile(np.concatenate(list(_out_and_back(rest, k_p).values())), LEVEL))
    moved = _out_and_back(alone, k_p)
    peaks = [
        moved[key][e.onset : e.offset + 1].max()
        for key, events in replicate.truth.items()
        for e in events
        if e.kind == "micro"
    ]
    return floor, float(np.mean(np.array(peaks) < floor))


def _out_and_back(flows: Mapping[Key, RoiFlow], k_p: int) -> dict[Key, np.ndarray]:
    """How far the region that moves most lies from the middle of where it was and will be, (T,)."""
    found = {}
    for key, flow in flows.items():
        path = baseline.displacement(flow)
        held = np.pad(path, ((k_p, k_p), (0, 0)), mode="edge")
        motion = path - (held[: len(path)] + held[2 * k_p :]) / 2
        found[key] = np.hypot(motion[:, 0::2], motion[:, 1::2]).max(axis=1)
    return found


def _read(event: Event, logits: np.ndarray) -> Event:
    """The event in the class that most frames between its onset and offset vote for."""
    votes = logits[event.onset + 1 : event.offset, : len(EMOTIONS)].argmax(axis=1)
    return replace(event, emotion=EMOTIONS[np.bincount(votes, minlength=len(EMOTIONS)).argmax()])
