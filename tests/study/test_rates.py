"""Learning rates: which is chosen, on which subjects of which replicate, and who reads it."""

from dataclasses import replace

import pandas as pd
import pytest
from click.testing import CliRunner
from toys import toy

from metst_lib import fold
from metst_lib.app.cli import main
from metst_lib.study import rates, rows
from metst_lib.synthetic import replicates
from metst_lib.synthetic.difficulty import difficulty


class Tiny:
    """A replicate of six groups of one subject each."""

    flows, truth = toy(subjects=6, videos=1, channels=10)
    groups = tuple((f"s{i}",) for i in range(6))

    def flow(self, roi_set):
        assert roi_set == "5"
        return self.flows


@pytest.fixture
def folds(monkeypatch):
    """The folds that are asked for, on a replicate of six short videos, with one epoch each."""
    asked, run = [], fold.fold
    monkeypatch.setattr(replicates, "replicate", lambda number: {0: Tiny()}[number])

    def quick(flows, truth, left_out, recipe):
        asked.append((tuple(left_out), recipe.training.lr))
        how = replace(recipe.training, epochs=1, device="cpu")
        return run(flows, truth, left_out, replace(recipe, training=how, size={"dim": 4, "depth": 1}))

    monkeypatch.setattr(fold, "fold", quick)
    return asked


def test_the_best_rate_is_chosen_and_of_equally_good_ones_the_lower():
    cells = [("a", 1e-3), ("a", 3e-3), ("a", 1e-2), ("b", 1e-3), ("b", 3e-3), ("b", 1e-2)]
    table = rates.chosen(cells, [0.1, 0.3, 0.3, 0.5, 0.2, 0.4])
    assert table["chosen"].tolist() == [False, True, False, True, False, False]


def test_each_training_meets_every_rate_once_on_the_first_four_groups(folds):
    table = rates.grid(["me-tst", "flow-magnitude", "me-tst", "chance"])
    assert folds == [(("s4", "s5"), rate) for rate in rates.GRID]  # the training-free rows have no rate
    assert table["row"].tolist() == ["me-tst"] * 3 and table["chosen"].sum() == 1
    assert table["f1"].between(0, 1).all()


def test_rows_that_differ_in_decoding_or_in_a_control_share_one_training(monkeypatch):
    monkeypatch.setattr(rates, "f1", lambda row, rate: rate)
    shared = ["me-tst-plus", "me-tst-plus-no-result-synergy", "leaked-subject"]
    assert set(rates.grid(shared)["row"]) == {"me-tst-plus"}
    everything = rates.grid()
    assert len(everything) == 3 * everything["row"].nunique()
    assert {row for row in rows.ROWS if rows.recipe(row).training} > set(everything["row"])


def test_a_training_that_diverges_is_the_worst(monkeypatch, folds):
    def diverged(*_):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(fold, "fold", diverged)
    assert rates.f1("me-tst", 1e-2) == 0


def test_what_is_written_is_what_rows_read(tmp_path, monkeypatch):
    table = rates.chosen([("me-tst", rate) for rate in rates.GRID], [0.2, 0.61234, 0.1])
    path = rates.write(table, tmp_path / "rates.csv")
    assert pd.read_csv(path)["rate"].tolist() == list(rates.GRID)
    monkeypatch.setattr(rows, "RATES", path)
    assert rows._chosen() == {"me-tst": 3e-3}
    monkeypatch.setattr(rows, "RATES", tmp_path / "none.csv")
    assert rows._chosen() == {}


@pytest.mark.skipif(not rows.RATES.exists(), reason="the grid has not been run yet")
def test_the_rates_were_chosen_at_the_frozen_difficulty_for_every_training():
    kept = pd.read_csv(rows.RATES)
    assert set(kept["difficulty"]) == {difficulty().key}
    assert set(kept["row"]) == {rows.fits_like(name) for name in rows.ROWS} - {""}


def test_every_row_has_the_rate_of_its_training():
    for name, row in rows.ROWS.items():
        like = rows.fits_like(name)
        assert row.lr == (rows.ROWS[like].lr if like else None)
        if row.lr is not None:
            assert row.lr in rates.GRID and rows.recipe(name).training.lr == row.lr


def test_the_command_prints_and_keeps_the_grid(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "f1", lambda row, rate: rate)
    monkeypatch.setattr(rates.write, "__defaults__", (tmp_path / "rates.csv",))
    result = CliRunner().invoke(main, ["study", "rates", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    kept = pd.read_csv(tmp_path / "rates.csv")
    assert kept[kept["chosen"]]["rate"].unique().tolist() == [1e-2]
    assert "me-tst-plus" in result.output
