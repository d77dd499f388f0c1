"""Figures of a data set: how long, how many, where in the video, and one event frame by frame (Sec. IV-A).

Glossary: T frames of a video; fps frames per second after `frame_step`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from metst_lib.events import EMOTIONS, Event, Video
from metst_lib.figures._style import (
    FULL,
    HALF,
    HATCHES,
    INK,
    KIND,
    PALETTE,
    Drawing,
    bar,
    canvas,
    describe,
    emotion_patches,
    legend_below,
    plural,
    themed,
)
from metst_lib.figures.faces import draw_landmarks

TEXTBOOK = 0.5
"""The textbook's upper limit for a micro-expression, in seconds."""


@themed
def durations(events: Any, fps: float) -> Drawing:
    """Duration of every event by emotion: one point each, a bar at the median.

    events: `Event`s, or a table with the columns onset, offset and emotion (frames, inclusive). The time axis
    becomes logarithmic where the longest is over three seconds, since real labels hold a few very long ones.
    """
    groups: dict[str, list[float]] = {name: [] for name in EMOTIONS}
    for event in _rows(events):
        if event.emotion in groups:
            groups[event.emotion].append((event.offset - event.onset + 1) / fps)
    figure = canvas(FULL, 2.6)
    ax = figure.subplots()
    for row, (name, values) in enumerate(groups.items()):
        spread = 0.3 * np.random.default_rng(row).uniform(-1, 1, len(values))
        ax.scatter(values, row + spread, s=12, color=PALETTE[name], alpha=0.65, lw=0, zorder=3)
        if values:
            ax.vlines(np.median(values), row - 0.42, row + 0.42, color=INK, lw=2, zorder=4)
    ax.set_yticks(
        range(len(groups)),
        [f"{name}\n{_median(values)}" for name, values in groups.items()],
    )
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    everything = [value for values in groups.values() for value in values]
    if everything and max(everything) > 3:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlabel("duration (s, logarithmic)")
    else:
        ax.set_xlim(0, 1.08 * max([*everything, TEXTBOOK]))
        ax.set_xlabel("duration (s)")
    ax.axvline(TEXTBOOK, color=INK, ls="--", lw=1, zorder=2)
    handles = [
        Line2D([], [], ls="", marker="o", ms=4, color="#888888", label="one event"),
        Line2D([], [], ls="", marker="|", ms=9, mew=2, color=INK, label="median"),
        Line2D([], [], color=INK, ls="--", lw=1, label="0.5 s, the textbook's limit"),
    ]
    legend_below(figure, handles, 3)
    parts = [f"{name}: {_median(values)}" for name, values in groups.items()]
    return describe(figure, "Durations of micro-expressions by emotion.", "; ".join(parts) + ".")


@themed
def class_counts(counts: Any, noun: str = "micro-expressions") -> Drawing:
    """How many of each class, as bars with count and share.

    counts: class → number, or events (as for `durations`), which are counted by emotion.
    """
    if not isinstance(counts, Mapping):
        found = Counter(event.emotion for event in _rows(counts))
        counts = {name: found[name] for name in EMOTIONS}
    total = sum(counts.values())
    figure = canvas(HALF, 0.9 + 0.32 * len(counts))
    ax = figure.subplots()
    for row, (name, count) in enumerate(counts.items()):
        ax.barh(
            row, count, color=PALETTE.get(name, "#888888"), hatch=HATCHES.get(name, ""), edgecolor="white"
        )
        share = f" ({count / total:.0%})" if total else ""
        ax.annotate(f"{count}{share}", (count, row), (3, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(counts)), list(counts))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.5 * max([*counts.values(), 1]))
    ax.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    ax.set_xlabel(f"number of {noun}")
    ax.grid(axis="y", visible=False)
    parts = [f"{count} {name}" for name, count in counts.items()]
    return describe(figure, f"Number of {noun} by class: {', '.join(parts)}; {total} in all.")


@themed
def timeline(videos: Sequence[Video], most: int = 24) -> Drawing:
    """Every event of each video on the video's own time line; at most `most` videos, the first ones."""
    shown = list(videos)[:most]
    figure = canvas(FULL, 1.3 + 0.2 * max(len(shown), 4))
    ax = figure.subplots()
    for row, video in enumerate(shown):
        ax.plot([0, video.n_frames / video.fps], [row, row], color="#999999", lw=0.8, zorder=1)
        for event in video.events:
            bar(ax, event, row, video.fps)
    ax.set_yticks(range(len(shown)), [f"{video.subject} {video.name}" for video in shown])
    ax.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    ax.set_xlim(0, max([1.0, *(video.n_frames / video.fps for video in shown)]) * 1.005)
    ax.set_xlabel("time in the video (s)")
    ax.set_ylabel("subject and video")
    ax.grid(axis="y", visible=False)
    events = [event for video in shown for event in video.events]
    present = [name for name in EMOTIONS if any(event.emotion == name for event in events)]
    legend_below(figure, [*emotion_patches(present), *_kind_patches(events)], 6)
    counted = Counter(event.kind for event in events)
    left = len(videos) - len(shown)
    return describe(
        figure,
        f"Time lines of {plural(len(shown), 'video')}, one row each: "
        + ", ".join(plural(counted[kind], KIND[kind]["label"]) for kind in KIND)
        + ".",
        f"{plural(left, 'further video')} not shown." if left else "",
    )


@themed
def blink_rates(videos: Sequence[Video]) -> Drawing:
    """Blinks per minute of each subject who has any labelled, one point per video."""
    rates: dict[str, list[float]] = {}
    for video in videos:
        blinks = len(video.events_of("blink"))
        rates.setdefault(video.subject, []).append(60 * blinks / (video.n_frames / video.fps))
    rates = {subject: values for subject, values in rates.items() if any(values)}
    figure = canvas(HALF, 1.0 + 0.2 * max(len(rates), 3))
    ax = figure.subplots()
    for row, values in enumerate(rates.values()):
        ax.scatter(values, [row] * len(values), s=18, color=KIND["blink"]["color"], zorder=3)
    if rates:
        middle = float(np.mean([value for values in rates.values() for value in values]))
        ax.axvline(middle, color=INK, ls="--", lw=1)
        ax.set_title(f"mean {middle:.1f} per minute", fontweight="normal")
    else:
        middle = 0.0
        ax.text(0.5, 0.5, "no blink is labelled", transform=ax.transAxes, ha="center", va="center")
    ax.set_yticks(range(len(rates)), list(rates))
    ax.set_ylim(max(len(rates), 1) - 0.5, -0.5)
    ax.set_xlim(0, 1.1 * max([1.0, *(value for values in rates.values() for value in values)]))
    ax.set_xlabel("blinks per minute (1/min), one point per video")
    ax.grid(axis="y", visible=False)
    if not rates:
        return describe(figure, "No blink is labelled in these videos.")
    return describe(
        figure, f"Blinks per minute of {plural(len(rates), 'subject')}, {middle:.1f} per minute on average."
    )


@themed
def event_strip(
    event: Event,
    fps: float,
    frames: Sequence[np.ndarray] | None = None,
    landmarks: np.ndarray | None = None,
    show_faces: bool = False,
    columns: int = 6,
    gain: float = 8.0,
) -> Drawing:
    """One event frame by frame, and below each frame how it differs from the onset.

    frames: the video's grey frames, indexed by frame number; drawn only with `show_faces=True`, then with the
    difference images frame − onset under them. landmarks (T, 68, 2), x and y in pixels: where faces are not
    shown they are drawn on a blank canvas, their movement since the onset enlarged `gain` times; with faces
    they frame the picture. ValueError where neither can be drawn.
    """
    faces = show_faces and frames is not None
    if not faces and landmarks is None:
        raise ValueError(
            "event_strip needs landmarks where faces are not shown, or frames and show_faces=True"
        )
    numbers = _spread(event, columns)
    box = _face_box(landmarks[event.onset]) if landmarks is not None else None
    top, bottom, left, right = box or (0, len(frames[event.onset]), 0, len(frames[event.onset][0]))
    tall = (FULL - 0.8) / len(numbers) * (bottom - top) / (right - left)
    figure = canvas(FULL, 2 * tall + 0.7)
    axes = figure.subplots(2, len(numbers), squeeze=False)
    marks = {event.onset: "onset", event.apex: "apex", event.offset: "offset"}
    if faces:
        pictures = [_cut(np.asarray(frames[number]), box).astype(np.float32) for number in numbers]
        changes = [picture - pictures[0] for picture in pictures]
        reach = max(4.0, float(np.percentile(np.abs(changes), 99.5)))
    for column, number in enumerate(numbers):
        above, below = axes[:, column]
        name = marks.get(number, "")
        above.set_title(
            f"{name}\n{(number - event.onset) / fps:.2f} s".strip(), loc="center", fontweight="normal"
        )
        if faces:
            above.imshow(pictures[column], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            shown = below.imshow(
                changes[column], cmap="PuOr", vmin=-reach, vmax=reach, interpolation="nearest"
            )
        else:
            draw_landmarks(above, landmarks[number])
            draw_landmarks(below, landmarks[event.onset], color="#BBBBBB", points=False)
            start = landmarks[event.onset]
            moved = start + gain * (landmarks[number] - start)
            below.plot(*np.stack([start, moved], 1).transpose(2, 1, 0), color=_colour(event), lw=1.2)
            for ax in (above, below):
                ax.set(xlim=(box[2], box[3]), ylim=(box[1], box[0]), aspect="equal")
        for ax in (above, below):
            ax.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("frame" if faces else "landmarks")
    if faces:
        axes[1, 0].set_ylabel("change since onset")
        colours = figure.colorbar(shown, ax=axes[1], fraction=0.02, pad=0.01)
        colours.set_label("grey levels")
        lower = f"The row below shows the change since the onset, up to {reach:.0f} grey levels."
    else:
        axes[1, 0].set_ylabel(f"movement ×{gain:g}")
        lower = (
            f"The row below shows their movement since the onset, enlarged {gain:g} times; no face is shown."
        )
    what = "frames" if faces else "frames' landmarks"
    emotion = f"{event.emotion} " if event.emotion else ""
    return describe(
        figure,
        f"{len(numbers)} {what} of one {emotion}{KIND[event.kind]['label']} of {event.length / fps:.2f} s,",
        "from onset to offset.",
        lower,
    )


def _rows(events: Any) -> Iterable[Any]:
    """Events, or the rows of a table: both have onset, offset and emotion."""
    return events.itertuples() if hasattr(events, "itertuples") else events


def _median(values: Sequence[float]) -> str:
    return f"n = {len(values)}, median {np.median(values):.2f} s" if values else "n = 0"


def _kind_patches(events: Sequence[Event]) -> list[Patch]:
    kinds = {event.kind for event in events}
    return [
        Patch(
            facecolor=KIND[kind]["color"],
            edgecolor="white",
            hatch=KIND[kind]["hatch"],
            label=KIND[kind]["label"],
        )
        for kind in ("macro", "blink")
        if kind in kinds
    ]


def _colour(event: Event) -> str:
    return PALETTE.get(event.emotion or "", INK)


def _spread(event: Event, columns: int) -> list[int]:
    """Frames from onset to offset, evenly spread, with the apex among them where it is known."""
    numbers = np.unique(np.linspace(event.onset, event.offset, columns).round().astype(int))
    if event.apex is not None and event.apex not in numbers and len(numbers) > 2:
        inner = 1 + int(np.argmin(np.abs(numbers[1:-1] - event.apex)))
        numbers[inner] = event.apex
    return [int(number) for number in np.unique(numbers)]


def _face_box(points: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right around the landmarks, with a margin of a tenth of the face."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    margin = 0.1 * max(right - left, bottom - top)
    edges = (top - 2 * margin, bottom + margin, left - margin, right + margin)
    return tuple(int(max(0, round(float(edge)))) for edge in edges)


def _cut(image: np.ndarray, box: tuple[int, int, int, int] | None) -> np.ndarray:
    return image if box is None else image[box[0] : box[1], box[2] : box[3]]
