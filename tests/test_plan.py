"""What is left to do: counted from the files that are there, with the times that finished folds took."""

import dataclasses
import shutil

import pytest
from click.testing import CliRunner

from metst_lib import cost, experiment, plan
from metst_lib._files import read_json, write_json
from metst_lib.cli import main


@pytest.fixture
def root(tiny_root, tmp_path):
    """The tiny set with its flow and no runs."""
    shutil.copytree(tiny_root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("runs"))
    return tmp_path


def metst(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def row(root, variant, variants=("flow-magnitude", "me-tst")):
    folds = plan.make("synthetic", [0], variants, root=root).folds
    return folds.set_index("variant").loc[variant]


def test_at_first_all_is_missing_and_the_time_is_estimated(root, monkeypatch):
    monkeypatch.setattr(cost, "step_seconds", lambda config, batch: 0.5)
    missing = row(root, "me-tst")
    _, steps = cost.fold_size(experiment.configure(root=root))
    assert (missing["finished"], missing["missing"], missing["time"]) == (0, 3, "estimated")
    assert missing["which"] == "spNO.1, spNO.2, spNO.3"
    assert missing["hours left"] == pytest.approx(3 * steps * 0.5 / 3600)


def test_time_is_what_finished_folds_took_and_a_finished_run_has_none_left(root):
    config = experiment.configure(variant="flow-magnitude", root=root)
    experiment.run_folds(config, ["spNO.1", "spNO.3"], progress=False)
    for subject, seconds in (("spNO.1", 100), ("spNO.3", 300)):
        path = experiment.fold_folder(config, subject) / "config.json"
        write_json(path, {**read_json(path), "seconds": seconds})
    left = row(root, "flow-magnitude")
    assert (left["finished"], left["which"], left["time"]) == (2, "spNO.2", "measured, 2 folds")
    assert left["hours left"] == pytest.approx(200 / 3600)
    experiment.run_folds(config, ["spNO.2"], progress=False)
    done = plan.make("synthetic", [0], ["flow-magnitude"], root=root)
    assert done.folds["missing"].sum() == 0 and done.in_words(2) == "synthetic: every fold is finished"


def test_a_fold_counts_as_finished_only_where_it_would_be_skipped(root):
    config = experiment.configure(variant="flow-magnitude", root=root)
    experiment.run_folds(config, ["spNO.1", "spNO.2", "spNO.3"], progress=False)
    before = {path: path.stat().st_mtime_ns for path in config.run_folder.rglob("*.json")}
    assert experiment.finished(config) == ["spNO.1", "spNO.2", "spNO.3"]
    assert {path: path.stat().st_mtime_ns for path in before} == before  # looking changes nothing
    (experiment.fold_folder(config, "spNO.2") / "predictions.npz").write_bytes(b"")
    assert experiment.finished(config) == ["spNO.1", "spNO.3"]
    assert experiment.finished(dataclasses.replace(config, p=0.9)) == []
    (config.flow_folder / "complete.json").unlink()
    assert experiment.finished(config) == []


def test_flow_is_counted_by_its_videos(root):
    config = experiment.configure(root=root)
    experiment.flow_path(config, experiment.load_data(config).videos[0]).unlink()
    flow = plan.make("synthetic", [0], ["flow-magnitude"], root=root).flow
    assert flow[["videos", "cached", "missing"]].values.tolist() == [[3, 2, 1]]


def test_the_command_lists_folds_and_says_what_to_do_where_the_data_set_is_not_there(root, monkeypatch):
    monkeypatch.setattr(cost, "step_seconds", lambda config, batch: 0.5)
    printed = metst("plan", "synthetic", "--root", root, "--seeds", 2, "--jobs", 2)
    assert printed.exit_code == 0, printed.output
    folds = 2 * 3 * len(experiment.VARIANTS)
    assert f"{folds} of {folds} folds are missing" in printed.output and "with 2 at once" in printed.output
    absent = metst("plan", "casme3", "--root", root)
    assert absent.exit_code == 1
    assert "no table of CAS(ME)³" in absent.output and "data/README.md says how to apply" in absent.output
