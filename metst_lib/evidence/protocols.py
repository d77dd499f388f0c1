"""Which protocol made this number? One set of curves through every documented one.

The same curves give different counts by how k_p is taken, how intervals are drawn, how a video's ends are
smoothed, where the threshold lies, which videos count and what a hit is. Spotting alone: no veto.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from metst_lib import metrics
from metst_lib.events import Event, Key, Prediction
from metst_lib.evidence import decoders
from metst_lib.metrics import SCORERS, Counts
from metst_lib.spotting import CHOICES, Rule, half_width

#: Heights of the threshold in use: the released ME-TST's, SL-Swin's, BoostingVRME's on its unseen test.
HEIGHTS = (0.55, 0.6, 0.65)
#: How a video's ends are smoothed: padded with zeros (ours, ME-TST), or whole windows alone (SL-Swin).
EDGES = CHOICES["edges"]
#: Which videos count: those with a label of the kind, or every one that has a curve.
VIDEOS = ("with_me", "all")
#: What a hit is: our scorers; IoU > .5 and a false positive for an empty video (SL-Swin); each truth takes
#: its best prediction, which may serve several (LGSNet).
MATCHING = {
    **dict.fromkeys(SCORERS),
    "above .5": decoders.slswin_counts,
    "double service": decoders.double_service,
}
COLUMNS = ("width", "growth", "edges", "p", "videos", "matching")


def table(
    predictions: Mapping[Key, Prediction],
    truth: Mapping[Key, Sequence[Event]],
    kind: str = "micro",
    published: Counts | None = None,
) -> pd.DataFrame:
    """Counts and F1 of the same curves by each combination of `COLUMNS`.

    truth: a key for every video with a curve; others are not counted, since nothing was said of them. k_p
    comes from all the truths given, as SL-Swin and BoostingVRME take it. The rows "all" are left out where
    every video has a label. With `published` a column tells which combinations give exactly those counts.

    Columns: `COLUMNS`, half_width, n_videos, tp, fp, fn, f1[, published]. ValueError where a video with a
    curve has no truth, or as `spotting.half_width`.
    """
    if lacking := [key for key in predictions if key not in truth]:
        raise ValueError(f"no truth of {len(lacking)} videos with a curve, {' '.join(lacking[0])} the first")
    of_kind = {key: [e for e in truth[key] if e.kind == kind] for key in predictions}
    labelled = [key for key in of_kind if of_kind[key]]
    counted = {"with_me": labelled} | ({"all": list(of_kind)} if len(labelled) < len(of_kind) else {})
    widths = {
        of: half_width([e for key in truth for e in truth[key]], longest=None, kind=kind, of=of)
        for of in CHOICES["width"]
    }
    rows = []
    for width, growth, edges, p in itertools.product(CHOICES["width"], CHOICES["growth"], EDGES, HEIGHTS):
        k_p = widths[width]
        found = {
            key: detect(prediction, k_p, p, growth, edges, kind) for key, prediction in predictions.items()
        }
        for (videos, keys), matching in itertools.product(counted.items(), MATCHING):
            counts = count({key: found[key] for key in keys}, {k: of_kind[k] for k in keys}, matching, kind)
            how = (width, growth, edges, p, videos, matching)
            rows.append((*how, k_p, len(keys), counts.tp, counts.fp, counts.fn, counts.f1))
    made = pd.DataFrame(rows, columns=[*COLUMNS, "half_width", "n_videos", "tp", "fp", "fn", "f1"])
    if published is not None:
        made["published"] = (made[["tp", "fp", "fn"]] == list(vars(published).values())).all(axis=1)
    return made


def detect(
    prediction: Prediction,
    k_p: int,
    p: float,
    growth: str = "none",
    edges: str = "padded",
    kind: str = "micro",
) -> list[Event]:
    """The intervals of a curve, without any veto; growth and edges as `spotting.Rule` takes them."""
    rule = Rule(kind=kind, half_width=k_p, p=p, result_synergy=False, growth=growth, edges=edges)
    return rule.find(prediction)


def count(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    matching: str,
    kind: str = "micro",
) -> Counts:
    """Counts of events of one kind by one of `MATCHING`."""
    by_video = MATCHING[matching]
    if by_video is None:
        return metrics.evaluate(predicted, truth, matching, kind).spotting
    return sum((by_video(predicted[key], truth[key]) for key in truth), Counts())
