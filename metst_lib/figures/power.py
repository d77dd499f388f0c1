"""The figure to plan a study with: how often a difference is seen, by the number of subjects and seeds."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter, ScalarFormatter

from metst_lib.figures import _style as style

#: Looks of the lines, from the fewest seeds.
_LINES = (("#0072B2", "-", "o"), ("#D55E00", (0, (5, 1.5)), "s"), ("#009E73", (0, (3, 1, 1, 1)), "^"))
_TICKS = (10, 50, 200, 800)


@style.themed
def power(found: pd.DataFrame, wanted: float = 0.8) -> style.Drawing:
    """Small multiples: a row a design, a column a true difference, a line a number of seeds.

    found: columns design, difference, seeds, subjects, seen, alike (`study.power.power`); where the
    difference is 0 `alike` is drawn, else `seen`. wanted: the share to read against.
    """
    designs = found["design"].unique()
    differences = sorted(found["difference"].unique(), key=lambda difference: (difference == 0, difference))
    many, size = (len(designs), len(differences)), (style.FULL, 0.9 + 1.75 * len(designs))
    figure, axes = style.panels(*size, *many, sharey=True, sharex="row", squeeze=False)
    looks, told = dict(zip(sorted(found["seeds"].unique()), _LINES, strict=False)), []
    for i, design in enumerate(designs):
        for j, difference in enumerate(differences):
            ax, of = axes[i, j], found[(found["design"] == design) & (found["difference"] == difference)]
            for seeds, line in of.groupby("seeds"):
                colour, dash, mark = looks[seeds]
                share = line["seen" if difference else "alike"]
                ax.plot(line["subjects"], share, color=colour, ls=dash, marker=mark, ms=3.5, lw=1.3)
                of_seeds = f"{design}, {difference:g}, {style.plural(seeds, 'seed')}"
                told.append(f"{of_seeds}: {_said(line['subjects'], share)}")
            ax.axhline(wanted, color=style.INK, ls="--", lw=0.8)
            ax.set(xscale="log", ylim=(-0.03, 1.03))
            ax.set_xticks([n for n in _TICKS if of["subjects"].min() <= n <= of["subjects"].max()])
            ax.xaxis.set_major_formatter(ScalarFormatter())
            ax.xaxis.set_minor_locator(NullLocator())
            if i == 0:
                ax.set_title(f"{difference:.2f} is seen" if difference else "alike is shown")
            if i == len(designs) - 1:
                ax.set_xlabel("subjects")
        axes[i, 0].set_ylabel(design.replace(", ", ",\n"))
        axes[i, 0].yaxis.set_major_formatter(PercentFormatter(1))
    handles = [
        Line2D([], [], color=c, ls=d, marker=m, ms=4, label=style.plural(seeds, "seed"))
        for seeds, (c, d, m) in looks.items()
    ]
    handles.append(Line2D([], [], color=style.INK, ls="--", lw=0.8, label=f"{wanted:.0%} of studies"))
    style.legend_below(figure, handles, 4)
    what = "Share of drawn studies that see a difference in spotting F1"
    return style.describe(figure, f"{what}. {'; '.join(told)}.")


def _said(subjects: pd.Series, share: pd.Series) -> str:
    return ", ".join(f"{n} subjects {s:.0%}" for n, s in zip(subjects, share, strict=True))
