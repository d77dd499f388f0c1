"""From matches to numbers: counts of each subject, spotting and recognition scores, STRS (Sec. IV-A)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from metst_lib.events import EMOTIONS, Event, Key, named
from metst_lib.metrics.matching import SCORERS, match_events

#: The classes recognition is scored on: negative, positive, surprise.
SCORED = EMOTIONS[:3]
#: Columns of a confusion matrix: the predicted class; "none" where a prediction names no emotion.
COLUMNS = (*EMOTIONS, "none")
#: Which classes the means over classes hold, by name.
MEANS = {
    "all": "always the three: one with nothing true and nothing predicted counts as 0",
    "present": "as the authors' code: a class with nothing true and nothing predicted is left out",
}
#: What `inference` gives an interval for.
MEASURES = (
    "spotting.precision",
    "spotting.recall",
    "spotting.f1",
    "recognition.precision",
    "recognition.recall",
    "recognition.f1",
    "recognition.uf1",
    "recognition.uar",
    "strs",
)

Confusion = tuple[tuple[int, ...], ...]


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b), the F1-score of a precision and a recall; 0 where both are 0."""
    return 2 * a * b / (a + b) if a + b else 0.0


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, and the ratios made of them."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        """TP / (TP + FP); 0 where nothing is predicted."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); 0 where nothing is true."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 where nothing is predicted and nothing is true."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


@dataclass(frozen=True)
class Recognition:
    """Recognition on spotting true positives, from their confusion matrix.

    confusion: counts (4 true classes, 5 predicted: `COLUMNS`), rows in the order of `events.EMOTIONS`. The
    row "others" is kept for figures and enters no score. means: a name in `MEANS`.

    ValueError for an unknown one.
    """

    confusion: Confusion
    means: str = "all"

    def __post_init__(self) -> None:
        if self.means not in MEANS:
            raise ValueError(f"unknown means {self.means!r}; known: {', '.join(MEANS)}")

    @cached_property
    def by_class(self) -> dict[str, Counts]:
        """TP, FP and FN of each scored class; FP and FN among spotted MEs of the three scored classes."""
        scored = np.array(self.confusion)[: len(SCORED)]
        return {
            name: Counts(
                int(scored[c, c]), int(scored[:, c].sum() - scored[c, c]), int(scored[c].sum() - scored[c, c])
            )
            for c, name in enumerate(SCORED)
        }

    @property
    def total(self) -> int:
        """Spotted MEs whose true class is scored."""
        return int(np.sum(self.confusion[: len(SCORED)]))

    @property
    def tp(self) -> int:
        return sum(counts.tp for counts in self.by_class.values())

    @property
    def fp(self) -> int:
        return sum(counts.fp for counts in self.by_class.values())

    @property
    def fn(self) -> int:
        return sum(counts.fn for counts in self.by_class.values())

    @property
    def precision(self) -> float:
        """Macro precision: the mean over the classes (`means`)."""
        return self._mean("precision")

    @property
    def recall(self) -> float:
        """Macro recall: the mean over the classes."""
        return self._mean("recall")

    @property
    def f1(self) -> float:
        """Harmonic mean of macro precision and macro recall, the F1 of Tables III and IV."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def uf1(self) -> float:
        """Unweighted F1 (Eq. 6): the mean of the classes' F1."""
        return self._mean("f1")

    @property
    def uar(self) -> float:
        """Unweighted average recall (Eq. 5): the same number as `recall`, as Table II's is Table IV's."""
        return self.recall

    @property
    def absent(self) -> tuple[str, ...]:
        """Scored classes with nothing true and nothing predicted.

        What becomes of them moves every mean (`MEANS`), so say it beside the number where this is not empty.
        """
        return tuple(name for name, counts in self.by_class.items() if counts == Counts())

    def _mean(self, ratio: str) -> float:
        left_out = self.absent if self.means == "present" else ()
        counted = [getattr(counts, ratio) for name, counts in self.by_class.items() if name not in left_out]
        return sum(counted) / len(counted) if counted else 0.0


@dataclass(frozen=True)
class Match:
    """A true positive of the spotting: which prediction hit which truth.

    prediction and truth are indices into the lists given to `evaluate`; predicted and true the events.
    """

    video: Key
    prediction: int
    truth: int
    predicted: Event
    true: Event
    iou: float


@dataclass(frozen=True)
class SubjectScores:
    """Counts of one subject: spotting, and the confusion matrix (4 × 5) of its spotted MEs."""

    spotting: Counts
    confusion: Confusion


@dataclass(frozen=True)
class Scores:
    """What one scorer makes of a set of predictions. Everything derives from the counts of each subject."""

    scorer: str
    by_subject: dict[str, SubjectScores]
    matches: tuple[Match, ...] = field(default=(), repr=False)

    @cached_property
    def spotting(self) -> Counts:
        """Spotting counts pooled over all subjects, with .precision, .recall and .f1."""
        return sum((subject.spotting for subject in self.by_subject.values()), Counts())

    @cached_property
    def recognition(self) -> Recognition:
        """Recognition of the spotted MEs: .total .tp .fp .fn .precision .recall .f1 .uf1 .uar .absent."""
        means = "present" if self.scorer == "released" else "all"
        return Recognition(_add(subject.confusion for subject in self.by_subject.values()), means)

    @property
    def strs(self) -> float:
        """Spot-then-recognise score (Eq. 7): spotting F1 × recognition F1."""
        return self.spotting.f1 * self.recognition.f1

    def measure(self, name: str) -> float:
        """One of `MEASURES` by its dotted name, e.g. "recognition.uf1"."""
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}; known: {', '.join(MEASURES)}")
        value = self
        for part in name.split("."):
            value = getattr(value, part)
        return value


def evaluate(
    predicted: Mapping[Key, Sequence[Event]],
    truth: Mapping[Key, Sequence[Event]],
    scorer: str = "strict",
    kind: str = "micro",
) -> Scores:
    """Score the predicted events of videos against the true ones.

    predicted, truth: (subject, video) → events, with a key for every video, an empty list where there is
    nothing. scorer: one of `SCORERS`. kind: "micro" or "macro", of which every event has to be; "overall"
    takes both, holds each against truths of its own kind and adds the counts. Events without an emotion
    enter no recognition. The lengths of the videos are not known here: a prediction beyond a video's end is
    simply a false positive.

    Raises ValueError naming the video where a key is missing on either side, a key is not (subject, video),
    or an event is of another kind; and for an unknown scorer or kind.
    """
    kinds = kinds_of(kind)
    if scorer not in SCORERS:
        raise ValueError(f"unknown scorer {scorer!r}; known: {', '.join(SCORERS)}")
    check_events(predicted, truth, kind)
    tallies = {subject: Counts() for subject, _ in truth}
    matches: list[Match] = []
    for one in kinds:
        predicting = {key[0] for key, events in predicted.items() if _of(one, events)}
        for key in truth:
            if scorer == "megc2024" and not (_of(one, truth[key]) and key[0] in predicting):
                continue
            found = _matches(key, predicted[key], truth[key], scorer, one)
            n_predicted, n_true = len(_of(one, predicted[key])), len(_of(one, truth[key]))
            hit, met = {match.prediction for match in found}, {match.truth for match in found}
            tallies[key[0]] += Counts(len(found), n_predicted - len(hit), n_true - len(met))
            matches += found
    by_subject = {
        subject: SubjectScores(counts, _confusion(m for m in matches if m.video[0] == subject))
        for subject, counts in sorted(tallies.items())
    }
    return Scores(scorer, by_subject, tuple(sorted(matches, key=_match_order)))


def kinds_of(kind: str) -> tuple[str, ...]:
    """The kinds of event that are scored for "micro", "macro" or "overall"; ValueError for another."""
    kinds = {"micro": ("micro",), "macro": ("macro",), "overall": ("micro", "macro")}.get(kind)
    if kinds is None:
        raise ValueError(f"unknown kind {kind!r} to score; known: micro, macro, overall")
    return kinds


def check_videos(predicted: Mapping[Key, Sequence], truth: Mapping[Key, Sequence]) -> None:
    """ValueError naming a video that is missing on either side, or a key that is not (subject, video)."""
    for side, other, what in ((predicted, truth, "truth"), (truth, predicted, "prediction")):
        for key in side:
            if not (isinstance(key, tuple) and len(key) == 2):
                raise ValueError(f"{key!r} is not a (subject, video)")
            if key not in other:
                raise ValueError(f"video {named(key)} has no {what}: give an empty list if there is none")


def check_events(
    predicted: Mapping[Key, Sequence[Event]], truth: Mapping[Key, Sequence[Event]], kind: str
) -> None:
    """As `check_videos`, and ValueError naming the video of an event of a kind that is not scored."""
    check_videos(predicted, truth)
    for side in (predicted, truth):
        for key, events in side.items():
            _only(kinds_of(kind), key, events)


def of_kind(kind: str, events: Sequence[Event]) -> list[Event]:
    """The events of a kind."""
    return [event for event in events if event.kind == kind]


def _of(kind: str, events: Sequence[Event]) -> list[int]:
    """Indices of the events of a kind."""
    return [i for i, event in enumerate(events) if event.kind == kind]


def _matches(
    key: Key, predicted: Sequence[Event], truth: Sequence[Event], scorer: str, kind: str
) -> list[Match]:
    """The true positives of one kind in one video."""
    p, t = _of(kind, predicted), _of(kind, truth)
    pairs = match_events([predicted[i] for i in p], [truth[j] for j in t], scorer)
    return [Match(key, p[i], t[j], predicted[p[i]], truth[t[j]], overlap) for i, j, overlap in pairs]


def _confusion(matches: Iterable[Match]) -> Confusion:
    """Counts (4 true classes, 5 predicted) of the matches whose true event has an emotion."""
    counts = np.zeros((len(EMOTIONS), len(COLUMNS)), dtype=np.int64)
    for match in matches:
        if match.true.emotion is not None:
            counts[EMOTIONS.index(match.true.emotion), COLUMNS.index(match.predicted.emotion or "none")] += 1
    return tuple(map(tuple, counts.tolist()))


def pool(folds: Iterable[Scores]) -> Scores:
    """The scores of several folds as one: what `evaluate` gives for the union of their videos.

    Raises ValueError where there is no fold, scorers differ, or a subject appears twice.
    """
    folds = list(folds)
    if not folds:
        raise ValueError("no folds to pool")
    if len({fold.scorer for fold in folds}) > 1:
        raise ValueError(f"folds of different scorers: {', '.join(sorted({fold.scorer for fold in folds}))}")
    by_subject: dict[str, SubjectScores] = {}
    for fold in folds:
        for subject, part in fold.by_subject.items():
            if subject in by_subject:
                raise ValueError(f"subject {subject} appears in two folds")
            by_subject[subject] = part
    matches = sorted((match for fold in folds for match in fold.matches), key=_match_order)
    return Scores(folds[0].scorer, dict(sorted(by_subject.items())), tuple(matches))


def _ratio(a: int, b: int) -> float:
    return a / b if b else 0.0


def _add(confusions: Iterable[Confusion]) -> Confusion:
    start = np.zeros((len(EMOTIONS), len(COLUMNS)), dtype=np.int64)
    return tuple(map(tuple, sum(map(np.array, confusions), start).tolist()))


def _match_order(match: Match) -> tuple:
    return match.video, match.true.onset, match.truth, match.prediction


def _only(kinds: Sequence[str], key: Key, events: Sequence[Event]) -> None:
    for event in events:
        if event.kind not in kinds:
            raise ValueError(
                f"video {named(key)} holds a {event.kind} event ({event.onset}…{event.offset}); "
                f"only {'- and '.join(kinds)}-expressions are scored"
            )
