"""Provenance: each number leads back to its folds, and nothing of the machine's names or paths goes along."""

import dataclasses
import json
import platform
import shutil

import pytest
from click.testing import CliRunner

from metst_lib import experiment, figures, provenance, tables, variants
from metst_lib.cli import main

VARIANTS = ("flow-magnitude", "me-tst", "me-tst-plus", "me-tst-plus-no-result-synergy")


def quick(monkeypatch):
    """The demo preset with networks and trainings that take a second."""
    demo = variants.PRESETS["synthetic", "demo"]
    sizes = {
        "METST": {"dim": 8, "depth": 1, "d_state": 4},
        "METSTPlus": {"dim": 8, "n_blocks": 1, "depth": 1, "d_state": 4},
    }
    short = {name: dataclasses.replace(settings, epochs=2) for name, settings in demo.training.items()}
    changed = dataclasses.replace(demo, sizes=sizes, training=short)
    monkeypatch.setitem(variants.PRESETS, ("synthetic", "demo"), changed)


def own_root(tiny_root, root):
    """A compendium folder with the tiny set and its flow, and no runs."""
    experiment.prepare(experiment.configure(variant="me-tst-plus", root=tiny_root), progress=False)
    (root / "data").mkdir(parents=True)
    for name in ("synthetic", "landmarks"):
        (root / "data" / name).symlink_to(tiny_root / "data" / name)
    shutil.copytree(tiny_root / "data" / "flow", root / "data" / "flow")
    return root


def run_all(root):
    """Two seeds of some variants, and the tables, by name."""
    for variant in VARIANTS:
        for seed in (0, 1):
            config = experiment.configure("synthetic", variant, seed, root=root)
            experiment.run_folds(config, experiment.folds(config), progress=False)
    folder = experiment.configure(root=root).figures
    for table in tables.make("synthetic", (0, 1), root=str(root)):
        table.write(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def twice(tiny_root, tmp_path_factory):
    """Two complete and independent runs of the same seeds: (root, files) of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("METST_FIGURES", raising=False)
        quick(patch)
        roots = [own_root(tiny_root, tmp_path_factory.mktemp("own") / "root") for _ in range(2)]
        return [(root, run_all(root)) for root in roots]


@pytest.fixture
def folder(twice, tmp_path):
    """The tables of a complete run, to be read and changed."""
    return shutil.copytree(twice[0][0] / "figures" / "synthetic", tmp_path / "synthetic")


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_two_complete_runs_with_the_same_seeds_give_the_same_tables_byte_by_byte(twice):
    (_, first), (_, second) = twice
    assert list(first) == list(second) and len(first) == 4 * 6
    for name in first:
        if not name.endswith(provenance.SUFFIX):
            assert first[name] == second[name], name
    took = [json.loads(files["table3_analysis.provenance.json"])["runs"] for files in (first, second)]
    assert took[0] != took[1]  # seconds and dates are there, and there alone


def test_the_same_runs_give_the_same_side_file(twice):
    root, files = twice[1]
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        assert run_all(root) == files


def test_each_number_of_table_3_is_traced_to_its_folds(folder):
    found = provenance.trace(folder / "table3_analysis.md")
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
        cell.strip() for cell in row[-4:-1]
    ]
    missing = numbers.loc["transformer (ours)", "come from"]
    assert missing == "transformer, seeds 0, 1: no fold; missing: spNO.1, spNO.2, spNO.3"


def test_columns_and_pairs_are_traced_as_well_as_rows(folder):
    four = provenance.trace(folder / "table4_result_synergy.csv").tables["Numbers"]
    sources = {
        said.split(": ")[0]: line["come from"]
        for _, line in four.iterrows()
        for said in line["numbers"].splitlines()
    }
    assert sources["synthetic, with, spot."].startswith("me-tst-plus, seeds 0, 1: folds")
    assert sources["synthetic, without, recog."].startswith("me-tst-plus-no-result-synergy, seeds")
    pairs = provenance.trace(folder / "table5_differences.tex").tables["Numbers"].set_index("row")
    assert [line.split(",")[0] for line in pairs.loc["7 − 6", "come from"].splitlines()] == [
        "me-tst-plus",
        "me-tst-plus-no-result-synergy",
    ]


def test_the_side_file_says_what_a_fold_was_made_with_and_took(folder, twice):
    content = json.loads((folder / "table5_ablation.provenance.json").read_text())
    config = experiment.configure("synthetic", "me-tst", 1, root=twice[0][0])
    about = json.loads((experiment.fold_folder(config, "spNO.2") / "config.json").read_text())
    (run,) = [r for r in content["runs"] if (r["variant"], r["seed"]) == ("me-tst", 1)]
    fold = dict(zip(content["fold"], run["folds"]["spNO.2"], strict=True))
    for name in ("seconds", "peak_memory_mib", "finished"):
        assert fold[name] == about[name] is not None
    assert fold["predictions"] == about["files"]["predictions.npz"][:12]
    around = content["surroundings"][fold["surroundings"]]
    for name in ("git", "lock", "inputs", "backend", "versions", "machine"):
        assert around[name] == about[name], name
    assert about["machine"]["device"].startswith("cpu: ") and len(about["lock"]) == 64
    assert content["settings"]["me-tst"]["training"]["epochs"] == 2
    shared = [r for r in content["runs"] if r["variant"] == "me-tst-plus-no-result-synergy"]
    assert {r["trained_as"] for r in shared} == {"me-tst-plus"}


def test_side_files_are_small_and_hold_no_path_and_no_host_name(folder, twice):
    for path in folder.glob(f"*{provenance.SUFFIX}"):
        text = path.read_text()
        assert len(text) < 50_000
        for private in (str(twice[0][0]), str(experiment.home()), "/tmp", "/home", platform.node()):
            assert private not in text, (path.name, private)


def test_the_command_prints_it_and_lists_folds_where_asked(folder):
    printed = metst("trace", folder / "table3_analysis.md")
    for word in ("Table III", "me-tst-plus, seeds 0, 1: folds spNO.1, spNO.2, spNO.3", "cpu: ", "epochs 2"):
        assert word in printed, word
    assert "has been changed" not in printed
    assert metst("trace", "--folds", folder / "table3_analysis.provenance.json").count(" spNO.2 ") == 6


def test_a_table_changed_by_hand_is_reported(folder):
    path = folder / "table3_analysis.md"
    path.write_text(path.read_text().replace("0.0", "0.9", 1))
    said = "table3_analysis.md has been changed since"
    assert said in metst("trace", path, code=1)
    assert said in metst("trace", folder / "table3_analysis.provenance.json", code=1)
    assert "changed" not in metst("trace", folder / "table3_analysis.csv")


def test_files_without_provenance_are_answered_plainly(folder, tmp_path):
    assert "Error: no file" in metst("trace", tmp_path / "none.md", code=1)
    (tmp_path / "notes.md").write_text("mine")
    printed = metst("trace", tmp_path / "notes.md", code=1)
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


def test_a_figure_carries_the_runs_it_was_drawn_from(twice, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        run = experiment.read_run(experiment.configure(root=twice[0][0]))
    figure = figures.class_counts({"negative": 3})
    figures.save(figure, tmp_path / "fig", [run])
    assert provenance.trace(tmp_path / "fig.png").tables["Runs"]["variant"].tolist() == ["me-tst"]
    figures.save(figure, tmp_path / "plain", ())
    assert "no run stands behind it" in metst("trace", tmp_path / "plain.pdf")
    figures.save(figure, tmp_path / "bare")
    assert not (tmp_path / "bare.provenance.json").exists()


def test_missing_folds_are_named_below_the_tables_and_lost_scores_made_again(twice, tiny_root, tmp_path):
    root = own_root(tiny_root, tmp_path / "root")
    shutil.copytree(twice[0][0] / "data" / "runs", root / "data" / "runs")
    runs = root / "data" / "runs" / "synthetic"
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        patch.delenv("METST_FIGURES", raising=False)
        shutil.rmtree(runs / "me-tst" / "seed1" / "spNO.2")  # this fold failed
        (runs / "me-tst" / "seed1" / "spNO.3" / "metrics.json").unlink()  # the workflow took it away with it
        metst("tables", "synthetic", "--seeds", 2, "--root", root)
    table = (root / "figures" / "synthetic" / "table3_analysis.md").read_text()
    assert "ME-TST, seed 1: spNO.2" in table and "5 of 6 folds" in table
    assert "transformer, seed 0: all" in table
