"""A video of your own, from its file to micro-expressions: the same steps as in an experiment, on one video.

The recording is resampled to the frame rate of the model (`film`), one face is followed through it (`face`),
its flow is extracted (`flow`), scored by a trained network (`model`) and turned into events (`spotting`).
Where no face is seen nothing is scored and no event reported. `report` writes the result.

Glossary: N frames of the recording; T frames of the video at the model's rate, to which all arrays belong;
W windows of k frames; C channels of flow; k_p half the mean length of a micro-expression.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from metst_lib import flow, spotting
from metst_lib.datasets import frames
from metst_lib.events import Event, Prediction, window_starts
from metst_lib.recording import film
from metst_lib.recording.face import Along, Face, Marks, find_face
from metst_lib.recording.film import Recording, Resampled
from metst_lib.recording.model import About, Trained
from metst_lib.spotting import Candidate

#: Frames that a mean micro-expression should have in the recording, for its course to be seen at all.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in one recording.

    landmarks: what found them. prediction: score (T,) and logits (T, 5), which say something only where
    `scored` (T,) does. found: the micro-expressions as candidates, whose height is their score; threshold:
    what a peak of the smoothed score must reach. notes: what the reader has to know about this recording.
    """

    recording: Recording
    resampled: Resampled
    face: Face
    landmarks: str
    model: Trained
    prediction: Prediction
    scored: np.ndarray
    found: list[Candidate]
    threshold: float
    notes: list[str]

    @property
    def name(self) -> str:
        """The recording's file name."""
        return self.recording.path.name

    @property
    def about(self) -> About:
        """What the model is."""
        return self.model.about

    @property
    def seen(self) -> np.ndarray:
        """Where the face is in view, (T,)."""
        return self.face.seen(len(self.scored))

    @property
    def events(self) -> list[Event]:
        """The micro-expressions in frames of the model's rate, by time."""
        return self.about.rule.events(self.found)

    @property
    def unseen(self) -> list[tuple[float, float]]:
        """Spans without a face, in seconds."""
        return [self._seconds(first, last) for first, last in spans(~self.seen)]

    @property
    def unscored(self) -> list[tuple[float, float]]:
        """Spans that got no score, in seconds: those without a face, and what only they could explain."""
        return [self._seconds(first, last) for first, last in spans(~self.scored)]

    def events_table(self) -> pd.DataFrame:
        """One row per micro-expression: seconds, the recording's own frame numbers, emotion, score.

        A frame lasts until the next one: end_s is when the last frame of the event goes.
        """
        rows = []
        for number, (event, candidate) in enumerate(zip(self.events, self.found, strict=True), start=1):
            start, end = self._seconds(event.onset, event.offset)
            apex = float(self.resampled.seconds[event.apex])
            own = self.own_frames[[event.onset, event.apex, event.offset]].tolist()
            rows.append((number, start, apex, end, *own, event.emotion, round(candidate.height, 4)))
        columns = "event start_s apex_s end_s start_frame apex_frame end_frame emotion score".split()
        return pd.DataFrame(rows, columns=columns).round({"start_s": 3, "apex_s": 3, "end_s": 3})

    def curves_table(self) -> pd.DataFrame:
        """One row per frame of the model's rate; score and probabilities are empty where nothing is known."""
        table = pd.DataFrame({"time_s": self.resampled.seconds.round(4), "frame": self.own_frames})
        table["face"] = self.seen.astype(int)
        curves = {"score": self.prediction.score}
        shares = zip(self.about.classes, self.prediction.probabilities.T, strict=True)
        curves |= {f"p_{name}": share for name, share in shares}
        for name, curve in curves.items():
            table[name] = np.where(self.scored, curve, np.nan).astype(float).round(4)
        return table

    @property
    def own_frames(self) -> np.ndarray:
        """The recording's own number of the frame behind each frame, (T,)."""
        return self.recording.first + self.resampled.taken

    def _seconds(self, first: int, last: int) -> tuple[float, float]:
        seconds = self.resampled.seconds
        return float(seconds[first]), float(seconds[last]) + 1 / self.recording.fps


def analyze(
    path: str | Path,
    model: Trained,
    marks: Marks,
    *,
    face: int | None = None,
    fps: float | None = None,
    jobs: int = 2,
) -> Analysis:
    """Find micro-expressions in a video file or a folder of numbered images.

    Args:
        model: see `model.load`.
        marks: dlib's landmarks, or known ones of all N frames of the recording; see `face.landmarks_from`.
        face: which of several faces, numbered from left to right; None takes the largest.
        fps: of the recording, in place of its time stamps; a folder without it is taken to have the model's.
        jobs: windows of flow worked on at a time.

    The video is read three times and never held as a whole: memory grows with the size of its frames, not
    with its length. Raises FileNotFoundError, and ValueError naming the recording, where it cannot be read,
    is too short, or shows no face (of that number) for long enough.
    """
    about, path = model.about, Path(path)
    notes = []
    if path.is_dir() and fps is None:
        fps = about.fps
        notes.append(
            f"The folder's frame rate is taken to be the model's, {fps:g} per second; --fps gives it."
        )
    recording = film.look(path, fps)
    resampled = film.resample(recording, about.fps)
    notes += rate_notes(recording, about)
    n_frames = resampled.video.n_frames
    if n_frames < about.window:
        raise ValueError(
            f"{path.name} is too short: {recording.seconds:.2f} s; the model reads windows of "
            f"{about.window / about.fps:.2f} s"
        )
    found = find_face(recording, resampled, marks, about.window, face)
    values = extract(resampled, found, marks, about, jobs)
    return judge(recording, resampled, found, values, model, marks, notes)


def judge(
    recording: Recording,
    resampled: Resampled,
    face: Face,
    values: flow.RoiFlow,
    model: Trained,
    marks: Marks,
    notes: Sequence[str] = (),
) -> Analysis:
    """From flow to events: score the flow, leave out what no face explains, and find the peaks.

    Frames without a face are not scored, nor are those of windows that begin without one: what such a window
    says of its later frames is measured against a picture that is no face. notes go before what is said of
    the face. ValueError where nothing can be scored.
    """
    about, prediction = model.about, model.predict(values)
    lost = (values.starts[values.flags][:, None] + np.arange(about.window)).ravel()
    scored = face.seen(values.n_frames)
    scored[lost] = False
    if not scored.any():
        raise ValueError(
            f"{recording.path.name}: the face is never in view for a whole window of "
            f"{about.window / about.fps:.2f} s"
        )
    made_by = getattr(marks, "made_by", "from a file")
    found, threshold = find_events(prediction, scored, about)
    notes = [*notes, *face.notes]
    analysis = Analysis(
        recording, resampled, face, made_by, model, prediction, scored, found, threshold, notes
    )
    if replaced := values.settings.get("replaced"):
        notes.append(f"{replaced} frames are missing or do not open: the nearest one serves for each.")
    if analysis.unseen:
        times = ", ".join(f"{start:.1f}–{end:.1f} s" for start, end in analysis.unseen)
        notes.append(f"No face at {times}: no score and no event there, nor in windows that begin there.")
    return analysis


def rate_notes(recording: Recording, about: About) -> list[str]:
    """What is to be said of the recording's length, rotation and frame rate."""
    notes = []
    if recording.rotation:
        notes.append(
            f"The file says that it is turned by {recording.rotation}°: its frames are read upright."
        )
    if recording.promised and len(recording.times) < 0.95 * recording.promised:
        notes.append(
            f"The file ends early or is damaged: its header tells of {recording.promised} frames, "
            f"{len(recording.times)} could be read."
        )
    if not recording.stamped and isinstance(recording.source, frames.VideoFile):
        notes.append(f"Times are counted at {recording.fps:g} frames per second, not read from time stamps.")
    if not recording.steady:
        notes.append(
            f"The frame rate varies, {recording.fps:.1f} per second on average and "
            f"{recording.slowest:.1f} at its slowest: frames are taken by their time stamps."
        )
    span = 2 * about.half_width / about.fps  # seconds of the mean micro-expression
    if recording.fps * span < FEWEST:
        notes.append(
            f"{recording.fps:.3g} frames per second are too few: a micro-expression of {span:.2f} s has "
            f"{max(1, round(recording.fps * span))} of them. Much will be missed."
        )
    elif recording.fps < (1 - film.SAME_RATE) * about.fps:
        notes.append(
            f"The recording has {recording.fps:.3g} frames per second, the model was trained on "
            f"{about.fps:.3g}: frames are repeated, and brief movements are seen less well."
        )
    return notes


# --- flow, score, events --------------------------------------------------------------------------------


def extract(resampled: Resampled, face: Face, marks: Marks, about: About, jobs: int = 2) -> flow.RoiFlow:
    """The flow that the model reads; windows whose first frame shows no face are flagged.

    settings["replaced"] counts the frames that are missing or do not open: the nearest one serves for each.
    Where frames were taken at other times than wanted, flow is read off between them, along straight lines:
    a frame that comes twice would make a step of what is a slope. A bar is shown on a terminal.
    """
    video, images = resampled.video, frames.open(resampled.video)
    total = len(window_starts(video.n_frames, about.window))
    with tqdm(desc=f"{video.name}: flow", total=total, disable=None) as bar:
        values = flow.extract(
            images,
            Along(face, marks),
            about.roi_set,
            about.window,
            about.flow_mode,
            threads=jobs,
            progress=lambda done, _: bar.update(done - bar.n),
            fps=video.fps,
            name=video.name,
        )
    return dataclasses.replace(
        values,
        values=_retimed(values, resampled),
        flags=~face.seen(video.n_frames)[values.starts],
        settings={**values.settings, "replaced": len(images.replaced)},
    )


def _retimed(values: flow.RoiFlow, resampled: Resampled) -> np.ndarray:
    """Flow at the moments that were wanted, (W, C, k); as it is where they are those of the frames."""
    if np.abs(resampled.moments - resampled.seconds).max() < 0.001:
        return values.values
    moved = np.empty_like(values.values)
    for window, start in enumerate(values.starts):
        here = slice(start, start + values.window)
        times, first = np.unique(resampled.seconds[here], return_index=True)
        for channel, course in enumerate(values.values[window]):
            moved[window, channel] = np.interp(resampled.moments[here], times, course[first])
    return moved - moved[:, :, :1]


def find_events(prediction: Prediction, scored: np.ndarray, about: About) -> tuple[list[Candidate], float]:
    """The micro-expressions that lie wholly in scored frames, and the threshold."""
    rule, score = about.rule, filled(prediction.score, scored)
    kept = [
        candidate
        for candidate in rule.candidates(Prediction(score, prediction.logits))
        if rule.events([candidate]) and scored[candidate.onset : candidate.offset + 1].all()
    ]
    return kept, spotting.threshold(spotting.smooth(score, rule.half_width), rule.p)


def filled(score: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """The score (T,) with the mean of the others in frames that are not scored.

    So these move no threshold and make no peak.
    """
    return np.where(scored, score, score[scored].mean())


def spans(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True in a mask (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
