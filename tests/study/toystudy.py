"""Toy replicates, and the names of the rows that a toy study has."""

from dataclasses import dataclass, replace
from functools import cached_property

import toys

from metst_lib.events import Event, Video
from metst_lib.fold import Fold
from metst_lib.spotting import Rule
from metst_lib.study import counts, edition, rows

LEAD, SHARED, PLAIN = "me-tst", "me-tst-no-veto", "flow-magnitude"


@dataclass(frozen=True, eq=False)
class Toy:
    """A replicate of four subjects in two groups, one video of eight seconds each."""

    number: int

    def flow(self, roi_set="5", without=()):
        return toys.toy(4, 1, seed=self.number, channels={"5": 10, "18": 36}[roi_set])[0]

    @cached_property
    def truth(self):
        return toys.toy(4, 1, seed=self.number)[1]

    @cached_property
    def videos(self):
        return tuple(Video(*key, 30.0, 240, tuple(events)) for key, events in self.truth.items())

    groups = (("s0", "s1"), ("s2", "s3"))


def counted(name, shift=0):
    """A run made by hand: of each video's MEs all but `shift` are hit, every second named wrongly."""
    number, row, _ = name
    toy, folds = Toy(number), []
    for group in toy.groups:
        truth = {key: events for key, events in toy.truth.items() if key[0] in group}
        predicted = {}
        for key, events in truth.items():
            kept = events[shift:] if key[0] != "s0" else events[shift + 1 :]
            predicted[key] = [
                replace(e, emotion="negative" if i % 2 else e.emotion) for i, e in enumerate(kept)
            ]
            predicted[key].append(Event(0, 4, emotion="positive"))
        folds.append(Fold(Rule(half_width=5), {}, predicted, truth, None, {"steps": 9}, None))
    lines, chance = counts.lines_of(name, folds, toy.videos)
    about = counts.Run(
        *name,
        **edition.identity(name),
        git="abc123",
        versions="torch 2; python 3.11",
        scan="c",
        device="cpu: none",
        parameters=rows.parameters(row),
        steps=9,
        lr=0.003,
        average_precision=0.5,
        chance_f1=chance.f1,
        fp_per_minute=chance.observed.fp / (32 / 60),
        seconds=60.0,
    )
    return counts.Counted(replace(about, counts=counts.hashed(about.line, lines)), tuple(lines))
