"""Fig. 3: a network drawn from its own stages, so that the figure cannot drift from the code.

`models.shapes` runs a network and lists what each stage gives; `arrange` reads the place of a stage from its
name; `architecture` draws boxes and arrows.

Glossary: frames × channels of a stage's output, for one window.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from metst_lib.figures import _style as style

#: How a stage's box says its path.
PATHS = {
    "fast": {"fc": "#D6E9F8", "ec": "#0072B2", "ls": "-", "label": "fast path, every frame"},
    "slow": {"fc": "#FBE3D1", "ec": "#D55E00", "ls": (0, (4, 1.5)), "label": "slow path, every second frame"},
    "lateral": {"fc": "#FFFFFF", "ec": "#D55E00", "ls": ":", "label": "lateral connection"},
    "shared": {"fc": "#EEEEEE", "ec": "#444444", "ls": "-", "label": "stem, branches, heads"},
}
WORDS = {
    "flow": "ROI flow",
    "stem": "stem",
    "spotting": "spotting\nbranch",
    "recognition": "recognition\nbranch",
    "to_slow": "conv,\nstride 2",
    "join": "join",
    "spot_head": "spotting\nhead",
    "emotion_head": "emotion\nhead",
}


class Stage(NamedTuple):
    """A box of Fig. 3: its dotted module name, output (frames, channels), path, place and inputs.

    adds_to: the stage whose output this one's is added to.
    """

    name: str
    shape: tuple[int, int]
    path: str
    column: float
    row: float
    inputs: Sequence[str]
    adds_to: str | None = None

    @property
    def words(self) -> str:
        """The box's text: "fast\\nblock 1" for "spotting.fast.0"."""
        *_, parent, last = ("", *self.name.split("."))
        if not last.isdigit():
            return WORDS.get(last, last)
        return f"{parent} {int(last) + 1}" if parent == "lateral" else f"{parent}\nblock {int(last) + 1}"


@style.themed
def architecture(shapes: Sequence[tuple[str, tuple[int, int]]], title: str = "") -> style.Drawing:
    """Fig. 3: a network's stages as boxes, each with the frames × channels it gives.

    shapes: `models.shapes(model, frames)`, which runs the network, so that the figure cannot drift from it.
    """
    stages = {stage.name: stage for stage in arrange(shapes)}
    rows, columns = (max(getattr(stage, axis) for stage in stages.values()) for axis in ("row", "column"))
    figure, ax = style.panels(style.FULL, 0.85 + 0.7 * (rows + 1))
    ax.axis("off")
    ax.set(xlim=(-0.5, columns + 0.5), ylim=(rows + 0.5, -0.5))
    half = min(0.4, 0.075 * (columns + 1)), 0.38  # half a box, in columns and rows
    sums = {stage.adds_to: stage for stage in stages.values() if stage.adds_to}
    for stage in stages.values():
        _stage(ax, stage, half)
        for name in stage.inputs:
            _connect(ax, stages[name], stage, half)
    for name, lateral in sums.items():
        _sum(ax, lateral, stages[name].row, half)
    for stage in stages.values():
        task, _, part = stage.name.partition(".")
        if part == "to_slow":  # a branch's name stands above its way into the slow path
            style.centred(ax, stage.column + 0.08, stage.row - 1, f"{task}\nbranch", fontweight="bold")
    ax.set_title(title)
    present = {stage.path for stage in stages.values()}
    handles = [Patch(lw=1.2, **look) for path, look in PATHS.items() if path in present]
    style.legend_below(figure, handles if len(present) > 1 else [], 4)
    steps = "; ".join(f"{stage.name} {stage.shape[0]} × {stage.shape[1]}" for stage in stages.values())
    return style.describe(figure, f"{title or 'A network'}, stage by stage, frames × channels: {steps}.")


def arrange(shapes: Sequence[tuple[str, tuple[int, int]]]) -> list[Stage]:
    """Places and connections of a network's stages, from their dotted names (`models.shapes`).

    A branch with a fast and a slow path takes three rows (fast, lateral, slow), a plain one takes one.
    ValueError where a stage's name does not say its place.
    """
    inner = [name for name, _ in shapes]
    sizes = {name: size for name, size in shapes if not any(other.startswith(f"{name}.") for other in inner)}
    tasks = [task for task in ("spotting", "recognition") if any(n.split(".")[0] == task for n in sizes)]
    height = 3 if any(f"{task}.join" in sizes for task in tasks) else 1
    chain = [name for name in sizes if name in ("flow", "stem") or name.startswith("features.")]
    if not chain:
        raise ValueError("no stage to begin with: flow, stem or features")
    middle = (height * max(len(tasks), 1) - 1) / 2
    stages = [
        Stage(name, sizes[name], "shared", column, middle, tuple(chain[max(0, column - 1) : column]))
        for column, name in enumerate(chain)
    ]
    ends = {}
    for index, task in enumerate(tasks):
        if f"{task}.join" in sizes:
            stages += _slowfast(task, sizes, chain[-1], len(chain), height * index)
        else:
            row = height * (index + 0.5) - 0.5
            stages.append(Stage(task, sizes[task], "shared", len(chain), row, chain[-1:]))
        ends[task] = stages[-1]
    heads = [name for name in ("spot_head", "emotion_head") if name in sizes]
    column = max(stage.column for stage in stages) + 1
    for index, head in enumerate(heads):
        end = ends[tasks[min(index, len(tasks) - 1)]] if tasks else stages[-1 - index]
        spread = index - (len(heads) - 1) / 2 if len(tasks) < len(heads) else 0
        stages.append(Stage(head, sizes[head], "shared", column, end.row + spread, (end.name,)))
    unplaced = set(sizes) - {stage.name for stage in stages}
    if unplaced:
        raise ValueError(f"no place in the figure for the stages {', '.join(sorted(unplaced))}")
    top = min(stage.row for stage in stages)
    return [stage._replace(row=stage.row - top, inputs=tuple(stage.inputs)) for stage in stages]


def _slowfast(
    task: str, sizes: Mapping[str, tuple[int, int]], source: str, column: int, row: int
) -> list[Stage]:
    """The stages of one SlowFast branch; the join comes last."""
    blocks = sum(name.startswith(f"{task}.fast.") for name in sizes)
    stages = [Stage(f"{task}.to_slow", sizes[f"{task}.to_slow"], "slow", column, row + 2, (source,))]
    fast, slow = source, f"{task}.to_slow"
    for block in range(blocks):
        at = column + 1 + block
        for path, line, before in (("fast", row, fast), ("slow", row + 2, slow)):
            name = f"{task}.{path}.{block}"
            stages.append(Stage(name, sizes[name], path, at, line, (before,)))
        fast, slow = f"{task}.fast.{block}", f"{task}.slow.{block}"
        if (name := f"{task}.lateral.{block}") in sizes:
            stages.append(Stage(name, sizes[name], "lateral", at + 0.5, row + 1, (fast,), adds_to=slow))
    join = f"{task}.join"
    end = column + blocks + (1.5 if name in sizes else 1)
    return [*stages, Stage(join, sizes[join], "shared", end, row + 1, (fast, slow))]


def _stage(ax: Axes, stage: Stage, half: tuple[float, float]) -> None:
    """A box with its words and shape."""
    look = {"lw": 1.2, "zorder": 3, **PATHS[stage.path]}
    corner = stage.column - half[0], stage.row - half[1]
    rounded = "round,pad=0,rounding_size=0.06"
    ax.add_patch(FancyBboxPatch(corner, 2 * half[0], 2 * half[1], boxstyle=rounded, **look))
    text = f"{stage.words}\n{stage.shape[0]} × {stage.shape[1]}"
    style.centred(ax, stage.column, stage.row, text, zorder=4)


def _connect(ax: Axes, a: Stage, b: Stage, half: tuple[float, float]) -> None:
    """An arrow from a to b along rows and columns."""
    start = (a.column + half[0], a.row)
    if b.path == "lateral":  # branches off the fast path's line
        _route(ax, [start, (b.column, a.row), (b.column, b.row - half[1])])
    elif b.name.endswith(".join"):  # enters from above and below
        side = half[1] if a.row > b.row else -half[1]
        _route(ax, [start, (b.column, a.row), (b.column, b.row + side)])
    else:
        turn = a.column + 0.5
        _route(ax, [start, (turn, a.row), (turn, b.row), (b.column - half[0], b.row)])


def _sum(ax: Axes, lateral: Stage, row: float, half: tuple[float, float]) -> None:
    """The plus sign under a lateral connection, on the slow path's line."""
    _route(ax, [(lateral.column, lateral.row + half[1]), (lateral.column, row - 0.09)])
    ax.plot(lateral.column, row, marker="o", ms=9, mfc="white", mec=style.INK, zorder=5)
    ax.plot(lateral.column, row, marker="+", ms=6, color=style.INK, mew=1.2, zorder=6)


def _route(ax: Axes, points: Sequence[tuple[float, float]]) -> None:
    """A line through the points with an arrow head at the last."""
    ax.plot(*zip(*points[:-1], strict=True), color=style.INK, lw=1.1, zorder=2, solid_capstyle="butt")
    ax.annotate("", points[-1], points[-2], arrowprops=style.ARROW, zorder=2)
