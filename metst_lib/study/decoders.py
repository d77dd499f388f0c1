"""The decoders held against the paper's, on the study's curves (synthetic) and on other people's real ones.

A table of row × decoder, and the sentence that it allows: a rule is adopted beside the paper's only if it
gains on both. What decides is one line a source: of the study the mean over its rows, replicates as units; of
real curves the subjects of both sets of micro-expressions together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metst_lib import inference
from metst_lib._files import write_text
from metst_lib.events import Key
from metst_lib.evidence.authors import K
from metst_lib.evidence.findings import Study
from metst_lib.evidence.pack import Pack
from metst_lib.evidence.scorefile import bare
from metst_lib.metrics import Scores
from metst_lib.spotting import Rule
from metst_lib.study.decoding import DECODERS, PAPER, Curves, Decoder

NAME = "decoders.csv"
STUDY, REAL = "study", "real"
#: How texts call the two sources, and the line of each that decides.
SOURCES = {STUDY: "the synthetic study", REAL: "real micro-expression curves"}
DECIDES = {STUDY: "all rows", REAL: "both ME sets"}
GAINS, LOSES, OPEN, NONE = "gains", "loses", "no difference seen", "not measured"


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder gives on curves of one name: scores of each replicate's seeds, average precision."""

    source: str
    kind: str
    scores: list[list[Scores]]
    ap: float
    minutes: float
    difficulty: str = ""

    @property
    def counts(self) -> list[float]:
        """TP, FP, FN: sums over replicates of the means over seeds."""
        return [
            sum(sum(getattr(run.spotting, part) for run in seeds) / len(seeds) for seeds in self.scores)
            for part in ("tp", "fp", "fn")
        ]


def decoded(replicates: Sequence[Curves], decoder: Decoder) -> Decoded | None:
    """A decoder on the curves of one name, a record a replicate; None where it wants more seeds than there
    are. The mean curve's one score stands for each of its seeds."""
    if decoder.averaged and any(len(one.seeds) < 2 for one in replicates):
        return None
    scores, precisions = [], []
    for one in replicates:
        readings = [one.average] if decoder.averaged else one.readings
        runs = [reading.decoded(decoder) for reading in readings]
        scores.append([run for run, _ in runs] * (len(one.seeds) if decoder.averaged else 1))
        precisions += [ap for _, ap in runs]
    minutes, ap = sum(one.minutes for one in replicates), sum(precisions) / len(precisions)
    first = replicates[0]
    return Decoded(first.source, first.rule.kind, scores, ap, minutes, first.difficulty)


def table(named: Iterable[Sequence[Curves]]) -> pd.DataFrame:
    """A line for each name and decoder, and for each source's `DECIDES`: F1 with its interval, average
    precision, false positives a minute, and the paired difference of F1 to the paper's rule.

    named: the curves of one name at a time, all replicates of it. ValueError as `inference.paired`.
    """
    found: dict[str, dict[str, Decoded]] = {}
    for replicates in named:
        every = {name: decoded(replicates, decoder) for name, decoder in DECODERS.items()}
        found[replicates[0].name] = {name: one for name, one in every.items() if one}
    lines = [_line(name, False, decoder, by) for name, by in found.items() for decoder in by]
    for source, name in DECIDES.items():
        parts = [by for by in found.values() if by[PAPER].source == source and by[PAPER].kind == "micro"]
        for decoder in DECODERS:
            there = [by for by in parts if decoder in by]
            if there:
                both = {of: pooled([by[of] for by in there]) for of in (PAPER, decoder)}
                lines.append(_line(name, True, decoder, both))
    return pd.DataFrame(lines)


def pooled(parts: Sequence[Decoded]) -> Decoded:
    """Several names as one: of the study as if they were seeds of each replicate, of real sets all subjects
    in one list. ValueError where names of the study have different replicates."""
    minutes, kind = sum(one.minutes for one in parts), parts[0].kind
    if parts[0].source == REAL:
        together = {
            f"{i} {who}": of for i, one in enumerate(parts) for who, of in one.scores[0][0].by_subject.items()
        }
        return Decoded(REAL, kind, [[Scores("strict", together)]], math.nan, minutes)
    if len({len(one.scores) for one in parts}) > 1:
        raise ValueError("rows of the study have different replicates: they are not pooled")
    scores = [[run for one in parts for run in one.scores[r]] for r in range(len(parts[0].scores))]
    ap = sum(one.ap for one in parts) / len(parts)
    return Decoded(STUDY, kind, scores, ap, minutes / len(parts), parts[0].difficulty)


def _line(name: str, decides: bool, decoder: str, by: Mapping[str, Decoded]) -> dict:
    one, paper = by[decoder], by[PAPER]
    line = {"source": one.source, "curves": name, "kind": one.kind, "decides": decides, "decoder": decoder}
    line |= {"difficulty": one.difficulty, "replicates": len(one.scores), "runs": len(one.scores[0])}
    line["subjects"] = sum(len(seeds[0].by_subject) for seeds in one.scores)
    line |= dict(zip(("tp", "fp", "fn"), one.counts, strict=True))
    line |= _interval("f1", inference.interval_of(one.scores, "spotting.f1"))
    line |= {"ap": one.ap, "fp_per_minute": line["fp"] / one.minutes}
    if decoder == PAPER:
        return line
    found = inference.paired(one.scores, paper.scores)
    return line | _interval("difference", found) | {"p": found.p}


def _interval(name: str, found: inference.Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


# --- where curves come from -----------------------------------------------------------------------------


def real(pack: Pack) -> Iterator[list[Curves]]:
    """SL-Swin's curves, k its own as chapter 9 has it; each subject is a group. Sets that the pack lacks are
    left out."""
    for of in K:
        if of in pack.scores:
            study = Study(pack, *of)
            seen = {key: bare(curve) for key, curve in study.curves.items()}
            minutes = sum(pack.n_frames[study.dataset][key] for key in seen) / pack.fps[study.dataset] / 60
            rule = Rule(study.kind, half_width=study.k, result_synergy=False)
            yield [Curves(study.name, REAL, rule, (seen,), study.truth, _alone(seen), minutes)]


def _alone(keys: Iterable[Key]) -> dict[str, str]:
    return {subject: subject for subject, _ in keys}


def study_rows() -> list[str]:
    """The rows whose curves are compared: those trained on their own, with more than one seed."""
    from metst_lib.study import edition, rows

    own = (name for name, row in rows.ROWS.items() if not row.control and not row.what.trained_as)
    return [name for name in own if rows.recipe(name).training and len(edition.seeds(name)) > 1]


def synthetic(root: Path, names: Iterable[str], numbers: Sequence[int]) -> Iterator[list[Curves]]:
    """The study's curves on this machine, row by row, of the replicates of these numbers.

    FileNotFoundError naming the first run of a row that is not there, or not made of today's settings.
    """
    from metst_lib.study import edition, rows
    from metst_lib.synthetic import replicates

    for name in names:
        rule, made = rows.recipe(name).rule, []
        for number in numbers:
            drawn = replicates.replicate(number)
            seeds = tuple(edition.curves(root, (number, name, seed)) for seed in edition.seeds(name))
            truth = {key: [e for e in of if e.kind == rule.kind] for key, of in drawn.truth.items()}
            groups = {who: str(i) for i, group in enumerate(drawn.groups) for who in group}
            minutes = sum(video.n_frames / video.fps for video in drawn.videos) / 60
            key = edition.identity((number, name, 0))["difficulty"]
            made.append(Curves(name, STUDY, rule, seeds, truth, groups, minutes, key))
        yield made


# --- what may be said -----------------------------------------------------------------------------------


def gains(made: pd.DataFrame) -> pd.DataFrame:
    """For each decoder but the paper's, by source: gains, loses, no difference seen, or not measured. A
    rule is adopted where both say "gains"."""
    lines = {
        (row.source, row.decoder): row for row in made[made["decides"]].itertuples() if row.decoder != PAPER
    }
    said = {
        decoder: {source: words(lines.get((source, decoder))) for source in SOURCES}
        for decoder in DECODERS
        if decoder != PAPER
    }
    found = pd.DataFrame(said).T.rename_axis("decoder")
    return found.assign(adopted=(found == GAINS).all(axis=1))


def words(row: object) -> str:
    """What a line's interval allows."""
    if row is None:
        return NONE
    return OPEN if row.difference_low <= 0 <= row.difference_high else GAINS if row.difference > 0 else LOSES


def verdict(made: pd.DataFrame) -> str:
    """The decision in sentences."""
    found = gains(made)
    if lacking := [SOURCES[source] for source in SOURCES if (found[source] == NONE).all()]:
        return f"Nothing is decided: there are no numbers of {' or of '.join(lacking)}."
    said = []
    for decoder in found.index[found["adopted"]]:
        both = " and ".join(f"{_told(made, decoder, source)} on {SOURCES[source]}" for source in SOURCES)
        macro = made[(made["decoder"] == decoder) & (made["kind"] == "macro")].itertuples()
        harmed = [f"{row.curves} {_shown(row)}" for row in macro if words(row) == LOSES]
        but = f"; not for macro-expressions, where it loses ({'; '.join(harmed)})" if harmed else ""
        said.append(f"Adopted beside the paper's rule: {decoder}, which gains {both}{but}.")
    if not said:
        said.append(
            f"No rule gains on both {SOURCES[STUDY]} and {SOURCES[REAL]}: the paper's stays the only one."
        )
    for what in (GAINS, LOSES):
        for source, title in SOURCES.items():
            names = found.index[(found[source] == what) & ~found["adopted"]]
            if len(names):
                each = "; ".join(f"{name} {_told(made, name, source)}" for name in names)
                said.append(
                    f"On {title} alone {what}: {each}." if what == GAINS else f"On {title} loses: {each}."
                )
    return " ".join(said)


def _told(made: pd.DataFrame, decoder: str, source: str) -> str:
    lines = made[made["decides"] & (made["decoder"] == decoder) & (made["source"] == source)]
    return _shown(next(lines.itertuples()))


def _shown(row: object) -> str:
    return f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"


# --- the committed table --------------------------------------------------------------------------------


def read(folder: Path) -> pd.DataFrame | None:
    """The committed table of a folder; None where there is none."""
    path = Path(folder) / NAME
    return pd.read_csv(path, dtype={"difficulty": str}) if path.is_file() else None


def make(
    root: Path, folder: Path, pack: Pack | None, numbers: Sequence[int], names: Sequence[str] = ()
) -> str:
    """Compare on what is at hand, the study's runs and the pack's, write the table, return the verdict.

    names: rows of the study, () for `study_rows`. FileNotFoundError where there is neither; as `synthetic`.
    """
    from metst_lib.study import edition

    there = edition.folder(root).is_dir()
    if not (there or pack):
        raise FileNotFoundError(f"no curves: neither runs at {edition.folder(root)} nor a pack of real ones")
    named = synthetic(root, names or study_rows(), numbers) if there else ()
    made = table([*named, *(real(pack) if pack else ())])
    return verdict(write(folder, made))


def write(folder: Path, new: pd.DataFrame) -> pd.DataFrame:
    """Put the lines into the folder's table, as .csv and .md. Lines of a source that `new` lacks stay: real
    curves and the study's are rarely on one machine. Returns the whole table."""
    old, order = read(folder), list(SOURCES)
    parts = [new] if old is None else [new, old[~old["source"].isin(set(new["source"]))]]
    made = pd.concat([part for part in parts if len(part)], ignore_index=True)
    made = made.sort_values("source", key=lambda of: of.map(order.index), kind="stable").round(6)
    write_text(Path(folder) / NAME, made.to_csv(index=False, lineterminator="\n"))
    write_text((Path(folder) / NAME).with_suffix(".md"), page(made))
    return read(folder)


def page(made: pd.DataFrame) -> str:
    """The table as it is read, with what may be said."""
    rows = [
        {
            "Curves": f"{row.curves} ({'synthetic study' if row.source == STUDY else 'real'})",
            "Decoder": row.decoder,
            "TP/FP/FN": f"{row.tp:.0f}/{row.fp:.0f}/{row.fn:.0f}",
            "F1": f"{row.f1:.3f} [{row.f1_low:.3f}, {row.f1_high:.3f}]",
            "AP": "" if math.isnan(row.ap) else f"{row.ap:.3f}",
            "FP a minute": f"{row.fp_per_minute:.2f}",
            "F1 less that of the paper's rule": "" if row.decoder == PAPER else _shown(row),
        }
        for row in made.itertuples()
    ]
    notes = (
        "Spotting F1 of the strict scorer, 95 % intervals. What is chosen is chosen on the other groups of "
        "subjects. Prominence .5 was first seen on these real curves: for it only the study is new. Real "
        "curves are SL-Swin's, of videos with a label of the kind; k_p is SL-Swin's own there.",
        verdict(made),
    )
    shown = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return shown + "\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"
