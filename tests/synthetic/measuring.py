"""How `response_5.csv` and `response_18.csv` came about: the rendered set's flow, asked for its answers.

    python tests/synthetic/measuring.py [ROOT]     # writes both files anew from data/ under ROOT

Glossary: W windows; k frames of a window; C channels (region × x, y); U Action Units.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import experiment, rois
from metst_lib.events import Key
from metst_lib.flow import RoiFlow
from metst_lib.synthetic import response
from metst_lib.synthetic.response import SIDES, UNITS, Response, gain
from metst_lib.synthetic.script import Action, envelope
from metst_lib.synthetic.truth import read_actions


def save(measured: Response, path: str | Path) -> Path:
    """Write one row a channel: gains, spread, and the two covariances."""
    names = pd.Index(rois.channel_names(measured.roi_set), name="channel")
    table = pd.DataFrame(measured.numbers(), names, response.columns(measured.roi_set))
    table.to_csv(path, float_format="%.5f")
    return Path(path)


def measure(flows: Mapping[Key, RoiFlow], truth: str | Path) -> Response:
    """The response of the rendered set, from its measured flow and the folder of its truth.

    Each action's answer is the least-squares slope of flow on its envelope, over the windows that start at
    rest before it and reach half its height, a straight drift of each window taken out. Gains are a weighted
    ridge regression of the answers on Action Units and halves of the face; spread is what the
    macro-expressions, whose noise is small against their amplitude, leave unexplained. Noise and drift are
    taken where the face is at rest: from the steps between neighbouring frames, and from each window's slope.

    ValueError for no flow, flow of several sets of regions, and where no action can be measured.
    """
    if not flows or len({flow.roi_set for flow in flows.values()}) > 1:
        raise ValueError("the flow of one set of regions is needed, of one video or more")
    roi_set = next(iter(flows.values())).roi_set
    answers: list[_Answer] = []
    rest = []
    for key, flow in flows.items():
        actions = read_actions(truth, key)
        answers += _answers(flow, actions)
        rest.append(_at_rest(flow, actions))
    if not answers:
        raise ValueError("no action can be measured: none lies in a window that starts at rest before it")
    gains = _regress(answers, roi_set)
    step, slope = map(np.concatenate, zip(*rest, strict=True))
    noise = step.T @ step / len(step) / 2  # a step is the difference of two frames' noise
    fps = next(iter(flows.values())).fps or 30.0
    drift = slope.T @ slope / len(slope) * fps**2
    left = [a.flow - gain(gains, a.action) for a in answers if a.action.kind == "macro"]
    spread = np.sqrt(np.mean(np.square(left), axis=0)) if left else np.zeros(len(noise))
    return Response(roi_set, gains, spread, noise, drift)


@dataclass(frozen=True, eq=False)
class _Answer:
    """An action as it was rendered, its measured flow (C,) for amplitude 1, and how much that weighs."""

    action: Action
    flow: np.ndarray
    weight: float


def _answers(flow: RoiFlow, actions: list[Action]) -> list[_Answer]:
    courses = [envelope(action, flow.n_frames) for action in actions]
    busy = np.sum(courses, axis=0) > 0
    frames = flow.starts[:, None] + np.arange(flow.window)
    found = []
    for action, course in zip(actions, courses, strict=True):
        seen = course[frames]  # (W, k)
        use = ~busy[flow.starts] & (seen.max(axis=1) > 0.5)
        total, energy = np.zeros(flow.values.shape[1]), 0.0
        for w in np.flatnonzero(use):
            clear = (seen[w] > 0) | ~busy[frames[w]]  # frames of no other action
            x, y, t = seen[w][clear], flow.values[w][:, clear], np.arange(flow.window)[clear]
            x, y = x - t * (t @ x) / (t @ t), y - np.outer(y @ t, t) / (t @ t)
            total += y @ x
            energy += x @ x
        if energy > 0:
            answer = total / energy / action.amplitude
            found.append(_Answer(action, answer, energy * action.amplitude**2))
    return found


def _at_rest(flow: RoiFlow, actions: list[Action]) -> tuple[np.ndarray, np.ndarray]:
    """Steps between neighbouring frames and slopes of windows (px a frame), each (n, C), without actions."""
    busy = np.sum([envelope(action, flow.n_frames) for action in actions], axis=0) > 0
    rest = ~busy[flow.starts[:, None] + np.arange(flow.window)]  # (W, k)
    rest[~rest[:, 0]] = False  # an action under way at the first frame is in all others
    pair = rest[:, 2:] & rest[:, 1:-1]  # the first frame's own noise is in all others: left out
    steps = np.diff(flow.values[:, :, 1:], axis=2).transpose(0, 2, 1)[pair]
    t = np.arange(flow.window)
    long = rest.sum(axis=1) > flow.window // 2
    x = np.where(rest, t, 0)[long]
    slopes = np.einsum("wct,wt->wc", flow.values[long], x) / (x**2).sum(axis=1, keepdims=True)
    return steps.astype(np.float64), slopes.astype(np.float64)


def _regress(answers: list[_Answer], roi_set: str) -> np.ndarray:
    """Gains (2, U, C): ridge regression, weak on a region's own half and stronger on the other one's."""
    x = np.zeros((len(answers), 2, len(UNITS)))
    for row, answer in zip(x, answers, strict=True):
        units = [UNITS.index(unit) for unit in answer.action.action_units]
        for half, on in enumerate(answer.action.halves):  # no balance is stored: 1 or 0
            row[half, units] = on
    x = x.reshape(len(answers), -1)
    weight = np.array([answer.weight for answer in answers])
    y = np.stack([answer.flow for answer in answers])
    squared = x.T @ (weight[:, None] * x)
    gains = []
    for c, name in enumerate(rois.channel_names(roi_set)):
        own = next((SIDES.index(word) for word in name.split()[:2] if word in SIDES), None)
        penalty = [0.3 if own in (None, half) else 10.0 for half in range(2) for _ in UNITS]
        gains.append(np.linalg.solve(squared + np.diag(penalty), x.T @ (weight * y[:, c])))
    return np.stack(gains, axis=-1).reshape(2, len(UNITS), -1)


def main(root: str = "") -> None:
    """Measure the rendered set of the demonstration with both sets of regions."""
    for variant, roi_set in (("me-tst", "5"), ("me-tst-plus", "18")):
        config = experiment.configure(variant=variant, root=root)
        flows = experiment.load_flow(config, experiment.load_data(config).videos)
        truth = config.places.data / config.reader.name / config.reader.truth
        print(save(measure(flows, truth), Path(response.__file__).with_name(f"response_{roi_set}.csv")))


if __name__ == "__main__":
    main(*sys.argv[1:])
