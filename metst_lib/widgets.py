"""The explorer: one video of a finished run in a notebook, with every setting after the network in hand.

`explore(config)` shows, while a slider moves, what the peak detection and the recogniser's veto make of the
stored scores (paper, Sec. III-A, III-C), and what that does to the metrics (Sec. IV-A). The network stays as
it is: a value that is best here was chosen on the test subjects.

`look` is the logic, without a widget; `Explorer` puts controls and a picture around it. Where nobody can
move a slider (a notebook that is executed for storing, a page on the web) the explorer is its own figure.

Glossary: T frames of a video; k_p half the mean length of a micro-expression, in frames (`half_width`);
p height of the threshold between the score's mean (0) and its maximum (1).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import html
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from IPython import get_ipython
from IPython.display import Javascript, display

from metst_lib import analysis, datasets, experiment, flow, frames, metrics, rois, spotting
from metst_lib.events import CLASSES, Event, Video
from metst_lib.faces import CROP, face_crop
from metst_lib.figures import Drawing
from metst_lib.figures.explorer import Face, Outcome, Scene
from metst_lib.variants import Config

Key = tuple[str, str]
"""(subject, video)"""

# --- the logic ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What is chosen: a video, a frame of it, and how scores become events and metrics.

    half_width None leaves each fold its own k_p, as the run has it; a number sets it in every fold.
    """

    video: Key
    frame: int = 0
    p: float = spotting.P
    half_width: int | None = None
    result_synergy: bool = True
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


def start(run: experiment.Run, video: Video) -> State:
    """The run's own settings, at the first true micro-expression of a video."""
    truth = run.truth[video.key]
    frame = _middle(truth[0]) if truth else 0
    config = run.config
    return State(video.key, frame, config.p, None, config.what.result_synergy, config.scorer)


def look(run: experiment.Run, state: State) -> View:
    """What the run's stored scores make of a state. ValueError for a video that the run has no score of."""
    subject, fold = state.video[0], run.folds.get(state.video[0])
    if fold is None or state.video not in fold.score:
        raise ValueError(f"{run.config.variant} has no score of video {' '.join(state.video)}")
    half_width = fold.half_width if state.half_width is None else state.half_width
    score, logits = fold.score[state.video], fold.logits[state.video]
    candidates = spotting.candidates(score, logits, half_width, state.p)
    kept = [c for c in candidates if not (state.result_synergy and c.dropped)]
    gone = [c for c in candidates if c not in kept]
    found, truth = [c.event(state.result_synergy) for c in kept], run.truth[state.video]
    of_video = metrics.evaluate({state.video: found}, {state.video: truth}, state.scorer)
    every = [c.event(result_synergy=False) for c in candidates]  # matched before any is dropped
    would = {i for i, _, _ in metrics.match_events(every, truth, state.scorer)}
    hits = {match.prediction for match in of_video.matches}
    of_run = analysis.rescore(run, state.p, state.half_width, state.result_synergy, state.scorer)
    smoothed = spotting.smooth(score, half_width)
    return View(
        smoothed=smoothed,
        threshold=spotting.threshold(smoothed, state.p),
        found=tuple((event, i in hits) for i, event in enumerate(found)),
        dropped=tuple((every[i], i in would) for i, c in enumerate(candidates) if c in gone),
        half_width=half_width,
        probabilities=fold.probabilities(state.video),
        of_video=of_video,
        of_subject=metrics.Scores(state.scorer, {subject: of_run.by_subject[subject]}),
        of_run=of_run,
    )


def neighbour(view: View, truth: list[Event], frame: int, step: int) -> int:
    """The middle of the next (step 1) or previous (−1) true or found event; the same frame without one."""
    middles = sorted({_middle(event) for event in (*truth, *(event for event, _ in view.found))})
    ahead = [middle for middle in middles if (middle - frame) * step > 0]
    return frame if not ahead else min(ahead, key=lambda middle: abs(middle - frame))


def _middle(event: Event) -> int:
    return event.apex if event.apex is not None else (event.onset + event.offset) // 2


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


def at_frame(view: View, video: Video, frame: int) -> str:
    """What the scores say at one frame, and what is true there, in a sentence."""
    best = int(view.probabilities[frame].argmax())
    height = "above" if view.smoothed[frame] >= view.threshold else "below"
    here = [e for e in video.events if e.onset <= frame <= e.offset]
    names = [f"{e.emotion} micro-expression" if e.kind == "micro" else e.kind for e in here]
    names = [name.replace("macro", "macro-expression") if name == "macro" else name for name in names]
    there = " and ".join(f"a {name}" for name in names) or "nothing labelled"
    return (
        f"Frame {frame} of {video.n_frames} ({frame / video.fps:.2f} s): smoothed score "
        f"{view.smoothed[frame]:.2f}, {height} the threshold of {view.threshold:.2f}; "
        f"most probable {CLASSES[best]} ({view.probabilities[frame, best]:.2f}); true: {there}."
    )


def table(view: View, subject: str, folds: str) -> str:
    """The metrics of the video, its fold and the run, as an HTML table. folds: what the last row covers."""
    heads = ("", "TP", "FP", "FN", "spotting F1", "recognition F1", "STRS")
    rows = (("this video", view.of_video), (f"fold {subject}", view.of_subject), (folds, view.of_run))
    lines = ["<table class='metst-scores'><caption>Metrics with these settings</caption><thead><tr>"]
    lines += [f"<th scope='col'>{name}</th>" for name in heads]
    lines.append("</tr></thead><tbody>")
    for name, scores in rows:
        counts = scores.spotting
        cells = [*(counts.tp, counts.fp, counts.fn)]
        cells += [f"{value:.3f}" for value in (counts.f1, scores.recognition.f1, scores.strs)]
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f"<tr><th scope='row'>{html.escape(name)}</th>{row}</tr>")
    return "".join([*lines, "</tbody></table>"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- faces ----------------------------------------------------------------------------------------------


def faces_of(config: Config, video: Video) -> Callable[[int], Face]:
    """What may be shown of each frame: the face of the synthetic set, of others its landmarks alone.

    Regions lie where the landmarks of the window's first frame put them. Without frames or a predictor there
    is nothing to show, and regions that do not fit on the face are left out.
    """
    try:
        marks, images = experiment.landmarks_along(config, video), frames.open(video)
    except (FileNotFoundError, ValueError):  # flow without frames: signals, or the authors' caches
        return lambda frame: Face()
    regions = rois.roi_set(config.what.roi_set)

    @functools.lru_cache(maxsize=64)  # a frame is asked for twice: for the picture and for its text
    def face(frame: int) -> Face:
        try:
            rect = face_crop(marks[frame])
            height, width = images[frame][rect.slices].shape
            points = (marks[frame] - (rect.left, rect.top)) * (CROP / width, CROP / height)
        except (ValueError, ZeroDivisionError):
            return Face()
        image = flow.crop_picture(images[frame], rect) if config.synthetic else None
        with contextlib.suppress(ValueError):
            return Face(image, points, rois.resolve(regions, np.trunc(points).astype(int)))
        return Face(image, points)

    return face


# --- the widget -----------------------------------------------------------------------------------------


class _Picture(ipywidgets.Image):
    """An image with a text alternative: the page shows `tooltip` only of a widget that has a description."""

    description = traitlets.Unicode("").tag(sync=True)


_STYLE = """<style>
.metst-explorer { max-width: 980px; }
.metst-explorer .widget-label { font-weight: 600; }
.metst-explorer .widget-checkbox label { display: flex; align-items: center; }
.metst-explorer img { width: 100%; height: auto; background: white; border-radius: 4px; }
.metst-explorer [role=slider]:focus-visible, .metst-explorer button:focus-visible,
.metst-explorer select:focus-visible, .metst-explorer input:focus-visible
  { outline: 3px solid #C2185B; outline-offset: 1px; }
.metst-scores { border-collapse: collapse; font-variant-numeric: tabular-nums; line-height: 1.5; }
.metst-scores caption { text-align: left; font-weight: 600; padding: 2px 0; }
.metst-scores th, .metst-scores td { text-align: right; padding: 1px 14px 1px 0; }
.metst-scores th[scope=row] { text-align: left; font-weight: normal; min-width: 9em; }
.metst-scores thead th { border-bottom: 1px solid currentColor; font-weight: 600; }
.metst-error { border-left: 4px solid #D32F2F; padding: 4px 10px; white-space: pre-wrap; }
</style>"""

_NAMES = """
if (!window.metstNames) {
  const name = () => {
    for (const box of document.querySelectorAll('.metst-explorer .widget-slider')) {
      const handle = box.querySelector('[role=slider]'), label = box.querySelector('.widget-label');
      if (handle && label && !handle.hasAttribute('aria-label')) {
        handle.setAttribute('aria-label', label.textContent);
        handle.setAttribute('title', label.title);
      }
    }
    for (const image of document.querySelectorAll('.metst-explorer img[title]')) {
      image.alt = image.title;
      image.removeAttribute('title');
    }
  };
  window.metstNames = new MutationObserver(name);
  const what = {childList: true, subtree: true, attributes: true, attributeFilter: ['title']};
  window.metstNames.observe(document.body, what);
  name();
}
"""
"""Names for screen readers: ipywidgets gives sliders' handles none, and images no alternative."""


class Explorer:
    """A finished run to look into: `widget` for who can use it, `still` for who can only look.

    As the last line of a cell it shows itself, as the one or the other. `controls` are its controls by name;
    to set the value of one does what a hand would do. What goes wrong after a control was moved stands above
    the picture with its traceback, and is raised as well.
    """

    def __init__(self, run: experiment.Run, videos: Iterable[Video], subject: str = "") -> None:
        fitted = {key for fold in run.folds.values() for key in fold.score}
        self.run = run
        self.videos = {video.key: video for video in videos if video.key in fitted}
        if not self.videos:
            raise FileNotFoundError(
                f"no fold of {run.config.variant}, seed {run.config.seed}, is finished: nothing to explore"
            )
        if subject and subject not in self.subjects:
            raise ValueError(f"no finished fold {subject!r}; there are: {', '.join(self.subjects)}")
        self.state = start(run, self._videos_of(subject or self.subjects[0])[0])
        self._look = functools.lru_cache(maxsize=512)(functools.partial(look, run))
        self._scene = functools.lru_cache(maxsize=4)(self._new_scene)
        self._quiet = False

    @property
    def subjects(self) -> list[str]:
        """The subjects whose fold is finished."""
        return list(dict.fromkeys(subject for subject, _ in self.videos))

    @property
    def video(self) -> Video:
        """The video that is looked at."""
        return self.videos[self.state.video]

    @property
    def view(self) -> View:
        """What the present state shows."""
        return self._look(dataclasses.replace(self.state, frame=0))

    @property
    def text(self) -> str:
        """The text alternative of the picture, in its present state."""
        subject, name = self.state.video
        seen = self._scene(self.state.video).face(self.state.frame)
        face = "no frame to show" if seen.landmarks is None else "landmarks on a blank canvas"
        face = "the face" if seen.image is not None else face
        regions = " with the regions" if seen.layout is not None else ""
        return (
            f"Video {name} of {subject}, {_origin(self.run.config)}: {face}{regions}, score with "
            f"threshold, class probabilities, and intervals. {story(self.view)} "
            f"{at_frame(self.view, self.video, self.state.frame)}"
        )

    def still(self) -> Drawing:
        """The present state as a figure with its text alternative."""
        return self._new_scene(self.state.video).figure(self.view, self.state.frame, self.text)

    def _ipython_display_(self) -> None:
        still = self.still()
        pictures, about = still._repr_mimebundle_()
        if _somebody_is_there():
            display({**pictures, **self.widget._repr_mimebundle_()}, metadata=about, raw=True)
            display(Javascript(_NAMES))
        else:
            display(pictures, metadata=about, raw=True)

    def _new_scene(self, key: Key) -> Scene:
        video, fold, config = self.videos[key], self.run.folds[key[0]], self.run.config
        origin = f"{config.what.title} · {' '.join(key)} · {_origin(config)}"
        return Scene(video, fold.score[key], fold.probabilities(key), faces_of(config, video), origin)

    def _videos_of(self, subject: str) -> list[Video]:
        return [video for video in self.videos.values() if video.subject == subject]

    # --- controls: made when they are first asked for, since a notebook stores the state of each

    @functools.cached_property
    def controls(self) -> dict[str, ipywidgets.DOMWidget]:
        """By name: subject, video, scorer, synergy, frame, p, k_p, and buttons previous, next, reset."""
        controls = _controls(self.subjects, max(fold.half_width for fold in self.run.folds.values()))
        self._put(controls)
        for name, control in controls.items():
            if isinstance(control, ipywidgets.Button):
                control.on_click(functools.partial(self._guarded, name))
            else:
                control.observe(functools.partial(self._guarded, name), "value")
        return controls

    @functools.cached_property
    def widget(self) -> ipywidgets.VBox:
        """Controls, picture, what is to be said of it, and the metrics."""
        c, row = self.controls, functools.partial(ipywidgets.HBox, layout=_ROW)
        box = ipywidgets.VBox(
            [
                ipywidgets.HTML(_STYLE, layout={"display": "none"}),
                row([c["subject"], c["video"], c["scorer"], c["synergy"]]),
                row([c["p"], c["k_p"], c["reset"]]),
                row([c["frame"], c["previous"], c["next"]]),
                self._error,
                self._said,
                self._picture,
                self._scores,
            ]
        )
        box.add_class("metst-explorer")
        self._show()
        return box

    @functools.cached_property
    def _picture(self) -> _Picture:
        return _Picture(format="png")

    @functools.cached_property
    def _said(self) -> ipywidgets.HTML:
        said = ipywidgets.HTML()
        said.add_class("metst-said")
        return said

    @functools.cached_property
    def _scores(self) -> ipywidgets.HTML:
        return ipywidgets.HTML()

    @functools.cached_property
    def _error(self) -> ipywidgets.HTML:
        return ipywidgets.HTML()

    def _show(self) -> None:
        """Bring picture, text and metrics up to the state; the picture first, since it is waited for."""
        picture = self._scene(self.state.video).png(self.view, self.state.frame)
        with self._picture.hold_sync():  # in one message, or the browser loads the picture twice
            self._picture.value, self._picture.tooltip = picture, self.text
        here = at_frame(self.view, self.video, self.state.frame)
        self._said.value = f"<b>{html.escape(story(self.view))}</b><br>{html.escape(here)}"
        there, total = len(self.run.folds), len(self.run.folds) + len(self.run.missing)
        folds = f"all {total} folds" if there == total else f"the {there} finished of {total} folds"
        self._scores.value = table(self.view, self.state.video[0], folds)

    def _guarded(self, name: str, change: Any) -> None:
        """Follow a control. An exception in here would only reach a log that nobody reads: so it is shown."""
        if self._quiet:
            return
        try:
            self.state = self._after(name, change)
            self._put(self.controls)
            self._show()
            self._error.value = ""
        except Exception:
            words = html.escape(traceback.format_exc())
            self._error.value = f"<pre class='metst-error' role='alert'>{words}</pre>"
            raise

    def _after(self, name: str, change: Any) -> State:
        """The state that a control asks for."""
        state, value = self.state, getattr(change, "new", None)
        if name == "subject":
            return self._moved(self._videos_of(value)[0])
        if name == "video":
            return self._moved(self.videos[state.video[0], value])
        if name == "reset":
            return dataclasses.replace(start(self.run, self.video), frame=state.frame)
        if name in ("previous", "next"):
            step = 1 if name == "next" else -1
            truth = self.run.truth[state.video]
            return dataclasses.replace(state, frame=neighbour(self.view, truth, state.frame, step))
        if name == "k_p":
            own = self.run.folds[state.video[0]].half_width
            return dataclasses.replace(state, half_width=None if value == own else value)
        fields = {"synergy": "result_synergy"}
        return dataclasses.replace(state, **{fields.get(name, name): value})

    def _moved(self, video: Video) -> State:
        """The same settings on another video, at its first event."""
        return dataclasses.replace(self.state, video=video.key, frame=start(self.run, video).frame)

    def _put(self, controls: dict[str, ipywidgets.DOMWidget]) -> None:
        """Set the controls to the state, without their saying so."""
        state, own = self.state, self.run.folds[self.state.video[0]].half_width
        self._quiet = True
        try:
            controls["subject"].value = state.video[0]
            names = tuple(video.name for video in self._videos_of(state.video[0]))
            if controls["video"].options != names:
                controls["video"].options = names
            controls["video"].value = state.video[1]
            controls["scorer"].value, controls["synergy"].value = state.scorer, state.result_synergy
            controls["frame"].max = self.video.n_frames - 1
            controls["frame"].value, controls["p"].value = state.frame, state.p
            controls["k_p"].value = own if state.half_width is None else state.half_width
        finally:
            self._quiet = False


_ROW = {"width": "100%", "align_items": "center", "flex_flow": "row wrap"}


def _controls(subjects: list[str], half_width: int) -> dict[str, ipywidgets.DOMWidget]:
    """The controls, each with a description and a tooltip. half_width: the largest k_p of any fold."""
    width, pick = {"description_width": "88px"}, {"width": "220px"}
    slide, press = {"flex": "1 1 300px"}, {"width": "108px"}
    scorers = "; ".join(f"{name}: {text}" for name, text in metrics.SCORERS.items())
    return {
        "subject": ipywidgets.Dropdown(
            options=subjects,
            description="Subject",
            tooltip="Who was left out of the training: the fold",
            style=width,
            layout=pick,
        ),
        "video": ipywidgets.Dropdown(
            description="Video", tooltip="One of the subject's videos", style=width, layout=pick
        ),
        "scorer": ipywidgets.Dropdown(
            options=list(metrics.SCORERS), description="Scorer", tooltip=scorers, style=width, layout=pick
        ),
        "synergy": ipywidgets.Checkbox(
            description="Result-level synergy",
            tooltip="The recogniser's veto: an interval whose vote is neutral is dropped",
            indent=False,
            layout={"width": "200px", "margin": "2px 2px 2px 24px"},
        ),
        "frame": ipywidgets.IntSlider(
            description="Frame",
            tooltip="The frame that is shown; arrow keys go on by one, page keys by five",
            style=width,
            layout=slide,
        ),
        "p": ipywidgets.FloatSlider(
            min=0,
            max=1,
            step=0.01,
            description="Threshold p",
            tooltip="The height that a peak must reach: 0 is the score's mean, 1 its maximum",
            style=width,
            layout=slide,
        ),
        "k_p": ipywidgets.IntSlider(
            min=1,
            max=max(3 * half_width, 10),
            description="k_p",
            tooltip="Half the length of an interval and of the smoothing, in frames; at the fold's own value "
            "every fold keeps its own",
            style=width,
            layout=slide,
        ),
        "previous": ipywidgets.Button(
            description="‹ event", tooltip="To the previous event, true or found", layout=press
        ),
        "next": ipywidgets.Button(
            description="event ›", tooltip="To the next event, true or found", layout=press
        ),
        "reset": ipywidgets.Button(
            description="as in the run",
            tooltip="p, k_p, synergy and scorer as the run has them",
            layout=press,
        ),
    }


def _origin(config: Config) -> str:
    return f"{datasets.TITLES[config.dataset]} data"


def _somebody_is_there() -> bool:
    """Whether the cell runs for someone who can use controls, not for a page.

    A front end says with each cell whether it could ask its reader for input (`allow_stdin`). Programs that
    execute notebooks (nbconvert, papermill, nbval) cannot, and a stored widget without a kernel is an empty
    place on the page.
    """
    shell = get_ipython()
    if not hasattr(shell, "kernel"):
        return False
    return bool(shell.kernel.get_parent("shell").get("content", {}).get("allow_stdin", False))


def explore(config: Config, subject: str = "") -> Explorer:
    """The explorer of a finished run, at the first video of a subject ("": of the first finished fold).

    FileNotFoundError where no fold is finished, ValueError where that subject's is not.
    """
    return Explorer(experiment.read_run(config), experiment.load_data(config).videos, subject)
