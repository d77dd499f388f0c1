"""Two complete runs of the tiny set with tables, for tests of what stands behind a number."""

import shutil
from pathlib import Path

import pytest
from complete import run_all
from trials import SMALLEST, compendium, shorten

from metst_lib import experiment


@pytest.fixture(scope="session")
def twice(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, dict[str, bytes]]]:
    """Two complete and independent runs of the same seeds: (root, files) of each.

    Their networks are the smallest: who looks at them asks for `quick` too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("METST_FIGURES", raising=False)
        shorten(patch, sizes=SMALLEST)
        first, second = (compendium(tiny_root, tmp_path_factory.mktemp("own") / "root") for _ in range(2))
        experiment.prepare(experiment.configure(variant="me-tst-plus", root=first), progress=False)
        shutil.copytree(first / "data" / "flow", second / "data" / "flow", dirs_exist_ok=True)
        return [(root, run_all(root)) for root in (first, second)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration with networks and trainings that take a second."""
    monkeypatch.delenv("METST_FIGURES", raising=False)
    shorten(monkeypatch, sizes=SMALLEST)


@pytest.fixture
def folder(twice: list, tmp_path: Path) -> Path:
    """The tables of a complete run, to be read and changed."""
    return shutil.copytree(twice[0][0] / "figures" / "demo", tmp_path / "demo")
