"""The drawn studies are what they say, their command writes what they show, and few draws are refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from metst_lib import figures
from metst_lib.app.cli import main
from metst_lib.study import power, simulation
from metst_lib.study.simulation import FEW, MANY, STUDY, Case, World, draw

SMALL = Case("small", MANY, (1, 8, 1), measures=("spotting.f1", "strs"))


def f1(counts):
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return 2 * tp / (2 * tp + fp + fn)


def pooled(counts):
    """Counts (2, 3) of the two variants over everything drawn."""
    return counts[..., :3].reshape(2, -1, 3).sum(axis=1)


def test_subjects_have_the_rates_that_are_asked_for():
    still = World(training=0)
    tp, fp, fn = pooled(draw(still, np.random.default_rng(0), (20000, 1, 1, 1), named=False))[0] / 20000
    # 1 + 6 MEs, four of seven hit, a mean of two false alarms
    assert (tp + fn, tp, fp) == pytest.approx((7, 4, 2), rel=0.02)


def test_names_are_of_hits_and_as_often_right_as_the_beta_says():
    counts = draw(World(training=0), np.random.default_rng(0), (8000, 1, 1, 1))[0]
    confusion = counts[..., 3:].reshape(-1, 3, 5).sum(axis=0)
    assert (counts[..., 3:].sum(axis=-1) <= counts[..., 0]).all()
    share = confusion.sum(axis=1) / counts[..., 0].sum()
    assert share == pytest.approx(simulation.EMOTION[:3], abs=0.01)
    assert np.diagonal(confusion) / confusion.sum(axis=1) == pytest.approx(4 / 7, abs=0.02)
    assert not confusion[:, 4].any()


@pytest.mark.parametrize("world", [MANY, FEW, replace(STUDY, apart=0.2)])
def test_a_difference_asked_for_is_drawn(world):
    better = simulation.lift(world, 0.05)
    a, b = f1(pooled(draw(world, np.random.default_rng(1), (4000, 1, 6, 4), better=better, named=False)))
    assert a - b == pytest.approx(0.05, abs=0.005) and simulation.lift(world, 0) == 0


def test_trainings_move_whole_groups_and_replicates_that_are_apart_whole_variants():
    def spread(**effects):
        world = replace(STUDY, data=0, **effects)
        counts = draw(world, np.random.default_rng(2), (1500, 1, 6, 4), named=False)
        a, b = f1(counts.sum(axis=(4, 5)))[:, 0]
        return np.std(a - b)

    assert spread(training=0) < spread(training=0.5) < spread(training=0.5, apart=0.5)


def test_units_are_sums():
    counts = np.arange(2 * 3 * 2 * 2 * 2 * 3).reshape(2, 3, 2, 2, 2, 3)
    assert (simulation.units(counts, "subjects") == counts.reshape(2, 3, 8, 3)).all()
    assert (simulation.units(counts, "groups") == counts.sum(axis=4).reshape(2, 3, 4, 3)).all()
    assert (simulation.units(counts, "replicates") == counts.sum(axis=(3, 4))).all()


def test_whole_replicates_hold_where_subjects_do_not():
    case = Case(
        "five", replace(STUDY, apart=0.2), (5, 6, 4), 2, 0.0, ("replicates", "subjects"), ("spotting.f1",)
    )
    found = simulation.coverage(400, of=[case]).set_index("unit")
    held, differ = found["held"], found["differ"]
    assert 0.92 <= held["replicates"] <= 0.98 and held["subjects"] < 0.85
    assert 0.02 <= differ["replicates"] <= 0.08 and differ["subjects"] > 0.15
    assert found["differ_p"]["replicates"] == differ["replicates"]  # five units: both are Student's
    assert abs(found["differ_p"]["subjects"] - differ["subjects"]) < 0.06


def test_the_seed_decides_whatever_the_processes():
    one, again, other = (simulation.coverage(100, seed, of=[SMALL]) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)
    two = simulation.coverage(100, 1, 2, [SMALL, SMALL])
    pd.testing.assert_frame_equal(two.iloc[:2].reset_index(drop=True), one)


def test_a_true_difference_is_held_and_seen_more_often_than_none():
    none, some = (
        simulation.coverage(400, of=[replace(SMALL, difference=d, measures=("spotting.f1",))]).iloc[0]
        for d in (0.0, 0.1)
    )
    assert none["true_difference"] == 0 and none["differ"] == pytest.approx(1 - none["difference_held"])
    assert some["true_difference"] == pytest.approx(0.1, abs=0.02)
    assert 0.92 <= some["difference_held"] <= 0.98 and none["differ"] < 0.1 < some["differ"]


# ------------------------------------------------------------------------------------------------- power


def test_more_subjects_and_seeds_see_more(monkeypatch):
    monkeypatch.setattr(power, "DESIGNS", {"one": (MANY, (1, 1, 1), (8, 48))})
    found = power.power(200).set_index(["difference", "seeds", "subjects"])
    seen, alike = found["seen"], found["alike"]
    assert seen[0.1, 1, 8] < seen[0.1, 4, 8] < seen[0.1, 4, 48] and seen[0.03, 2, 48] < seen[0.1, 2, 48]
    assert seen[0.0, 4, 48] < 0.12 and alike[0.1, 4, 48] == 0


def test_how_many_are_needed_lies_between_the_sizes_measured():
    def frame(*share):
        row = {
            "design": "d",
            "difference": 0.05,
            "seeds": 2,
            "seen": share,
            "alike": 0,
            "subjects": (10, 40, 90),
        }
        return power.needed(pd.DataFrame(row))["2 seeds"][0]

    assert frame(0.6, 1.0, 1.0) == "20"  # half way on the logarithm
    assert frame(0.8, 0.9, 1.0) == "<= 10" and frame(0.1, 0.2, 0.79) == "> 90"


def test_the_command_writes_tables_and_a_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "DESIGNS", {"one data set, small": (MANY, (1, 1, 1), (8, 16))})
    monkeypatch.setattr(simulation, "cases", lambda: [SMALL])
    done = CliRunner().invoke(main, ["study", "simulate", "--draws", "100", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    names = "inference_coverage.csv inference_coverage.md inference_power.csv power.png power.pdf".split()
    assert [line.rsplit("/")[-1] for line in done.output.split()] == names
    assert len(pd.read_csv(tmp_path / names[0])) == 2 and len(pd.read_csv(tmp_path / names[2])) == 24
    said = figures.alt_text(tmp_path / "power.png")
    assert "one data set, small, 0.1, 4 seeds: 8 subjects" in said and "Synthetic: drawn studies." in said
    text = (tmp_path / names[1]).read_text()
    assert "metst study simulate --draws 100 --seed 0" in text and "alike within .02" in text


@pytest.mark.parametrize("draws", [99, 0, -5])
def test_too_few_draws_are_refused(draws, tmp_path):
    done = CliRunner().invoke(main, ["study", "simulate", f"--draws={draws}", "--out", str(tmp_path)])
    assert (
        done.exit_code == 1 and f"{draws} drawn studies tell nothing: 100 or more are wanted" in done.output
    )
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="100 or more"):
        power.power(draws)
