"""Figures of the ablations (Sec. IV-F): values with intervals, differences, F1 over the settings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metst_lib.figures import _style as style


@style.themed
def forest(
    rows: Mapping[str, tuple[float, float, float]],
    xlabel: str,
    points: Mapping[str, Sequence[float]] | None = None,
    reference: float | None = None,
    level: float = 0.95,
    each: str = "seed",
) -> style.Drawing:
    """One row for each variant (or pair of variants): a value with its interval, and the single seeds.

    rows: name → (value, low, high), NaN where there is none; xlabel: what is measured, with its unit or
    range; points: name → the value of each seed, or of what `each` names; reference: a line to read against,
    0 for differences. Where an interval holds the reference its value is hollow: no difference was seen.
    """
    figure, ax = style.panels(style.FULL, 1.2 + 0.3 * max(len(rows), 2))
    circle = {"color": style.INK, "marker": "o", "ms": 6}
    seed = {"color": "#0072B2", "marker": "|", "ms": 6, "ls": ""}
    said = []
    for row, (name, (value, low, high)) in enumerate(rows.items()):
        inside = reference is not None and low <= reference <= high
        ax.plot([low, high], [row, row], color=style.INK, lw=1.4, zorder=3, solid_capstyle="butt")
        ax.plot(value, row, mfc="white" if inside else style.INK, ls="", zorder=4, **circle)
        seeds = (points or {}).get(name, ())
        ax.plot(seeds, [row + 0.28] * len(seeds), zorder=3, **seed)
        said.append(f"{name} {value:.3f} ({low:.3f} to {high:.3f})" if np.isfinite(value) else f"{name} none")
    if reference is not None:
        ax.axvline(reference, color=style.INK, ls="--", lw=0.9, zorder=2)
    style.lanes(ax, list(rows))
    ax.set_xlabel(xlabel)
    handles = [Line2D([], [], label=f"value, {level:.0%} interval", **circle)]
    if reference is not None:
        handles.append(Line2D([], [], mfc="white", label=f"interval holds {reference:g}", **circle))
    if points:
        handles.append(Line2D([], [], label=f"one {each}", **seed))
    style.legend_below(figure, handles, 3)
    return style.describe(figure, f"{xlabel} with {level:.0%} intervals: {'; '.join(said) or 'nothing yet'}.")


@style.themed
def sensitivity(
    f1: np.ndarray,
    thresholds: Sequence[float],
    half_widths: Sequence[int],
    used: tuple[float, int] | None = None,
) -> style.Drawing:
    """Spotting F1 over the two settings of peak detection, as a map with numbers.

    f1 (thresholds, half widths), 0–1; thresholds: p; half_widths: k_p in frames; used: the pair (p, k_p) that
    the experiment uses, framed. ValueError where f1 has another shape or holds no number.
    """
    f1 = np.asarray(f1, dtype=float)
    if f1.shape != (len(thresholds), len(half_widths)) or not np.isfinite(f1).any():
        raise ValueError(
            f"F1 of shape {f1.shape} for {len(thresholds)} thresholds and {len(half_widths)} half widths, "
            f"{int(np.isfinite(f1).sum())} of its numbers finite"
        )
    width = style.HALF if len(half_widths) < 5 else style.FULL
    figure, ax = style.panels(width, 1.3 + 0.3 * len(thresholds))
    shown = ax.imshow(f1, cmap="Blues", vmin=0, vmax=max(float(np.nanmax(f1, initial=0)), 0.1), aspect="auto")
    middle = shown.norm.vmax * 0.6
    for (row, column), value in np.ndenumerate(f1):
        style.centred(ax, column, row, f"{value:.2f}", color="white" if value > middle else style.INK)
    if used is not None:
        row, column = list(thresholds).index(used[0]), list(half_widths).index(used[1])
        corner = column - 0.5, row - 0.5
        frame = {"fill": False, "edgecolor": "#D55E00", "lw": 2.2, "zorder": 5, "clip_on": False}
        ax.add_patch(Rectangle(corner, 1, 1, **frame))
    ax.set_xticks(range(len(half_widths)), half_widths)
    ax.set_yticks(range(len(thresholds)), [f"{p:g}" for p in thresholds])
    ax.set(xlabel="half width k_p (frames)", ylabel="threshold p (0–1)")
    ax.grid(False)
    figure.colorbar(shown, ax=ax, fraction=0.04, pad=0.02, label="spotting F1 (0–1)")
    row, column = np.unravel_index(np.nanargmax(f1), f1.shape)
    return style.describe(
        figure,
        f"Spotting F1 over threshold and half width, from {np.nanmin(f1):.2f} to {np.nanmax(f1):.2f};",
        f"highest at p = {thresholds[row]:g}, k_p = {half_widths[column]} frames.",
    )
