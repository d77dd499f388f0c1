"""One set of packages: pyproject.toml, requirements.lock and environment.yml agree with what is installed."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = {
    canonicalize_name(r.name): r
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if re.match(r"[A-Za-z0-9]", line) and (r := Requirement(line)) and (not r.marker or r.marker.evaluate())
}
DECLARED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_each_declared_package_is_locked_to_one_version_that_it_admits(requirement):
    (pin,) = LOCKED[canonicalize_name(requirement.name)].specifier
    assert pin.operator == "=="
    assert requirement.specifier.contains(pin.version, prereleases=True)


def test_what_is_installed_is_what_is_locked():
    installed = {name: importlib.metadata.version(name).split("+")[0] for name in LOCKED}
    assert installed == {name: next(iter(r.specifier)).version for name, r in LOCKED.items()}


def test_conda_installs_the_same_lock_and_an_admitted_python():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "-r requirements.lock" in pip
    packages = [p for p in pip if not p.startswith("-")]
    assert not packages, f"not from the lock: {packages}"


def test_one_opencv_and_nothing_of_cuda_in_the_lock():
    opencv = [name for name in LOCKED if name.startswith("opencv")]
    assert opencv == ["opencv-python-headless"]
    unwanted = re.compile(r"nvidia-|cuda-|triton$|torchvision$|timm$")
    assert not [name for name in LOCKED if unwanted.match(name)]
