"""Figures of faces and their regions: landmarks, the 18 regions, and the flow in them (Sec. III-A, IV-B).

No picture of a face is drawn unless it is passed in as `image`; a licensed data set passes none.

Glossary: C channels (region × x, y); k frames of a window; x to the right, y down, in pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metst_lib.events import Event
from metst_lib.figures._style import (
    FULL,
    HALF,
    Drawing,
    canvas,
    describe,
    legend_below,
    plural,
    shade,
    shade_handles,
    themed,
)
from metst_lib.rois import CROP, Layout, Rect

OUTLINES = (
    ("jaw", range(0, 17), False),
    ("left brow", range(17, 22), False),
    ("right brow", range(22, 27), False),
    ("nose bridge", range(27, 31), False),
    ("nose base", range(31, 36), False),
    ("left eye", range(36, 42), True),
    ("right eye", range(42, 48), True),
    ("outer lips", range(48, 60), True),
    ("inner lips", range(60, 68), True),
)
"""Which of the 68 points (0-based, iBUG) make which line; True = closed. Left is left in the image."""
GRANULARITY = {
    "whole": {"color": "#0072B2", "ls": "-", "lw": 1.6, "label": "whole region"},
    "part": {"color": "#D55E00", "ls": (0, (3, 1)), "lw": 1.3, "label": "part"},
    "parent": {"color": "#8C8C8C", "ls": ":", "lw": 1.2, "label": "parent patch (flow is computed here)"},
}
"""How a region's outline says its granularity."""
CHANNEL = {
    "x": {"color": "#0072B2", "ls": "-", "label": "x, to the right"},
    "y": {"color": "#D55E00", "ls": (0, (4, 1.5)), "label": "y, down"},
}
"""Colour and dash of the two flow components."""


def draw_landmarks(
    ax: Axes, landmarks: np.ndarray, color: str = "#555555", points: bool = True, lw: float = 0.8
) -> None:
    """Draw 68 landmarks (68, 2) as lines and, with `points`, dots. The axes keep their limits."""
    for _, numbers, closed in OUTLINES:
        order = [*numbers, numbers[0]] if closed else list(numbers)
        ax.plot(landmarks[order, 0], landmarks[order, 1], color=color, lw=lw, zorder=2)
    if points:
        ax.plot(landmarks[:, 0], landmarks[:, 1], ls="", marker="o", ms=1.6, color=color, zorder=2)


@themed
def landmarks_on_canvas(
    landmarks: np.ndarray,
    image: np.ndarray | None = None,
    numbers: Collection[int] = (0, 8, 16, 27, 33, 39, 42),
) -> Drawing:
    """68 landmarks (68, 2) on a blank canvas, or on the grey `image` where one is given; some are numbered.

    image must be a face that may be shown: the synthetic set's, or the reader's own.
    """
    figure = canvas(HALF, HALF)
    ax = figure.subplots()
    _background(ax, landmarks, image)
    draw_landmarks(ax, landmarks, color="#F0E442" if image is not None else "#555555")
    for number in numbers:
        ax.annotate(
            str(number),
            landmarks[number],
            (3, 3),
            textcoords="offset points",
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )
    return describe(figure, f"68 facial landmarks {_where(image)}: jaw, brows, nose, eyes and lips.")


@themed
def regions_on_canvas(landmarks: np.ndarray, layout: Layout, image: np.ndarray | None = None) -> Drawing:
    """Regions of interest on a face crop: outlines say the granularity, numbers lead to the names.

    landmarks (68, 2) of the crop, layout: `rois.resolve` on them; image: as for `landmarks_on_canvas`.
    """
    figure = canvas(FULL, 4.6)
    ax, key = figure.subplots(1, 2, width_ratios=[2.2, 1])
    _background(ax, landmarks, image, black=-300)  # pale, for the outlines on it
    draw_landmarks(ax, landmarks, color="#B5B5B5" if image is None else "white", points=False)
    for letter, box in layout.patches.items():
        _outline(ax, box, "parent")
        _label(ax, letter, (box.left - 6, box.top + 5), "#555555")
    taken: list[tuple[float, float]] = []
    for roi, box in zip(layout.rois, layout.regions, strict=True):
        _outline(ax, box, roi.granularity)
        taken.append(_free_place(box, roi.granularity, taken))
        _label(ax, str(roi.number), taken[-1], GRANULARITY[roi.granularity]["color"])
    key.axis("off")
    step = 1 / max(len(layout.rois), 12)
    for row, roi in enumerate(layout.rois):
        colour, at = GRANULARITY[roi.granularity]["color"], 1 - (row + 0.5) * step
        key.text(0.08, at, str(roi.number), ha="right", va="center", color=colour, fontweight="bold")
        key.text(0.14, at, f"{roi.name} ({roi.patch})", ha="left", va="center")
    key.set(xlim=(0, 1), ylim=(0, 1))
    present = {"parent", *(roi.granularity for roi in layout.rois)}
    legend_below(figure, [Line2D([], [], **look) for kind, look in GRANULARITY.items() if kind in present], 3)
    whole = sum(roi.granularity == "whole" for roi in layout.rois)
    return describe(
        figure,
        f"{plural(len(layout.rois), 'region')} of interest {_where(image)}, {whole} whole ones and",
        f"{len(layout.rois) - whole} parts, on {plural(len(layout.patches), 'parent patch', 'es')}:",
        ", ".join(f"{roi.number} {roi.name}" for roi in layout.rois) + ".",
    )


@themed
def flow_of_event(
    flow: np.ndarray,
    names: Sequence[str],
    event: Event,
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
    distractors: Sequence[Event] = (),
    title: str = "",
) -> Drawing:
    """Flow of each region over time, x and y, with the event shaded and the true movement beside it.

    flow: (C, k) in pixels of the face crop, since frame `start`; names: the regions, C / 2 of them; truth: as
    flow, the movement that was rendered; distractors: macro-expressions and blinks to mark.
    """
    flow = _pairs(flow, names)
    true = None if truth is None else _pairs(truth, names)
    time = (start + np.arange(flow.shape[-1])) / fps
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = canvas(FULL, 0.9 + 1.25 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    inside = [other for other in (event, *distractors) if _meets(other, start, flow.shape[-1])]
    for ax, name, region in zip(axes, names, range(len(names)), strict=False):
        shade(ax, inside, fps)
        for component, look in enumerate(CHANNEL.values()):
            if true is not None:
                ax.plot(time, true[region, component], color=look["color"], ls=look["ls"], lw=3, alpha=0.3)
            ax.plot(time, flow[region, component], color=look["color"], ls=look["ls"], lw=1.3)
        ax.set_title(name, fontweight="normal")
        ax.set_xlim(time[0], time[-1])
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax in axes[max(0, len(names) - columns) : len(names)]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("time (s)")
    for ax in axes[::columns]:
        ax.set_ylabel("flow (px)")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    handles = [Line2D([], [], **look) for look in CHANNEL.values()]
    if true is not None:
        handles.append(Line2D([], [], color="#888888", lw=3, alpha=0.5, label="true movement"))
    legend_below(figure, [*handles, *shade_handles(inside)], 6)
    span = event.onset / fps, (event.offset + 1) / fps
    peak = np.abs(flow).max(axis=(1, 2)) if flow.size else np.zeros(len(names))
    return describe(
        figure,
        f"Optical flow in {plural(len(names), 'region')} over {flow.shape[-1] / fps:.2f} s;",
        f"the event lasts from {span[0]:.2f} to {span[1]:.2f} s.",
        f"The largest flow, {peak.max():.1f} px, is in the region {names[int(peak.argmax())]}.",
        "The true movement is drawn beside it." if true is not None else "",
    )


@themed
def blink_beside_me(
    flow: np.ndarray,
    names: Sequence[str],
    event: Event,
    blinks: Sequence[Event],
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
) -> Drawing:
    """Flow of each region where a blink falls beside or into an ME; arguments as for `flow_of_event`."""
    figure = flow_of_event(flow, names, event, fps, start, truth, blinks)
    times = ", ".join(f"{blink.onset / fps:.2f} s" for blink in blinks) or "no time"
    return describe(figure, figure.metst_alt, f"Blinks begin at {times}.")


@themed
def alignment_on_off(
    on: np.ndarray,
    off: np.ndarray,
    names: Sequence[str],
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
    events: Sequence[Event] = (),
) -> Drawing:
    """The same regions' flow with head alignment (left) and without it (right), to one scale.

    on, off, truth: (C, k) in pixels of the face crop; names: the regions, C / 2 of them.
    """
    sides = {"with head alignment": _pairs(on, names), "without": _pairs(off, names)}
    true = None if truth is None else _pairs(truth, names)
    figure = canvas(FULL, 0.9 + 1.2 * len(names))
    axes = figure.subplots(len(names), 2, sharex=True, sharey=True, squeeze=False)
    inside = [event for event in events if _meets(event, start, on.shape[-1])]
    errors = []
    for column, (title, flow) in enumerate(sides.items()):
        time = (start + np.arange(flow.shape[-1])) / fps
        for row, name in enumerate(names):
            ax = axes[row, column]
            shade(ax, inside, fps)
            for component, look in enumerate(CHANNEL.values()):
                if true is not None:
                    ax.plot(time, true[row, component], color=look["color"], ls=look["ls"], lw=3, alpha=0.3)
                ax.plot(time, flow[row, component], color=look["color"], ls=look["ls"])
            ax.set_title(f"{name}, {title}", fontweight="normal")
            ax.set_xlim(time[0], time[-1])
        if true is not None:
            errors.append(f"{title} {np.sqrt(np.mean((flow - true) ** 2)):.2f} px")
        else:
            errors.append(f"{title} {np.sqrt(np.mean(flow**2)):.2f} px")
    for ax in axes[:, 0]:
        ax.set_ylabel("flow (px)")
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    handles = [Line2D([], [], **look) for look in CHANNEL.values()]
    if true is not None:
        handles.append(Line2D([], [], color="#888888", lw=3, alpha=0.5, label="true movement"))
    legend_below(figure, [*handles, *shade_handles(inside)], 6)
    what = "Root mean square error against the true movement" if true is not None else "Root mean square flow"
    return describe(
        figure, f"Flow of {', '.join(names)} with and without head alignment. {what}: {', '.join(errors)}."
    )


def _pairs(flow: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(C, k) → (regions, 2, k). ValueError where the names do not fit the channels."""
    flow = np.asarray(flow)
    if flow.ndim != 2 or flow.shape[0] != 2 * len(names):
        raise ValueError(f"flow of shape {flow.shape} does not hold x and y of {len(names)} regions")
    return flow.reshape(len(names), 2, -1)


def _meets(event: Event, start: int, length: int) -> bool:
    return event.offset >= start and event.onset < start + length


def _background(ax: Axes, landmarks: np.ndarray, image: np.ndarray | None, black: int = 0) -> None:
    """A blank canvas around the landmarks with an axis in pixels, or the image, paler for a lower `black`."""
    if image is not None:
        ax.imshow(image, cmap="gray", vmin=black, vmax=255, interpolation="nearest")
        height, width = image.shape[:2]
        ax.set(xlim=(0, width), ylim=(height, 0))
    else:
        (left, top), (right, bottom) = landmarks.min(0), landmarks.max(0)
        margin = 0.15 * max(right - left, bottom - top)
        ax.set(xlim=(left - margin, right + margin), ylim=(bottom + margin / 2, top - 2 * margin))
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set_xlabel("x (px)")
    ax.set_ylabel("y (px)")


def _outline(ax: Axes, box: Rect, kind: str) -> None:
    top, bottom, left, right = box
    look = GRANULARITY[kind]
    ax.add_patch(
        Rectangle(
            (left, top),
            right - left,
            bottom - top,
            fill=False,
            edgecolor=look["color"],
            linestyle=look["ls"],
            linewidth=look["lw"],
            zorder=4 if kind != "parent" else 3,
        )
    )


def _label(ax: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    ax.text(*at, text, ha="center", va="center", color=colour, fontweight="bold", zorder=6, path_effects=halo)


def _free_place(box: Rect, kind: str, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where a region's number goes: a part's in its middle or, where that is taken, beside it."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    beside = [(box.right + 8, y), (box.left - 8, y), (x, box.top - 7), (x, box.bottom + 7)]
    inner = beside[::-1][2:] if box.left > CROP / 2 else beside[:2]  # whole: the side towards the nose
    places = [*inner, *beside[2:]] if kind == "whole" else [(x, y), *beside]
    clear = [at for at in places if all(np.hypot(at[0] - a, at[1] - b) > 12 for a, b in taken)]
    return (clear or places)[0]


def _where(image: np.ndarray | None) -> str:
    return "on a blank canvas" if image is None else "on the face"
