"""Counts of each subject: what intervals are made of, and what may be told without anybody's data.

`counts.csv` is made from the pack by `of_pack` and is committed, so that everybody can compute every interval
again. Of the paper only totals are public: `borrowed` gives those an interval whose width is another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import t as student

from metst_lib import metrics
from metst_lib.events import Event, Key
from metst_lib.evidence import check, decoders
from metst_lib.evidence.authors import K
from metst_lib.evidence.pack import Pack
from metst_lib.inference import Interval
from metst_lib.metrics import Counts

NAMES = ("tp", "fp", "fn")
COLUMNS = ("method", "dataset", "kind", "decoder", "videos", "subject", *NAMES, "whose")
#: Which videos are counted.
LABELLED, ALL = "with a label of the kind", "all"
OURS, THEIRS = "ours, strict", "authors'"


def table() -> pd.DataFrame:
    """The committed counts: method, dataset, kind, decoder, videos counted, subject, tp, fp, fn, whose.

    kind "both": macro- and micro-expressions not told apart. decoder: the rule and scorer behind the counts.
    """
    with (resources.files(__package__) / "counts.csv").open(encoding="utf-8") as text:
        return pd.read_csv(text, dtype={"subject": str})


def array(table: pd.DataFrame, **where: str) -> np.ndarray:
    """TP, FP, FN of each subject by name, int (subjects, 3), of the rows with these values; ValueError for
    none."""
    chosen = table
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    if chosen.empty:
        raise ValueError(f"no counts with {', '.join(f'{c} {v!r}' for c, v in where.items())}")
    if chosen["subject"].duplicated().any():
        raise ValueError("these counts hold a subject twice: say method, dataset, kind, decoder and videos")
    return chosen.sort_values("subject")[list(NAMES)].to_numpy(int)


def of_pack(pack: Pack) -> pd.DataFrame:
    """The counts that a whole pack gives, as `table`."""
    return pd.DataFrame(_rows(pack), columns=COLUMNS)


def _rows(pack: Pack) -> Iterator[tuple]:
    for dataset, kind in K:
        head, tail = ("SL-Swin", dataset, kind), check.AUTHORS
        yield from _listed((*head, THEIRS, LABELLED), check.slswin(pack, dataset, kind), tail)
        yield from _listed((*head, OURS, LABELLED), _by_subject(check.ours(pack, dataset, kind)), tail)
    predicted, truth = check.lgsnet(pack)
    served: dict[str, Counts] = {}
    for key in truth:
        found = decoders.double_service(predicted[key], truth[key])
        served[key[0]] = served.get(key[0], Counts()) + found
    head = ("LGSNet", "casme2sq", "both")
    yield from _listed((*head, THEIRS, LABELLED), served, check.AUTHORS)
    strict = metrics.evaluate(check.alike(predicted), check.alike(truth))
    yield from _listed((*head, OURS, LABELLED), _by_subject(strict), check.AUTHORS)
    for dataset, feature in (("sammlv", "LBP"), ("casme2sq", "LBP"), ("casme2sq", "MDMO")):
        predicted, truth, _ = check.dma(pack, dataset, feature)
        head = (f"DMA {feature}", dataset, "micro", OURS)
        yield from _listed((*head, ALL), _strict(predicted, truth, truth), check.AUTHORS)
        labelled = [key for key in truth if truth[key]]
        yield from _listed((*head, LABELLED), _strict(predicted, truth, labelled), check.AUTHORS)
    for row in pack.counts.itertuples():
        head = ("ME-TST+", "sammlv", "micro")
        for decoder, found in (
            (f"third party's {row.decoder}", (row.tp, row.fp, row.fn)),
            (
                f"third party's {row.decoder}, result synergy",
                (row.tp_synergy, row.fp_synergy, row.fn_synergy),
            ),
        ):
            yield (*head, decoder, LABELLED, row.subject, *found, check.THIRD)


def _listed(head: tuple, found: Mapping[str, Counts], whose: str) -> Iterator[tuple]:
    for subject, counts in found.items():
        yield (*head, subject, counts.tp, counts.fp, counts.fn, whose)


def _by_subject(scores: metrics.Scores) -> dict[str, Counts]:
    return {subject: part.spotting for subject, part in scores.by_subject.items()}


def _strict(
    predicted: Mapping[Key, list[Event]], truth: Mapping[Key, list[Event]], keys: Iterable[Key]
) -> dict[str, Counts]:
    keys = list(keys)
    return _by_subject(metrics.evaluate({k: predicted[k] for k in keys}, {k: truth[k] for k in keys}))


def borrowed(totals: Counts, like: np.ndarray, level: float = 0.95) -> Interval:
    """An approximate interval of the F1 of totals whose subjects are not public.

    like: int (subjects, 3), counts of each subject of a kindred run. How much more its F1 varies between
    subjects than independent events would make it (`dispersion`) is taken to hold for the totals too; the
    interval is that of Student's t on the logit, with the subjects of `like`. For the paper's ME-TST+ these
    are a third party's counts of the same network on SAMM-LV: borrowed, and for CAS(ME)³ from another set.

    ValueError for totals without a hit, a false positive or a miss.
    """
    spread = np.sqrt(dispersion(like) * _independent(totals))
    reach = student.ppf((1 + level) / 2, len(like) - 1) * spread
    centre = logit(totals.f1)
    return Interval(totals.f1, float(expit(centre - reach)), float(expit(centre + reach)), level)


def dispersion(counts: np.ndarray) -> float:
    """How much larger the variance of F1's logit is over subjects (jackknife) than for independent events.

    counts: int (subjects, 3). 1: subjects do not differ. At least 1, so that no interval is narrower than
    independent events allow.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != 3 or len(counts) < 2:
        raise ValueError(f"counts (subjects, 3) of two subjects or more wanted, not {counts.shape}")
    total = counts.sum(axis=0)
    tp, fp, fn = (total - counts).T  # without each subject
    if (tp == 0).any() or (fp + fn == 0).any():
        raise ValueError("one subject holds all hits or all errors: its spread over subjects is not known")
    odds = np.log(2 * tp / (fp + fn))
    spread = (len(counts) - 1) / len(counts) * float(((odds - odds.mean()) ** 2).sum())
    return max(1.0, spread / _independent(Counts(*map(int, total))))


def _independent(totals: Counts) -> float:
    """Variance of log(2 TP / (FP + FN)), the logit of F1, to first order: TP binomial among the truths, FP
    Poisson."""
    if not (totals.tp and totals.fp + totals.fn):
        raise ValueError(f"no interval for {totals.tp} hits, {totals.fp} false positives, {totals.fn} misses")
    wrong = totals.fp + totals.fn
    hits = totals.tp * totals.fn / (totals.tp + totals.fn)
    return (1 / totals.tp + 1 / wrong) ** 2 * hits + totals.fp / wrong**2


def totals_of(f1: float, like: Counts) -> Counts:
    """Totals behind a published F1 that came alone: as many truths and predictions as `like` has.

    F1 = 2 TP / (truths + predictions); TP is rounded. An assumption, to be said beside the interval.
    """
    truths, predictions = like.tp + like.fn, like.tp + like.fp
    tp = round(f1 * (truths + predictions) / 2)
    if not 0 <= tp <= min(truths, predictions):
        raise ValueError(f"an F1 of {f1} is not to be had with {truths} truths and {predictions} predictions")
    return Counts(tp, predictions - tp, truths - tp)
