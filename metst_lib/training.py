"""Fit one fold and predict with it: sampling, losses, optimiser, loop, and leave-one-subject-out splits.

Paper, Sec. IV-B: mean squared error for spotting (Eq. 8), weighted cross-entropy for recognition (Eq. 9),
leave-one-subject-out. Sec. III-C: feature-level synergy is the neutral class taking part in Eq. 9.

Whatever `fit` learns, weights of the network, running statistics of its batch normalisation, class weights
and k_p, comes from the videos it is given and from nothing else; `split` decides which those are.

What the paper leaves open is done as in the authors' ME-TST: Adam with a one-cycle learning rate; windows
without a micro-expression drawn once, before the first epoch; each window scaled by a random factor whenever
it is seen; class weights balanced over the frames of the drawn windows, neutral's times six; the
cross-entropy averaged over frames rather than over weights. There is no validation set to stop by.

A long training keeps a `Checkpoint` and goes on from it, when it was stopped, to the same weights.

Last comes `flow-magnitude`, a comparator without training: how far the face goes and comes back.

Glossary: T frames of a video; W windows; C flow channels; k frames of a window; N windows that train.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn
from torch.nn import functional as F

from metst_lib import metrics, spotting, windows
from metst_lib._files import atomic, digest
from metst_lib.events import CLASSES, EMOTIONS, NEUTRAL, Event

Key = tuple[str, str]
"""(subject, video)"""


class Flow(Protocol):
    """What this module needs of a `flow.RoiFlow`: values (W, C, k), starts (W,) and the video's length."""

    values: np.ndarray
    starts: np.ndarray
    n_frames: int


# ----------------------------------------------------------------------------------------------- folds


def split(keys: Iterable[Key], subject: str) -> tuple[list[Key], list[Key]]:
    """The videos that train and those that test when this subject is left out, in the given order.

    ValueError where the subject has no video, listing those that have, or where no other subject is left.
    """
    keys = list(keys)
    test = [key for key in keys if key[0] == subject]
    train = [key for key in keys if key[0] != subject]
    if not test:
        raise ValueError(
            f"unknown subject {subject!r}; known: {', '.join(dict.fromkeys(s for s, _ in keys))}"
        )
    if not train:
        raise ValueError(f"no subject but {subject} to train on")
    return train, test


# ---------------------------------------------------------------------------------------------- fitting


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained. The defaults are those of the released ME-TST on SAMM-LV.

    epochs, batch (windows), lr: highest learning rate of the one-cycle schedule. ratio: windows without a
    micro-expression for each one with. spot_weight, recognition_weight: of Eq. 8 and Eq. 9 in the sum.
    neutral_weight: factor on neutral's balanced class weight; feature_synergy=False makes that weight 0.
    augment: lowest and highest factor by which a window's flow is scaled. device: "auto" takes a GPU where
    there is one, else "cpu" or "cuda".
    """

    epochs: int = 30
    lr: float = 1e-4
    batch: int = 32
    ratio: float = 0.5
    spot_weight: float = 0.9
    recognition_weight: float = 0.1
    neutral_weight: float = 6.0
    feature_synergy: bool = True
    augment: tuple[float, float] = (0.9, 1.1)
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        for name in ("ratio", "spot_weight", "recognition_weight", "neutral_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 < self.augment[0] <= self.augment[1]:
            raise ValueError(f"augment must be two factors above 0, the lower first, got {self.augment}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"unknown device {self.device!r}; known: auto, cpu, cuda")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network (on the CPU, in evaluation mode), its losses by epoch, and what the data gave it.

    history: one row an epoch, with columns epoch, loss, spotting, recognition, lr (means over windows).
    statistics: JSON-able; k_p (half_width), class_weights, frames by class, windows, steps, absent classes.
    resumed: the epoch after which a stopped training went on, 0 where it ran through; earlier: the seconds
    that had been spent until then.
    """

    model: nn.Module
    history: pd.DataFrame
    statistics: dict[str, Any]
    resumed: int = 0
    earlier: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """Where a long training keeps its state, so that one that was stopped goes on to the same weights.

    path: one file, replaced whole at the end of an epoch when `every` seconds have passed since the last
    time: a training shorter than that writes none. identity: names everything that decides the weights; a
    file of another identity, or one that is damaged, is ignored with a word. say: is told when a training
    goes on, when a file is ignored, and when one cannot be written (which does not stop the training).

    The file holds the network, the optimiser and its schedule, the epochs so far, and every random state
    that is still drawn from, in torch's format; it is read with weights_only, so that it runs no code.
    """

    path: Path
    identity: str
    every: float = 60.0
    say: Callable[[str], None] = print

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file, whole or not at all."""
        try:
            with atomic(self.path) as temporary:
                torch.save({"identity": self.identity, **state}, temporary)
        except (OSError, RuntimeError) as error:  # torch's own writer knows no OSError
            self.say(f"no checkpoint could be written, training goes on without: {self.path}: {error}")

    def read(self, shape: str) -> dict[str, Any] | None:
        """The state in the file; None where there is none of this identity for this shape of training."""
        try:
            with zipfile.ZipFile(self.path) as archive:  # torch looks at no checksum when it reads
                whole = archive.testzip() is None
            state = torch.load(self.path, map_location="cpu", weights_only=True) if whole else {}
            if whole and (state["identity"], state["shape"]) == (self.identity, shape):
                return state
            why = "it belongs to another training" if whole else "it is damaged"
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged archive makes torch raise
            why = f"it is damaged ({type(error).__name__})"
        self.say(f"{self.path} is ignored, training starts anew: {why}")
        return None

    def remove(self) -> None:
        """The file is gone afterwards, if there was one."""
        self.path.unlink(missing_ok=True)


def fit(
    model_factory: Callable[[], nn.Module],
    flows: Mapping[Key, Flow],
    events: Mapping[Key, Sequence[Event]],
    settings: TrainingSettings,
    seed: int,
    log: Callable[[str], None] | None = None,
    *,
    relabel: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train a fresh network on these videos and their micro-expressions.

    Args:
        model_factory: makes the network; called once, under this fit's own random state. The network maps
            flow (batch, C, k) to a spotting score (batch, k) and emotion logits (batch, k, 5).
        flows, events: by (subject, video), the same keys. Their order does not matter.
        settings: see `TrainingSettings`.
        seed: of initial weights, sampling, order, scaling and drop path, each a stream of its own. The same
            seed and data give the same weights, bit for bit, on one machine and number of threads. The
            caller's random state is neither used nor changed.
        log: called with a line of text for each epoch, and for a class without a frame.
        relabel: turns the labels of the windows, spotting (N, k) and class (N, k), into others of the same
            shapes, for networks that answer by window rather than by frame.
        checkpoint: where to keep the state, and to go on from if one is there. The caller removes it once it
            has kept what came of the training; a training that diverges removes it itself.

    Raises ValueError where keys disagree, windows differ in shape, flow is not finite (naming the video), or
    no window holds a micro-expression; FloatingPointError, naming the epoch, where the loss is.
    """
    say = log or (lambda line: None)
    device = _device(settings.device)
    x, spot, emotion = _training_windows(flows, events)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    sampling, initial, order, scaling, dropping = streams
    has_event = spot.any(axis=1)
    if not has_event.any():
        raise ValueError(f"none of the {len(x)} training windows holds a frame of a micro-expression")
    chosen = windows.sample(has_event, settings.ratio, sampling)
    data = [torch.from_numpy(np.ascontiguousarray(part[chosen])) for part in (x, spot, emotion)]
    if relabel is not None:
        data[1:] = relabel(data[1], data[2])
    flow, spot_target, emotion_target = (part.to(device) for part in data)

    counts = np.bincount(data[2].numpy().ravel(), minlength=len(CLASSES))
    weights = class_weights(counts, settings.neutral_weight if settings.feature_synergy else 0.0)
    absent = [name for name, count in zip(CLASSES, counts, strict=True) if not count]
    if absent:
        say(f"no training frame of class {', '.join(absent)}: weight 0, cannot be learned")
    steps = -(-len(chosen) // settings.batch)
    statistics = {
        "half_width": spotting.half_width(event for key in events for event in events[key]),
        "class_weights": dict(zip(CLASSES, weights.tolist(), strict=True)),
        "frames": dict(zip(CLASSES, counts.tolist(), strict=True)),
        "absent": absent,
        "windows": len(chosen),
        "windows_with_event": int(has_event.sum()),
        "windows_available": len(x),
        "steps": steps * settings.epochs,
        "device": str(device),
    }

    weight = torch.tensor(weights, dtype=torch.float32, device=device)
    history: list[tuple[float, ...]] = []
    resumed, earlier, began = 0, 0.0, time.perf_counter()
    with _own_random_state(device), _removed_if_diverged(checkpoint):
        torch.manual_seed(_seed(initial))
        model = model_factory().to(device)
        torch.manual_seed(_seed(dropping))
        optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=settings.lr, epochs=settings.epochs, steps_per_epoch=steps
        )
        parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
        drawn = {"order": order, "scaling": scaling}  # the streams that every epoch draws from
        shape = digest(statistics, [(name, list(value.shape)) for name, value in model.state_dict().items()])
        if checkpoint and (state := checkpoint.read(shape)):
            history, resumed, earlier = state["history"], len(state["history"]), state["seconds"]
            _restore(state, parts, drawn, device)
            checkpoint.say(f"training goes on after epoch {resumed} of {settings.epochs}: {checkpoint.path}")
        saved = began
        model.train()
        for epoch in range(resumed + 1, settings.epochs + 1):
            lr = optimiser.param_groups[0]["lr"]
            total = torch.zeros(3, dtype=torch.float64, device=device)
            factors = scaling.uniform(*settings.augment, size=(len(chosen), 1, 1)).astype(np.float32)
            scaled = flow * torch.from_numpy(factors).to(device)
            for batch in torch.from_numpy(order.permutation(len(chosen))).to(device).split(settings.batch):
                score, logits = model(scaled[batch])
                _check_output(score, logits, spot_target[batch].shape)
                spotting_loss = F.mse_loss(score, spot_target[batch])
                recognition_loss = weighted_cross_entropy(logits, emotion_target[batch], weight)
                loss = settings.spot_weight * spotting_loss + settings.recognition_weight * recognition_loss
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += len(batch) * torch.stack([loss, spotting_loss, recognition_loss]).detach()
            mean = (total / len(chosen)).tolist()
            if not np.isfinite(mean).all():
                raise FloatingPointError(
                    f"the loss is {mean[0]} in epoch {epoch} (spotting {mean[1]}, recognition {mean[2]}): "
                    f"training diverged; a lower lr than {settings.lr} may help"
                )
            history.append((epoch, *mean, lr))
            say(
                f"epoch {epoch}/{settings.epochs}: loss {mean[0]:.4f} "
                f"(spotting {mean[1]:.4f}, recognition {mean[2]:.4f})"
            )
            now = time.perf_counter()
            if checkpoint and epoch < settings.epochs and now - saved >= checkpoint.every:
                _check_weights(model, epoch)
                state = _state(parts, drawn, device)
                seconds = earlier + now - began
                checkpoint.write({"shape": shape, "seconds": seconds, "history": history, **state})
                saved = time.perf_counter()
        _check_weights(model, settings.epochs)
    columns = ["epoch", "loss", "spotting", "recognition", "lr"]
    frame = pd.DataFrame(history, columns=columns)
    return Fitted(model.cpu().eval(), frame, statistics, resumed, earlier)


def class_weights(counts: Sequence[int] | np.ndarray, neutral: float = 6.0) -> np.ndarray:
    """Weights of the five classes from their numbers of frames, float64 (5,).

    Balanced: all frames / (classes that occur × frames of the class), neutral's then multiplied by
    `neutral`. A class without a frame gets weight 0, which nothing ever multiplies.
    """
    counts = np.asarray(counts, dtype=np.float64)
    present = counts > 0
    weights = np.divide(counts.sum(), present.sum() * counts, out=np.zeros_like(counts), where=present)
    weights[CLASSES.index(NEUTRAL)] *= neutral
    return weights


def weighted_cross_entropy(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Eq. 9 averaged over frames: mean of −w_c · log softmax(logits)_c.

    logits (..., 5), classes (...) of class indices. Dividing by the number of frames rather than by the sum
    of their weights is what torch does for one-hot targets, as the released code gives it.
    """
    return F.cross_entropy(logits.flatten(0, -2), classes.flatten(), weight=weights, reduction="none").mean()


@torch.no_grad()
def predict(
    model: nn.Module, flow: Flow, stitch: str = "mean", batch: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """A video's spotting score float32 (T,) in [0, 1] and emotion logits float32 (T, 5).

    stitch: see `windows.stitch`. The network runs in evaluation mode, on the device where its weights are,
    and is left in the mode it was in. ValueError for flow that is not finite.
    """
    if not np.isfinite(flow.values).all():
        raise ValueError("the flow holds NaN or infinite values")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        parts = [
            model(part.to(device))
            for part in torch.from_numpy(np.asarray(flow.values, np.float32)).split(batch)
        ]
    finally:
        model.train(was_training)
    score, logits = (torch.cat(list(part)).float().cpu().numpy() for part in zip(*parts, strict=True))
    return tuple(windows.stitch(values, flow.starts, flow.n_frames, stitch) for values in (score, logits))


def _training_windows(
    flows: Mapping[Key, Flow], events: Mapping[Key, Sequence[Event]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flow float32 (N, C, k), spotting targets (N, k) and classes (N, k) of all windows, videos in order."""
    _check_keys(flows, events)
    keys = sorted(flows)
    shape = flows[keys[0]].values.shape[1:]
    x, spot, emotion = [], [], []
    for key in keys:
        flow = flows[key]
        values = np.asarray(flow.values, dtype=np.float32)
        if values.shape[1:] != shape:
            raise ValueError(
                f"windows of video {_name(key)} have shape (channels, frames) {values.shape[1:]}, "
                f"those of {_name(keys[0])} {shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"the flow of video {_name(key)} holds NaN or infinite values")
        try:
            labels = windows.targets(events[key], flow.n_frames)
        except ValueError as error:
            raise ValueError(f"video {_name(key)}: {error}") from None
        x.append(values)
        spot.append(windows.cut(labels[0], flow.starts, shape[-1]))
        emotion.append(windows.cut(labels[1], flow.starts, shape[-1]))
    return np.concatenate(x), np.concatenate(spot), np.concatenate(emotion)


def _check_keys(flows: Mapping[Key, Any], events: Mapping[Key, Any]) -> None:
    if not flows:
        raise ValueError("no video to train on")
    if odd := sorted(set(flows) ^ set(events)):
        raise ValueError(f"flow and events do not name the same videos: {'; '.join(map(_name, odd))}")


def _check_output(score: Tensor, logits: Tensor, frames: torch.Size) -> None:
    # Unequal shapes would broadcast into a loss without a word.
    if score.shape != frames or logits.shape != (*frames, len(CLASSES)):
        raise ValueError(
            f"the network gives scores {tuple(score.shape)} and logits {tuple(logits.shape)} "
            f"for {tuple(frames)} (windows, frames) and {len(CLASSES)} classes"
        )


def _check_weights(model: nn.Module, epoch: int) -> None:
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        raise FloatingPointError(f"the last step of epoch {epoch} left weights that are not finite")


def _state(
    parts: Mapping[str, Any], drawn: Mapping[str, np.random.Generator], device: torch.device
) -> dict[str, Any]:
    """All that the epochs to come depend on, in types that torch reads back with weights_only."""
    torch_states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        torch_states["cuda"] = torch.cuda.get_rng_state(device)
    streams = {name: json.dumps(stream.bit_generator.state) for name, stream in drawn.items()}
    return {name: part.state_dict() for name, part in parts.items()} | {"torch": torch_states} | streams


def _restore(
    state: Mapping[str, Any],
    parts: Mapping[str, Any],
    drawn: Mapping[str, np.random.Generator],
    device: torch.device,
) -> None:
    """The counterpart of `_state`."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    for name, stream in drawn.items():
        stream.bit_generator.state = json.loads(state[name])
    torch.set_rng_state(state["torch"]["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["torch"]["cuda"], device)


@contextlib.contextmanager
def _removed_if_diverged(checkpoint: Checkpoint | None) -> Iterator[None]:
    """A training whose numbers are no longer finite starts anew next time, not where it went wrong."""
    try:
        yield
    except FloatingPointError:
        if checkpoint:
            checkpoint.remove()
        raise


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError('device "cuda" was asked for, but torch sees no GPU; "auto" takes what there is')
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Torch's global generators given back as they were; on a GPU, kernels with one order of summing."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False),
    ):
        yield


def _seed(stream: np.random.Generator) -> int:
    return int(stream.integers(2**63))


def _name(key: Key) -> str:
    return " ".join(map(str, key))


# ------------------------------------------------------------------- flow-magnitude: no training at all

MEASURES = ("range", "return")
POOLINGS = ("mean", "three", "max")
_REACHES, _CEILINGS, _LIMITS = (0.5, 0.75, 1.0), (None, 0.1, 0.25, 0.5), (None, 0.9, 1.0)
_NEVER, _ABSENT = -2.0, -1.0  # below every cosine; the least cosine


@dataclass(frozen=True)
class FlowMagnitude:
    """Settings of the comparator without training, as `fit_flow_magnitude` found them.

    measure: "range", how far a region moves within ± reach frames; or "return", how far it lies from the
    middle of where it was `reach` frames before and will be `reach` frames after: a motion out and back.
    reach: frames. pooling: over regions, their mean, the mean of the largest three, or the largest.
    ceiling: pixels of the face crop above which a magnitude counts no more, so that a macro-expression does
    not lift the threshold over the rest; None for none. limit: pixels; where a region moves further than
    that within ± 3 k_p frames, the motion is none of a micro-expression and scores 0; None for none.
    half_width: k_p of the training subjects, in frames. f1: spotting F1 on the training subjects.
    centroids: for each of the four emotions the mean direction of motion, unit vectors over the flow
    channels; None where training has none of it.
    """

    measure: str
    reach: int
    pooling: str
    ceiling: float | None
    limit: float | None
    half_width: int
    f1: float
    centroids: tuple[tuple[float, ...] | None, ...]


def displacement(flow: Flow) -> np.ndarray:
    """Each channel's displacement since the video's first frame, pixels, float64 (T, C).

    The flow of a window is relative to that window's first frame. Steps from frame to frame are not: those of
    all windows that see them are averaged, then summed along the video. A slow error builds up over seconds;
    differences over a few frames are as good as the windows' own.
    """
    window = flow.values.shape[2]
    steps = np.diff(np.asarray(flow.values, dtype=np.float64), axis=2)  # (W, C, k − 1)
    total, seen = np.zeros((flow.n_frames, steps.shape[1])), np.zeros((flow.n_frames, 1))
    for start, step in zip(flow.starts, steps, strict=True):
        total[start + 1 : start + window] += step.T
        seen[start + 1 : start + window] += 1
    return np.cumsum(total / np.maximum(seen, 1), axis=0)


def fit_flow_magnitude(flows: Mapping[Key, Flow], events: Mapping[Key, Sequence[Event]]) -> FlowMagnitude:
    """Choose the comparator's few settings on the training subjects, by spotting F1 (scorer "strict").

    Every combination is tried: measure; reach of 0.5, 0.75 and 1 k_p; pooling; ceiling at none or the 0.1,
    0.25 and 0.5 quantile of the magnitude of training MEs at their strongest; limit at none or the 0.9
    quantile and the maximum of how far the face moves around training MEs. The first of equals, in this
    order, is taken. The threshold p stays 0.55 as for the networks. Emotions are told apart by the nearest
    of the classes' mean directions.

    Raises ValueError where keys disagree, flow is not finite (naming the video), or there is no
    micro-expression.
    """
    _check_keys(flows, events)
    keys = sorted(flows)
    for key in keys:
        if not np.isfinite(flows[key].values).all():
            raise ValueError(f"the flow of video {_name(key)} holds NaN or infinite values")
    truth = {key: [event for event in events[key] if event.kind == "micro"] for key in keys}
    k_p = spotting.half_width(event for key in keys for event in truth[key])
    paths = {key: displacement(flows[key]) for key in keys}
    wide = {key: _wide(paths[key], k_p) for key in keys}
    around = [wide[key][(e.onset + e.offset) // 2] for key in keys for e in truth[key]]
    best: tuple[float, dict[str, Any]] | None = None
    for measure, reach in itertools.product(
        MEASURES, dict.fromkeys(max(1, round(r * k_p)) for r in _REACHES)
    ):
        by_region = {key: _by_region(paths[key], measure, reach) for key in keys}
        for pooling in POOLINGS:
            pooled = {key: _pool(by_region[key], pooling) for key in keys}
            peaks = [pooled[key][e.onset : e.offset + 1].max() for key in keys for e in truth[key]]
            for ceiling, limit in itertools.product(
                _quantiles(peaks, _CEILINGS), _quantiles(around, _LIMITS)
            ):
                found = {
                    key: _intervals(_bounded(pooled[key], wide[key], ceiling, limit), k_p) for key in keys
                }
                f1 = metrics.evaluate(found, truth).spotting.f1
                if best is None or f1 > best[0]:
                    best = (
                        f1,
                        dict(measure=measure, reach=reach, pooling=pooling, ceiling=ceiling, limit=limit),
                    )
    f1, chosen = best
    return FlowMagnitude(**chosen, half_width=k_p, f1=f1, centroids=_centroids(paths, truth, k_p))


def predict_flow_magnitude(flow: Flow, settings: FlowMagnitude) -> tuple[np.ndarray, np.ndarray]:
    """A video's score float32 (T,), in pixels of the face crop, and logits float32 (T, 5), like `predict`.

    The logit of an emotion is the cosine between the frame's out-and-back motion over ± k_p frames and the
    emotion's mean direction. There is no neutral class: its logit lies below all others, so result-level
    synergy changes nothing. ValueError for flow that is not finite or has other channels than in training.
    """
    if not np.isfinite(flow.values).all():
        raise ValueError("the flow holds NaN or infinite values")
    channels = {len(c) for c in settings.centroids if c is not None} - {flow.values.shape[1]}
    if channels:
        raise ValueError(f"fitted on flow of {channels.pop()} channels, got {flow.values.shape[1]}")
    path = displacement(flow)
    pooled = _pool(_by_region(path, settings.measure, settings.reach), settings.pooling)
    score = _bounded(pooled, _wide(path, settings.half_width), settings.ceiling, settings.limit)
    motion = _unit(_motion(path, "return", settings.half_width))
    logits = np.full((flow.n_frames, len(CLASSES)), _NEVER)
    for c, centroid in enumerate(settings.centroids):
        logits[:, c] = _ABSENT if centroid is None else motion @ np.array(centroid)
    return score.astype(np.float32), logits.astype(np.float32)


def _motion(path: np.ndarray, measure: str, reach: int) -> np.ndarray:
    """What the measure takes of each channel of (T, C), the video's ends held still; (T, C)."""
    held = np.pad(path, ((reach, reach), (0, 0)), mode="edge")
    if measure == "return":
        return path - (held[: len(path)] + held[2 * reach :]) / 2
    around = sliding_window_view(held, 2 * reach + 1, axis=0)
    return around.max(axis=-1) - around.min(axis=-1)


def _by_region(path: np.ndarray, measure: str, reach: int) -> np.ndarray:
    """Magnitude (T, regions) of the motion; channels are region 1 x, region 1 y, region 2 x, …"""
    motion = _motion(path, measure, reach)
    return np.hypot(motion[:, 0::2], motion[:, 1::2])


def _pool(by_region: np.ndarray, pooling: str) -> np.ndarray:
    if pooling == "mean":
        return by_region.mean(axis=1)
    return np.sort(by_region, axis=1)[:, -(3 if pooling == "three" else 1) :].mean(axis=1)


def _wide(path: np.ndarray, k_p: int) -> np.ndarray:
    """How far the region that moves most moves within ± 3 k_p frames, about a second; (T,)."""
    return _pool(_by_region(path, "range", 3 * k_p), "max")


def _bounded(pooled: np.ndarray, wide: np.ndarray, ceiling: float | None, limit: float | None) -> np.ndarray:
    score = pooled if ceiling is None else np.minimum(pooled, ceiling)
    return score if limit is None else np.where(wide > limit, 0, score)


def _intervals(score: np.ndarray, k_p: int) -> list[Event]:
    return spotting.find_events(score, np.zeros((len(score), len(CLASSES))), k_p, result_synergy=False)


def _centroids(
    paths: Mapping[Key, np.ndarray], truth: Mapping[Key, Sequence[Event]], k_p: int
) -> tuple[tuple[float, ...] | None, ...]:
    """Unit mean of the directions in which the MEs of each emotion go, each at its strongest frame."""
    sums: dict[str, Any] = dict.fromkeys(EMOTIONS)
    for key in paths:
        motion = _motion(paths[key], "return", k_p)
        for event in truth[key]:
            if event.emotion is not None:
                inside = motion[event.onset : event.offset + 1]
                strongest = inside[np.linalg.norm(inside, axis=1).argmax()]
                sums[event.emotion] = (0 if sums[event.emotion] is None else sums[event.emotion]) + _unit(
                    strongest
                )
    return tuple(None if s is None else tuple(_unit(s).tolist()) for s in sums.values())


def _unit(vectors: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)


def _quantiles(values: Sequence[float], levels: Sequence[float | None]) -> list[float | None]:
    return [None if level is None else float(np.quantile(values, level)) for level in levels]
