"""One look for every figure: sizes, colours, marks, text alternatives and files.

Colours are a colour-blind-safe set, one for each emotion in every figure; dash patterns, hatches and short
names repeat what colour says, so that a grey print-out reads as well. Sizes are inches on paper.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from metst_lib import provenance
from metst_lib._files import atomic
from metst_lib.events import CLASSES, NEUTRAL, Event, iou

FULL = 7.0
"""Width of a full-page figure, in inches."""
HALF = 3.5
"""Width of a one-column figure, in inches."""
TEXT = 8.0
"""The smallest text in any figure, in points."""
DPI = 160
"""Pixels per inch of the PNG files."""

PALETTE = {
    "negative": "#D55E00",
    "positive": "#009E73",
    "surprise": "#0072B2",
    "others": "#7A1F5C",
    "neutral": "#6A6A6A",
}
"""The colour of each emotion."""
DASHES = {
    "negative": "-",
    "positive": (0, (5, 1.5)),
    "surprise": (0, (3, 1, 1, 1)),
    "others": (0, (1.2, 1)),
    "neutral": "-",
}
"""The dash pattern of each emotion's curve. Neutral's is solid like negative's, but thinner and grey."""
HATCHES = {"negative": "", "positive": "////", "surprise": "....", "others": "xxxx", "neutral": "----"}
"""The hatch of each emotion's bars."""
INK = "#222222"
TRUTH = "#56B4E9"
"""The shade of a true interval behind a curve."""
ARROW = {"arrowstyle": "->", "color": INK, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
"""Arrows of the schematic figures."""
KIND = {
    "micro": {"color": INK, "hatch": "", "label": "micro-expression"},
    "macro": {"color": "#BDBDBD", "hatch": "\\\\\\\\", "label": "macro-expression"},
    "blink": {"color": "#4D4D4D", "hatch": "", "label": "blink"},
}
"""Marks of the kinds of events in a lane: macro-expressions pale and hatched, blinks low and dark."""
BLINK = KIND["blink"]["color"]
BANDS = {
    "micro": {"color": TRUTH, "alpha": 0.35, "lw": 0},
    "macro": {"facecolor": "#EEEEEE", "edgecolor": "#B0B0B0", "hatch": "\\\\\\\\", "lw": 0},
}
"""Bands behind curves."""

P = ParamSpec("P")


class Drawing(Figure):
    """A Matplotlib figure that knows its text alternative, `metst_alt`, and shows itself in a notebook."""

    metst_alt: str = ""

    def draw(self, renderer: Any) -> None:
        with theme():  # ticks are made while drawing and take their size from the theme
            super().draw(renderer)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, bytes | str], dict[str, Any]]:
        # 256 colours are enough on a page and a third of the bytes: notebooks with stored outputs stay small
        with Image.open(io.BytesIO(png(self, dpi=120))) as full, io.BytesIO() as small:
            full.convert("RGB").quantize(256).save(small, format="png", optimize=True)
            data = {"image/png": small.getvalue(), "text/plain": self.metst_alt}
            return data, {"image/png": {"alt": self.metst_alt}}


@contextmanager
def theme() -> Iterator[None]:
    """The compendium's style, inside a `with` block; every figure function already draws in it."""
    style = sns.axes_style("whitegrid", {"grid.color": "#E5E5E5", "axes.edgecolor": "#555555"})
    sizes = {
        "font.size": TEXT,
        "axes.labelsize": TEXT,
        "axes.titlesize": TEXT + 1,
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "legend.fontsize": TEXT,
        "legend.title_fontsize": TEXT,
        "figure.titlesize": TEXT + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.linewidth": 0.7,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.3,
        "hatch.linewidth": 0.7,
        "patch.linewidth": 0.7,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "text.color": INK,
        "axes.labelcolor": INK,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],  # comes with Matplotlib: equal files everywhere
        "pdf.fonttype": 42,
        "savefig.dpi": DPI,
        "figure.dpi": 100,
    }
    with matplotlib.rc_context({**style, **sizes}):
        yield


def themed(function: Callable[P, Drawing]) -> Callable[P, Drawing]:
    """Run a figure function inside `theme()`, whatever the caller's settings are, and settle its layout."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        with theme():
            return _settle(function(*args, **kwargs))

    return wrapper


def canvas(width: float, height: float) -> Drawing:
    """An empty figure of that size in inches, outside pyplot's global state, laid out without overlaps."""
    figure = Drawing(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _settle(figure: Drawing) -> Drawing:
    """Lay the figure out and keep it so: each further pass would move things a little, and so the bytes."""
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    for _ in range(2):
        figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    return figure


def describe(figure: Drawing, *sentences: str) -> Drawing:
    """Give the figure its text alternative and return it."""
    figure.metst_alt = " ".join(sentence.strip() for sentence in sentences if sentence)
    return figure


def stamp(figure: Drawing, text: str) -> Drawing:
    """Write where the data come from above a figure, such as "synthetic data", and into its text alternative.

    So a figure that travels alone still says it. Returns the figure.
    """
    with theme():
        title = figure.get_suptitle()
        words = f"{title} · {text}" if title else text
        figure.suptitle(words, x=0.99, ha="right", fontsize=TEXT, fontweight="normal", color="#555555")
        _settle(figure)
    return describe(figure, figure.metst_alt, f"{text[0].upper()}{text[1:]}.")


def alt_text(source: Figure | str | Path) -> str:
    """The text alternative of a figure, or of a PNG file that `save` wrote; "" where there is none."""
    if isinstance(source, Figure):
        return getattr(source, "metst_alt", "")
    with Image.open(source) as image:
        return image.info.get("Description", "")


def save(figure: Figure, stem: str | Path, runs: Iterable[provenance.Run] | None = None) -> tuple[Path, Path]:
    """Write `stem`.png and `stem`.pdf, whole or not at all, and return both paths.

    The same figure gives the same bytes: no date goes in. The text alternative travels inside both files
    (PNG "Description", PDF "Subject"). Given the runs that the figure was drawn from (() says that it shows
    no result), `stem`.provenance.json goes beside them. ValueError where there is no text alternative.
    """
    alt = alt_text(figure)
    if not alt:
        raise ValueError(f"the figure for {stem} has no text alternative; give it one with describe()")
    stem = Path(stem)
    paths = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".pdf")
    with atomic(paths[0]) as temporary:
        temporary.write_bytes(png(figure))
    with theme(), atomic(paths[1]) as temporary:
        dateless = {"CreationDate": None, "Subject": alt}
        figure.savefig(temporary, format="pdf", metadata=dateless)
    if runs is not None:
        provenance.write(paths, alt, runs)
    return paths


def png(figure: Figure, dpi: float = DPI) -> bytes:
    """A figure as the bytes of a PNG file, with its text alternative inside."""
    with theme(), io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Description": alt_text(figure)})
        return buffer.getvalue()


# ---- pieces that several figures share ----


def seconds(event: Event, fps: float) -> tuple[float, float]:
    """Start and end of an event in seconds; the end is that of its last frame."""
    return event.onset / fps, (event.offset + 1) / fps


def shade(ax: Axes, events: Iterable[Event], fps: float) -> None:
    """Mark events behind a curve: true MEs blue, macro-expressions hatched, blinks pale with a dark foot."""
    for event in events:
        start, end = seconds(event, fps)
        if event.kind == "blink":
            ax.axvspan(start, end, color=BLINK, alpha=0.13, lw=0, zorder=0.45)
            ax.axvspan(start, end, ymax=0.1, color=BLINK, alpha=0.75, lw=0, zorder=0.46)
        else:
            ax.axvspan(start, end, zorder=0.5 if event.kind == "micro" else 0.4, **BANDS[event.kind])


def shade_handles(events: Iterable[Event]) -> list[Patch]:
    """Legend entries for the kinds that `shade` was given."""
    kinds = {event.kind for event in events}
    handles = {
        "micro": Patch(**BANDS["micro"], label="true micro-expression"),
        "macro": Patch(**BANDS["macro"], label="macro-expression"),
        "blink": Patch(color=BLINK, alpha=0.75, lw=0, label="blink"),
    }
    return [handle for kind, handle in handles.items() if kind in kinds]


def bar(ax: Axes, event: Event, row: float, fps: float, height: float = 0.7, hollow: bool = False) -> None:
    """One event as a bar: colour and hatch say the emotion or the kind, hollow that it matches nothing."""
    start, end = seconds(event, fps)
    if event.kind == "blink":
        colour, hatch, height = KIND["blink"]["color"], "", 0.55 * height
    elif event.kind == "macro":
        colour, hatch = KIND["macro"]["color"], KIND["macro"]["hatch"]
    else:
        colour, hatch = PALETTE.get(event.emotion or "", INK), HATCHES.get(event.emotion or "", "")
    ax.add_patch(
        Rectangle(
            (start, row - height / 2),
            end - start,
            height,
            facecolor="white" if hollow else colour,
            edgecolor=colour if hollow else "white",
            linewidth=1.4 if hollow else 0.5,
            hatch="" if hollow else hatch,
            zorder=3,
        )
    )


def emotion_patches(emotions: Iterable[str]) -> list[Patch]:
    """Legend entries for bars of these emotions."""
    return [
        Patch(facecolor=PALETTE[name], edgecolor="white", hatch=HATCHES[name], label=name)
        for name in emotions
    ]


def emotion_lines(ax: Axes, time: np.ndarray, probabilities: np.ndarray) -> list[Line2D]:
    """The five class probabilities over time, one colour and dash each."""
    lines = []
    for index, name in enumerate(CLASSES):
        width = 0.9 if name == NEUTRAL else 1.4
        (line,) = ax.plot(
            time, probabilities[:, index], color=PALETTE[name], ls=DASHES[name], lw=width, label=name
        )
        lines.append(line)
    unit_axis(ax)
    return lines


def unit_axis(ax: Axes, top: float = 1.0) -> None:
    """A value axis from 0 to 1 with room below zero for the feet of blinks."""
    ax.set_ylim(-0.125, max(1.03, 1.05 * top))
    ax.set_yticks([0, 0.5, 1])


def hits(predicted: Sequence[Event], truth: Sequence[Event]) -> list[bool]:
    """For each prediction, whether some true event overlaps it with IoU of at least 0.5."""
    return [any(iou(event, other) >= 0.5 for other in truth) for event in predicted]


def legend_below(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """A legend under the axes, where it can hide no data, in as many columns as fit."""
    for count in range(columns if handles else 0, 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=count, columnspacing=1.4)
        if legend.get_window_extent().width < 0.98 * figure.bbox.width or count == 1:
            return
        legend.remove()


def plural(count: int, noun: str, ending: str = "s") -> str:
    """Counts for text alternatives: "1 blink", "3 blinks"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{ending}"
