"""All benchmarks one after the other, then RESULTS.md: what `make bench` calls.

    python benchmarks/run.py [NAME ...]        by default scan, step, flow, end_to_end

RESULTS.md is put together from the last run of each; `demo`, which takes minutes of its own, is run by name.
"""

from __future__ import annotations

import subprocess
import sys
import time

import _bench

NAMES = ("scan", "step", "flow", "end_to_end")
ORDER = ("scan", "step", "flow", "end to end", "demo")


def main(names: list[str]) -> None:
    for name in names or NAMES:
        began = time.perf_counter()
        subprocess.run([sys.executable, str(_bench.HERE / f"{name}.py")], check=True)  # its own process
        print(f"\n{name} took {time.perf_counter() - began:.0f} s", flush=True)
    print(f"\nResults: {_bench.write_results(order=ORDER)}")


if __name__ == "__main__":
    main(sys.argv[1:])
