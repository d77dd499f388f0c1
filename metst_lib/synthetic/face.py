"""Pixels of a synthetic long video: a public-domain face moved by a script, and the truth of every move.

The base face is `skimage.data.astronaut()` (public domain, inside the scikit-image wheel) with its 68
landmarks (`astronaut_landmarks_68.csv`). A subject (`Face`) is that face up-sampled 2.7–3.1 times, warped
smoothly, mirrored or not, sharpened, given a skin texture (up-sampled skin has none, and optical flow needs
one), a gamma, contrast and light. A video (`Film`) moves it: one `cv2.remap` per frame by a sum of Gaussian
displacement fields around Action Unit centres and the head's motion; lids that slide over the eyes; flicker;
sensor noise of σ = 2 grey levels. It stands in for the recordings of the paper's Sec. IV-A.

**The truth** (`Film.truth`). "px" are pixels of the 320-px face crop: image px × 320 / (9 g).

- `landmarks` (T, 68, 2): where the 68 landmarks are in each frame, (x, y) in image px.
- `expression` (T, 68, 2): how far expressions and blinks alone have moved each landmark from its place at
  rest, as if the head stood still; px. The upper lids' landmarks follow the closing lids.
- `head` (T, 2): how far the head's motion alone has moved the nose (mean of landmarks 29 and 30) from its
  place at rest; px. This is what face alignment and the nose patch are there to remove.
- `rois` (T, 18, 2): mean, over each region of `rois.ROIS` laid on the face at rest, of the displacement by
  expressions and by the blinks' pull at brows and cheeks (not the lids); px. Flow of a region from frame a
  to frame b should be near rois[b] − rois[a]; pooling by the strongest fraction of pixels reads more.
- `Film.field(t)` (480, 480, 2): that same displacement at every pixel of the face at rest, in image px.

A displacement is told where it is seen: the frame shows at y what rests at y − displacement(y). The same
script gives the same pixels on one machine (OpenCV's rounding may differ between machines).

Glossary: T frames; K Gaussian bumps; g half the distance of the inner eye corners; AU Action Unit. Left and
right are those of the image, unless the person's own is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from importlib.resources import files

import cv2
import numpy as np
import skimage.data

from metst_lib.rois import CROP, ROIS, resolve
from metst_lib.synthetic.script import Action, Look, Script, envelope

SIZE = 480
"""Frames are SIZE × SIZE, uint8, grey."""
NOISE = 2.0
FLICKER_FAST, FLICKER_SLOW = 0.006, 0.02
_MARGIN = 24  # image px drawn beyond each border, so that head motion shows no edge
_STEP = 2  # displacement fields are smooth: every second pixel is enough
_GRID = np.arange(0, SIZE + _STEP, _STEP)
_NOISE_SIZE = 1024

# Rows of (where, landmarks, offset, dx, dy, σ), lengths in g. A bump's centre is the landmarks' mean plus the
# offset. "left": landmarks of the image's left half, mirrored for the right; x counts outwards.
# "middle": on the midline, without sides. y counts down.
_LEFT, _MIDDLE = "left", "middle"
ACTION_UNITS: dict[int, tuple[tuple[str, tuple[int, ...], tuple[float, float], float, float, float], ...]] = {
    1: ((_LEFT, (20, 21), (0, 0), 0.0, -1.0, 0.75),),  # inner brow up
    2: ((_LEFT, (17, 18), (0, 0), 0.0, -1.0, 0.8),),  # outer brow up
    4: (
        (_LEFT, (20, 21), (0, 0), -0.55, 0.8, 0.8),
        (_LEFT, (18, 19), (0, 0), -0.15, 0.5, 0.8),
    ),  # brows down, together
    5: ((_LEFT, (37, 38), (0, -0.1), 0.0, -0.8, 0.45),),  # upper lid up
    6: ((_LEFT, (40, 41), (0.2, 0.9), 0.1, -0.9, 0.9),),  # cheek up
    7: (
        (_LEFT, (40, 41), (0, 0.1), 0.0, -0.7, 0.45),
        (_LEFT, (37, 38), (0, -0.1), 0.0, 0.35, 0.45),
    ),  # lids tighten
    9: (
        (_LEFT, (31,), (0, 0), 0.1, -1.0, 0.65),
        (_LEFT, (50,), (0, 0), 0.0, -0.5, 0.6),
    ),  # nose wings, upper lip up
    10: ((_LEFT, (50,), (0, 0), 0.05, -1.0, 0.7), (_LEFT, (31,), (0, 0.2), 0.1, -0.3, 0.6)),  # upper lip up
    12: (
        (_LEFT, (48,), (0, 0), 0.75, -0.65, 0.8),
        (_LEFT, (48,), (0.6, -1.2), 0.15, -0.45, 1.1),
    ),  # corners up, out
    14: ((_LEFT, (48,), (0, 0), -0.95, 0.0, 0.65),),  # corners in
    15: ((_LEFT, (48,), (0, 0.1), 0.1, 1.0, 0.75),),  # corners down
    17: ((_MIDDLE, (8, 57), (0, 0), 0.0, -1.0, 1.0), (_MIDDLE, (57,), (0, 0), 0.0, -0.5, 0.7)),  # chin up
    20: ((_LEFT, (48,), (0, 0), 1.0, 0.1, 0.85),),  # corners out
    24: ((_MIDDLE, (51,), (0, 0), 0.0, 0.7, 0.6), (_MIDDLE, (57,), (0, 0), 0.0, -0.8, 0.6)),  # lips together
    26: ((_MIDDLE, (8,), (0, 0), 0.0, 1.0, 1.6), (_MIDDLE, (57,), (0, 0), 0.0, 0.6, 0.9)),  # jaw down
    45: (
        (_LEFT, (18, 19, 20), (0, 0), 0.0, 1.0, 0.9),
        (_LEFT, (40, 41), (0, 0.6), 0.0, -0.4, 0.7),
    ),  # blink's pull
}

WARPS: dict[str, tuple[tuple[str, tuple[int, ...], tuple[float, float], float, float, float], ...]] = {
    "brow height": ((_LEFT, (18, 19, 20), (0, 0), 0.0, 1.0, 1.2),),
    "brow tilt": ((_LEFT, (20, 21), (0, 0), 0.0, 1.0, 0.8), (_LEFT, (17, 18), (0, 0), 0.0, -1.0, 0.8)),
    "brow distance": ((_LEFT, (19, 20, 21), (0, 0), 1.0, 0.0, 1.0),),
    "eye distance": ((_LEFT, (36, 39), (0, 0), 1.0, 0.0, 1.3),),
    "eye height": ((_LEFT, (36, 39), (0, 0), 0.0, 1.0, 1.5),),
    "eye opening": ((_LEFT, (37, 38), (0, -0.1), 0.0, 1.0, 0.6), (_LEFT, (40, 41), (0, 0.1), 0.0, -1.0, 0.6)),
    "nose width": ((_LEFT, (31,), (0, 0), 1.0, 0.0, 0.7),),
    "nose length": ((_MIDDLE, (33,), (0, 0), 0.0, 1.0, 1.1),),
    "mouth width": ((_LEFT, (48,), (0, 0), 1.0, 0.0, 1.0),),
    "mouth height": ((_MIDDLE, (62, 66), (0, 0), 0.0, 1.0, 1.5),),
    "mouth curve": ((_LEFT, (48,), (0, 0), 0.0, 1.0, 0.8),),
    "lip fullness": ((_MIDDLE, (57,), (0, 0), 0.0, 1.0, 0.7), (_MIDDLE, (51,), (0, 0), 0.0, -1.0, 0.7)),
    "jaw length": ((_MIDDLE, (8,), (0, 0), 0.0, 1.0, 1.9),),
    "jaw width": ((_LEFT, (3, 4, 5), (0, 0), 1.0, 0.0, 1.7),),
}

_MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip
_NOSE = [29, 30]


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

    def scaled(self, factor: float) -> Bumps:
        """The same field, `factor` times as strong."""
        return Bumps(self.centres, self.peaks * factor, self.widths)


Displacement = Callable[[np.ndarray], np.ndarray]
"""A displacement field: points (..., 2) → displacement there (..., 2)."""


def _still(points: np.ndarray) -> np.ndarray:
    return np.zeros_like(points)


def followed(points: np.ndarray, displacement: Displacement) -> np.ndarray:
    """Where source points (..., 2) are seen if the image at y shows the source at y − displacement(y)."""
    seen = points
    for _ in range(12):  # a contraction: the fields' gradients stay well below 1
        seen = points + displacement(seen)
    return seen


class Face:
    """One subject at rest: image (float32, with a margin), landmarks (68, 2) and g in image px.

    `crop_scale` is 320 / (9 g): image px × crop_scale = px of the face crop.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        photo, points = _base_face(look.mirrored)
        eyes, g0 = _eyes(points)
        centre = np.array([SIZE / 2, SIZE / 2 - look.crop_px / 9])  # of the eyes: the face crop in mid-frame
        scale = look.crop_px / (9 * g0)
        parts = [(*part, amount) for name, amount in look.warps for part in WARPS[name]]
        for _ in range(2):  # the warps change g in proportion: the second round has the crop's width right
            rough = (points - eyes) * scale + centre
            warp = _bumps(parts, rough, scale * g0)
            self.landmarks = followed(rough, warp.at)
            self.eyes, self.g = _eyes(self.landmarks)
            used, scale = scale, scale * look.crop_px / (9 * self.g)
        self.crop_scale = CROP / (9 * self.g)
        at = np.arange(-_MARGIN, SIZE + _MARGIN)
        source = (np.stack(np.meshgrid(at, at), -1) - warp.grid(at) - centre) / used + eyes
        image = cv2.remap(
            photo,
            *np.moveaxis(source.astype(np.float32), -1, 0),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        self.image = _developed(image, look)

    def field(self, action: Action) -> Bumps:
        """The action's displacement field at its apex, in image px.

        Its peak over the 68 landmarks and the Action Units' own centres is action.amplitude px of the crop.
        """
        parts = [(*part, 1.0) for unit in action.action_units for part in ACTION_UNITS[unit]]
        # the person's own left is the image's right
        left, right = {"": (1 + action.balance, 1 - action.balance), "L": (0, 1), "R": (1, 0)}[action.side]
        bumps = _bumps(parts, self.landmarks, self.g, left, right)
        peak = np.linalg.norm(bumps.at(np.concatenate([self.landmarks, bumps.centres])), axis=-1).max()
        return bumps.scaled(action.amplitude / self.crop_scale / peak)

    def with_lids(self, closure: float) -> np.ndarray:
        """The image with both eyes shut by `closure` (0 open … 1 shut): the upper lid slides over the eye."""
        if closure <= 0:
            return self.image
        image = self.image.copy()
        for eye in self._eyes_open:
            eye.shut(image, self.image, closure)
        return image

    def lid_landmarks(self, closure: float) -> np.ndarray:
        """Landmarks (68, 2) with the four upper-lid points moved down by the closing lids."""
        points = self.landmarks.copy()
        for eye in self._eyes_open:
            for i in eye.upper_points:
                points[i, 1] += closure * max(0.0, float(eye.lower(points[i, 0])) - points[i, 1])
        return points

    def regions(self) -> list[np.ndarray]:
        """The pixels of the 18 regions on this face, each (n, 2) as x, y in image px."""
        corner = self.eyes - np.array([4.5, 3.5]) * self.g
        layout = resolve(ROIS, ((self.landmarks - corner) * self.crop_scale).astype(int))
        pixels = [np.mgrid[r.left : r.right, r.top : r.bottom].reshape(2, -1).T for r in layout.regions]
        return [points / self.crop_scale + corner for points in pixels]

    @cached_property
    def _eyes_open(self) -> list[_Eye]:
        return [_Eye(self.landmarks, self.g, first) for first in (36, 42)]


class Film:
    """The frames of one script: a sequence of T uint8 frames (480, 480), rendered when asked for.

    Frame t is the same whichever frames were asked for before. Thread-safe.
    """

    def __init__(self, script: Script, face: Face | None = None) -> None:
        self.script = script
        self.face = face or Face(script.look)
        self._fields = [self.face.field(action) for action in script.actions]
        self._grids: dict[int, np.ndarray] = {}
        self._courses = [envelope(action, script.n_frames) for action in script.actions]
        self._waves = _waves(script)
        rng = np.random.default_rng(np.random.SeedSequence(script.key[0], spawn_key=(*script.key[1:], 0)))
        self._noise = NOISE * rng.standard_normal((_NOISE_SIZE, _NOISE_SIZE), dtype=np.float32)
        self._noise_at = rng.integers(0, _NOISE_SIZE - SIZE, (script.n_frames, 2))
        slow = np.sin(2 * np.pi * (np.arange(script.n_frames) / script.fps / 7.0 + rng.random()))
        self._gain = 1 + FLICKER_SLOW * slow + FLICKER_FAST * rng.standard_normal(script.n_frames)
        g, landmarks = self.face.g, self.face.landmarks
        # the nose stands out of the face: turning the head moves it further than the rest
        self._nose = Bumps(landmarks[30], [1.0, 0.0], [1.5 * g])
        self._nose_grid = self._nose.grid(_GRID)[..., 0].astype(np.float32)

    def __len__(self) -> int:
        return self.script.n_frames

    def __getitem__(self, t: int) -> np.ndarray:
        if not -len(self) <= t < len(self):
            raise IndexError(f"frame {t} of a film of {len(self)} frames")
        t %= len(self)
        turn, shift = self._head(t)
        action, image = self._acting(t), self.face.image
        course = 0.0 if action is None else self._courses[action][t]
        if action is not None and self.script.actions[action].kind == "blink":
            image = self.face.with_lids(course)
        # image point x shows the neutral face's point y − displacement(y), y = turn · x + shift
        to_grid = np.column_stack([turn, shift]) / _STEP
        at, maps = np.arange(SIZE), []
        for c, channel in enumerate(("yaw", "pitch")):
            displacement = self._nose_grid * np.float32(self._waves[channel][t])
            if action is not None:
                displacement += self._grid(action)[c] * np.float32(course)
            displacement = cv2.warpAffine(
                displacement,
                to_grid,
                (SIZE, SIZE),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            across = (turn[c, 0] * at + shift[c] + _MARGIN).astype(np.float32)
            down = (turn[c, 1] * at).astype(np.float32)
            np.subtract(across[None], displacement, out=displacement)
            displacement += down[:, None]
            maps.append(displacement)
        frame = cv2.remap(image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        row, column = self._noise_at[t]
        noise = self._noise[row : row + SIZE, column : column + SIZE]
        return cv2.addWeighted(frame, float(self._gain[t]), noise, 1.0, 0.0, dtype=cv2.CV_8U)

    def field(self, t: int) -> np.ndarray:
        """Displacement by expressions (blinks: the pull, not the lids), (480, 480, 2) in image px."""
        action = self._acting(t)
        if action is None:
            return np.zeros((SIZE, SIZE, 2))
        return self._fields[action].grid(np.arange(SIZE)) * self._courses[action][t]

    def truth(self, frames: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """The truth (see the module) at the given frames, or all: landmarks, expression, head, rois, float32.

        Also neutral (68, 2), the landmarks at rest in image px, and g.
        """
        face, frames = self.face, range(len(self)) if frames is None else frames
        rows = []
        for t in frames:
            number = self._acting(t)
            parallax, field, rest, rois = self._parallax(t), _still, face.landmarks, np.zeros((len(ROIS), 2))
            if number is not None:
                course = self._courses[number][t]
                field = self._fields[number].scaled(course).at
                rois = self._region_means[number] * course
                if self.script.actions[number].kind == "blink":
                    rest = face.lid_landmarks(course)
            # the frame shows at y the source at y − parallax(y) − field(y), and then moves with the head
            moved = followed(rest, lambda points, a=parallax, b=field: a(points) + b(points))
            nose = self._seen(followed(face.landmarks[_NOSE], parallax), t)
            rows.append(
                (
                    self._seen(moved, t),
                    (followed(rest, field) - face.landmarks) * face.crop_scale,
                    (nose - face.landmarks[_NOSE]).mean(0) * face.crop_scale,
                    rois,
                )
            )
        columns = zip(("landmarks", "expression", "head", "rois"), zip(*rows, strict=True), strict=True)
        truth = {name: np.stack(values).astype(np.float32) for name, values in columns}
        return {**truth, "neutral": face.landmarks.astype(np.float32), "g": np.float32(face.g)}

    @cached_property
    def _region_means(self) -> list[np.ndarray]:
        """Mean displacement of each region at the apex of each action, (18, 2), in px of the crop."""
        regions, scale = self.face.regions(), self.face.crop_scale
        return [np.array([f.at(points).mean(0) for points in regions]) * scale for f in self._fields]

    def _acting(self, t: int) -> int | None:
        """Number of the action under way at frame t; scripts keep actions apart, so there is one at most."""
        for number, action in enumerate(self.script.actions):
            if action.onset < t < action.offset:
                return number
        return None

    def _grid(self, action: int) -> np.ndarray:
        if action not in self._grids:
            grid = self._fields[action].grid(_GRID)
            self._grids[action] = np.ascontiguousarray(np.moveaxis(grid, -1, 0), dtype=np.float32)
        return self._grids[action]

    def _parallax(self, t: int) -> Displacement:
        """What turning the head adds to its motion, most at the nose."""
        size = np.array([self._waves["yaw"][t], self._waves["pitch"][t]])
        return lambda points: self._nose.at(points)[..., :1] * size

    def _seen(self, points: np.ndarray, t: int) -> np.ndarray:
        """Where points of the unmoved head are in frame t."""
        turn, shift = self._head(t)
        return (points - shift) @ np.linalg.inv(turn).T

    def _head(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """turn (2, 2), shift (2,): image point x is the point turn · x + shift of the unmoved head."""
        angle, zoom = self._waves["roll"][t], 1 + self._waves["zoom"][t]
        cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
        turn = np.array([[cos, sin], [-sin, cos]])
        pivot = np.array([SIZE / 2, SIZE / 2])
        moved = np.array([self._waves["x"][t], self._waves["y"][t]])
        return turn, pivot - turn @ (pivot + moved)


# ---------------------------------------------------------------- the eye lids


class _Eye:
    """An eye's opening as two parabolas between its corners, and the lid's skin above it."""

    def __init__(self, landmarks: np.ndarray, g: float, first: int) -> None:
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
        columns = np.broadcast_to(x + _MARGIN, source.shape).astype(np.float32)
        lid = cv2.remap(still, columns, (source + _MARGIN).astype(np.float32), cv2.INTER_LINEAR)
        fold = np.exp(-0.5 * ((y - edge) / (0.05 * self.g)) ** 2) * np.sqrt(arch) * min(1.0, 3 * closure)
        shade = 1 - 0.08 * closure * arch * np.clip((y - start) / (edge - start), 0, 1)
        lid = lid * shade
        mask = np.clip(edge - y + 0.5, 0, 1) * (arch > 0)
        patch = image[top + _MARGIN : bottom + _MARGIN, left + _MARGIN : right + _MARGIN]
        patch[:] = (patch * (1 - mask) + lid * mask) * (1 - 0.45 * fold)


# ---------------------------------------------------------------- parts


@lru_cache(maxsize=2)
def _base_face(mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """The photo, grey float32, and its landmarks (68, 2)."""
    photo = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY).astype(np.float32)
    with (files("metst_lib.synthetic") / "astronaut_landmarks_68.csv").open() as lines:
        points = np.loadtxt(lines, delimiter=",", skiprows=1)
    if mirrored:
        photo = np.ascontiguousarray(photo[:, ::-1])
        points = points[_MIRROR] * [-1, 1] + [photo.shape[1] - 1, 0]
    return photo, points


def _eyes(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Midpoint of the inner eye corners, and g."""
    return (landmarks[39] + landmarks[42]) / 2, float(landmarks[42, 0] - landmarks[39, 0]) / 2


def _bumps(parts, landmarks: np.ndarray, g: float, left: float = 1.0, right: float = 1.0) -> Bumps:
    """Rows of ACTION_UNITS or WARPS, each with its amount in g, as a field on a face."""
    centres, peaks, widths = [], [], []
    for where, points, (off_x, off_y), dx, dy, width, amount in parts:
        halves = (
            ((-1, landmarks, left), (1, landmarks[_MIRROR], right))
            if where == _LEFT
            else ((0, landmarks, 1.0),)
        )
        for outwards, marks, strength in halves:
            if strength:
                centres.append(marks[list(points)].mean(0) + np.array([outwards * off_x, off_y]) * g)
                peaks.append(np.array([outwards * dx, dy]) * amount * strength * g)
                widths.append(width * g)
    return Bumps(np.array(centres), np.array(peaks), np.array(widths))


def _developed(image: np.ndarray, look: Look) -> np.ndarray:
    """Sharpened, textured, toned and lit: grey levels between 4 and 251, float32."""
    image = image + 0.8 * (image - cv2.GaussianBlur(image, (0, 0), 3.0))
    rng = np.random.default_rng(np.random.SeedSequence(look.texture_key[0], spawn_key=look.texture_key[1:]))
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 1.2) - cv2.GaussianBlur(grain, (0, 0), 3.0)
    image = image + look.texture * grain / grain.std() * np.clip(image / 110, 0.2, 1.2)
    image = 255 * (np.clip(image, 0, 255) / 255) ** look.gamma
    image = 128 + look.contrast * (image - 128) + look.brightness
    across = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
    image = image * (1 + look.light_x * across[None] + look.light_y * across[:, None])
    # a soft shoulder instead of clipping, so that bright skin keeps its texture
    image = np.where(image > 215, 215 + 36 * np.tanh((image - 215) / 36), image)
    return np.clip(image, 4, 251).astype(np.float32)


def _waves(script: Script) -> dict[str, np.ndarray]:
    """The head's motion by channel, (T,) each."""
    seconds = np.arange(script.n_frames) / script.fps
    waves = {channel: np.zeros(script.n_frames) for channel in ("x", "y", "roll", "zoom", "yaw", "pitch")}
    for wave in script.motion:
        waves[wave.channel] += wave.amplitude * np.sin(2 * np.pi * (seconds / wave.period + wave.phase))
    return waves
