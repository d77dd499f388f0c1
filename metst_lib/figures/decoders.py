"""Decoders held against the paper's rule: the study and real curves side by side."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from metst_lib.figures import _style as style

_PANELS = {"study": "synthetic study", "real": "real curves"}
_DECIDES = {"color": style.INK, "marker": "o", "ms": 6}
#: Lines beside the one that decides; where there are more, each is a tick without its interval.
_FEW = (
    {"color": "#0072B2", "marker": "s", "ms": 4},
    {"color": "#D55E00", "marker": "^", "ms": 4},
    {"color": "#009E73", "marker": "D", "ms": 4},
)
_TICK = {"color": "#0072B2", "marker": "|", "ms": 6}


@style.themed
def decoder_differences(table: pd.DataFrame) -> style.Drawing:
    """Spotting F1 of each decoder less that of the paper's rule, with 95 % intervals; a panel each source.

    table: as `study.decoders.read` gives it; the paper's own lines have no difference and are left out. The
    line that decides is black, hollow where its interval holds 0, as the others' are.
    """
    table = table.dropna(subset=["difference"])
    lanes, said, seen = list(dict.fromkeys(table["decoder"])), [], {}
    figure, axes = style.panels(style.FULL, 1.8 + 0.31 * max(len(lanes), 2), 1, 2, sharex=True, sharey=True)
    for ax, (source, title) in zip(axes, _PANELS.items(), strict=True):
        part = table[table["source"] == source]
        ax.axvline(0, color=style.INK, ls="--", lw=0.9, zorder=2)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set(title=title, xlabel="difference of spotting F1 (−1 to 1)")
        looks = _looks(part)
        for row in part.itertuples():
            look, offset = looks[row.curves]
            _mark(ax, row, lanes.index(row.decoder) + offset, look)
            ends = f"({row.difference_low:+.3f} to {row.difference_high:+.3f})"
            said.append(f"{title}, {row.curves}, {row.decoder} {row.difference:+.3f} {ends}")
        seen |= {_label(name, look): look for name, (look, _) in looks.items()}
        if not len(part):
            style.note(ax, "no numbers yet")
        style.lanes(ax, lanes)
    handles = [Line2D([], [], ls="", label=name, **look) for name, look in seen.items()]
    style.legend_below(figure, handles, 3)
    told = "; ".join(said) or "nothing yet"
    return style.describe(figure, f"Spotting F1 less that of the paper's rule, with 95 % intervals: {told}.")


def _looks(part: pd.DataFrame) -> dict[str, tuple[Mapping[str, Any], float]]:
    """How each curve's lines are drawn, and how far below its lane's middle, in lanes; what decides last."""
    decides = part.groupby("curves", sort=False)["decides"].first()
    others, few = list(decides.index[~decides]), (~decides).sum() <= len(_FEW)
    looks = {name: (_FEW[i], 0.08 + 0.14 * i) if few else (_TICK, 0.2) for i, name in enumerate(others)}
    return looks | {name: (_DECIDES, -0.16) for name in decides.index[decides]}


def _label(name: str, look: Mapping[str, Any]) -> str:
    if look is _DECIDES:
        return "decides: all rows, both ME sets"
    return "one row of the study" if look is _TICK else name


def _mark(ax: Axes, row: Any, y: float, look: Mapping[str, Any]) -> None:
    low, high = row.difference_low, row.difference_high
    if look is not _TICK:
        width = 1.4 if look is _DECIDES else 0.8
        ax.plot([low, high], [y, y], color=look["color"], lw=width, solid_capstyle="butt", zorder=3)
    hollow = {"mfc": "white"} if low <= 0 <= high else {}
    ax.plot(row.difference, y, ls="", zorder=4, **look | hollow)
