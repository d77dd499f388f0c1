"""One look for every figure: sizes, colours, marks, text alternatives and files.

Colours are a colour-blind-safe set, one for each emotion in every figure; dash patterns, hatches and short
names repeat what colour says, so that a grey print-out reads as well. Sizes are inches on paper; the rest of
the look stands in look.mplstyle.
"""

import functools
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

from metst_lib._files import atomic
from metst_lib.events import CLASSES, NEUTRAL, Event, Video, iou

#: Width of a full-page figure, in inches.
FULL = 7.0
#: Width of a one-column figure, in inches.
HALF = 3.5
LOOK = matplotlib.rc_params_from_file(Path(__file__).with_name("look.mplstyle"), use_default_template=False)
#: The smallest text in any figure, in points.
TEXT = LOOK["font.size"]
#: Pixels per inch of the PNG files.
DPI = LOOK["savefig.dpi"]

_LOOKS = {
    "negative": ("#D55E00", "-", ""),
    "positive": ("#009E73", (0, (5, 1.5)), "////"),
    "surprise": ("#0072B2", (0, (3, 1, 1, 1)), "...."),
    "others": ("#7A1F5C", (0, (1.2, 1)), "xxxx"),
    "neutral": ("#6A6A6A", "-", "----"),
}
#: Of each emotion: its colour, the dash pattern of its curve, the hatch of its bars. Neutral's curve is solid
#: like negative's, but thinner and grey.
PALETTE, DASHES, HATCHES = ({name: look[i] for name, look in _LOOKS.items()} for i in range(3))
INK = "#222222"
#: Arrows of the schematic figures.
ARROW = {"arrowstyle": "->", "color": INK, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
#: The line that a peak of the score must reach.
THRESHOLD = {"color": INK, "ls": "--", "lw": 0.9, "label": "threshold"}
PEAK = {"ls": "", "marker": "v", "ms": 6, "mfc": "w", "mec": INK, "label": "peak"}


@dataclass(frozen=True)
class Kind:
    """How a kind of event is drawn: a band behind curves, with a stronger foot where it has one, and a bar.

    color and hatch of a bar, where the kind decides and not the emotion; height of a bar as a share of the
    others'; truth: what a band's legend calls it, where not by `label`.
    """

    label: str
    band: Mapping[str, Any]
    foot: Mapping[str, Any] | None = None
    color: str | None = None
    hatch: str = ""
    height: float = 1.0
    truth: str = ""


#: Marks of the kinds of events: macro-expressions pale and hatched, blinks low and dark.
KINDS = {
    "micro": Kind(
        "micro-expression",
        band={"color": "#56B4E9", "alpha": 0.35, "lw": 0, "zorder": 0.5},
        truth="true micro-expression",
    ),
    "macro": Kind(
        "macro-expression",
        band={"fc": "#EEEEEE", "ec": "#B0B0B0", "hatch": "\\\\\\\\", "lw": 0, "zorder": 0.4},
        color="#BDBDBD",
        hatch="\\\\\\\\",
    ),
    "blink": Kind(
        "blink",
        band={"color": "#4D4D4D", "alpha": 0.13, "lw": 0, "zorder": 0.45},
        foot={"color": "#4D4D4D", "alpha": 0.75, "lw": 0, "zorder": 0.46},
        color="#4D4D4D",
        height=0.55,
    ),
}

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
    with matplotlib.rc_context({**sns.axes_style("whitegrid"), **LOOK}):
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


def panels(width: float, height: float, rows: int = 1, columns: int = 1, **how: Any) -> tuple[Drawing, Any]:
    """A `canvas` and its axes, as `Figure.subplots` gives them."""
    figure = canvas(width, height)
    return figure, figure.subplots(rows, columns, **how)


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


def save(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write `stem`.png and `stem`.pdf, whole or not at all, and return both paths.

    The same figure gives the same bytes: no date goes in. The text alternative travels inside both files
    (PNG "Description", PDF "Subject"). ValueError where there is no text alternative.
    """
    alt = alt_text(figure)
    if not alt:
        raise ValueError(f"the figure for {stem} has no text alternative; give it one with describe()")
    stem = Path(stem)
    paths = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".pdf")
    with atomic(paths[0]) as temporary:
        temporary.write_bytes(png(figure))
    with theme(), atomic(paths[1]) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None, "Subject": alt})
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
        kind = KINDS[event.kind]
        ax.axvspan(*seconds(event, fps), **kind.band)
        if kind.foot:
            ax.axvspan(*seconds(event, fps), ymax=0.1, **kind.foot)


def shade_handles(events: Iterable[Event]) -> list[Patch]:
    """Legend entries for the kinds that `shade` was given."""
    present = {event.kind for event in events}
    shown = [kind for name, kind in KINDS.items() if name in present]
    return [Patch(**(kind.foot or kind.band), label=kind.truth or kind.label) for kind in shown]


def bar(ax: Axes, event: Event, row: float, fps: float, hollow: bool = False) -> None:
    """One event as a bar: colour and hatch say the emotion or the kind, hollow that it matches nothing."""
    kind, (start, end) = KINDS[event.kind], seconds(event, fps)
    colour, hatch = kind.color, kind.hatch
    if colour is None:
        colour, hatch = PALETTE.get(event.emotion or "", INK), HATCHES.get(event.emotion or "", "")
    height = 0.7 * kind.height
    look = {"fc": "white", "ec": colour, "lw": 1.4} if hollow else {"fc": colour, "ec": "white", "lw": 0.5}
    box = Rectangle((start, row - height / 2), end - start, height, zorder=3, **look)
    box.set_hatch("" if hollow else hatch)
    ax.add_patch(box)


def bar_handles(emotions: Collection[str | None], events: Iterable[Event] = ()) -> list[Patch]:
    """Legend entries for bars of these emotions, and of those kinds among `events` that have a colour."""
    looks = [(PALETTE[name], HATCHES[name], name) for name in PALETTE if name in emotions]
    present = {event.kind for event in events}
    looks += [(k.color, k.hatch, k.label) for name, k in KINDS.items() if k.color and name in present]
    return [Patch(facecolor=fc, edgecolor="white", hatch=hatch, label=label) for fc, hatch, label in looks]


def hollow_handle(label: str) -> Patch:
    """The legend entry for hollow bars."""
    return Patch(facecolor="white", edgecolor=INK, lw=1.4, label=label)


def class_panel(ax: Axes, video: Video, probabilities: np.ndarray) -> list[Line2D]:
    """The five class probabilities (T, 5) of a whole video, with its events behind them."""
    lines = emotion_lines(ax, np.arange(video.n_frames) / video.fps, probabilities)
    shade(ax, video.events, video.fps)
    ax.set_ylabel("class probability\n(0–1)")
    return lines


def emotion_lines(ax: Axes, time: np.ndarray, probabilities: np.ndarray) -> list[Line2D]:
    """The five class probabilities over time, one colour and dash each."""
    lines = []
    for name, values in zip(CLASSES, np.transpose(probabilities), strict=True):
        width = 0.9 if name == NEUTRAL else 1.4
        lines += ax.plot(time, values, color=PALETTE[name], ls=DASHES[name], lw=width, label=name)
    unit_axis(ax)
    return lines


def unit_axis(ax: Axes, top: float = 1.0) -> None:
    """A value axis from 0 to 1 with room below zero for the feet of blinks."""
    ax.set_ylim(-0.125, max(1.03, 1.05 * top))
    ax.set_yticks([0, 0.5, 1])


def time_axis(ax: Axes, frames: tuple[int, int], fps: float) -> None:
    """The time in the video, from the first to the last of these frames."""
    ax.set(xlim=(frames[0] / fps, (frames[1] + 1) / fps), xlabel="time in the video (s)")


def lanes(ax: Axes, names: Sequence[str], room: float = 0.1) -> None:
    """A row for each name, the first on top; room above and below in rows; no lines across."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(max(len(names), 1) - 0.5 + room, -0.5 - room)
    ax.grid(axis="y", visible=False)


def centred(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Text with its middle at x, y."""
    ax.text(x, y, text, ha="center", va="center", **look)


def note(ax: Axes, text: str) -> None:
    """Words in the middle of axes that have nothing to show."""
    centred(ax, 0.5, 0.5, text, transform=ax.transAxes)


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
