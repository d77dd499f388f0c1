"""From a data set to the cached flow of its videos: what a run reads (paper, Sec. III-A).

Flow lies by its settings, one file a video and a report, written last (`store`). A video's flow holds if it
was made of today's frames, landmarks, length and settings (`flow_key`), and its file is still the one that
was written.

Glossary: W windows of a video, C channels (region × x, y), k frames of a window, T frames of a video.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from metst_lib import datasets, flow, rois
from metst_lib._files import digest, sha256, sweep
from metst_lib.datasets import Dataset, frames, landmarks
from metst_lib.events import Event, Key, Video, named, window_starts
from metst_lib.experiment import records, store
from metst_lib.experiment.config import Config
from metst_lib.experiment.records import Failure, FlowReport, VideoFlow
from metst_lib.experiment.variants import VARIANTS
from metst_lib.released import caches


@functools.lru_cache(maxsize=4)
def _load(dataset: str, data: Path, frame_step: int, kind: str, stamps: tuple, ranges: tuple = ()) -> Dataset:
    options: dict[str, Any] = {"videos": "with_me" if kind == "micro" else f"with_{kind}"}
    if ranges:  # what lies behind a cache's last window is left out, audited
        options["ranges"] = {(subject, video): ends for subject, video, *ends in ranges}
        options["bad_rows"] = "drop"
    return datasets.load(dataset, data, frame_step=frame_step, **options).with_kind(kind)


def load_data(config: Config) -> Dataset:
    """The videos that contain an event of the run's kind: their subjects are the folds.

    Read again where a table was changed. Where the flow is imported from the authors' caches, these say
    which videos there are and how long they are, and no frames are needed; other regions take the frames
    where they are there, else the same.
    """
    stamps, settings = tuple(map(records.stamp, tables_of(config))), config.settings
    these = config.dataset, config.places.data, settings.frame_step, settings.kind, stamps
    if ranges := imported_ranges(config):
        return _load(*these, ranges)
    try:
        return _load(*these)
    except FileNotFoundError:
        if ranges := imported_ranges(dataclasses.replace(config, variant="me-tst")):
            return _load(*these, ranges)
        raise


def tables_of(config: Config) -> list[Path]:
    """The files that say what is in a data set: workbooks, and what else its reader names."""
    folder, reader = config.places.data / config.dataset, config.reader
    beside = [folder / name for name in (reader.marker, reader.ranges) if name]
    return [path for path in (*reader.find_tables(folder), *beside) if path and path.is_file()]


def imported_ranges(config: Config) -> tuple:
    """(subject, video, first, last frame number) of each video whose flow is imported; () where none is."""
    report = records.read(store.flow_report_path(config), FlowReport)
    return tuple(report.imported.ranges) if report and report.imported else ()


# --- landmarks ------------------------------------------------------------------------------------------


def landmarks_along(config: Config, video: Video) -> np.ndarray:
    """Landmarks (T, 68, 2) for figures: those of each window's first frame, kept until the next one.

    A frame without a face has its neighbour's. ValueError where the video has none at all.
    """
    points, images = landmarker(config, video), frames.open(video)
    starts = window_starts(video.n_frames, config.settings.window)
    found = [(start, points(images[start], start)) for start in starts.tolist()]
    found = [(start, seen) for start, seen in found if seen is not None]
    if not found:
        raise ValueError(f"no face found in {named(video.key)}")
    points.save()
    at = np.searchsorted([start for start, _ in found], np.arange(video.n_frames), side="right") - 1
    return np.stack([seen for _, seen in found])[np.maximum(at, 0)]


def landmark_file(config: Config, video: Video) -> Path:
    """A video's file in the folder of landmarks: `<subject>_<video>.npz` of ours, or `.csv` of OpenFace.

    It has one row for every frame of the video, before frame_step. FileNotFoundError naming what is missing.
    """
    folder = config.places.landmarks
    paths = [folder / f"{video.subject}_{video.name}{suffix}" for suffix in (".npz", ".csv")]
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"no landmarks of video {named(video.key)}: looked for {paths[0]} and {paths[1].name}"
    )


def landmarker(config: Config, video: Video) -> landmarks.CachedLandmarker | landmarks.PrecomputedLandmarks:
    """Where the face is in a video: its landmark file where the places name a folder, else by predictor.

    What the predictor finds is cached under `data/landmarks/`. ValueError where a landmark file has another
    number of frames than the video.
    """
    if config.places.landmarks.is_dir():
        path, step = landmark_file(config, video), config.settings.frame_step
        points = landmarks.read_landmarks(path, step)
        if len(points) != video.n_frames:
            kept = f", every {step}th kept" if step > 1 else ""
            raise ValueError(
                f"{path}: landmarks of {len(points)} frames{kept}, but video {named(video.key)} "
                f"has {video.n_frames}; a row is wanted for every frame, with or without a face"
            )
        return points
    return landmarks.CachedLandmarker(_dlib(config.places.landmarks), store.landmarks_path(config, video))


@functools.lru_cache(maxsize=1)
def _dlib(predictor: Path) -> landmarks.DlibLandmarker:
    return landmarks.DlibLandmarker(predictor)  # the predictor for real faces is 100 MB: read it once


@functools.lru_cache(maxsize=2048)
def _file_hash(path: Path, stamp: tuple[int, int]) -> str:
    return sha256(path)


# --- flow -----------------------------------------------------------------------------------------------


class FlowSet:
    """The flow of a run's videos: what it is to be made of today (`keys`), and what the report says is there.

    new: frames that were never read are read now; else the flow of such a video counts as none.
    """

    def __init__(self, config: Config, new: bool = False) -> None:
        self.config, self.data = config, load_data(config)
        self.report = records.read(store.flow_report_path(config), FlowReport) or FlowReport()
        manifest = datasets.Manifest(store.manifest_path(config))
        seen = {} if config.reader.flow else manifest.keys(self.data.videos, new)
        manifest.save()
        self.keys = {video.key: self._key(video, seen.get(video.key)) for video in self.data.videos}

    def _key(self, video: Video, seen: str | None) -> str:
        """Names all that decides a video's flow; seen: digest of its frames, None where not known."""
        config, settings = self.config, self.config.settings
        if self.report.imported:
            return digest(self.report.imported.files)
        how = (config.what.roi_set, settings.window, settings.flow_mode, settings.frame_step)
        if config.reader.flow:
            labels = [_label(event) for event in video.events]
            blinks = self.data.has_blinks(video.subject)
            source = config.reader.flow_key(config.what.roi_set), labels, blinks
        else:
            marks = config.places.landmarks
            try:
                marks = landmark_file(config, video) if marks.is_dir() else marks
                source = seen, _file_hash(marks, records.stamp(marks))
            except FileNotFoundError:
                source = seen, None
        return digest(store.STEPS["flow"], how, video.n_frames, video.fps, source)

    def there(self, video: Video) -> VideoFlow | None:
        """A video's flow file, where it was made of today's key."""
        path, about = store.flow_path(self.config, video), self.report.videos.get(named(video.key))
        return records.current_flow(path, video.key, self.keys[video.key], about)

    def save(self, video: Video, made: flow.RoiFlow, replaced: int = 0) -> VideoFlow:
        """Keep what was made of a video."""
        made.settings["replaced"] = replaced
        return records.save_flow(store.flow_path(self.config, video), video.key, self.keys[video.key], made)


def inputs(config: Config) -> store.Inputs:
    """Today's inputs of a run: what `store.state` holds its folds against.

    A video whose flow does not hold any more has none; one that gave no flow says so.
    """
    flows, held = FlowSet(config), {}
    for video in flows.data.videos:
        name = named(video.key)
        about, failure = flows.report.videos.get(name), flows.report.failed.get(name)
        if failure and failure.key == flows.keys[video.key]:
            held[video.key] = store.NO_FLOW
        else:
            there = about and about.key == flows.keys[video.key] and flows.there(video)
            held[video.key] = there.hash if there else ""
    return store.Inputs(held, _labels(config, flows.data.videos))


def _labels(config: Config, videos: Iterable[Video]) -> dict[Key, str]:
    found = {video.key: (video.n_frames, video.events_of(config.settings.kind)) for video in videos}
    return {key: digest(n, [_label(e) for e in events]) for key, (n, events) in found.items()}


def _label(event: Event) -> tuple:
    """What of a label decides flow, training and scores: all but its Action Units."""
    return event.onset, event.offset, event.apex, event.emotion, event.kind


def ensure(config: Config, inputs: store.Inputs) -> None:
    """RuntimeError where the labels or the flow are not these any more: what was made may be of either."""
    told = flow_report(config).videos
    now = {key: told[named(key)].hash if named(key) in told else store.NO_FLOW for key in inputs.flow}
    if (now, _labels(config, load_data(config).videos)) != (inputs.flow, inputs.labels):
        raise RuntimeError("labels or flow changed while this ran: run it again")


def shared_inputs() -> Callable[[Config], store.Inputs]:
    """`inputs`, looked at once for all runs that read the same flow."""
    known: dict[Any, store.Inputs] = {}

    def look(config: Config) -> store.Inputs:
        place = store.flow_folder(config), config.settings.kind
        if place not in known:
            known[place] = inputs(config)
        return known[place]

    return look


def whole_inputs(config: Config) -> store.Inputs:
    """Today's inputs, all there; FileNotFoundError naming the command where flow is missing or stale."""
    flow_report(config)
    today = inputs(config)
    if stale := [named(key) for key, held in today.flow.items() if not held]:
        raise FileNotFoundError(
            f"the flow of {len(stale)} videos of {config.dataset} is not that of today's frames and settings "
            f"(first: {stale[0]}); make it with `metst flow {config.dataset} --variant {config.variant}`"
        )
    return today


def prepare(
    config: Config, jobs: int = 2, progress: bool = True, beside: Sequence[Config] = ()
) -> FlowReport:
    """Extract and cache the flow of every video of the run; returns the report it writes.

    The report holds for each video what its flow was made of, its hash, its flagged windows and replaced
    frames, and under `failed` the videos that gave none, with the reason. Videos whose flow holds are
    skipped. Flow imported from the authors' caches is left as it is, and its report returned.

    beside: runs that differ from this one in nothing but their regions. What is extracted here is extracted
    for them in the same pass, for little more; their own `prepare` then finds it there.
    """
    if imported_ranges(config):
        return flow_report(config)
    flows = FlowSet(config, new=True)
    reader, videos = config.reader, flows.data.videos
    if reader.flow is None and all(video.source is None for video in videos):
        raise FileNotFoundError(
            f"no frames of {config.dataset}: the imported caches hold the flow of 5 regions, and "
            f"{config.variant} reads {len(rois.roi_set(config.what.roi_set))}"
        )
    if reader.flow is None and config.places.landmarks.is_dir():
        for video in videos:  # all are looked for before hours are spent
            landmark_file(config, video)
    sets = [flows, *(FlowSet(each, new=True) for each in beside if not imported_ranges(each))]
    found: dict[str, VideoFlow] = {}
    failed: dict[str, Failure] = {}
    for video in tqdm(videos, f"flow of {config.dataset}", unit="video", disable=None if progress else True):
        name = named(video.key)
        try:
            lacking = [each for each in sets if not each.there(video)]
            found[name] = _extract(lacking, video, jobs) if flows in lacking else flows.there(video)
        except ValueError as error:
            failed[name] = Failure(flows.keys[video.key], str(error))
            tqdm.write(f"error: no flow of {name}: {error}")
    if not found:
        first = next((f"{name}: {failure.reason}" for name, failure in failed.items()), "there is no video")
        raise ValueError(f"no video of {config.dataset} gave any flow; the first: {first}")
    report = FlowReport(found, failed)
    records.write(store.flow_report_path(config), report)
    return report


def _extract(sets: Sequence[FlowSet], video: Video, jobs: int) -> VideoFlow:
    """Write a video's flow for each of the sets; returns what is to be said of the first."""
    first, config = sets[0], sets[0].config
    settings, roi_set = config.settings, config.what.roi_set
    if config.reader.flow:
        blinks = not first.data.has_blinks(video.subject)
        return first.save(video, config.reader.flow(video, roi_set, settings.window, blinks=blinks))
    points, images = landmarker(config, video), frames.open(video)
    how = {"window": settings.window, "mode": settings.flow_mode, "threads": jobs, "fps": video.fps}
    extract = functools.partial(flow.extract_sets, images, points, name=named(video.key), **how)
    try:
        try:
            found = extract(roi_sets=[each.config.what.roi_set for each in sets])
        except ValueError:
            if len(sets) == 1:
                raise
            found = extract(roi_sets=[roi_set])  # a region of another set may lie outside
    finally:
        points.save()
    for each in sets[1:]:
        if each.config.what.roi_set in found:
            each.save(video, found[each.config.what.roi_set], len(images.replaced))
    return first.save(video, found[roi_set], len(images.replaced))


def load_flow(config: Config, videos: Iterable[Video]) -> dict[Key, flow.RoiFlow]:
    """The cached flow of these videos; videos that `prepare` could not extract are left out.

    Raises FileNotFoundError naming the command that makes it where there is no flow yet, ValueError naming a
    file that is not what was written for its video.
    """
    report, found = flow_report(config), {}
    for video in videos:
        if named(video.key) not in report.failed:
            about = report.videos.get(named(video.key))
            key = about.key if about else None
            found[video.key] = records.load_flow(store.flow_path(config, video), video.key, key)
    return found


def flow_report(config: Config) -> FlowReport:
    """What `prepare` wrote beside the flow; FileNotFoundError naming the command where there is none."""
    report = records.read(store.flow_report_path(config), FlowReport)
    if report is None:
        raise FileNotFoundError(
            f"no flow of {config.dataset} with these settings ({store.flow_folder(config)}); "
            f"make it with `metst flow {config.dataset} --variant {config.variant}`"
        )
    return report


def import_cache(config: Config, clone: str | Path) -> dict[str, FlowReport]:
    """Keep the authors' caches of a data set, in a clone of their repository, as its flow. No frames needed.

    Returns the report of each set of regions that the clone serves: a cache of 18 regions serves 5 as well.
    What holds is left as it is; killed half-way it may be called again. Raises as
    `released.caches.read_clone`, and ValueError where there is flow that was made from frames. Nothing is
    written then.
    """
    how = {"window": config.settings.window, "frame_step": config.settings.frame_step}
    read = caches.read_clone(config.dataset, clone, config.places.data, **how)
    readers = {what.roi_set: name for name, what in VARIANTS.items()}
    into = {roi_set: dataclasses.replace(config, variant=readers[roi_set]) for roi_set in read}
    for each in into.values():
        folder = store.flow_folder(each)
        sweep(folder)
        files = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
        own = [path for path in files if not records.imported(path)]
        if own and not imported_ranges(each):
            raise ValueError(
                f"{folder} holds flow that was made from frames, first {own[0].name}: move or delete it "
                "before you import a cache. Nothing was imported"
            )
    return {roi_set: _import(into[roi_set], cached) for roi_set, cached in read.items()}


def _import(config: Config, cached: caches.Imported) -> FlowReport:
    """Keep the flow of a cache; the report, without which none of it counts, is written last."""
    source, key = records.Imported(cached.hashes, cached.ranges), digest(cached.hashes)
    paths = {
        video: store.flow_path(config, Video(*video, flow.fps, flow.n_frames, ()))
        for video, flow in cached.flows.items()
    }
    report = records.read(store.flow_report_path(config), FlowReport)
    if report and report.imported == source:
        told = report.videos
        if all(records.current_flow(path, v, key, told.get(named(v))) for v, path in paths.items()):
            return report
    store.flow_report_path(config).unlink(missing_ok=True)
    found = {}
    for video, made in cached.flows.items():
        made.settings.update(replaced=0, imported=True)
        found[named(video)] = records.save_flow(paths[video], video, key, made)
    report = FlowReport(found, {}, source)
    records.write(store.flow_report_path(config), report)
    return report
