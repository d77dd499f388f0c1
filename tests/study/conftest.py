"""A study that runs in seconds: toy replicates, the row without training, and two that share a tiny one."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from toystudy import LEAD, PLAIN, SHARED, Toy

from metst_lib.experiment.variants import PRESETS, VARIANTS
from metst_lib.study import rows
from metst_lib.synthetic import replicates


@pytest.fixture
def toy_study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The compendium's folder of a study of toys; nothing has been run."""
    lead = VARIANTS["me-tst"]
    shared = dataclasses.replace(lead, title="no veto", result_synergy=False, trained_as=LEAD)
    few = {PLAIN: rows.Row(VARIANTS[PLAIN]), SHARED: rows.Row(shared), LEAD: rows.Row(lead)}
    demo = PRESETS["synthetic", "demo"]
    short = {name: dataclasses.replace(how, epochs=1) for name, how in demo.training.items()}
    tiny = dataclasses.replace(demo, sizes={"METST": {"dim": 4, "depth": 1, "d_state": 4}}, training=short)
    monkeypatch.setattr(rows, "ROWS", few)
    pair = rows.Pair("result-level synergy", LEAD, SHARED, ("Result synergy",), paper=True)
    monkeypatch.setattr(rows, "PAIRS", (pair,))
    monkeypatch.setattr(rows, "MAIN", {LEAD, SHARED})
    monkeypatch.setattr(rows, "recipe", lambda row: tiny.recipe(few[row].what))
    rows.parameters.cache_clear()
    monkeypatch.setattr(replicates, "replicate", Toy)
    yield tmp_path
    rows.parameters.cache_clear()
