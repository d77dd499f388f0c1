"""What can be run and how: variants, the rows of Table V and the comparators; presets of each data set.

A variant says *what* is compared, a preset *how* it is trained and read (Sec. IV-B and the authors' code);
together they make the `fold.Recipe` of a run.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metst_lib import baseline, datasets, models
from metst_lib.fold import Recipe
from metst_lib.spotting import Rule
from metst_lib.training import TrainingSettings


@dataclass(frozen=True)
class Variant:
    """What is compared: a network or comparator, its regions, and the two synergies (Table V).

    trained_as names the variant whose training this one shares: result-level synergy acts after training.
    size, rule, training: arguments of the network, the `Rule` and the training that are the variant's own.
    """

    title: str
    network: str
    roi_set: str = "5"
    feature_synergy: bool = True
    result_synergy: bool = True
    trained_as: str | None = None
    size: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


#: Known variants by name.
VARIANTS = {
    # comparators
    "flow-magnitude": Variant("flow magnitude", baseline.NAME, feature_synergy=False, result_synergy=False),
    "window-classifier": Variant("window classifier", "WindowClassifier"),
    "transformer": Variant("transformer", "Transformer"),
    # Table V, rows 1–7
    "me-tst-no-synergy": Variant("ME-TST, no synergy", "METST", feature_synergy=False, result_synergy=False),
    "me-tst": Variant("ME-TST", "METST"),
    "slowfast-5roi": Variant("slow-fast, 5 regions", "METSTPlus", result_synergy=False),
    "single-path-18roi": Variant("single path, 18 regions", "METST", "18", result_synergy=False),
    "me-tst-plus-no-feature-synergy": Variant(
        "ME-TST+, no synergy", "METSTPlus", "18", feature_synergy=False, result_synergy=False
    ),
    "me-tst-plus-no-result-synergy": Variant(
        "ME-TST+, no result-level synergy", "METSTPlus", "18", result_synergy=False, trained_as="me-tst-plus"
    ),
    "me-tst-plus": Variant("ME-TST+", "METSTPlus", "18"),
    # the authors' next one: one branch for both tasks, intervals that follow the score
    "boosting-vrme": Variant(
        "BoostingVRME",
        "METSTPlus",
        "18",
        size={"shared_branches": True},
        rule={"width": "median", "growth": "curve", "neutral": "zero"},
    ),
}
#: What is run and tabled unless variants are named. The window classifier shows the earlier way (Fig. 2a) and
#: is tabled with nothing: its intervals are no finer than blind tiling's.
TABLED = tuple(name for name in VARIANTS if name != "window-classifier")
#: The variants of Table V, row 1 first.
ABLATION = (
    "me-tst-no-synergy",
    "me-tst",
    "slowfast-5roi",
    "single-path-18roi",
    "me-tst-plus-no-feature-synergy",
    "me-tst-plus-no-result-synergy",
    "me-tst-plus",
)


@dataclass(frozen=True)
class Preset:
    """How a data set is read and networks are trained on it.

    frame_step: every how many-th frame is kept. window: k, frames. flow_mode: see `flow.MODES`. sizes,
    training: by network; what a size does not say is the paper's. kind: of the events that are spotted.
    """

    frame_step: int
    window: int
    flow_mode: str
    sizes: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, TrainingSettings]
    kind: str = "micro"

    def recipe(self, what: Variant, **changes: Any) -> Recipe:
        """The recipe of a variant; changes are of its training settings (epochs, matmul, recompute)."""
        how = self.training.get(what.network)
        if how is not None:
            own = {"feature_synergy": what.feature_synergy, **what.training}
            how = dataclasses.replace(how, **own | changes)
        rule = Rule(self.kind, result_synergy=what.result_synergy, **what.rule)
        size = {**self.sizes.get(what.network, {}), **what.size}
        return Recipe(what.network, what.roi_set, size, how, rule)


# As the authors' code of 2025, initial values too: 50 epochs at 3e-4 (ME-TST of 2024: 30 at 1e-4).
_RELEASED = TrainingSettings(epochs=50, lr=3e-4, batch=32, ratio=0.5)
_FITS = dict.fromkeys(models.NETWORKS, _RELEASED)
_LARGE = dict.fromkeys(models.NETWORKS, dataclasses.replace(_RELEASED, batch=256, ratio=4.0))
_FULL = {network: {"init": "released"} for network in ("METST", "METSTPlus")}
# Small networks that a laptop trains in seconds, and a higher learning rate: a fold has 200–300 steps only.
_SMALL = {
    "METST": {"dim": 32, "depth": 4, "d_state": 16},
    "METSTPlus": {"dim": 32, "n_blocks": 3, "depth": 1, "d_state": 16},
    "Transformer": {"dim": 32, "depth": 4},
    "WindowClassifier": {"dim": 16},
}
_SHORT = dict.fromkeys(models.NETWORKS, TrainingSettings(epochs=20, lr=3e-3, batch=32, ratio=0.5))

#: (data set, preset) → settings. The first preset of a data set is its default.
PRESETS = {
    ("synthetic", "demo"): Preset(1, 30, "fast", _SMALL, _SHORT),
    ("synthetic", "paper"): Preset(1, 30, "exact", _FULL, _FITS),
    ("casme3", "paper"): Preset(1, 50, "exact", _FULL, _LARGE),
    ("sammlv", "paper"): Preset(7, 30, "exact", _FULL, _FITS),
    ("casme2sq", "paper"): Preset(1, 50, "exact", _FULL, _FITS),
    ("casme3-rehearsal", "paper"): Preset(1, 50, "signals", _FULL, _LARGE),
}


def presets_of(dataset: str, data: Path | None = None) -> dict[str, Preset]:
    """The presets of a data set by name, the default first; ValueError listing the known data sets.

    data: the folder that holds the sets, where it may be one of your own.
    A set without rows of its own has one: "demo" where it is synthetic, "paper" else, at its own frame step
    and window.
    """
    reader = datasets.reader_of(dataset, data)
    rows = {preset: settings for (name, preset), settings in PRESETS.items() if name == dataset}
    if rows:
        return rows
    if reader.synthetic:
        return {"demo": Preset(reader.frame_step, reader.window, "fast", _SMALL, _SHORT)}
    return {"paper": Preset(reader.frame_step, reader.window, "exact", _FULL, _FITS)}
