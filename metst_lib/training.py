"""Fit a network and predict with it: windows drawn, losses, optimiser, loop.

Paper, Sec. IV-B: mean squared error for spotting (Eq. 8), weighted cross-entropy for recognition (Eq. 9).
Sec. III-C: feature-level synergy is the neutral class taking part in Eq. 9.

Whatever `fit` learns, weights of the network, running statistics of its batch normalisation and class
weights, comes from the videos it is given and from nothing else; `fold.split` decides which those are.

What the paper leaves open is done as in the authors' code: Adam with a one-cycle learning rate; windows
without an event drawn once, before the first epoch; each window scaled by a random factor whenever it is
seen; class weights balanced over the frames of the drawn windows, neutral's times six; the cross-entropy
averaged over frames rather than over weights. There is no validation set to stop by.

Glossary: T frames of a video; W windows; C flow channels; k frames of a window; N windows that train.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metst_lib import windows
from metst_lib.events import CLASSES, NEUTRAL, Event, Key, Prediction, named
from metst_lib.windows import Flow

HISTORY = ["epoch", "loss", "spotting", "recognition", "lr"]  # columns of the losses by epoch
#: A network whose score moves less than this over whole videos has not learned to spot anything.
FLAT = 1e-6


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained. The defaults are those of the authors' code of 2025 on SAMM-LV.

    epochs, batch (windows), lr: highest learning rate of the one-cycle schedule. ratio: windows without a
    micro-expression for each one with. spot_weight, recognition_weight: of Eq. 8 and Eq. 9 in the sum.
    neutral_weight: factor on neutral's balanced class weight; feature_synergy=False makes that weight 0.
    augment: lowest and highest factor by which a window's flow is scaled. device: "auto" takes a GPU where
    there is one, else "cpu" or "cuda". negatives: windows without a micro-expression come from everywhere
    ("any"), or half of them, as far as they go, from those that hold a macro-expression ("macro").
    """

    epochs: int = 50
    lr: float = 3e-4
    batch: int = 32
    ratio: float = 0.5
    spot_weight: float = 0.9
    recognition_weight: float = 0.1
    neutral_weight: float = 6.0
    feature_synergy: bool = True
    augment: tuple[float, float] = (0.9, 1.1)
    device: str = "auto"
    negatives: str = "any"

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
        if self.negatives not in ("any", "macro"):
            raise ValueError(f"unknown negatives {self.negatives!r}; known: any, macro")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network (on the CPU, in evaluation mode), its losses by epoch, and what the data gave it.

    history: one row an epoch, with columns epoch, loss, spotting, recognition, lr (means over windows).
    statistics: JSON-able; class_weights, frames by class, windows, steps, absent classes. stitch: how
    `predict` joins the windows. resumed: the epoch after which a stopped training went on, 0 where it ran
    through; earlier: the seconds that had been spent until then.
    """

    model: nn.Module
    history: pd.DataFrame
    statistics: dict[str, Any]
    stitch: str = "mean"
    resumed: int = 0
    earlier: float = 0.0

    def predict(self, flow: Flow) -> Prediction:
        """What the network says of a video; see `predict`."""
        return predict(self.model, flow, self.stitch)


class Checkpoint(Protocol):
    """Where a long training keeps its state, so that one that was stopped goes on to the same weights."""

    def read(self, shape: Any) -> dict[str, Any] | None:
        """The state that was kept of a training of this (JSON-able) shape, None where there is none."""

    def due(self) -> bool:
        """Whether it is time to keep the state again."""

    def write(self, state: dict[str, Any]) -> None:
        """Keep the state in place of the last one."""


def fit(
    make: Callable[[], nn.Module],
    flows: Mapping[Key, Flow],
    events: Mapping[Key, Sequence[Event]],
    settings: TrainingSettings,
    seed: int,
    *,
    kind: str = "micro",
    stitch: str = "mean",
    relabel: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    log: Callable[[str], None] = lambda line: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train a fresh network on these videos and their events of one kind.

    Args:
        make: makes the network; called once, under this fit's own random state. The network maps flow
            (batch, C, k) to a spotting score (batch, k) and emotion logits (batch, k, 5).
        flows, events: by (subject, video), the same keys. Their order does not matter.
        settings: see `TrainingSettings`.
        seed: of initial weights, sampling, order, scaling and drop path, each a stream of its own. The same
            seed and data give the same weights, bit for bit, on one machine and number of threads. The
            caller's random state is neither used nor changed.
        relabel: turns the labels of the windows, spotting (N, k) and class (N, k), into others of the same
            shapes, for networks that answer by window rather than by frame.
        log: called with a line of text for each epoch, and for a class without a frame.
        checkpoint: where to keep the state, and to go on from if one is there.

    Raises ValueError where keys disagree, windows differ in shape, flow is not finite (naming the video), or
    no window holds an event; FloatingPointError, naming the epoch, where the loss is.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    sampling, initial, order, scaling, dropping = streams
    data = _drawn(flows, events, settings, kind, relabel, sampling)
    if absent := data.statistics["absent"]:
        log(f"no training frame of class {', '.join(absent)}: weight 0, cannot be learned")
    earlier, began = 0.0, time.perf_counter()
    with _own_random_state(data.flow.device):
        torch.manual_seed(_seed(initial))
        model = make().to(data.flow.device)
        torch.manual_seed(_seed(dropping))
        course = _Course(model, data, settings, order, scaling)
        shape = data.statistics, [(name, list(x.shape)) for name, x in model.state_dict().items()]
        if checkpoint and (state := checkpoint.read(shape)):
            course.restore(state)
            earlier = state["seconds"]
        resumed = len(course.history)
        model.train()
        for epoch in range(resumed + 1, settings.epochs + 1):
            log(course.epoch(epoch))
            if checkpoint and epoch < settings.epochs and checkpoint.due():
                _check_weights(model, epoch)
                checkpoint.write(course.state() | {"seconds": earlier + time.perf_counter() - began})
        _check_weights(model, settings.epochs)
    history = pd.DataFrame(course.history, columns=HISTORY)
    return Fitted(model.cpu().eval(), history, data.statistics, stitch, resumed, earlier)


@dataclass(frozen=True)
class _Data:
    """What trains: flow (N, C, k), targets (N, k), classes (N, k), weights of the classes (5,)."""

    flow: Tensor
    spot: Tensor
    emotion: Tensor
    weight: Tensor
    statistics: dict[str, Any]


def _drawn(
    flows: Mapping[Key, Flow],
    events: Mapping[Key, Sequence[Event]],
    settings: TrainingSettings,
    kind: str,
    relabel: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None,
    rng: np.random.Generator,
) -> _Data:
    """Windows drawn once, before the first epoch, on the device where they train."""
    device = _device(settings.device)
    x, spot, emotion = windows.training_windows(flows, events, kind)
    has_event = spot.any(axis=1)
    if not has_event.any():
        raise ValueError(f"none of the {len(x)} training windows holds a frame of a {kind}-expression")
    hard = windows.holding(flows, events, "macro") if settings.negatives == "macro" else None
    chosen = windows.sample(has_event, settings.ratio, rng, hard)
    data = [torch.from_numpy(np.ascontiguousarray(part[chosen])) for part in (x, spot, emotion)]
    if relabel is not None:
        data[1:] = relabel(data[1], data[2])
    counts = np.bincount(data[2].numpy().ravel(), minlength=len(CLASSES))
    weights = class_weights(counts, settings.neutral_weight if settings.feature_synergy else 0.0)
    statistics = {
        "class_weights": dict(zip(CLASSES, weights.tolist(), strict=True)),
        "frames": dict(zip(CLASSES, counts.tolist(), strict=True)),
        "absent": [name for name, count in zip(CLASSES, counts, strict=True) if not count],
        "windows": len(chosen),
        "windows_with_event": int(has_event.sum()),
        "windows_available": len(x),
        "steps": _steps(len(chosen), settings) * settings.epochs,
        "device": str(device),
    }
    data.append(torch.tensor(weights, dtype=torch.float32))
    return _Data(*(part.to(device) for part in data), statistics)


def _steps(n_windows: int, settings: TrainingSettings) -> int:
    """Steps of an epoch; the last batch may be a short one."""
    return -(-n_windows // settings.batch)


class _Course:
    """A training under way: all that an epoch changes."""

    def __init__(
        self,
        model: nn.Module,
        data: _Data,
        settings: TrainingSettings,
        order: np.random.Generator,
        scaling: np.random.Generator,
    ) -> None:
        self.data, self.settings = data, settings
        self.optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
        steps = _steps(len(data.flow), settings)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, max_lr=settings.lr, epochs=settings.epochs, steps_per_epoch=steps
        )
        self.parts = {"model": model, "optimiser": self.optimiser, "schedule": schedule}
        self.streams = {"order": order, "scaling": scaling}  # those that every epoch draws from
        self.history: list[tuple[float, ...]] = []

    def epoch(self, number: int) -> str:
        """One turn over the windows, and a line about it. FloatingPointError where it diverges."""
        data, settings, n = self.data, self.settings, len(self.data.flow)
        lr = self.optimiser.param_groups[0]["lr"]
        total = torch.zeros(3, dtype=torch.float64, device=data.flow.device)
        factors = self.streams["scaling"].uniform(*settings.augment, size=(n, 1, 1)).astype(np.float32)
        scaled = data.flow * torch.from_numpy(factors).to(data.flow.device)
        shuffled = torch.from_numpy(self.streams["order"].permutation(n)).to(data.flow.device)
        for batch in shuffled.split(settings.batch):
            total += len(batch) * self.step(scaled[batch], batch)
        mean = (total / n).tolist()
        if not np.isfinite(mean).all():
            raise FloatingPointError(
                f"the loss is {mean[0]} in epoch {number} (spotting {mean[1]}, recognition {mean[2]}): "
                f"training diverged; a lower lr than {settings.lr} may help"
            )
        self.history.append((number, *mean, lr))
        losses = f"loss {mean[0]:.4f} (spotting {mean[1]:.4f}, recognition {mean[2]:.4f})"
        return f"epoch {number}/{settings.epochs}: {losses}"

    def step(self, flow: Tensor, batch: Tensor) -> Tensor:
        """One step on some windows: the loss and its two parts (3,), Eq. 8 and Eq. 9."""
        data, settings = self.data, self.settings
        score, logits = self.parts["model"](flow)
        _check_output(score, logits, data.spot[batch].shape)
        spotting = F.mse_loss(score, data.spot[batch])
        recognition = weighted_cross_entropy(logits, data.emotion[batch], data.weight)
        loss = settings.spot_weight * spotting + settings.recognition_weight * recognition
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.parts["schedule"].step()
        return torch.stack([loss, spotting, recognition]).detach()

    def state(self) -> dict[str, Any]:
        """All that the epochs to come depend on, in types that torch reads back with weights_only."""
        device = self.data.flow.device
        torch_states = {"cpu": torch.get_rng_state()}
        if device.type == "cuda":
            torch_states["cuda"] = torch.cuda.get_rng_state(device)
        streams = {name: json.dumps(stream.bit_generator.state) for name, stream in self.streams.items()}
        states = {name: part.state_dict() for name, part in self.parts.items()}
        return states | {"torch": torch_states, "history": self.history} | streams

    def restore(self, state: Mapping[str, Any]) -> None:
        """The counterpart of `state`."""
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name, stream in self.streams.items():
            stream.bit_generator.state = json.loads(state[name])
        self.history = list(state["history"])
        torch.set_rng_state(state["torch"]["cpu"])
        if self.data.flow.device.type == "cuda":
            torch.cuda.set_rng_state(state["torch"]["cuda"], self.data.flow.device)


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


def predict(model: nn.Module, flow: Flow, stitch: str = "mean", batch: int = 256) -> Prediction:
    """A video's spotting score float32 (T,) in [0, 1] and emotion logits float32 (T, 5).

    stitch: see `windows.stitch`. The network runs in evaluation mode, on the device where its weights are,
    and is left in the mode it was in. ValueError for flow that is not finite.
    """
    windows.check_flow(flow)
    joined = outputs(model, flow.values, batch)
    return Prediction(*(windows.stitch(values, flow.starts, flow.n_frames, stitch) for values in joined))


@torch.no_grad()
def outputs(model: nn.Module, values: np.ndarray, batch: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Scores float32 (W, k) and logits float32 (W, k, 5) of windows (W, C, k), as `predict` stitches them."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        parts = [
            model(part.to(device)) for part in torch.from_numpy(np.asarray(values, np.float32)).split(batch)
        ]
    finally:
        model.train(was_training)
    score, logits = (torch.cat(list(part)).float().cpu().numpy() for part in zip(*parts, strict=True))
    return score, logits


def check_predictions(predictions: Mapping[Key, Prediction], epochs: int) -> None:
    """FloatingPointError for predictions that would be scored like any other but say nothing.

    epochs: how long a network was trained, 0 for a variant without training, which may well see nothing.
    """
    for key, seen in predictions.items():
        if not (np.isfinite(seen.score).all() and np.isfinite(seen.logits).all()):
            raise FloatingPointError(f"scores of video {named(key)} are NaN or infinite")
    scores = [seen.score for seen in predictions.values()]
    if epochs and scores and max(np.ptp(score) for score in scores) < FLAT:
        raise FloatingPointError(
            f"the spotting score is {scores[0][0]:.6f} in every frame of every video after epoch "
            f"{epochs}: training has not converged; a lower lr may help"
        )


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
