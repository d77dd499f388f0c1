"""The lids of a rendered eye: skin that slides down over it when the face blinks."""

import cv2
import numpy as np


class Eye:
    """An eye's opening as two parabolas between its corners, and the lid's skin above it.

    first: number of the eye's first landmark. margin: image px drawn beyond each border.
    """

    def __init__(self, landmarks: np.ndarray, g: float, first: int, margin: int) -> None:
        self.margin = margin
        self.upper_points = (first + 1, first + 2)
        self.g = g
        corners = landmarks[[first, first + 3]]
        (self.x0, self.y0), (self.x1, self.y1) = corners
        bows = []
        for pair in ((first + 1, first + 2), (first + 4, first + 5)):
            points = landmarks[list(pair)]
            bows.append(float(np.mean((points[:, 1] - self.chord(points[:, 0])) / self.arch(points[:, 0]))))
        self.bow_up, self.bow_down = min(bows[0], -0.05 * g), max(bows[1], 0.1 * g)

    def arch(self, x: np.ndarray) -> np.ndarray:
        """1 in the middle between the corners, 0 at and beyond them."""
        s = np.clip((np.asarray(x, np.float64) - self.x0) / (self.x1 - self.x0), 0, 1)
        return 4 * s * (1 - s)

    def chord(self, x: np.ndarray) -> np.ndarray:
        """Row of the line between the corners at column x."""
        return self.y0 + (self.y1 - self.y0) * (np.asarray(x, np.float64) - self.x0) / (self.x1 - self.x0)

    def upper(self, x: np.ndarray) -> np.ndarray:
        """Row of the open upper lid's edge at column x."""
        return self.chord(x) + self.bow_up * self.arch(x)

    def lower(self, x: np.ndarray) -> np.ndarray:
        """Row of the lower lid's edge at column x."""
        return self.chord(x) + self.bow_down * self.arch(x)

    def shut(self, image: np.ndarray, still: np.ndarray, closure: float) -> None:
        """Paint the lid, lowered by `closure`, into `image`; `still` is the image with open eyes."""
        skin = 0.55 * self.g  # height of the skin above the eye that stretches
        lash = 0.10 * self.g  # dark edge of the open lid, left out of the stretched skin
        left, right = int(self.x0) - 2, int(self.x1) + 3
        top = int(min(self.y0, self.y1) + self.bow_up - skin) - 2
        bottom = int(max(self.y0, self.y1) + self.bow_down) + 6
        x = np.arange(left, right, dtype=np.float64)
        y = np.arange(top, bottom, dtype=np.float64)[:, None]
        arch, upper = self.arch(x), self.upper(x)
        edge = upper + closure * (self.lower(x) - upper + 0.03 * self.g * arch)
        start = upper - skin
        stretch = np.maximum(skin - closure * lash * arch, 1.0) / (edge - start)
        source = np.where(y > start, start + (y - start) * stretch, y)
        columns = np.broadcast_to(x + self.margin, source.shape).astype(np.float32)
        lid = cv2.remap(still, columns, (source + self.margin).astype(np.float32), cv2.INTER_LINEAR)
        fold = np.exp(-0.5 * ((y - edge) / (0.05 * self.g)) ** 2) * np.sqrt(arch) * min(1.0, 3 * closure)
        shade = 1 - 0.08 * closure * arch * np.clip((y - start) / (edge - start), 0, 1)
        lid = lid * shade
        mask = np.clip(edge - y + 0.5, 0, 1) * (arch > 0)
        patch = image[top + self.margin : bottom + self.margin, left + self.margin : right + self.margin]
        patch[:] = (patch * (1 - mask) + lid * mask) * (1 - 0.45 * fold)
