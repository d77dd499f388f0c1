"""What a replay of the authors' weights found, counted as they count and as we do, beside the paper.

Paper, Tables I–IV. Glossary: k_p half the mean length of a micro-expression, in frames.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from metst_lib import metrics
from metst_lib._files import write_text
from metst_lib.events import Event, Key
from metst_lib.metrics import Counts, Recognition, Scores, SubjectScores
from metst_lib.released import clone
from metst_lib.spotting import Candidate

#: What cannot be, or is not, replayed, and why: under "every", and under the data set it is true of.
NOTES = tomllib.loads((resources.files(__package__) / "notes.toml").read_text("utf-8"))


class Strategy(NamedTuple):
    """How the recogniser's votes are read.

    neutral: its logit, "learned" or "zero". five: it takes part in the vote. drops: where it wins, the
    interval goes. synergy: the rows of Table IV that this may stand behind, by their result-level synergy.
    """

    neutral: str
    five: bool
    drops: bool
    synergy: str


#: By the numbers in the authors' code, which trains anew for 0; here all read the votes of the same weights.
STRATEGIES = {
    "0": Strategy("learned", True, False, ""),
    "1, neutral as learned": Strategy("learned", True, True, "yes"),
    "1, neutral zeroed": Strategy("zero", True, True, "yes"),
    "2": Strategy("learned", False, False, "no"),
}
#: The measures of Tables I–III: ours, number and column of the published table; * is the data set's name.
MEASURES = {
    "spotting F1 (I, III)": ("spotting.f1", 3, "*_spotting_f1"),
    "recognition F1 (III)": ("recognition.f1", 3, "*_recognition_f1"),
    "UF1 (II)": ("recognition.uf1", 2, "uf1"),
    "UAR (II)": ("recognition.uar", 2, "uar"),
    "STRS (III)": ("strs", 3, "*_strs"),
}
#: Gives the paper's table of a number.
Published = Callable[[int], pd.DataFrame]


@dataclass(frozen=True)
class Replayed:
    """What the authors' weights of one network find on one data set.

    network: name of the weights' spelling. half_width: k_p, of all subjects. subjects: those that were
    replayed, of so many in the tables. scores: by (stitching, strategy, scorer). missing: what and why.
    """

    dataset: str
    network: str
    half_width: int
    subjects: tuple[str, ...]
    of: int
    scores: dict[tuple[str, str, str], Scores]
    missing: pd.DataFrame

    @property
    def notes(self) -> list[str]:
        """What differs from the authors' code, and why."""
        return [*NOTES["every"].values(), *NOTES.get(self.dataset, {}).values()]

    @property
    def rows(self) -> pd.DataFrame:
        """Counts and ratios, one row for each task of each stitching, strategy and scorer, as in Table IV."""
        rows = []
        for how, scores in self._each():
            for task, part in (("spotting", scores.spotting), ("recognition", scores.recognition)):
                total = part.total if task == "recognition" else part.tp + part.fn
                counts = {
                    name: getattr(part, name) for name in ("tp", "fp", "fn", "precision", "recall", "f1")
                }
                rows.append(how | {"task": task, "total": total} | counts | {"strs": scores.strs})
        return pd.DataFrame(rows)

    def table4(self, published: Published) -> pd.DataFrame:
        """`rows`, behind each number the published one (… published), empty where Table IV has none."""
        theirs = published(4)
        wanted = theirs["dataset"] == clone.NAMES[self.dataset].replace("_", "")
        theirs = theirs[wanted & (self.network == "ME-TST+")].drop(columns="dataset")
        theirs = theirs.rename(columns={"result_synergy": "synergy"})
        rows = self.rows
        rows["synergy"] = [STRATEGIES[strategy].synergy for strategy in rows["strategy"]]
        joined = rows.merge(theirs, "left", on=["synergy", "task"], suffixes=("", " published"))
        keys, values = list(rows)[:5], list(rows)[5:-1]
        return joined[keys + [column for name in values for column in (name, f"{name} published")]]

    def tables123(self, published: Published) -> pd.DataFrame:
        """The rows of Tables I–III: first the published one, then one for each way of counting."""
        first: dict[str, object] = {"strategy": "published"}
        for measure, (_, number, column) in MEASURES.items():
            methods = published(number).set_index("method")[column.replace("*", self.dataset)]
            if number == 3 or self.dataset == "casme3":  # Table II has no other set
                first[measure] = methods.get(self.network.split(",")[0])
        rows = [
            how | {measure: scores.measure(name) for measure, (name, _, _) in MEASURES.items()}
            for how, scores in self._each()
        ]
        columns = ["stitching", "strategy", "scorer", "subjects", *MEASURES]
        return pd.DataFrame([first, *rows], columns=columns).astype(dict.fromkeys(MEASURES, float))

    @property
    def by_subject(self) -> pd.DataFrame:
        """Counts of each subject, one row for each stitching, strategy and scorer."""
        rows = []
        for how, scores in self._each():
            for subject, part in scores.by_subject.items():
                spotted, seen = part.spotting, Recognition(part.confusion)
                counts = {"tp": spotted.tp, "fp": spotted.fp, "fn": spotted.fn}
                rows.append(how | {"subjects": subject} | counts | {"recognised": seen.tp, "of": seen.total})
        return pd.DataFrame(rows).rename(columns={"subjects": "subject"})

    def write(self, folder: str | Path, published: Published) -> Path:
        """The tables as CSV in <folder>/<data set>/<network>/, which is returned."""
        folder = place(folder, self.dataset, self.network)
        tables = {"table4": self.table4(published), "tables123": self.tables123(published)}
        for name, table in (tables | {"by_subject": self.by_subject, "missing": self.missing}).items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
        return folder

    def _each(self) -> Iterator[tuple[dict[str, object], Scores]]:
        subjects = f"{len(self.subjects)} of {self.of}"
        for (stitching, strategy, scorer), scores in self.scores.items():
            yield (
                {"stitching": stitching, "strategy": strategy, "scorer": scorer, "subjects": subjects},
                scores,
            )


def place(folder: str | Path, dataset: str, network: str) -> Path:
    """Where a replay of a network on a data set leaves what it made."""
    return Path(folder) / dataset / network.lower().replace("+", "-plus").replace(",", "").replace(" ", "-")


def read(strategy: Strategy, proposed: Sequence[Candidate]) -> list[Event]:
    """Every proposed interval with its emotion, without one where neutral won."""
    emotions = [
        c.emotion if not strategy.five else None if c.dropped else c.vote for c in proposed
    ]  # fmt: skip
    return [Event(c.onset, c.offset, c.peak, emotion) for c, emotion in zip(proposed, emotions, strict=True)]


def counted(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    strategy: Strategy,
    scorer: str,
) -> Scores:
    """Score the intervals of `read`.

    Where neutral drops an interval, the scorer "released" counts as the authors do: all are matched, then
    those without an emotion go, their TP become FN and their FP vanish; a truth that one took stays missed.
    The other scorers never see them.
    """
    if strategy.drops and scorer != "released":
        predicted = {key: [event for event in found if event.emotion] for key, found in predicted.items()}
    scores = metrics.evaluate(predicted, truth, scorer)
    return _without_neutral(scores, predicted) if strategy.drops else scores


def _without_neutral(scores: Scores, predicted: Mapping[Key, Sequence[Event]]) -> Scores:
    by_subject = {}
    for subject, part in scores.by_subject.items():
        neutral = sum(
            e.emotion is None for key, found in predicted.items() if key[0] == subject for e in found
        )
        hits = sum(m.predicted.emotion is None for m in scores.matches if m.video[0] == subject)
        spotted = part.spotting + Counts(-hits, hits - neutral, hits)
        by_subject[subject] = SubjectScores(spotted, tuple((*row[:-1], 0) for row in part.confusion))
    matches = tuple(match for match in scores.matches if match.predicted.emotion)
    return Scores(scores.scorer, by_subject, matches)
