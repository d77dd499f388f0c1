"""Figures of the rehearsal: flow as it was measured beside flow made of signals."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metst_lib.figures import _style as style

KINDS = {"rest": "at rest", **{name: kind.label for name, kind in style.KINDS.items()}}
SOURCES = {"measured": {"color": style.INK, "marker": "o"}, "signals": {"color": "#0072B2", "marker": "s"}}


@style.themed
def flow_lengths(table: pd.DataFrame) -> style.Drawing:
    """Length of the flow, in px of the face crop, by region: median and 10 to 90 %, measured above signals.

    table: what `synthetic.signals.compare` gives. ValueError where it is empty.
    """
    if table.empty:
        raise ValueError("the table is empty")
    regions = list(table["region"].unique())
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    size = style.FULL, 1.2 + 0.28 * max(len(regions), 3)
    figure, axes = style.panels(*size, 1, len(kinds), squeeze=False, sharey=True)
    groups = {key: part.to_numpy() for key, part in table.groupby(["kind", "region", "source"])["length"]}
    said, rows = [], np.arange(len(regions))
    for ax, kind in zip(axes[0], kinds, strict=True):
        for at, (source, look) in zip((-0.15, 0.15), SOURCES.items(), strict=True):
            found = [groups.get((kind, region, source), np.full(1, np.nan)) for region in regions]
            low, middle, high = np.transpose([np.quantile(values, (0.1, 0.5, 0.9)) for values in found])
            ax.hlines(rows + at, low, high, color=look["color"], lw=1.4)
            ax.plot(middle, rows + at, ls="", ms=4, **look)
            said.append(f"{KINDS[kind]} {source} {np.nanmedian(middle):.2f} px")
        ax.set(title=KINDS[kind], xlabel="flow (px)")
        ax.set_xlim(left=0)
        style.lanes(ax, regions)
    handles = [Line2D([], [], ls="-", ms=4, label=source, **look) for source, look in SOURCES.items()]
    style.legend_below(figure, handles, 2)
    return style.describe(figure, f"Median length of flow over the regions: {'; '.join(said)}.")
