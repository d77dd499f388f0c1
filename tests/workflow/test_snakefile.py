"""The workflow on the tiny set: what it runs, what it skips, and what a change makes it run again."""

import subprocess
import sys
from pathlib import Path

import pytest
from trials import compendium, planned

ROOT = Path(__file__).parent.parent.parent
VARIANTS = "flow-magnitude,me-tst"


def workflow(root: Path, *arguments: str, before: str = "", variants: str = VARIANTS) -> str:
    """Run the workflow's folds on a compendium folder; what it printed. `before`: Python run first."""
    code = f"{before}\nimport sys\nfrom metst_lib.app.cli import main\nmain(['workflow', *sys.argv[1:]])"
    command = [sys.executable, "-c", code, "--cores", "2", *arguments]
    command += ["--config", f"root={root}", f"variants={variants}", "--", "folds"]
    result = subprocess.run(command, cwd=root / "work", capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def root(tiny_root, tmp_path_factory) -> Path:
    """The tiny set with runs of its own, the workflow's files beside it, and the yardstick's folds run."""
    root = compendium(tiny_root, tmp_path_factory.mktemp("workflow") / "root")
    (root / "work").mkdir()
    for name in ("Snakefile", "notebooks"):
        (root / "work" / name).symlink_to(ROOT / name)
    workflow(root, variants="flow-magnitude")
    return root


def test_every_fold_leaves_its_metrics_and_its_job_the_executed_notebook(root):
    run = root / "data" / "runs" / "synthetic" / "flow-magnitude" / "micro" / "seed0"
    assert sorted(p.parent.name for p in run.glob("*/metrics.json")) == ["spNO.1", "spNO.2", "spNO.3"]
    executed = (run / "job0.ipynb").read_text()
    assert "flow-magnitude" in executed and '"output_type": "error"' not in executed


def test_what_is_finished_is_not_planned_again(root):
    assert planned(workflow(root, "-n")) == {"me-tst_seed0_job0"}
    assert planned(workflow(root, "-n", variants="flow-magnitude")) == set()


def test_a_lost_fold_is_run_again_and_the_others_are_left_alone(root):
    run = root / "data" / "runs" / "synthetic" / "flow-magnitude" / "micro" / "seed0"
    before = {p: p.read_bytes() for p in sorted(run.glob("*/*.json"))}
    fitted = {p: p.stat().st_mtime_ns for p in run.glob("*/predictions.npz")}
    (run / "spNO.2" / "metrics.json").unlink()
    workflow(root, variants="flow-magnitude")
    assert {p: p.read_bytes() for p in sorted(run.glob("*/*.json"))} == before
    assert {p: p.stat().st_mtime_ns for p in run.glob("*/predictions.npz")} == fitted


def test_a_changed_setting_runs_its_variant_again_and_no_other(root):
    change = """
import dataclasses
from metst_lib.experiment import variants
changed = dataclasses.replace(variants.VARIANTS["flow-magnitude"], result_synergy=True)
variants.VARIANTS["flow-magnitude"] = changed"""
    assert planned(workflow(root, "-n", variants="flow-magnitude")) == set()
    assert planned(workflow(root, "-n", before=change)) == {"flow-magnitude_seed0_job0", "me-tst_seed0_job0"}
    assert planned(workflow(root, "-n", before=change, variants="flow-magnitude")) == {
        "flow-magnitude_seed0_job0"
    }


def test_a_failed_job_keeps_its_notebook_with_the_traceback(root):
    run = root / "data" / "runs" / "synthetic" / "me-tst" / "micro" / "seed0"
    blocked = run / "spNO.3" / "predictions.npz"
    blocked.mkdir(parents=True)  # a folder where this fold's file should go
    with pytest.raises(AssertionError, match=r"me-tst_seed0_job0"):
        workflow(root, variants="me-tst")
    assert not list(run.glob("spNO.3/metrics.json"))
    executed = (run / "job0.ipynb").read_text()
    assert "1 of 3 folds failed: spNO.3: " in executed and "Traceback" in executed
    blocked.rmdir()
    fitted = {p: p.stat().st_mtime_ns for p in run.glob("*/predictions.npz")}
    assert len(fitted) == 2
    workflow(root, variants="me-tst")
    assert len(list(run.glob("*/metrics.json"))) == 3
    assert {p: p.stat().st_mtime_ns for p in fitted} == fitted


def test_flow_that_is_damaged_is_made_again_before_the_folds_are(root):
    whole = {p: p.read_bytes() for p in (root / "data" / "runs").rglob("metrics.json")}
    flow = next((root / "data" / "flow").rglob("spNO.3_a.npz"))
    values = flow.read_bytes()
    flow.write_bytes(values[:1000])
    assert "flow" in planned(workflow(root, "-n", variants="flow-magnitude"))
    workflow(root, variants="flow-magnitude")
    assert flow.read_bytes()[:1000] == values[:1000] and len(flow.read_bytes()) == len(values)
    assert {p: p.read_bytes() for p in whole} == whole
    assert planned(workflow(root, "-n", variants="flow-magnitude")) == set()
