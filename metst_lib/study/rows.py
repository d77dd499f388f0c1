"""What the study compares: its rows, which of them share a training, and the pairs that answer a claim."""

from dataclasses import dataclass, replace

from metst_lib.experiment.variants import PRESETS, VARIANTS, Variant
from metst_lib.fold import Recipe


@dataclass(frozen=True)
class Pair:
    """A claim and the two rows, alike in all but that one thing, whose difference a − b answers it."""

    claim: str
    a: str
    b: str


#: Rows by name. `trained_as` names the row whose predictions this one reads by another rule.
ROWS: dict[str, Variant] = {name: VARIANTS[name] for name in VARIANTS if name != "window-classifier"}
#: Rows that are run with a second seed: those of `PAIRS`.
MAIN: tuple[str, ...] = ("me-tst", "me-tst-plus")
PAIRS: tuple[Pair, ...] = (Pair("result-level synergy", "me-tst-plus", "me-tst-plus-no-result-synergy"),)


def recipe(row: str) -> Recipe:
    """What is fitted and how for a row of the study."""
    what = ROWS[row]
    found = PRESETS["synthetic", "demo"].recipe(what)
    return replace(found)
