"""Figures of learning: the curves of a training, a state-space model at work, and five intervals by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from metst_lib.events import Event
from metst_lib.figures import _style as style

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#7A1F5C", "#6A6A6A")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1)), (0, (3, 1, 1, 1)), "-")


@style.themed
def training_curves(history: pd.DataFrame) -> style.Drawing:
    """Loss (logarithmic) and learning rate over a training.

    history: columns epoch, lr where known, and any number of losses.
    """
    with_rate = "lr" in history
    shape = (style.FULL, 2.6, 1, 2) if with_rate else (style.HALF, 2.6, 1, 1)
    figure, axes = style.panels(*shape, squeeze=False, width_ratios=[2, 1][: shape[-1]])
    loss, sentences = axes[0, 0], []
    if history.empty:
        for ax in axes.flat:
            ax.axis("off")
        style.note(loss, "not trained by epochs")
        return style.describe(figure, "No training curves: nothing here was trained by epochs.")
    losses = history.drop(columns=["epoch", "lr"], errors="ignore")
    for (name, values), colour, dashes in zip(losses.items(), COLOURS, LINES, strict=False):
        words = name.replace("_", " ")
        loss.plot(history["epoch"], values, lw=1.8, label=words, color=colour, ls=dashes)
        sentences.append(f"{words} goes from {values.iloc[0]:.3g} to {values.iloc[-1]:.3g}.")
    if (losses.min() > 0).any():
        loss.set_yscale("log")
        loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        loss.yaxis.set_major_formatter("{x:g}")
        loss.yaxis.set_minor_formatter("")
    for ax in axes.flat:
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    loss.set_ylabel("loss (no unit)")
    if with_rate:
        axes[0, 1].plot(history["epoch"], history["lr"], color=style.INK)
        axes[0, 1].set_ylabel("learning rate (no unit)")
        axes[0, 1].ticklabel_format(axis="y", scilimits=(-2, 2))
    style.legend_below(figure, loss.get_legend_handles_labels()[0], 4)
    return style.describe(figure, f"Training curves over {style.plural(len(history), 'epoch')}.", *sentences)


@style.themed
def discretisation(
    time: np.ndarray, exact: np.ndarray, sampled: Mapping[str, tuple[np.ndarray, np.ndarray]], unit: str = "s"
) -> style.Drawing:
    """A continuous state (Eq. 1) and its zero-order-hold samples (Eq. 2), for one or more step sizes.

    time, exact (n,): the continuous solution; sampled: label, such as "Δ = 0.1 s" → (times, states).
    """
    figure, ax = style.panels(style.HALF, 2.5)
    ax.plot(time, exact, color="#999999", lw=3, label="continuous h(t)")
    for index, (label, (at, states)) in enumerate(sampled.items()):
        look = {"marker": "osD^v"[index % 5], "color": COLOURS[index % 5], "ls": LINES[index % 5]}
        ax.step(at, states, where="post", ms=4, lw=0.9, label=label, **look)
    ax.set(xlabel=f"time ({unit})", ylabel="state h (no unit)")
    style.legend_below(figure, ax.get_legend_handles_labels()[0], 2)
    return style.describe(
        figure, f"A continuous state over time and its samples with {', '.join(sampled) or 'no step size'}."
    )


@style.themed
def scan(u: np.ndarray, states: np.ndarray, y: np.ndarray, fps: float) -> style.Drawing:
    """A scan frame by frame: input u (T,), states (T, N) as a map, output y (T,)."""
    figure, axes = style.panels(style.FULL, 3.6, 3, 1, sharex=True, height_ratios=[1, 1.3, 1])
    top, middle, low = axes
    time = np.arange(len(u)) / fps
    top.plot(time, u, color=style.INK)
    top.set_ylabel("input x\n(px)")
    reach = float(np.abs(states).max(initial=1e-9))
    extent = (-0.5 / fps, (len(u) - 0.5) / fps, states.shape[1] - 0.5, -0.5)
    look = {"cmap": "PuOr", "vmin": -reach, "vmax": reach, "interpolation": "nearest"}
    shown = middle.imshow(np.asarray(states).T, aspect="auto", extent=extent, **look)
    middle.grid(False)
    middle.set_ylabel("state\n(number)")
    middle.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    figure.colorbar(shown, ax=middle, fraction=0.03, pad=0.01, label="h (no unit)")
    low.plot(time, y, color=COLOURS[0])
    low.set(xlim=(0, time[-1] if len(time) else 1), xlabel="time (s)", ylabel="output y\n(no unit)")
    figure.align_ylabels(axes)
    return style.describe(
        figure,
        f"A scan over {len(u)} frames: the input, {states.shape[1]} states as a map over time, the output.",
    )


@style.themed
def five_intervals(
    predicted: Sequence[Event], truth: Sequence[Event], matches: Sequence[tuple[int, int, float]], fps: float
) -> style.Drawing:
    """Predictions and truths as bars, joined where they overlap, with IoU and TP, FP or FN beside them.

    matches: (index of the prediction, index of the truth, IoU) of pairs that overlap. A pair counts from
    IoU 0.5 on and is joined by a solid line, a pair below by a dotted one.
    """
    figure, ax = style.panels(style.FULL, 2.3)
    joined = Line2D([], [], color=style.INK, lw=1.4, label="IoU ≥ 0.5: a match")
    apart = Line2D([], [], color=style.INK, lw=1, ls=":", label="IoU < 0.5: none")
    white = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none"}
    for said, true, value in matches:
        line, way = (joined, 0.35) if value >= 0.5 else (apart, 0.65)  # one truth's labels keep apart
        a, b = (sum(style.seconds(event, fps)) / 2 for event in (truth[true], predicted[said]))
        ax.plot([a, b], [0.36, 1.64], color=style.INK, lw=line.get_lw(), ls=line.get_ls(), zorder=2)
        style.centred(ax, a + way * (b - a), 0.36 + way * 1.28, f"IoU {value:.2f}", bbox=white, zorder=4)
    good = [(said, true) for said, true, value in matches if value >= 0.5]
    found, met = {said for said, _ in good}, {true for _, true in good}
    for row, where, events, hit, miss in ((0, -0.62, truth, met, "FN"), (2, 2.62, predicted, found, "FP")):
        for index, event in enumerate(events):
            style.bar(ax, event, row, fps, hollow=index not in hit)
            at = sum(style.seconds(event, fps)) / 2
            style.centred(ax, at, where, "TP" if index in hit else miss, fontweight="bold")
    ax.set_yticks([0, 2], ["true", "predicted"])
    spans = np.array([style.seconds(event, fps) for event in (*predicted, *truth)] or [(0, 1)])
    room = 0.04 * (spans.max() - spans.min())
    ax.set(xlim=(spans.min() - room, spans.max() + room), ylim=(3.0, -1.0), xlabel="time (s)")
    ax.grid(axis="y", visible=False)
    bars = style.bar_handles({event.emotion for event in (*predicted, *truth)})
    style.legend_below(figure, [*bars, joined, apart], 6)
    return style.describe(
        figure,
        f"{style.plural(len(predicted), 'predicted interval')} above {style.plural(len(truth), 'true one')}:",
        f"TP {len(found)}, FP {len(predicted) - len(found)}, FN {len(truth) - len(met)}.",
    )
