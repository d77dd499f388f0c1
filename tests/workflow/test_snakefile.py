"""The workflow on the tiny set: what it runs, what it skips, and what a change makes it run again."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
VARIANTS = "flow-magnitude,me-tst"


def snakemake(root: Path, *arguments: str, before: str = "", variants: str = VARIANTS) -> str:
    """Run the workflow's folds on a compendium folder; what it printed. `before`: Python run first."""
    code = f"{before}\nimport sys\nfrom snakemake.cli import main\nmain(sys.argv[1:])"
    settings = ["--config", f"root={root}", f"variants={variants}"]
    command = [sys.executable, "-c", code, "--cores", "2", "--directory", str(root / "work"), *arguments]
    command += ["--snakefile", str(root / "work" / "Snakefile"), *settings, "--", "folds"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def planned(output: str) -> set[str]:
    """Names of the jobs of a dry run, less the target itself."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, re.M | re.S)
    return {line.split()[0] for line in table[1].splitlines()} - {"folds"} if table else set()


@pytest.fixture(scope="module")
def root(tiny_root, tmp_path_factory) -> Path:
    """The tiny set with runs of its own, the workflow's files beside it, and the yardstick's folds run."""
    root = tmp_path_factory.mktemp("workflow")
    shutil.copytree(tiny_root / "data", root / "data", ignore=shutil.ignore_patterns("runs"))
    (root / "work").mkdir()
    for name in ("Snakefile", "notebooks"):
        (root / "work" / name).symlink_to(ROOT / name)
    snakemake(root, variants="flow-magnitude")
    return root


def test_every_fold_leaves_its_metrics_and_its_job_the_executed_notebook(root):
    run = root / "data" / "runs" / "synthetic" / "flow-magnitude" / "seed0"
    assert sorted(p.parent.name for p in run.glob("*/metrics.json")) == ["spNO.1", "spNO.2", "spNO.3"]
    executed = (run / "job0.ipynb").read_text()
    assert "flow-magnitude" in executed and '"output_type": "error"' not in executed


def test_what_is_finished_is_not_planned_again(root):
    assert planned(snakemake(root, "-n")) == {"me-tst_seed0_job0"}
    assert planned(snakemake(root, "-n", variants="flow-magnitude")) == set()


def test_a_lost_fold_is_run_again_and_the_others_are_left_alone(root):
    run = root / "data" / "runs" / "synthetic" / "flow-magnitude" / "seed0"
    before = {p: p.read_bytes() for p in sorted(run.glob("*/*.json"))}
    fitted = {p: p.stat().st_mtime_ns for p in run.glob("*/predictions.npz")}
    (run / "spNO.2" / "metrics.json").unlink()
    snakemake(root, variants="flow-magnitude")
    assert {p: p.read_bytes() for p in sorted(run.glob("*/*.json"))} == before
    assert {p: p.stat().st_mtime_ns for p in run.glob("*/predictions.npz")} == fitted


def test_a_changed_setting_runs_its_variant_again_and_no_other(root):
    change = """
import dataclasses
from metst_lib import variants
changed = dataclasses.replace(variants.VARIANTS["flow-magnitude"], result_synergy=True)
variants.VARIANTS["flow-magnitude"] = changed"""
    assert planned(snakemake(root, "-n", variants="flow-magnitude")) == set()
    assert planned(snakemake(root, "-n", before=change)) == {"flow-magnitude_seed0_job0", "me-tst_seed0_job0"}
    assert planned(snakemake(root, "-n", before=change, variants="flow-magnitude")) == {
        "flow-magnitude_seed0_job0"
    }


def test_a_failed_job_keeps_its_notebook_with_the_traceback(root):
    flow = next((root / "data" / "flow").rglob("spNO.3_a.npz"))
    whole = flow.read_bytes()
    flow.write_bytes(whole[:1000])
    try:
        with pytest.raises(AssertionError, match=r"me-tst_seed0_job0"):
            snakemake(root, variants="me-tst")
    finally:
        flow.write_bytes(whole)
    run = root / "data" / "runs" / "synthetic" / "me-tst" / "seed0"
    assert not list(run.glob("*/metrics.json"))
    assert "spNO.3_a.npz" in (run / "job0.ipynb").read_text()
