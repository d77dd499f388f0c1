"""The compiled scan where it is absent, damaged or of another version: the readable one serves."""

import importlib.util
import re
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch

from metst_lib import ssm
from metst_lib.kernels import scan


def tiny_scan(**options):
    u, A, B = torch.ones(1, 2, 3), -torch.ones(3, 4), torch.ones(1, 2, 4)
    return ssm.selective_scan(u, u, A, B, B, **options)


@pytest.fixture
def no_library_cache():
    scan.library.cache_clear()
    yield
    scan.library.cache_clear()


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (None, "was not compiled"),
        (b"not a library", "cannot be loaded"),
        ("another library", "cannot be loaded .*scan_version"),
    ],
)
def test_without_a_sound_build_the_readable_scan_serves(
    monkeypatch, tmp_path, no_library_cache, build, reason
):
    if build == "another library":  # any extension that is not ours: it loads, but lacks our functions
        build = Path(importlib.util.find_spec("numpy._core._multiarray_umath").origin).read_bytes()
    if build:
        (tmp_path / f"_scan{EXTENSION_SUFFIXES[0]}").write_bytes(build)
    monkeypatch.setattr(scan, "__file__", str(tmp_path / "scan.py"))
    assert ssm.available_backends() == ["torch"]
    assert ssm.choose_backend("cpu") == "torch"
    assert re.search(reason, ssm.missing_backends("cpu")["c"])
    with pytest.raises(ValueError, match=f"'c' cannot run here: .*{reason}"):
        tiny_scan(backend="c")
    assert tiny_scan().shape == (1, 2, 3)


def test_a_build_of_another_version_is_passed_over(monkeypatch, no_library_cache):
    monkeypatch.setattr(scan, "VERSION", scan.VERSION + 1)
    assert "install" in ssm.missing_backends("cpu")["c"]
    assert ssm.choose_backend("cpu") == "torch"
