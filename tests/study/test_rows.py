"""The study's rows: pairs that differ in one thing, equal sizes and steps, which rows share a training."""

import pandas as pd
import pytest
import torch

from metst_lib.experiment.variants import ABLATION
from metst_lib.study import rows

TABLE = rows.differences_table().set_index(pd.Index(rows.ROWS))
PAIRS = pytest.mark.parametrize("pair", rows.PAIRS, ids=lambda pair: f"{pair.a}-{pair.b}")


@PAIRS
def test_a_pair_differs_in_what_it_says_and_in_nothing_else(pair):
    apart = {column for column in TABLE if TABLE.at[pair.a, column] != TABLE.at[pair.b, column]}
    assert apart - {"Row", "Parameters", "Learning rate"} == set(pair.differs)


@PAIRS
def test_the_networks_of_a_pair_are_of_one_size_within_5_percent(pair):
    a, b = (sum(p.numel() for p in rows.recipe(row).build().parameters()) for row in (pair.a, pair.b))
    assert (a, b) == (rows.parameters(pair.a), rows.parameters(pair.b))
    assert abs(a - b) <= 0.05 * min(a, b)


def test_two_speeds_and_alternating_directions_cost_no_parameter():
    same = ("me-tst-plus", "me-tst-plus-one-speed", "me-tst-plus-alternating", "me-tst-plus-released-init")
    assert len({rows.parameters(row) for row in same}) == 1
    assert rows.parameters("me-tst") == rows.parameters("me-tst-alternating") == 84_806


def test_all_rows_take_as_many_steps_on_windows_drawn_alike():
    trained = [made.training for made in map(rows.recipe, rows.ROWS) if made.training]
    assert len({(how.epochs, how.batch, how.ratio, how.augment) for how in trained}) == 1


def test_parts_of_the_best_variant_are_no_larger_than_me_tst_plus():
    parts = [row for row in rows.ROWS if "convolution" in row]
    assert len(parts) >= 5
    assert max(map(rows.parameters, parts)) <= rows.parameters("me-tst-plus")


def test_rows_of_the_paper_and_the_controls_are_there():
    assert {*ABLATION, "flow-magnitude", "boosting-vrme"} <= set(rows.ROWS)
    controls = {row.control for row in rows.ROWS.values()} - {""}
    assert controls == {"shuffled", "erased", "leaked", "perfect", "tiling", "chance"}
    assert "window-classifier" not in rows.ROWS


def test_rows_that_share_predictions_share_network_regions_and_training():
    for name, row in rows.ROWS.items():
        if of := row.what.trained_as:
            assert of in rows.ROWS and rows.fits_like(name) == of, name
    assert rows.fits_like("shuffled-labels") == rows.fits_like("me-tst-plus") == "me-tst-plus"
    assert rows.fits_like("flow-magnitude") == rows.fits_like("chance") == ""


def test_rows_of_the_papers_claims_get_a_second_seed():
    assert rows.seeds("me-tst-plus") == rows.seeds("me-tst") == rows.seeds("attention") == 2
    assert rows.seeds("chance") == rows.seeds("boosting-vrme") == 1


def test_the_table_says_what_a_row_is_made_of():
    line = TABLE.loc["me-tst-plus-one-speed"]
    assert line["Speeds"] == "1, 1" and TABLE.at["me-tst-plus", "Speeds"] == "1, 1/2"
    assert (line["Regions"], line["Layers"], line["Width"], line["Epochs"]) == ("18", 3, 32, 20)
    assert line["Learning rate"] == rows.recipe("me-tst-plus-one-speed").training.lr
    assert TABLE.at["boosting-vrme", "Rule"] == "width median, growth curve, neutral zero"
    assert TABLE.at["chance", "Parameters"] == "" and rows.parameters("chance") == 0


def test_counting_parameters_leaves_the_random_state_alone():
    rows.parameters.cache_clear()
    torch.manual_seed(5)
    rows.parameters("me-tst")
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
