"""From a data set to the cached flow of its videos: what an experiment reads (paper, Sec. III-A).

Flow lies under `data/flow/<data set>/<key of settings>/`, one file a video and a report, written last.
Landmarks are cached under `data/landmarks/`.

Glossary: W windows of a video, C channels (region × x, y), k frames of a window, T frames of a video.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from metst_lib import datasets, faces, flow, frames, rois, windows
from metst_lib._files import digest, read_json, sha256, write_json
from metst_lib.datasets import Dataset
from metst_lib.events import Video
from metst_lib.synthetic import signals
from metst_lib.variants import Config

Key = tuple[str, str]  # (subject, video)


@functools.lru_cache(maxsize=4)
def _load(dataset: str, data: Path, frame_step: int, ranges: tuple = ()) -> Dataset:
    options: dict[str, Any] = {}
    if ranges:  # what lies behind a cache's last window is left out, audited
        options = {"ranges": {(subject, video): ends for subject, video, *ends in ranges}, "bad_rows": "drop"}
    return datasets.load(dataset, data, frame_step=frame_step, **options).with_me()


def load_data(config: Config) -> Dataset:
    """The videos that contain an ME, of every subject that has one: the folds and their test videos.

    Where the flow is imported from the authors' caches, these say which videos there are and how long they
    are, and no frames are needed; other regions take the frames where they are there, else the same.
    """
    settings = config.dataset, config.data, config.settings.frame_step
    if ranges := _imported(config):
        return _load(*settings, ranges)
    try:
        return _load(*settings)
    except FileNotFoundError:
        if ranges := _imported(dataclasses.replace(config, variant="me-tst")):
            return _load(*settings, ranges)
        raise


def _imported(config: Config) -> tuple:
    """(subject, video, first, last frame number) of each video whose flow is imported; () where none is."""
    try:
        imported = flow_report(config).get("imported", {})
    except (FileNotFoundError, ValueError):
        return ()  # a damaged report is made anew by `prepare`
    return tuple(map(tuple, imported.get("ranges", ())))


# --- flow -----------------------------------------------------------------------------------------------


def landmarks_along(config: Config, video: Video) -> np.ndarray:
    """Landmarks (T, 68, 2) for figures: those of each window's first frame, kept until the next one.

    A frame without a face has its neighbour's. ValueError where the video has none at all.
    """
    points, images = landmarker(config, video), frames.open(video)
    starts = windows.window_starts(video.n_frames, config.settings.window)
    found = [(start, points(images[start], start)) for start in starts.tolist()]
    found = [(start, seen) for start, seen in found if seen is not None]
    if not found:
        raise ValueError(f"no face found in {video.subject} {video.name}")
    points.save()
    at = np.searchsorted([start for start, _ in found], np.arange(video.n_frames), side="right") - 1
    return np.stack([seen for _, seen in found])[np.maximum(at, 0)]


def flow_path(config: Config, video: Video) -> Path:
    """Where a video's ROI flow lies."""
    return config.flow_folder / f"{video.subject}_{video.name}.npz"


def landmark_file(config: Config, video: Video) -> Path:
    """A video's file in the folder of landmarks: `<subject>_<video>.npz` of ours, or `.csv` of OpenFace.

    It has one row for every frame of the video, before frame_step. FileNotFoundError naming what is missing.
    """
    paths = [config.landmarks / f"{video.subject}_{video.name}{suffix}" for suffix in (".npz", ".csv")]
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"no landmarks of video {video.subject} {video.name}: looked for {paths[0]} and {paths[1].name}"
    )


def landmarker(config: Config, video: Video) -> faces.CachedLandmarker | faces.PrecomputedLandmarks:
    """Where the face is in a video: its landmark file where config.landmarks is a folder, else by predictor.

    What the predictor finds is cached under `data/landmarks/`. ValueError where a landmark file has another
    number of frames than the video.
    """
    if config.landmarks.is_dir():
        path, step = landmark_file(config, video), config.settings.frame_step
        points = faces.read_landmarks(path, step)
        if len(points) != video.n_frames:
            kept = f", every {step}th kept" if step > 1 else ""
            raise ValueError(
                f"{path}: landmarks of {len(points)} frames{kept}, but video {video.subject} {video.name} "
                f"has {video.n_frames}; a row is wanted for every frame, with or without a face"
            )
        return points
    name = f"{video.subject}_{video.name}.npz"
    cache = config.data / "landmarks" / config.dataset / config.landmarks.stem / name
    return faces.CachedLandmarker(_dlib(config.landmarks), cache)


@functools.lru_cache(maxsize=1)
def _dlib(predictor: Path) -> faces.DlibLandmarker:
    return faces.DlibLandmarker(predictor)  # the predictor for real faces is 100 MB: read it once


def prepare(
    config: Config, jobs: int = 2, progress: bool = True, beside: Sequence[Config] = ()
) -> dict[str, Any]:
    """Extract and cache the flow of every video of the experiment; returns the report it writes.

    The report (`complete.json` beside the flow, written last) holds each video's hash, its flagged windows
    and replaced frames, and under "failed" the videos that gave none, with the reason. Videos whose flow is
    there and whose inputs have not changed are skipped. Flow imported from the authors' caches is left as it
    is, and its report returned.

    beside: experiments that differ from this one in nothing but their regions. What is extracted here is
    extracted for them in the same pass, for little more; their own `prepare` then finds it there.
    """
    if _imported(config):
        return flow_report(config)
    data = load_data(config)
    if not config.rehearsal and all(video.source is None for video in data.videos):
        raise FileNotFoundError(
            f"no frames of {config.dataset}: the authors' caches hold the flow of 5 regions, and "
            f"{config.variant} reads {len(rois.roi_set(config.what.roi_set))}"
        )
    files = {v.key: landmark_file(config, v) for v in data.videos} if config.landmarks.is_dir() else {}
    known = sha256(config.landmarks) if config.landmarks.is_file() else None
    made_with = _made_with(config)
    report: dict[str, Any] = {"predictor": known, "videos": {}, "failed": {}}
    for video in tqdm(
        data.videos, desc=f"flow of {config.dataset}", unit="video", disable=None if progress else True
    ):
        name, path = f"{video.subject} {video.name}", flow_path(config, video)
        marks = sha256(files[video.key]) if files else known
        inputs = digest(marks, made_with, video.n_frames, video.fps, _source(video))
        try:
            if not _is_current(path, inputs):
                _extract((config, *beside), video, inputs, jobs)
        except ValueError as error:
            report["failed"][name] = str(error)
            tqdm.write(f"error: no flow of {name}: {error}")
            continue
        stored = flow.RoiFlow.load(path)
        report["videos"][name] = {
            "sha256": hashlib.sha256(stored.values.tobytes() + stored.starts.tobytes()).hexdigest(),
            "windows": len(stored.starts),
            "flagged": int(stored.flags.sum()),
            "replaced": stored.settings.get("replaced", 0),
        }
    if not report["videos"]:
        raise ValueError(f"no video of {config.dataset} gave any flow; the first: {_first(report['failed'])}")
    write_json(config.flow_folder / "complete.json", report)
    return report


def _made_with(config: Config) -> Any:
    """What synthetic flow comes from, besides the videos' frames and lengths."""
    if config.rehearsal:
        labels = [
            (v.subject, v.name, [dataclasses.astuple(e) for e in v.events]) for v in load_data(config).videos
        ]
        return signals.response(config.what.roi_set).key, labels
    if config.synthetic:
        return (config.data / config.dataset / "complete.json").read_text()
    return ""


def _extract(configs: Sequence[Config], video: Video, inputs: str, jobs: int) -> None:
    """Write the first experiment's flow of a video, and the others' where that is not there."""
    config, *beside = configs
    settings, path = config.settings, flow_path(config, video)
    if config.rehearsal:
        blinks = not load_data(config).has_blinks(video.subject)
        made = signals.roi_flow(video, config.what.roi_set, settings.window, blinks=blinks)
        made.save(path, inputs=inputs)
        return
    points, images = landmarker(config, video), frames.open(video)
    paths = {config.what.roi_set: path}
    for other in beside:
        if not (_imported(other) or _is_current(flow_path(other, video), inputs)):
            paths[other.what.roi_set] = flow_path(other, video)

    def extract(*roi_sets: str) -> dict[str, flow.RoiFlow]:
        return flow.extract_sets(
            images,
            points,
            roi_sets,
            window=settings.window,
            mode=settings.flow_mode,
            threads=jobs,
            fps=video.fps,
            name=f"{video.subject} {video.name}",
        )

    try:
        try:
            found = extract(*paths)
        except ValueError:
            if len(paths) == 1:
                raise
            found = extract(config.what.roi_set)  # a region that only another set has may lie outside
    finally:
        points.save()
    for roi_set, values in found.items():
        values.save(paths[roi_set], inputs=inputs, replaced=len(images.replaced))


def _is_current(path: Path, inputs: str) -> bool:
    try:
        return flow.RoiFlow.load(path).settings.get("inputs") == inputs
    except (FileNotFoundError, ValueError):
        return False


def _source(video: Video) -> str:
    """What the pixels are read from, without the machine's own folder names.

    Number and size of the files count: flow of a half-unpacked video is made anew when the rest is there.
    """
    source = video.source
    if not hasattr(source, "numbers"):
        return str(source)
    sizes = [entry.stat().st_size for entry in os.scandir(source.folder)]
    return f"{source.template} {source.numbers} {len(sizes)} {sum(sizes)}"


def load_flow(config: Config, videos: Iterable[Video]) -> dict[Key, flow.RoiFlow]:
    """The cached flow of these videos; videos that `prepare` could not extract are left out.

    Raises FileNotFoundError naming the command that makes it where there is no flow yet.
    """
    return {video.key: flow.RoiFlow.load(flow_path(config, video)) for video in with_flow(config, videos)}


def with_flow(config: Config, videos: Iterable[Video]) -> list[Video]:
    """Those of the videos whose flow `prepare` could extract."""
    failed = flow_report(config)["failed"]
    return [video for video in videos if f"{video.subject} {video.name}" not in failed]


def flow_report(config: Config) -> dict[str, Any]:
    """What `prepare` wrote beside the flow.

    FileNotFoundError naming the command where it has not run, ValueError where the report is damaged.
    """
    path = config.flow_folder / "complete.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no flow of {config.dataset} with these settings ({config.flow_folder}); "
            f"make it with `metst flow {config.dataset} --variant {config.variant}`"
        )
    report = read_json(path)
    if not (isinstance(report.get("videos"), dict) and isinstance(report.get("failed"), dict)):
        raise ValueError(f"{path} is damaged; `metst flow {config.dataset}` makes it again")
    return report


def _first(named: dict[str, str]) -> str:
    return next((f"{name}: {reason}" for name, reason in named.items()), "there is no video")
