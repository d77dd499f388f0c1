"""ME-TST and ME-TST+: micro-expression spotting and recognition in long videos, a library for notebooks.

The files beside this one are the method, a step of the paper's Fig. 3 each; the folders are what it takes to
run it on data sets, to draw and compare what came out, and to use it on a video of one's own.
"""

from collections.abc import Callable
from typing import Any

__version__ = "0.1.0"

_MOVED = """
analysis:experiment.analysis cli:app.cli cost:experiment.plan devices:app.devices doctor:app.doctor
faces:datasets.landmarks frames:datasets.frames notebook:app.notebook own_report:recording.report
own_video:recording.analysis plan:experiment.plan preparation:experiment.flows progress:app.progress
provenance:experiment.provenance report:app.pages reproduce:released.replay student:app.student
tables:experiment.tables trained:recording.model variants:experiment.variants widgets:app.explorer
"""


def moved(where: str, names: str) -> Callable[[str], Any]:
    """A module's `__getattr__` with one clear error for what it had before: "old:new old:new …"."""
    places = dict(entry.split(":") for entry in names.split())

    def missing(name: str) -> Any:
        if name in places:
            raise ImportError(f"{where}.{name} is {places[name]} now")
        raise AttributeError(f"module {where!r} has no attribute {name!r}")

    return missing


__getattr__ = moved("metst_lib", _MOVED)
