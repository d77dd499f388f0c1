"""A study that runs in seconds: toy replicates, the row without training, and two that share a tiny one."""

import dataclasses
from pathlib import Path

import pytest
from toystudy import LEAD, PLAIN, SHARED, Toy

from metst_lib.experiment.variants import PRESETS, VARIANTS
from metst_lib.study import rows
from metst_lib.synthetic import replicates


@pytest.fixture
def toy_study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The compendium's folder of a study of toys; nothing has been run."""
    lead = VARIANTS["me-tst"]
    shared = dataclasses.replace(lead, title="no veto", result_synergy=False, trained_as=LEAD)
    few = {PLAIN: rows.Row(VARIANTS[PLAIN]), SHARED: rows.Row(shared), LEAD: rows.Row(lead)}
    demo = PRESETS["synthetic", "demo"]
    short = {name: dataclasses.replace(how, epochs=1) for name, how in demo.training.items()}
    tiny = dataclasses.replace(demo, sizes={"METST": {"dim": 4, "depth": 1, "d_state": 4}}, training=short)
    monkeypatch.setattr(rows, "ROWS", few)
    monkeypatch.setattr(rows, "PAIRS", (rows.Pair("result-level synergy", LEAD, SHARED),))
    monkeypatch.setattr(rows, "recipe", lambda row: tiny.recipe(few[row].what))
    monkeypatch.setattr(replicates, "replicate", Toy)
    return tmp_path
