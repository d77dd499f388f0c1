"""Random numbers that are the same on every machine."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Draws:
    """Random numbers that are the same on every machine: raw PCG64 words and basic arithmetic."""

    def __init__(self, seed: int, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))

    def unit(self) -> float:
        """Uniform in [0, 1), a multiple of 2⁻⁵³."""
        return (self._bits.random_raw() >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        """Uniform between low and high, to four decimals."""
        return round(low + (high - low) * self.unit(), 4)

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + ((self._bits.random_raw() >> 11) * (high - low + 1) >> 53)

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.whole(0, len(options) - 1)]

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        """The options in random order (Fisher and Yates)."""
        order = list(options)
        for i in range(len(order) - 1, 0, -1):
            j = self.whole(0, i)
            order[i], order[j] = order[j], order[i]
        return order

    def rounded(self, expected: float) -> int:
        """One of the two whole numbers around `expected`, such that the mean is `expected`."""
        return int(expected + self.unit())
