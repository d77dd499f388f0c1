"""Pixels beside signals: scripts of the study rendered, and their flow measured as on a real recording.

The study is run on signals, flow that is reckoned and not measured. For one video each of eight subjects the
same script is rendered as well, compressed as the demonstration's frames are, and taken down the path of real
data (paper, Sec. III): dlib's face detector, a landmark predictor, optical flow. `agreement` says how alike
the two are.

Glossary: C channels (region × x, y); k frames of a window; px are those of the 320-px face crop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score
from tqdm.auto import tqdm

from metst_lib import flow, fold, inference, metrics, rois, windows
from metst_lib._files import digest, write_text
from metst_lib.datasets.landmarks import DlibLandmarker
from metst_lib.events import Event, Key, Video
from metst_lib.experiment import records
from metst_lib.experiment.provenance import CHECKOUT
from metst_lib.flow import Landmarker, RoiFlow
from metst_lib.study import rows
from metst_lib.synthetic import predictor, replicates
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.replicates import WINDOW, Replicate
from metst_lib.synthetic.script import Script
from metst_lib.synthetic.writer import JPEG_QUALITY

SUBJECTS, LEFT_OUT = 8, 2
#: Replicates that no table counts and that train beside the first one's other subjects.
TAUGHT_BY = (8, 9)
#: The regions that are compared, and the row of the study whose network is trained on either.
ROI_SET, ROW = "18", "single-path-18roi"
MODE = "fast"
#: Columns of `agreement`, which "synthetic" says of.
COLUMNS = ["synthetic source", "measure", "kind", "name", "n", "value", "low", "high"]
#: The committed table's name.
TABLE = "pixels_agreement.csv"
SOURCES = PIXELS, SIGNALS = ("pixels", "signals")

Flows = Mapping[Key, RoiFlow]


# ---------------------------------------------------------------- rendered, and measured


def part(replicate: Replicate) -> list[Video]:
    """Of each of the first subjects the video with the most micro-expressions, the first of several."""
    subjects = dict.fromkeys(video.subject for video in replicate.videos)
    of = {name: [video for video in replicate.videos if video.subject == name] for name in subjects}
    return [max(of[name], key=lambda v: len(v.events_of("micro"))) for name in [*subjects][:SUBJECTS]]


def measured(
    replicate: Replicate, folder: str | Path, progress: bool = False
) -> dict[str, dict[Key, RoiFlow]]:
    """The flow of the part's rendered videos, by set of regions; kept in the folder, with the predictor.

    What lies there is read where it was made of today's script and settings.
    """
    folder = Path(folder)
    if not (folder / predictor.NAME).exists():
        predictor.train(folder / predictor.NAME, progress=progress)
    marks = DlibLandmarker(folder / predictor.NAME)
    found: dict[str, dict[Key, RoiFlow]] = {name: {} for name in rois.ROI_SETS}
    for video in tqdm(part(replicate), desc="pixels", unit="video", disable=None if progress else True):
        script = replicate.scripts[video.key]
        key = digest(repr(script), WINDOW, MODE, JPEG_QUALITY, marks.made_by)
        paths = {name: folder / name / f"{video.subject}_{video.name}.npz" for name in found}
        try:
            made = {name: records.load_flow(path, video.key, key) for name, path in paths.items()}
        except (FileNotFoundError, ValueError):  # none, or made of something else
            made = filmed(script, marks)
            for name, path in paths.items():
                records.save_flow(path, video.key, key, made[name])
        for name in found:
            found[name][video.key] = made[name]
    return found


def filmed(script: Script, landmarker: Landmarker) -> dict[str, RoiFlow]:
    """The flow of a script's pixels, by set of regions; found landmarks wander off as the script says."""
    film = Film(script)
    if script.wander:
        landmarker = wandering(landmarker, script, film.face.crop_scale)
    return flow.extract_sets(Shots(film), landmarker, window=WINDOW, mode=MODE, fps=script.fps)


class Shots:
    """A film's frames as they come out of JPEG files."""

    def __init__(self, film: Film) -> None:
        self.film = film

    def __len__(self) -> int:
        return len(self.film)

    def __getitem__(self, t: int) -> np.ndarray:
        data = cv2.imencode(".jpg", self.film[t], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def wandering(landmarker: Landmarker, script: Script, crop_scale: float) -> Landmarker:
    """The landmarker, what it finds drifting; it looks at whole frames only, as those have a time."""
    seconds, off = np.arange(script.n_frames) / script.fps, np.zeros((script.n_frames, 2))
    for wave in script.wander:
        course = np.sin(2 * np.pi * (seconds / wave.period + wave.phase))
        off[:, "xy".index(wave.channel)] += wave.amplitude / crop_scale * course

    def found(image: np.ndarray, frame: int) -> np.ndarray | None:
        points = landmarker(image, frame)
        return None if points is None else points + off[frame]

    return found


# ---------------------------------------------------------------- how alike they are


def agreement(replicate: Replicate, pixels: Flows, seeds: Sequence[int] = (0, 1)) -> pd.DataFrame:
    """What pixels and signals of the same scripts say, a row for each value; see `COLUMNS`.

    "noise": of one frame, px, by region, and "second": root mean square of the flow at the last frame, in
    windows in which nothing happens; low and high are 10 and 90 % of the videos. "length": of a region's flow
    at the apex of actions and changes of each kind, the median, 10 and 90 % of them; "all": the root mean
    square over regions. "correlation": of the channels at the apexes. Ratios, correlations: 95 % intervals by
    jackknife over the videos. Then of one network, pairs of the subjects left out, or trained on other
    subjects' signals, with 95 % intervals: "F1" of spotting, "AUC of frames" (how often the score of a frame
    in an ME is above that of one outside), and how the score's curves on both correlate.
    """
    signals = {key: replicate.flow(ROI_SET)[key] for key in pixels}
    scripts = {key: replicate.scripts[key] for key in pixels}
    sources = {PIXELS: pixels, SIGNALS: signals}
    still = {name: {key: at_rest(f[key], scripts[key]) for key in f} for name, f in sources.items()}
    moved = {name: {key: at_apexes(f[key], scripts[key]) for key in f} for name, f in sources.items()}
    made = [*_rest_rows(still), *_apex_rows(moved), *_score_rows(replicate, sources, seeds)]
    return pd.DataFrame(made, columns=COLUMNS)


def write(table: pd.DataFrame, path: str | Path) -> Path:
    """Write what `agreement` gives."""
    return write_text(path, table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def read(path: str | Path = "") -> pd.DataFrame:
    """Read it, by default the committed one. ValueError naming the file where its columns are others."""
    path = path or CHECKOUT / "figures" / "synthetic" / TABLE
    table = pd.read_csv(path)
    if list(table) != COLUMNS:
        raise ValueError(f"{path} is no table of pixels beside signals: its columns are others")
    return table


def at_rest(measured: RoiFlow, script: Script) -> np.ndarray:
    """Windows (W, C, k) of a video in which neither face nor head nor light does anything but drift."""
    busy = np.zeros(script.n_frames, bool)
    for one in (*script.actions, *script.changes):
        busy[one.onset : one.offset + 1] = True
    frames = measured.starts[:, None] + np.arange(measured.window)
    return measured.values[~busy[frames].any(axis=1)].astype(float)


def at_apexes(measured: RoiFlow, script: Script) -> list[tuple[str, np.ndarray]]:
    """Kind and flow (C,) at the apex of each action and change, the mean over windows that show its rise."""
    found = []
    for one in (*script.actions, *script.changes):
        rising = (measured.starts <= one.onset) & (one.apex < measured.starts + measured.window)
        at = [measured.values[w, :, one.apex - measured.starts[w]] for w in np.flatnonzero(rising)]
        if at:
            found.append((one.kind, np.mean(at, axis=0, dtype=float)))
    return found


def noise(still: np.ndarray) -> np.ndarray:
    """Standard deviation of one frame's noise (C,), from steps between neighbours, each window's mean step
    taken out; the first frame has none."""
    return np.sqrt(np.mean(np.var(np.diff(still[:, :, 1:], axis=2), axis=2, ddof=1), axis=0) / 2)


def second(still: np.ndarray) -> np.ndarray:
    """Root mean square (C,) of the flow at the windows' last frame."""
    return np.sqrt(np.mean(still[:, :, -1] ** 2, axis=0))


def _rest_rows(still: Mapping[str, Mapping[Key, np.ndarray]]) -> list[tuple]:
    made, names = [], [roi.name for roi in rois.roi_set(ROI_SET)]
    for measure in (noise, second):
        whole: dict[str, list[float]] = {}
        for source, by_video in still.items():
            calm = [windows for windows in by_video.values() if len(windows)]
            each = np.array([_by_region(measure(windows)) for windows in calm])  # (videos, regions)
            for name, values in zip(names, each.T, strict=True):
                low, high = np.quantile(values, (0.1, 0.9))
                value = np.sqrt(np.mean(values**2))
                made.append((source, measure.__name__, "rest", name, len(values), value, low, high))
            whole[source] = np.sqrt(np.mean(each**2, axis=1)).tolist()
        made.append(_ratio(measure.__name__, "rest", whole))
    return made


def _apex_rows(moved: Mapping[str, Mapping[Key, list[tuple[str, np.ndarray]]]]) -> list[tuple]:
    made, names = [], [roi.name for roi in rois.roi_set(ROI_SET)]
    for kind in dict.fromkeys(kind for seen in moved[PIXELS].values() for kind, _ in seen):
        of = {
            source: [np.array([f for k, f in seen if k == kind]) for seen in by_video.values()]
            for source, by_video in moved.items()
        }
        of = {source: [flow for flow in parts if len(flow)] for source, parts in of.items()}
        for source, parts in of.items():
            lengths = _lengths(np.concatenate(parts))  # (actions, regions)
            for name, values in zip(names, lengths.T, strict=True):
                low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
                made.append((source, "length", kind, name, len(values), middle, low, high))
        made.append(_ratio("length", kind, {s: [_rms(flow) for flow in parts] for s, parts in of.items()}))
        made.append(_correlation(kind, of))
    return made


def _by_region(channels: np.ndarray) -> np.ndarray:
    """Root mean square of x and y, (regions,), of (C,)."""
    return np.sqrt(np.mean(channels.reshape(-1, 2) ** 2, axis=1))


def _lengths(flow: np.ndarray) -> np.ndarray:
    return np.hypot(flow[:, 0::2], flow[:, 1::2])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _ratio(measure: str, kind: str, by_video: Mapping[str, Sequence[float]]) -> tuple:
    """The row of pixels / signals, both root mean squares over the videos."""
    values = [np.array(by_video[source]) for source in SOURCES]
    found = _jackknife(lambda keep: _rms(values[0][keep]) / _rms(values[1][keep]), len(values[0]))
    return ("pixels / signals", measure, kind, "all", len(values[0]), *found)


def _correlation(kind: str, of: Mapping[str, Sequence[np.ndarray]]) -> tuple:
    def over(keep: np.ndarray) -> float:
        pair = [np.concatenate([of[source][v] for v in keep]).ravel() for source in SOURCES]
        return float(np.corrcoef(*pair)[0, 1])

    videos = len(of[PIXELS])
    return ("pixels and signals", "correlation", kind, "all", videos, *_jackknife(over, videos))


def _jackknife(value: Callable[[np.ndarray], float], n: int) -> tuple[float, float, float]:
    """A value of n videos and its 95 % interval; of one or two videos no interval."""
    every = np.arange(n)
    whole = value(every)
    if n < 3:
        return whole, np.nan, np.nan
    left = [value(np.delete(every, i)) for i in every]
    half = student.ppf(0.975, n - 1) * np.sqrt((n - 1) * np.var(left))
    return whole, whole - half, whole + half


# ---------------------------------------------------------------- a network on each


def _score_rows(replicate: Replicate, sources: Mapping[str, Flows], seeds: Sequence[int]) -> list[tuple]:
    ways = {"leave two out": spot_pairs, "trained on other subjects' signals": spot_unseen}
    made = []
    for name, way in ways.items():
        folds = [way(replicate, sources, seed) for seed in seeds]
        runs = {
            source: [metrics.evaluate(f[source].found, f[source].truth) for f in folds] for source in SOURCES
        }
        found = {source: inference.interval_of(scores, "spotting.f1") for source, scores in runs.items()}
        found["pixels − signals"] = inference.paired(*runs.values(), measure="spotting.f1")
        n = sum(len(events) for events in folds[0][PIXELS].truth.values())
        for source, f1 in found.items():
            made.append((source, "F1", "micro", name, n, f1.value, f1.low, f1.high))
        made += _curve_rows(name, folds)
    return made


@dataclass(frozen=True, eq=False)
class Spotted:
    """What a network says of the part's videos, what was found and what is true."""

    scores: Mapping[Key, np.ndarray]
    found: Mapping[Key, list[Event]]
    truth: Mapping[Key, list[Event]]


def _curve_rows(name: str, folds: Sequence[Mapping[str, Spotted]]) -> list[tuple]:
    """Of the score's curves, means over seeds: how well each source's tells frames of MEs, and how alike."""
    keys = list(folds[0][PIXELS].truth)
    curves = {s: [np.mean([f[s].scores[key] for f in folds], axis=0) for key in keys] for s in SOURCES}
    shown = [
        windows.targets(folds[0][PIXELS].truth[key], len(curves[PIXELS][n]))[0] for n, key in enumerate(keys)
    ]
    made: list[tuple] = []
    for source, by_video in curves.items():

        def told(keep: np.ndarray, by_video: list[np.ndarray] = by_video) -> float:
            labels, values = (np.concatenate([each[v] for v in keep]) for each in (shown, by_video))
            return float(roc_auc_score(labels, values))

        made.append((source, "AUC of frames", "micro", name, len(keys), *_jackknife(told, len(keys))))
    each = np.array([np.corrcoef(*pair)[0, 1] for pair in zip(*curves.values(), strict=True)])
    alike = _jackknife(lambda keep: float(each[keep].mean()), len(keys))
    return [*made, ("pixels and signals", "correlation", "score", name, len(keys), *alike)]


def spot_pairs(replicate: Replicate, sources: Mapping[str, Flows], seed: int) -> dict[str, Spotted]:
    """Trained and tested on the same source, two of the part's subjects left out at a time."""
    return {source: _over_pairs(replicate, flows, seed) for source, flows in sources.items()}


def _over_pairs(replicate: Replicate, flows: Flows, seed: int) -> Spotted:
    truth, subjects = {key: replicate.truth[key] for key in flows}, [key[0] for key in flows]
    spotted = Spotted({}, {}, {})
    for first in range(0, len(subjects), LEFT_OUT):
        done = fold.fold(flows, truth, subjects[first : first + LEFT_OUT], rows.recipe(ROW), seed)
        _add(spotted, done)
    return spotted


def _add(spotted: Spotted, done: fold.Fold) -> None:
    spotted.scores.update({key: said.score for key, said in done.predictions.items()})
    spotted.found.update(done.predicted)
    spotted.truth.update(done.truth)


def spot_unseen(replicate: Replicate, sources: Mapping[str, Flows], seed: int) -> dict[str, Spotted]:
    """One network, trained on signals of subjects who are not in the part, tested on each source."""
    subjects = {key[0] for key in sources[PIXELS]}
    others = {key: f for key, f in replicate.flow(ROI_SET).items() if key[0] not in subjects}
    truth = {key: replicate.truth[key] for key in (*others, *sources[PIXELS])}
    for number in TAUGHT_BY:
        more = replicates.replicate(number, replicate.difficulty)
        others |= {(f"{number} {who}", name): f for (who, name), f in more.flow(ROI_SET).items()}
        truth |= {(f"{number} {who}", name): events for (who, name), events in more.truth.items()}
    fitted = []

    def once(*args: Any, **options: Any) -> Any:
        if not fitted:
            fitted.append(fold.fit(*args, **options))
        return fitted[0]

    made = {}
    for source, flows in sources.items():
        made[source] = Spotted({}, {}, {})
        _add(made[source], fold.fold({**others, **flows}, truth, subjects, rows.recipe(ROW), seed, once))
    return made
