"""Files as the authors released theirs, with random numbers in them."""

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import torch

WINDOWS = (4, 5, 2)  # of 600, 700 and 400 frames at 200 fps, every 7th taken, k = 30
SAMMLV = [("004", "004_1"), ("005", "005_2"), ("012", "012_3")]


def released_state(seed=0):
    """A state dict as the authors saved theirs, written down key by key, with random values."""
    g = torch.Generator().manual_seed(seed)

    def r(*shape, scale=0.3):
        return torch.randn(*shape, generator=g) * scale

    state = {}
    for conv, norm, channels in (("0", "1", 10), ("3", "4", 64)):
        state[f"Stem.{conv}.weight"] = r(64, channels, 3)
        state[f"Stem.{conv}.bias"] = r(64)
        state[f"Stem.{norm}.weight"] = 1 + r(64)
        state[f"Stem.{norm}.bias"] = r(64)
        state[f"Stem.{norm}.running_mean"] = r(64)
        state[f"Stem.{norm}.running_var"] = 1 + r(64).abs()
        state[f"Stem.{norm}.num_batches_tracked"] = torch.tensor(7)
    for branch in ("blocks_spot", "blocks_recog"):
        for i in range(12):
            block = f"{branch}.{i}"
            for norm in ("norm1", "norm2", "attn.norm"):
                state[f"{block}.{norm}.weight"] = 1 + r(64)
                state[f"{block}.{norm}.bias"] = r(64)
            mamba = f"{block}.attn.mamba"
            state[f"{mamba}.A_log"] = torch.log(torch.arange(1.0, 65)).repeat(128, 1) + r(128, 64, scale=0.1)
            state[f"{mamba}.D"] = 1 + r(128)
            state[f"{mamba}.in_proj.weight"] = r(256, 64)
            state[f"{mamba}.conv1d.weight"] = r(128, 1, 4)
            state[f"{mamba}.conv1d.bias"] = r(128)
            state[f"{mamba}.x_proj.weight"] = r(132, 128, scale=0.1)
            state[f"{mamba}.dt_proj.weight"] = r(128, 4)
            state[f"{mamba}.dt_proj.bias"] = r(128) - 3
            state[f"{mamba}.out_proj.weight"] = r(64, 128)
    for head, classes in (("fc_spot", 1), ("fc_recog", 5)):
        state[f"{head}.0.weight"] = r(classes, 64)
        state[f"{head}.0.bias"] = r(classes)
    return state


def saved(path, state, **how):
    torch.save({f"module.{key}": value for key, value in state.items()}, path, **how)
    return path


class Hostile:
    """Runs a command where it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def cache(videos=(3, 2), k=30, dtype=np.float64, channels=10):
    rng = np.random.default_rng(0)
    return [[rng.standard_normal((channels, k)).astype(dtype) for _ in range(windows)] for windows in videos]


def written(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def lookalikes():
    """Workbooks that look like the owners' (tests/datasets/lookalikes.py)."""
    path = Path(__file__).parents[1] / "datasets" / "lookalikes.py"
    spec = importlib.util.spec_from_file_location("lookalikes_of_workbooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def telling_cache(windows=(4, 3, 2)):
    """A cache that gives itself away: channel 0 is the spotting score, channels 5–9 are the logits.

    Boxes of 2 k_p frames, each smoothed to a peak at its fourth frame. The second micro-expression is neutral
    first and positive second. Video 005_2 ends before its micro-expression and has a false alarm.
    """
    marks = {
        ("004", "004_1"): [(14, (1, 0, 0, 0, 0)), (28, (0, 1, 0, 0, 2))],
        ("005", "005_2"): [(20, (1, 0, 0, 0, 0))],
        ("012", "012_3"): [(7, (0, 0, 0, 1, 0))],
    }
    content = []
    for key, count in zip(SAMMLV, windows, strict=True):
        signal = np.zeros((10, 15 * (count + 1)))
        for start, logits in marks[key]:
            signal[0, start : start + 6] = 1
            signal[5:, start : start + 6] = np.array(logits)[:, None]
        content.append([signal[:, 15 * i : 15 * i + 30] for i in range(count)])
    return content


def random_weights(folder):
    """The folder, with random weights of the released shapes for each subject."""
    for seed, (subject, _) in enumerate(SAMMLV):
        saved(folder / f"subject_{subject}.pkl", released_state(seed))
    return folder
