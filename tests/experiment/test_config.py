"""Configurations: names, presets and places, and what decides a number."""

import dataclasses

import pytest
import torch

from metst_lib import experiment
from metst_lib.experiment import configure, store


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": "samm"}, "unknown data set 'samm'; known: synthetic, casme3, sammlv, casme2sq"),
        ({"variant": "me-tsd"}, "unknown variant 'me-tsd'; known: .*me-tst"),
        ({"preset": "full"}, "unknown preset 'full' for synthetic; known: demo, .*paper"),
        ({"dataset": "casme3", "preset": "demo"}, "unknown preset 'demo' for casme3; known: paper"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(given, message):
    with pytest.raises(ValueError, match=message):
        configure(**given)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="from 0 on, not -1"):
        configure(seed=-1)


def test_presets_are_those_of_the_paper_and_the_released_code():
    casme3, sammlv = configure("casme3"), configure("sammlv")
    assert (casme3.settings.frame_step, casme3.settings.window) == (1, 50)
    assert (sammlv.settings.frame_step, sammlv.settings.window) == (7, 30)
    for config, batch, ratio in ((casme3, 256, 4.0), (sammlv, 32, 0.5)):
        training = config.recipe.training
        assert (training.epochs, training.lr, training.batch, training.ratio) == (50, 3e-4, batch, ratio)
        assert config.recipe.size == {"init": "released"}
    assert sammlv.recipe.build().stem is not None
    size = sum(p.numel() for p in sammlv.recipe.build().parameters())
    small = sum(p.numel() for p in configure().recipe.build().parameters())
    assert small < size / 10


def test_table_v_has_its_seven_rows_in_order():
    rows = [
        (v.roi_set, v.network, v.feature_synergy, v.result_synergy)
        for v in map(experiment.VARIANTS.get, experiment.ABLATION)
    ]
    assert rows == [
        ("5", "METST", False, False),
        ("5", "METST", True, True),
        ("5", "METSTPlus", True, False),
        ("18", "METST", True, False),
        ("18", "METSTPlus", False, False),
        ("18", "METSTPlus", True, False),
        ("18", "METSTPlus", True, True),
    ]


def test_the_synergies_of_a_variant_are_in_its_recipe():
    for name, variant in experiment.VARIANTS.items():
        recipe = configure(variant=name).recipe
        assert recipe.rule.result_synergy == variant.result_synergy
        if recipe.training is not None:
            assert recipe.training.feature_synergy == variant.feature_synergy


# --- places ---------------------------------------------------------------------------------------------


def test_the_folder_of_the_compendium_is_given_set_or_found(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_ROOT", raising=False)
    assert (experiment.home() / "notebooks").is_dir()
    monkeypatch.setenv("METST_ROOT", str(tmp_path / "set"))
    assert experiment.home() == (tmp_path / "set").resolve()
    assert experiment.home(tmp_path / "given") == (tmp_path / "given").resolve()


def test_what_is_not_the_default_has_folders_of_its_own(monkeypatch):
    assert configure().edition == "synthetic"
    assert configure(preset="paper").edition == "synthetic-paper"
    assert dataclasses.replace(configure(), epochs=3).edition == "synthetic-3epochs"
    assert dataclasses.replace(configure(), recompute=True).edition == "synthetic"  # the same numbers
    monkeypatch.setenv("METST_MATMUL", "medium")
    assert configure(preset="paper").edition == "synthetic-paper-medium"
    monkeypatch.setenv("METST_MATMUL", "low")
    with pytest.raises(ValueError, match="METST_MATMUL=low; known: highest, high, medium"):
        configure()


def test_figures_of_the_demonstration_leave_the_stored_edition_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_FIGURES", raising=False)

    def folder(*names, **more):
        found = store.figures_folder(dataclasses.replace(configure(*names, root=tmp_path), **more))
        return found.relative_to(tmp_path).as_posix()

    assert folder() == "figures/demo"
    assert folder("synthetic", "me-tst", 0, "paper") == "figures/demo-paper"
    assert folder(epochs=3) == "figures/demo-3epochs"
    assert folder("casme3") == "figures/casme3"
    assert folder("casme3-rehearsal") == "figures/casme3-rehearsal"
    assert folder("sammlv", epochs=2) == "figures/sammlv-2epochs"
    monkeypatch.setenv("METST_FIGURES", str(tmp_path / "elsewhere"))
    assert folder("sammlv") == "elsewhere/sammlv"


# --- what decides a number ------------------------------------------------------------------------------


def test_what_decides_the_numbers_names_no_place_and_not_how_memory_is_saved(tmp_path):
    here, there = (configure(root=tmp_path / name).to_dict() for name in ("a", "b"))
    assert here == there and str(tmp_path) not in str(here)
    sparing = dataclasses.replace(configure(), recompute=True)
    assert sparing.recipe.size["recompute"] and sparing.to_dict() == configure().to_dict()


def test_the_rule_decides_events_and_no_prediction():
    with_, without = (configure(variant=f"me-tst-plus{end}") for end in ("", "-no-result-synergy"))
    assert with_.fitting() == without.fitting() and with_.to_dict() != without.to_dict()
    assert without.trained == with_
    assert configure(seed=1).fitting() != configure().fitting()
    assert configure().to_dict()["rule"]["p"] == 0.55


def test_saving_memory_gives_the_same_network():
    torch.manual_seed(0)
    plain = configure().recipe.build()
    torch.manual_seed(0)
    sparing = dataclasses.replace(configure(), recompute=True).recipe.build()
    pairs = zip(plain.state_dict().items(), sparing.state_dict().items(), strict=True)
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


def test_boosting_vrme_has_one_branch_and_a_rule_of_its_own():
    recipe = configure(variant="boosting-vrme").recipe
    assert recipe.build().recognition is None and recipe.roi_set == "18"
    assert (recipe.rule.growth, recipe.rule.width, recipe.rule.neutral) == ("curve", "median", "zero")
    assert configure(variant="me-tst-plus").recipe.rule.growth == "none"
