"""Tables: published rows as printed, ours apart from them, and no number from part of the folds."""

import pandas as pd
import pytest
from handmade import ALL, HALF, run

from metst_lib import datasets, experiment, metrics
from metst_lib.events import Video
from metst_lib.experiment import published, tables
from metst_lib.experiment.estimates import found_in

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


# --- published ------------------------------------------------------------------------------------------


def test_every_data_set_has_a_name_and_synthetic_ones_say_so():
    titles = {name: datasets.reader_of(name).title for name in datasets.known()}
    assert len(set(titles.values())) == len(titles) and {name for name, _ in experiment.PRESETS} <= set(
        titles
    )
    for name, title in titles.items():
        assert ("synthetic" in title) == datasets.reader_of(name).synthetic


def test_the_ticks_of_table_5_are_those_of_the_paper(made):
    frame, theirs = made["table5_ablation"].frame, published.table(5)
    columns = ["multi_granularity_roi", "slowfast", "feature_synergy", "result_synergy"]
    for title, column in zip(frame.columns[1:5], columns, strict=True):
        assert list(frame[title]) == ["✓" if said == "yes" else "×" for said in theirs[column]], title
    assert frame["Row"].tolist() == list("1234567")
    assert frame["STRS, SAMM-LV, published"].tolist()[-1] == "0.1848"


def test_table_4_holds_the_papers_counts_as_printed(made):
    frame = made["table4_result_synergy"].frame.set_index("Metric")
    printed = ["Total", "TP", "FP", "FN", "Precision", "Recall", "F1-score", "STRS"]
    assert list(frame.index) == [*printed, "F1 by chance", "FP/min"]
    column = frame["SAMM-LV, with, recog., published"]
    assert column[printed].tolist() == ["40", "32", "4", "8", "0.6677", "0.6912", "0.6787", "0.1848"]
    assert frame.loc["FP", "CAS(ME)³, without, spot., published"] == "912"


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
            shown = frame[column].drop([8, 9]) if column.endswith("recog., ours") else frame[column]
            assert set(shown) == {"0 of 3 folds"}


def test_our_numbers_are_the_pooled_scores(made, tiny_root):
    frame = made["table1_spotting_f1"].frame.set_index("Method")
    found = experiment.read_run(experiment.configure(variant="flow-magnitude", root=tiny_root))
    f1 = metrics.evaluate(found.predicted, found.truth).spotting.f1
    assert frame.loc["flow magnitude (ours)", "synthetic, ours"].startswith(f"{f1:.4f} [")
    chance = float(frame.loc["flow magnitude (ours)", "F1 by chance, synthetic, ours"])
    assert 0 <= chance < f1
    assert "counting videos with an ME" in made["table1_spotting_f1"].caption


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


def test_table_4_counts_both_tasks_over_seeds():
    off = [run("me-tst-plus-no-result-synergy", ALL, seed) for seed in (0, 1)]
    on = [run("me-tst-plus", ALL), run("me-tst-plus", HALF, 1)]
    runs = {"me-tst-plus-no-result-synergy": off, "me-tst-plus": on}
    videos = [Video(subject, "a", 30.0, 300, ()) for subject in ALL]
    found = {variant: found_in(of_seeds, videos) for variant, of_seeds in runs.items()}
    ours = tables.Ours("synthetic", "made by hand", found, (), (), lambda variants: ())
    frame = tables._table_4(ours).frame.set_index("Metric")
    spotted = frame["synthetic, without, spot., ours"]
    assert spotted[["Total", "TP", "FP", "FN"]].tolist() == ["6", "6", "3", "0"]
    assert spotted["Precision"].startswith("0.6667 ± 0.0000")
    assert spotted["FP/min"] == "6.0"  # three in half a minute
    assert 0 < float(spotted["F1 by chance"]) < 0.2
    named = frame["synthetic, with, recog., ours"]
    # six spotted MEs with one seed, three with the other: mean 4.5, deviation 2.1
    assert named[["Total", "TP", "FP", "FN"]].tolist() == ["4.5 ± 2.1", "4.5 ± 2.1", "0", "0"]


# --- differences ----------------------------------------------------------------------------------------


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
    assert seen[1:] == ["STRS, F1 spot., F1 recog. no difference larger than .02", tables.DASH]
    assert table.frame["STRS, synthetic, ours"][2] == "1 of 3 folds"
    assert "9 such intervals" in " ".join(table.notes)


def test_every_pair_names_known_variants_and_every_row_of_table_5_is_compared():
    named = {variant for _, *pair in tables.PAIRS for variant in pair}
    assert named == set(experiment.TABLED) == set(experiment.VARIANTS) - {"window-classifier"}
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
