"""Where spotting breaks in pixels: the demonstration's videos encoded anew, and landmarks that jitter.

What sweeps of signals cannot show. Two variants are fitted on the flow of half of the demonstration's
subjects; the first video of each of the others goes through landmarks and flow again at every level. These
are dense videos of few subjects: the numbers are the demonstration's and stand beside no others.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from metst_lib import baseline, experiment, flow, fold
from metst_lib.datasets import Dataset, frames
from metst_lib.events import Key, Video, named
from metst_lib.flow import RoiFlow
from metst_lib.study.sweeps import Spotter, Trial, measured, table
from metst_lib.synthetic.writer import JPEG_QUALITY

#: What is fitted: the training-free baseline, and a network of 18 regions.
SWEPT = (baseline.NAME, "me-tst-plus")
QUALITIES = (30, 50, 75, 95)
JITTERS = (0.5, 1, 2)
#: Sweep, unit, level of the demonstration (frames as stored), others (frames encoded once more).
SWEEPS = (
    ("compression", "JPEG quality (demo)", JPEG_QUALITY, QUALITIES),
    ("landmark jitter in pixels", "px, standard deviation (demo)", 0, JITTERS),
)


@dataclass(frozen=True)
class Encoded:
    """The frames of a video, each encoded as JPEG of a quality and decoded again."""

    frames: Sequence[np.ndarray]
    quality: int

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        done, data = cv2.imencode(".jpg", self.frames[index], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not done:
            raise OSError(f"frame {index} could not be encoded as JPEG of quality {self.quality}")
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


@dataclass(frozen=True)
class Jittered:
    """A landmarker whose points each lie off by a normal error of so many pixels of their image."""

    landmarker: Any
    pixels: float

    def __call__(self, image: np.ndarray, frame: int) -> np.ndarray | None:
        return self._off(self.landmarker(image, frame), image)

    def on_crop(self, image: np.ndarray) -> np.ndarray | None:
        """The same on the face crop."""
        return self._off(self.landmarker.on_crop(image), image)

    def _off(self, points: np.ndarray | None, image: np.ndarray) -> np.ndarray | None:
        # of the image's own random stream, as threads ask in any order
        rng = np.random.default_rng(zlib.crc32(image.tobytes()))
        return None if points is None else points + self.pixels * rng.standard_normal((68, 2))


def run(jobs: int = 1, root: str = "") -> pd.DataFrame:
    """The table of the part "pixels", as `sweeps.run` gives the others; jobs: threads over windows.

    FileNotFoundError naming the command where the demonstration's data or flow are not there.
    """
    configs = {name: experiment.configure("synthetic", name, root=root) for name in SWEPT}
    data = experiment.load_data(configs[SWEPT[0]])
    half = -(-len(data.subjects) // 2)
    spotters = {name: _fitted(config, data, data.subjects[half:]) for name, config in configs.items()}
    videos = [data.videos_of(subject)[0] for subject in data.subjects[:half]]
    extracted = partial(_extracted, configs[SWEPT[0]], videos, jobs)
    own = {spotters[name].roi_set: experiment.load_flow(config, videos) for name, config in configs.items()}
    lines = []
    for sweep, unit, level, levels in SWEEPS:
        seen = {level: own} | {
            each: extracted(sweep, each) for each in tqdm(levels, f"pixels, {sweep}", disable=None)
        }
        for each in sorted(seen):
            about = {"part": "pixels", "sweep": sweep, "unit": unit, "level": each, "own": each == level}
            lines += _lines(spotters, seen[each], videos, about)
    return table(lines)


def _fitted(config: experiment.Config, data: Dataset, subjects: Sequence[str]) -> Spotter:
    videos = [video for subject in subjects for video in data.videos_of(subject)]
    events = {video.key: list(video.events) for video in videos}
    recipe, flows = config.recipe, experiment.load_flow(config, videos)
    rule = recipe.rule.fitted(event for found in events.values() for event in found)
    return Spotter(fold.fit(flows, {key: events[key] for key in flows}, recipe, 0), rule, recipe.roi_set)


def _extracted(
    config: experiment.Config, videos: Sequence[Video], jobs: int, sweep: str, level: float
) -> dict[str, dict[Key, RoiFlow]]:
    """The flow of both sets of regions of each video at a level, as the demonstration takes it."""
    found: dict[str, dict[Key, RoiFlow]] = {"5": {}, "18": {}}
    how = {"window": config.settings.window, "mode": config.settings.flow_mode, "threads": jobs}
    for video in videos:
        images, points = frames.open(video), experiment.landmarker(config, video)
        if sweep == "compression":
            images = Encoded(images, int(level))
        else:
            points = Jittered(points, level)
        sets = flow.extract_sets(images, points, tuple(found), fps=video.fps, name=named(video.key), **how)
        for roi_set, made in sets.items():
            found[roi_set][video.key] = made
    return found


def _lines(
    spotters: Mapping[str, Spotter],
    flows: Mapping[str, Mapping[Key, RoiFlow]],
    videos: Sequence[Video],
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    truth = {video.key: video.events_of("micro") for video in videos}
    found = {name: spotter.find(flows[spotter.roi_set]) for name, spotter in spotters.items()}
    minutes = sum(video.n_frames / video.fps for video in videos) / 60
    return measured(found, Trial(found, truth, minutes, "demo"), **about)
