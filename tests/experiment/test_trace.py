"""Where a number comes from, read back: its folds, and whether the file is as it was written."""

import shutil

import pytest
from click.testing import CliRunner
from trials import compendium

from metst_lib import experiment
from metst_lib.app.cli import main
from metst_lib.experiment import provenance, store, tables, trace

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def root(twice):
    """The compendium's folder that the tables are from."""
    return twice[0][0]


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.replace("│", " ").split())  # a cell may break between any two words


def test_each_number_of_table_3_is_traced_to_its_folds(folder, root):
    found = trace.trace(folder / "table3_analysis.md", root=root)
    numbers = found.tables["Numbers"].set_index("row")
    assert list(numbers.index) == [f"{experiment.VARIANTS[name].title} (ours)" for name in tables.OURS]
    line = numbers.loc["ME-TST+ (ours)"]
    assert line["come from"] == "me-tst-plus, seeds 0, 1: folds spNO.1, spNO.2, spNO.3"
    row = next(
        row.split("|")
        for row in (folder / "table3_analysis.md").read_text().splitlines()
        if "ME-TST+ (ours)" in row
    )
    assert [said.split(": ")[1] for said in line["numbers"].splitlines()] == [
        cell.strip() for cell in row[-6:-1]
    ]
    missing = numbers.loc["transformer (ours)", "come from"]
    assert missing == "transformer, seeds 0, 1: no fold; missing: spNO.1, spNO.2, spNO.3"


def test_columns_and_pairs_are_traced_as_well_as_rows(folder, root):
    four = trace.trace(folder / "table4_result_synergy.csv", root=root).tables["Numbers"]
    sources = {
        said.split(": ")[0]: line["come from"]
        for _, line in four.iterrows()
        for said in line["numbers"].splitlines()
    }
    assert sources["synthetic, with, spot."].startswith("me-tst-plus, seeds 0, 1: folds")
    assert sources["synthetic, without, recog."].startswith("me-tst-plus-no-result-synergy, seeds")
    pairs = trace.trace(folder / "table5_differences.tex", root=root).tables["Numbers"].set_index("row")
    assert [line.split(",")[0] for line in pairs.loc["7 − 6", "come from"].splitlines()] == [
        "me-tst-plus",
        "me-tst-plus-no-result-synergy",
    ]


def test_the_command_prints_it_and_lists_folds_where_asked(folder, root):
    printed = metst("trace", "--root", root, folder / "table3_analysis.md")
    for word in ("Table III", "me-tst-plus, seeds 0, 1: folds spNO.1, spNO.2, spNO.3", "cpu: ", "epochs 2"):
        assert word in printed, word
    assert "has been changed" not in printed
    assert (
        metst("trace", "--root", root, "--folds", folder / "table3_analysis.provenance.json").count(
            " spNO.2 "
        )
        == 6
    )


def test_runs_that_cannot_be_asked_are_said_to_be_so(folder, root, monkeypatch):
    def damaged(*_):
        raise ValueError("the workbook is damaged")

    monkeypatch.setattr(trace.runs, "states", damaged)
    printed = metst("trace", folder / "table3_analysis.md", "--root", root, code=1)
    assert "me-tst, seed 0: cannot be asked: the workbook is damaged" in printed


def test_a_table_changed_by_hand_is_reported(folder, root):
    path = folder / "table3_analysis.md"
    path.write_text(path.read_text().replace("0.0", "0.9", 1))
    said = "table3_analysis.md has been changed since"
    assert said in metst("trace", "--root", root, path, code=1)
    assert said in metst("trace", "--root", root, folder / "table3_analysis.provenance.json", code=1)
    assert "changed" not in metst("trace", "--root", root, folder / "table3_analysis.csv")


def test_files_without_provenance_are_answered_plainly(folder, root, tmp_path):
    assert "Error: no file" in metst("trace", "--root", root, tmp_path / "none.md", code=1)
    (tmp_path / "notes.md").write_text("mine")
    printed = metst("trace", "--root", root, tmp_path / "notes.md", code=1)
    assert "notes.md has no side file notes.provenance.json beside it" in printed
    (folder / "table3_analysis.txt").write_text("mine")
    assert "is not about table3_analysis.txt but about table3_analysis.md" in metst(
        "trace", folder / "table3_analysis.txt", code=1
    )
    for content in ("", "{}", '{"files": 3}'):
        (folder / "table3_analysis.provenance.json").write_text(content)
        assert "table3_analysis.provenance.json is damaged" in metst(
            "trace", folder / "table3_analysis.md", code=1
        )


def test_a_figure_without_runs_says_that_none_stands_behind_it(root, tmp_path):
    (tmp_path / "plain.pdf").write_bytes(b"drawn")
    provenance.write([tmp_path / "plain.pdf"], "A drawing.")
    assert "no run stands behind it" in metst("trace", "--root", root, tmp_path / "plain.pdf")


def test_missing_folds_are_named_below_the_tables_and_lost_scores_made_again(twice, tiny_root, tmp_path):
    root = compendium(tiny_root, tmp_path / "root")
    for name in ("runs", "flow"):
        shutil.copytree(twice[0][0] / "data" / name, root / "data" / name, dirs_exist_ok=True)
    config = experiment.configure(seed=1, root=root)
    shutil.rmtree(store.fold_folder(config, "spNO.2"))  # this fold failed
    store.metrics_path(config, "spNO.3").unlink()  # the workflow took it away with it
    metst("tables", "synthetic", "--seeds", 2, "--root", root)
    table = (root / "figures" / "demo" / "table3_analysis.md").read_text()
    assert "ME-TST, seed 1: spNO.2" in table and "5 of 6 folds" in table
    assert "transformer, seed 0: all" in table
    assert store.metrics_path(config, "spNO.3").is_file()
