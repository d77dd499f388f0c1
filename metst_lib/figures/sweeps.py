"""The figure of the sweeps: where spotting breaks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from metst_lib.figures import _style as style
from metst_lib.study.sweeps import PERFECT, title

#: Colour, dash and mark of each variant, in the table's order.
LOOKS = (
    ("#222222", (0, (4, 1.5)), "s"),
    ("#0072B2", "-", "o"),
    ("#D55E00", "-", "^"),
    ("#009E73", (0, (3, 1, 1, 1)), "v"),
    ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "D"),
    ("#E69F00", (0, (1.2, 1)), "P"),
    ("#56B4E9", "-", "X"),
)
_PERFECT = ("#8A8A8A", (0, (1, 1)), ".")
_OWN = {"color": style.INK, "lw": 0.9, "ls": ":", "zorder": 1}
_ACROSS = 3  # panels side by side


@style.themed
def sweeps(table: pd.DataFrame) -> style.Drawing:
    """Spotting F1 with its 95 % interval, and false alarms a minute below it, over the levels of each sweep.

    table: as `study.sweeps.run` gives it. One panel a sweep, its levels evenly spaced; a vertical line stands
    at the study's own level (in sweeps of pixels, the demonstration's). ValueError for a table without lines.
    """
    names = list(dict.fromkeys(table["sweep"]))
    if not names:
        raise ValueError("no sweep to draw")
    variants = list(dict.fromkeys(table["variant"]))
    plain = [variant for variant in variants if variant != PERFECT]
    looks = dict(zip(plain, LOOKS, strict=False)) | {PERFECT: _PERFECT}
    across = min(_ACROSS, len(names))
    rows = -(-len(names) // across)
    figure, axes = style.panels(
        style.FULL, 0.7 + 2.3 * rows, 2 * rows, across, squeeze=False, height_ratios=[3, 2] * rows
    )
    top = 1.1 * max(float(table["fp_per_minute"].max()), 0.5)
    for number in range(rows * across):
        row, column = divmod(number, across)
        pair = axes[2 * row, column], axes[2 * row + 1, column]
        if number >= len(names):
            for ax in pair:
                ax.set_axis_off()
            continue
        _panel(pair, table[table["sweep"] == names[number]], looks, top)
        if column == 0:
            pair[0].set_ylabel("spotting F1")
            pair[1].set_ylabel("false alarms\na minute")
    handles = [_handle(variant, looks[variant]) for variant in variants]
    style.legend_below(figure, [*handles, Line2D([], [], label="own level", **_OWN)], 4)
    return style.describe(figure, *_said(table, names, variants))


def _panel(pair: Sequence[Axes], of_sweep: pd.DataFrame, looks: dict[str, Any], top: float) -> None:
    upper, lower = pair
    levels = np.sort(of_sweep["level"].unique())
    for variant, lines in of_sweep.sort_values("level", kind="stable").groupby("variant", sort=False):
        colour, dash, mark = looks[variant]
        drawn = {"color": colour, "ls": dash, "marker": mark, "ms": 3.5, "lw": 1.2}
        at = np.searchsorted(levels, lines["level"])
        upper.fill_between(at, lines["low"], lines["high"], color=colour, alpha=0.13, lw=0)
        upper.plot(at, lines["f1"], **drawn)
        lower.plot(at, lines["fp_per_minute"], **drawn)
    for ax in pair:
        for at in np.searchsorted(levels, of_sweep.loc[of_sweep["own"], "level"].unique()):
            ax.axvline(at, **_OWN)
        ax.set_xlim(-0.3, len(levels) - 0.7)
    upper.set_xticks(range(len(levels)), [""] * len(levels))
    lower.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    highest = 0.1 * np.ceil(10 * min(of_sweep["high"].max(), 1))  # each sweep by its own scale
    upper.set(ylim=(0, highest), title=of_sweep["sweep"].iloc[0])
    lower.set(ylim=(0, top), xlabel=of_sweep["unit"].iloc[0])


def _handle(variant: str, look: tuple[Any, ...]) -> Line2D:
    colour, dash, mark = look
    return Line2D([], [], color=colour, ls=dash, marker=mark, ms=3.5, lw=1.2, label=title(variant))


def _said(table: pd.DataFrame, names: Sequence[str], variants: Sequence[str]) -> list[str]:
    said = ["Spotting F1 and false alarms a minute over the levels of each sweep."]
    for name in names:
        parts = []
        for variant in variants:
            lines = table[(table["sweep"] == name) & (table["variant"] == variant)].sort_values("level")
            if len(lines):
                ends = f"{lines['f1'].iloc[0]:.2f} at {lines['level'].iloc[0]:g} to"
                parts.append(
                    f"{title(variant)} {ends} {lines['f1'].iloc[-1]:.2f} at {lines['level'].iloc[-1]:g}"
                )
        said.append(f"{name}: {', '.join(parts)}.")
    return said
