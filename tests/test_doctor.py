"""The doctor: each finding says how it stands, and what to do where it is not well."""

import shutil
import sys
from collections import namedtuple

import pytest
from click.testing import CliRunner

from metst_lib import cli, doctor, ssm


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
    (tmp_path / "points.dat").write_text("")
    assert of(doctor.landmarks(tmp_path), "landmarks, real faces").state == doctor.OK


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


def test_every_problem_has_something_to_do(tmp_path):
    found = doctor.examine(tmp_path)
    assert set(found["state"]) <= {doctor.OK, doctor.NOTE, doctor.PROBLEM}
    assert (found.loc[found["state"] == doctor.PROBLEM, "to_do"] != "").all()


def test_the_command_prints_the_set_and_ends_well_where_nothing_is_wrong(tiny_root, monkeypatch):
    monkeypatch.setattr(doctor, "disk", lambda home: doctor.Line("disk", doctor.OK, "plenty"))
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    result = CliRunner().invoke(cli.main, ["doctor", "--root", str(tiny_root)])
    assert result.exit_code == 0, result.output
    assert "3 subjects, 3 videos with an ME" in result.output
    monkeypatch.setattr(doctor, "disk", lambda home: doctor.Line("disk", doctor.PROBLEM, "full", "make room"))
    assert CliRunner().invoke(cli.main, ["doctor", "--root", str(tiny_root)]).exit_code == 1
