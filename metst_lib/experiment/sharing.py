"""Results that may travel: a finished run as a pack (`packs`), and packs beside the paper and each other.

What counts as reproduced. A measure of a pack, with its 95 % interval over subjects, is held against another
number: the one that the paper prints, or the value of another pack (`verdict`).

- "differs": the other number lies outside the interval; or the other is a pack of the same videos and as many
  seeds, and the interval of the paired difference leaves zero out.
- "reproduced": it does not differ, and the interval is no wider than `WIDTH`.
- "not decided": it does not differ, but the interval is wider: too many other numbers would lie in it too.

Neither the paper nor the other pack is given an error of its own, but for the paired difference.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from metst_lib import inference, metrics
from metst_lib._files import digest, sha256
from metst_lib.datasets.reader import natural_key
from metst_lib.events import EMOTIONS, Key, Video
from metst_lib.experiment import flows, provenance, published, store
from metst_lib.experiment.estimates import by_chance, read_runs
from metst_lib.experiment.packs import ByChance, Cells, Medians, OfSeed, OfSubject, OfVideo, Pack, sealed
from metst_lib.experiment.runs import Run

#: The widest interval that can say "reproduced": in Table I ME-TST and ME-TST+ are 0.01 (CAS(ME)³) and 0.06
#: (SAMM-LV) apart, so a wider one holds both, and would call either of them reproduced.
WIDTH = 0.10
#: What is packed and compared: measure → heading.
MEASURES = {
    "spotting.f1": "F1 spot.",
    "recognition.f1": "F1 recog.",
    "recognition.uf1": "UF1",
    "recognition.uar": "UAR",
    "strs": "STRS",
}
DASH = "–"

# --- packing --------------------------------------------------------------------------------------------


def share(dataset: str, variant: str, seeds: Sequence[int] = (0,), **options: str) -> Pack:
    """The pack of a variant's finished runs, one a seed; options are those of `experiment.configure`.

    ValueError naming the folds that are missing or stale.
    """
    runs = read_runs(dataset, [variant], seeds, **options)[variant]
    config = runs[0].config
    made, today = pack(runs, flows.load_data(config).videos), flows.inputs(config)
    tables = zip(config.reader.tables, config.reader.find_tables(config.places.data / dataset), strict=True)
    inputs = {name: sha256(path) for name, path in tables if path}
    inputs |= {what: digest(sorted(getattr(today, what).items())) for what in ("labels", "flow")}
    of_seeds = {run.config.seed: _with_making(made.seeds[run.config.seed], run) for run in runs}
    return sealed(replace(made, inputs=inputs, seeds=of_seeds))


def pack(runs: Sequence[Run], videos: Iterable[Video]) -> Pack:
    """The pack of complete runs, one a seed, without what only their files tell (`share`).

    videos: at least those of the runs, for their lengths. ValueError where folds are missing or stale.
    """
    config, scores = runs[0].config, [run.scores() for run in runs]
    lengths, kind = {video.key: video for video in videos}, config.settings.kind
    return sealed(
        Pack(
            dataset=config.dataset,
            title=config.reader.title,
            synthetic=config.reader.synthetic,
            variant=config.variant,
            method=config.what.title,
            preset=config.preset,
            kind=kind,
            scorer=scores[0].scorer,
            counted="with_me" if kind == "micro" else f"with_{kind}",
            minutes=sum(_seconds(lengths[key]) for key in runs[0].truth) / 60,
            measures={name: inference.interval_of(scores, name) for name in MEASURES},
            seeds={run.config.seed: _of_seed(run, lengths) for run in runs},
            settings={name: value for name, value in config.to_dict().items() if name != "seed"},
            inputs={},
            packed_with={"git": provenance.git_revision(), "versions": provenance.versions()},
        )
    )


def _of_seed(run: Run, lengths: Mapping[Key, Video]) -> OfSeed:
    predicted, truth, scores, kind = run.predicted, run.truth, run.scores(), run.config.settings.kind
    chance, alarms = by_chance(run, lengths.values())
    by_subject, by_video = [], []
    keys = sorted(truth, key=lambda key: [(natural_key(name), name) for name in key])
    for s, (subject, own) in enumerate(itertools.groupby(keys, key=lambda key: key[0]), start=1):
        part, half_width, before = (
            scores.by_subject[subject],
            run.folds[subject].rule.half_width,
            len(by_video),
        )
        for v, key in enumerate(own, start=1):
            counts = metrics.evaluate({key: predicted[key]}, {key: truth[key]}, kind=kind).spotting
            by_video.append(OfVideo(s, v, _seconds(lengths[key]), counts, len(predicted[key])))
        videos, found = len(by_video) - before, sum(video.intervals for video in by_video[before:])
        by_subject.append(OfSubject(s, videos, part.spotting, found, half_width, _cells(part.confusion)))
    medians = (
        _median(event.length for events in predicted.values() for event in events),
        _median(event.length for events in truth.values() for event in events),
        _median(match.iou for match in scores.matches),
    )
    return OfSeed(
        spotting=scores.spotting,
        chance=ByChance(chance.tp, chance.f1, chance.p),
        fp_per_minute=alarms,
        medians=Medians(*medians),
        by_subject=by_subject,
        by_video=by_video,
    )


def _with_making(seed: OfSeed, run: Run) -> OfSeed:
    """The same with what the run's folds were made of and with."""
    around = [store.read_fitting(run.config, subject).made_with for subject in run.folds]
    distinct = [each for i, each in enumerate(around) if each not in around[:i]]
    made = digest(sorted(store.made(run.config, subject) for subject in run.folds))
    return replace(seed, made_with=distinct, made=made)


def _seconds(video: Video) -> float:
    return round(video.n_frames / video.fps, 3)


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.median(known)) if known else None


def _cells(confusion: metrics.Confusion) -> Cells:
    rows = {
        true: {name: n for name, n in zip(metrics.COLUMNS, row, strict=True) if n}
        for true, row in zip(EMOTIONS, confusion, strict=True)
    }
    return {true: row for true, row in rows.items() if row}


# --- comparing ------------------------------------------------------------------------------------------


def verdict(ours: inference.Interval, other: float, difference: inference.Interval | None = None) -> str:
    """ "reproduced", "not decided" or "differs", as above; difference: the paired one, where there is one."""
    if not _holds(ours, other) or (difference is not None and not _holds(difference, 0)):
        return "differs"
    return "reproduced" if ours.high - ours.low <= WIDTH + _ROUNDING else "not decided"


_ROUNDING = 1e-9  # of an interval without width a bound may miss the value by the last bit


def _holds(interval: inference.Interval, value: float) -> bool:
    return interval.low - _ROUNDING <= value <= interval.high + _ROUNDING


def compare(packs: Sequence[Pack]) -> pd.DataFrame:
    """Each measure of each pack beside the paper's number, then of each pack beside every later one.

    Columns: pack (1, 2, …, as given), measure, value, interval, against, other, paired difference, verdict; a
    dash where there is no other number, or no pair. Intervals are made anew of the counts.

    ValueError where packs are of different data sets, kinds of event, scorers or choices of videos.
    """
    for what in ("dataset", "kind", "scorer", "counted"):
        if len(found := {getattr(each, what): None for each in packs}) > 1:
            raise ValueError(f"these packs cannot be compared: their {what} differs: {', '.join(found)}")
    rows, scores = [], [each.scores() for each in packs]
    intervals = [{name: inference.interval_of(of, name) for name in MEASURES} for of in scores]
    for i, one in enumerate(packs):
        theirs = published.of_variant(one.dataset, one.variant)
        rows += [_row(i, name, intervals[i][name], *theirs.get(name, ("paper", None))) for name in MEASURES]
    for i, j in itertools.combinations(range(len(packs)), 2):
        a, b = packs[i], packs[j]
        paired = a.videos() == b.videos() and len(a.seeds) == len(b.seeds)
        for name in MEASURES:
            difference = inference.paired(scores[i], scores[j], measure=name) if paired else None
            other = intervals[j][name].value
            rows.append(_row(i, name, intervals[i][name], f"pack {j + 1}", other, difference))
    return pd.DataFrame(rows)


def _row(
    place: int,
    measure: str,
    ours: inference.Interval,
    against: str,
    other: float | None,
    difference: inference.Interval | None = None,
) -> dict[str, str]:
    apart = f"{difference.value:+.4f} [{difference.low:+.3f}, {difference.high:+.3f}]" if difference else DASH
    return {
        "pack": str(place + 1),
        "measure": MEASURES[measure],
        "value": f"{ours.value:.4f}",
        "interval": f"[{ours.low:.3f}, {ours.high:.3f}]",
        "against": against,
        "other": DASH if other is None else f"{other:.4f}",
        "paired difference": apart,
        "verdict": DASH if other is None else verdict(ours, other, difference),
    }


def in_words(shared: Pack) -> str:
    """What a pack is of, and what stands beside its F1: counts, chance, false alarms, videos counted."""
    data = f"SYNTHETIC data ({shared.title})" if shared.synthetic else shared.title
    seeds = list(shared.seeds.values())
    subjects, videos = len(seeds[0].by_subject), len(seeds[0].by_video)
    lines = [
        f"{shared.method} on {data}, preset {shared.preset}, {shared.kind}-expressions, scorer "
        f"{shared.scorer}, hash {shared.hash}",
        f"  videos counted: {shared.counted}, {subjects} subjects, {videos} videos, "
        f"{shared.minutes:.1f} minutes",
    ]
    for number, seed in shared.seeds.items():
        n, by = seed.spotting, seed.chance
        lines.append(
            f"  seed {number}: TP {n.tp}, FP {n.fp}, FN {n.fn}; by chance TP {by.tp:.1f}, F1 {by.f1:.4f}, "
            f"p {by.p:.3f}; {seed.fp_per_minute:.2f} false alarms a minute"
        )
    return "\n".join(lines)
