"""The figure of a video of one's own: score, threshold and events along the recording, a row for each minute.

Glossary: T frames of the video.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from metst_lib.figures import _style as style

#: Seconds in a row, as long as that needs no more than `ROWS`.
ROW = 60.0
ROWS = 8
UNSEEN = {"facecolor": "#EEEEEE", "edgecolor": "#B0B0B0", "hatch": "////", "lw": 0}


@style.themed
def recording(
    title: str,
    seconds: np.ndarray,
    score: np.ndarray,
    threshold: float,
    events: Sequence[tuple[float, float, str]],
    unscored: Sequence[tuple[float, float]] = (),
) -> style.Drawing:
    """Smoothed score over the time of a recording, the threshold, and what was found.

    seconds (T,), rising; score (T,), NaN where nothing is scored; threshold: what a peak must reach; events:
    (start, end, emotion) of each, in seconds; unscored: spans in seconds, hatched.
    """
    end = float(seconds[-1])
    rows = min(ROWS, max(1, int(np.ceil(end / ROW - 1e-6))))
    long = max(end / rows, ROW if rows > 1 else 0)
    figure, axes = style.panels(style.FULL, 0.9 + 1.5 * rows, rows, 1, sharey=True, squeeze=False)
    axes = axes[:, 0]
    top = max(1.0, float(np.nanmax(score, initial=0)))
    for row, ax in enumerate(axes):
        (line,) = ax.plot(seconds, score, color=style.INK, lw=1.2, label="score, smoothed")
        level = ax.axhline(threshold, **style.THRESHOLD)
        for start, stop in unscored:
            ax.axvspan(start, stop, **UNSEEN)
        for number, (start, stop, emotion) in enumerate(events, start=1):
            _mark(ax, number, start, stop, emotion, top)
        ax.set(xlim=(row * long, (row + 1) * long), ylim=(-0.3 * top, 1.05 * top))
        ax.set(yticks=[0, 0.5 * top, top], ylabel="spotting score")
    axes[0].set_title(title)
    axes[-1].set_xlabel("time in the video (s)")
    handles = [line, level, *style.bar_handles({emotion for *_, emotion in events})]
    if unscored:
        handles.append(Patch(**UNSEEN, label="no face: not scored"))
    style.legend_below(figure, handles, 5)
    listed = "; ".join(f"{start:.2f} to {stop:.2f} s, {emotion}" for start, stop, emotion in events)
    return style.describe(
        figure,
        f"{title}: the spotting score over {end:.1f} s and a threshold of {threshold:.2f}.",
        f"{style.plural(len(events), 'micro-expression')} reported{': ' + listed if listed else ''}.",
        f"{style.plural(len(unscored), 'span')} not scored." if unscored else "",
    )


def _mark(ax: Axes, number: int, start: float, stop: float, emotion: str, top: float) -> None:
    """An event as a numbered bar below the curve."""
    look = {"facecolor": style.PALETTE[emotion], "hatch": style.HATCHES[emotion], "edgecolor": "white"}
    box = Rectangle((start, -0.13 * top), stop - start, 0.09 * top, zorder=3, lw=0.4, **look)
    ax.add_patch(box)
    ax.text((start + stop) / 2, -0.155 * top, str(number), ha="center", va="top", clip_on=True)
