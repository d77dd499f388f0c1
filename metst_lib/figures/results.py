"""Figures of results: from score to events, confusion (Fig. 5), one video (6), two variants (7), regions (8).

A true interval is a blue band behind curves and a filled bar in a lane; a prediction is a filled bar where it
meets a true one with IoU of at least 0.5, a hollow bar where it does not.

Glossary: T frames of the video; k frames shown; C channels of flow (region × x, y).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from metst_lib import spotting
from metst_lib.events import CLASSES, EMOTIONS, Event, Video
from metst_lib.figures import _style as style
from metst_lib.figures.faces import draw_landmarks, show_image
from metst_lib.spotting import Candidate

#: Lines of the two flow components beside coloured classes, and so without a colour of their own.
FLOW = (
    {"color": style.INK, "ls": "-", "lw": 1, "label": "flow x, to the right"},
    {"color": style.INK, "ls": (0, (4, 1.5)), "lw": 1.5, "label": "flow y, down"},
)


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
    distractors: Sequence[Event] = ()


@style.themed
def confusion(confusions: Mapping[str, tuple[np.ndarray, Sequence[str]]]) -> style.Drawing:
    """Fig. 5: confusion matrices side by side; each cell shows the count and its share of the true class.

    confusions: name → (counts, labels); counts (true, predicted) whole numbers; labels of the columns, of
    which the rows' are the first. A class with nothing true stays grey, with n = 0 and dashes.
    """
    width = style.FULL if len(confusions) > 1 else style.HALF
    figure, axes = style.panels(width, 2.8, 1, max(len(confusions), 1), squeeze=False)
    axes = axes[0]
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
            style.centred(ax, said, true, label, color="white" if part > 0.55 else style.INK)
        ax.set_xticks(range(counts.shape[1]), labels, rotation=30, ha="right", rotation_mode="anchor")
        totals = dict(zip(labels, rows[:, 0], strict=False))
        ax.set_yticks(range(len(counts)), [f"{label}\n(n = {total:.0f})" for label, total in totals.items()])
        ax.set(xlabel="predicted class", ylabel="true class", title=name)
        ax.grid(False)
        right = "; ".join(
            f"{label} {counts[row, row]} of {total:.0f}" for row, (label, total) in enumerate(totals.items())
        )
        sentences.append(f"{name}: recognised correctly {right}.")
    if confusions:
        scale = {"label": "share of the true class", "format": PercentFormatter(1, decimals=0)}
        figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02, **scale)
    else:
        axes[0].axis("off")
        style.note(axes[0], "no result yet")
    return style.describe(
        figure,
        "Confusion matrices of micro-expression recognition, rows true, columns predicted.",
        *sentences,
    )


@style.themed
def score_to_events(
    score: np.ndarray,
    candidates: Sequence[Candidate],
    half_width: int,
    fps: float,
    p: float = 0.55,
    truth: Sequence[Event] = (),
) -> style.Drawing:
    """From a score to events: raw and smoothed score, mean, threshold, peaks, and the interval of each.

    score (T,), not yet smoothed; candidates: what `spotting.candidates` makes of it; half_width: k_p in
    frames; truth: events to shade. Intervals dropped by result-level synergy are hollow.
    """
    time, smoothed = np.arange(len(score)) / fps, spotting.smooth(score, half_width)
    level = spotting.threshold(smoothed, p)
    figure, (ax, lane) = style.panels(style.FULL, 3.6, 2, 1, sharex=True, height_ratios=[4, 1])
    style.shade(ax, truth, fps)
    ax.plot(time, score, color="#999999", lw=0.8, label="score")
    ax.plot(time, smoothed, color=style.INK, lw=1.4, label=f"mean over {2 * half_width} frames")
    ax.axhline(smoothed.mean(), color=style.INK, ls=":", lw=1, label="mean of the video")
    ax.axhline(level, color=style.INK, ls="--", lw=1, label=f"threshold, p = {p:g}")
    ax.plot([c.peak / fps for c in candidates], [c.height for c in candidates], **style.PEAK)
    ax.set_ylabel("spotting score")
    for candidate in candidates:
        event = Event(candidate.onset, candidate.offset) if candidate.dropped else candidate.event()
        style.bar(lane, event, 0, fps, hollow=candidate.dropped)
    style.lanes(lane, ["peak ± k_p"])
    style.time_axis(lane, (0, len(score) - 1), fps)
    dropped = sum(c.dropped for c in candidates)
    kept = {c.vote for c in candidates if not c.dropped}
    handles = [*ax.lines, *style.shade_handles(truth), *style.bar_handles(kept)]
    if dropped:
        handles.append(style.hollow_handle("dropped: vote is neutral"))
    style.legend_below(figure, handles, 5)
    return style.describe(
        figure,
        f"A spotting score over {len(score) / fps:.1f} s, raw and smoothed over {2 * half_width} frames:",
        f"mean {smoothed.mean():.3g}, highest {smoothed.max():.3g}, threshold {level:.3g}.",
        f"{style.plural(len(candidates), 'peak')} above it, of which {dropped} dropped: the vote is neutral.",
    )


@style.themed
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
) -> style.Drawing:
    """Fig. 6: one video from its frames to its events, on one time axis.

    video gives fps, true events and distractors; score (T,) and probabilities (T, 5) per frame; threshold:
    the score a peak must reach; landmarks (T, 68, 2) or, with `show_faces=True`, frames: up to six moments on
    top, lettered in the score below; interval: first and last frame to show. ValueError where score or
    probabilities do not have n_frames frames.
    """
    faces = show_faces and frames is not None
    strip = faces or landmarks is not None
    figure = style.canvas(style.FULL, 5.6 if strip else 4.3)
    top, body = figure.subfigures(2, 1, height_ratios=[1.25, 4.3]) if strip else (None, figure)
    axes = body.subplots(3, 1, sharex=True, height_ratios=[1.5, 1.5, 1.2])
    output = Output("predicted", score, probabilities, predicted, threshold)
    lines = _output_panels(*axes[:2], video, output)
    first, last = interval or (0, video.n_frames - 1)
    if strip:
        moments = _moments(video, first, last, 6)
        pictures = top.subplots(1, len(moments), squeeze=False)[0]
        for letter, number, ax in zip("abcdef", moments, pictures, strict=False):
            _face(ax, number, landmarks, frames if faces else None)
            ax.set_title(f"{letter}  {number / video.fps:.1f} s", loc="center", fontweight="normal")
            at = (number / video.fps, 1.02)
            axes[0].annotate(letter, at, xycoords=("data", "axes fraction"), ha="center", va="bottom")
    _lanes(axes[-1], video, [output], (first, last))
    body.align_ylabels(axes[:2])
    shown = [event for event in video.events if event.offset >= first and event.onset <= last]
    _legend(figure, video, [output], [*lines, *style.shade_handles(shown)])
    on_top = (
        "Frames of the video on top." if faces else "Landmarks on a blank canvas on top; no face is shown."
    )
    return style.describe(figure, _story(video, predicted), on_top if strip else "")


@style.themed
def two_variants(
    video: Video, outputs: Sequence[Output], interval: tuple[int, int] | None = None
) -> style.Drawing:
    """Fig. 7: variants above one another on one video; S is the spotting score, R the class probabilities."""
    heights = [1, 1] * len(outputs) + [0.35 + 0.35 * len(outputs)]
    size = style.FULL, 0.9 + 2.3 * len(outputs) + 0.7
    figure, axes = style.panels(*size, len(heights), 1, sharex=True, height_ratios=heights)
    lines = []
    for ax_score, ax_class, output in zip(axes[:-1:2], axes[1::2], outputs, strict=True):
        lines = _output_panels(ax_score, ax_class, video, output)
        ax_score.set_ylabel("S: score\n(0–1)")
        ax_score.set_title(output.name)
        ax_class.set_ylabel("R: probability\n(0–1)")
    _lanes(axes[-1], video, outputs, interval or (0, video.n_frames - 1))
    figure.align_ylabels(list(axes[:-1]))
    _legend(figure, video, outputs, [*lines, *style.shade_handles(video.events)])
    stories = [f"{output.name}: {_story(video, output.predicted)}" for output in outputs]
    return style.describe(figure, "The same video seen by several variants.", *stories)


@style.themed
def key_regions(views: Sequence[EventView], fps: float) -> style.Drawing:
    """Fig. 8: a column for each event: spotting score (S), class probabilities (R), flow of key regions."""
    regions = max((len(view.names) for view in views), default=1)
    size, heights = (style.FULL, 3.2 + 0.85 * regions), [1.2, 1.2] + [0.85] * regions
    shape = {"squeeze": False, "sharex": "col", "sharey": "row", "height_ratios": heights}
    figure, axes = style.panels(*size, 2 + regions, max(len(views), 1), **shape)
    lines: list[Line2D] = []
    sentences = []
    for column, view in enumerate(views):
        time = (view.start + np.arange(len(view.score))) / fps
        axes[0, column].plot(time, view.score, color=style.INK)
        style.unit_axis(axes[0, column])
        axes[0, column].set_title(f"{'abcdefgh'[column]}  {view.title}")
        lines = style.emotion_lines(axes[1, column], time, view.probabilities)
        flow = np.asarray(view.flow).reshape(len(view.names), 2, -1)
        for row, name in enumerate(view.names):
            ax = axes[2 + row, column]
            for values, look in zip(flow[row], FLOW, strict=True):
                ax.plot(time, values, **look)
            ax.set_title(name, fontweight="normal")
        for ax in axes[:, column]:
            style.shade(ax, (view.event, *view.distractors), fps)
            ax.set_xlim(time[0], time[-1])
        axes[-1, column].set_xlabel("time in the video (s)")
        largest = np.abs(flow).max(axis=(1, 2))
        blinks = sum(event.kind == "blink" for event in view.distractors)
        sentences.append(
            f"{view.title}: score up to {view.score.max():.2f} inside {view.event.onset / fps:.2f} to "
            f"{view.event.offset / fps:.2f} s; largest flow {largest.max():.1f} px, "
            f"{view.names[int(largest.argmax())]}; {style.plural(blinks, 'blink')} in view."
        )
    labels = ["S: score\n(0–1)", "R: probability\n(0–1)", *["flow (px)"] * regions]
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)
    figure.align_ylabels(list(axes[:, 0]))
    components = [Line2D([], [], **look) for look in FLOW]
    shaded = style.shade_handles(event for view in views for event in (view.event, *view.distractors))
    style.legend_below(figure, [*lines, *components, *shaded], 5)
    return style.describe(
        figure, "Scores, class probabilities and optical flow around micro-expressions.", *sentences
    )


def _output_panels(ax_score: Axes, ax_class: Axes, video: Video, output: Output) -> list[Line2D]:
    """Score and threshold, class probabilities; returns the lines of these. ValueError as in `one_video`."""
    score, probabilities = output.score, output.probabilities
    if len(score) != video.n_frames or np.shape(probabilities) != (video.n_frames, len(CLASSES)):
        raise ValueError(
            f"video {video.subject} {video.name} has {video.n_frames} frames, but the score has {len(score)} "
            f"and the probabilities have shape {np.shape(probabilities)}"
        )
    ax_score.plot(np.arange(video.n_frames) / video.fps, score, color=style.INK, lw=1.2)
    style.shade(ax_score, video.events, video.fps)
    if output.threshold is not None:
        ax_score.axhline(output.threshold, **style.THRESHOLD)
    style.unit_axis(ax_score, float(np.max(score, initial=0)))
    ax_score.set_ylabel("spotting score\n(0–1)")
    return style.class_panel(ax_class, video, probabilities)


def _lanes(ax: Axes, video: Video, outputs: Sequence[Output], frames: tuple[int, int]) -> None:
    """Lanes of bars over the time of these frames: truth, what each output predicts, then the distractors."""
    truth, distractors = video.events_of("micro"), video.events_of("macro", "blink")
    for event in truth:
        style.bar(ax, event, 0, video.fps)
    for row, output in enumerate(outputs, 1):
        for event, hit in zip(output.predicted, style.hits(output.predicted, truth), strict=True):
            style.bar(ax, event, row, video.fps, hollow=not hit)
    for event in distractors:
        style.bar(ax, event, len(outputs) + 1, video.fps)
    names = ["true", *(output.name for output in outputs)]
    style.lanes(ax, [*names, "distractors"] if distractors else names, room=0.05)
    style.time_axis(ax, frames, video.fps)


def _legend(figure: style.Drawing, video: Video, outputs: Sequence[Output], handles: list[Any]) -> None:
    """These handles, and what the outputs need beside them."""
    if any(output.threshold is not None for output in outputs):
        handles.append(Line2D([], [], **style.THRESHOLD))
    truth = video.events_of("micro")
    if not all(hit for output in outputs for hit in style.hits(output.predicted, truth)):
        handles.append(style.hollow_handle("prediction with IoU < 0.5"))
    style.legend_below(figure, handles, 5)


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
        show_image(ax, frames[number])
    elif landmarks is not None and np.isfinite(landmarks[number]).all():
        draw_landmarks(ax, landmarks[number], points=False)
        ax.set_aspect("equal")
        ax.invert_yaxis()
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def _story(video: Video, predicted: Sequence[Event]) -> str:
    """One or two sentences on what was found, for the text alternative."""
    truth = video.events_of("micro")
    found = sum(style.hits(predicted, truth))
    counted = Counter(event.emotion for event in truth)
    classes = ", ".join(f"{counted[name]} {name}" for name in EMOTIONS if counted[name])
    macros, blinks = (
        style.plural(len(video.events_of(kind)), style.KINDS[kind].label) for kind in ("macro", "blink")
    )
    return (
        f"Video {video.name} of {video.subject}, {video.n_frames / video.fps:.1f} s: "
        f"{style.plural(len(truth), 'true micro-expression')}{f' ({classes})' if classes else ''}; "
        f"{style.plural(len(predicted), 'prediction')}, {found} with IoU of at least 0.5; "
        f"{macros} and {blinks} beside them."
    )
