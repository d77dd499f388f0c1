"""The regions of interest whose optical flow the networks read: a table, and its arithmetic on landmarks.

Paper, Sec. III-B: ME-TST reads 5 regions, ME-TST+ 18 "at different granularity". The paper does not list
the 18; the authors' public extraction (github.com/zizheng-guo/ME-TST, July 2025) has these, in this order, as
have the spotting works that the paper cites: three whole regions and fifteen parts of a face, 36 channels.
Margins and q that differ between left and right are theirs and are kept. "Left" is left in the image.

All lengths are pixels of the 320 × 320 face crop; landmarks are the 68 points of the iBUG numbering, from
0, as (x, y). Ranges are half-open: rows top … bottom − 1, columns left … right − 1.

Glossary: C channels = 2 × regions, in the order region 1 x, region 1 y, region 2 x, …; q = fraction of a
region's pixels, those that move most, whose mean flow stands for the region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: Side of the face crop, in pixels.
CROP = 320
#: Landmarks of the inner eye corners.
LEFT_EYE, RIGHT_EYE = 39, 42


class Rect(NamedTuple):
    """A half-open rectangle of whole pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def empty(self) -> bool:
        return self.top >= self.bottom or self.left >= self.right

    def within(self, other: Rect) -> Rect:
        """The part of this rectangle that lies in another; may be empty."""
        return Rect(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def trim(self, above: int, below: int, left: int, right: int) -> Rect:
        """The rectangle less a border; may be empty."""
        return Rect(self.top + above, self.bottom - below, self.left + left, self.right - right)

    def relative_to(self, other: Rect) -> Rect:
        """The same pixels, counted from the other rectangle's corner."""
        return Rect(
            self.top - other.top, self.bottom - other.top, self.left - other.left, self.right - other.left
        )


def face_crop(landmarks: np.ndarray) -> Rect:
    """The rectangle around the face, in whole pixels of the frame, that is resized to 320 × 320.

    With g half the distance between the inner eye corners and their midpoint as centre: rows centre − 3.5 g …
    centre + 5.5 g, columns centre ± 4.5 g. Top and left are clipped at 0; bottom and right may lie outside
    the frame. ValueError where the eye corners give no rectangle.
    """
    left, right = np.asarray(landmarks)[[LEFT_EYE, RIGHT_EYE]]
    g = int((right[0] - left[0]) // 2)
    x, y = (int(v) for v in (left + right) / 2)
    if g < 1:
        raise ValueError(f"no face crop: inner eye corners at x = {left[0]:g} and {right[0]:g}")
    rect = Rect(y - int(3.5 * g), y + int(5.5 * g), x - int(4.5 * g), x + int(4.5 * g))
    return rect._replace(top=max(0, rect.top), left=max(0, rect.left))


@dataclass(frozen=True)
class Patch:
    """A rectangle on which optical flow runs: the bounding box of landmarks first … last, grown by margins.

    Where `below_eye` is set the box is an eye: with w its width and c its centre row, the patch is the
    rows c + w/4 … c + 3w/4 in the box's columns.
    """

    name: str
    first: int
    last: int
    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0
    below_eye: bool = False


@dataclass(frozen=True)
class Roi:
    """A region: its whole patch less a border, or a rectangle around one landmark within the patch.

    `rows` and `columns` are (from, to) relative to `landmark`. `short_border` takes the place of the lower
    border where the patch is not 3 px longer than its two borders.
    """

    number: int
    name: str
    patch: str
    q: float
    granularity: str
    border: int = 0
    short_border: int | None = None
    landmark: int | None = None
    rows: tuple[int, int] = (-10, 10)
    columns: tuple[int, int] = (-10, 10)


#: The parent patches: flow is computed once for each and serves all its regions.
PATCHES = {
    "A": Patch("left brow", 17, 21, above=15, below=5, left=5),
    "B": Patch("right brow", 22, 26, above=15, below=5),
    "C": Patch("mouth", 48, 66, above=15, below=10, left=20, right=20),
    "D": Patch("nose", 30, 35, above=20, below=5, left=30, right=30),
    "E": Patch("below left eye", 36, 41, below_eye=True),
    "F": Patch("below right eye", 42, 47, below_eye=True),
}

#: Where the released code stops a patch at the crop's edge; elsewhere it slices with what is negative.
RELEASED_STOPS = {"A": ("top", "left"), "B": ("top",)} | dict.fromkeys("CDEF", ("left",))

#: The global patch: its flow is taken for the head's.
NOSE = Patch("nose ridge", 29, 30, above=13, below=13, left=13, right=13)
#: What is cut off the global patch's flow: above, below, left, right.
NOSE_BORDER = (15, 10, 5, 5)
NOSE_Q = 0.7

ROIS = (
    Roi(1, "left brow", "A", 0.3, "whole", border=10, short_border=4),
    Roi(2, "left brow inner", "A", 0.2, "part", landmark=20),
    Roi(3, "left brow middle", "A", 0.2, "part", landmark=19),
    Roi(4, "left brow outer", "A", 0.2, "part", landmark=18),
    Roi(5, "right brow", "B", 0.3, "whole", border=10),
    Roi(6, "right brow inner", "B", 0.3, "part", landmark=23),
    Roi(7, "right brow middle", "B", 0.3, "part", landmark=24),
    Roi(8, "right brow outer", "B", 0.3, "part", landmark=25),
    Roi(9, "mouth", "C", 0.3, "whole", border=10),
    Roi(10, "left mouth corner", "C", 0.2, "part", landmark=48, columns=(-10, 20)),
    Roi(11, "right mouth corner", "C", 0.2, "part", landmark=54, columns=(-20, 10)),
    Roi(12, "upper lip", "C", 0.2, "part", landmark=51),
    Roi(13, "lower lip", "C", 0.2, "part", landmark=57),
    Roi(14, "lip seam", "C", 0.2, "part", landmark=62),
    Roi(15, "left nose wing", "D", 0.2, "part", landmark=31, rows=(-20, 5), columns=(-20, 10)),
    Roi(16, "right nose wing", "D", 0.2, "part", landmark=35, rows=(-20, 5), columns=(-10, 20)),
    Roi(17, "below left eye", "E", 0.3, "part", border=5),
    Roi(18, "below right eye", "F", 0.3, "part", border=5),
)

#: The two sets: ME-TST's five are five of the eighteen.
ROI_SETS = {"5": tuple(roi for roi in ROIS if roi.number in (1, 5, 9, 15, 16)), "18": ROIS}


def roi_set(name: str) -> tuple[Roi, ...]:
    """The regions of a set, "5" or "18", in channel order. ValueError for another name."""
    if name not in ROI_SETS:
        raise ValueError(f"unknown roi_set {name!r}; known: {', '.join(ROI_SETS)}")
    return ROI_SETS[name]


def channel_names(name: str) -> list[str]:
    """The names of a set's flow channels: "left brow x", "left brow y", …"""
    return [f"{roi.name} {axis}" for roi in roi_set(name) for axis in "xy"]


def patch_rect(patch: Patch, landmarks: np.ndarray) -> Rect:
    """A patch on landmarks (68, 2) of the crop, in whole pixels and not yet clipped to the crop."""
    points = np.asarray(landmarks)[patch.first : patch.last + 1]
    left, top = (int(v) for v in points.min(axis=0))
    right, bottom = (int(v) for v in points.max(axis=0))
    if patch.below_eye:
        width, centre = right - left, (top + bottom) / 2
        return Rect(int(centre + width / 4), int(centre + 3 * width / 4), left, right)
    return Rect(top - patch.above, bottom + patch.below, left - patch.left, right + patch.right)


@dataclass(frozen=True)
class Layout:
    """Where everything lies on one face crop.

    patches: the parent patches that the regions need, by letter, clipped to the crop. regions: one
    rectangle for each region, in the set's order, clipped to its patch (as released: some may be empty).
    nose and nose_core: the global patch and the part of it that is pooled. All count from the crop's corner.
    """

    rois: tuple[Roi, ...]
    patches: dict[str, Rect]
    regions: tuple[Rect, ...]
    nose: Rect
    nose_core: Rect


def resolve(
    rois: tuple[Roi, ...], landmarks: np.ndarray, where: str = "", as_released: bool = False
) -> Layout:
    """The rectangles of regions on the landmarks (68, 2) of a face crop.

    They lie where the authors' released code has them, but where a patch reaches beyond the crop: here it is
    clipped. as_released: there too as theirs. It stops a patch at some edges only (`RELEASED_STOPS`) and
    counts a part's rectangle from the corner that was cut off, so that the part lies too low or too far
    right; regions of which nothing is left are empty.

    ValueError naming the region, and `where`, if nothing of it is left; as released, of the right brow's
    patch, without which that code stops.
    """
    crop = Rect(0, CROP, 0, CROP)
    place = f" ({where})" if where else ""

    def kept(rect: Rect, name: str) -> Rect:
        if rect.empty:
            raise ValueError(f"nothing of region {name!r} lies in the face crop{place}")
        return rect

    regions, patches = [], {}
    for roi in rois:
        whole = patch_rect(PATCHES[roi.patch], landmarks)
        patch = _sliced(roi.patch, whole) if as_released else whole.within(crop)
        patches[roi.patch] = patch if as_released and roi.patch != "B" else kept(patch, roi.name)
        offset = (patch.top - whole.top, patch.left - whole.left) if as_released else (0, 0)
        region = _roi_rect(roi, whole, patch, landmarks, offset)
        regions.append(region if as_released else kept(region, roi.name))
    nose = patch_rect(NOSE, landmarks)
    core = kept(nose.trim(*NOSE_BORDER).within(crop), NOSE.name)
    return Layout(tuple(rois), patches, tuple(regions), nose.within(crop), core)


def _sliced(name: str, whole: Rect) -> Rect:
    """What the released code's slices of the crop take for a patch; may be empty."""
    stopped = whole._replace(**{side: max(0, getattr(whole, side)) for side in RELEASED_STOPS[name]})
    rows, columns = (part.indices(CROP)[:2] for part in stopped.slices)
    return Rect(*rows, *columns)


def _roi_rect(
    roi: Roi, whole: Rect, patch: Rect, landmarks: np.ndarray, offset: tuple[int, int] = (0, 0)
) -> Rect:
    if roi.landmark is not None:
        x, y = (int(v) for v in landmarks[roi.landmark])
        y, x = y + offset[0], x + offset[1]
        around = Rect(y + roi.rows[0], y + roi.rows[1], x + roi.columns[0], x + roi.columns[1])
        return around.within(patch)
    above = max(0, roi.border + min(0, whole.top))  # what the crop's edge cut off counts as border
    below = roi.border
    if roi.short_border is not None and patch.bottom - patch.top < above + below + 3:
        below = roi.short_border
    return patch.trim(above, below, roi.border, roi.border)
