"""What several test files share: one tiny synthetic set, rendered once, with its flow."""

from pathlib import Path

import pytest
from hypothesis import settings

from metst_lib import experiment, synthetic

settings.register_profile("same", derandomize=True, deadline=None)  # a test passes always or never
settings.load_profile("same")


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compendium folder with three subjects, one video of eight seconds each."""
    root = tmp_path_factory.mktemp("compendium")
    synthetic.write(root / "data", subjects=3, videos=1, seconds=8, progress=False)
    experiment.prepare(experiment.configure(root=root), progress=False)
    return root
