"""Displacement fields on a face: sums of Gaussian bumps, laid by its landmarks.

Two tables beside this module say where the bumps of a move lie: `action_units.csv` (what the face does) and
`warps.csv` (how one subject's shape differs from another's). Lengths are in g, half the distance of the inner
eye corners. A displacement is told where it is seen: the image shows at y what rests at y − displacement(y).

Glossary: K bumps; left and right are those of the image; x counts outwards from the midline, y down.
"""

import csv
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """One bump of a move: its centre is the mean of landmarks plus (x, y), its peak (dx, dy), its σ width.

    where: "left" for landmarks of the image's left half, mirrored for the right; "middle" on the midline,
    without sides. limit: how far a subject may differ from the base face (warps alone).
    """

    where: str
    landmarks: list[int]
    x: float
    y: float
    dx: float
    dy: float
    width: float
    limit: float = 1.0


def _moves(table: str) -> dict[str, list[Part]]:
    """Each move of a table with its bumps, in the order of the rows."""
    moves: dict[str, list[Part]] = {}
    with (files(__package__) / table).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            numbers = {name: float(row[name]) for name in Part._fields[2:] if name in row}
            part = Part(row["where"], [int(i) for i in row["landmarks"].split()], **numbers)
            moves.setdefault(row["move"], []).append(part)
    return moves


ACTION_UNITS = {int(unit): parts for unit, parts in _moves("action_units.csv").items()}
WARPS = _moves("warps.csv")

#: Number of the landmark that takes a landmark's place in the mirrored image.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip


class Bumps:
    """A sum of K Gaussian displacements: centres (K, 2), peaks (K, 2) and widths σ (K,) in image px."""

    def __init__(self, centres: np.ndarray, peaks: np.ndarray, widths: np.ndarray) -> None:
        self.centres = np.asarray(centres, np.float64).reshape(-1, 2)
        self.peaks = np.asarray(peaks, np.float64).reshape(-1, 2)
        self.widths = np.asarray(widths, np.float64).reshape(-1)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Displacement at points (..., 2)."""
        offsets = points[..., None, :] - self.centres
        weights = np.exp(-0.5 * (offsets**2).sum(-1) / self.widths**2)
        return weights @ self.peaks

    def grid(self, at: np.ndarray) -> np.ndarray:
        """Displacement where rows and columns are those of `at` (n,): (n, n, 2). Separable, hence quick."""
        across = np.exp(-0.5 * ((at[None] - self.centres[:, :1]) / self.widths[:, None]) ** 2)  # (K, n)
        down = np.exp(-0.5 * ((at[None] - self.centres[:, 1:]) / self.widths[:, None]) ** 2)
        return np.einsum("kj,ki,kc->jic", down, across, self.peaks, optimize=True)

    def scaled(self, factor: float) -> "Bumps":
        """The same field, `factor` times as strong."""
        return Bumps(self.centres, self.peaks * factor, self.widths)

    @classmethod
    def sum(cls, fields: Iterable["Bumps"]) -> "Bumps":
        """The fields one on another; none of them moves nothing."""
        parts = [(field.centres, field.peaks, field.widths) for field in fields]
        return cls(*map(np.concatenate, zip(*parts, strict=True))) if parts else cls([], [], [])


#: A displacement field: points (..., 2) → displacement there (..., 2).
Displacement = Callable[[np.ndarray], np.ndarray]


def followed(points: np.ndarray, displacement: Displacement) -> np.ndarray:
    """Where source points (..., 2) are seen if the image at y shows the source at y − displacement(y)."""
    seen = points
    for _ in range(12):  # a contraction: the fields' gradients stay well below 1
        seen = points + displacement(seen)
    return seen


def laid(
    parts: Iterable[tuple[Part, float]], landmarks: np.ndarray, g: float, left: float = 1, right: float = 1
) -> Bumps:
    """Bumps, each with its amount in g, as a field on a face; left and right: strength of its halves."""
    centres, peaks, widths = [], [], []
    sides = {"left": ((-1, landmarks, left), (1, landmarks[MIRROR], right)), "middle": ((0, landmarks, 1.0),)}
    for part, amount in parts:
        for outwards, marks, strength in sides[part.where]:
            if strength:
                offset = np.array([outwards * part.x, part.y])
                centres.append(marks[part.landmarks].mean(0) + offset * g)
                peaks.append(np.array([outwards * part.dx, part.dy]) * amount * strength * g)
                widths.append(part.width * g)
    return Bumps(np.array(centres), np.array(peaks), np.array(widths))
