"""What the study compares: its rows, which of them share a training, and the pairs that answer a claim.

Every row is trained on the same windows in as many steps, with the learning rate that `rates` chose for it
on a replicate that is not counted. What differs between rows, `differences_table` reads off their recipes.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from metst_lib import baseline, models
from metst_lib.experiment.variants import PRESETS, TABLED, VARIANTS, Variant
from metst_lib.fold import Recipe
from metst_lib.spotting import Rule

#: The learning rates of the grid and what each gave, by row: columns row, rate, f1, chosen, difficulty.
RATES = Path(__file__).with_name("rates.csv")


@dataclass(frozen=True)
class Row:
    """What is fitted and read, and how: `what.trained_as` names the row whose predictions this one reads by
    another rule. control: a name in `controls.CONTROLS`, "" for an ordinary fold. lr: its learning rate from
    the grid, None where nothing is trained or the preset's holds."""

    what: Variant
    control: str = ""
    lr: float | None = None


@dataclass(frozen=True)
class Pair:
    """A claim and the two rows whose difference a − b answers it, alike in all but what `differs` names:
    columns of `differences_table`. paper: the claim is the paper's; its rows are run with a second seed."""

    claim: str
    a: str
    b: str
    differs: tuple[str, ...]
    paper: bool = False


def _plus(title: str, roi_set: str = "18", **own: Any) -> Variant:
    return Variant(title, "METSTPlus", roi_set, **own)


# Widths inside are such that parameters are those of Mamba, within 1 % at one path and 3 % at two.
_CONVOLUTION = {"mixer": "convolution", "expand": 2.85}
_PLUS_CONVOLUTION = {"mixer": "convolution", "expand": 2.5}
_NEW = {
    # what mixes the frames
    "attention": Variant("attention", "METST", size={"mixer": "attention", "expand": 2.65}),
    "convolution": Variant("gated convolution", "METST", size=_CONVOLUTION),
    "past-convolution": Variant(
        "gated convolution of the past", "METST", size=_CONVOLUTION | {"mixer": "past convolution"}
    ),
    "me-tst-alternating": Variant("ME-TST, alternating", "METST", size={"mixer": "alternating"}),
    "me-tst-plus-alternating": _plus("ME-TST+, alternating", size={"mixer": "alternating"}),
    # regions, speeds and readings
    "me-tst-18roi": Variant("ME-TST, 18 regions", "METST", "18", trained_as="single-path-18roi"),
    "me-tst-plus-one-speed": _plus("ME-TST+, one speed", size={"slow_stride": 1}),
    "me-tst-plus-released-init": _plus("ME-TST+, released initial values", size={"init": "released"}),
    # two frames' width less, since its wider kernels would make it an eighth larger
    "me-tst-plus-first-reading": _plus("ME-TST+, our first reading", size={"reading": "paper", "dim": 30}),
    # parts of a better one, none larger than ME-TST+
    "convolution-18roi": Variant("gated convolution, 18 regions", "METST", "18", size=_CONVOLUTION),
    "me-tst-plus-macros": _plus("ME-TST+, macros among the negatives", training={"negatives": "macro"}),
    "me-tst-plus-convolution": _plus("gated convolution, two speeds", size=_PLUS_CONVOLUTION),
    "me-tst-plus-convolution-macros": _plus(
        "gated convolution, two speeds, macros among the negatives",
        size=_PLUS_CONVOLUTION,
        training={"negatives": "macro"},
    ),
}
# The same trainings, read with a prominence of half of max − mean too: second peaks on one hump are dropped.
_NEW |= {
    f"{name}-prominence": replace(
        what, title=f"{what.title}, prominence", rule={"prominence": 0.5}, trained_as=name
    )
    for name, what in [("me-tst-plus", VARIANTS["me-tst-plus"]), *_NEW.items()]
    if ("convolution" in name and what.roi_set == "18") or name == "me-tst-plus"
}
_PLAIN = {name: VARIANTS[name] for name in TABLED if name != "transformer"}
_CONTROLS = {
    "shuffled-labels": Row(_plus("shuffled labels"), "shuffled"),
    "erased-mes": Row(_plus("MEs erased"), "erased"),
    "leaked-subject": Row(_plus("leaked subject"), "leaked"),
    "perfect-scores": Row(Variant("perfect scores", baseline.NAME, feature_synergy=False), "perfect"),
    "blind-tiling": Row(Variant("blind tiling", baseline.NAME, feature_synergy=False), "tiling"),
    "chance": Row(Variant("chance", baseline.NAME, feature_synergy=False), "chance"),
}
_ALL = {name: Row(what) for name, what in (_PLAIN | _NEW).items()} | _CONTROLS


def fits_like(row: str) -> str:
    """The row that stands for all with this one's network, regions and training, and gives their learning
    rate; "" where nothing is trained."""
    wanted = _fitting(row)
    alike = (name for name, row in _ALL.items() if not row.what.trained_as and _fitting(name) == wanted)
    return next(alike) if wanted.training else ""


def _fitting(row: str) -> Recipe:
    return replace(_recipe(_ALL[row].what), rule=Rule(), stitch="mean")


def _recipe(what: Variant, **changes: Any) -> Recipe:
    return PRESETS["synthetic", "demo"].recipe(what, **changes)


def _chosen() -> dict[str, float]:
    """The learning rates of `RATES`; none where there is no such file yet."""
    if not RATES.exists():
        return {}
    grid = pd.read_csv(RATES)
    return grid[grid["chosen"]].set_index("row")["rate"].to_dict()


_LR = _chosen()
#: Rows by name.
ROWS: dict[str, Row] = {name: replace(row, lr=_LR.get(fits_like(name))) for name, row in _ALL.items()}

_NO_VETO, _CONVOLVED = "me-tst-plus-no-result-synergy", "me-tst-plus-convolution"
#: Best of all rows on replicate 0, which is not counted (`rates.csv`); every part of it has its pair below.
BEST = "me-tst-plus-convolution-macros"
_FIRST, _RELEASED = "me-tst-plus-first-reading", "me-tst-plus-released-init"
_MIXER = ("Mixer", "Inner width")
#: Pairs that answer a claim, the paper's claims first. (claim, a, b, differs, paper)
PAIRS: tuple[Pair, ...] = tuple(
    Pair(*pair)
    for pair in (
        ("18 regions in place of 5, in ME-TST+", _NO_VETO, "slowfast-5roi", ("Regions",), True),
        ("two speeds in place of one", "me-tst-plus", "me-tst-plus-one-speed", ("Speeds",), True),
        ("feature-level synergy", _NO_VETO, "me-tst-plus-no-feature-synergy", ("Feature synergy",), True),
        ("result-level synergy", "me-tst-plus", _NO_VETO, ("Result synergy",), True),
        ("Mamba in place of attention", "me-tst", "attention", _MIXER, True),
        ("Mamba in place of gated convolution", "me-tst", "convolution", _MIXER, True),
        ("Mamba in place of gated convolution of the past", "me-tst", "past-convolution", _MIXER),
        ("Mamba in place of gated convolution, 18 regions", "me-tst-18roi", "convolution-18roi", _MIXER),
        ("18 regions in place of 5, in ME-TST", "me-tst-18roi", "me-tst", ("Regions",)),
        ("sight of the future, in gated convolution", "convolution", "past-convolution", ("Mixer",)),
        ("alternating directions, in ME-TST", "me-tst-alternating", "me-tst", ("Mixer",)),
        ("alternating directions, in ME-TST+", "me-tst-plus-alternating", "me-tst-plus", ("Mixer",)),
        ("the released reading in place of our first", "me-tst-plus", _FIRST, ("Reading", "Width")),
        ("released initial values in place of Mamba's", _RELEASED, "me-tst-plus", ("Initial values",)),
        (
            "the released reading and initial values in place of our first",
            *(_RELEASED, _FIRST, ("Reading", "Width", "Initial values")),
        ),
        ("gated convolution in place of Mamba, in ME-TST+", _CONVOLVED, "me-tst-plus", _MIXER),
        ("prominence, in ME-TST+", "me-tst-plus-prominence", "me-tst-plus", ("Rule",)),
        ("prominence, with gated convolution", f"{_CONVOLVED}-prominence", _CONVOLVED, ("Rule",)),
        ("macros among the negatives, in ME-TST+", "me-tst-plus-macros", "me-tst-plus", ("Negatives",)),
        ("macros among the negatives, with gated convolution", BEST, _CONVOLVED, ("Negatives",)),
        (
            "gated convolution in place of Mamba, macros among the negatives",
            BEST,
            "me-tst-plus-macros",
            _MIXER,
        ),
        ("prominence, in the best row", f"{BEST}-prominence", BEST, ("Rule",)),
        ("the best row in place of ME-TST+", BEST, "me-tst-plus", (*_MIXER, "Negatives")),
    )
)
#: Rows that are run with a second seed: those of the paper's claims, and the best.
MAIN = frozenset({BEST, *(row for pair in PAIRS if pair.paper for row in (pair.a, pair.b))})


def recipe(row: str, **changes: Any) -> Recipe:
    """What is fitted and how for a row of the study; changes are of its training settings."""
    lr = {} if ROWS[row].lr is None else {"lr": ROWS[row].lr}
    return _recipe(ROWS[row].what, **lr | changes)


def seeds(row: str) -> int:
    """How many seeds of a row are run: two where it answers one of the paper's claims, else one."""
    return 2 if row in MAIN else 1


@cache
def parameters(row: str) -> int:
    """Parameters of a row's network, 0 where it has none."""
    if not recipe(row).training:
        return 0
    with torch.random.fork_rng(devices=()):  # the caller's random state is left as it was
        return sum(weights.numel() for weights in recipe(row).build().parameters())


def differences_table() -> pd.DataFrame:
    """What differs between rows, one line each, from their recipes; "" where it does not apply."""
    return pd.DataFrame([_line(name) for name in ROWS], dtype=object).fillna("")


def _line(name: str) -> dict[str, Any]:
    row, made = ROWS[name], recipe(name)
    line = {"Row": row.what.title, "Control": row.control, "Regions": made.roi_set}
    if made.training:
        line |= _network(made) | {
            "Parameters": parameters(name),
            "Epochs": made.training.epochs,
            "Negatives": made.training.negatives,
            "Learning rate": made.training.lr,
            "Feature synergy": _yes(made.training.feature_synergy),
        }
    defaults, rule = Rule(), vars(made.rule)
    own = {key: value for key, value in rule.items() if value != getattr(defaults, key)}
    own.pop("result_synergy", None)
    said = ", ".join(f"{key} {value}" for key, value in own.items())
    return line | {"Result synergy": _yes(made.rule.result_synergy), "Rule": said or "the paper's"}


def _network(made: Recipe) -> dict[str, Any]:
    """What the network of a recipe is made of, its defaults included."""
    known = inspect.signature(models.NETWORKS[made.network]).parameters
    size: Mapping[str, Any] = {name: known[name].default for name in known} | dict(made.size)
    slow = f", 1/{size['slow_stride']}".replace("1/1", "1") if "slow_stride" in size else ""
    return {
        "Speeds": f"1{slow}",  # one for each path
        "Mixer": size["mixer"],
        "Layers": size["depth"] * size.get("n_blocks", 1),  # of a path
        "Width": size["dim"],
        "Inner width": f"× {size.get('expand', 2)}",
        "Branches": 1 if size["shared_branches"] else 2,
        "Reading": size.get("reading", ""),
        "Initial values": size["init"],
    }


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
