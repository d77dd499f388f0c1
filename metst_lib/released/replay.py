"""The authors' weights on their caches: predict, stitch and find as their code does, then count.

Files: a clone of github.com/zizheng-guo/ME-TST with its weights and caches (`clone`), and the owners' tables.
Each subject's windows run through the weights that were fitted without that subject. What differs from the
authors' code is said in `replayed.NOTES`.

Glossary: W windows of a video or subject; k frames of a window; k_p half the mean length of a
micro-expression (ME); T frames of a video.
"""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from metst_lib import datasets, metrics, training
from metst_lib._files import atomic, digest, read_npz, sha256
from metst_lib.datasets import Dataset
from metst_lib.events import Event, Key, Prediction
from metst_lib.flow import RoiFlow
from metst_lib.released import clone
from metst_lib.released.caches import CHANNELS, read_caches
from metst_lib.released.replayed import STRATEGIES, Replayed, counted, place, read
from metst_lib.released.weights import read_weights
from metst_lib.spotting import Rule, half_width

#: What a subject's predictions depend on beside weights and flow: counted up where that changes.
STEP = 1


class Protocol(NamedTuple):
    """How the authors cut a data set: k, every how many-th frame is taken, windows of a batch."""

    window: int
    frame_step: int
    batch: int


PROTOCOLS = {"sammlv": Protocol(30, 7, 32), "casme3": Protocol(50, 1, 256)}
#: Where a window has to be the first to count whole: in its batch, as the authors' code runs; in its video.
STITCHINGS = ("by batch", "by video")


def replay(
    folder: str | Path, name: str, data: str | Path, *, out: str | Path | None = None, progress: bool = True
) -> Replayed:
    """Run the authors' weights of a data set over their cache and count what they find.

    Args:
        folder: a clone of the authors' repository. name: one of `PROTOCOLS`.
        data: the folder with `<name>/`, where the owners' tables lie. No frames are needed.
        out: keeps the predictions of each subject, in <name>/<network>/predictions/, by the hashes of
            weights and caches, so that a second call goes on from them. None keeps nothing.

    Weights that are not there, cannot be read or are of another network than the first are said in `missing`,
    and their subjects left out, of the truth too; k_p is that of all subjects. MEs behind the last window of
    a cache count as missed.

    Raises FileNotFoundError saying what was looked for; ValueError where caches and tables do not fit
    (`caches.read_caches`) or no subject is left.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"the authors released no weights for {name!r}; there are those of {known}")
    files, protocol = clone.weights(folder, name), PROTOCOLS[name]
    network, channels = _network(files)
    paths = clone.cache(folder, name, CHANNELS[channels])
    cached = read_caches(name, paths, data, window=protocol.window, frame_step=protocol.frame_step)
    truth = whole_truth(name, data, cached.ranges).events("micro")
    rules = _rules(network, truth)
    kept = place(out, name, network) / "predictions" if out else None

    ids = {clone.subject_id(subject): subject for subject, _ in cached.flows}
    missing = {path.name: "the tables have no such subject" for id_, path in files.items() if id_ not in ids}
    found: dict[tuple[str, str], dict[Key, list[Event]]] = {}
    seen = {}
    for id_, subject in tqdm(ids.items(), f"weights of {name}", unit="subject", disable=not progress or None):
        flows = {key: flow for key, flow in cached.flows.items() if key[0] == subject}
        try:
            if id_ not in files:
                raise ValueError(f"no weights: subject_{id_}.pkl is not there")
            outputs = _outputs(files[id_], network, flows, cached.hashes, kept and kept / f"{subject}.npz")
        except ValueError as error:
            missing[f"subject {subject}"] = str(error)
            continue
        seen |= {key: truth[key] for key in flows}
        for how, events in _found(outputs, flows, protocol.batch, rules).items():
            found.setdefault(how, {}).update(events)
    if not seen:
        what, why = next(iter(missing.items()))
        raise ValueError(f"no subject of {name} can be replayed; {what}: {why}")
    scores = {
        (*how, scorer): counted(predicted, seen, STRATEGIES[how[1]], scorer)
        for how, predicted in found.items()
        for scorer in metrics.SCORERS
    }
    subjects = tuple(dict.fromkeys(subject for subject, _ in seen))
    table = pd.DataFrame(missing.items(), columns=["what", "why"])
    return Replayed(name, network, rules["zero"].half_width, subjects, len(ids), scores, table)


def whole_truth(name: str, data: str | Path, ranges: Sequence[Sequence]) -> Dataset:
    """The videos of a cache, as long as they may have been: no ME behind the last window is cut.

    data: as for `replay`; ranges: what `caches.read_caches` found.
    """
    window, frame_step, _ = PROTOCOLS[name]
    rest = frame_step * (window // 2 - 1)
    longest = {(subject, video): (first, last + rest) for subject, video, first, last in ranges}
    return datasets.load(
        name, data, kinds=("micro",), frame_step=frame_step, ranges=longest, as_released=True
    )


def stitch(values: np.ndarray, counts: Sequence[int], batch: int | None = None) -> list[np.ndarray]:
    """A subject's windows (W, k, ...) as one array (T, ...) per video, T = (W + 1)·k/2.

    counts: windows of each video, in order. A first window gives all its frames, the others their second
    half. batch: windows of a batch, of which alone the first counts as first, as the authors' code ran: a
    video that begins within a batch begins with k/2 frames of 0. None: the first of each video.
    """
    half, at, videos = values.shape[1] // 2, 0, []
    for count in counts:
        video = np.zeros(((count + 1) * half, *values.shape[2:]), values.dtype)
        for i in range(count):
            is_first = (at + i) % batch == 0 if batch else i == 0
            begin = 0 if is_first else half
            video[i * half + begin : (i + 2) * half] = values[at + i, begin:]
        videos.append(video)
        at += count
    return videos


def _network(files: Mapping[str, Path]) -> tuple[str, int]:
    """Spelling and channels of the first weights that can be read; ValueError where none can."""
    errors = []
    for path in files.values():
        try:
            name, model = read_weights(path)
            return name, model.in_channels
        except ValueError as error:
            errors.append(error)
    raise ValueError(f"none of {len(files)} files of weights can be read: {errors[0]}")


def _rules(network: str, truth: Mapping[Key, Sequence[Event]]) -> dict[str, Rule]:
    """The authors' rule for a network, by what it makes of neutral's logit; k_p is of all subjects."""
    of, growth = ("median", "curve") if network == "BoostingVRME" else ("mean", "none")
    k_p = half_width(itertools.chain(*truth.values()), longest=None, of=of)
    return {
        neutral: Rule(half_width=k_p, width=of, growth=growth, neutral=neutral, cut="last")
        for neutral in ("learned", "zero")
    }


def _outputs(
    path: Path, network: str, flows: Mapping[Key, RoiFlow], hashes: Mapping[str, str], kept: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (W, k) and logits (W, k, 5) of a subject's windows: those kept, where they still hold."""
    key = digest(STEP, sha256(path), dict(hashes), [(*key, len(flow.values)) for key, flow in flows.items()])
    if kept and kept.is_file():
        with contextlib.suppress(ValueError):  # a damaged one is made anew
            held = read_npz(kept, "key score logits", "a replay's predictions")
            if held["key"] == key and len(held["score"]) == len(held["logits"]) == _count(flows):
                return held["score"], held["logits"]
    name, model = read_weights(path)
    if name != network:
        raise ValueError(f"{path} holds {name}, where the first weights hold {network}")
    score, logits = training.outputs(model, np.concatenate([flow.values for flow in flows.values()]))
    if not (np.isfinite(score).all() and np.isfinite(logits).all()):
        raise ValueError(f"{path} gives scores that are not finite")
    if kept:
        with atomic(kept) as temporary:
            np.savez(temporary, key=key, score=score, logits=logits)
    return score, logits


def _count(flows: Mapping[Key, RoiFlow]) -> int:
    return sum(len(flow.values) for flow in flows.values())


def _found(
    outputs: tuple[np.ndarray, np.ndarray],
    flows: Mapping[Key, RoiFlow],
    batch: int,
    rules: Mapping[str, Rule],
) -> dict[tuple[str, str], dict[Key, list[Event]]]:
    """The intervals in a subject's videos, by (stitching, strategy)."""
    counts = [len(flow.values) for flow in flows.values()]
    found: dict[tuple[str, str], dict[Key, list[Event]]] = {}
    for stitching, of in zip(STITCHINGS, (batch, None), strict=True):
        scores, logits = (stitch(values, counts, of) for values in outputs)
        for key, *video in zip(flows, scores, logits, strict=True):
            proposed = {neutral: rule.candidates(Prediction(*video)) for neutral, rule in rules.items()}
            for name, strategy in STRATEGIES.items():
                found.setdefault((stitching, name), {})[key] = read(strategy, proposed[strategy.neutral])
    return found
