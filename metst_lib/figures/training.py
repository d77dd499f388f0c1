"""Figures of learning: the curves of a training, a state-space model at work, and five intervals by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from metst_lib.events import Event
from metst_lib.figures._style import (
    FULL,
    HALF,
    INK,
    PALETTE,
    Drawing,
    bar,
    canvas,
    describe,
    emotion_patches,
    legend_below,
    plural,
    seconds,
    themed,
)

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#7A1F5C", "#6A6A6A")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1)), (0, (3, 1, 1, 1)), "-")


@themed
def training_curves(history: Any, unit: str = "epoch") -> Drawing:
    """Loss (logarithmic) and learning rate over training.

    history: table or mapping of columns: `unit`, `lr` where known, and any number of losses; with a column
    `fold` or `subject` each fold is a thin line and their mean a thick one.
    """
    table = {str(name): np.asarray(history[name]) for name in history}
    steps = np.asarray(table.pop(unit, np.arange(1, 1 + len(next(iter(table.values()), [])))))
    folds = next((table.pop(name) for name in ("fold", "subject") if name in table), None)
    rate = next((table.pop(name) for name in ("lr", "learning_rate") if name in table), None)
    losses = {
        name: values.astype(float) for name, values in table.items() if np.issubdtype(values.dtype, np.number)
    }
    figure = canvas(FULL if rate is not None else HALF, 2.6)
    axes = figure.subplots(
        1, 2 if rate is not None else 1, squeeze=False, width_ratios=[2, 1][: 1 + (rate is not None)]
    )[0]
    groups = (
        [folds == fold for fold in dict.fromkeys(folds)] if folds is not None else [np.full(len(steps), True)]
    )
    sentences = []
    for index, (name, values) in enumerate(losses.items()):
        look = {"color": COLOURS[index % 5], "ls": LINES[index % 5]}
        for group in groups if len(groups) > 1 else []:
            axes[0].plot(steps[group], values[group], lw=0.6, alpha=0.5, **look)
        at = np.unique(steps)
        mean = np.array([np.mean(values[steps == step]) for step in at])
        axes[0].plot(at, mean, lw=1.8, label=name.replace("_", " "), **look)
        if len(mean):
            sentences.append(f"{name.replace('_', ' ')} goes from {mean[0]:.3g} to {mean[-1]:.3g}.")
    if any(len(values) and np.nanmin(values) > 0 for values in losses.values()):
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].yaxis.set_minor_formatter("")
    for ax in axes:
        ax.set_xlabel(unit)
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("loss (no unit)")
    if rate is not None:
        axes[1].plot(steps[groups[0]], np.asarray(rate)[groups[0]], color=INK)
        axes[1].set_ylabel("learning rate (no unit)")
        axes[1].ticklabel_format(axis="y", scilimits=(-2, 2))
    legend_below(figure, axes[0].get_legend_handles_labels()[0], 4)
    if not len(steps):
        for ax in axes:
            ax.axis("off")
        axes[0].text(0.5, 0.5, "not trained by epochs", transform=axes[0].transAxes, ha="center", va="center")
        return describe(figure, "No training curves: nothing here was trained by epochs.")
    extra = f" of {len(groups)} folds, thin, and their mean, thick" if len(groups) > 1 else ""
    return describe(figure, f"Training curves{extra} over {plural(len(np.unique(steps)), unit)}.", *sentences)


@themed
def discretisation(
    time: np.ndarray, exact: np.ndarray, sampled: Mapping[str, tuple[np.ndarray, np.ndarray]], unit: str = "s"
) -> Drawing:
    """A continuous state (Eq. 1) and its zero-order-hold samples (Eq. 2), for one or more step sizes.

    time, exact (n,): the continuous solution; sampled: label, such as "Δ = 0.1 s" → (times, states).
    """
    figure = canvas(HALF, 2.5)
    ax = figure.subplots()
    ax.plot(time, exact, color="#999999", lw=3, label="continuous h(t)")
    for index, (label, (at, states)) in enumerate(sampled.items()):
        colour = COLOURS[index % 5]
        look = {"marker": "osD^v"[index % 5], "ms": 4, "lw": 0.9, "ls": LINES[index % 5]}
        ax.step(at, states, where="post", color=colour, label=label, **look)
    ax.set_xlabel(f"time ({unit})")
    ax.set_ylabel("state h (no unit)")
    legend_below(figure, ax.get_legend_handles_labels()[0], 2)
    return describe(
        figure, f"A continuous state over time and its samples with {', '.join(sampled) or 'no step size'}."
    )


@themed
def scan(u: np.ndarray, states: np.ndarray, y: np.ndarray, fps: float) -> Drawing:
    """A scan frame by frame: input u (T,), states (T, N) as a map, output y (T,)."""
    figure = canvas(FULL, 3.6)
    top, middle, low = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.3, 1])
    time = np.arange(len(u)) / fps
    top.plot(time, u, color=INK)
    top.set_ylabel("input x\n(px)")
    reach = float(np.abs(states).max(initial=1e-9))
    shown = middle.imshow(
        np.asarray(states).T,
        aspect="auto",
        cmap="PuOr",
        vmin=-reach,
        vmax=reach,
        interpolation="nearest",
        extent=(-0.5 / fps, (len(u) - 0.5) / fps, states.shape[1] - 0.5, -0.5),
    )
    middle.grid(False)
    middle.set_ylabel("state\n(number)")
    middle.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    figure.colorbar(shown, ax=middle, fraction=0.03, pad=0.01, label="h (no unit)")
    low.plot(time, y, color=COLOURS[0])
    low.set_ylabel("output y\n(no unit)")
    low.set_xlabel("time (s)")
    low.set_xlim(0, time[-1] if len(time) else 1)
    figure.align_ylabels([top, middle, low])
    return describe(
        figure,
        f"A scan over {len(u)} frames: the input, {states.shape[1]} states as a map over time, the output.",
    )


@themed
def five_intervals(
    predicted: Sequence[Event], truth: Sequence[Event], matches: Sequence[tuple[int, int, float]], fps: float
) -> Drawing:
    """Predictions and truths as bars, joined where they overlap, with IoU and TP, FP or FN beside them.

    matches: (index of the prediction, index of the truth, IoU) of pairs that overlap. A pair counts from
    IoU 0.5 on and is joined by a solid line, a pair below by a dotted one.
    """
    figure = canvas(FULL, 2.3)
    ax = figure.subplots()
    taken = {"predicted": set(), "true": set()}
    for said, true, value in matches:
        good = value >= 0.5
        if good:
            taken["predicted"].add(said)
            taken["true"].add(true)
        a, b = (sum(seconds(event, fps)) / 2 for event in (truth[true], predicted[said]))
        ax.plot([a, b], [0.36, 1.64], color=INK, lw=1.4 if good else 1, ls="-" if good else ":", zorder=2)
        way = 0.35 if good else 0.65  # the labels of a true one's several pairs keep apart
        ax.text(
            a + way * (b - a),
            0.36 + way * 1.28,
            f"IoU {value:.2f}",
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none"},
            zorder=4,
        )
    for row, (lane, events, miss) in enumerate((("true", truth, "FN"), ("predicted", predicted, "FP"))):
        for index, event in enumerate(events):
            hit = index in taken[lane]
            bar(ax, event, 2 * row, fps, hollow=not hit)
            at = sum(seconds(event, fps)) / 2
            where = -0.62 if lane == "true" else 2.62
            ax.text(at, where, "TP" if hit else miss, ha="center", va="center", fontweight="bold")
    ax.set_yticks([0, 2], ["true", "predicted"])
    ax.set_ylim(3.0, -1.0)
    ends = [seconds(event, fps)[1] for event in (*predicted, *truth)]
    starts = [seconds(event, fps)[0] for event in (*predicted, *truth)]
    room = 0.04 * (max(ends, default=1) - min(starts, default=0))
    ax.set_xlim(min(starts, default=0) - room, max(ends, default=1) + room)
    ax.set_xlabel("time (s)")
    ax.grid(axis="y", visible=False)
    present = [name for name in PALETTE if any(event.emotion == name for event in (*predicted, *truth))]
    handles = [
        *emotion_patches(present),
        Line2D([], [], color=INK, lw=1.4, label="IoU ≥ 0.5: a match"),
        Line2D([], [], color=INK, lw=1, ls=":", label="IoU < 0.5: none"),
    ]
    legend_below(figure, handles, 6)
    tp = len(taken["predicted"])
    return describe(
        figure,
        f"{plural(len(predicted), 'predicted interval')} above {plural(len(truth), 'true one')}:",
        f"TP {tp}, FP {len(predicted) - tp}, FN {len(truth) - len(taken['true'])}.",
    )
