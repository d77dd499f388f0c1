"""The study's tables from counts: what is missing is named, effects are worded by the inference, and every
number leads back to its counts, settings and revision."""

import re

import pytest
from click.testing import CliRunner
from toystudy import counted

from metst_lib import inference
from metst_lib.app.cli import main
from metst_lib.experiment import estimates
from metst_lib.study import counts, edition, rows, tables

NAMES = (
    *("table1_spotting_f1", "table2_recognition", "table3_analysis", "table4_result_synergy"),
    *("table5_ablation", "table5_differences", "study_rows", "study_differences", "study_controls"),
    *("study_what_differs", "study_confusion"),
)


def edition_of(replicates, without=()):
    """An edition made by hand; ME-TST+ misses nothing, all others an ME a video."""
    names = [(n, row, seed) for n in replicates for row in rows.ROWS for seed in edition.seeds(row)]
    return {name: counted(name, int(name[1] != "me-tst-plus")) for name in names if name not in without}


@pytest.fixture(scope="module")
def whole():
    """An edition of two replicates in which one row has one of them, and another a seed less in one."""
    return edition_of((1, 2), without={(2, "boosting-vrme", 0), (2, "slowfast-5roi", 1)})


@pytest.fixture(scope="module")
def study(whole):
    return tables.Study(whole)


@pytest.fixture(scope="module")
def made(study):
    return {table.name: table for table in tables.make(study)}


def test_all_tables_are_made_from_counts_and_say_what_they_are_of(made):
    assert tuple(made) == NAMES
    for table in made.values():
        assert "SYNTHETIC data, study: 2 replicates of 4 subjects" in table.caption
    frame = made["table1_spotting_f1"].frame.set_index("Method")
    assert {"chance (ours)", "blind tiling (ours)", "ME-TST+ (ours)"} <= set(frame.index)
    assert "window classifier (ours)" not in frame.index
    assert len(made["study_rows"].frame) == len(rows.ROWS)
    assert len(made["study_differences"].frame) == len(rows.PAIRS)


def test_numbers_are_those_of_counts_pooled_over_replicates_with_whole_ones_left_out(made, study, whole):
    nested = [[whole[n, "me-tst-plus", seed].scores for seed in (0, 1)] for n in (1, 2)]
    expected = inference.interval_of(nested, "spotting.f1")
    cell = made["study_rows"].frame.set_index("Row").loc["ME-TST+", "F1 spot., synthetic study, ours"]
    assert cell.startswith(f"{expected.value:.4f} ± ") and cell.endswith(
        f"[{expected.low:.2f}, {expected.high:.2f}]"
    )
    total = (
        sum(int(row["tp"]) for n in (1, 2) for row in whole[n, "me-tst-plus", 0].rows),
        sum(int(row["fp"]) for n in (1, 2) for row in whole[n, "me-tst-plus", 0].rows),
    )
    assert expected.value == pytest.approx(2 * total[0] / (2 * total[0] + total[1] + 2))  # two MEs missed


def test_of_a_single_replicate_its_groups_are_left_out(whole):
    one = tables.Study({name: found for name, found in whole.items() if name[0] == 1})
    scores = [whole[1, "me-tst", seed].scores for seed in (0, 1)]
    groups = {"s0": "1", "s1": "1", "s2": "2", "s3": "2"}
    expected = inference.interval_of(scores, "spotting.f1", units=groups)
    found = estimates.estimates(one.found("me-tst"))["spotting.f1"]
    assert (found.low, found.high) == (expected.low, expected.high)
    assert expected.low != inference.interval_of(scores, "spotting.f1").low
    assert "jackknife over groups" in one.about() and one.replicates == [1]


def test_what_is_missing_is_named_and_never_in_a_mean_without_a_word(made, study):
    note = " ".join(made["table1_spotting_f1"].notes)
    assert "Missing from this edition: of 5 replicates 3, 4, 5; BoostingVRME: replicate 2." in note
    cell = made["table1_spotting_f1"].frame.set_index("Method").loc["BoostingVRME (ours)"]
    assert cell["synthetic study, ours"].endswith("] (replicate 1 only)")
    frame = made["study_rows"].frame.set_index("Row")["Replicates × seeds"]
    assert frame["BoostingVRME"] == "1 × 1" and frame["slow-fast, 5 regions"] == "2 × 1"
    assert frame["ME-TST+"] == "2 × 2"
    pairs = made["study_differences"].frame.set_index("Claim")["Replicates × seeds"]
    assert pairs["18 regions in place of 5, in ME-TST+"] == "2 × 1"
    none = tables.Study({n: one for n, one in study.counted.items() if n[1] != "me-tst"})
    table = {table.name: table for table in tables.make(none)}
    assert "0 of 2 replicates" in set(table["table5_ablation"].frame["STRS, synthetic study, ours"])
    assert tables.DASH in set(table["study_differences"].frame["Seen in ours"])


def test_effects_are_worded_by_the_inference_after_holm(made, study):
    frame = made["study_differences"].frame.set_index("Claim")
    a, b = (study.found(row) for row in ("me-tst-plus", "me-tst-plus-one-speed"))
    one = estimates.differences(a, b)["spotting.f1"]
    cell = frame.loc["two speeds in place of one", "F1 spot., synthetic study, ours"]
    assert cell.startswith(f"{one} p {one.p:.3f}, Holm ") and one.value > 0
    assert one.words == "higher with every replicate"
    alike = frame.loc["Mamba in place of attention"]
    assert alike["F1 spot., synthetic study, ours"] == "+0.0000 [+0.000, +0.000] p 1.000, Holm 1.000"
    assert alike["Seen in ours"] == "STRS, F1 spot., F1 recog. no difference larger than .02"
    notes = " ".join(made["study_differences"].notes)
    assert "Of the paper's claims: Mamba in place of attention: STRS, F1 spot., F1 recog. no diff" in notes


def test_the_confusion_matrix_is_the_sum_of_the_counts_and_names_shared_units(made, study, whole):
    seen = tables.confusion(study.found("me-tst-plus"))
    rows_of = [row for name, one in whole.items() if name[1] == "me-tst-plus" for row in one.rows]
    assert seen[1, 0] == sum(int(row["positive>negative"] or 0) for row in rows_of) > 0
    frame = made["study_confusion"].frame.set_index("True class")
    share = seen[1, 0] / seen[1].sum()
    assert frame.loc["positive", "called negative, synthetic study, ours"] == f"{seen[1, 0]} ({share:.0%})"
    note = " ".join(made["study_confusion"].notes)
    assert re.search(
        r"positive is most often taken for negative .*; in both move: AU\d+ \(\d+% and \d+%\)", note
    )


def test_groups_that_differ_between_replicates_are_refused(whole):
    one, other = whole[1, "me-tst", 0], whole[2, "me-tst", 0]
    moved = counts.Counted(other.run, tuple(line.replace(",0,2,s2,", ",0,1,s2,") for line in other.lines))
    with pytest.raises(ValueError, match="me-tst: the runs do not leave out the same groups of subjects"):
        tables.Study({one.run.name: one, moved.run.name: moved}).found("me-tst")


# --- from the command line ------------------------------------------------------------------------------


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_each_number_leads_to_its_counts_settings_and_revision(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("METST_FIGURES", str(tmp_path))
    into = tmp_path / "synthetic"
    counts.write(into, whole.values())
    written = metst("study", "tables")
    assert all(f"{name}.md" in written for name in NAMES) and "fig5_confusion.png" in written
    said = metst("trace", into / "table5_ablation.md")
    for words in (
        "me-tst-plus, seeds 0, 1: replicates 1, 2",
        "counts.csv",
        "row me-tst-plus)",
        f"difficulty {edition.identity((1, 'me-tst', 0))['difficulty']}",
        "abc123",
        "torch 2",
    ):
        assert words in re.sub(r"[\s│]+", " ", said), words
    counts.write(into, (whole | {(1, "me-tst", 0): counted((1, "me-tst", 0), 2)}).values())
    said = metst("trace", into / "table5_ablation.md", code=1)
    assert "replicate 1, me-tst, seed 0: made again since" in said
    path = into / counts.NAME
    path.write_text(path.read_text().replace("1,me-tst,0,1,s0,a,8.0,", "1,me-tst,0,1,s0,a,9.0,"))
    for command in (("trace", into / "table5_ablation.md"), ("study", "tables")):
        said = metst(*command, code=1)
        assert "was edited: replicate 1, me-tst, seed 0 is not as it was counted" in said
