"""Sweeps: what is changed, what is measured, what the labels' errors do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from toys import QUICK, toy

from metst_lib import baseline, figures
from metst_lib.app.cli import main
from metst_lib.events import Event, Video
from metst_lib.fold import Recipe
from metst_lib.spotting import Rule
from metst_lib.study import pixels, rows, sweeps
from metst_lib.study.sweeps import IN_TRAINING, IN_TRUTH, PERFECT, Sweep, Trial

NAMES = (baseline.NAME, "me-tst")
AMPLITUDE = Sweep("ME amplitude", "amplitude", (0, 2), "times", times=True)
NOISE = Sweep("noise", "noise", (0.03, 1.0), "px")


@dataclass(frozen=True)
class Difficulty:
    amplitude: float = 0.5
    noise: float = 0.03
    key: str = "0123456789ab"


class Toy:
    """A replicate of bumps at a difficulty."""

    def __init__(self, number, difficulty=Difficulty()):
        self.number, self.difficulty = number, difficulty
        height, noise = difficulty.amplitude, difficulty.noise
        self.flows, self.truth = toy(videos=1, channels=10, seed=number, height=height, noise=noise)
        self.videos = [Video(*key, 30, 240, tuple(events)) for key, events in self.truth.items()]

    def flow(self, roi_set):
        return self.flows


@pytest.fixture(scope="module")
def made():
    recipes = {
        baseline.NAME: Recipe(baseline.NAME, rule=Rule(result_synergy=False)),
        "me-tst": Recipe(
            "METST",
            size={"dim": 8, "depth": 1, "d_state": 4},
            training=QUICK,
            rule=Rule(result_synergy=False),
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "recipe", recipes.get)
        return sweeps.run(NAMES, 1, Toy, (AMPLITUDE, NOISE), (0, 3))


def at(made, **where):
    for name, value in where.items():
        made = made[made[name] == value]
    assert len(made) == 1
    return made.iloc[0]


def test_levels_are_values_or_multiples_and_hold_the_studys_own():
    own = Difficulty()
    assert AMPLITUDE.changed(own) == {0: Difficulty(0.0), 1: own, 2: Difficulty(1.0)}
    assert NOISE.changed(own) == {0.03: own, 1.0: Difficulty(noise=1.0)}
    assert Sweep("noise", "noise", (1.0,), "px").changed(own) == NOISE.changed(own)


def test_every_sweep_names_its_levels_in_order_and_once():
    for sweep in sweeps.SWEEPS:
        assert list(sweep.levels) == sorted(set(sweep.levels))
    assert len({sweep.name for sweep in sweeps.SWEEPS}) == len(sweeps.SWEEPS)


def test_the_table_has_a_line_for_each_sweep_level_and_variant(made):
    assert list(made.columns) == list(sweeps.COLUMNS)
    assert not made.duplicated(["sweep", "level", "variant"]).any()
    assert made.groupby("sweep").size().to_dict() == {
        "ME amplitude": 3 * 2, "noise": 2 * 2, IN_TRAINING: 2 * 2, IN_TRUTH: 2 * 3,
    }  # fmt: skip
    assert (made["tp"] + made["fn"] == 18).all()  # six MEs in each of three videos
    assert np.allclose(made["f1"], 2 * made["tp"] / (2 * made["tp"] + made["fp"] + made["fn"]))
    assert np.allclose(made["fp_per_minute"], made["fp"] / (3 * 240 / 30 / 60))
    assert ((made["low"] <= made["f1"]) & (made["f1"] <= made["high"])).all()


def test_the_studys_own_level_is_the_same_in_every_sweep(made):
    own = made[made["own"] & (made["variant"] != PERFECT)]
    assert own.groupby("sweep").size().eq(2).all()
    assert own.groupby("variant")[["tp", "fp", "fn"]].nunique().eq(1).all().all()


def test_what_is_not_there_is_not_found_and_more_of_it_is(made):
    none, own, twice = (
        at(made, sweep="ME amplitude", level=level, variant=baseline.NAME)["f1"] for level in (0, 1, 2)
    )
    assert none < own <= twice
    assert (made["tp"] + made["fp"] > 0).all()  # the network says something everywhere


def test_variants_are_held_against_the_baseline_by_subject(made):
    assert made[made["variant"] == baseline.NAME]["ahead"].isna().all()
    for _, level in made.groupby(["sweep", "level"]):
        f1 = level.set_index("variant")["f1"]
        ahead = level.set_index("variant")["ahead"].dropna()
        assert np.allclose(ahead, f1[ahead.index] - f1[baseline.NAME])


def test_errors_in_training_leave_the_truth_and_errors_in_truth_the_fit(made):
    perfect = [at(made, sweep=IN_TRUTH, level=error, variant=PERFECT) for error in (0, 3)]
    assert perfect[0]["f1"] == 1.0 and perfect[1]["f1"] < 1.0
    assert perfect[0]["fp"] == 0
    for name in NAMES:
        lines = [at(made, sweep=IN_TRUTH, level=error, variant=name) for error in (0, 3)]
        assert lines[0]["tp"] + lines[0]["fp"] == lines[1]["tp"] + lines[1]["fp"]  # the same intervals


def test_labels_are_misplaced_in_proportion_in_order_and_inside_the_video():
    events = [Event(o, o + 10, apex=o + 5, emotion="others") for o in range(0, 9989, 40)]
    truth = {("s", "a"): [*events, Event(3, 60, kind="macro")], ("s", "b"): [Event(1, 4, emotion="others")]}
    lengths = {("s", "a"): 10_000, ("s", "b"): 5}
    assert sweeps.misplaced(truth, 0, lengths) == truth
    two, four = (sweeps.misplaced(truth, error, lengths)["s", "a"] for error in (2, 4))
    assert two[-1] == truth["s", "a"][-1]
    shifts = [
        np.array([(e.onset - t.onset, e.offset - t.offset) for e, t in zip(found, events, strict=False)])
        for found in (two, four)
    ]
    assert np.std(shifts[0]) == pytest.approx(2, rel=0.1) and np.std(shifts[1]) == pytest.approx(4, rel=0.1)
    assert np.abs(np.mean(shifts[1])) < 0.6
    assert np.corrcoef(shifts[0].ravel(), shifts[1].ravel())[0, 1] > 0.85
    assert np.corrcoef(shifts[1].T)[0, 1] < 0.3  # onset and offset on their own
    wild = sweeps.misplaced(truth, 50, lengths)["s", "b"][0]  # Event checks the order itself
    assert 0 <= wild.onset <= wild.offset <= 4 and wild.apex is None


def test_a_line_is_measured_by_hand():
    truth = {(s, "a"): [Event(10, 19, emotion="others"), Event(50, 59, emotion="others")] for s in "xyz"}
    found = {("x", "a"): truth["x", "a"], ("y", "a"): [Event(0, 9)], ("z", "a"): [Event(12, 21)]}
    (line,) = sweeps.measured({"me-tst": found}, Trial({}, truth, 0.5, "k"), level=2.0)
    assert (line["tp"], line["fp"], line["fn"]) == (3, 1, 3)
    assert line["f1"] == pytest.approx(6 / 10) and line["fp_per_minute"] == 2
    assert line["level"] == 2.0 and "ahead" not in line


def lines(part, sweep, values, variant="me-tst"):
    """ahead_low, ahead_high by level."""
    about = {"part": part, "sweep": sweep, "unit": "px", "variant": variant}
    about |= dict.fromkeys(("f1", "low", "high", "fp_per_minute"), 0.5)
    return [
        {**about, "level": level, "own": level == 1,
         "ahead": (low + high) / 2, "ahead_low": low, "ahead_high": high}
        for level, (low, high) in values.items()
    ]  # fmt: skip


def test_the_sentences_say_where_a_variant_falls_under_the_baseline():
    signals = lines("signals", "noise", {1: (0.1, 0.2), 2: (-0.1, 0.1), 4: (-0.3, -0.1)})
    more = lines("signals", "jitter", {1: (0.1, 0.2), 8: (-0.3, -0.2)})
    plus = lines("signals", "noise", {1: (0.1, 0.3)}, "me-tst-plus")
    perfect = lines("labels", IN_TRUTH, {8: (-0.3, -0.2)}, PERFECT)
    assert sweeps.falls_under(sweeps.table([*signals, *more, *plus, *perfect])) == [
        "ME-TST. Under the training-free baseline: noise 4; jitter 8. Not told apart from it: noise 2. Above "
        "it: at 2 of 5 levels.",
        "ME-TST+. Under the training-free baseline: nowhere. Not told apart from it: nowhere. Above it: at 1 "
        "of 1 levels.",
    ]


def test_a_part_is_written_in_place_of_itself(tmp_path, made):
    path = sweeps.write(made, tmp_path / sweeps.NAME)
    back = sweeps.read(path)
    pd.testing.assert_frame_equal(back.fillna(0), made.fillna(0), check_dtype=False, rtol=1e-5)
    first = path.read_bytes()
    assert sweeps.write(made[made["part"] == "signals"], path).read_bytes() == first
    sweeps.write(sweeps.table(lines("pixels", "JPEG quality", {50: (0, 0)})), path)
    sweeps.write(made[made["sweep"] == IN_TRUTH], path)
    assert sweeps.read(path)["part"].drop_duplicates().tolist() == ["signals", "labels", "pixels"]
    assert set(sweeps.read(path)["sweep"]) == {"ME amplitude", "noise", IN_TRUTH, "JPEG quality"}


def test_files_that_are_not_there_or_no_sweeps_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="metst study sweeps"):
        sweeps.read(tmp_path / sweeps.NAME)
    (tmp_path / "other.csv").write_text("a,part\n1,x\n")
    with pytest.raises(ValueError, match=r"other\.csv is no table of sweeps"):
        sweeps.read(tmp_path / "other.csv")


def test_the_command_makes_the_parts_that_are_asked_for(tmp_path, monkeypatch):
    asked = []

    def run(names, jobs, **which):
        asked.append((tuple(names), jobs, which))
        return sweeps.table(lines("labels", IN_TRUTH, {1: (0.1, 0.2)}))

    monkeypatch.setenv("METST_FIGURES", str(tmp_path))
    monkeypatch.setattr(sweeps, "run", run)
    monkeypatch.setattr(
        pixels, "run", lambda *_: sweeps.table(lines("pixels", "compression", {1: (0.1, 0.2)}))
    )
    one = CliRunner().invoke(main, "study sweeps --part labels --rows me-tst,convolution --jobs 2".split())
    assert one.exit_code == 0, one.output
    assert asked == [(("me-tst", "convolution"), 2, {"sweeps": (), "errors": sweeps.ERRORS})]
    assert "ME-TST. Under the training-free baseline: nowhere." in one.output
    assert CliRunner().invoke(main, ["study", "sweeps"]).exit_code == 0
    assert asked[1] == (sweeps.SWEPT, 1, {"sweeps": sweeps.SWEEPS, "errors": sweeps.ERRORS})
    made = sweeps.read(tmp_path / "synthetic" / sweeps.NAME)
    assert list(made["part"]) == ["labels", "pixels"]
    assert list(made["synthetic"]) == ["study", "demo"]
    assert "Synthetic: study" in figures.alt_text(tmp_path / "synthetic" / "sweeps.png")


def test_a_row_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="unknown row 'me-tts'; known: flow-magnitude"):
        sweeps.run(("me-tts",), 1, Toy)
