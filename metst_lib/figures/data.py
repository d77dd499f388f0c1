"""Figures of a data set: how long, how many, where in the video, and one event frame by frame (Sec. IV-A).

Glossary: T frames of a video; fps frames per second after `frame_step`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from metst_lib.events import EMOTIONS, Event, Video
from metst_lib.figures import _style as style
from metst_lib.figures.faces import draw_landmarks, show_image

# Panels of `set_statistics`: title, axis, statistics (three: 5 %, median and 95 %).
_SPREAD = ("5 %", "median", "95 %")
_PANELS = (
    ("MEs, all videos", "per minute (1/min)", ("MEs per minute, all videos (1/min)",)),
    ("videos without an ME", "share (%)", ("videos without an ME (%)",)),
    ("MEs that overlap a macro", "share (%)", ("MEs that overlap a macro (%)",)),
    ("classes of a subject", "mean, of 4", ("classes per subject, mean of 4",)),
    *(
        (what, "5 %, median, 95 % (s)", tuple(f"{what}, {place} (s)" for place in _SPREAD))
        for what in ("ME duration", "macro duration", "blink duration", "video length")
    ),
)
_LOGARITHMIC = ("macro duration", "video length")
#: The textbook's upper limit for a micro-expression, in seconds.
TEXTBOOK = 0.5
#: Top, bottom, left, right of a part of a picture, in pixels.
Box = tuple[int, int, int, int]


@style.themed
def durations(events: Any, fps: float) -> style.Drawing:
    """Duration of every event by emotion: one point each, a bar at the median.

    events: `Event`s, or a table with the columns onset, offset and emotion (frames, inclusive). The time axis
    becomes logarithmic where the longest is over three seconds, since real labels hold a few very long ones.
    """
    groups: dict[str, list[float]] = {name: [] for name in EMOTIONS}
    for event in _rows(events):
        if event.emotion in groups:
            groups[event.emotion].append((event.offset - event.onset + 1) / fps)
    figure, ax = style.panels(style.FULL, 2.6)
    for row, (name, values) in enumerate(groups.items()):
        spread = 0.3 * np.random.default_rng(row).uniform(-1, 1, len(values))
        ax.scatter(values, row + spread, s=12, color=style.PALETTE[name], alpha=0.65, lw=0, zorder=3)
        if values:
            ax.vlines(np.median(values), row - 0.42, row + 0.42, color=style.INK, lw=2, zorder=4)
    medians = {name: _median(values) for name, values in groups.items()}
    style.lanes(ax, [f"{name}\n{median}" for name, median in medians.items()], room=0)
    longest = max((value for values in groups.values() for value in values), default=0)
    if longest > 3:
        ax.set(xscale="log", xlabel="duration (s, logarithmic)")
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.set(xlim=(0, 1.08 * max(longest, TEXTBOOK)), xlabel="duration (s)")
    ax.axvline(TEXTBOOK, color=style.INK, ls="--", lw=1, zorder=2)
    handles = [
        Line2D([], [], ls="", marker="o", ms=4, color="#888888", label="one event"),
        Line2D([], [], ls="", marker="|", ms=9, mew=2, color=style.INK, label="median"),
        Line2D([], [], color=style.INK, ls="--", lw=1, label="0.5 s, the textbook's limit"),
    ]
    style.legend_below(figure, handles, 3)
    parts = "; ".join(f"{name}: {median}" for name, median in medians.items())
    return style.describe(figure, "Durations of micro-expressions by emotion.", f"{parts}.")


@style.themed
def class_counts(events: Any) -> style.Drawing:
    """Micro-expressions of each emotion, as bars with count and share; events: as for `durations`."""
    found = Counter(event.emotion for event in _rows(events))
    counts = {name: found[name] for name in EMOTIONS}
    total = sum(counts.values())
    figure, ax = style.panels(style.HALF, 0.9 + 0.32 * len(counts))
    for row, (name, count) in enumerate(counts.items()):
        ax.barh(row, count, edgecolor="white", color=style.PALETTE[name], hatch=style.HATCHES[name])
        share = f" ({count / total:.0%})" if total else ""
        ax.annotate(f"{count}{share}", (count, row), (3, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(counts)), list(counts))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.5 * max([*counts.values(), 1])), xlabel="number of micro-expressions")
    ax.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    ax.grid(axis="y", visible=False)
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    return style.describe(figure, f"Number of micro-expressions by class: {parts}; {total} in all.")


@style.themed
def timeline(videos: Sequence[Video], most: int = 24) -> style.Drawing:
    """Every event of each video on the video's own time line; at most `most` videos, the first ones."""
    shown = list(videos)[:most]
    figure, ax = style.panels(style.FULL, 1.3 + 0.2 * max(len(shown), 4))
    for row, video in enumerate(shown):
        ax.plot([0, video.n_frames / video.fps], [row, row], color="#999999", lw=0.8, zorder=1)
        for event in video.events:
            style.bar(ax, event, row, video.fps)
    style.lanes(ax, [f"{video.subject} {video.name}" for video in shown])
    end = max((video.n_frames / video.fps for video in shown), default=0)
    ax.set(xlim=(0, 1.005 * max(1.0, end)), xlabel="time in the video (s)", ylabel="subject and video")
    events = [event for video in shown for event in video.events]
    style.legend_below(figure, style.bar_handles({event.emotion for event in events}, events), 6)
    counted = Counter(event.kind for event in events)
    numbers = ", ".join(style.plural(counted[name], kind.label) for name, kind in style.KINDS.items())
    left = len(videos) - len(shown)
    return style.describe(
        figure,
        f"Time lines of {style.plural(len(shown), 'video')}, one row each: {numbers}.",
        f"{style.plural(left, 'further video')} not shown." if left else "",
    )


@style.themed
def blink_rates(videos: Sequence[Video]) -> style.Drawing:
    """Blinks per minute of each subject who has any labelled, one point per video."""
    rates: dict[str, list[float]] = {}
    for video in videos:
        blinks = len(video.events_of("blink"))
        rates.setdefault(video.subject, []).append(60 * blinks / (video.n_frames / video.fps))
    rates = {subject: values for subject, values in rates.items() if any(values)}
    figure, ax = style.panels(style.HALF, 1.0 + 0.2 * max(len(rates), 3))
    for row, values in enumerate(rates.values()):
        ax.scatter(values, [row] * len(values), s=18, color=style.KINDS["blink"].color, zorder=3)
    style.lanes(ax, list(rates), room=0)
    every = [value for values in rates.values() for value in values]
    ax.set(xlim=(0, 1.1 * max([1.0, *every])), xlabel="blinks per minute (1/min), one point per video")
    if not rates:
        style.note(ax, "no blink is labelled")
        return style.describe(figure, "No blink is labelled in these videos.")
    middle = f"{np.mean(every):.1f} per minute"
    ax.axvline(float(np.mean(every)), color=style.INK, ls="--", lw=1)
    ax.set_title(f"mean {middle}", fontweight="normal")
    subjects = style.plural(len(rates), "subject")
    return style.describe(figure, f"Blinks per minute of {subjects}, {middle} on average.")


@style.themed
def set_statistics(found: Any) -> style.Drawing:
    """What sets look like, a panel a statistic and a row a set: points, with bars from 5 % to 95 %.

    found: a table with the columns set, statistic and value; several values of one statistic and set are its
    replicates, one mark each. A set whose name says "synthetic" has hollow marks.
    """
    sets = list(dict.fromkeys(found["set"]))
    values = found.groupby(["statistic", "set"])["value"].agg(list)
    figure, axes = style.panels(style.FULL, 1.7 + 0.5 * len(sets), 2, 4, sharey=True)
    for ax, (title, label, names) in zip(axes.flat, _PANELS, strict=True):
        for row, name in enumerate(sets):
            _marks(ax, row, np.array([values[statistic, name] for statistic in names]), "synthetic" in name)
        ax.set_title(title, fontweight="normal", fontsize=style.TEXT)
        ax.set(xlabel=label)
        if title in _LOGARITHMIC:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        else:
            ax.set_xlim(0, 1.06 * ax.dataLim.x1 if 0 < ax.dataLim.x1 < np.inf else 1)
    style.lanes(axes[0, 0], [name.split(",")[0] for name in sets])
    looks = {"real set": False, "synthetic set (one mark a replicate)": True}
    style.legend_below(figure, [Line2D([], [], **_look(of), label=name) for name, of in looks.items()], 2)
    rate, lasts = (values[names[len(names) // 2]] for _, _, names in (_PANELS[0], _PANELS[4]))
    numbers = {name: (np.mean(rate[name]), np.mean(lasts[name])) for name in sets}
    parts = [
        f"{name}: {many:.2f} MEs a minute, median {long:.2f} s" for name, (many, long) in numbers.items()
    ]
    return style.describe(figure, "What the sets look like, side by side.", "; ".join(parts) + ".")


@style.themed
def event_strip(
    event: Event,
    fps: float,
    frames: Sequence[np.ndarray] | None = None,
    landmarks: np.ndarray | None = None,
    show_faces: bool = False,
    columns: int = 6,
    gain: float = 8.0,
) -> style.Drawing:
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
    if landmarks is not None:
        box = _face_box(landmarks[event.onset])
    else:
        box = (0, len(frames[event.onset]), 0, len(frames[event.onset][0]))
    tall = (style.FULL - 0.8) / len(numbers) * (box[1] - box[0]) / (box[3] - box[2])
    figure, axes = style.panels(style.FULL, 2 * tall + 0.7, 2, len(numbers), squeeze=False)
    marks = {event.onset: "onset", event.apex: "apex", event.offset: "offset"}
    for ax, number in zip(axes[0], numbers, strict=True):
        words = f"{marks.get(number, '')}\n{(number - event.onset) / fps:.2f} s".strip()
        ax.set_title(words, loc="center", fontweight="normal")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    if faces:
        what, lower = "frames", _strip_of_faces(axes, [frames[number] for number in numbers], box)
    else:
        what, lower = "frames' landmarks", _strip_of_landmarks(axes, landmarks[numbers], box, event, gain)
    emotion = f"{event.emotion} " if event.emotion else ""
    return style.describe(
        figure,
        f"{len(numbers)} {what} of one {emotion}{style.KINDS[event.kind].label}",
        f"of {event.length / fps:.2f} s, from onset to offset.",
        lower,
    )


def _look(hollow: bool) -> dict[str, Any]:
    """Marks of a real set, or hollow ones of a synthetic set."""
    colour = style.PALETTE["negative"] if hollow else style.PALETTE["surprise"]
    face = "white" if hollow else colour
    return {"ls": "", "marker": "D" if hollow else "o", "ms": 4, "mec": colour, "mfc": face}


def _marks(ax: Any, row: int, values: np.ndarray, hollow: bool) -> None:
    """One set's values (statistics, replicates) on its row; nothing where it does not label them."""
    spread = row + np.linspace(-0.3, 0.3, values.shape[1]) * (values.shape[1] > 1)
    look = _look(hollow)
    if len(values) == 3:
        ax.hlines(spread, values[0], values[2], color=look["mec"], lw=1.2, zorder=2)
    ax.plot(values[len(values) // 2], spread, **look, mew=1.1, zorder=3, clip_on=False)


def _strip_of_faces(axes: np.ndarray, frames: Sequence[np.ndarray], box: Box) -> str:
    """The frames, below them their difference from the first; returns the sentence on these."""
    top, bottom, left, right = box
    pictures = [np.asarray(frame)[top:bottom, left:right].astype(np.float32) for frame in frames]
    changes = [picture - pictures[0] for picture in pictures]
    reach = max(4.0, float(np.percentile(np.abs(changes), 99.5)))
    for (above, below), picture, change in zip(axes.T, pictures, changes, strict=True):
        show_image(above, picture)
        shown = below.imshow(change, cmap="PuOr", vmin=-reach, vmax=reach, interpolation="nearest")
    axes[0, 0].set_ylabel("frame")
    axes[1, 0].set_ylabel("change since onset")
    axes[0, 0].figure.colorbar(shown, ax=axes[1], fraction=0.02, pad=0.01, label="grey levels")
    return f"The row below shows the change since the onset, up to {reach:.0f} grey levels."


def _strip_of_landmarks(axes: np.ndarray, landmarks: np.ndarray, box: Box, event: Event, gain: float) -> str:
    """Landmarks (frames, 68, 2), below them their movement since the first; returns the sentence on it."""
    start, colour = landmarks[0], style.PALETTE.get(event.emotion or "", style.INK)
    for (above, below), points in zip(axes.T, landmarks, strict=True):
        draw_landmarks(above, points)
        draw_landmarks(below, start, color="#BBBBBB", points=False)
        moved = start + gain * (points - start)
        below.plot(*np.stack([start, moved], 1).transpose(2, 1, 0), color=colour, lw=1.2)
    for ax in axes.flat:
        ax.set(xlim=box[2:], ylim=box[1::-1], aspect="equal")
    axes[0, 0].set_ylabel("landmarks")
    axes[1, 0].set_ylabel(f"movement ×{gain:g}")
    return f"The row below shows their movement since the onset, enlarged {gain:g} times; no face is shown."


def _rows(events: Any) -> Iterable[Any]:
    """Events, or the rows of a table: both have onset, offset and emotion."""
    return events.itertuples() if hasattr(events, "itertuples") else events


def _median(values: Sequence[float]) -> str:
    return f"n = {len(values)}, median {np.median(values):.2f} s" if values else "n = 0"


def _spread(event: Event, columns: int) -> list[int]:
    """Frames from onset to offset, evenly spread, with the apex among them where it is known."""
    numbers = np.unique(np.linspace(event.onset, event.offset, columns).round().astype(int))
    if event.apex is not None and event.apex not in numbers and len(numbers) > 2:
        inner = 1 + int(np.argmin(np.abs(numbers[1:-1] - event.apex)))
        numbers[inner] = event.apex
    return [int(number) for number in np.unique(numbers)]


def _face_box(points: np.ndarray) -> Box:
    """The box around the landmarks, with a margin of a tenth of the face."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    margin = 0.1 * max(right - left, bottom - top)
    edges = (top - 2 * margin, bottom + margin, left - margin, right + margin)
    return tuple(int(max(0, round(float(edge)))) for edge in edges)
