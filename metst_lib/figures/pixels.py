"""The figure of the study's pixels beside its signals."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from metst_lib.figures import _style as style

#: How each kind of what happens is drawn, by its word in the table.
KINDS = {
    "micro": ("micro-expressions", "o", "#0072B2"),
    "macro": ("macro-expressions", "s", "#D55E00"),
    "blink": ("blinks", "^", "#4D4D4D"),
    "talk": ("talking", "v", "#009E73"),
    "gaze": ("gaze", "P", "#7A1F5C"),
    "nod": ("nods", "X", "#B8860B"),
    "turn": ("turns", "D", "#56B4E9"),
    "light": ("light", "*", "#CC79A7"),
}
_REST = {"noise": ("noise of a frame", "o", style.INK), "second": ("after a second", "s", "#6A6A6A")}


@style.themed
def pixels_beside_signals(table: pd.DataFrame) -> style.Drawing:
    """Regions' flow at rest and at apexes, pixels over signals, and what a network spots in either.

    table: what `study.rendered.agreement` gives. ValueError where it is empty.
    """
    if table.empty:
        raise ValueError("the table is empty")
    figure, (rest, moved, found) = style.panels(style.FULL, 3.3, 1, 3, width_ratios=(1, 1, 0.9))
    measure, kind = table["measure"], table["kind"]
    said = _scatter(rest, {look: table[measure == name] for name, look in _REST.items()})
    looks = {look: table[(measure == "length") & (kind == name)] for name, look in KINDS.items()}
    said += _scatter(moved, {look: part for look, part in looks.items() if len(part)})
    rest.set(title="at rest", xlabel="signals, rms (px)", ylabel="pixels (px)")
    moved.set(title="at the apex", xlabel="signals, median (px)", ylabel="pixels (px)")
    said += _scores(found, table[measure == "F1"])
    handles = [handle for ax in (rest, moved, found) for handle in ax.get_legend_handles_labels()[0]]
    style.legend_below(figure, handles, 5)
    return style.describe(figure, f"Flow of regions in pixels over signals: {'; '.join(said)}.")


def _scatter(ax: Axes, parts: dict[tuple[str, str, str], pd.DataFrame]) -> list[str]:
    """A mark for each region, on logarithmic axes with the line of equality; what is to be said of it."""
    said, ends = [], []
    for (label, marker, color), part in parts.items():
        pair = [part[part["synthetic source"] == source].set_index("name")["value"] for source in _SOURCES]
        pixels, signals = pair[0], pair[1].reindex(pair[0].index)
        ax.plot(signals, pixels, ls="", marker=marker, ms=4, mfc="none", color=color, label=label)
        ends += [pixels.min(), pixels.max(), signals.min(), signals.max()]
        said.append(f"{label} {pixels.median():.2f} px and {signals.median():.2f} px")
    low, high = 0.8 * np.nanmin(ends), 1.25 * np.nanmax(ends)
    ax.plot([low, high], [low, high], color=style.INK, lw=0.8, zorder=1)
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter("")
    return said


_SOURCES = ("pixels", "signals")
_LOOKS = {"pixels": {"color": style.INK, "marker": "o"}, "signals": {"color": "#0072B2", "marker": "s"}}


def _scores(ax: Axes, table: pd.DataFrame) -> list[str]:
    """Spotting F1 with intervals, a lane for each way of training."""
    ways, said = list(dict.fromkeys(table["name"])), []
    for at, (source, look) in zip((-0.12, 0.12), _LOOKS.items(), strict=True):
        part = table[table["synthetic source"] == source].set_index("name").loc[ways]
        ax.hlines(np.arange(len(ways)) + at, part["low"], part["high"], color=look["color"], lw=1.4)
        ax.plot(part["value"], np.arange(len(ways)) + at, ls="", ms=5, label=f"F1 of {source}", **look)
        said += [f"F1 of {source}, {name}, {value:.2f}" for name, value in part["value"].items()]
    style.lanes(ax, [way.replace(", ", ",\n").replace(" on ", "\non ") for way in ways])
    ax.set(title="spotting F1", xlabel="F1, 95 % interval", xlim=(0, max(0.2, 1.05 * table["high"].max())))
    return said
