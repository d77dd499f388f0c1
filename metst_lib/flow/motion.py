"""Dense flow between two pictures of a face, its pooling, and the flow of one window."""

from collections.abc import Callable

import cv2
import numpy as np

from metst_lib import rois
from metst_lib.rois import CROP, Layout, Rect

FARNEBACK = {"pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 5, "poly_n": 7, "poly_sigma": 1.5}
WARM = {**FARNEBACK, "levels": 0, "iterations": 2}
#: How often the crop may follow the head within one frame.
MOVES = 3
#: mode="fast" starts anew where the nose moves further than this from one frame to the next, in pixels.
JUMP = 1.0


def pool(flow: np.ndarray, q: float) -> tuple[float, float]:
    """The mean (x, y) of the fraction q of a region's flow vectors (height, width, 2) that are longest.

    Of n, those of rank ⌊n (1 − q)⌋ and above, counted from 0 by rising magnitude; (0, 0) of none.
    """
    if not flow.size:
        return 0.0, 0.0
    vectors = flow.reshape(-1, 2)
    x, y = vectors[:, 0], vectors[:, 1]
    first = int(len(vectors) * (1 - q))
    top = (x * x + y * y).argpartition(first)[first:]
    return float(x[top].sum(dtype=float)) / len(top), float(y[top].sum(dtype=float)) / len(top)


def crop_picture(image: np.ndarray, rect: Rect) -> np.ndarray:
    """The 320 × 320 face crop of a grey frame; what of the rectangle lies outside the frame is left out."""
    return cv2.resize(image[rect.slices], (CROP, CROP))


def window_flow(
    image_at: Callable[[int], np.ndarray],
    start: int,
    window: int,
    rect: Rect,
    layout: Layout,
    mode: str,
    align: bool,
    reference_at: int = 0,
) -> np.ndarray:
    """The flow of one window, (regions, 2, k): 0 up to the frame that all later ones are compared with."""
    first = image_at(start + reference_at)
    inside = Rect(0, first.shape[0], 0, first.shape[1])
    reference = crop_picture(first, rect)
    core = layout.nose_core.relative_to(layout.nose).slices
    parts = [
        (roi.patch, roi.q, region.relative_to(layout.patches[roi.patch]).slices)
        for roi, region in zip(layout.rois, layout.regions, strict=True)
    ]

    def nose(picture: np.ndarray) -> tuple[float, float]:
        return pool(farneback(reference, picture, layout.nose)[core], rois.NOSE_Q)

    values = np.zeros((len(layout.rois), 2, window))
    flows: dict[str, np.ndarray] = {}
    x = y = 0.0  # the nose's flow
    for t in range(reference_at + 1, window):
        image = image_at(start + t)
        picture = crop_picture(image, rect)
        before = x, y, rect
        if align or mode == "fast":
            x, y = nose(picture)
        for _ in range(MOVES if align else 0):
            if not x * x + y * y > 1:
                break
            moved = _move(rect, round(x), round(y))
            if moved.within(inside).empty:
                break
            rect = moved
            picture = crop_picture(image, rect)
            x, y = nose(picture)
        shift = None if mode != "fast" or t == 1 else _shift(before, (x, y, rect))
        for key, patch in layout.patches.items():
            flows[key] = farneback(reference, picture, patch, None if shift is None else flows[key] + shift)
        head = (x, y) if align else (0.0, 0.0)
        for r, (key, q, at) in enumerate(parts):
            values[r, :, t] = np.subtract(pool(flows[key][at], q), head)
    return values


def farneback(
    reference: np.ndarray, picture: np.ndarray, patch: Rect, initial: np.ndarray | None = None
) -> np.ndarray:
    """Dense flow (height, width, 2) from a reference picture to another on one patch.

    From an initial flow, two iterations at full size refine it (and overwrite it). Of an empty patch: none.
    """
    if patch.empty:
        return np.zeros((0, 0, 2), np.float32)
    how, flags = (FARNEBACK, 0) if initial is None else (WARM, cv2.OPTFLOW_USE_INITIAL_FLOW)
    pictures = reference[patch.slices], picture[patch.slices]
    return cv2.calcOpticalFlowFarneback(*pictures, initial, flags=flags, **how)


def _shift(before: tuple[float, float, Rect], now: tuple[float, float, Rect]) -> np.ndarray | None:
    """How far a patch's flow has gone with the head since the last frame, (x, y).

    None where the head jumped, or the picture failed: the last flow is no start for the next one then.
    """
    (x0, y0, rect0), (x1, y1, rect1) = before, now
    moved_x = (rect1.left - rect0.left) * CROP / (rect0.right - rect0.left)
    moved_y = (rect1.top - rect0.top) * CROP / (rect0.bottom - rect0.top)
    if not np.hypot(x1 - x0 + moved_x, y1 - y0 + moved_y) < JUMP:
        return None
    return np.array([x1 - x0, y1 - y0], np.float32)


def _move(rect: Rect, x: int, y: int) -> Rect:
    """The rectangle moved; left and top stop at the frame's edge, each by itself."""
    return Rect(max(0, rect.top + y), rect.bottom + y, max(0, rect.left + x), rect.right + x)
