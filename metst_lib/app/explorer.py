"""The explorer: one video of a finished run in a notebook, with every setting after the network in hand.

`explore(config)` shows, while a slider moves, what the peak detection and the recogniser's veto make of the
stored scores (paper, Sec. III-A, III-C), and what that does to the metrics (Sec. IV-A). The network stays as
it is: a value that is best here was chosen on the test subjects.

`view` is the logic, without a widget; `Explorer` puts controls and a picture around it. Where nobody can
move a slider (a notebook that is executed for storing, a page on the web) the explorer is its own figure.

Glossary: k_p half the mean length of a micro-expression, in frames; p height of the threshold between the
score's mean (0) and its maximum (1).
"""

import dataclasses
import functools
import html
import tomllib
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import traitlets
from IPython import get_ipython
from IPython.display import Javascript, display

from metst_lib import experiment, metrics
from metst_lib.app.view import State, View, at_frame, faces_of, look, neighbour, start, story, table
from metst_lib.events import Key, Video
from metst_lib.experiment import Config, Run
from metst_lib.figures import Drawing
from metst_lib.figures.explorer import Scene

_STYLE, _NAMES = (Path(__file__).with_name(f"explorer.{kind}").read_text("utf-8") for kind in ("css", "js"))


class _Picture(ipywidgets.Image):
    """An image with a text alternative: the page shows `tooltip` only of a widget that has a description."""

    description = traitlets.Unicode("").tag(sync=True)


class Explorer:
    """A finished run to look into: `widget` for who can use it, `still` for who can only look.

    As the last line of a cell it shows itself, as the one or the other. `controls` are its controls by name;
    to set the value of one does what a hand would do. What goes wrong after a control was moved stands above
    the picture with its traceback, and is raised as well.
    """

    def __init__(self, run: Run, videos: Iterable[Video], subject: str = "") -> None:
        fitted = {key for fold in run.folds.values() for key in fold.predictions}
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
            f"Video {name} of {subject}, {self.run.config.reader.title} data: {face}{regions}, score with "
            f"threshold, class probabilities, and intervals. {story(self.view)} "
            f"{at_frame(self.view, self.video, self.state.frame)}"
        )

    def still(self) -> Drawing:
        """The present state as a figure with its text alternative."""
        return self._new_scene(self.state.video).figure(self.view, self.state.frame, self.text)

    def _ipython_display_(self) -> None:
        pictures, about = self.still()._repr_mimebundle_()
        there = _somebody_is_there()
        if there:
            pictures |= self.widget._repr_mimebundle_()
        display(pictures, metadata=about, raw=True)
        if there:
            display(Javascript(_NAMES))

    def _new_scene(self, key: Key) -> Scene:
        video, config = self.videos[key], self.run.config
        said = self.run.folds[key[0]].predictions[key]
        origin = f"{config.what.title} · {' '.join(key)} · {config.reader.title} data"
        return Scene(video, said.score, said.probabilities, faces_of(config, video), origin)

    def _own(self, subject: str) -> int:
        """k_p of a subject's fold."""
        return self.run.folds[subject].rule.half_width

    def _videos_of(self, subject: str) -> list[Video]:
        return [video for video in self.videos.values() if video.subject == subject]

    # --- controls: made when they are first asked for, since a notebook stores the state of each

    @functools.cached_property
    def controls(self) -> dict[str, ipywidgets.DOMWidget]:
        """By name: subject, video, scorer, synergy, frame, p, k_p, and buttons previous, next, reset."""
        controls = _controls(self.subjects, max(map(self._own, self.run.folds)))
        self._put(controls)
        for name, control in controls.items():
            follow = functools.partial(self._guarded, name)
            if isinstance(control, ipywidgets.Button):
                control.on_click(follow)
            else:
                control.observe(follow, "value")
        return controls

    @functools.cached_property
    def widget(self) -> ipywidgets.VBox:
        """Controls, picture, what is to be said of it, and the metrics."""
        c, row = self.controls, functools.partial(ipywidgets.HBox, layout=_ROW)
        box = ipywidgets.VBox(
            [
                ipywidgets.HTML(f"<style>{_STYLE}</style>", layout={"display": "none"}),
                row([c["subject"], c["video"], c["scorer"], c["synergy"]]),
                row([c["p"], c["k_p"], c["reset"]]),
                row([c["frame"], c["previous"], c["next"]]),
                *vars(self._shown).values(),
            ]
        )
        box.add_class("metst-explorer")
        self._show()
        return box

    @functools.cached_property
    def _shown(self) -> SimpleNamespace:
        """What is below the controls, from top to bottom."""
        said = ipywidgets.HTML().add_class("metst-said")
        picture = _Picture(format="png")
        return SimpleNamespace(error=ipywidgets.HTML(), said=said, picture=picture, scores=ipywidgets.HTML())

    def _show(self) -> None:
        """Bring picture, text and metrics up to the state; the picture first, since it is waited for."""
        shown, picture = self._shown, self._scene(self.state.video).png(self.view, self.state.frame)
        with shown.picture.hold_sync():  # in one message, or the browser loads the picture twice
            shown.picture.value, shown.picture.tooltip = picture, self.text
        here = at_frame(self.view, self.video, self.state.frame)
        shown.said.value = f"<b>{html.escape(story(self.view))}</b><br>{html.escape(here)}"
        there, total = len(self.run.folds), len(self.run.folds) + len(self.run.lacking)
        folds = f"all {total} folds" if there == total else f"the {there} finished of {total} folds"
        shown.scores.value = table(self.view, self.state.video[0], folds)

    def _guarded(self, name: str, change: Any) -> None:
        """Follow a control. An exception in here would only reach a log that nobody reads: so it is shown."""
        if self._quiet:
            return
        try:
            self.state = self._after(name, change)
            self._put(self.controls)
            self._show()
            self._shown.error.value = ""
        except Exception:
            words = html.escape(traceback.format_exc())
            self._shown.error.value = f"<pre class='metst-error' role='alert'>{words}</pre>"
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
        if name in ("frame", "scorer"):
            return dataclasses.replace(state, **{name: value})
        if name == "k_p" and value == self._own(state.video[0]):
            value = None
        field = {"k_p": "half_width", "synergy": "result_synergy"}.get(name, name)
        return dataclasses.replace(state, rule=dataclasses.replace(state.rule, **{field: value}))

    def _moved(self, video: Video) -> State:
        """The same settings on another video, at its first event."""
        return dataclasses.replace(self.state, video=video.key, frame=start(self.run, video).frame)

    def _put(self, controls: dict[str, ipywidgets.DOMWidget]) -> None:
        """Set the controls to the state, without their saying so."""
        state, rule = self.state, self.state.rule
        self._quiet = True
        try:
            controls["subject"].value = state.video[0]
            names = tuple(video.name for video in self._videos_of(state.video[0]))
            if controls["video"].options != names:
                controls["video"].options = names
            controls["video"].value = state.video[1]
            controls["scorer"].value, controls["synergy"].value = state.scorer, rule.result_synergy
            controls["frame"].max = self.video.n_frames - 1
            controls["frame"].value, controls["p"].value = state.frame, rule.p
            controls["k_p"].value = rule.half_width or self._own(state.video[0])
        finally:
            self._quiet = False


_ROW = {"width": "100%", "align_items": "center", "flex_flow": "row wrap"}
_CONTROLS = tomllib.loads(Path(__file__).with_name("controls.toml").read_text("utf-8"))


def _controls(subjects: list[str], half_width: int) -> dict[str, ipywidgets.DOMWidget]:
    """The controls of controls.toml by name. half_width: the largest k_p of any fold."""
    made = {
        name: getattr(ipywidgets, kind)(**_CONTROLS["looks"][kind], **said)
        for kind in _CONTROLS["looks"]
        for name, said in _CONTROLS[kind].items()
    }
    made["subject"].options, made["scorer"].options = subjects, list(metrics.SCORERS)
    made["scorer"].tooltip = "; ".join(f"{name}: {text}" for name, text in metrics.SCORERS.items())
    made["k_p"].max, made["k_p"].min = max(3 * half_width, 10), 1
    return made


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
