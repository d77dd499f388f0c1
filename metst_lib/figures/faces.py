"""Figures of faces and their regions: landmarks, the 18 regions, and the flow in them (Sec. III-A, IV-B).

No picture of a face is drawn unless it is passed in as `image`; a licensed data set passes none.

Glossary: C channels (region × x, y); k frames of a window; x to the right, y down, in pixels.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metst_lib.events import Event
from metst_lib.figures import _style as style
from metst_lib.rois import CROP, Layout, Rect

#: Which of the 68 points (0-based, iBUG) make which line. Left is left in the image.
OUTLINES = (
    range(0, 17),  # jaw
    range(17, 22),  # left brow
    range(22, 27),  # right brow
    range(27, 31),  # nose bridge
    range(31, 36),  # nose base
    (*range(36, 42), 36),  # left eye
    (*range(42, 48), 42),  # right eye
    (*range(48, 60), 48),  # outer lips
    (*range(60, 68), 60),  # inner lips
)
#: How a region's outline says its granularity.
GRANULARITY = {
    "whole": {"color": "#0072B2", "ls": "-", "lw": 1.6, "label": "whole region"},
    "part": {"color": "#D55E00", "ls": (0, (3, 1)), "lw": 1.3, "label": "part"},
    "parent": {"color": "#8C8C8C", "ls": ":", "lw": 1.2, "label": "parent patch (flow is computed here)"},
}
#: Colour and dash of the two flow components.
CHANNELS = (
    {"color": "#0072B2", "ls": "-", "label": "x, to the right"},
    {"color": "#D55E00", "ls": (0, (4, 1.5)), "label": "y, down"},
)


def draw_landmarks(ax: Axes, landmarks: np.ndarray, color: str = "#555555", points: bool = True) -> None:
    """Draw 68 landmarks (68, 2) as lines and, with `points`, dots. The axes keep their limits."""
    for numbers in OUTLINES:
        ax.plot(*landmarks[list(numbers)].T, color=color, lw=0.8, zorder=2)
    if points:
        ax.plot(*landmarks.T, ls="", marker="o", ms=1.6, color=color, zorder=2)


def show_image(ax: Axes, image: np.ndarray, **how: Any) -> Any:
    """Draw a grey image, 0 black and 255 white; returns what Matplotlib made of it."""
    return ax.imshow(image, cmap="gray", **{"vmin": 0, "vmax": 255, "interpolation": "nearest", **how})


@style.themed
def landmarks_on_canvas(landmarks: np.ndarray, image: np.ndarray | None = None) -> style.Drawing:
    """68 landmarks (68, 2) on a blank canvas, or on the grey `image` where one is given; some are numbered.

    image must be a face that may be shown: the synthetic set's, or the reader's own.
    """
    figure, ax = style.panels(style.HALF, style.HALF)
    _background(ax, landmarks, image)
    draw_landmarks(ax, landmarks, color="#F0E442" if image is not None else "#555555")
    box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
    for number in (0, 8, 16, 27, 33, 39, 42):
        ax.annotate(str(number), landmarks[number], (3, 3), textcoords="offset points", bbox=box)
    return style.describe(figure, f"68 facial landmarks {_where(image)}: jaw, brows, nose, eyes and lips.")


@style.themed
def regions_on_canvas(
    landmarks: np.ndarray, layout: Layout, image: np.ndarray | None = None
) -> style.Drawing:
    """Regions of interest on a face crop: outlines say the granularity, numbers lead to the names.

    landmarks (68, 2) of the crop, layout: `rois.resolve` on them; image: as for `landmarks_on_canvas`.
    """
    figure, (ax, key) = style.panels(style.FULL, 4.6, 1, 2, width_ratios=[2.2, 1])
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
    handles = [Line2D([], [], **look) for kind, look in GRANULARITY.items() if kind in present]
    style.legend_below(figure, handles, 3)
    whole = sum(roi.granularity == "whole" for roi in layout.rois)
    return style.describe(
        figure,
        f"{style.plural(len(layout.rois), 'region')} of interest {_where(image)}, {whole} whole ones and",
        f"{len(layout.rois) - whole} parts, on {style.plural(len(layout.patches), 'parent patch', 'es')}:",
        ", ".join(f"{roi.number} {roi.name}" for roi in layout.rois) + ".",
    )


@style.themed
def flow_of_event(
    flow: np.ndarray,
    names: Sequence[str],
    event: Event,
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
    distractors: Sequence[Event] = (),
    title: str = "",
) -> style.Drawing:
    """Flow of each region over time, x and y, with the event shaded and the true movement beside it.

    flow: (C, k) in pixels of the face crop, since frame `start`; names: the regions, C / 2 of them; truth: as
    flow, the movement that was rendered; distractors: macro-expressions and blinks to mark.
    """
    flow, true = _pairs(flow, names), _pairs(truth, names)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    size = style.FULL, 0.9 + 1.25 * rows
    figure, axes = style.panels(*size, rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = axes.ravel()
    inside = _flow_panels(axes, names, start, fps, flow, true, (event, *distractors))
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax in axes[max(0, len(names) - columns) : len(names)]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("time (s)")
    for ax in axes[::columns]:
        ax.set_ylabel("flow (px)")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    _flow_legend(figure, true, inside)
    span = style.seconds(event, fps)
    peak = np.abs(flow).max(axis=(1, 2)) if flow.size else np.zeros(len(names))
    return style.describe(
        figure,
        f"Optical flow in {style.plural(len(names), 'region')} over {flow.shape[-1] / fps:.2f} s;",
        f"the event lasts from {span[0]:.2f} to {span[1]:.2f} s.",
        f"The largest flow, {peak.max():.1f} px, is in the region {names[int(peak.argmax())]}.",
        "The true movement is drawn beside it." if true is not None else "",
    )


@style.themed
def blink_beside_me(
    flow: np.ndarray,
    names: Sequence[str],
    event: Event,
    blinks: Sequence[Event],
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
) -> style.Drawing:
    """Flow of each region where a blink falls beside or into an ME; arguments as for `flow_of_event`."""
    figure = flow_of_event(flow, names, event, fps, start, truth, blinks)
    times = ", ".join(f"{blink.onset / fps:.2f} s" for blink in blinks) or "no time"
    return style.describe(figure, figure.metst_alt, f"Blinks begin at {times}.")


@style.themed
def alignment_on_off(
    on: np.ndarray,
    off: np.ndarray,
    names: Sequence[str],
    fps: float,
    start: int = 0,
    truth: np.ndarray | None = None,
    events: Sequence[Event] = (),
) -> style.Drawing:
    """The same regions' flow with head alignment (left) and without it (right), to one scale.

    on, off, truth: (C, k) in pixels of the face crop; names: the regions, C / 2 of them.
    """
    sides = {"with head alignment": _pairs(on, names), "without": _pairs(off, names)}
    true = _pairs(truth, names)
    size = style.FULL, 0.9 + 1.2 * len(names)
    figure, axes = style.panels(*size, len(names), 2, sharex=True, sharey=True, squeeze=False)
    errors = []
    for column, (title, flow) in zip(axes.T, sides.items(), strict=True):
        titles = [f"{name}, {title}" for name in names]
        inside = _flow_panels(column, titles, start, fps, flow, true, events)
        difference = flow if true is None else flow - true
        errors.append(f"{title} {np.sqrt(np.mean(difference**2)):.2f} px")
    for ax in axes[:, 0]:
        ax.set_ylabel("flow (px)")
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    _flow_legend(figure, true, inside)
    what = "Root mean square error against the true movement" if true is not None else "Root mean square flow"
    return style.describe(
        figure, f"Flow of {', '.join(names)} with and without head alignment. {what}: {', '.join(errors)}."
    )


def _pairs(flow: np.ndarray | None, names: Sequence[str]) -> np.ndarray | None:
    """(C, k) → (regions, 2, k). ValueError where the names do not fit the channels."""
    if flow is None:
        return None
    flow = np.asarray(flow)
    if flow.ndim != 2 or flow.shape[0] != 2 * len(names):
        raise ValueError(f"flow of shape {flow.shape} does not hold x and y of {len(names)} regions")
    return flow.reshape(len(names), 2, -1)


def _flow_panels(
    axes: np.ndarray,
    titles: Sequence[str],
    start: int,
    fps: float,
    flow: np.ndarray,
    true: np.ndarray | None,
    events: Iterable[Event],
) -> list[Event]:
    """Flow (regions, 2, k) from frame `start` on, above the true movement; returns the events behind it."""
    time = (start + np.arange(flow.shape[-1])) / fps
    inside = [event for event in events if event.offset >= start and event.onset < start + len(time)]
    for row, (ax, title) in enumerate(zip(axes, titles, strict=False)):
        style.shade(ax, inside, fps)
        for component, look in enumerate(CHANNELS):
            if true is not None:
                ax.plot(time, true[row, component], lw=3, alpha=0.3, **look)
            ax.plot(time, flow[row, component], **look)
        ax.set_title(title, fontweight="normal")
        ax.set_xlim(time[0], time[-1])
    return inside


def _flow_legend(figure: style.Drawing, true: np.ndarray | None, events: Sequence[Event]) -> None:
    handles = [Line2D([], [], **look) for look in CHANNELS]
    if true is not None:
        handles.append(Line2D([], [], color="#888888", lw=3, alpha=0.5, label="true movement"))
    style.legend_below(figure, [*handles, *style.shade_handles(events)], 6)


def _background(ax: Axes, landmarks: np.ndarray, image: np.ndarray | None, black: int = 0) -> None:
    """A blank canvas around the landmarks with an axis in pixels, or the image, paler for a lower `black`."""
    if image is not None:
        show_image(ax, image, vmin=black)
        height, width = image.shape[:2]
        ax.set(xlim=(0, width), ylim=(height, 0))
    else:
        (left, top), (right, bottom) = landmarks.min(0), landmarks.max(0)
        margin = 0.15 * max(right - left, bottom - top)
        ax.set(xlim=(left - margin, right + margin), ylim=(bottom + margin / 2, top - 2 * margin))
    ax.set(aspect="equal", xlabel="x (px)", ylabel="y (px)")
    ax.grid(False)


def _outline(ax: Axes, box: Rect, kind: str) -> None:
    top, bottom, left, right = box
    look = {"zorder": 3 if kind == "parent" else 4, **GRANULARITY[kind]}
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **look))


def _label(ax: Axes, text: str, at: tuple[float, float], colour: str) -> None:
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    style.centred(ax, *at, text, color=colour, fontweight="bold", zorder=6, path_effects=halo)


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
