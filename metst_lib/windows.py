"""Windows ↔ video: labels of the frames, which windows train, the windows' scores as one curve.

Paper, Sec. III-A (sliding window with overlap) and Sec. IV-B (labels and training). The network sees windows
of k frames that overlap by half; everything before and after it speaks of whole videos.

Glossary: T frames of a video; k frames of a window (`window`); W windows of a video.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from metst_lib.events import CLASSES, NEUTRAL, Event, Key, named

STITCHES = ("mean", "released")


class Flow(Protocol):
    """What this module needs of a `flow.RoiFlow`: values (W, C, k), starts (W,) and the video's length."""

    values: np.ndarray
    starts: np.ndarray
    n_frames: int


def targets(events: Sequence[Event], n_frames: int, kind: str = "micro") -> tuple[np.ndarray, np.ndarray]:
    """What each frame should say: spotting score float32 (T,) and emotion class int64 (T,).

    Frames onset + 1 … offset − 1 of an event of this kind score 1 and carry its class; all others score 0
    and are neutral (class 4). Other kinds leave no mark. Where two events overlap, the one with the later
    onset labels the shared frames. One of fewer than three frames has no frame between onset and offset,
    hence no label. Only micro-expressions have an emotion to learn; macro-expressions are neutral.

    Raises ValueError for an event beyond the video's end, and for a micro-expression without an emotion.
    """
    spot = np.zeros(n_frames, dtype=np.float32)
    emotion = np.full(n_frames, CLASSES.index(NEUTRAL), dtype=np.int64)
    for event in sorted(events, key=lambda e: (e.onset, e.offset)):
        if event.kind != kind:
            continue
        if event.offset >= n_frames:
            raise ValueError(f"an event ends at frame {event.offset}, but the video has {n_frames} frames")
        if event.emotion is None and kind == "micro":
            raise ValueError(f"the micro-expression {event.onset}…{event.offset} has no emotion to learn")
        spot[event.onset + 1 : event.offset] = 1
        emotion[event.onset + 1 : event.offset] = CLASSES.index(event.emotion or NEUTRAL)
    return spot, emotion


def cut(signal: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    """The windows of a signal (T, ...): an array (W, k, ...), one row per start.

    Raises ValueError where a window reaches beyond the signal.
    """
    signal, starts = np.asarray(signal), np.asarray(starts, dtype=np.int64)
    if len(starts) and (starts.min() < 0 or starts.max() + window > len(signal)):
        raise ValueError(
            f"windows of {window} frames starting at {starts.min()}…{starts.max()} do not fit "
            f"a signal of {len(signal)} frames"
        )
    return signal[starts[:, None] + np.arange(window)]


def stitch(values: np.ndarray, starts: np.ndarray, n_frames: int, mode: str = "mean") -> np.ndarray:
    """The values of the windows (W, k, ...) as one per frame of the video (T, ...).

    mode="mean": the mean over all windows that see the frame. mode="released": the earliest window that sees
    the frame decides, as the authors mean it: every window but the first gives its second half. (Their code
    takes the first of each batch for the first of a video; only a replay of their weights does that too.)

    Raises ValueError for an unknown mode, shapes that disagree, or a frame that no window sees.
    """
    values, starts = np.asarray(values), np.asarray(starts, dtype=np.int64)
    if mode not in STITCHES:
        raise ValueError(f"unknown stitching {mode!r}; known: {', '.join(STITCHES)}")
    if values.ndim < 2 or len(values) != len(starts):
        raise ValueError(f"{len(starts)} starts do not fit values of shape {values.shape}")
    window = values.shape[1]
    if len(starts) and (starts.min() < 0 or starts.max() + window > n_frames):
        raise ValueError(f"windows of {window} frames reach beyond the video's {n_frames} frames")
    total = np.zeros((n_frames, *values.shape[2:]), dtype=np.float64)
    seen = np.zeros(n_frames, dtype=np.int64)
    for start, piece in sorted(zip(starts, values, strict=True), key=lambda pair: pair[0]):
        here = slice(start, start + window)
        take = np.ones(window, dtype=bool) if mode == "mean" else seen[here] == 0
        total[here][take] += piece[take]
        seen[here] += take
    if not seen.all():
        raise ValueError(f"no window sees frame {int(np.argmin(seen > 0))} of {n_frames}")
    shape = (n_frames,) + (1,) * (values.ndim - 2)
    kind = values.dtype if np.issubdtype(values.dtype, np.floating) else np.float64
    return (total / seen.reshape(shape)).astype(kind)


def sample(
    has_event: np.ndarray, ratio: float, rng: np.random.Generator, hard: np.ndarray | None = None
) -> np.ndarray:
    """Which windows train: all that hold micro-expression frames, and `ratio` times as many that do not.

    The latter are drawn without replacement; where there are not enough, all are taken. hard: windows (N,)
    that are easily mistaken; half of the drawn ones come from these, as far as they go. Returns sorted
    indices, int64. Raises ValueError for a negative ratio.
    """
    if not ratio >= 0:
        raise ValueError(f"ratio must be 0 or more, got {ratio}")
    has_event = np.asarray(has_event, dtype=bool)
    expressive, quiet = np.flatnonzero(has_event), np.flatnonzero(~has_event)
    wanted = int(min(ratio * len(expressive), len(quiet)))
    if hard is not None:
        mistaken = np.flatnonzero(hard & ~has_event)
        mistaken = rng.choice(mistaken, size=min(wanted // 2, len(mistaken)), replace=False)
        expressive, quiet = np.append(expressive, mistaken), np.setdiff1d(quiet, mistaken)
        wanted -= len(mistaken)
    drawn = rng.choice(quiet, size=wanted, replace=False)
    return np.sort(np.concatenate([expressive, drawn]))


def holding(flows: Mapping[Key, Flow], events: Mapping[Key, Sequence[Event]], kind: str) -> np.ndarray:
    """Which windows hold a frame within an event of this kind: bool (N,), ordered as `training_windows`."""
    marks = []
    for key in sorted(flows):
        flow = flows[key]
        score = targets(events[key], flow.n_frames, kind)[0]
        marks.append(cut(score, flow.starts, flow.values.shape[-1]).any(axis=1))
    return np.concatenate(marks)


def training_windows(
    flows: Mapping[Key, Flow], events: Mapping[Key, Sequence[Event]], kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flow float32 (N, C, k), spotting targets (N, k) and classes (N, k) of all windows, videos in order.

    ValueError where keys disagree, windows differ in shape, or flow is not finite (naming the video).
    """
    check_keys(flows, events)
    keys = sorted(flows)
    shape = flows[keys[0]].values.shape[1:]
    x, spot, emotion = [], [], []
    for key in keys:
        flow = flows[key]
        values = np.asarray(flow.values, dtype=np.float32)
        if values.shape[1:] != shape:
            raise ValueError(
                f"windows of video {named(key)} have shape (channels, frames) {values.shape[1:]}, "
                f"those of {named(keys[0])} {shape}"
            )
        check_flow(flow, key)
        try:
            labels = targets(events[key], flow.n_frames, kind)
        except ValueError as error:
            raise ValueError(f"video {named(key)}: {error}") from None
        x.append(values)
        spot.append(cut(labels[0], flow.starts, shape[-1]))
        emotion.append(cut(labels[1], flow.starts, shape[-1]))
    return np.concatenate(x), np.concatenate(spot), np.concatenate(emotion)


def check_flow(flow: Flow, key: Key | None = None) -> None:
    """ValueError, naming the video where its key is given, for flow that is not finite."""
    if not np.isfinite(flow.values).all():
        raise ValueError(f"the flow{f' of video {named(key)}' if key else ''} holds NaN or infinite values")


def check_keys(flows: Mapping[Key, Any], events: Mapping[Key, Any]) -> None:
    """ValueError where there is no video, or flow and events do not name the same ones."""
    if not flows:
        raise ValueError("no video to train on")
    if odd := sorted(set(flows) ^ set(events)):
        raise ValueError(f"flow and events do not name the same videos: {'; '.join(map(named, odd))}")
