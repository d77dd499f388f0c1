"""Fig. 3 has a box for every stage of a network, where its name says."""

import pytest
from pictures import TST

from metst_lib import figures
from metst_lib.figures.architecture import arrange


def test_architecture_has_a_box_with_the_shape_of_every_stage():
    ax = figures.architecture(TST).axes[0]
    sizes = {text.get_text().splitlines()[-1] for text in ax.texts if "×" in text.get_text()}
    assert sizes == {"30 × 10", "30 × 64", "30 × 1", "30 × 5"}
    assert len([patch for patch in ax.patches if hasattr(patch, "get_boxstyle")]) == 6


def test_architecture_connects_the_stages_of_the_real_networks():
    from metst_lib import models

    plus = models.METSTPlus(dim=4, n_blocks=3, depth=1, d_state=2)
    stages = {stage.name: stage for stage in arrange(models.shapes(plus, 30))}
    assert stages["spotting.fast.1"].inputs == ("spotting.fast.0",)
    assert stages["spotting.fast.0"].inputs == ("stem",)
    assert stages["recognition.slow.0"].inputs == ("recognition.to_slow",)
    assert stages["recognition.lateral.1"].inputs == ("recognition.fast.1",)
    assert stages["recognition.lateral.1"].adds_to == "recognition.slow.1"
    assert stages["spotting.join"].inputs == ("spotting.fast.2", "spotting.slow.2")
    assert stages["emotion_head"].inputs == ("recognition.join",)
    assert stages["spotting.join"].shape == (30, 12)
    assert len({(stage.column, stage.row) for stage in stages.values()}) == len(stages) == 24
    shared = models.METST(dim=4, depth=1, d_state=2, shared_branches=True)
    heads = [s for s in arrange(models.shapes(shared, 30)) if s.name.endswith("head")]
    assert [head.inputs for head in heads] == [("spotting",), ("spotting",)]
    windows = arrange(models.shapes(models.WindowClassifier(), 30))
    assert [s.inputs for s in windows if s.name.endswith("head")] == [("features.2",)] * 2


def test_a_stage_without_a_place_is_named():
    with pytest.raises(ValueError, match="no place in the figure for the stages gate"):
        figures.architecture([*TST, ("gate", (30, 64))])
