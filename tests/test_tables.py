"""Tables: published rows as printed, ours apart from them, and no number from part of the folds."""

import pandas as pd
import pytest

from metst_lib import datasets, experiment, metrics, tables
from metst_lib.events import EMOTIONS, Event

NAMES = [
    "table1_spotting_f1",
    "table2_recognition",
    "table3_analysis",
    "table4_result_synergy",
    "table5_ablation",
    "table5_differences",
]


@pytest.fixture(scope="module")
def made(tiny_root):
    """The tables of the tiny set, by name: every fold of the yardstick is there, none of the others."""
    config = experiment.configure(variant="flow-magnitude", root=tiny_root)
    experiment.run_folds(config, experiment.folds(config), progress=False)
    return {table.name: table for table in tables.make("synthetic", root=str(tiny_root))}


def run(variant, found, seed=0, missing=()):
    """A run of three subjects with one negative and one surprise ME each; found: how many of each are hit."""
    config = experiment.configure("synthetic", variant, seed)
    folds = {}
    for subject, hits in found.items():
        key = (subject, "a")
        truth = [Event(20, 30, emotion="negative"), Event(60, 70, emotion="surprise")]
        predicted = [*truth[:hits], Event(200, 210, emotion="negative")]
        scores = metrics.evaluate({key: predicted}, {key: truth})
        folds[subject] = experiment.Fold(
            subject, {key: predicted}, {key: truth}, {}, {}, 5, scores, {}, pd.DataFrame()
        )
    return experiment.Run(config, folds, list(missing))


ALL, HALF = {"s1": 2, "s2": 2, "s3": 2}, {"s1": 1, "s2": 1, "s3": 1}


# --- published ------------------------------------------------------------------------------------------


def test_published_tables_are_the_papers():
    assert [len(tables.published(n)) for n in (1, 2, 3, 4, 5)] == [23, 8, 6, 8, 7]
    best = tables.published(3).set_index("method").loc["ME-TST+"]
    assert (best.casme3_strs, best.sammlv_strs) == (0.0487, 0.1848)


def test_every_data_set_has_a_name_and_synthetic_ones_say_so():
    assert set(datasets.TITLES) == set(datasets.known()) == {name for name, _ in experiment.PRESETS}
    for name, title in datasets.TITLES.items():
        assert ("synthetic" in title) == experiment.configure(name).synthetic


def test_the_ticks_of_table_5_are_those_of_the_paper(made):
    frame, theirs = made["table5_ablation"].frame, tables.published(5)
    columns = ["multi_granularity_roi", "slowfast", "feature_synergy", "result_synergy"]
    for title, column in zip(frame.columns[1:5], columns, strict=True):
        assert list(frame[title]) == ["✓" if said == "yes" else "×" for said in theirs[column]], title
    assert frame["Row"].tolist() == list("1234567")
    assert frame["STRS, SAMM-LV, published"].tolist()[-1] == "0.1848"


def test_table_4_holds_the_papers_counts_as_printed(made):
    frame = made["table4_result_synergy"].frame.set_index("Metric")
    assert list(frame.index) == ["Total", "TP", "FP", "FN", "Precision", "Recall", "F1-score", "STRS"]
    column = frame["SAMM-LV, with, recog., published"]
    assert column.tolist() == ["40", "32", "4", "8", "0.6677", "0.6912", "0.6787", "0.1848"]
    assert frame.loc["FP", "CAS(ME)³, without, spot., published"] == "912"


def test_contradictions_are_computed_from_the_published_tables():
    found = tables.contradictions().set_index("place")
    assert "0.1044" in found.loc["Table III, USTC-IAT-United", "elsewhere"]
    assert "0.0969" in found.loc["Table III, He et al.", "elsewhere"]
    assert "of precision 2/3 0.6787" in found.loc["Table IV, SAMM-LV, recognition, with", "elsewhere"]
    assert "LGSNet 0.0990" in found.loc["Sec. IV-C, spotting above all others", "elsewhere"]
    assert (
        "0.0851, 0.1221 against 0.1356" in found.loc["Table V, SAMM-LV, rows 3 and 4 against 2", "elsewhere"]
    )
    assert "858" in found.loc["Sec. IV-A, MEs of CAS(ME)³", "elsewhere"]


# --- ours beside theirs ---------------------------------------------------------------------------------


def test_ours_stand_in_columns_of_their_own_that_say_synthetic(made):
    assert list(made) == NAMES
    titles = [f"{experiment.VARIANTS[name].title} (ours)" for name in tables.OURS]
    for name in NAMES[:3]:
        frame = made[name].frame
        ours = frame["Method"].str.endswith("(ours)")
        assert list(frame["Method"][ours]) == titles
        for column in frame.columns.drop(["Method", "Type"], errors="ignore"):
            theirs = column.endswith("published")
            assert theirs != column.endswith("synthetic, ours")
            assert (frame.loc[ours if theirs else ~ours, column] == tables.DASH).all()


def test_every_table_says_synthetic_in_its_caption_and_whose_each_number_is(made):
    for table in made.values():
        assert "SYNTHETIC" in table.caption
        numbers = [column for column in table.frame.columns if ", " in column]
        ours = [column for column in numbers if column.endswith("ours")]
        assert ours and all("synthetic" in column for column in ours)
        assert all(column.endswith("published") for column in set(numbers) - set(ours))


def test_a_variant_with_missing_folds_shows_how_many_and_no_number(made):
    frame = made["table3_analysis"].frame.set_index("Method")
    assert set(frame.loc["ME-TST (ours)"]) == {tables.DASH, "0 of 3 folds"}
    for name in ("table4_result_synergy", "table5_ablation", "table5_differences"):
        frame = made[name].frame
        for column in frame.columns[frame.columns.str.endswith("ours") & (frame.columns != "Seen in ours")]:
            assert set(frame[column]) == {"0 of 3 folds"}


def test_part_of_the_folds_gives_how_many_there_are():
    partial = run("me-tst", {"s1": 1, "s2": 2}, missing=["s3"])
    (row,) = tables.our_rows({"me-tst": [run("me-tst", ALL), partial]}).to_dict("records")
    assert {row[measure] for measure in metrics.MEASURES} == {"5 of 6 folds"}  # of both seeds


def test_our_numbers_are_the_pooled_scores(made, tiny_root):
    frame = made["table1_spotting_f1"].frame.set_index("Method")
    found = experiment.read_run(experiment.configure(variant="flow-magnitude", root=tiny_root))
    f1 = metrics.evaluate(found.predicted, found.truth).spotting.f1
    assert frame.loc["flow magnitude (ours)", "synthetic, ours"].startswith(f"{f1:.4f} [")


def test_the_settings_of_the_yardstick_are_printed(made):
    notes = " ".join(made["table3_analysis"].notes)
    assert "Flow magnitude has no training; its settings" in notes
    assert "measure" in notes and "half_width" in notes


def test_each_table_names_what_cannot_be_compared(made):
    notes = {name: " ".join(table.notes) for name, table in made.items()}
    assert (
        "challenge scorer" in notes["table1_spotting_f1"] and "challenge scorer" in notes["table3_analysis"]
    )
    assert "four classes" in notes["table2_recognition"]
    assert "0.6677" in notes["table4_result_synergy"] and "11/18" in notes["table4_result_synergy"]
    assert "two things" in notes["table5_ablation"] and "parameters: row 2" in notes["table5_ablation"]


# --- several seeds --------------------------------------------------------------------------------------


def test_several_seeds_give_mean_and_deviation():
    one = tables.Estimate((0.5,), 0.4, 0.6)
    three = tables.Estimate((0.4, 0.5, 0.6), 0.3, 0.7)
    assert str(one) == "0.5000 [0.40, 0.60]"
    assert str(three) == "0.5000 ± 0.1000 [0.30, 0.70]"


def test_table_4_counts_both_tasks_over_seeds(tiny_root):
    config = experiment.configure(root=tiny_root)
    off = [run("me-tst-plus-no-result-synergy", ALL, seed) for seed in (0, 1)]
    on = [run("me-tst-plus", ALL), run("me-tst-plus", HALF, 1)]
    runs = {"me-tst-plus-no-result-synergy": off, "me-tst-plus": on}
    frame = tables._table_4(config, runs, ()).frame.set_index("Metric")
    spotted = frame["synthetic, without, spot., ours"]
    assert spotted[["Total", "TP", "FP", "FN"]].tolist() == ["6", "6", "3", "0"]
    assert spotted["Precision"].startswith("0.6667 ± 0.0000")
    named = frame["synthetic, with, recog., ours"]
    # six spotted MEs with one seed, three with the other: mean 4.5, deviation 2.1
    assert named[["Total", "TP", "FP", "FN"]].tolist() == ["4.5 ± 2.1", "4.5 ± 2.1", "0", "0"]


def test_absent_classes_are_named_once_for_each_run():
    (note,) = tables._absent({"me-tst": [run("me-tst", ALL), run("me-tst", HALF, 1)]})
    assert "ME-TST, seed 0: positive; ME-TST, seed 1: positive, surprise" in note
    everything = run("me-tst", ALL)
    truth = {("s1", "a"): [Event(20 * i, 20 * i + 9, emotion=e) for i, e in enumerate(EMOTIONS)]}
    everything.folds["s1"].truth.update(truth)
    everything.folds["s1"].predicted.update(truth)
    assert tables._absent({"me-tst": [everything]}) == ()


# --- differences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "low", "high", "words"),
    [
        ((0.1, 0.2), 0.01, 0.3, "higher with every seed"),
        ((-0.1, -0.2), -0.3, -0.01, "lower with every seed"),
        ((0.3, -0.1), 0.01, 0.2, "higher on average, not with every seed"),
        ((0.1,), 0.01, 0.2, "higher with one seed"),
        ((0.1, 0.2), -0.001, 0.3, "no difference seen"),
        ((0.1, 0.2), 0.0, 0.3, "no difference seen"),
        ((0.0,), 0.0, 0.0, "no difference seen"),
    ],
)
def test_no_difference_is_called_one_where_its_interval_contains_zero(values, low, high, words):
    assert tables.Difference(values, low, high).words == words


def test_differences_are_those_of_each_seed_and_of_their_mean():
    a = [run("me-tst-plus", ALL), run("me-tst-plus", HALF, 1)]
    b = [run("me-tst", HALF), run("me-tst", HALF, 1)]
    f1 = tables.differences(a, b)["spotting.f1"]
    # all hit: 2·6/(2·6 + 3 + 0) = 0.8; half hit: 2·3/(2·3 + 3 + 3) = 0.5
    assert f1.values == pytest.approx((0.3, 0.0)) and f1.value == pytest.approx(0.15)
    assert f1.words == "higher on average, not with every seed"
    # three equal subjects: every draw gives the same difference
    assert str(f1) == "+0.1500 [+0.150, +0.150]"


def test_differences_refuse_seeds_that_do_not_pair():
    with pytest.raises(ValueError, match="same seeds"):
        tables.differences([run("me-tst-plus", ALL)], [run("me-tst", ALL, 1)])


def test_the_difference_table_reads_what_its_intervals_allow():
    runs = {"me-tst-plus": [run("me-tst-plus", ALL)], "me-tst": [run("me-tst", HALF)]}
    runs["transformer"] = [run("transformer", HALF)]
    runs["flow-magnitude"] = [run("flow-magnitude", {"s1": 1}, missing=["s2", "s3"])]
    pairs = (
        ("plus", "me-tst-plus", "me-tst"),
        ("attention", "me-tst", "transformer"),
        ("none", "me-tst", "flow-magnitude"),
    )
    table = tables.difference_table(runs, pairs)
    assert list(table.frame["Rows"]) == ["7 − 2", "2 − transformer", "2 − flow magnitude"]
    assert list(table.frame["STRS, SAMM-LV, published"]) == ["+0.0492", tables.DASH, tables.DASH]
    seen = list(table.frame["Seen in ours"])
    assert seen[0] == "STRS, F1 spot., F1 recog. higher with one seed"
    assert seen[1:] == ["no difference seen", tables.DASH]
    assert table.frame["STRS, synthetic, ours"][2] == "1 of 3 folds"
    assert "9 such intervals" in " ".join(table.notes)


def test_every_pair_names_known_variants_and_every_row_of_table_5_is_compared():
    named = {variant for _, *pair in tables.PAIRS for variant in pair}
    assert named == set(experiment.VARIANTS)
    assert set(tables.ABLATION) <= named


# --- files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_is_written_as_markdown_csv_and_latex(made, tmp_path, name):
    table = made[name]
    markdown, _, latex = (path.read_text() for path in table.write(tmp_path))
    assert markdown.startswith("**Table ") and "\n- " in markdown
    back = pd.read_csv(tmp_path / f"{name}.csv", dtype=str)
    pd.testing.assert_frame_equal(back, table.frame.astype(str), check_dtype=False)
    assert r"\toprule" in latex and rf"\label{{tab:{name}}}" in latex
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.count(r"\\") == len(table.frame)
    assert "%" not in latex.replace(r"\%", "")
    assert "_" not in latex.split("footnotesize")[1].replace(r"\_", "")
    assert not set("✓×−→") & set(latex)


def test_the_same_runs_give_the_same_bytes(made, tiny_root, tmp_path):
    again = {table.name: table for table in tables.make("synthetic", root=str(tiny_root))}
    for name, table in made.items():
        first, second = table.write(tmp_path / "a"), again[name].write(tmp_path / "b")
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
