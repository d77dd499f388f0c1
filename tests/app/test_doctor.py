"""The doctor: each finding says how it stands, and what to do where it is not well."""

import os
import shutil
import sys
from collections import namedtuple

import pandas as pd
import pytest
from click.testing import CliRunner

from metst_lib import experiment, ssm
from metst_lib.app import cli, devices, doctor
from metst_lib.datasets.landmarks import PREDICTOR
from metst_lib.experiment import store
from metst_lib.experiment.plan import DEMONSTRATION
from metst_lib.synthetic import predictor


def of(lines, what):
    (found,) = [line for line in lines if line.what == what]
    return found


def test_an_old_python_is_a_problem(monkeypatch):
    assert doctor.python().state == doctor.OK
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    line = doctor.python()
    assert (line.state, line.found) == (doctor.PROBLEM, "3.9.1")
    assert "3.11" in line.to_do


def test_the_lock_is_read_with_its_markers(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# made by a tool\nclick==8.1.0\n    # via x\nfor-others==1.0 ; sys_platform == 'nowhere'\n"
        "numpy==2.0.0 ; python_full_version >= '3.11'\n"
    )
    assert doctor.locked(lock) == {"click": "8.1.0", "numpy": "2.0.0"}


def test_missing_packages_are_a_problem_and_other_versions_a_note(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    lock.write_text("click==0.0.1\nno-such-package-here==1.0\n")
    problem, note = doctor.packages(lock)
    assert (problem.state, problem.found) == (doctor.PROBLEM, "missing: no-such-package-here")
    assert problem.to_do == "pip install -r requirements.lock"
    assert note.state == doctor.NOTE
    assert "click" in note.found and "(lock: 0.0.1)" in note.found
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0+cpu")
    lock.write_text("torch==1.0\n")
    assert [line.state for line in doctor.packages(lock)] == [doctor.OK]


def test_a_scan_that_is_missing_says_why_and_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(ssm, "missing_backends", lambda device: {"c": "it was not compiled"})
    monkeypatch.setattr(ssm, "choose_backend", lambda device: "torch")
    lines = list(doctor.scans())
    assert [line.what for line in lines] == [f"scan {name!r}" for name in ssm.BACKENDS]
    compiled = of(lines, "scan 'c'")
    assert (compiled.state, compiled.found) == (doctor.NOTE, "it was not compiled")
    assert "C compiler" in compiled.to_do
    assert of(lines, "scan 'torch'").found.endswith("the one used")


def test_landmarks_are_looked_for_where_they_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    assert [line.state for line in doctor.landmarks(tmp_path)] == [doctor.NOTE, doctor.NOTE]
    monkeypatch.setenv("METST_LANDMARKS", str(tmp_path / "points.dat"))
    assert of(doctor.landmarks(tmp_path), "landmarks, real faces").state == doctor.PROBLEM
    (tmp_path / "points.dat").write_text("<html>not found</html>")
    line = of(doctor.landmarks(tmp_path), "landmarks, real faces")
    assert line.state == doctor.PROBLEM and "points.dat is no predictor" in line.found
    monkeypatch.setenv("METST_LANDMARKS", str(tmp_path))
    assert of(doctor.landmarks(tmp_path), "landmarks, real faces").state == doctor.OK


def test_a_landmark_file_that_is_still_packed_says_how_to_unpack_it(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    (tmp_path / f"{PREDICTOR.name}.bz2").write_text("packed")
    line = of(doctor.landmarks(tmp_path), "landmarks, real faces")
    assert (line.state, line.to_do) == (doctor.NOTE, f"bunzip2 data/{PREDICTOR.name}.bz2")


def test_the_demonstrations_predictor_is_read(tiny_root, tmp_path):
    assert of(doctor.landmarks(tiny_root / "data"), "landmarks, synthetic").state == doctor.OK
    whole = tiny_root / "data" / "synthetic" / predictor.NAME
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / predictor.NAME).write_bytes(whole.read_bytes()[:1000])
    line = of(doctor.landmarks(tmp_path), "landmarks, synthetic")
    assert (line.state, line.to_do) == (doctor.PROBLEM, "metst data synth --overwrite")


def test_a_compiler_is_missed_only_where_the_c_scan_is(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(ssm, "available_backends", lambda: ["torch", "c"])
    assert doctor.compiler().state == doctor.OK
    monkeypatch.setattr(ssm, "available_backends", lambda: ["torch"])
    line = doctor.compiler()
    assert line.state == doctor.NOTE and "apt-get install gcc" in line.to_do
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("CC", "clang -O1")
    assert doctor.compiler().found == "/bin/clang"


def test_a_card_that_torch_cannot_use_is_told_from_none(monkeypatch):
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "seen", lambda: ["0", "1"])
    line = doctor.card()
    assert "2 seen by the driver, none by torch" in line.found and "CUDA build" in line.to_do
    monkeypatch.setattr(devices, "seen", lambda: [])
    assert doctor.card().found == "none that torch can use"


def test_the_demonstration_model_is_absent_broken_or_described(tmp_path):
    assert doctor.model(tmp_path).state == doctor.NOTE
    config = experiment.configure(variant=DEMONSTRATION, root=tmp_path)
    path = store.model_path(config)
    path.parent.mkdir(parents=True)
    path.write_text("half a mo")
    line = doctor.model(tmp_path)
    assert (line.state, line.to_do) == (doctor.PROBLEM, "train it anew: metst train synthetic")
    assert line.found == "data/models/synthetic/me-tst-plus.npz is no model, or not a whole one"


def test_chromium_is_for_tests_only(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    line = doctor.browser()
    assert line.state == doctor.NOTE and "tests in a browser only" in line.to_do
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/chromium")
    assert doctor.browser().state == doctor.OK


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_fits_the_terminal_and_breaks_no_address(width):
    address = "https://melabipcas.github.io/melab/en/databases.html"
    lines = [
        doctor.Line("Python", doctor.OK, "3.12"),
        doctor.Line(
            "data set casme3", doctor.NOTE, "not there", f"ask its owners ({address}), " + "and " * 40
        ),
        doctor.Line("disk", doctor.PROBLEM, "1 GB free", "make room"),
    ]
    text = doctor.report(pd.DataFrame([vars(line) for line in lines]), width)
    assert address in text
    assert max(len(line) for line in text.splitlines() if address not in line) <= width
    assert text.count("→") == 2
    assert "1 problem, 1 note:" in text


def test_a_broken_data_set_is_a_problem_and_an_absent_one_a_note(tmp_path):
    (tmp_path / "casme3").mkdir()
    (tmp_path / "casme3" / "notes.txt").write_text("downloading")
    lines = list(doctor.sets(tmp_path))
    broken = of(lines, "data set casme3")
    assert (broken.state, broken.to_do) == (doctor.PROBLEM, "metst data check casme3")
    absent = of(lines, "data set synthetic")
    assert (absent.state, absent.to_do) == (doctor.NOTE, "Write the set with `metst data synth`.")


@pytest.mark.parametrize(("free", "state"), [(1, doctor.PROBLEM), (20, doctor.OK)])
def test_free_disk_is_weighed(tmp_path, monkeypatch, free, state):
    usage = namedtuple("usage", "total used free")(0, 0, free * 1e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert doctor.disk(tmp_path).state == state


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no right to write" in doctor.disk(tmp_path).found
    assert doctor.disk(tmp_path / "nowhere").found == f"no folder {tmp_path / 'nowhere'}"


def test_every_line_that_is_not_well_says_what_to_do(tmp_path):
    found = doctor.examine(tmp_path)
    assert set(found["state"]) <= {doctor.OK, doctor.NOTE, doctor.PROBLEM}
    assert (found.loc[found["state"] != doctor.OK, "to_do"] != "").all()


def test_the_command_prints_the_set_and_ends_well_where_nothing_is_wrong(tiny_root, monkeypatch):
    monkeypatch.setattr(doctor, "disk", lambda home: doctor.Line("disk", doctor.OK, "plenty"))
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    result = CliRunner().invoke(cli.main, ["doctor", "--root", str(tiny_root)])
    assert result.exit_code == 0, result.output
    assert "3 subjects, 3 videos with an ME" in result.output
    monkeypatch.setattr(doctor, "disk", lambda home: doctor.Line("disk", doctor.PROBLEM, "full", "make room"))
    assert CliRunner().invoke(cli.main, ["doctor", "--root", str(tiny_root)]).exit_code == 1
