"""How hard the study set is without a network: floor, spotter, recogniser."""

import dataclasses

import numpy as np

from metst_lib import fold
from metst_lib.events import Event
from metst_lib.study import hardness, rows
from metst_lib.synthetic import replicates
from metst_lib.synthetic.difficulty import difficulty

TOY = dataclasses.replace(difficulty(), subjects=4, groups=2, minutes=2.0, me_per_minute=4.0)


def test_a_fold_without_a_network_runs_and_its_hardness_is_told():
    toy = replicates.replicate(1, TOY)
    recipe = rows.recipe("flow-magnitude")
    found = fold.fold(toy.flow(recipe.roi_set), toy.truth, toy.groups[0], recipe)
    assert {key[0] for key in found.truth} == {"s01", "s02"}
    table = hardness.described(toy).set_index("what")["value"]
    assert table["difficulty"] == TOY.key
    assert 0 < float(table["5 regions: noise floor (px)"]) < 1
    assert 0 <= float(table["18 regions: share of MEs under it"]) < 1


def test_a_recogniser_is_asked_on_the_true_interval():
    logits = np.zeros((20, 5))
    logits[6:9, 2], logits[9:, 1] = 1, 1  # frames 6…8 vote for the third class, later ones for the second
    logits[:, 4] = 9  # neutral has no say
    assert hardness._read(Event(5, 10, None, "negative"), logits).emotion == "surprise"
