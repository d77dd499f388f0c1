"""Toy replicates, and the names of the rows that a toy study has."""

from dataclasses import dataclass
from functools import cached_property

import toys

from metst_lib.events import Video

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
