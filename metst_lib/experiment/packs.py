"""A pack: what may travel of a finished run, in one JSON file (`sharing` makes and compares them).

It holds counts of every video and subject, statistics, chance and provenance; no frame, curve, landmark,
event, path or name. Subjects are numbered 1…S in the natural order of their owners' names, videos 1…V within
their subject, both among those that are counted. No array is longer than the list of videos. The hash of a
pack is of its content: it tells that a file was changed, not by whom it was made.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from metst_lib import inference, metrics
from metst_lib._files import digest, read_json
from metst_lib.events import EMOTIONS
from metst_lib.experiment import records

#: Version of the packs that are written, and the only one that is read.
FORMAT = 1

Count = Annotated[int, Field(ge=0)]
#: The cells of a confusion matrix that are not 0: true emotion → predicted one → how many.
Cells = dict[Literal[EMOTIONS], dict[Literal[metrics.COLUMNS], Count]]


@dataclass(frozen=True)
class OfVideo:
    """Counts of one video; intervals: how many were predicted."""

    subject: int
    video: int
    seconds: float
    spotting: metrics.Counts
    intervals: Count


@dataclass(frozen=True)
class OfSubject:
    """Counts of one subject, confusion of its spotted events; half_width: k_p of the fold, in frames."""

    subject: int
    videos: Count
    spotting: metrics.Counts
    intervals: Count
    half_width: int
    confusion: Cells

    def scores(self) -> metrics.SubjectScores:
        """The counts as the scorer gives them."""
        rows = (self.confusion.get(true, {}) for true in EMOTIONS)
        confusion = tuple(tuple(row.get(name, 0) for name in metrics.COLUMNS) for row in rows)
        return metrics.SubjectScores(self.spotting, confusion)


@dataclass(frozen=True)
class ByChance:
    """`metrics.chance`: hits and F1 by chance, and how often chance reaches what was observed."""

    tp: float
    f1: float
    p: float


@dataclass(frozen=True)
class Medians:
    """Medians over all events; lengths in frames after `frame_step`. None where there is nothing."""

    predicted_length: float | None
    true_length: float | None
    iou_of_hits: float | None


@dataclass(frozen=True)
class OfSeed:
    """One run. made_with: the distinct `provenance.surroundings` of its folds; made: a digest of all that
    went into them and of what they predicted."""

    spotting: metrics.Counts
    chance: ByChance
    fp_per_minute: float
    medians: Medians
    by_subject: list[OfSubject]
    by_video: list[OfVideo]
    made_with: list[dict[str, Any]] = field(default_factory=list)
    made: str = ""


@dataclass(frozen=True, kw_only=True)
class Pack:
    """What is shared of a variant, its seeds by number.

    counted: which videos count, by the loader's name. measures: values and intervals over all seeds.
    inputs: hashes of the owners' tables, digests of labels and flow. packed_with: code and packages.
    """

    format: Literal[FORMAT] = FORMAT
    hash: str = ""
    dataset: str
    title: str
    synthetic: bool
    variant: str
    method: str
    preset: str
    kind: str
    scorer: str
    counted: str
    minutes: float
    measures: dict[str, inference.Interval]
    seeds: dict[int, OfSeed]
    settings: dict[str, Any]
    inputs: dict[str, str]
    packed_with: dict[str, Any]

    def scores(self) -> list[metrics.Scores]:
        """The scores of each seed, from the counts of the subjects; without matches."""
        return [
            metrics.Scores(self.scorer, {str(one.subject): one.scores() for one in seed.by_subject})
            for seed in self.seeds.values()
        ]

    def videos(self) -> list[tuple[Any, ...]]:
        """What packs of the same videos share: places, lengths and numbers of true events."""
        first = next(iter(self.seeds.values())).by_video
        return [(v.subject, v.video, v.seconds, v.spotting.tp + v.spotting.fn) for v in first]


_PACK = TypeAdapter(Pack)


def sealed(pack: Pack) -> Pack:
    """A pack as it will be read back, with the hash of its content."""
    content = json.loads(_PACK.dump_json(pack))
    return _PACK.validate_python(content | {"hash": _hash(content)})


def write(path: Path, pack: Pack) -> Path:
    """Write a sealed pack, whole or not at all."""
    return records.write(path, pack)


def read(path: Path) -> Pack:
    """Read a pack.

    FileNotFoundError where there is none; ValueError where the file is damaged, no pack, of another format,
    was changed since it was packed, or says one thing twice and differently.
    """
    content = read_json(path)
    if content.get("format") != FORMAT:
        of = f"a pack of format {content['format']}" if "format" in content else "no pack: it has no format"
        raise ValueError(f"{path} is {of}; format {FORMAT} is read")
    if content.get("hash") != _hash(content):
        raise ValueError(
            f"{path} was changed since it was packed: it names the hash {content.get('hash')}, but what it "
            f"holds has the hash {_hash(content)}"
        )
    pack = records.read(path, Pack)
    if pack is None or not pack.seeds:
        raise ValueError(f"{path} is no whole pack: entries are missing or of another form")
    if odd := _contradiction(pack):
        raise ValueError(f"{path} contradicts itself: {odd}")
    return pack


def _contradiction(pack: Pack) -> str:
    for number, seed in pack.seeds.items():
        if len({one.subject for one in seed.by_subject}) < len(seed.by_subject):
            return f"a subject occurs twice, seed {number}"
        if sum((one.spotting for one in seed.by_subject), metrics.Counts()) != seed.spotting:
            return f"the counts of seed {number} are not those of its subjects"
        for one in seed.by_subject:
            own = [video.spotting for video in seed.by_video if video.subject == one.subject]
            if sum(own, metrics.Counts()) != one.spotting:
                return f"the counts of subject {one.subject}, seed {number}, are not those of its videos"
    for name, told in pack.measures.items():
        counted = np.mean([scores.measure(name) for scores in pack.scores()])
        if abs(told.value - counted) > 1e-9:
            return f"{name} is said to be {told.value:.4f}, the counts give {counted:.4f}"
    return ""


def _hash(content: Mapping[str, Any]) -> str:
    return digest({name: value for name, value in content.items() if name != "hash"})
