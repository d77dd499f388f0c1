"""Figures of chapter 9: other people's numbers with intervals and chance, alarms, errors, rules, protocols.

Who says a number is its mark in every figure (`SOURCES`); what chance alone gives is an upright grey line.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from metst_lib import spotting
from metst_lib.events import Event
from metst_lib.evidence.errors import Sort
from metst_lib.figures import _style as style
from metst_lib.metrics import Ranking

#: Who says a number → its mark.
SOURCES = {
    "reproduced from the authors' files": {"marker": "o", "color": style.INK, "mfc": style.INK},
    "reported by a third party": {"marker": "D", "color": "#0072B2", "mfc": "#0072B2"},
    "extrapolated": {"marker": "s", "color": "#D55E00", "mfc": "white"},
    "published": {"marker": "^", "color": "#7A1F5C", "mfc": "#7A1F5C"},
    "ours": {"marker": "v", "color": "#009E73", "mfc": "white"},
    "synthetic": {"marker": "v", "color": "#009E73", "mfc": "#009E73"},
}
CHANCE = {"color": "#8A8A8A", "marker": "|", "ms": 13, "mew": 2.6, "ls": ""}
#: Columns of `evidence.protocols`, as the picture calls them where their names are too short.
_CHOICES = {"width": "k_p from", "growth": "growth:", "matching": "match:"}
#: One line for each set of curves: colour, dash.
LINES = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (5, 1.5))),
    ("#009E73", (0, (3, 1, 1, 1))),
    ("#7A1F5C", (0, (1.2, 1))),
)


class Row(NamedTuple):
    """A value with its interval and what chance alone gives (NaN: not known); source: one of `SOURCES`."""

    value: float
    low: float
    high: float
    chance: float
    source: str


@style.themed
def against_chance(rows: Mapping[str, Row], title: str) -> style.Drawing:
    """One row a method: its value and 95 % interval, and the same by chance; the mark says whose number."""
    figure, ax = style.panels(style.FULL, 1.6 + 0.25 * max(len(rows), 2))
    for y, row in enumerate(rows.values()):
        look = SOURCES[row.source]
        ax.plot([row.low, row.high], [y, y], color=look["color"], lw=1.4, solid_capstyle="butt")
        ax.plot(row.value, y, ls="", ms=6, zorder=4, **look)
        ax.plot(row.chance, y, zorder=3, **CHANCE)
    style.lanes(ax, list(rows))
    ax.set(xlabel="spotting F1 (0–1)", title=title)
    ax.set_xlim(left=0)
    used = [name for name in SOURCES if name in {row.source for row in rows.values()}]
    handles = [Line2D([], [], ls="", ms=6, label=name, **SOURCES[name]) for name in used]
    if any(np.isfinite(row.chance) for row in rows.values()):
        handles.append(Line2D([], [], label="by chance", **CHANCE))
    style.legend_below(figure, handles, 4)
    told = [
        f"{name} {row.value:.3f}"
        + (f" ({row.low:.3f} to {row.high:.3f})" if np.isfinite(row.low) else "")
        + (f", by chance {row.chance:.3f}" if np.isfinite(row.chance) else "")
        for name, row in rows.items()
    ]
    return style.describe(figure, f"{title}. Spotting F1 with 95 % intervals: {'; '.join(told)}.")


@style.themed
def dumbbells(
    rows: Mapping[str, tuple[float, float, str]], ends: tuple[str, str], title: str
) -> style.Drawing:
    """Two values of the same thing joined by a line; rows: name → (first, second, source of the second)."""
    figure, ax = style.panels(style.FULL, 1.6 + 0.3 * max(len(rows), 2))
    first = {"marker": "o", "mfc": "white", "color": style.INK}
    for y, (a, b, source) in enumerate(rows.values()):
        ax.plot([a, b], [y, y], color="#999999", lw=1.4, zorder=2)
        ax.plot(a, y, ls="", ms=7, zorder=3, **first)
        ax.plot(b, y, ls="", ms=7, zorder=3, **SOURCES[source])
    style.lanes(ax, list(rows))
    ax.set(xlabel="spotting F1 (0–1)", title=title)
    ax.set_xlim(left=0)
    used = [name for name in SOURCES if name in {source for *_, source in rows.values()}]
    handles = [Line2D([], [], ls="", ms=7, label=ends[0], **first)]
    handles += [Line2D([], [], ls="", ms=7, label=f"{ends[1]}, {name}", **SOURCES[name]) for name in used]
    style.legend_below(figure, handles, 3)
    told = [f"{name} from {a:.3f} to {b:.3f} ({source})" for name, (a, b, source) in rows.items()]
    return style.describe(figure, f"{title}. F1 on {ends[0]} and {ends[1]}: {'; '.join(told)}.")


@style.themed
def hits_by_chance(draws: Mapping[str, tuple[np.ndarray, int, int]]) -> style.Drawing:
    """How many true events random truths would give as hits, beside the hits seen; a panel each.

    draws: title → (hits of each draw, hits seen, true events).
    """
    columns = min(2, len(draws))
    shape = -(-len(draws) // columns), columns
    figure, axes = style.panels(style.FULL, 0.6 + 1.5 * shape[0], *shape, squeeze=False)
    told = []
    for ax, (title, (hits, seen, n)) in zip(axes.flat, draws.items(), strict=False):
        bins = np.arange(hits.min(), hits.max() + 2) - 0.5
        ax.hist(hits, bins=bins, color="#BDBDBD")
        ax.axvline(seen, color="#D55E00", lw=2)
        ax.set(xlim=(0, n), title=title, yticks=[])
        told.append(f"{title}: {seen} of {n} seen, {hits.mean():.1f} by chance")
    for ax in axes.flat[len(draws) :]:
        ax.axis("off")
    for ax in axes[-1]:
        ax.set_xlabel("true events hit")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of draws")
    handles = [
        Line2D([], [], color="#D55E00", lw=2, label="hits seen"),
        Patch(color="#BDBDBD", label="hits where the truths are moved by a random time"),
    ]
    style.legend_below(figure, handles, 2)
    return style.describe(figure, f"Hits seen beside hits by chance. {'; '.join(told)}.")


@style.themed
def curve(
    score: np.ndarray, half_width: int, p: float, fps: float, found: Sequence[Event], truth: Sequence[Event]
) -> style.Drawing:
    """A video's curve: raw and smoothed score, threshold, and the intervals found, those that miss hollow.

    score (T,), not yet smoothed; half_width: k in frames; truth: events of both kinds.
    """
    time, smoothed = np.arange(len(score)) / fps, spotting.smooth(score, half_width)
    level, true = spotting.threshold(smoothed, p), [_plain(event) for event in truth if event.kind == "micro"]
    figure, (ax, lane) = style.panels(style.FULL, 3.3, 2, 1, sharex=True, height_ratios=[3.4, 1])
    for panel in (ax, lane):
        style.shade(panel, truth, fps)
    ax.plot(time, score, color="#999999", lw=0.6, label="score")
    ax.plot(time, smoothed, color=style.INK, lw=1.4, label=f"mean over {2 * half_width} frames")
    ax.axhline(level, **style.THRESHOLD | {"label": f"threshold, p = {p:g}"})
    ax.set_ylabel("spotting score")
    hits = style.hits(found, true)
    for row, events in enumerate((true, found)):
        for event, met in zip(events, hits if row else [True] * len(true), strict=True):
            style.bar(lane, event, row, fps, hollow=not met)
    style.lanes(lane, ["true", "found"])
    style.time_axis(lane, (0, len(score) - 1), fps)
    handles = [*ax.lines, *style.shade_handles(truth), style.hollow_handle("found, IoU below 0.5")]
    style.legend_below(figure, handles, 3)
    return style.describe(
        figure,
        f"A real spotting score over {len(score) / fps:.0f} s, raw and smoothed, with its threshold:",
        f"{style.plural(len(found), 'interval')} found, {sum(hits)} on a true micro-expression,",
        f"of which there are {len(true)}; {len(truth) - len(true)} macro-expressions beside them.",
    )


@style.themed
def alarms(
    curves: Mapping[str, tuple[Ranking, float]],
    title: str,
    points: Mapping[str, tuple[float, float, str]] | None = None,
) -> style.Drawing:
    """Recall over false positives a minute, as one height for all videos falls.

    curves: name → (ranking, minutes of video); points: name → (false positives a minute, recall, source),
    numbered in the picture.
    """
    figure, ax = style.panels(style.FULL, 4.3)
    told = []
    for (name, (ranking, minutes)), (colour, dash) in zip(curves.items(), LINES, strict=False):
        ax.plot(ranking.fp / minutes, ranking.recall, color=colour, ls=dash, label=name)
        at_1 = ranking.recall[ranking.fp <= minutes].max(initial=0)
        told.append(f"{name}: recall {at_1:.2f} at one a minute, {ranking.recall.max(initial=0):.2f} at most")
    handles, names = list(ax.lines), []
    for number, (name, (x, y, source)) in enumerate((points or {}).items(), 1):
        ax.plot(x, y, ls="", ms=6, zorder=4, **SOURCES[source])
        ax.annotate(str(number), (x, y), xytext=(5, 4 if number % 2 else -11), textcoords="offset points")
        names.append(f"{number} {name}: {x:.1f} a minute, recall {y:.2f}")
        handles.append(Line2D([], [], ls="", ms=6, label=f"{number} {name}", **SOURCES[source]))
    ax.set(
        xscale="log",
        xlabel="false positives a minute (log scale)",
        ylabel="recall (0–1)",
        ylim=(0, 1),
        title=title,
    )
    ax.set_xlim(left=0.05)
    ax.xaxis.set_major_formatter("{x:g}")
    style.legend_below(figure, handles, 3)
    return style.describe(
        figure,
        f"{title}. Recall over false positives a minute. {'; '.join(told)}.",
        f"{'; '.join(names)}." if names else "",
    )


@style.themed
def error_shares(rows: Mapping[str, Sequence[Sort]], error: str) -> style.Drawing:
    """Shares of the sorts of misses, or of false alarms, each beside its share by chance.

    rows: name → what `evidence.errors` says of it; error: "miss" or "false alarm". Sorts that occur nowhere,
    by chance neither, are left out.
    """
    chosen = {name: {s.sort: s for s in sorts if s.error == error} for name, sorts in rows.items()}
    known = dict.fromkeys(sort for sorts in chosen.values() for sort in sorts)
    sorts = [s for s in known if any(of[s].count or of[s].by_chance for of in chosen.values() if s in of)]
    figure, axes = style.panels(
        style.FULL, 1.1 + 0.3 * max(len(chosen), 2), 1, max(len(sorts), 1), sharey=True, squeeze=False
    )
    told = []
    for ax, sort in zip(axes[0], sorts, strict=False):
        for y, of in enumerate(chosen.values()):
            if found := of.get(sort):
                ax.barh(y, found.share, height=0.6, color="#56B4E9", zorder=2)
                ax.text(
                    0.98, y, f"{found.count}", ha="right", va="center", transform=ax.get_yaxis_transform()
                )
                ax.plot(found.by_chance, y, zorder=3, **(CHANCE | {"color": style.INK}))
        ax.set(xlim=(0, 1.5), title=textwrap.fill(sort, 15), xticks=[0, 0.5, 1] if len(sorts) < 5 else [0, 1])
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    style.lanes(axes[0, 0], list(chosen))
    plural = {"miss": "misses"}.get(error, f"{error}s")
    axes[0, len(sorts) // 2].set_xlabel(f"share of all {plural}; on the right their number")
    for name, of in chosen.items():
        shares = [
            f"{s.sort} {s.share:.0%} (by chance {s.by_chance:.0%})" for s in of.values() if s.sort in sorts
        ]
        told.append(f"{name}: {', '.join(shares)}")
    handles = [
        Patch(color="#56B4E9", label="share"),
        Line2D([], [], label="share by chance", **(CHANCE | {"color": style.INK})),
    ]
    style.legend_below(figure, handles, 2)
    return style.describe(figure, f"Sorts of {plural}. {'; '.join(told)}.")


@style.themed
def thresholds(
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]],
    heights: Sequence[float],
    used: float | None = None,
) -> style.Drawing:
    """F1 over the height p of the threshold, a panel a set; the first rule with its interval as a band.

    curves: set → rule → (F1, low, high) at each height; used: the height in use.
    """
    figure, axes = style.panels(style.FULL, 2.9, 1, len(curves), squeeze=False, sharey=True)
    told = []
    for ax, (name, rules) in zip(axes[0], curves.items(), strict=True):
        for number, ((rule, values), (colour, dash)) in enumerate(zip(rules.items(), LINES, strict=False)):
            f1, low, high = np.array(values).T
            ax.plot(heights, f1, color=colour, ls=dash, label=rule)
            if not number:
                ax.fill_between(heights, low, high, color=colour, alpha=0.18, lw=0)
            told.append(f"{name}, {rule}: highest {f1.max():.3f} at p = {heights[int(f1.argmax())]:g}")
        if used is not None:
            ax.axvline(used, color=style.INK, ls=":", lw=1)
        ax.set(title=name, xlabel="threshold p (0–1)", xlim=(0, 1))
    axes[0, 0].set(ylabel="spotting F1 (0–1)", ylim=(0, None))
    handles = [
        *axes[0, 0].lines[: len(next(iter(curves.values())))],
        Patch(color=LINES[0][0], alpha=0.18, label="95 % interval"),
    ]
    if used is not None:
        handles.append(Line2D([], [], color=style.INK, ls=":", lw=1, label=f"p in use, {used:g}"))
    style.legend_below(figure, handles, 4)
    return style.describe(figure, f"Spotting F1 over the threshold. {'; '.join(told)}.")


@style.themed
def protocols(
    tables: Mapping[str, tuple[Sequence[float], float, Mapping[str, Mapping[str, float]]]],
) -> style.Drawing:
    """How far a protocol moves the F1 of the same curves: every combination, and the means of each choice.

    tables: set → (F1 of every combination, the published F1, choice → value → mean F1).
    """
    figure, axes = style.panels(style.FULL, 4.1, 1, len(tables), squeeze=False, sharey=True)
    told = []
    for ax, (name, (every, published, choices)) in zip(axes[0], tables.items(), strict=True):
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(every))
        ax.plot(every, jitter, ls="", marker=".", ms=4, color="#56B4E9", alpha=0.7)
        ax.axvline(published, color="#D55E00", lw=1.5)
        row = 1
        labels = ["all combinations"]
        for choice, values in choices.items():
            for value, mean in values.items():
                ax.plot(mean, row, ls="", marker="o", ms=5, color=style.INK)
                labels.append(f"{_CHOICES.get(choice, choice)} {value}")
                row += 1
            ax.axhline(row - 0.5, color="#CCCCCC", lw=0.6)
        ax.set(title=name, xlabel="spotting F1 (0–1)")
        style.lanes(ax, labels)
        told.append(f"{name}: {min(every):.3f} to {max(every):.3f}, published {published:.3f}")
    handles = [
        Line2D([], [], ls="", marker=".", ms=7, color="#56B4E9", label="one combination"),
        Line2D([], [], ls="", marker="o", ms=5, color=style.INK, label="mean over all with this choice"),
        Line2D([], [], color="#D55E00", lw=1.5, label="published"),
    ]
    style.legend_below(figure, handles, 3)
    return style.describe(figure, f"F1 of the same curves by protocol. {'; '.join(told)}.")


@style.themed
def parts(rows: Mapping[str, Mapping[str, int]], title: str) -> style.Drawing:
    """Stacked bars of counts, each part with its number; parts keep their colour over the rows."""
    figure, ax = style.panels(style.FULL, 1.5 + 0.42 * len(rows))
    looks = {}
    for name in dict.fromkeys(part for of in rows.values() for part in of):
        looks[name] = _PARTS[len(looks) % len(_PARTS)]
    for y, of in enumerate(rows.values()):
        start = 0
        for name, count in of.items():
            colour, hatch, text = looks[name]
            ax.barh(y, count, left=start, height=0.62, color=colour, hatch=hatch, edgecolor="white", lw=0.6)
            _number(ax, start, count, y, text)
            start += count
    style.lanes(ax, list(rows))
    ax.set(xlabel="events", title=title)
    handles = [
        Patch(facecolor=c, hatch=h, edgecolor="white", label=name) for name, (c, h, _) in looks.items()
    ]
    style.legend_below(figure, handles, 3)
    told = [
        f"{row}: {', '.join(f'{count} {name}' for name, count in of.items())}" for row, of in rows.items()
    ]
    return style.describe(figure, f"{title}. {'; '.join(told)}.")


_PARTS = (
    ("#0072B2", "", "white"),
    ("#BFD9EA", "////", style.INK),
    ("#D55E00", "", "white"),
    ("#F3CDB3", "////", style.INK),
    ("#BDBDBD", "", style.INK),
    ("#4D4D4D", "", "white"),
)


def _plain(event: Event) -> Event:
    """Without its emotion, which nothing here tells."""
    return replace(event, emotion=None)


def _number(ax: Axes, start: float, count: int, y: float, colour: str) -> None:
    """The number of a part, in it where it fits, else above it."""
    wide = count > 0.03 * max(ax.get_xlim()[1], start + count)
    style.centred(
        ax, start + count / 2, y if wide else y - 0.42, str(count), color=colour if wide else style.INK
    )
