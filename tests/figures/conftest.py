"""The inputs of every figure, and every figure drawn once."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from pictures import (
    BARE,
    BESIDE,
    CANDIDATES,
    DIFFERENCES,
    DISTRACTORS,
    FLOW,
    FPS,
    FRAMES,
    MES,
    PREDICTED,
    REGIONS,
    SETS,
    TST,
    VIDEO,
)

from metst_lib import figures, metrics, rois
from metst_lib.events import EMOTIONS
from metst_lib.evidence.errors import Sort

KEY = ("s", "v")


@pytest.fixture(scope="session")
def landmarks():
    """A face of 68 points in a 320-px crop: jaw, arched brows, nose, eyes and lips."""
    jaw = np.linspace(0, np.pi, 17)
    points = [(160 - 110 * np.cos(a), 130 + 160 * np.sin(a)) for a in jaw]
    for left in (70, 180):
        points += [(left + 17 * n, y) for n, y in enumerate((100, 92, 88, 90, 95))]
    points += [(160, y) for y in np.linspace(120, 175, 4)] + [(x, 190) for x in np.linspace(135, 185, 5)]
    for centre in (105, 215):
        angles = np.linspace(-np.pi, 2 * np.pi / 3, 6)
        points += [(centre + 22 * np.cos(a), 120 + 8 * np.sin(a)) for a in angles]
    points += [(160 + 45 * np.cos(a), 240 + 18 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 12, False)]
    points += [(160 + 35 * np.cos(a), 240 + 6 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 8, False)]
    return np.round(np.array(points))


@pytest.fixture(scope="session")
def moving(landmarks):
    return np.repeat(landmarks[None], FRAMES, 0) + np.linspace(0, 1, FRAMES)[:, None, None]


@pytest.fixture(scope="session")
def output():
    score = np.linspace(0.1, 0.9, FRAMES)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), FRAMES)
    return score, probabilities


def everything(landmarks, moving, output):
    """Name → figure, one of each."""
    score, probabilities = output
    view = figures.EventView("a", MES[0], 20, score[20:60], probabilities[20:60], FLOW, REGIONS, DISTRACTORS)
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.2], "lr": [1e-3, 2e-3, 1e-3]})
    steps = np.arange(10) / 10
    return {
        "durations": figures.durations(MES, FPS),
        "class_counts": figures.class_counts(MES),
        "timeline": figures.timeline([VIDEO, BARE]),
        "blink_rates": figures.blink_rates([VIDEO, BARE]),
        "set_statistics": figures.set_statistics(SETS),
        "event_strip": figures.event_strip(MES[0], FPS, landmarks=moving),
        "landmarks_on_canvas": figures.landmarks_on_canvas(landmarks),
        "regions_on_canvas": figures.regions_on_canvas(landmarks, rois.resolve(rois.ROIS, landmarks)),
        "flow_of_event": figures.flow_of_event(FLOW, REGIONS, MES[0], FPS, 20, FLOW + 1, DISTRACTORS),
        "alignment_on_off": figures.alignment_on_off(FLOW, FLOW + 1, REGIONS, FPS, 20, FLOW, MES),
        "blink_beside_me": figures.blink_beside_me(FLOW, REGIONS, MES[0], DISTRACTORS[1:], FPS, 20),
        "training_curves": figures.training_curves(history),
        "discretisation": figures.discretisation(steps, steps, {"Δ = 0.2 s": (steps[::2], steps[::2])}),
        "scan": figures.scan(np.ones(10), np.ones((10, 4)), np.ones(10), FPS),
        "five_intervals": figures.five_intervals(PREDICTED, MES, [(0, 0, 11 / 13)], FPS),
        "confusion": figures.confusion({"ME-TST": (np.eye(4, dtype=int), EMOTIONS)}),
        "score_to_events": figures.score_to_events(score, CANDIDATES, 5, FPS, truth=MES),
        "one_video": figures.one_video(VIDEO, score, probabilities, PREDICTED, 0.5, landmarks=moving),
        "two_variants": figures.two_variants(
            VIDEO,
            [figures.Output(name, score, probabilities, PREDICTED, 0.5) for name in ("ME-TST", "ME-TST+")],
        ),
        "state_transition": figures.state_transition(FLOW[0], FLOW.T, MES[0], FPS, 20, FLOW[1]),
        "window_against_video": figures.window_against_video(
            np.linspace(0, 1, 9), np.arange(9) * 15, 30, score, MES + DISTRACTORS, FPS
        ),
        "architecture": figures.architecture(TST, "ME-TST"),
        "result_synergy": figures.result_synergy({"ME-TST": (45, 22, 1, 14), "ME-TST+": (5, 0, 0, 2)}),
        "forest": figures.forest(
            {"a": (0.5, 0.4, 0.6), "b": (np.nan, np.nan, np.nan)}, "spotting F1 (0–1)", {"a": [0.45, 0.55]}
        ),
        "decoder_differences": figures.decoder_differences(DIFFERENCES),
        "sensitivity": figures.sensitivity(np.eye(3), [0.5, 0.55, 0.6], [5, 6, 7], used=(0.55, 6)),
        "against_chance": figures.against_chance(
            {"ME-TST": figures.Row(0.5, 0.4, 0.6, 0.1, "synthetic")}, "A run beyond chance"
        ),
        "dumbbells": figures.dumbbells(
            {"ME-TST": (0.5, 0.4, "extrapolated")}, ("labelled videos", "all videos"), "F1 falls"
        ),
        "hits_by_chance": figures.hits_by_chance({"ME-TST": (np.arange(9), 20, 30)}),
        "curve": figures.curve(score, 5, 0.55, FPS, PREDICTED, MES),
        "alarms": figures.alarms(
            {"ME-TST": (metrics.ranking({KEY: [(MES[0], 1.0)]}, {KEY: MES}), 1.0)},
            "What recall costs",
            {"ME-TST+": (1.0, 0.5, "synthetic")},
        ),
        "error_shares": figures.error_shares({"ME-TST": [Sort("miss", "no peak", 3, 1.0, 0.2)]}, "miss"),
        "thresholds": figures.thresholds({"set": {"ours": [(0.5, 0.4, 0.6)] * 2}}, [0.5, 0.6], 0.55),
        "protocols": figures.protocols({"set": ([0.1, 0.2], 0.2, {"p": {"0.55": 0.15}})}),
        "pixels_beside_signals": figures.pixels_beside_signals(BESIDE),
        "parts": figures.parts({"all": {"hit": 5, "missed": 9}}, "What is in it"),
        "key_regions": figures.key_regions([view, dataclasses.replace(view, title="b")], FPS),
    }


@pytest.fixture(scope="session")
def drawn(landmarks, moving, output):
    """Every figure, drawn once."""
    made = everything(landmarks, moving, output)
    for figure in made.values():
        figure.canvas.draw()
    return made
