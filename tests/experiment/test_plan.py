"""What is left to do: counted from the files that are there, with the times that finished folds took."""

import dataclasses

import pytest
from click.testing import CliRunner
from trials import compendium

from metst_lib import experiment
from metst_lib.app.cli import main
from metst_lib.experiment import plan, records, store


@pytest.fixture
def root(tiny_root, tmp_path):
    """The tiny set with its flow and no runs."""
    return compendium(tiny_root, tmp_path / "own")


def metst(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def row(root, variant, variants=("flow-magnitude", "me-tst")):
    folds = plan.make("synthetic", [0], variants, root=root).folds
    return folds.set_index("variant").loc[variant]


def test_at_first_all_is_missing_and_the_time_is_estimated(root, monkeypatch):
    monkeypatch.setattr(plan, "step_seconds", lambda config, batch: 0.5)
    missing = row(root, "me-tst")
    _, steps = plan.fold_size(experiment.configure(root=root))
    assert (missing["finished"], missing["missing"], missing["time"]) == (0, 3, "estimated")
    assert missing["which"] == "spNO.1, spNO.2, spNO.3"
    assert missing["hours left"] == pytest.approx(3 * steps * 0.5 / 3600)


def test_time_is_what_finished_folds_took_and_a_finished_run_has_none_left(root):
    config = experiment.configure(variant="flow-magnitude", root=root)
    experiment.run_folds(config, ["spNO.1", "spNO.3"], progress=False)
    for subject, seconds in (("spNO.1", 100), ("spNO.3", 300)):
        record = store.read_fitting(config, subject)
        took = dataclasses.replace(record, spent=dataclasses.replace(record.spent, seconds=seconds))
        records.write(store.fold_folder(config, subject) / "config.json", took)
    left = row(root, "flow-magnitude")
    assert (left["finished"], left["which"], left["time"]) == (2, "spNO.2", "measured, 2 folds")
    assert left["hours left"] == pytest.approx(200 / 3600)
    experiment.run_folds(config, ["spNO.2"], progress=False)
    done = plan.make("synthetic", [0], ["flow-magnitude"], root=root)
    assert done.folds["missing"].sum() == 0 and done.in_words(2) == "synthetic: every fold is finished"


def test_a_fold_counts_as_finished_only_where_it_would_be_skipped(root, monkeypatch):
    config = experiment.configure(variant="flow-magnitude", root=root)
    experiment.run_folds(config, ["spNO.1", "spNO.2", "spNO.3"], progress=False)

    def counted():
        found = row(root, "flow-magnitude", ["flow-magnitude"])
        return [found[name] for name in ("finished", "missing", "stale", "which")]

    before = {path: path.stat().st_mtime_ns for path in store.run_folder(config).rglob("*.json")}
    assert counted() == [3, 0, 0, ""]
    assert {path: path.stat().st_mtime_ns for path in before} == before  # looking changes nothing
    (store.fold_folder(config, "spNO.2") / "predictions.npz").write_bytes(b"")
    store.metrics_path(config, "spNO.3").unlink()
    assert counted() == [1, 1, 1, "spNO.3, spNO.2"]
    said = plan.make("synthetic", [0], ["flow-magnitude"], root=root).in_words(2)
    assert "2 of 3 folds are missing, 1 of them stale" in said
    store.flow_report_path(config).unlink()
    assert counted()[:3] == [0, 1, 2]


def test_flow_is_counted_by_its_videos(root):
    config = experiment.configure(root=root)
    store.flow_path(config, experiment.load_data(config).videos[0]).unlink()
    flow = plan.make("synthetic", [0], ["flow-magnitude"], root=root).flow
    assert flow[["videos", "cached", "missing"]].values.tolist() == [[3, 2, 1]]


def test_the_command_lists_folds_and_says_what_to_do_where_the_data_set_is_not_there(root, monkeypatch):
    monkeypatch.setattr(plan, "step_seconds", lambda config, batch: 0.5)
    printed = metst("plan", "synthetic", "--root", root, "--seeds", 2, "--jobs", 2)
    assert printed.exit_code == 0, printed.output
    folds = 2 * 3 * len(experiment.TABLED)
    assert f"{folds} of {folds} folds are missing" in printed.output and "with 2 at once" in printed.output
    absent = metst("plan", "casme3", "--root", root)
    assert absent.exit_code == 1
    assert "no table of CAS(ME)³" in absent.output and "data/README.md says how to apply" in absent.output


# --- the workflow ---------------------------------------------------------------------------------------


def test_the_workflow_has_a_job_for_each_group_of_folds(root):
    found = plan.workflow(root=str(root), variants="me-tst,me-tst-plus", seeds="2", folds_per_job="2")
    assert [job.name for job in found.jobs] == [
        f"{variant}_seed{seed}_job{number}"
        for variant in ("me-tst", "me-tst-plus")
        for seed in (0, 1)
        for number in (0, 1)
    ]
    assert [job.subjects for job in found.jobs[:2]] == [["spNO.1", "spNO.2"], ["spNO.3"]]
    assert [job.chapter for job in found.jobs[3:5]] == ["03_me_tst", "04_me_tst_plus"]
    assert len(found.metrics) == len(set(found.metrics)) == 2 * 2 * 3
    runs = root / "data" / "runs" / "synthetic"
    assert found.metrics[0] == runs / "me-tst" / "micro" / "seed0" / "spNO.1" / "metrics.json"
    assert found.jobs[1].log == runs / "me-tst" / "micro" / "seed0" / "job1.ipynb"
    assert list(found.flow) == ["me-tst", "me-tst-plus"] and len(found.pages) == 8
    assert [path.name for path in found.model] == ["me-tst-plus.npz"]
    (whole,) = plan.workflow(root=str(root), variants="me-tst").jobs
    assert whole.subjects == ["spNO.1", "spNO.2", "spNO.3"]


def test_a_run_that_shares_a_training_waits_for_it(root):
    found = plan.workflow(root=str(root), variants="me-tst-plus,me-tst-plus-no-result-synergy")
    with_, without = found.jobs
    assert with_.needs == [] and without.needs == with_.metrics


def test_the_workflow_of_a_set_to_be_rendered_knows_its_subjects(tmp_path):
    found = plan.workflow(root=str(tmp_path), variants="flow-magnitude")
    assert found.folds == [f"spNO.{number}" for number in range(1, 9)] and len(found.metrics) == 8
    assert [path.relative_to(tmp_path).as_posix() for path in found.rendered] == [
        "data/synthetic/complete.json"
    ]
    assert plan.stale(found) == set() and list(found.to_extract) == ["me-tst"]


def test_the_workflow_forces_the_jobs_that_do_not_hold_and_no_other(root):
    config = experiment.configure(variant="flow-magnitude", root=root)
    experiment.run_folds(config, ["spNO.1", "spNO.2"], progress=False)

    def forced(**options):
        return plan.stale(plan.workflow(root=str(root), variants="flow-magnitude,me-tst", **options))

    assert forced() == set()
    path = store.fold_folder(config, "spNO.2") / "predictions.npz"
    path.write_bytes(b"")
    assert forced() == {"flow-magnitude_seed0_job0"}
    assert forced(folds_per_job=1) == {"flow-magnitude_seed0_job1"}
    experiment.run_folds(config, ["spNO.2"], progress=False)
    assert forced() == set()
    store.flow_path(config, experiment.load_data(config).videos[2]).unlink()
    assert forced(folds_per_job=1) == {"flow", "flow-magnitude_seed0_job0", "flow-magnitude_seed0_job1"}
