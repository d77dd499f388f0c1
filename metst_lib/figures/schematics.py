"""Schematic figures, each with real numbers in it.

Fig. 1 state transition, Fig. 2 window-level against video-level, Fig. 4 result-level synergy as a flow of
counts. Fig. 3 is in architecture.py.

Glossary: T frames, C channels, k frames of a window, W windows; h state, x input, y output of Eq. 1 and 2.
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from metst_lib.events import Event
from metst_lib.experiment.analysis import Synergy
from metst_lib.figures import _style as style

FALSE_COLOUR = "#E69F00"
#: Candidates that are micro-expressions, and those that are not.
TRUTH = {
    "true": {"facecolor": "#0072B2", "edgecolor": "white", "lw": 0},
    "false": {"facecolor": FALSE_COLOUR, "edgecolor": "white", "lw": 0, "hatch": "////"},
}
#: Windows that say yes, and those that say no.
WINDOW = {
    True: {"facecolor": FALSE_COLOUR, "alpha": 0.55, "hatch": "////", "edgecolor": "#333333"},
    False: {"facecolor": "#DDDDDD", "alpha": 0.55, "edgecolor": "#333333"},
}


@style.themed
def state_transition(
    x: np.ndarray,
    state: np.ndarray,
    event: Event,
    fps: float,
    start: int = 0,
    output: np.ndarray | None = None,
) -> style.Drawing:
    """Fig. 1: a state goes from non-ME to ME and back, as drawn circles and as measured curves.

    x (T,): input, flow in pixels; state (T,) or (T, N): h after each frame, shown by its norm; output (T,):
    y; all from frame `start` on. The circles are frames before, at onset, between, at the apex and after.
    """
    norm = np.linalg.norm(np.reshape(state, (len(x), -1)), axis=1)
    moments = _moments(event, start, start + len(x) - 1)
    curves = [("input x\n(px)", x), ("state |h|\n(no unit)", norm)]
    curves += [("output y\n(no unit)", output)] if output is not None else []
    heights = [2, *[1] * len(curves)]
    size = style.FULL, 4.6 if output is not None else 3.8
    figure, (top, *panels) = style.panels(*size, len(heights), 1, height_ratios=heights)
    _chain(top, moments, norm, start, fps)
    time = (start + np.arange(len(x))) / fps
    for ax, (label, values) in zip(panels, curves, strict=True):
        ax.plot(time, values, color=style.INK)
        style.shade(ax, [event], fps)
        ax.set(ylabel=label, xlim=(time[0], time[-1]))
        ax.tick_params(labelbottom=ax is panels[-1])
    at = np.array([number for number, _ in moments], dtype=int)
    drawn = {"ls": "", "marker": "o", "mfc": "w", "mec": style.INK}
    panels[1].plot(at / fps, norm[at - start], ms=5, **drawn)
    panels[-1].set_xlabel("time (s)")
    figure.align_ylabels(panels)
    handles = [*style.shade_handles([event]), Line2D([], [], label="frames drawn above", **drawn)]
    style.legend_below(figure, handles, 2)
    peak = start + int(norm.argmax())
    return style.describe(
        figure,
        f"State transition through a micro-expression of {event.length / fps:.2f} s:",
        f"a chain of {len(moments)} states and the curves they come from.",
        f"The state's norm goes from {norm[0]:.2f} to {norm.max():.2f} at {peak / fps:.2f} s",
        f"and is {norm[-1]:.2f} at the end.",
    )


@style.themed
def window_against_video(
    answers: np.ndarray,
    starts: np.ndarray,
    window: int,
    score: np.ndarray,
    truth: Sequence[Event],
    fps: float,
    interval: tuple[int, int] | None = None,
) -> style.Drawing:
    """Fig. 2: one answer for each window of fixed length, against one score for each frame of the video.

    answers (W,), each 0–1 for the k frames from `starts` (W,) on; k = window; score (T,), 0–1; truth: true
    events, distractors among them; interval: first and last frame to show.
    """
    figure, axes = style.panels(style.FULL, 4.4, 2, 2, width_ratios=[1, 3.4])
    _boxes(axes[0, 0], ["k frames", "CNN", "one answer"])
    _boxes(axes[1, 0], ["all frames", "state space\nmodel", "a score\nper frame"])
    above, below = axes[:, 1]
    said = np.asarray(answers) >= 0.5
    for onset, answer, yes in zip(starts, answers, said, strict=True):
        above.add_patch(Rectangle((onset / fps, 0), window / fps, answer, **WINDOW[bool(yes)]))
    below.plot(np.arange(len(score)) / fps, score, color=style.INK)
    for ax, label in ((above, "window's answer\n(0–1)"), (below, "frame's score\n(0–1)")):
        style.shade(ax, truth, fps)
        style.time_axis(ax, interval or (0, len(score) - 1), fps)
        style.unit_axis(ax)
        ax.set_ylabel(label)
    above.tick_params(labelbottom=False)
    above.set(title=f"(a) window-level: k = {window} frames, {window / fps:.2f} s", xlabel="")
    below.set_title("(b) video-level: any duration")
    handles = [
        Patch(**WINDOW[True], label="window: yes (≥ 0.5)"),
        Patch(**WINDOW[False], label="window: no"),
        *style.shade_handles(truth),
    ]
    style.legend_below(figure, handles, 5)
    micro = sum(event.kind == "micro" for event in truth)
    return style.describe(
        figure,
        f"Two ways to spot. Window-level: {style.plural(len(starts), 'window')} of {window} frames, of which",
        f"{said.sum()} say yes. Video-level: one score for each of the",
        f"{len(score)} frames, up to {np.max(score, initial=0):.2f}.",
        f"{style.plural(micro, 'true micro-expression')} in the video.",
    )


@style.themed
def result_synergy(counts: Mapping[str, Synergy]) -> style.Drawing:
    """Fig. 4: where the candidates go, in bands as thick as the counts; counts: name → `Synergy`.

    Left all that the score proposes, right those kept and those dropped because the recogniser says neutral.
    """
    rows = max(1, -(-len(counts) // 2))
    columns = min(2, max(len(counts), 1))
    figure, axes = style.panels(style.FULL, 0.4 + 2.5 * rows, rows, columns, squeeze=False)
    sentences = []
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, count) in zip(axes.flat, counts.items(), strict=False):
        count = Synergy(*count)
        _bands(ax, count)
        before = _share(count.kept_true + count.dropped_true, sum(count))
        after = _share(count.kept_true, count.kept_true + count.kept_false)
        ax.set_title(f"{name}: precision {before} → {after}")
        sentences.append(
            f"{name}: of {style.plural(sum(count), 'candidate')}, "
            f"kept {count.kept_true} true and {count.kept_false} false, "
            f"dropped {count.dropped_true} true and {count.dropped_false} false; "
            f"precision {before} to {after}."
        )
    handles = [
        Patch(facecolor=TRUTH["true"]["facecolor"], label="a micro-expression (IoU ≥ 0.5)"),
        Patch(facecolor=FALSE_COLOUR, hatch="////", edgecolor="white", label="not one"),
    ]
    style.legend_below(figure, handles, 2)
    return style.describe(figure, "Result-level synergy as a flow of candidates.", *sentences)


# ---- pieces ----


def _moments(event: Event, first: int, last: int) -> list[tuple[int, str]]:
    """Frames whose state is drawn, with their names; only those inside first … last."""
    apex = event.apex if event.apex is not None else (event.onset + event.offset) // 2
    wanted = [
        (event.onset - max(3, event.length // 3), "non-ME"),
        (event.onset, "onset"),
        ((event.onset + apex) // 2, ""),
        (apex, "apex"),
        ((apex + event.offset) // 2, ""),
        (event.offset, "offset"),
        (event.offset + max(3, event.length // 2), "non-ME"),
    ]
    seen: dict[int, str] = {}
    for number, name in wanted:
        if first <= number <= last:
            seen[number] = seen.get(number) or name
    return list(seen.items())


def _chain(ax: Axes, moments: Sequence[tuple[int, str]], norm: np.ndarray, start: int, fps: float) -> None:
    """Circles h, arrows h → h, x in from below, y out above; a circle is as dark as its state is strong."""
    ax.axis("off")
    ax.set(xlim=(-0.6, max(len(moments), 1) - 0.4), ylim=(-1.35, 1.75))
    shades = matplotlib.colormaps["Oranges"]
    for column, (number, name) in enumerate(moments):
        level = norm[number - start] / max(norm.max(), 1e-12)
        ax.scatter(
            column, 0, s=900, color=[shades(0.85 * level)], edgecolors=style.INK, linewidths=1, zorder=3
        )
        inside = f"{norm[number - start]:.2f}"
        style.centred(ax, column, 0, inside, zorder=4, color="white" if level > 0.75 else style.INK)
        ax.annotate("", (column, -0.42), (column, -0.82), arrowprops=style.ARROW)
        ax.annotate("", (column, 0.82), (column, 0.42), arrowprops=style.ARROW)
        style.centred(ax, column, -1.1, f"x({number / fps:.2f} s)")
        style.centred(ax, column, 1.02, "y")
        style.centred(ax, column, 1.5, name, fontweight="bold")
        if column:
            ax.annotate("", (column - 0.26, 0), (column - 0.74, 0), arrowprops=style.ARROW)
    style.centred(ax, -0.52, 0, "|h|")


def _boxes(ax: Axes, words: Sequence[str]) -> None:
    """Boxes from top to bottom with arrows between them."""
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(len(words) - 0.6, -0.4))
    for row, text in enumerate(words):
        ax.add_patch(Rectangle((0.04, row - 0.33), 0.92, 0.66, facecolor="#EEEEEE", edgecolor="#444444"))
        style.centred(ax, 0.5, row, text, linespacing=1)
        if row:
            ax.annotate("", (0.5, row - 0.33), (0.5, row - 0.67), arrowprops=style.ARROW)


def _bands(ax: Axes, count: Synergy) -> None:
    """The bars and bands of one flow of counts, from top to bottom; y counts candidates."""
    total = max(sum(count), 1)
    gap = 0.13 * total  # room for a line of text
    ax.set(xlim=(0, 1), ylim=(total + 5.4 * gap, -0.6 * gap))
    sums = {"true": count.kept_true + count.dropped_true, "false": count.kept_false + count.dropped_false}
    left, right, width = 0.2, 0.62, 0.035
    at = {"true": 1.5 * gap, "false": 2.5 * gap + sums["true"]}  # where the next band leaves
    for name, size in sums.items():
        ax.add_patch(Rectangle((left, at[name]), width, size, **TRUTH[name]))
        ax.text(left - 0.015, at[name] + size / 2, f"{size} {name}", ha="right", va="center")
    ax.text(0.04, 0, f"{sum(count)} candidates", va="center", fontweight="bold")
    y = 0.0
    for fate, heading, words in (
        ("kept", "kept", {"true": "TP", "false": "FP"}),
        ("dropped", "dropped: vote is neutral", {"true": "TP lost", "false": "FP avoided"}),
    ):
        ax.text(right, y, heading, va="center", fontweight="bold")
        y += 0.9 * gap
        for name, word in words.items():
            size = getattr(count, f"{fate}_{name}")
            if size:
                band = _band(left + width, right, at[name], y, size)
                ax.add_patch(PathPatch(band, alpha=0.6 if fate == "kept" else 0.25, **TRUTH[name]))
            ax.add_patch(Rectangle((right, y), width, size, **TRUTH[name]))
            ax.text(right + 0.05, y + size / 2, f"{size} {word}", va="center")
            at[name] += size
            y += size + 0.8 * gap
        y += 0.3 * gap


def _band(x0: float, x1: float, y0: float, y1: float, size: float) -> Path:
    """A band of that thickness from (x0, y0) to (x1, y1), curved like an S."""
    mid = (x0 + x1) / 2
    points = [(x0, y0), (mid, y0), (mid, y1), (x1, y1), (x1, y1 + size)]
    points += [(mid, y1 + size), (mid, y0 + size), (x0, y0 + size), (x0, y0)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return Path(points, codes)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "–"
