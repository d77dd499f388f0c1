"""Provenance: what a fold was made with goes along, and nothing of the machine's names or paths does."""

import json
import platform

import pytest
from complete import run_all

from metst_lib import experiment
from metst_lib.experiment import provenance, records, store

pytestmark = pytest.mark.usefixtures("quick")


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
    assert run_all(root) == files


def test_the_side_file_says_what_a_fold_was_made_with_and_took(folder, twice):
    content = json.loads((folder / "table5_ablation.provenance.json").read_text())
    config = experiment.configure("synthetic", "me-tst", 1, root=twice[0][0])
    about = store.read_fitting(config, "spNO.2")
    (run,) = [r for r in content["runs"] if (r["variant"], r["seed"]) == ("me-tst", 1)]
    fold = dict(zip(content["fold"], run["folds"]["spNO.2"], strict=True))
    for name in ("seconds", "peak_memory_mib", "finished"):
        assert fold[name] == getattr(about.spent, name) is not None
    assert fold["predictions"] == about.files["predictions.npz"][:12]
    assert fold["identity"] == json.loads(store.metrics_path(config, "spNO.2").read_text())["identity"]
    around = content["surroundings"][fold["surroundings"]]
    assert around == about.made_with and set(around) == {"git", "lock", "backend", "versions", "machine"}
    assert around["machine"]["device"].startswith("cpu: ") and len(around["lock"]) == 64
    assert content["settings"]["me-tst"]["training"]["epochs"] == 2
    shared = [r for r in content["runs"] if r["variant"] == "me-tst-plus-no-result-synergy"]
    assert {r["trained_as"] for r in shared} == {"me-tst-plus"}


def test_side_files_are_small_and_hold_no_path_and_no_host_name(folder, twice):
    for path in folder.glob(f"*{provenance.SUFFIX}"):
        text = path.read_text()
        assert len(text) < 50_000
        for private in (str(twice[0][0]), str(experiment.home()), "/tmp", "/home", platform.node()):
            assert private not in text, (path.name, private)


def test_a_figure_carries_the_runs_it_was_drawn_from(twice, tmp_path):
    run = experiment.read_run(experiment.configure(root=twice[0][0]))
    files = [tmp_path / "fig.png", tmp_path / "fig.pdf"]
    for path in files:
        path.write_bytes(path.suffix.encode())
    side = provenance.write(files, "A drawing.", [run])
    content = records.read(side, provenance.SideFile)
    assert side == provenance.side_file(files[1]) and set(content.files) == {"fig.png", "fig.pdf"}
    assert [(about.variant, list(about.folds)) for about in content.runs] == [("me-tst", list(run.folds))]
