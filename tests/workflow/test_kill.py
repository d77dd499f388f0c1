"""A run that is killed, or whose disk fills, and is started again ends like one that ran through.

And where a single fold fails, the others go on and the tables say which one is missing.

The workflow is the real one, on the tiny set, with two trainings of three folds at once. Its notebook is cut
down to the cell that runs folds, since the rest of the chapter has no part in this. Checkpoints are kept
after every epoch, so that a kill in the middle of a training shows whether it goes on from there.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from trials import compendium

from metst_lib import experiment
from metst_lib.app.cli import main

ROOT = Path(__file__).parent.parent.parent
VARIANTS = ("me-tst", "window-classifier")
FOLDS = ("spNO.1", "spNO.2", "spNO.3")
EPOCHS = 20 * len(FOLDS) * len(VARIANTS)
SMALL = 5000
"""Bytes. Less than a fold's predictions need, for where nothing can be mounted."""


def chapter() -> nbformat.NotebookNode:
    """Notebook 03 with its own parameters, and of its story only the folds."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_me_tst.ipynb", 4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    run = """from metst_lib import experiment
config = experiment.configure(dataset, variant, seed, preset, root)
done = experiment.run_folds(config, experiment.chosen(config, subject), progress=False)"""
    notebook.cells = [parameters, nbformat.v4.new_code_cell(run)]
    return notebook


def own_folder(tiny_root: Path, root: Path) -> Path:
    """The tiny set and its flow with runs of its own, and the workflow's files beside it."""
    compendium(tiny_root, root)
    (root / "work" / "notebooks").mkdir(parents=True)
    (root / "work" / "Snakefile").symlink_to(ROOT / "Snakefile")
    nbformat.write(chapter(), root / "work" / "notebooks" / "03_me_tst.ipynb")
    return root


def start(root: Path, limit: int | None = None, variants: Sequence[str] = VARIANTS) -> subprocess.Popen:
    """The one command, in a process group of its own; limit: how many bytes a file may have."""
    command = [sys.executable, "-m", "metst_lib.app.cli", "workflow", "--cores", "2", "--keep-going"]
    command += ["--config", f"root={root}", f"variants={','.join(variants)}", "--", "folds"]

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with open(root / "work" / "printed.txt", "ab") as printed:
        return subprocess.Popen(
            command,
            cwd=root / "work",
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=limited,
            env={**os.environ, "METST_CHECKPOINT": "0"},
        )


def finish(root: Path) -> None:
    """Run the command to its end, which must be a good one."""
    assert start(root).wait() == 0, (root / "work" / "printed.txt").read_text()[-3000:]


def runs_of(root: Path) -> Path:
    return root / "data" / "runs" / "synthetic"


def scores_of(root: Path) -> dict[str, bytes]:
    """Every metrics.json, byte by byte."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(runs_of(root).rglob("metrics.json"))}


def names_in(root: Path) -> list[str]:
    """Every file of every fold, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in runs_of(root).glob("*/micro/seed*/*/*"))


def fitted_of(root: Path) -> dict[Path, int]:
    """The folds that are fitted, each with the time at which its predictions were written."""
    records = runs_of(root).rglob("config.json")
    return {p.parent: (p.parent / "predictions.npz").stat().st_mtime_ns for p in records}


def assert_nothing_half_made(root: Path) -> None:
    """Each fold is either whole or not there; one that looks whole and is damaged is stale."""
    for variant in VARIANTS:
        run = experiment.read_run(experiment.configure("synthetic", variant, root=root))
        assert len(run.folds) + len(run.missing) == len(FOLDS) and not run.stale


def kill_after(root: Path, run: subprocess.Popen, epochs: int, how: int) -> None:
    """Kill the run, its jobs and their kernels once its files show that many epochs more of training."""
    seen: set[tuple[str, int]] = set()
    before = True
    while len(seen) <= epochs:
        assert run.poll() is None, (
            f"it ended before {epochs} epochs: " + (root / "work" / "printed.txt").read_text()
        )
        for name in ("checkpoint.pt", "predictions.npz"):
            for path in runs_of(root).rglob(name):
                with suppress(FileNotFoundError):
                    seen.add((str(path), path.stat().st_mtime_ns))
        if before:  # what lies there from the time before
            epochs, before = epochs + len(seen), False
        time.sleep(0.002)
    family = psutil.Process(run.pid).children(recursive=True)  # kernels have process groups of their own
    os.killpg(run.pid, how)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)
    psutil.wait_procs(family, timeout=20)
    assert run.wait() != 0


@pytest.fixture(scope="module")
def whole(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compendium whose folds were run without a break, in this process."""
    root = own_folder(tiny_root, tmp_path_factory.mktemp("whole") / "root")
    for variant in VARIANTS:
        experiment.run_folds(experiment.configure("synthetic", variant, root=root), FOLDS, progress=False)
    assert len(scores_of(root)) == len(FOLDS) * len(VARIANTS)
    return root


def test_a_run_killed_three_times_ends_like_one_that_ran_through(whole, tiny_root, tmp_path):
    root = own_folder(tiny_root, tmp_path / "root")
    moments = np.random.default_rng(6)
    fitted: dict[Path, int] = {}
    stopped: set[Path] = set()
    for how in moments.permutation([signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]):
        kill_after(root, start(root), int(moments.integers(3, EPOCHS // 5)), signal.Signals(how))
        assert_nothing_half_made(root)
        assert fitted.items() <= fitted_of(root).items()
        fitted = fitted_of(root)
        stopped |= {path.parent for path in runs_of(root).rglob("checkpoint.pt")} - fitted.keys()
    assert len(fitted) < len(FOLDS) * len(VARIANTS)  # there was something left to do
    finish(root)
    assert fitted.items() <= fitted_of(root).items()  # finished folds were not fitted again
    assert scores_of(root) == scores_of(whole)
    assert names_in(root) == names_in(whole)
    resumed = [json.loads((folder / "config.json").read_text())["resumed_after_epoch"] for folder in stopped]
    assert stopped and all(resumed)


@contextmanager
def full_disk(folder: Path) -> Iterator[bool]:
    """A disk of two megabytes in this folder, with room for little more than one fold; whether there is one.

    After the block the room is there again. Mounting takes root's rights.
    """
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = bool(shutil.which("mount")) and subprocess.run(mount, capture_output=True).returncode == 0
    filler = folder / "filler"
    try:
        if mounted:
            filler.write_bytes(bytes(2 * 2**20 - 56 * 1024))
        yield mounted
        if mounted:
            filler.unlink()
    finally:
        if mounted:
            # what lies on it moves to the folder below, where it stays
            kept = shutil.copytree(folder, folder.with_name("kept"), dirs_exist_ok=True)
            subprocess.run(["umount", str(folder)], check=True)
            shutil.copytree(kept, folder, dirs_exist_ok=True)
            shutil.rmtree(kept)


def test_a_run_whose_disk_fills_goes_on_once_there_is_room(whole, tiny_root, tmp_path):
    root = own_folder(tiny_root, tmp_path / "root")
    with full_disk(root / "data" / "runs") as mounted:
        run = start(root, limit=None if mounted else SMALL)
        assert run.wait() != 0
        printed = (root / "work" / "printed.txt").read_text()
        assert ("No space left on device" if mounted else "File too large") in printed
        assert_nothing_half_made(root)
        assert len(scores_of(root)) < len(FOLDS) * len(VARIANTS)
        fitted = fitted_of(root)
    finish(root)
    assert fitted.items() <= fitted_of(root).items()
    assert scores_of(root) == scores_of(whole)
    assert names_in(root) == names_in(whole)


def test_a_failed_fold_keeps_its_traceback_the_rest_goes_on_and_the_tables_name_it(tiny_root, tmp_path):
    root = own_folder(tiny_root, tmp_path / "root")
    run = runs_of(root) / "transformer" / "micro" / "seed0"
    blocked = run / "spNO.2" / "predictions.npz"
    blocked.mkdir(parents=True)  # a folder where this fold's file should go
    assert start(root, variants=["transformer"]).wait() != 0
    executed = (run / "job0.ipynb").read_text()
    assert "1 of 3 folds failed: spNO.2: " in executed and "Traceback" in executed
    result = CliRunner().invoke(main, ["tables", "synthetic", "--root", str(root)])
    assert result.exit_code == 0, result.output
    table = (root / "figures" / "demo" / "table3_analysis.md").read_text()
    assert "transformer, seed 0: spNO.2;" in table and "2 of 3 folds" in table
