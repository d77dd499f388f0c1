"""What the tests of figures draw: a face, a video with its events, predictions and flow."""

import numpy as np
import pandas as pd
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from metst_lib.datasets import statistics
from metst_lib.events import Event, Video
from metst_lib.spotting import Candidate

FPS = 30
FRAMES = 150
MES = (
    Event(30, 41, 35, "negative"),
    Event(80, 89, None, "surprise"),
    Event(120, 134, 126, "others"),
)
DISTRACTORS = (Event(50, 75, kind="macro"), Event(38, 44, kind="blink"), Event(100, 105, kind="blink"))
VIDEO = Video("spNO.1", "a", FPS, FRAMES, MES + DISTRACTORS)
BARE = Video("spNO.2", "b", FPS, FRAMES, ())
CANDIDATES = [
    Candidate(36, 31, 41, 0.9, "negative", "negative"),
    Candidate(62, 57, 67, 0.7, "neutral", "others"),
]
PREDICTED = [Event(31, 42, 36, "negative"), Event(55, 66, 60, "positive")]
#: Of a rule beside the paper's: what decides gains in the study, and is open on real curves.
DIFFERENCES = pd.DataFrame(
    [
        ("study", "all rows", True, "paper", np.nan, np.nan, np.nan),
        *(("study", name, name == "all rows", "rule", 0.02, 0.01, 0.03) for name in ("all rows", *"abcd")),
        ("real", "both ME sets", True, "rule", 0.01, -0.02, 0.04),
        ("real", "macro", False, "rule", -0.04, -0.07, -0.01),
    ],
    columns=["source", "curves", "decides", "decoder", "difference", "difference_low", "difference_high"],
)
REGIONS = ["left brow", "mouth"]
FACE = [np.full((320, 320), 100 + n % 50, np.uint8) for n in range(FRAMES)]
FLOW = np.arange(4 * 40, dtype=float).reshape(4, 40) / 40
TST = [
    ("flow", (30, 10)),
    ("stem", (30, 64)),
    ("spotting", (30, 64)),
    ("recognition", (30, 64)),
    ("spot_head", (30, 1)),
    ("emotion_head", (30, 5)),
]
"""What `models.shapes` says of a METST."""

SETS = pd.concat(
    [
        statistics.statistics([Video("s", "a", fps, FRAMES, events)]).reset_index().assign(set=name)
        for name, fps, events in (
            ("CAS(ME)³", 30, VIDEO.events),
            ("SAMM-LV", 200, MES),
            ("study, synthetic", 30, VIDEO.events),
            ("study, synthetic", 15, VIDEO.events),
        )
    ]
)
"""What `study.sets.measured` gives: two replicates of the last set."""


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def bars(ax):
    """(left, width, row) of the bars in a lane."""
    found = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [(p.get_x(), p.get_width(), p.get_y() + p.get_height() / 2) for p in found]


def images(figure):
    return figure.findobj(AxesImage)
