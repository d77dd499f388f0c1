"""Complete runs of several variants and seeds, with their tables."""

from pathlib import Path

from metst_lib import experiment
from metst_lib.experiment import store, tables

VARIANTS = ("flow-magnitude", "me-tst", "me-tst-plus", "me-tst-plus-no-result-synergy")


def run_all(root: Path) -> dict[str, bytes]:
    """Two seeds of some variants, and the tables, by name."""
    for variant in VARIANTS:
        for seed in (0, 1):
            config = experiment.configure("synthetic", variant, seed, root=root)
            experiment.run_folds(config, experiment.folds(config), progress=False)
    folder = store.figures_folder(experiment.configure(root=root))
    for table in tables.make("synthetic", (0, 1), root=str(root)):
        table.write(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
