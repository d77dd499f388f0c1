"""Figures of results: from score to events, confusion (Fig. 5), one video (6), two variants (7), regions (8).

A true interval is a blue band behind curves and a filled bar in a lane; a prediction is a filled bar where it
meets a true one with IoU of at least 0.5, a hollow bar where it does not.

Glossary: T frames of the video; k frames shown; C channels of flow (region × x, y).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from metst_lib import spotting
from metst_lib.events import CLASSES, EMOTIONS, Event, Video
from metst_lib.figures._style import (
    FULL,
    HALF,
    INK,
    KIND,
    Drawing,
    bar,
    canvas,
    describe,
    emotion_lines,
    emotion_patches,
    hits,
    legend_below,
    plural,
    shade,
    shade_handles,
    themed,
    unit_axis,
)
from metst_lib.figures.faces import draw_landmarks
from metst_lib.spotting import Candidate


@dataclass(frozen=True)
class Output:
    """What one variant says about one video: score (T,), class probabilities (T, 5), predicted events."""

    name: str
    score: np.ndarray
    probabilities: np.ndarray
    predicted: Sequence[Event]
    threshold: float | None = None


@dataclass(frozen=True)
class EventView:
    """One event for Fig. 8: outputs and the flow of a few regions on the frames start … start + k − 1.

    score (k,), probabilities (k, 5), flow (C, k) in pixels since frame `start`, names of its C / 2 regions.
    """

    title: str
    event: Event
    start: int
    score: np.ndarray
    probabilities: np.ndarray
    flow: np.ndarray
    names: Sequence[str]
    distractors: Sequence[Event] = field(default=())


@themed
def confusion(confusions: Mapping[str, tuple[np.ndarray, Sequence[str]]]) -> Drawing:
    """Fig. 5: confusion matrices side by side; each cell shows the count and its share of the true class.

    confusions: name → (counts, labels); counts (true, predicted) whole numbers; labels of the columns, of
    which the rows' are the first. A class with nothing true stays grey, with n = 0 and dashes.
    """
    figure = canvas(FULL if len(confusions) > 1 else HALF, 2.8)
    axes = figure.subplots(1, max(len(confusions), 1), squeeze=False)[0]
    sentences = []
    blues = matplotlib.colormaps["Blues"].with_extremes(bad="#EFEFEF")
    for ax, (name, (counts, labels)) in zip(axes, confusions.items(), strict=False):
        counts = np.asarray(counts)
        rows = counts.sum(1, keepdims=True)
        share = np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)
        shown = ax.imshow(share, cmap=blues, vmin=0, vmax=1, aspect="auto")
        for (true, said), count in np.ndenumerate(counts):
            part = share[true, said]
            label = f"{count}\n{part:.0%}" if rows[true, 0] else "–"
            ax.text(said, true, label, ha="center", va="center", color="white" if part > 0.55 else INK)
        ax.set_xticks(range(counts.shape[1]), labels, rotation=30, ha="right", rotation_mode="anchor")
        ax.set_yticks(
            range(counts.shape[0]),
            [f"{label}\n(n = {int(total)})" for label, total in zip(labels, rows[:, 0], strict=False)],
        )
        ax.set(xlabel="predicted class", ylabel="true class", title=name)
        ax.grid(False)
        right = "; ".join(
            f"{label} {counts[row, row]} of {int(rows[row, 0])}"
            for row, label in enumerate(labels[: len(counts)])
        )
        sentences.append(f"{name}: recognised correctly {right}.")
    if confusions:
        colours = figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02)
        colours.set_label("share of the true class")
        colours.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    else:
        axes[0].axis("off")
        axes[0].text(0.5, 0.5, "no result yet", transform=axes[0].transAxes, ha="center", va="center")
    return describe(
        figure,
        "Confusion matrices of micro-expression recognition, rows true, columns predicted.",
        *sentences,
    )


@themed
def score_to_events(
    score: np.ndarray,
    candidates: Sequence[Candidate],
    half_width: int,
    fps: float,
    p: float = 0.55,
    truth: Sequence[Event] = (),
) -> Drawing:
    """From a score to events: raw and smoothed score, mean, threshold, peaks, and the interval of each.

    score (T,), not yet smoothed; candidates: what `spotting.candidates` makes of it; half_width: k_p in
    frames; truth: events to shade. Intervals dropped by result-level synergy are hollow.
    """
    time, smoothed = np.arange(len(score)) / fps, spotting.smooth(score, half_width)
    level = spotting.threshold(smoothed, p)
    figure = canvas(FULL, 3.6)
    ax, lane = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    shade(ax, truth, fps)
    raw = ax.plot(time, score, color="#999999", lw=0.8, label="score")
    line = ax.plot(time, smoothed, color=INK, lw=1.4, label=f"mean over {2 * half_width} frames")
    mean = ax.axhline(smoothed.mean(), color=INK, ls=":", lw=1, label="mean of the video")
    high = ax.axhline(level, color=INK, ls="--", lw=1, label=f"threshold, p = {p:g}")
    at, heights = [c.peak / fps for c in candidates], [c.height for c in candidates]
    peaks = ax.plot(at, heights, ls="", marker="v", ms=6, mfc="w", mec=INK, label="peak")
    ax.set_ylabel("spotting score")
    for candidate in candidates:
        event = Event(candidate.onset, candidate.offset) if candidate.dropped else candidate.event()
        bar(lane, event, 0, fps, hollow=candidate.dropped)
    lane.set_yticks([0], ["peak ± k_p"])
    lane.set_ylim(0.6, -0.6)
    lane.grid(axis="y", visible=False)
    lane.set_xlim(0, len(score) / fps)
    lane.set_xlabel("time in the video (s)")
    kept = {c.vote for c in candidates if not c.dropped}
    handles = [
        *raw,
        *line,
        mean,
        high,
        *peaks,
        *shade_handles(truth),
        *emotion_patches(e for e in EMOTIONS if e in kept),
    ]
    dropped = sum(c.dropped for c in candidates)
    if dropped:
        handles.append(Patch(facecolor="white", edgecolor=INK, lw=1.4, label="dropped: vote is neutral"))
    legend_below(figure, handles, 5)
    return describe(
        figure,
        f"A spotting score over {len(score) / fps:.1f} s, raw and smoothed over {2 * half_width} frames:",
        f"mean {smoothed.mean():.3g}, highest {smoothed.max():.3g}, threshold {level:.3g}.",
        f"{plural(len(candidates), 'peak')} above it, of which {dropped} dropped: the vote is neutral.",
    )


@themed
def one_video(
    video: Video,
    score: np.ndarray,
    probabilities: np.ndarray,
    predicted: Sequence[Event],
    threshold: float | None = None,
    landmarks: np.ndarray | None = None,
    frames: Sequence[np.ndarray] | None = None,
    show_faces: bool = False,
    interval: tuple[int, int] | None = None,
) -> Drawing:
    """Fig. 6: one video from its frames to its events, on one time axis.

    video gives fps, true events and distractors; score (T,) and probabilities (T, 5) per frame; threshold:
    the score a peak must reach; landmarks (T, 68, 2) or, with `show_faces=True`, frames: up to six moments on
    top, lettered in the score below; interval: first and last frame to show. ValueError where score or
    probabilities do not have n_frames frames.
    """
    _same_length(video, score, probabilities)
    first, last = interval or (0, video.n_frames - 1)
    faces = show_faces and frames is not None
    strip = faces or landmarks is not None
    figure = canvas(FULL, 5.6 if strip else 4.3)
    top, body = figure.subfigures(2, 1, height_ratios=[1.25, 4.3]) if strip else (None, figure)
    ax_score, ax_class, ax_lanes = body.subplots(3, 1, sharex=True, height_ratios=[1.5, 1.5, 1.2])
    moments = _moments(video, first, last, 6) if strip else []
    if strip:
        for letter, number, ax in zip(
            "abcdef", moments, top.subplots(1, len(moments), squeeze=False)[0], strict=False
        ):
            _face(ax, number, landmarks, frames if faces else None)
            ax.set_title(f"{letter}  {number / video.fps:.1f} s", loc="center", fontweight="normal")
    _score_panel(ax_score, video, score, threshold)
    for letter, number in zip("abcdef", moments, strict=False):
        ax_score.annotate(
            letter, (number / video.fps, 1.02), xycoords=("data", "axes fraction"), ha="center", va="bottom"
        )
    time = np.arange(video.n_frames) / video.fps
    lines = emotion_lines(ax_class, time, probabilities)
    shade(ax_class, video.events, video.fps)
    ax_class.set_ylabel("class probability\n(0–1)")
    _lanes(ax_lanes, video, predicted)
    ax_lanes.set_xlim(first / video.fps, (last + 1) / video.fps)
    ax_lanes.set_xlabel("time in the video (s)")
    body.align_ylabels([ax_score, ax_class])
    shown = [event for event in video.events if event.offset >= first and event.onset <= last]
    handles = [*lines, *shade_handles(shown), *_score_handles(threshold), *_hollow(predicted, video)]
    legend_below(figure, handles, 5)
    return describe(figure, _story(video, predicted), *_unshown(faces, landmarks))


@themed
def two_variants(video: Video, outputs: Sequence[Output], interval: tuple[int, int] | None = None) -> Drawing:
    """Fig. 7: variants above one another on one video; S is the spotting score, R the class probabilities."""
    first, last = interval or (0, video.n_frames - 1)
    figure = canvas(FULL, 0.9 + 2.3 * len(outputs) + 0.7)
    axes = figure.subplots(
        2 * len(outputs) + 1,
        1,
        sharex=True,
        height_ratios=[1, 1] * len(outputs) + [0.35 + 0.35 * len(outputs)],
    )
    time = np.arange(video.n_frames) / video.fps
    lines = []
    for row, output in enumerate(outputs):
        _same_length(video, output.score, output.probabilities)
        ax_score, ax_class = axes[2 * row], axes[2 * row + 1]
        _score_panel(ax_score, video, output.score, output.threshold)
        ax_score.set_ylabel("S: score\n(0–1)")
        ax_score.set_title(output.name)
        lines = emotion_lines(ax_class, time, output.probabilities)
        shade(ax_class, video.events, video.fps)
        ax_class.set_ylabel("R: probability\n(0–1)")
    _lanes(
        axes[-1], video, *(output.predicted for output in outputs), names=[output.name for output in outputs]
    )
    axes[-1].set_xlim(first / video.fps, (last + 1) / video.fps)
    axes[-1].set_xlabel("time in the video (s)")
    figure.align_ylabels(list(axes[:-1]))
    threshold = next((output.threshold for output in outputs if output.threshold is not None), None)
    every = [event for output in outputs for event in output.predicted]
    handles = [*lines, *shade_handles(video.events), *_score_handles(threshold), *_hollow(every, video)]
    legend_below(figure, handles, 5)
    stories = [f"{output.name}: {_story(video, output.predicted)}" for output in outputs]
    return describe(figure, "The same video seen by several variants.", *stories)


@themed
def key_regions(views: Sequence[EventView], fps: float) -> Drawing:
    """Fig. 8: a column for each event: spotting score (S), class probabilities (R), flow of key regions."""
    regions = max((len(view.names) for view in views), default=1)
    figure = canvas(FULL, 3.2 + 0.85 * regions)
    axes = figure.subplots(
        2 + regions,
        max(len(views), 1),
        squeeze=False,
        sharex="col",
        sharey="row",
        height_ratios=[1.2, 1.2] + [0.85] * regions,
    )
    lines: list[Line2D] = []
    sentences = []
    for column, view in enumerate(views):
        inside = [view.event, *view.distractors]
        time = (view.start + np.arange(len(view.score))) / fps
        axes[0, column].plot(time, view.score, color=INK)
        unit_axis(axes[0, column])
        axes[0, column].set_title(f"{'abcdefgh'[column]}  {view.title}")
        lines = emotion_lines(axes[1, column], time, view.probabilities)
        flow = np.asarray(view.flow).reshape(len(view.names), 2, -1)
        for row, name in enumerate(view.names):
            ax = axes[2 + row, column]
            ax.plot(time, flow[row, 0], color=INK, ls="-", lw=1)
            ax.plot(time, flow[row, 1], color=INK, ls=(0, (4, 1.5)), lw=1.5)
            ax.set_title(name, fontweight="normal")
        for ax in axes[:, column]:
            shade(ax, inside, fps)
            ax.set_xlim(time[0], time[-1])
        axes[-1, column].set_xlabel("time in the video (s)")
        largest = np.abs(flow).max(axis=(1, 2))
        blinks = sum(event.kind == "blink" for event in view.distractors)
        sentences.append(
            f"{view.title}: score up to {view.score.max():.2f} inside {view.event.onset / fps:.2f} to "
            f"{view.event.offset / fps:.2f} s; largest flow {largest.max():.1f} px, "
            f"{view.names[int(largest.argmax())]}; "
            f"{plural(blinks, 'blink')} in view."
        )
    axes[0, 0].set_ylabel("S: score\n(0–1)")
    axes[1, 0].set_ylabel("R: probability\n(0–1)")
    for ax in axes[2:, 0]:
        ax.set_ylabel("flow (px)")
    figure.align_ylabels(list(axes[:, 0]))
    handles = [
        *lines,
        Line2D([], [], color=INK, ls="-", lw=1, label="flow x, to the right"),
        Line2D([], [], color=INK, ls=(0, (4, 1.5)), lw=1.5, label="flow y, down"),
        *shade_handles([event for view in views for event in (view.event, *view.distractors)]),
    ]
    legend_below(figure, handles, 5)
    return describe(
        figure, "Scores, class probabilities and optical flow around micro-expressions.", *sentences
    )


def _same_length(video: Video, score: np.ndarray, probabilities: np.ndarray) -> None:
    if len(score) != video.n_frames or np.shape(probabilities) != (video.n_frames, len(CLASSES)):
        raise ValueError(
            f"video {video.subject} {video.name} has {video.n_frames} frames, but the score has {len(score)} "
            f"and the probabilities have shape {np.shape(probabilities)}"
        )


def _score_panel(ax: Axes, video: Video, score: np.ndarray, threshold: float | None) -> None:
    ax.plot(np.arange(video.n_frames) / video.fps, score, color=INK, lw=1.2)
    shade(ax, video.events, video.fps)
    if threshold is not None:
        ax.axhline(threshold, color=INK, ls="--", lw=0.9)
    unit_axis(ax, float(np.max(score, initial=0)))
    ax.set_ylabel("spotting score\n(0–1)")


def _score_handles(threshold: float | None) -> list[Line2D]:
    return [] if threshold is None else [Line2D([], [], color=INK, ls="--", lw=0.9, label="threshold")]


def _lanes(
    ax: Axes, video: Video, *predictions: Sequence[Event], names: Sequence[str] = ("predicted",)
) -> None:
    """Lanes of bars: truth, each prediction, then the distractors."""
    truth = video.events_of("micro")
    lanes = ["true", *names]
    for event in truth:
        bar(ax, event, 0, video.fps)
    for row, predicted in enumerate(predictions, 1):
        for event, hit in zip(predicted, hits(predicted, truth), strict=True):
            bar(ax, event, row, video.fps, hollow=not hit)
    distractors = video.events_of("macro", "blink")
    if distractors:
        lanes.append("distractors")
        for event in distractors:
            bar(ax, event, len(lanes) - 1, video.fps)
    ax.set_yticks(range(len(lanes)), lanes)
    ax.set_ylim(len(lanes) - 0.45, -0.55)
    ax.grid(axis="y", visible=False)


def _hollow(predicted: Sequence[Event], video: Video) -> list[Patch]:
    if all(hits(predicted, video.events_of("micro"))):
        return []
    return [Patch(facecolor="white", edgecolor=INK, lw=1.4, label="prediction with IoU < 0.5")]


def _moments(video: Video, first: int, last: int, most: int) -> list[int]:
    """Frames for the strip: apexes (else middles) of true MEs, evenly chosen; without any, evenly spread."""
    frames = [
        event.apex if event.apex is not None else (event.onset + event.offset) // 2
        for event in video.events_of("micro")
    ]
    frames = [frame for frame in frames if first <= frame <= last]
    if not frames:
        frames = [int(frame) for frame in np.linspace(first, last, most + 2)[1:-1]]
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    return [frames[index] for index in chosen]


def _face(ax: Axes, number: int, landmarks: np.ndarray | None, frames: Sequence[np.ndarray] | None) -> None:
    if frames is not None:
        ax.imshow(frames[number], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    elif landmarks is not None and np.isfinite(landmarks[number]).all():
        draw_landmarks(ax, landmarks[number], points=False)
        ax.set_aspect("equal")
        ax.invert_yaxis()
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def _story(video: Video, predicted: Sequence[Event]) -> str:
    """One or two sentences on what was found, for the text alternative."""
    truth = video.events_of("micro")
    found = sum(hits(predicted, truth))
    counted = {name: sum(event.emotion == name for event in truth) for name in EMOTIONS}
    classes = ", ".join(f"{count} {name}" for name, count in counted.items() if count)
    blinks, macros = len(video.events_of("blink")), len(video.events_of("macro"))
    return (
        f"Video {video.name} of {video.subject}, {video.n_frames / video.fps:.1f} s: "
        f"{plural(len(truth), 'true micro-expression')}{f' ({classes})' if classes else ''}; "
        f"{plural(len(predicted), 'prediction')}, {found} with IoU of at least 0.5; "
        f"{plural(macros, KIND['macro']['label'])} and {plural(blinks, 'blink')} beside them."
    )


def _unshown(faces: bool, landmarks: np.ndarray | None) -> list[str]:
    if faces:
        return ["Frames of the video on top."]
    return ["Landmarks on a blank canvas on top; no face is shown."] if landmarks is not None else []
