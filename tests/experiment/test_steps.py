"""A golden run: each step that computes gives what it gave when `store.STEPS` got its number.

Run as a script, this file writes the numbers of golden.json anew. It refuses where a step gives other numbers
under its old number; delete golden.json first where only the computations below have changed.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1]))  # for the run as a script
from toys import as_flow, face, toy

from metst_lib import baseline, flow, metrics, models, rois, spotting, training, windows
from metst_lib._files import read_json, write_json
from metst_lib.events import CLASSES, EMOTIONS, Event
from metst_lib.experiment import store
from metst_lib.fold import Recipe, fit

GOLDEN = Path(__file__).with_name("golden.json")
NETWORKS = {
    "METST": {"dim": 8, "depth": 2, "d_state": 4},
    "METSTPlus": {"dim": 8, "n_blocks": 2, "depth": 1, "d_state": 4},
    "Transformer": {"dim": 8, "depth": 1},
    "WindowClassifier": {"dim": 8},
}


# --- the steps, each on something tiny ------------------------------------------------------------------


def _flow() -> list[float]:
    """Flow of a drifting face of waves whose mouth moves: means by channel of five, of all of eighteen."""
    rng = np.random.default_rng(0)
    turn, long, phase = rng.uniform(0, 2 * np.pi, 24), rng.uniform(9, 40, 24), rng.uniform(0, 2 * np.pi, 24)
    y, x = np.mgrid[:380, :400].astype(float)

    def picture(t: int) -> np.ndarray:
        lift = 0.3 * t * np.exp(-((x - 180) ** 2 + (y - 267) ** 2) / 450)
        dx, dy = x - 0.35 * t, y + 0.2 * t - lift
        waves = [
            np.sin(2 * np.pi * (np.cos(a) * dx + np.sin(a) * dy) / k + p)
            for a, k, p in zip(turn, long, phase, strict=True)
        ]
        return np.rint(np.clip(128 + 12 * sum(waves), 0, 255)).astype(np.uint8)

    frames = [picture(t) for t in range(12)]
    found = []
    for mode, align in (("exact", True), ("exact", False), ("fast", True)):
        made = flow.extract_sets(frames, lambda image, t: face(), ("5", "18"), 8, mode, align=align)
        found += [made["18"].values.mean(), *made["5"].values.mean(axis=(0, 2))]
    return found


def _training() -> list[float]:
    """Losses of a short training of each network, weights of the classes, number of windows."""
    settings = training.TrainingSettings(epochs=3, lr=1e-3, batch=16, ratio=0.5, device="cpu")
    flows, events = toy(subjects=2, videos=1, channels=10)
    found = []
    for network in NETWORKS:
        fitted = fit(flows, events, Recipe(network, size=NETWORKS[network], training=settings), seed=1)
        found += fitted.history[["loss", "spotting", "recognition"]].to_numpy()[[0, -1]].ravel().tolist()
    return [*found, *fitted.statistics["class_weights"].values(), fitted.statistics["windows"]]


def _baseline() -> list[float]:
    """The settings that it chooses, and what it then sees of a video."""
    flows, events = toy(subjects=2, seed=1)
    for key, seen in flows.items():  # large motion without a label, for which ceiling and limit are there
        seen.values[(seen.starts >= 120) & (seen.starts < 180)] *= 6
        events[key] = [event for event in events[key] if not 110 < event.onset < 190]
    fitted = baseline.fit(flows, events)
    chosen = [
        baseline.MEASURES.index(fitted.measure), fitted.reach, baseline.POOLINGS.index(fitted.pooling),
        fitted.ceiling or 0, fitted.limit or 0, fitted.half_width, fitted.f1, *fitted.centroids[0],
    ]  # fmt: skip
    seen = fitted.predict(flows["s1", "b"])
    return [*chosen, *seen.score[::40], *seen.logits[::80].ravel()]


def _prediction() -> list[float]:
    """What networks of given weights say of a video, joined both ways."""
    seen = as_flow(np.random.default_rng(2).normal(0, 1, (44, 10)).cumsum(axis=0))
    found = []
    for network, size in NETWORKS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = models.build(network, 10, **size)
        rng = np.random.default_rng(3)
        for weight in model.parameters():
            weight.data = torch.from_numpy(rng.normal(0, 0.4, weight.shape).astype(np.float32))
        for stitch in windows.STITCHES:
            said = training.predict(model, seen, stitch)
            found += [*said.score[[1, 12, 30]], *said.logits[[12, 30]].mean(axis=0)]
    return found


def _spotting() -> list[float]:
    """Candidates and events of scores in whole steps of 1/64, where no last digit decides."""
    rng = np.random.default_rng(4)
    score = rng.integers(0, 40, 400) / 64
    for centre in range(30, 400, 60):
        score[centre - 6 : centre + 7] += rng.integers(8, 24) / 64
    logits = rng.integers(0, 9, (400, len(CLASSES))).astype(float)
    logits[200:, CLASSES.index("neutral")] += 4
    labels = [Event(0, 9), Event(20, 33), Event(40, 900), Event(50, 99, kind="macro")]
    found = [spotting.half_width(labels), spotting.half_width(labels, kind="macro")]
    for candidate in spotting.candidates(score, logits, 6):
        found += [candidate.peak, candidate.onset, candidate.offset, CLASSES.index(candidate.vote)]
    for p, synergy in ((0.3, True), (0.7, False)):
        for event in spotting.find_events(score, logits, 4, p, synergy):
            found += [event.apex, EMOTIONS.index(event.emotion)]
    return found


def _metrics() -> list[float]:
    """Counts and measures of each scorer, for truths side by side and predictions near and far of them."""
    rng = np.random.default_rng(5)
    truth, predicted = {}, {}
    for key in ((subject, video) for subject in "abcd" for video in "123"):
        truth[key], predicted[key] = [], []
        for onset in range(0, 300, 10):
            kind = ("micro", "macro")[rng.integers(4) // 3]
            emotion, said = (EMOTIONS[i] if kind == "micro" else None for i in rng.integers(4, size=2))
            first, length = onset + int(rng.integers(0, 5)), int(rng.integers(8, 20))
            if key[1] != "3" and rng.random() < 0.6:
                truth[key].append(Event(onset, onset + 12, emotion=emotion, kind=kind))
            if key[0] != "d" and rng.random() < 0.8:
                named = emotion if rng.random() < 0.5 else said
                predicted[key].append(Event(first, first + length, emotion=named, kind=kind))
    found = []
    for scorer in metrics.SCORERS:
        scores = metrics.evaluate(predicted, truth, scorer, kind="overall")
        found += [scores.spotting.tp, scores.spotting.fp, scores.spotting.fn, scores.recognition.fp]
        found += [scores.measure(name) for name in metrics.MEASURES]
    return found


COMPUTED = {
    "flow": _flow,
    "training": _training,
    "baseline": _baseline,
    "prediction": _prediction,
    "spotting": _spotting,
    "metrics": _metrics,
}
WITHIN = {
    "flow": (1e-3, 1e-4),
    "training": (1e-4, 1e-5),
    "baseline": (1e-5, 1e-6),
    "prediction": (1e-3, 1e-4),
}
"""By how much processors may differ, relative to a value and at least; else not beyond the ninth digit."""


def measured(step: str) -> list[float]:
    """What a step gives today, nine digits of each number."""
    return [float(f"{value:.9g}") for value in COMPUTED[step]()]


def complaint(step: str, values: list[float], stored: dict, steps: dict[str, int]) -> str:
    """What is wrong with a step's values of today; empty where nothing is."""
    again = "run `python tests/experiment/test_steps.py`"
    if step not in stored:
        return f"golden.json has no values of step {step!r}: {again}"
    if stored[step]["step"] != steps[step]:
        return f"step {step!r} has number {steps[step]} now, golden.json {stored[step]['step']}: {again}"
    relative, least = WITHIN.get(step, (1e-9, 0))
    known = stored[step]["values"]
    if len(known) == len(values) and np.allclose(values, known, rtol=relative, atol=least):
        return ""
    return (
        f"step {step!r} computes something else than when it got number {steps[step]}: "
        f"raise STEPS[{step!r}] in metst_lib/experiment/store.py, then {again}"
    )


def write(path: Path = GOLDEN) -> None:
    """Write today's values. SystemExit where a step's changed and its number did not."""
    stored = read_json(path) if path.exists() else {}
    found = {}
    for step, number in store.STEPS.items():
        values = measured(step)
        said = complaint(step, values, stored, store.STEPS)
        if said and step in stored and stored[step]["step"] == number:
            raise SystemExit(said)
        found[step] = {"step": number, "values": values} if said else stored[step]
    write_json(path, found)


# --- tests ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> dict:
    return read_json(GOLDEN)


def test_each_step_has_its_values_and_no_other(stored):
    assert list(stored) == list(COMPUTED) == list(store.STEPS)


@pytest.mark.parametrize("step", COMPUTED)
def test_a_step_computes_what_it_did_when_it_got_its_number(stored, step):
    said = complaint(step, measured(step), stored, store.STEPS)
    assert not said, said


CHANGES = {
    "flow": (rois, "NOSE_Q", lambda q: 0.5),
    "training": (training, "weighted_cross_entropy", lambda loss: lambda *given: 1.02 * loss(*given)),
    "baseline": (baseline, "displacement", lambda path: lambda seen: 1.001 * path(seen)),
    "prediction": (windows, "stitch", lambda join: lambda *given: np.roll(join(*given), 1, axis=0)),
    "spotting": (spotting, "smooth", lambda mean: lambda *given: np.roll(mean(*given), 1)),
    "metrics": (metrics.matching, "IOU", lambda least: 0.4),
}


@pytest.mark.parametrize("step", COMPUTED)
def test_a_changed_step_is_noticed_until_its_number_is_raised_and_the_values_made_again(
    stored, step, monkeypatch, tmp_path
):
    path = write_json(tmp_path / "golden.json", stored)
    module, name, change = CHANGES[step]
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    changed = measured(step)
    assert f"raise STEPS[{step!r}] in metst_lib" in complaint(step, changed, stored, store.STEPS)
    monkeypatch.setattr(sys.modules[__name__], "COMPUTED", {**COMPUTED, **_known(stored, but=step)})
    with pytest.raises(SystemExit, match="raise STEPS"):
        write(path)
    assert read_json(path) == stored
    number = store.STEPS[step]
    monkeypatch.setitem(store.STEPS, step, number + 1)
    said = complaint(step, changed, stored, store.STEPS)
    assert f"has number {number + 1} now, golden.json {number}: run" in said
    write(path)
    assert read_json(path) == {**stored, step: {"step": number + 1, "values": changed}}
    assert not complaint(step, changed, read_json(path), store.STEPS)


def _known(stored: dict, but: str) -> dict:
    """Computations of all steps but one that give what is stored, for the sake of time."""
    return {step: lambda values=kept["values"]: values for step, kept in stored.items() if step != but}


@pytest.mark.parametrize("step", ["flow", "training", "baseline", "prediction"])
def test_what_another_processor_rounds_otherwise_is_no_change(stored, step):
    values = np.array(stored[step]["values"])
    assert not complaint(step, list(values * (1 + 1e-6)), stored, store.STEPS)
    assert complaint(step, list(values * 1.01), stored, store.STEPS)
    assert complaint(step, list(values[:-1]), stored, store.STEPS)


def test_a_step_that_is_not_stored_yet_is_named(stored):
    lacking = {step: kept for step, kept in stored.items() if step != "flow"}
    assert "no values of step 'flow'" in complaint("flow", [], lacking, store.STEPS)


if __name__ == "__main__":
    write()
