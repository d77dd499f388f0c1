"""What a reproduction will cost before it is started: folds, epochs, steps, and the time one step takes here.

Steps are counted from the annotations and the lengths of the videos; the time of a step is measured with the
variant's own network on random flow. Extraction of flow and scoring come on top.

Glossary: k frames of a window; C channels of flow; b windows of a batch.
"""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import torch

from metst_lib import experiment, rois, windows


def estimate(dataset: str, **options: str) -> pd.DataFrame:
    """One row for each variant that is trained: folds, windows and steps of a fold, seconds a step, hours.

    Hours are those of all folds of one seed, one after the other on one thread. options are those of
    `experiment.configure`. ValueError for an unknown data set.
    """
    rows = []
    for name, variant in experiment.VARIANTS.items():
        config = experiment.configure(dataset, name, **options)
        if variant.trained_as or variant.network not in config.settings.training:
            continue  # shares a training, or has none
        chosen, steps = fold_size(config)
        seconds = step_seconds(config, min(chosen, config.training.batch))
        folds = len(experiment.folds(config))
        rows.append(
            {
                "variant": name,
                "folds": folds,
                "windows": chosen,
                "epochs": config.training.epochs,
                "steps a fold": steps,
                "seconds a step": round(seconds, 3),
                "hours": round(folds * steps * seconds / 3600, 2),
            }
        )
    return pd.DataFrame(rows)


def fold_size(config: experiment.Config) -> tuple[int, int]:
    """(training windows, steps) of one fold: the mean over videos, one subject left out."""
    data, k = experiment.load_data(config), config.settings.window
    with_event, without = 0, 0
    for video in data.videos:
        if video.n_frames < k:
            continue  # gives no flow
        spot, _ = windows.targets(video.events_of("micro"), video.n_frames)
        has_event = windows.cut(spot, windows.window_starts(video.n_frames, k), k).any(axis=1)
        with_event, without = with_event + has_event.sum(), without + (~has_event).sum()
    share = 1 - 1 / len(data.subjects)
    chosen = share * (with_event + min(without, config.training.ratio * with_event))
    return round(chosen), config.training.epochs * math.ceil(chosen / config.training.batch)


def step_seconds(config: experiment.Config, batch: int, repeats: int = 2) -> float:
    """The least time of a training step on b = batch random windows, in seconds, on one thread."""
    torch.set_num_threads(1)
    model = experiment.build(config)
    channels = len(rois.channel_names(config.what.roi_set))
    flow = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, channels, config.settings.window)))
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        score, logits = model(flow.float())
        (score.square().mean() + logits.square().mean()).backward()
        optimiser.step()
        optimiser.zero_grad()
        taken.append(time.perf_counter() - began)
    return min(taken)


def in_words(table: pd.DataFrame, seeds: int, jobs: int) -> str:
    """The sum of an `estimate`, for so many seeds and folds at once."""
    hours = table["hours"].sum() * seeds / jobs
    span = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return (
        f"{len(table)} trainings × {table['folds'].max()} folds × {seeds} seed(s): about {span} of training "
        f"with {jobs} folds at once on this machine's processor; flow, notebooks and scoring come on top"
    )
