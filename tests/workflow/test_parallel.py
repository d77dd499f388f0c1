"""Many at once: notebook runs side by side, two workflows in one folder, and papermill by hand."""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from test_kill import own_folder, scores_of, start

ROOT = Path(__file__).parent.parent.parent
AT_ONCE, ROUNDS = 8, 5


def test_eight_notebooks_at_once_five_times_over_do_not_clash(tmp_path):
    parameters = nbformat.v4.new_code_cell("number: int = 0", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell("print(number)")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "in.ipynb"
    )

    def run(number: int) -> tuple[int, str]:
        command = [sys.executable, "-m", "metst_lib.app.notebook", "in.ipynb", f"{number}.ipynb"]
        command += ["-p", "number", str(number)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return ended.returncode, ended.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(0, AT_ONCE * ROUNDS, AT_ONCE):
            for status, printed in pool.map(run, range(first, first + AT_ONCE)):
                assert status == 0, printed
    for number in range(AT_ONCE * ROUNDS):
        (_, *_, last) = nbformat.read(tmp_path / f"{number}.ipynb", 4).cells
        assert [output.text for output in last.outputs] == [f"{number}\n"]


def test_of_two_runs_in_one_folder_the_second_refuses_and_the_first_ends_well(tiny_root, tmp_path):
    root = own_folder(tiny_root, tmp_path / "root")
    first = start(root, variants=["window-classifier"])
    while not list((root / "work" / ".snakemake" / "log").glob("*.log")):  # it has the lock by then
        assert first.poll() is None, (root / "work" / "printed.txt").read_text()
        time.sleep(0.02)
    second = start(root, variants=["window-classifier"])
    assert second.wait() != 0
    assert first.poll() is None  # the first is still at work
    assert "Error: another run is at work in" in (root / "work" / "printed.txt").read_text()
    assert first.wait() == 0, (root / "work" / "printed.txt").read_text()[-3000:]
    assert len(scores_of(root)) == 3


def test_papermill_by_hand_works_from_any_folder(tiny_root, tmp_path):
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / "03_me_tst.ipynb"), "out.ipynb"]
    command += ["-k", "python3", "-p", "dataset", "synthetic", "-r", "subject", "spNO.2", "--no-progress-bar"]
    environment = {**os.environ, "METST_ROOT": str(tiny_root)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert (tiny_root / "data/runs/synthetic/me-tst/micro/seed0/spNO.2/metrics.json").is_file()
    assert "fold spNO.2, test" in (tmp_path / "out.ipynb").read_text()


def test_a_cluster_profile_on_a_machine_without_slurm_is_refused_before_anything_starts(tmp_path):
    for name in ("sh", "which", "git"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    command = [sys.executable, "-m", "metst_lib.app.cli", "workflow"]
    command += ["--profile", str(ROOT / "profiles" / "slurm"), "folds"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1 and not (tmp_path / ".snakemake").exists()
    assert "this machine has none (no sbatch)" in ended.stderr and "Traceback" not in ended.stderr
