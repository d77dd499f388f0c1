"""How long `make demo` takes once everything is installed: the workflow on two cores, in an empty folder.

    python benchmarks/demo.py [--cores 2]

Everything is made anew: the rendered set, flow, folds, tables, figures, executed notebooks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _bench

ROOT = _bench.HERE.parent
METST = ROOT / ".venv" / "bin" / "metst"


def measure(cores: int = 2) -> _bench.Part:
    """Minutes of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "compendium"
        for name in ("Snakefile", "notebooks", "profiles"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name)
            elif (ROOT / name).exists():
                copy.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        environment = {**os.environ, "METST_ROOT": str(copy), "METST_FIGURES": str(copy / "figures")}
        began = time.perf_counter()
        call = [str(METST), "workflow", "--cores", str(cores), "--config", f"root={copy}"]
        subprocess.run(call, cwd=copy, env=environment, check=True, stdout=sys.stderr)
        minutes = (time.perf_counter() - began) / 60
        made = sum(1 for _ in copy.rglob("metrics.json"))
    table = _bench.markdown(["cores", "minutes", "folds scored"], [[cores, f"{minutes:.2f}", made]])
    target = _bench.Target(f"`make demo` after installation, {cores} cores", minutes, 8, 5, "min", True)
    return _bench.Part("demo", {"the synthetic demonstration, from nothing": table}, [target])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cores", type=int, default=2)
    chosen = options.parse_args()
    began = _bench.machine()
    _bench.finish(measure(chosen.cores), began)


if __name__ == "__main__":
    main()
