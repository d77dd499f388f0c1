"""Score files: a curve a video, as any method can write it and every rule and scorer can read it.

One data set a file, npz or csv by its ending. Frames are those of the file's fps, 0 … T − 1.

    npz   dataset (text), subject (V,), video (V,), fps (V,), n_frames (V,), score (sum of n_frames,): the
          videos' curves one after the other; logits (sum of n_frames, 5), if the method names emotions
    csv   dataset, subject, video, fps, frame, score, and if it names emotions negative, positive, surprise,
          others, neutral: a row a frame

Scores are best 0 or more: the average over a video's ends counts what lies beyond them as 0, which is a peak
where all scores are negative.

Glossary: V videos; T frames of a video.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib._files import atomic, read_npz, write_text
from metst_lib.events import CLASSES, Key, Prediction, named
from metst_lib.evidence.intervals import check_numbers, read_table

_WANTED = ("dataset", "subject", "video", "fps", "n_frames", "score")
_COLUMNS = ("dataset", "subject", "video", "fps", "frame", "score")


@dataclass(frozen=True)
class ScoreFile:
    """The curves of one data set: predictions and fps by video; recognised: it names emotions.

    A method that names none has logits of zero, and no veto of the recogniser's is to be applied to it.
    """

    dataset: str
    predictions: dict[Key, Prediction]
    fps: dict[Key, float]
    recognised: bool

    @property
    def n_frames(self) -> dict[Key, int]:
        """Length of each video in frames."""
        return {key: len(prediction.score) for key, prediction in self.predictions.items()}


def bare(score: np.ndarray) -> Prediction:
    """A curve as the prediction of a method that names no emotion: logits of zero."""
    return Prediction(score, np.zeros((len(score), len(CLASSES))))


def write(
    path: str | Path, name: str, predictions: Mapping[Key, Prediction], fps: float | Mapping[Key, float]
) -> Path:
    """Write the predictions of the videos of data set `name`; fps: of all, or of each. Returns the path.

    Logits are written if any is not zero. ValueError as `read`, before anything is written.
    """
    path = Path(path)
    rates = dict(fps) if isinstance(fps, Mapping) else dict.fromkeys(predictions, float(fps))
    _check(path, predictions, rates)
    recognised = any(np.any(prediction.logits) for prediction in predictions.values())
    lengths = [len(prediction.score) for prediction in predictions.values()]
    score = np.concatenate([prediction.score for prediction in predictions.values()])
    logits = np.concatenate([prediction.logits for prediction in predictions.values()])
    each = {
        "subject": [subject for subject, _ in predictions],
        "video": [video for _, video in predictions],
        "fps": [rates[key] for key in predictions],
    }
    if path.suffix.lower() == ".csv":
        columns = {"dataset": name} | {what: np.repeat(values, lengths) for what, values in each.items()}
        frame = np.concatenate([np.arange(length) for length in lengths])
        emotions = dict(zip(CLASSES, logits.T, strict=True)) if recognised else {}
        table = pd.DataFrame(columns | {"frame": frame, "score": score} | emotions, index=range(len(score)))
        return write_text(path, table.to_csv(index=False, lineterminator="\n"))
    arrays = {what: np.array(values) for what, values in each.items()}
    arrays |= {"dataset": np.array(name), "n_frames": np.array(lengths), "score": score}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays, **({"logits": logits} if recognised else {}))
    return path


def read(path: str | Path) -> ScoreFile:
    """Read a score file, npz or csv.

    Raises FileNotFoundError; ValueError naming file and video where lengths disagree, a score or logit is not
    finite, frames are not 0, 1, 2, …, a frame rate is not positive, or a video occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no score file {path}")
    found = _read_csv(path) if path.suffix.lower() == ".csv" else _read_npz(path)
    _check(path, found.predictions, found.fps)
    return found


def is_score_file(path: str | Path) -> bool:
    """Whether a file is of scores: every npz is, a csv with a column `score`."""
    path = Path(path)
    if path.suffix.lower() != ".csv":
        return True
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        return "score" in next(csv.reader(text), ())


def _read_npz(path: Path) -> ScoreFile:
    arrays = read_npz(path, "", "a score file")
    if lacking := [name for name in _WANTED if name not in arrays]:
        raise ValueError(f"{path} is no score file: it lacks {', '.join(lacking)}")
    keys = list(zip(arrays["subject"].tolist(), arrays["video"].tolist(), strict=False))
    lengths, score = arrays["n_frames"], arrays["score"]
    counts = {name: len(np.atleast_1d(arrays[name])) for name in ("subject", "video", "fps", "n_frames")}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"{path}: as many subjects as videos, fps and n_frames wanted, not {told}")
    logits = arrays.get("logits", np.zeros((len(score), len(CLASSES))))
    total = int(lengths.sum())
    if score.shape != (total,) or logits.shape != (total, len(CLASSES)) or (lengths < 1).any():
        raise ValueError(
            f"{path}: n_frames add up to {total}, but score has shape {score.shape} and logits {logits.shape}"
        )
    _once(path, keys)
    ends = np.cumsum(lengths)[:-1]
    parts = zip(np.split(score, ends), np.split(logits, ends), strict=True)
    predictions = {key: Prediction(*part) for key, part in zip(keys, parts, strict=True)}
    rates = dict(zip(keys, arrays["fps"].astype(float).tolist(), strict=True))
    return ScoreFile(str(arrays["dataset"]), predictions, rates, "logits" in arrays)


def _read_csv(path: Path) -> ScoreFile:
    table = read_table(path)
    if lacking := [name for name in _COLUMNS if name not in table]:
        raise ValueError(f"{path} is no score file: it lacks {', '.join(lacking)}")
    if (blank := table[["dataset", "subject", "video"]].isna().any(axis=1)).any():
        raise ValueError(f"{path}, row {int(np.argmax(blank)) + 2}: no data set, subject or video")
    emotions = set(CLASSES) & set(table)
    if emotions and len(emotions) < len(CLASSES):
        raise ValueError(f"{path}: logits of all of {', '.join(CLASSES)} wanted, not of {len(emotions)}")
    check_numbers(path, table, *_COLUMNS[3:], *emotions)
    sets = table["dataset"].unique()
    if len(sets) != 1:
        raise ValueError(f"{path}: one data set wanted, not {', '.join(map(str, sets)) or 'none'}")
    recognised = bool(emotions)
    predictions, rates = {}, {}
    for key, rows in table.groupby(["subject", "video"], sort=False):
        frames = rows["frame"].to_numpy()
        if len(off := np.flatnonzero(frames != np.arange(len(frames)))):
            wrong = int(off[0])
            raise ValueError(
                f"{path}, row {rows.index[wrong] + 2}: "
                f"frame {frames[wrong]} of video {named(key)}, not {wrong}"
            )
        if rows["fps"].nunique(dropna=False) > 1:
            raise ValueError(f"{path}, video {named(key)}: one frame rate wanted, not several")
        score = rows["score"].to_numpy(np.float64)
        logits = rows[list(CLASSES)].to_numpy(np.float64) if recognised else bare(score).logits
        predictions[key], rates[key] = Prediction(score, logits), float(rows["fps"].iloc[0])
    return ScoreFile(str(sets[0]), predictions, rates, recognised)


def _once(path: Path, keys: list[Key]) -> None:
    if len(set(keys)) < len(keys):
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"{path}: video {named(twice)} occurs twice")


def _check(path: Path, predictions: Mapping[Key, Prediction], fps: Mapping[Key, float]) -> None:
    if not predictions:
        raise ValueError(f"{path}: no video to score")
    for key, prediction in predictions.items():
        where = f"{path}, video {named(key)}"
        score, logits = np.asarray(prediction.score), np.asarray(prediction.logits)
        if score.ndim != 1 or logits.shape != (len(score), len(CLASSES)):
            raise ValueError(
                f"{where}: a score (T,) and logits (T, {len(CLASSES)}) wanted, "
                f"not {score.shape}, {logits.shape}"
            )
        for what, values in (("score", score), ("logits", logits)):
            if not np.isfinite(values).all():
                frame = int(np.argmin(np.isfinite(values.reshape(len(score), -1)).all(axis=1)))
                raise ValueError(f"{where}: the {what} not finite at frame {frame}")
        if not 0 < fps.get(key, 0) < np.inf:
            raise ValueError(f"{where}: a frame rate above 0 wanted, not {fps.get(key)}")
