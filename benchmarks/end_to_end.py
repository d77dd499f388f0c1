"""End to end: seconds of video analysed per second, and how time and memory grow with its length.

    python benchmarks/end_to_end.py [--minutes 1 5 20] [--threads 2]

From JPEG files to events: decoding, dlib's face detector and landmarks on each window's first frame, fast
flow of the five regions in windows of 50 frames on two threads, the full-size ME-TST on one, peaks. Its
weights are untrained: they do not change the time. One minute is rendered to files; longer videos play it to
and fro, so that each frame is read and decoded anew. Each length runs in a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _bench
import cv2
import numpy as np
import torch

from metst_lib import flow, models, spotting, training
from metst_lib.datasets import frames
from metst_lib.datasets.landmarks import DlibLandmarker
from metst_lib.events import Video
from metst_lib.synthetic import predictor
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import FPS, write_script

RENDERED_SECONDS = 60
WINDOW = 50


class ToAndFro(Sequence):
    """A short video played forwards, backwards, forwards, … until it has n_frames frames."""

    def __init__(self, short: Sequence[np.ndarray], n_frames: int) -> None:
        self.short, self.n_frames = short, n_frames

    def __len__(self) -> int:
        return self.n_frames

    def __getitem__(self, t: int) -> np.ndarray:
        if not 0 <= t < self.n_frames:
            raise IndexError(t)
        last = len(self.short) - 1
        return self.short[last - abs(last - t % (2 * last))] if last else self.short[0]


def render(folder: Path, seconds: float = RENDERED_SECONDS) -> None:
    """The frames of a rendered video as JPEG files, and a landmark predictor."""
    film = Film(write_script(0, 0, 0, seconds))
    for t in range(len(film)):
        cv2.imwrite(str(folder / f"{t}.jpg"), film[t], [cv2.IMWRITE_JPEG_QUALITY, 90])
    predictor.train(folder / predictor.NAME, 0)


def analyse(
    folder: str, seconds: float, threads: int = 2, rendered: float = RENDERED_SECONDS
) -> dict[str, float]:
    """Analyse a video of so many seconds; seconds and bytes of the stages."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    source = frames.FrameFiles(Path(folder), "{}.jpg", range(round(rendered * FPS)))
    short = Video("benchmark", "a", FPS, len(source.numbers), (), source)
    images = ToAndFro(frames.open(short), round(seconds * FPS))
    torch.manual_seed(0)
    model, landmarker = models.METST().eval(), DlibLandmarker(Path(folder) / predictor.NAME)
    before, began = _bench.memory(), time.perf_counter()
    found = flow.extract(images, landmarker, "5", WINDOW, "fast", threads=threads)
    middle = time.perf_counter()
    events = spotting.Rule(half_width=15).find(training.predict(model, found))
    done = time.perf_counter()
    return {
        "seconds": done - began,
        "flow": middle - began,
        "network": done - middle,
        "before": before,
        "peak": _bench.peak_memory(),
        "windows": len(found.starts),
        "events": len(events),
    }


def measure(minutes: Sequence[float] = (1, 5, 20), threads: int = 2, rendered: float = RENDERED_SECONDS):
    """Time and memory of each length, the first one once more at the end."""
    minutes = list(minutes)
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder), rendered)
        runs = [
            (m, _bench.in_child("end_to_end", "analyse", folder, m * 60, threads, rendered))
            for m in [*minutes, minutes[0]]
        ]
    rows = [
        [
            f"{m:g} min",
            f"{run['seconds']:.1f}",
            f"{run['flow']:.1f}",
            f"{run['network']:.1f}",
            f"{m * 60 / run['seconds']:.2f}",
            f"{run['before'] / _bench.MIB:.0f}",
            f"{run['peak'] / _bench.MIB:.0f}",
        ]
        for m, run in runs
    ]
    header = [
        "video",
        "seconds",
        "of these flow",
        "network",
        "video s / s",
        "memory before, MiB",
        "peak, MiB",
    ]
    tables = {f"ME-TST, 30 fps, 480 × 480, {threads} threads": _bench.markdown(header, rows)}
    (_, first), (longest, last) = runs[0], runs[len(minutes) - 1]
    growth = (last["seconds"] / longest) / (min(first["seconds"], runs[-1][1]["seconds"]) / minutes[0])
    more = (last["peak"] - first["peak"]) / _bench.MIB
    late = (last["peak"] - runs[max(len(minutes) - 2, 0)][1]["peak"]) / _bench.MIB
    linear = f"time of a minute, {longest:g} / {minutes[0]:g} min of video"
    flat = f"peak memory, {longest:g} less {minutes[0]:g} min"
    note = f"{late:.0f} MiB of it beyond {minutes[-2:][0]:g} min; the network takes 256 windows (3.6 min)"
    targets = [
        _bench.Target(f"{longest:g} min of video: peak memory", last["peak"] / 2**30, 1.5, 1.5, "GiB", True),
        _bench.Target(flat, more, 100, 50, "MiB", True, note),
        _bench.Target(linear, growth, 1.2, 1.1, "×", True),
    ]
    return dataclasses.replace(_bench.Part("end to end", tables), targets=targets)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 20])
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    began = _bench.machine()
    _bench.finish(measure(chosen.minutes, chosen.threads), began)


if __name__ == "__main__":
    main()
