"""Small problems with a known answer, for tests that fit, predict or extract."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from metst_lib.events import EMOTIONS, Event, window_starts
from metst_lib.training import TrainingSettings
from metst_lib.windows import cut

WINDOW, CHANNELS = 16, 4
QUICK = TrainingSettings(epochs=3, lr=1e-2, batch=16, ratio=1.0, device="cpu")
torch.set_num_threads(1)  # "bit for bit" holds for one number of threads


class Small(nn.Module):
    """Convolutions over time, with the batch normalisation and dropout that a fold must not leak through."""

    def __init__(self, in_channels=CHANNELS, dim=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(in_channels, dim, 5, padding=2), nn.BatchNorm1d(dim), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv1d(dim, dim, 5, padding=2), nn.BatchNorm1d(dim), nn.ReLU(),
        )  # fmt: skip
        self.spot, self.emotion = nn.Linear(dim, 1), nn.Linear(dim, 5)

    def forward(self, x):
        features = self.body(x).transpose(1, 2)
        return torch.sigmoid(self.spot(features)).squeeze(-1), self.emotion(features)


def as_flow(signal, window=WINDOW):
    """A (T, C) signal in windows, each relative to its first frame, as ROI flow is."""
    starts = window_starts(len(signal), window)
    pieces = cut(signal, starts, window)
    values = (pieces - pieces[:, :1]).transpose(0, 2, 1).astype(np.float32)
    return SimpleNamespace(values=values, starts=starts, n_frames=len(signal))


def toy(subjects=3, videos=2, n_frames=240, seed=0, channels=CHANNELS, height=1.0, noise=0.03):
    """Bumps of ten frames in one channel: which channel and which way is the emotion; drift and noise."""
    rng = np.random.default_rng(seed)
    where = {"negative": (0, 1), "positive": (1, 1), "surprise": (0, -1), "others": (2, 1)}
    flows, events = {}, {}
    for s in range(subjects):
        for v in range(videos):
            signal = rng.normal(0, noise, (n_frames, channels))
            signal += np.cumsum(rng.normal(0, 0.01, (n_frames, channels)), axis=0)
            found = []
            for i, onset in enumerate(range(8, n_frames - 14, 40)):
                onset = onset + int(rng.integers(0, 20))
                emotion = EMOTIONS[(s + v + i) % 4]
                channel, sign = where[emotion]
                signal[onset : onset + 11, channel] += height * sign * np.sin(np.linspace(0, np.pi, 11))
                found.append(Event(onset, onset + 10, emotion=emotion))
            flows[f"s{s}", "ab"[v]], events[f"s{s}", "ab"[v]] = as_flow(signal), found
    return flows, events


def weights_of(fitted):
    return {name: tensor.numpy().copy() for name, tensor in fitted.model.state_dict().items()}


def equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(weights_of(a).values(), weights_of(b).values(), strict=True)
    )


def face() -> np.ndarray:
    """68 landmarks of a plain face: g = 40, centre (180, 150), crop rows 10 … 370, columns 0 … 360."""
    points = np.zeros((68, 2), int)
    points[17:22] = [(80, 130), (95, 120), (110, 116), (125, 118), (140, 124)]
    points[22:27] = [(220, 124), (235, 118), (250, 116), (265, 120), (280, 130)]
    points[27:31] = [(180, 130), (180, 148), (180, 166), (181, 188)]
    points[31:36] = [(156, 200), (168, 204), (180, 206), (192, 204), (204, 200)]
    points[36:42] = [(90, 150), (105, 142), (125, 142), (140, 150), (125, 157), (105, 157)]
    points[42:48] = [(220, 150), (235, 142), (255, 142), (272, 150), (255, 158), (235, 158)]
    points[48:55] = [(138, 262), (152, 256), (168, 252), (180, 254), (192, 252), (208, 256), (222, 262)]
    points[55:60] = [(208, 274), (192, 280), (180, 282), (168, 280), (152, 274)]
    points[60:68] = [
        (144, 262),
        (168, 260),
        (180, 261),
        (192, 260),
        (216, 262),
        (192, 266),
        (180, 267),
        (168, 266),
    ]
    return points


def random_case(seed, subjects=6):
    """Events found and true ones of two videos per subject: seven in ten found, late, of any emotion."""
    rng = np.random.default_rng(seed)
    truth, predicted = {}, {}
    for s in range(subjects):
        for video in "ab":
            onsets = [int(o) for o in np.arange(4) * 40 + rng.integers(0, 12, 4)]
            truth[f"s{s}", video] = [Event(o, o + 10, emotion=EMOTIONS[rng.integers(4)]) for o in onsets]
            predicted[f"s{s}", video] = [
                Event(o + int(rng.integers(0, 8)), o + 14, emotion=EMOTIONS[rng.integers(4)])
                for o in onsets
                if rng.random() < 0.7
            ]
    return predicted, truth
