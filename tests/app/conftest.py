"""A finished run of two videos for tests that look into one."""

import finished
import pytest

from metst_lib import experiment
from metst_lib.events import Video


@pytest.fixture
def run() -> experiment.Run:
    """See `finished.run`."""
    return finished.run()


@pytest.fixture
def videos(run) -> list[Video]:
    """Its videos."""
    return finished.videos(run)
