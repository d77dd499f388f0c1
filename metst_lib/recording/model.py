"""A trained network as one file: weights, what they need to be used, and what they were trained on.

A fold of an experiment keeps predictions, not weights: it answers for the one subject that it left out. What
reads a video of your own is trained on all subjects (`fit`) and kept as a .npz of plain arrays and a JSON
text, which runs no code when it is loaded. `limits` says in words what such a model cannot know.

Glossary: T frames of a video; k frames of a window (`window`); k_p half the mean length of a micro-expression
(`half_width`); p height of the threshold.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
import numpy as np
import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from metst_lib import datasets, experiment, flow, models, rois, training
from metst_lib._files import atomic, read_npz, sha256
from metst_lib.events import CLASSES, Prediction, named
from metst_lib.experiment import Config
from metst_lib.experiment.provenance import git_revision
from metst_lib.spotting import Rule

_WEIGHTS = "weights/"
_OF_THE_RULE = (
    "kind",
    "half_width",
    "p",
    "result_synergy",
    "growth",
    "neutral",
    "cut",
    "prominence",
    "edges",
)
_LIMITS = Path(__file__).with_name("limits.md")
_HOW = "`metst train` makes such a file, `make demo` the demonstration's"


def _ours(classes: list[str]) -> list[str]:
    if classes != list(CLASSES):
        raise ValueError(f"its classes are {', '.join(classes)}, not {', '.join(CLASSES)}")
    return classes


@dataclass(frozen=True)
class About:
    """What a model is, JSON-able: how its input is made, how its scores become events, where it comes from.

    network, size: see `models.build`. fps: frames per second of the videos that it was trained on, after
    frame_step. trained_on: name of the data set; synthetic: whether that is rendered or signals.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    variant: str
    title: str
    network: str
    size: dict[str, bool | int | str]
    roi_set: Literal["5", "18"]
    window: Annotated[int, Field(ge=2, multiple_of=2)]
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    flow_mode: Literal["exact", "fast"]
    half_width: Annotated[int, Field(ge=1)]
    p: Annotated[float, Field(ge=0, le=1)]
    stitch: str
    result_synergy: bool
    classes: Annotated[list[str], AfterValidator(_ours)]
    trained_on: str
    synthetic: bool
    subjects: int
    videos: int
    micro_expressions: int
    seed: int
    preset: str
    git: str | None
    versions: dict[str, str]
    kind: str = "micro"
    growth: Literal["none", "curve"] = "none"
    neutral: Literal["learned", "zero"] = "learned"
    cut: Literal["first", "last"] = "first"
    prominence: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    edges: Literal["padded", "whole"] = "padded"

    @property
    def rule(self) -> Rule:
        """How its scores become events."""
        return Rule(**{name: getattr(self, name) for name in _OF_THE_RULE})

    @property
    def limits(self) -> list[str]:
        """What every result has to say with it, a sentence or two each."""
        known = self.trained_on in datasets.known()
        title = datasets.reader_of(self.trained_on).title if known else self.trained_on
        said = jinja2.Template(_LIMITS.read_text("utf-8")).render(about=self, title=title)
        return [line.removeprefix("- ") for line in said.splitlines()]


_ABOUT = TypeAdapter(About)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network on the CPU in evaluation mode, what it is, and a short hash of its file ("" before that)."""

    network: torch.nn.Module
    about: About
    key: str = ""

    def predict(self, values: flow.RoiFlow) -> Prediction:
        """What the network says of a video; see `training.predict`.

        ValueError where the flow is of other regions or windows than the model reads.
        """
        wanted, given = (self.about.roi_set, self.about.window), (values.roi_set, values.window)
        if wanted != given:
            raise ValueError(
                f"the model reads {wanted[0]} regions in windows of {wanted[1]} frames, "
                f"this flow has {given[0]} in windows of {given[1]}"
            )
        return training.predict(self.network, values, self.about.stitch)


def fit(config: Config) -> Trained:
    """Train the variant on every subject of its data set. ValueError where it has no network to keep."""
    recipe = config.recipe
    if recipe.network not in models.NETWORKS:
        raise ValueError(f"{config.variant} has no network that could be kept")
    experiment.flows.whole_inputs(config)
    failed = experiment.flow_report(config).failed
    videos = [video for video in experiment.load_data(config).videos if named(video.key) not in failed]
    rates = {round(video.fps, 3) for video in videos}
    if len(rates) > 1:
        raise ValueError(f"videos of {config.dataset} differ in frame rate: {sorted(rates)}")
    rule = recipe.rule.fitted(event for video in videos for event in video.events)
    about = About(
        variant=config.variant,
        title=config.what.title,
        network=recipe.network,
        size={name: value for name, value in recipe.size.items() if name != "recompute"},
        roi_set=recipe.roi_set,
        window=config.settings.window,
        fps=videos[0].fps,
        flow_mode="fast" if config.settings.flow_mode == "fast" else "exact",
        stitch=recipe.stitch,
        classes=list(CLASSES),
        trained_on=config.dataset,
        synthetic=config.reader.synthetic,
        subjects=len({video.subject for video in videos}),
        videos=len(videos),
        micro_expressions=sum(len(video.events_of(rule.kind)) for video in videos),
        seed=config.seed,
        preset=config.preset,
        git=git_revision(),
        versions=experiment.versions(),
        **{name: getattr(rule, name) for name in _OF_THE_RULE},
    )
    return Trained(experiment.fit(config, videos).model, about)


def save(trained: Trained, path: str | Path) -> Path:
    """Write a model, whole or not at all; returns the path."""
    weights = {_WEIGHTS + name: value.numpy() for name, value in trained.network.state_dict().items()}
    about = _ABOUT.dump_json(trained.about).decode()
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **weights, about=np.array(about))
    return Path(path)


def load(path: str | Path) -> Trained:
    """Read what `save` wrote; nothing in the file can run code.

    FileNotFoundError where there is none; ValueError naming the file where it is no model, is not whole, or
    needs regions, windows or a network that are not known here.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}: {_HOW}")
    stored = read_npz(path, "", "a model")
    try:
        what = _ABOUT.validate_json(str(stored.pop("about", "{}")))
        weights = {name.removeprefix(_WEIGHTS): torch.from_numpy(x) for name, x in stored.items()}
        network = _network(what, weights)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = _first(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
        raise ValueError(f"{path} holds a model that cannot be used: {reason}") from None
    return Trained(network, what, sha256(path)[:12])


def _first(error: ValidationError) -> str:
    """The first thing that is wrong with a description, in a line."""
    wrong = error.errors(include_url=False)[0]
    where = ".".join(map(str, wrong["loc"]))
    return f"{where}: {wrong['msg']}" if where else wrong["msg"].removeprefix("Value error, ")


def _network(about: About, weights: dict[str, Any]) -> torch.nn.Module:
    if strange := [name for name, x in weights.items() if x.is_floating_point() and not x.isfinite().all()]:
        raise ValueError(f"numbers in {strange[0]} are not finite")
    with torch.device("meta"):  # no time and no random numbers spent on initial weights
        network = models.build(about.network, len(rois.channel_names(about.roi_set)), **about.size)
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    given = {name: tuple(x.shape) for name, x in weights.items()}
    if odd := sorted(name for name in wanted.keys() | given if wanted.get(name) != given.get(name)):
        raise ValueError(
            f"{len(odd)} of its arrays do not fit {about.network} of {about.roi_set} regions, "
            f"first {odd[0]}: {given.get(odd[0], 'absent')} in place of {wanted.get(odd[0], 'none')}"
        )
    network.load_state_dict(weights, assign=True)
    return network.eval()
