"""Any method's file against a table of truths, by library and by command."""

import math

import numpy as np
import pytest
from click.testing import CliRunner

from metst_lib import inference, metrics
from metst_lib.app.cli import main
from metst_lib.events import Event, Prediction
from metst_lib.evidence import intervals, scorefile, scoring
from metst_lib.spotting import Rule

A, B, C = ("s1", "a"), ("s2", "b"), ("s2", "c")
TRUTH = {
    A: [Event(25, 35, emotion="positive"), Event(50, 79, kind="macro")],
    B: [Event(15, 25, emotion="negative")],
    C: [],
}


def bump(n, centre, logits=0.0):
    score = np.clip(1 - np.abs(np.arange(n) - centre) / 6, 0, None)
    return Prediction(score, np.full((n, 5), [0.0, logits, 0.0, 0.0, 0.0]))


@pytest.fixture
def truth(tmp_path):
    n = {A: 80, B: 60, C: 50}
    return intervals.write(tmp_path / "truth.csv", "toy", TRUTH, dict.fromkeys(TRUTH, 30), n)


@pytest.fixture
def curves(tmp_path):
    given = {A: bump(80, 30, 1), B: bump(60, 20, 1), C: bump(50, 20, 1)}
    return scorefile.write(tmp_path / "curves.npz", "toy", given, 30)


@pytest.fixture
def table(tmp_path):
    found = {A: [Event(24, 35), Event(52, 79, kind="macro")], B: [Event(40, 50)], C: [Event(1, 9)]}
    return intervals.write(tmp_path / "found.csv", "toy", found)


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_curves_are_scored_with_k_p_of_the_other_subjects(curves, truth):
    given = scoring.read(curves, truth).only("with_me", "micro")
    assert given.counted == "2 videos of 2 subjects, 0.1 minutes"
    (strict, *_) = scoring.table(given, Rule(p=0.55)).to_dict("records")
    assert (strict["tp"], strict["fp"], strict["fn"], strict["f1"]) == (2, 0, 0, 1.0)
    assert strict["recognition_total"] == 2 and strict["fp_per_minute"] == 0
    everything = scoring.table(scoring.read(curves, truth), Rule(p=0.55)).set_index("scorer")
    assert everything.loc["strict", "fp"] == 1 and everything.loc["megc2024", "fp"] == 0
    assert everything.loc["strict", "fp_per_minute"] == pytest.approx(1 / (190 / 30 / 60))


def test_a_table_of_intervals_is_scored_by_kind_and_overall(table, truth):
    given = scoring.read(table, truth)
    found = {kind: scoring.scores(given, Rule(), kind).spotting for kind in ("micro", "macro", "overall")}
    assert found["micro"] == metrics.Counts(1, 2, 1) and found["macro"] == metrics.Counts(1, 0, 0)
    assert found["overall"] == metrics.Counts(2, 2, 1)
    assert given.only("with_me", "macro").counted.startswith("1 videos of 1 subjects")


def test_truths_that_a_table_does_not_name_are_misses_and_those_without_a_curve_are_not_counted(
    tmp_path, truth
):
    few = intervals.write(tmp_path / "few.csv", "toy", {A: [Event(25, 35)]})
    assert scoring.scores(scoring.read(few, truth), Rule()).spotting == metrics.Counts(1, 0, 1)
    one = scorefile.write(tmp_path / "one.csv", "toy", {A: bump(80, 30)}, 30)
    given = scoring.read(one, truth)
    assert list(given.truth) == [A] and "2 more have a truth and no curve" in given.counted
    with pytest.raises(ValueError, match="k_p of subject s1, from the other subjects"):
        scoring.scores(given, Rule())
    assert scoring.scores(given, Rule(half_width=5)).spotting == metrics.Counts(1, 0, 0)


def test_a_step_divides_the_truths_frames_and_rates(tmp_path, truth):
    third = {A: bump(27, 10), B: bump(20, 6), C: bump(17, 6)}
    path = scorefile.write(tmp_path / "third.npz", "toy", third, 10)
    given = scoring.read(path, truth, step=3)
    assert given.truth[B] == [Event(5, 8, emotion="negative")]
    with pytest.raises(ValueError, match="video s1 a: 27 scores, but the video has 80 frames"):
        scoring.read(path, truth)


def test_without_lengths_there_are_no_minutes(tmp_path, table):
    bare = intervals.write(tmp_path / "bare.csv", "toy", TRUTH)
    given = scoring.read(table, bare)
    assert math.isnan(given.minutes) and "fp_per_minute" not in scoring.table(given, Rule())


def test_videos_and_intervals_that_the_truths_do_not_know_are_named(tmp_path, truth):
    other = intervals.write(tmp_path / "other.csv", "toy", {("s9", "z"): []})
    with pytest.raises(ValueError, match="1 videos are not in the table of truths, s9 z the first"):
        scoring.read(other, truth)
    late = intervals.write(tmp_path / "late.csv", "toy", {C: [Event(50, 55)]})
    with pytest.raises(ValueError, match="video s2 c: 50 … lies beyond its 50 frames"):
        scoring.read(late, truth)


def test_a_sweep_lowers_the_threshold_and_a_table_has_none(curves, table, truth):
    sweep = scoring.sweep(scoring.read(curves, truth), Rule(half_width=5, result_synergy=False))
    assert len(sweep) == 19 and (sweep["tp"] == 2).all() and sweep["p"].is_monotonic_increasing
    with pytest.raises(ValueError, match="has no threshold"):
        scoring.sweep(scoring.read(table, truth), Rule())
    with pytest.raises(ValueError, match="a score file is of one kind"):
        scoring.scores(scoring.read(curves, truth), Rule(), "overall")


def test_a_row_has_an_interval_and_chance_by_the_strict_scorer_where_lengths_are_known(
    tmp_path, table, truth
):
    given = scoring.read(table, truth)
    strict, released, _ = scoring.table(given, Rule()).to_dict("records")
    found = scoring.scores(given, Rule())
    interval = inference.interval_of(found, "spotting.f1")
    assert (strict["f1_low"], strict["f1_high"]) == (interval.low, interval.high)
    assert 0 < strict["chance_f1"] < strict["f1"] and math.isnan(released["chance_f1"])
    assert 0 < strict["chance_p"] < 0.5
    bare = intervals.write(tmp_path / "bare.csv", "toy", TRUTH)
    assert "chance_f1" not in scoring.table(scoring.read(table, bare), Rule())
    alone = scoring.read(table, intervals.write(tmp_path / "alone.csv", "toy", TRUTH)).only(
        "with_me", "macro"
    )
    assert math.isnan(scoring.table(alone, Rule(), "macro")["f1_low"][0])


def test_curves_are_ranked_by_height_and_by_that_relative_to_their_video(tmp_path, curves, table, truth):
    low = Prediction(bump(60, 20).score / 4, np.zeros((60, 5)))
    third = Prediction(bump(50, 20).score / 2, np.zeros((50, 5)))  # nothing is true there
    path = scorefile.write(tmp_path / "low.npz", "toy", {A: bump(80, 30), B: low, C: third}, 30)
    found = scoring.ranking(scoring.read(path, truth), Rule(half_width=5)).set_index("ranked by")
    # By height hit, false alarm, hit: 1/2 + 1/2 · 2/3. Relative all three stand at 1, in the order of videos.
    assert found["ap_0.5"].tolist() == pytest.approx([5 / 6, 1.0])
    with pytest.raises(ValueError, match="no heights to rank by"):
        scoring.ranking(scoring.read(table, truth), Rule())


def test_the_command_prints_numbers_and_which_videos_count(curves, table, truth):
    printed = metst("score", curves, truth, "--sweep", "--protocols")
    assert "toy, micro: 2 videos of 2 subjects, 0.1 minutes (with_me)" in printed
    assert "strict" in printed and "0.9500" in printed and "double service" in printed
    printed = metst("score", table, truth, "--kind", "overall", "--scorer", "strict", "--videos", "all")
    assert "released" not in printed and printed.splitlines()[-1].split()[:4] == ["strict", "2", "2", "1"]


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, table, truth):
    bad = tmp_path / "bad.csv"
    bad.write_text("subject,video,onset,offset\ns1,a,9,3\n")
    assert "bad.csv, row 2: onset after offset (9 … 3)" in metst("score", bad, truth, code=1)
    assert "no curves to put" in metst("score", table, truth, "--protocols", code=1)
    assert "unknown scorer 'x'" in metst("score", table, truth, "--scorer", "x", code=1)


def test_curves_of_another_data_set_are_refused(curves, tmp_path):
    other = intervals.write(tmp_path / "other.csv", "others", TRUTH)
    with pytest.raises(ValueError, match=r"curves\.npz is of toy, the truths are of others"):
        scoring.read(curves, other)


def test_curves_of_another_frame_rate_than_the_truths_are_refused(tmp_path, truth):
    given = {A: bump(80, 30), B: bump(60, 20), C: bump(50, 20)}
    doubled = scorefile.write(tmp_path / "doubled.npz", "toy", given, 60)
    with pytest.raises(ValueError, match="video s1 a: 60 frames a second, but the truths have 30"):
        scoring.read(doubled, truth)
