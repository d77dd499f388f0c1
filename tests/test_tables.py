"""Tables: published rows as printed, ours apart from them, and no number from part of the folds."""

import pandas as pd
import pytest

from metst_lib import experiment, metrics, tables


@pytest.fixture(scope="module")
def root(tiny_root):
    """The tiny set with every fold of the yardstick and one of ME-TST's missing."""
    experiment.run_folds(
        experiment.configure(variant="flow-magnitude", root=tiny_root), _all(tiny_root), False
    )
    return tiny_root


def _all(root):
    return experiment.folds(experiment.configure(root=root))


def test_published_tables_are_the_papers():
    assert [len(tables.published(n)) for n in (1, 2, 3, 4, 5)] == [23, 8, 6, 8, 7]
    best = tables.published(3).set_index("method").loc["ME-TST+"]
    assert (best.casme3_strs, best.sammlv_strs) == (0.0487, 0.1848)


def test_ours_stand_in_columns_of_their_own_that_say_synthetic(root):
    for table in tables.make("synthetic", root=str(root)):
        assert "SYNTHETIC" in table.caption
        ours = table.frame["Method"].str.endswith("(ours)")
        assert list(table.frame["Method"][ours]) == ["flow magnitude (ours)", "ME-TST (ours)"]
        for column in table.frame.columns.drop(["Method", "Type"], errors="ignore"):
            theirs = column.endswith("published")
            assert theirs != column.endswith("synthetic, ours")
            assert (table.frame.loc[ours if theirs else ~ours, column] == tables.DASH).all()


def test_a_variant_with_missing_folds_shows_how_many_and_no_number(root):
    frame = tables.make("synthetic", root=str(root))[2].frame.set_index("Method")
    assert set(frame.loc["ME-TST (ours)"]) == {tables.DASH, "0 of 3 folds"}


def test_our_numbers_are_the_pooled_scores(root):
    frame = tables.make("synthetic", root=str(root))[0].frame.set_index("Method")
    run = experiment.read_run(experiment.configure(variant="flow-magnitude", root=root))
    f1 = metrics.evaluate(run.predicted, run.truth).spotting.f1
    assert frame.loc["flow magnitude (ours)", "synthetic, ours"].startswith(f"{f1:.4f} [")


def test_the_settings_of_the_yardstick_are_printed(root):
    notes = " ".join(tables.make("synthetic", root=str(root))[2].notes)
    assert "Flow magnitude has no training; its settings" in notes
    assert "measure" in notes and "half_width" in notes


def test_several_seeds_give_mean_and_deviation():
    one = tables.Estimate((0.5,), 0.4, 0.6)
    three = tables.Estimate((0.4, 0.5, 0.6), 0.3, 0.7)
    assert str(one) == "0.5000 [0.40, 0.60]"
    assert str(three) == "0.5000 ± 0.1000 [0.30, 0.70]"


def test_one_frame_is_written_as_markdown_csv_and_latex(root, tmp_path):
    table = tables.make("synthetic", root=str(root))[2]
    markdown, _, latex = (path.read_text() for path in table.write(tmp_path))
    assert markdown.startswith("**Table III.") and "\n- " in markdown
    back = pd.read_csv(tmp_path / "table3_analysis.csv", dtype=str)
    pd.testing.assert_frame_equal(back, table.frame.astype(str), check_dtype=False)
    assert r"\toprule" in latex and r"\label{tab:table3_analysis}" in latex
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.count(r"\\") == len(table.frame)
    assert "%" not in latex.replace(r"\%", "") and "_" not in latex.split("footnotesize")[1].replace(
        r"\_", ""
    )
