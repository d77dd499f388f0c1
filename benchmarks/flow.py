"""ROI flow: exact and fast, one thread and two, against the Farnebäck calls that it must make.

    python benchmarks/flow.py [--rounds 4] [--seconds 12]

A rendered video (480 × 480) whose frames lie in memory and whose landmarks are known, so that neither
decoding nor face detection is in the times; 5 and 18 regions, windows of 50 frames.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from unittest import mock

import _bench
import cv2
import numpy as np

from metst_lib import flow, rois
from metst_lib.datasets.landmarks import PrecomputedLandmarks
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import write_script

WINDOW = 50


def clip(seconds: float, seed: int = 0) -> tuple[list[np.ndarray], PrecomputedLandmarks]:
    """The frames of a rendered video, and its true landmarks."""
    film = Film(write_script(seed, 0, 0, seconds))
    return [film[t] for t in range(len(film))], PrecomputedLandmarks(film.truth()["landmarks"])


@contextmanager
def farneback_seconds() -> Iterator[list[float]]:
    """The seconds of every call of OpenCV's Farnebäck flow within the block."""
    spent: list[float] = []
    bare = cv2.calcOpticalFlowFarneback

    def timed(*arguments, **options):
        began = time.perf_counter()
        result = bare(*arguments, **options)
        spent.append(time.perf_counter() - began)
        return result

    with mock.patch.object(cv2, "calcOpticalFlowFarneback", timed):
        yield spent


def cpu_overhead(
    frames: list[np.ndarray], landmarks: PrecomputedLandmarks, roi_set: str, rounds: int
) -> dict:
    """Exact extraction on one thread / the calls within it: both from the same run, the best of `rounds`."""
    found = []
    for _ in range(rounds):
        with farneback_seconds() as spent:
            began = time.perf_counter()
            flow.extract(frames, landmarks, roi_set, WINDOW, "exact")
            whole = time.perf_counter() - began
        found.append((whole / sum(spent), whole, sum(spent), len(spent)))
    ratio, whole, bare, calls = min(found)
    return {"ratio": ratio, "whole": whole, "bare": bare, "calls": calls}


def bare_calls(frames: list[np.ndarray], threads: int, calls: int = 600) -> Callable[[], None]:
    """Only Farnebäck calls, by one thread or more: what they gain is the most that threads can give."""
    first = frames[0][180:260, 180:300]
    whole = rois.Rect(0, first.shape[0], 0, first.shape[1])

    def work(part: int) -> None:
        for number in range(part, calls, threads):
            flow.farneback(first, frames[1 + number % (len(frames) - 1)][180:260, 180:300], whole)

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))

    return run


def measure(rounds: int = 4, seconds: float = 12) -> _bench.Part:
    """Times of extraction, its overhead over the bare calls, and what the fast mode changes."""
    cv2.setNumThreads(1)
    frames, landmarks = clip(seconds)
    tables, targets = {}, []
    for roi_set in ("5", "18"):
        results: dict[str, flow.RoiFlow] = {}

        def extract(mode: str, threads: int, roi_set: str = roi_set, results: dict = results) -> None:
            results[mode] = flow.extract(frames, landmarks, roi_set, WINDOW, mode, threads=threads)

        cases = {
            f"{mode}, {threads} thread{'s' * (threads > 1)}": lambda m=mode, t=threads: extract(m, t)
            for mode in ("exact", "fast")
            for threads in (1, 2)
        }
        cases |= {
            f"only calls, {threads} thread{'s' * (threads > 1)}": bare_calls(frames, threads)
            for threads in (1, 2)
        }
        times = _bench.interleaved(cases, rounds)
        over = cpu_overhead(frames, landmarks, roi_set, rounds)
        gap = np.abs(results["fast"].values - results["exact"].values)
        percentile = float(np.percentile(gap, 99))
        best = {name: min(found) for name, found in times.items()}
        ceiling = best["only calls, 1 thread"] / best["only calls, 2 threads"]
        speed = {name: f"{seconds / value:.2f}" for name, value in best.items() if "only" not in name}
        title = f"{roi_set} regions, {seconds:g} s of video, {len(results['exact'].starts)} windows"
        tables[title] = _bench.timing_table(times, "exact, 1 thread", {"video s / s": speed})
        tables[title] += "\n\n" + _bench.markdown(
            ["one thread, exact", "seconds", "calls"],
            [
                ["extraction", f"{over['whole']:.2f}", ""],
                ["Farnebäck calls within it", f"{over['bare']:.2f}", over["calls"]],
                ["ratio", f"{over['ratio']:.3f}", ""],
            ],
        )
        tables[title] += (
            f"\n\nFast against exact: median difference {np.median(gap):.4f} px, 99th percentile "
            f"{percentile:.4f} px, largest {gap.max():.2f} px. “Only calls”: nothing but Farnebäck calls."
        )
        per_thread = best["exact, 1 thread"] / best["exact, 2 threads"]
        # threads share the disturbances of the machine: its median ratio stands beside
        middle = median(times["exact, 1 thread"]) / median(times["exact, 2 threads"])
        targets += [
            _bench.Target(
                f"flow exact / bare calls, {roi_set} regions", over["ratio"], 1.12, 1.07, "×", True
            ),
            _bench.Target(
                f"flow exact / fast, two threads each, {roi_set} regions",
                best["exact, 2 threads"] / best["fast, 2 threads"],
                1.6,
                1.9,
                note=f"one thread each: {best['exact, 1 thread'] / best['fast, 1 thread']:.2f}×",
            ),
            _bench.Target(
                f"fast against exact, 99th percentile, {roi_set} regions", percentile, 0.03, 0.03, "px", True
            ),
            _bench.Target(
                f"flow, one thread / two, {roi_set} regions",
                per_thread,
                1.8,
                1.95,
                note=f"medians: {middle:.2f}×; only Farnebäck calls, in the same rounds: {ceiling:.2f}×",
            ),
        ]
    return _bench.Part("flow", tables, targets)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--seconds", type=float, default=12)
    chosen = options.parse_args()
    began = _bench.machine()
    _bench.finish(measure(chosen.rounds, chosen.seconds), began)


if __name__ == "__main__":
    main()
