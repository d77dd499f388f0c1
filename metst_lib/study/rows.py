"""What the study compares: its rows, which of them share a training, and the pairs that answer a claim."""

from dataclasses import dataclass

from metst_lib.experiment.variants import PRESETS, VARIANTS, Variant
from metst_lib.fold import Recipe


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
    """A claim and the two rows, alike in all but that one thing, whose difference a − b answers it."""

    claim: str
    a: str
    b: str


#: Rows by name.
ROWS: dict[str, Row] = {name: Row(what) for name, what in VARIANTS.items() if name != "window-classifier"}
#: Pairs that answer the paper's claims; rows in them are run with a second seed.
PAIRS: tuple[Pair, ...] = (Pair("result-level synergy", "me-tst-plus", "me-tst-plus-no-result-synergy"),)


def recipe(row: str) -> Recipe:
    """What is fitted and how for a row of the study."""
    changes = {} if ROWS[row].lr is None else {"lr": ROWS[row].lr}
    return PRESETS["synthetic", "demo"].recipe(ROWS[row].what, **changes)


def seeds(row: str) -> int:
    """How many seeds of a row are run: two where it stands in a pair, else one."""
    return 2 if any(row in (pair.a, pair.b) for pair in PAIRS) else 1
