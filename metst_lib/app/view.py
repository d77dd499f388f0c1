"""What the explorer shows of a finished run: a state looked at, and told in words and in a table.

A state says which video and frame, and by which rule the stored scores become events (paper, Sec. III-A,
III-C) and these metrics (Sec. IV-A); a view is what comes of it. The network stays as it is.

Glossary: T frames of a video; k_p half the mean length of a micro-expression, in frames; p height of the
threshold between the score's mean (0) and its maximum (1).
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import jinja2
import numpy as np

from metst_lib import experiment, flow, metrics, rois, spotting
from metst_lib.datasets import frames
from metst_lib.events import CLASSES, Event, Key, Video, named
from metst_lib.experiment import Config, Run, analysis
from metst_lib.figures.explorer import Face, Outcome
from metst_lib.spotting import Rule

_PAGES = jinja2.Environment(loader=jinja2.PackageLoader("metst_lib.app", ""), autoescape=True)


@dataclass(frozen=True)
class State:
    """What is chosen: a video, a frame of it, and how scores become events and metrics.

    A rule without a half width leaves each fold its own k_p, as the run has it; a number sets it in all.
    """

    video: Key
    frame: int = 0
    rule: Rule = field(default_factory=Rule)
    scorer: str = "strict"


@dataclass(frozen=True)
class View(Outcome):
    """What a state shows, whatever its frame: intervals (`figures.explorer.Outcome`), classes and metrics.

    half_width: k_p in this fold; probabilities (T, 5). Scores of the video as if it were all there is, of
    its subject (the fold), and of all folds of the run that are there.
    """

    half_width: int
    probabilities: np.ndarray
    of_video: metrics.Scores
    of_subject: metrics.Scores
    of_run: metrics.Scores


def start(run: Run, video: Video) -> State:
    """The run's own settings, at the first true event of a video."""
    truth = run.truth[video.key]
    return State(video.key, middle(truth[0]) if truth else 0, run.config.recipe.rule)


def look(run: Run, state: State) -> View:
    """What the run's stored scores make of a state. ValueError for a video that the run has no score of."""
    subject, fold = state.video[0], run.folds.get(state.video[0])
    if fold is None or state.video not in fold.predictions:
        raise ValueError(f"{run.config.variant} has no score of video {named(state.video)}")
    asked = {name: value for name, value in vars(state.rule).items() if value is not None}
    rule = dataclasses.replace(fold.rule, **asked)
    prediction, truth = fold.predictions[state.video], run.truth[state.video]
    candidates = rule.candidates(prediction)
    found = rule.events(candidates)
    of_video = metrics.evaluate({state.video: found}, {state.video: truth}, state.scorer, rule.kind)
    hits = {match.prediction for match in of_video.matches}
    whole = dataclasses.replace(rule, result_synergy=False)
    every = whole.events(candidates)  # matched before any is dropped
    would = {i for i, _, _ in metrics.match_events(every, truth, state.scorer)}
    of_run = analysis.rescore(run, state.scorer, **asked)
    smoothed = spotting.smooth(prediction.score, rule.half_width)
    return View(
        smoothed=smoothed,
        threshold=spotting.threshold(smoothed, rule.p),
        found=tuple((event, i in hits) for i, event in enumerate(found)),
        dropped=tuple((every[i], i in would) for i, c in enumerate(candidates) if not rule.events([c])),
        half_width=rule.half_width,
        probabilities=prediction.probabilities,
        of_video=of_video,
        of_subject=metrics.Scores(state.scorer, {subject: of_run.by_subject[subject]}),
        of_run=of_run,
    )


def neighbour(view: View, truth: list[Event], frame: int, step: int) -> int:
    """The middle of the next (step 1) or previous (−1) true or found event; the same frame without one."""
    middles = {middle(event) for event in (*truth, *(event for event, _ in view.found))}
    ahead = [at for at in middles if (at - frame) * step > 0]
    return min(ahead, key=lambda at: abs(at - frame), default=frame)


def middle(event: Event) -> int:
    """The apex of an event, or the frame in its middle."""
    return event.apex if event.apex is not None else (event.onset + event.offset) // 2


# --- in words -------------------------------------------------------------------------------------------


def story(view: View) -> str:
    """How many events were found, matched, missed and dropped, in a sentence or two."""
    hits, counts = sum(hit for _, hit in view.found), view.of_video.spotting
    text = (
        f"{_count(len(view.found), 'event')} found: {hits} on a true one, {len(view.found) - hits} on none; "
        f"{counts.fn} of {counts.tp + counts.fn} true ones missed."
    )
    if view.dropped:
        lost = sum(hit for _, hit in view.dropped)
        text += f" {_count(len(view.dropped), 'interval')} dropped as neutral, {lost} on a true one."
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def at_frame(view: View, video: Video, frame: int) -> str:
    """What the scores say at one frame, and what is true there, in a sentence."""
    best = int(view.probabilities[frame].argmax())
    height = "above" if view.smoothed[frame] >= view.threshold else "below"
    here = [event for event in video.events if event.onset <= frame <= event.offset]
    names = {"micro": "{} micro-expression", "macro": "macro-expression"}
    there = " and ".join(f"a {names.get(event.kind, event.kind).format(event.emotion)}" for event in here)
    return (
        f"Frame {frame} of {video.n_frames} ({frame / video.fps:.2f} s): smoothed score "
        f"{view.smoothed[frame]:.2f}, {height} the threshold of {view.threshold:.2f}; "
        f"most probable {CLASSES[best]} ({view.probabilities[frame, best]:.2f}); "
        f"true: {there or 'nothing labelled'}."
    )


def table(view: View, subject: str, folds: str) -> str:
    """The metrics of the video, its fold and the run, as an HTML table. folds: what the last row covers."""
    rows = (("this video", view.of_video), (f"fold {subject}", view.of_subject), (folds, view.of_run))
    return _PAGES.get_template("scores.html").render(rows=rows)


# --- faces ----------------------------------------------------------------------------------------------


def faces_of(config: Config, video: Video) -> Callable[[int], Face]:
    """What may be shown of each frame: the face of a synthetic set, of others its landmarks alone.

    Regions lie where the landmarks of the window's first frame put them. Without frames or a predictor there
    is nothing to show, and regions that do not fit on the face are left out.
    """
    try:
        marks, images = experiment.landmarks_along(config, video), frames.open(video)
    except (FileNotFoundError, ValueError):  # flow without frames: signals, or the authors' caches
        return lambda frame: Face()
    regions = rois.roi_set(config.recipe.roi_set)

    @functools.lru_cache(maxsize=64)  # a frame is asked for twice: for the picture and for its text
    def face(frame: int) -> Face:
        try:
            rect = rois.face_crop(marks[frame])
            height, width = images[frame][rect.slices].shape
            points = (marks[frame] - (rect.left, rect.top)) * (rois.CROP / width, rois.CROP / height)
        except (ValueError, ZeroDivisionError):
            return Face()
        image = flow.crop_picture(images[frame], rect) if config.reader.synthetic else None
        with contextlib.suppress(ValueError):
            return Face(image, points, rois.resolve(regions, np.trunc(points).astype(int)))
        return Face(image, points)

    return face
