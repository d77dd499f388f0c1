"""Figures of the rehearsal: flow as it was measured beside flow made of signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metst_lib.figures._style import FULL, INK, Drawing, canvas, describe, legend_below, themed

KINDS = {
    "rest": "at rest",
    "micro": "micro-expression",
    "macro": "macro-expression",
    "blink": "blink",
}
SOURCES = {"measured": {"color": INK, "marker": "o"}, "signals": {"color": "#0072B2", "marker": "s"}}


@themed
def flow_lengths(table: pd.DataFrame, regions: Sequence[str] = ()) -> Drawing:
    """Length of the flow, in px of the face crop, by region: median and 10 to 90 %, measured above signals.

    table: what `synthetic.signals.compare` gives; regions: those to show, by default all. ValueError where
    the table is empty or has no such region.
    """
    regions = list(regions) or list(dict.fromkeys(table["region"]))
    unknown = [name for name in regions if name not in set(table["region"])]
    if unknown or not regions:
        raise ValueError(
            f"no flow of region {unknown[0]!r} in the table" if unknown else "the table is empty"
        )
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    figure = canvas(FULL, 1.2 + 0.28 * max(len(regions), 3))
    panels = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    groups = {key: part.to_numpy() for key, part in table.groupby(["kind", "region", "source"])["length"]}
    said, rows = [], np.arange(len(regions))
    for ax, kind in zip(panels, kinds, strict=True):
        for at, (source, look) in zip((-0.15, 0.15), SOURCES.items(), strict=True):
            found = [groups.get((kind, region, source), np.full(1, np.nan)) for region in regions]
            low, middle, high = np.transpose([np.quantile(values, (0.1, 0.5, 0.9)) for values in found])
            ax.hlines(rows + at, low, high, color=look["color"], lw=1.4)
            ax.plot(middle, rows + at, ls="", ms=4, **look)
            said.append(f"{KINDS[kind]} {source} {np.nanmedian(middle):.2f} px")
        ax.set_title(KINDS[kind])
        ax.set_xlim(left=0)
        ax.set_ylim(len(regions) - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(regions)), regions)
    for ax in panels:
        ax.set_xlabel("flow (px)")
    handles = [Line2D([], [], ls="-", ms=4, label=source, **look) for source, look in SOURCES.items()]
    legend_below(figure, handles, 2)
    return describe(figure, f"Median length of flow over the regions: {'; '.join(said)}.")
