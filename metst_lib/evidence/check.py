"""Published against reproduced: every number that public files allow to be computed again, beside its source.

Two decoders stand side by side: the author's own rule (`decoders`), which has to give the published number,
and ours with the strict scorer, which differs where the rules do; the row says by what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from metst_lib import metrics
from metst_lib.events import Event, Key
from metst_lib.evidence import decoders
from metst_lib.evidence.authors import K, P
from metst_lib.evidence.pack import Pack
from metst_lib.evidence.scorefile import bare
from metst_lib.metrics import Counts, Scores
from metst_lib.spotting import Rule

#: Who says a published number.
AUTHORS, THIRD = "reproduced from the authors' files", "reported by a third party"
#: SL-Swin's printed totals at p = .6.
PRINTED = {
    ("sammlv", "micro"): Counts(33, 440, 126),
    ("casme2sq", "micro"): Counts(12, 204, 45),
    ("casme2sq", "macro"): Counts(70, 258, 228),
}
#: LGSNet: epoch file and cut on the confidence of its headline, its hits and its predictions.
EPOCH, CUT, HEADLINE = 23, 0.485, Counts(131, 77, 226)
#: k of the unseen test of MEGC 2022, frames.
TEST_K = {
    ("castest", "micro"): 6,
    ("castest", "macro"): 18,
    ("sammtest", "micro"): 37,
    ("sammtest", "macro"): 169,
}
#: ME-TST+ by a third party: its decoders' totals.
REPORTED = {"G": Counts(44, 131, 115), "EqualMean": Counts(48, 127, 111)}
_EDGES = "IoU ≥ .5 in place of > .5; our average is padded with zeros at a video's ends"


def check(pack: Pack) -> pd.DataFrame:
    """What was published beside what comes out of the pack.

    Columns: method, dataset, kind, what, published, reproduced, status ("equal", "differs", "not there"),
    whose (`AUTHORS` or `THIRD`), why: of a row that is known to differ, by what; empty where it has to be
    equal. Counts are TP/FP/FN.
    """
    rows = [row for part in _PARTS for row in _part(pack, part)]
    names = ["method", "dataset", "kind", "what", "published", "reproduced", "whose", "why"]
    table = pd.DataFrame(rows, columns=names)
    same = np.where(table["published"] == table["reproduced"], "equal", "differs")
    table.insert(6, "status", np.where(table["reproduced"] == "", "not there", same))
    return table


def unexplained(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that should be equal, are there, and are not."""
    return table[(table["status"] == "differs") & (table["why"] == "")]


def shown(counts: Counts) -> str:
    """TP/FP/FN and F1, "33/440/126, F1 .1044"."""
    return f"{counts.tp}/{counts.fp}/{counts.fn}, F1 {counts.f1:.4f}".replace(" 0.", " .")


def slswin(pack: Pack, dataset: str, kind: str, p: float = P) -> dict[str, Counts]:
    """SL-Swin by its authors' rule: counts of each subject."""
    truth, found = pack.truth_of(dataset, kind), {}
    for key, score in pack.scores[dataset, kind].items():
        events = decoders.slswin(score, K[dataset, kind], p)
        found[key[0]] = found.get(key[0], Counts()) + decoders.slswin_counts(events, truth[key])
    return found


def ours(pack: Pack, dataset: str, kind: str, p: float = P, scorer: str = "strict") -> Scores:
    """SL-Swin's curves by our rule and scorer, over the videos that have a curve."""
    rule = Rule(kind=kind, half_width=K[dataset, kind], p=p, result_synergy=False)
    truth, curves = pack.truth_of(dataset, kind), pack.scores[dataset, kind]
    return metrics.evaluate(
        {key: rule.find(bare(score)) for key, score in curves.items()},
        {key: truth[key] for key in curves},
        scorer,
        kind,
    )


def lgsnet(
    pack: Pack, epoch: int = EPOCH, cut: float = CUT
) -> tuple[dict[Key, list[Event]], dict[Key, list[Event]]]:
    """LGSNet's intervals and its own labels, each of the kind of its length; the labelled videos."""
    truth: dict[Key, list[Event]] = {}
    for row in pack.lgsnet_truth.itertuples():
        event = Event(row.onset, row.offset, kind=decoders.kind_of(row.onset, row.offset))
        truth.setdefault((row.subject, row.video), []).append(event)
    found = decoders.lgsnet(pack.lgsnet, epoch, cut)
    return {key: found.get(key, []) for key in truth}, truth


def dma(
    pack: Pack, dataset: str, feature: str
) -> tuple[dict[Key, list[Event]], dict[Key, list[Event]], Counts]:
    """DMA's intervals and labels (owners' numbers) of all its videos, and what its record counts."""
    table = pack.dma[(pack.dma["dataset"] == dataset) & (pack.dma["feature"] == feature)]
    keys = dict.fromkeys(zip(table["subject"], table["video"], strict=True))
    sides: list[dict[Key, list[Event]]] = []
    for onset, offset in (("onset", "offset"), ("true_onset", "true_offset")):
        side: dict[Key, list[Event]] = {key: [] for key in keys}
        rows = table.dropna(subset=[onset])
        for *key, first, last in rows[["subject", "video", onset, offset]].itertuples(index=False):
            side[tuple(key)].append(Event(int(first), int(last)))
        sides.append(side)
    noted = table["class"].value_counts()
    return sides[0], sides[1], Counts(*(int(noted.get(name, 0)) for name in ("TP", "FP", "FN")))


def peaks(pack: Pack, decoder: str) -> tuple[dict[Key, list[Event]], dict[Key, list[Event]]]:
    """ME-TST+'s intervals by a third party's decoder, and truth, in frames of step 7; videos with an ME."""
    table = pack.peaks[pack.peaks["decoder"] == decoder]
    found = {key: rows.tolist() for key, rows in table.groupby(["subject", "video"])["peak"]}
    truth = {key: decoders.stepped(e) for key, e in pack.truth_of("sammlv", "micro").items() if e}
    return {key: decoders.peaks(found.get(key, [])) for key in truth}, truth


def alike(events: Mapping[Key, Sequence[Event]]) -> dict[Key, list[Event]]:
    """The same events, all of one kind: as where macro- and micro-expressions are not told apart."""
    return {key: [replace(event, kind="micro") for event in of] for key, of in events.items()}


Row = tuple[str, str, str, str, str, str, str, str]


def _slswin_rows(pack: Pack) -> Iterator[Row]:
    total = Counts()
    for (dataset, kind), printed in PRINTED.items():
        head = ("SL-Swin", dataset, kind)
        by_subject = slswin(pack, dataset, kind)
        found = sum(by_subject.values(), Counts())
        total = total + found if dataset == "casme2sq" else total
        yield *head, "counts at p .6", shown(printed), shown(found), AUTHORS, ""
        mine = ours(pack, dataset, kind).spotting
        yield *head, "our rule, strict", shown(printed), shown(mine), AUTHORS, _EDGES
        if dataset == "casme2sq":
            yield from _slswin_printed(pack, kind, by_subject)
    head = ("SL-Swin", "casme2sq", "overall")
    what = "sum of both kinds, each on its own labelled videos"
    yield *head, what, shown(Counts(82, 462, 273)), shown(total), AUTHORS, ""


def _slswin_printed(pack: Pack, kind: str, by_subject: Mapping[str, Counts]) -> Iterator[Row]:
    """The printed counts of each subject and of each p: how many come out."""
    head = ("SL-Swin", "casme2sq", kind)
    table = pack.per_subject[pack.per_subject["kind"] == kind]
    hits = sum(by_subject.get(row.subject) == Counts(row.tp, row.fp, row.fn) for row in table.itertuples())
    yield *head, "subjects", *_of(hits, len(table)), AUTHORS, ""
    table, hits = pack.sweep[pack.sweep["kind"] == kind], 0
    for row in table.itertuples():
        found = sum(slswin(pack, "casme2sq", kind, row.p).values(), Counts())
        hits += found == Counts(row.tp, row.fp, row.fn)
    yield *head, "rows of its table over p", *_of(hits, len(table)), AUTHORS, ""


def _of(hits: int, total: int) -> tuple[str, str]:
    return f"{total} of {total}", f"{hits} of {total}"


def _submission_rows(pack: Pack) -> Iterator[Row]:
    for part, why in (("sammtest", ""), ("castest", "one row of the file is no peak of the curves: edited?")):
        rows = pack.submission[pack.submission["set"] == part]
        sent = set(rows[["kind", "video", "onset", "offset"]].itertuples(index=False, name=None))
        found = {
            (kind, video, event.onset, event.offset)
            for (name, kind), curves in pack.test.items()
            for video, curve in curves.items()
            for event in decoders.slswin(curve, TEST_K[name, kind], P)
            if name == part
        }
        head = ("SL-Swin", part, "both")
        yield *head, "rows of its MEGC 2022 submission", *_of(len(sent & found), len(rows)), AUTHORS, why
        yield (
            *head,
            "peaks beyond it",
            "0",
            str(len(found - sent)),
            AUTHORS,
            why and "not in the file: edited?",
        )


def _lgsnet_rows(pack: Pack) -> Iterator[Row]:
    head = ("LGSNet", "casme2sq", "both")
    predicted, truth = lgsnet(pack)
    served = (decoders.double_service(predicted[key], truth[key]) for key in truth)
    found = sum(served, Counts())
    printed = "R .366947, P .629808, F1 .463717"
    ratios = f"R {found.recall:.6f}, P {found.precision:.6f}, F1 {found.f1:.6f}".replace(" 0.", " .")
    yield *head, "headline (epoch 23, cut .485)", printed, ratios, AUTHORS, ""
    yield *head, "hits and predictions", shown(HEADLINE), shown(found), AUTHORS, ""
    mine = metrics.evaluate(alike(predicted), alike(truth)).spotting
    why = "five hits are second hits of one prediction; strict takes each once"
    yield *head, "its intervals, strict", shown(HEADLINE), shown(mine), AUTHORS, why


def _dma_rows(pack: Pack) -> Iterator[Row]:
    for dataset, feature in (("sammlv", "LBP"), ("casme2sq", "LBP"), ("casme2sq", "MDMO")):
        predicted, truth, record = dma(pack, dataset, feature)
        found = metrics.evaluate(predicted, truth).spotting
        head = (f"DMA {feature}", dataset, "micro", "its record, strict on its intervals")
        yield *head, shown(record), shown(found), AUTHORS, ""


def _metstplus_rows(pack: Pack) -> Iterator[Row]:
    for decoder, reported in REPORTED.items():
        scores = metrics.evaluate(*peaks(pack, decoder))
        head = (f"ME-TST+, {decoder}", "sammlv", "micro")
        yield *head, "its peaks, strict", shown(reported), shown(scores.spotting), THIRD, ""
        table = pack.counts[pack.counts["decoder"] == decoder]
        hits = 0
        for row in table.itertuples():
            subject = scores.by_subject.get(row.subject)
            hits += subject is not None and subject.spotting == Counts(row.tp, row.fp, row.fn)
        yield *head, "subjects", *_of(hits, len(table)), THIRD, ""


def _audit_rows(pack: Pack) -> Iterator[Row]:
    table = pack.audit.dropna(subset=["paper_tp"])
    for row in table.itertuples():
        paper = Counts(int(row.paper_tp), int(row.paper_fp), int(row.paper_fn))
        found = Counts(int(row.tp), int(row.fp), int(row.fn))
        why = "" if paper == found else "six false positives, unexplained"
        head = ("ME-TST+, native", row.dataset, "micro", f"{row.what}, totals beside the paper's")
        yield *head, shown(paper), shown(found), THIRD, why


#: Rows, and what of the pack they take.
_PARTS: tuple[tuple[Callable[[Pack], Iterable[Row]], str, tuple[str, ...]], ...] = (
    (_slswin_rows, "SL-Swin", ("scores", "per_subject", "sweep")),
    (_submission_rows, "SL-Swin", ("test", "submission")),
    (_lgsnet_rows, "LGSNet", ("lgsnet", "lgsnet_truth")),
    (_dma_rows, "DMA", ("dma",)),
    (_metstplus_rows, "ME-TST+", ("peaks", "counts")),
    (_audit_rows, "ME-TST+", ("audit",)),
)


def _part(pack: Pack, part: tuple) -> Iterable[Row]:
    rows, method, needs = part
    lacking = [name for name in needs if getattr(pack, name) is None]
    if "scores" in needs and set(K) - set(pack.scores):
        lacking.insert(0, "scores")
    if lacking:
        return [(method, "", "", "not computed", "", "", "", f"the pack lacks {', '.join(lacking)}")]
    return rows(pack)
