"""Their networks written a second time, and files as the authors released theirs, of other numbers."""

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metst_lib.released.weights import SPELLINGS, released_names, released_shapes
from metst_lib.ssm import Mamba

WINDOWS = (4, 5, 2)  # of 600, 700 and 400 frames at 200 fps, every 7th taken, k = 30
SAMMLV = [("004", "004_1"), ("005", "005_2"), ("012", "012_3")]


class Sum(nn.Module):
    """A layer: x + norm1(mamba(norm(x))); norm2 is stored and never used."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.Module()
        self.attn.norm, self.attn.mamba = nn.LayerNorm(width), Mamba(width, d_state=64)

    def forward(self, x):
        return x + self.norm1(self.attn.mamba(self.attn.norm(x)))


def layers(width, number=4):
    return nn.Sequential(*(Sum(width) for _ in range(number)))


def half(width):
    """Every second frame, twice the channels. (b, C, T) -> (b, 2C, T/2)."""
    conv = nn.Conv1d(width, 2 * width, 3, stride=2, padding=1)
    return nn.Sequential(conv, nn.BatchNorm1d(2 * width), nn.ReLU())


class Fuse(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = half(width)


class TwoPaths(nn.Module):
    """The SlowFast branch. (b, 128, T) -> (b, T, 384), T even."""

    def __init__(self, width=128):
        super().__init__()
        self.Stem_slow = half(width)
        for i in (1, 2, 3):
            setattr(self, f"block{i}", layers(2 * width))
            setattr(self, f"block{i}_fast", layers(width))
        self.fuse_1, self.fuse_2 = Fuse(width), Fuse(width)

    def branch(self, x):
        slow, fast = self.Stem_slow(x).mT, x.mT
        for i in (1, 2, 3):
            slow, fast = getattr(self, f"block{i}")(slow), getattr(self, f"block{i}_fast")(fast)
            if i < 3:
                slow = slow + getattr(self, f"fuse_{i}").conv(fast.mT).mT
        return torch.cat([slow.repeat_interleave(2, dim=1), fast], dim=2)


class OnePath(nn.Module):
    """ME-TST's branch. (b, C, T) -> (b, T, C)."""

    def __init__(self, width=128):
        super().__init__()
        self.block = layers(width, 12)

    def branch(self, x):
        return self.block(x.mT)


def stem(channels, width=128):
    first = nn.Conv1d(channels, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU()
    return nn.Sequential(*first, nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU())


class TheirPlus(nn.Module):
    """ME-TST+: (b, 36, T) -> score (b, T), logits (b, T, 5)."""

    def __init__(self, branch=TwoPaths, channels=36, width=384):
        super().__init__()
        self.Stem = stem(channels)
        self.spot_pathway, self.recog_pathway = branch(), branch()
        self.fc_spot, self.fc_recog = nn.Linear(width, 1), nn.Linear(width, 5)

    def forward(self, x):
        x = self.Stem(x)
        spot, emotion = self.spot_pathway.branch(x), self.recog_pathway.branch(x)
        return self.fc_spot(spot).sigmoid()[..., 0], self.fc_recog(emotion)


class TheirWide(TheirPlus):
    """ME-TST of July 2025: the recognition branch is stored and never used. (b, 10, T)."""

    def __init__(self):
        super().__init__(OnePath, 10, 128)

    def forward(self, x):
        x = self.spot_pathway.branch(self.Stem(x))
        return self.fc_spot(x).sigmoid()[..., 0], self.fc_recog(x)


class TheirBoosting(TwoPaths):
    """BoostingVRME: one SlowFast branch for both heads. (b, 36, T)."""

    def __init__(self):
        super().__init__()
        self.Stem = stem(36)
        self.fc_spot, self.fc_recog = (nn.Sequential(nn.Linear(384, n)) for n in (1, 5))

    def forward(self, x):
        x = self.branch(self.Stem(x))
        return self.fc_spot(x).sigmoid()[..., 0], self.fc_recog(x)


def filled(network, seed=0):
    """A network in evaluation mode with random weights of such size that scores and logits vary."""
    g = torch.Generator().manual_seed(seed)

    def r(x):
        return torch.randn(x.shape, generator=g)

    for name, x in network.state_dict().items():
        part = name.rpartition(".")[2]
        if part == "num_batches_tracked":
            x.fill_(7)
        elif part == "running_var":
            x.copy_(0.5 + r(x).abs())
        elif part == "weight" and x.dim() > 1:
            x.copy_(r(x) * x[0].numel() ** -0.5 * (0.4 if "fc_" in name else 1))
        elif part == "A_log":
            x.add_(0.1 * r(x))
        elif part in ("weight", "D"):
            x.copy_(1 + 0.2 * r(x))
        else:
            x.copy_(0.3 * r(x) - (2 if "dt_proj" in name else 0))
    return network.eval()


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


def in_their_spelling(model, name):
    """The state dict of a network of ours as the authors would have saved it; the unused part is random."""
    (spelling,) = [known for known in SPELLINGS if known.name == name]
    ours = model.state_dict()
    state = {key: torch.randn(shape) for key, shape in released_shapes(spelling).items()}
    return state | {theirs: ours[key] for key, theirs in released_names(spelling).items()}


def in_a_clone(folder, name, states, videos):
    """A folder in the layout of the authors' repository. Returns it.

    name: what they call the data set. states: subject's id -> state dict. videos: of each, windows (W, C, k),
    in natural order of subject and video.
    """
    weights = folder / "weights" / f"{name}_4emo"
    weights.mkdir(parents=True, exist_ok=True)
    for subject, state in states.items():
        saved(weights / f"subject_{subject}.pkl", state)
    content = [[np.float64(window) for window in video] for video in videos]
    caches = folder / "cache" / ("ME-TST+" if content[0][0].shape[0] == 36 else "ME-TST")
    caches.mkdir(parents=True, exist_ok=True)
    parts = {"SAMMLV": ("",), "CASME_3": ("_1", "_2", "_3", "_4", "_5")}[name]
    for part, some in zip(parts, np.array_split(np.arange(len(content)), len(parts)), strict=True):
        written(caches / f"{name}_dataset{part}.pkl", [content[i] for i in some])
    return folder
