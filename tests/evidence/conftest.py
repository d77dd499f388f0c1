"""Packs to read: a small made-up one anywhere, other people's where METST_EVIDENCE names the folder."""

import os
from pathlib import Path

import madeup
import pytest

REASON = "set METST_EVIDENCE to the folder of the pack (metst evidence convert makes it)"


def real() -> Path:
    folder = os.environ.get("METST_EVIDENCE")
    if not folder or not (Path(folder) / "truth.csv").is_file():
        pytest.skip(REASON)
    return Path(folder)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """The folder of a made-up pack. To be copied before it is changed."""
    return madeup.write(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="session", params=["made-up", "real"])
def folder(request, small) -> Path:
    return real() if request.param == "real" else small


@pytest.fixture(scope="session")
def real_pack():
    from metst_lib.evidence import pack

    return pack.load(real())
