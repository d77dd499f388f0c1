"""Pixels of a synthetic long video: a public-domain face moved by a script, and the truth of every move.

The base face is `skimage.data.astronaut()` (public domain, inside the scikit-image wheel) with its 68
landmarks (`astronaut_landmarks_68.csv`). A subject (`Face`) is that face up-sampled 2.7–3.1 times, warped
smoothly, mirrored or not, sharpened, given a skin texture (up-sampled skin has none, and optical flow needs
one), a gamma, contrast and light. A video (`Film`) moves it: one `cv2.remap` per frame by a sum of Gaussian
displacement fields around Action Unit centres and the head's motion; lids that slide over the eyes; flicker
and passing changes of light; sensor noise of σ = 2 grey levels. Actions that overlap add up. It stands in for
the recordings of the paper's Sec. IV-A.

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

A displacement is told where it is seen (see `bumps`). The same script gives the same pixels on one machine
(OpenCV's rounding may differ between machines).

Glossary: T frames; K Gaussian bumps; g half the distance of the inner eye corners; AU Action Unit. Left and
right are those of the image, unless the person's own is said.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import cv2
import numpy as np
import skimage.data

from metst_lib.rois import ROIS
from metst_lib.synthetic.bumps import Bumps, Displacement, followed
from metst_lib.synthetic.eye import Eye
from metst_lib.synthetic.script import Habit, Look, Script, envelope
from metst_lib.synthetic.shape import SIZE as SIZE  # frames are SIZE × SIZE, uint8, grey
from metst_lib.synthetic.shape import Shape, base_points, waves

NOISE = 2.0
FLICKER_FAST, FLICKER_SLOW = 0.006, 0.02
_MARGIN = 24  # image px drawn beyond each border, so that head motion shows no edge
_STEP = 2  # displacement fields are smooth: every second pixel is enough
_GRID = np.arange(0, SIZE + _STEP, _STEP)
_NOISE_SIZE = 1024
_ENLARGED = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}

_NOSE = [29, 30]


class Face(Shape):
    """One subject at rest: image (float32, with a margin), and its shape."""

    def __init__(self, look: Look, manner: Sequence[Habit] = ()) -> None:
        super().__init__(look, manner)
        at = np.arange(-_MARGIN, SIZE + _MARGIN)
        maps = np.moveaxis(self.source(at).astype(np.float32), -1, 0)
        image = cv2.remap(_base_face(look.mirrored)[0], *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        self.image = _developed(image, look)

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

    @cached_property
    def _eyes_open(self) -> list[Eye]:
        return [Eye(self.landmarks, self.g, first, _MARGIN) for first in (36, 42)]


class Film:
    """The frames of one script: a sequence of T uint8 frames (480, 480), rendered when asked for.

    Frame t is the same whichever frames were asked for before. Thread-safe.
    """

    def __init__(self, script: Script, face: Face | None = None) -> None:
        self.script = script
        self.face = face or Face(script.look, script.manner)
        self._fields = [self.face.field(action) for action in script.actions]
        self._courses = [envelope(action, script.n_frames) for action in script.actions]
        self._waves = waves(script)
        rng = np.random.default_rng(np.random.SeedSequence(script.key[0], spawn_key=(*script.key[1:], 0)))
        self._noise = NOISE * rng.standard_normal((_NOISE_SIZE, _NOISE_SIZE), dtype=np.float32)
        self._noise_at = rng.integers(0, _NOISE_SIZE - SIZE, (script.n_frames, 2))
        slow = np.sin(2 * np.pi * (np.arange(script.n_frames) / script.fps / 7.0 + rng.random()))
        self._gain = 1 + FLICKER_SLOW * slow + FLICKER_FAST * rng.standard_normal(script.n_frames)
        self._gain *= 1 + self._waves["light"]
        self._across = np.linspace(-1, 1, SIZE, dtype=np.float32)
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
        acting, image = self._acting(t), self.face.with_lids(self._closure(t))
        # image point x shows the neutral face's point y − displacement(y), y = turn · x + shift
        to_grid = np.column_stack([turn, shift]) / _STEP
        at, maps = np.arange(SIZE), []
        for c, channel in enumerate(("yaw", "pitch")):
            displacement = self._nose_grid * np.float32(self._waves[channel][t])
            for n, course in acting:
                displacement += self._grids[n][c] * np.float32(course)
            displacement = cv2.warpAffine(displacement, to_grid, (SIZE, SIZE), **_ENLARGED)
            across = (turn[c, 0] * at + shift[c] + _MARGIN).astype(np.float32)
            down = (turn[c, 1] * at).astype(np.float32)
            np.subtract(across[None], displacement, out=displacement)
            displacement += down[:, None]
            maps.append(displacement)
        frame = cv2.remap(image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        if slope := self._waves["light_x"][t]:
            frame *= 1 + np.float32(slope) * self._across
        row, column = self._noise_at[t]
        noise = self._noise[row : row + SIZE, column : column + SIZE]
        return cv2.addWeighted(frame, float(self._gain[t]), noise, 1.0, 0.0, dtype=cv2.CV_8U)

    def field(self, t: int) -> np.ndarray:
        """Displacement by expressions (blinks: the pull, not the lids), (480, 480, 2) in image px."""
        return self._moved(t).grid(np.arange(SIZE))

    def truth(self, frames: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """The truth (see the module) at the given frames, or all: landmarks, expression, head, rois, float32.

        Also neutral (68, 2), the landmarks at rest in image px, and g.
        """
        face, frames = self.face, range(len(self)) if frames is None else frames
        rows = []
        for t in frames:
            parallax, field = self._parallax(t), self._moved(t).at
            rest, rois = face.lid_landmarks(self._closure(t)), np.zeros((len(ROIS), 2))
            for n, course in self._acting(t):
                rois += self._region_means[n] * course
            # the frame shows at y the source at y − parallax(y) − field(y), and then moves with the head
            moved = followed(rest, lambda points, a=parallax, b=field: a(points) + b(points))
            nose = self._seen(followed(face.landmarks[_NOSE], parallax), t)
            expression = (followed(rest, field) - face.landmarks) * face.crop_scale
            head = (nose - face.landmarks[_NOSE]).mean(0) * face.crop_scale
            rows.append((self._seen(moved, t), expression, head, rois))
        columns = zip(("landmarks", "expression", "head", "rois"), zip(*rows, strict=True), strict=True)
        truth = {name: np.stack(values).astype(np.float32) for name, values in columns}
        return {**truth, "neutral": face.landmarks.astype(np.float32), "g": np.float32(face.g)}

    @cached_property
    def _region_means(self) -> list[np.ndarray]:
        """Mean displacement of each region at the apex of each action, (18, 2), in px of the crop."""
        regions, scale = self.face.regions(), self.face.crop_scale
        return [np.array([f.at(points).mean(0) for points in regions]) * scale for f in self._fields]

    def _acting(self, t: int) -> list[tuple[int, float]]:
        """The actions under way at frame t: their numbers, and how far each has come."""
        under_way = (n for n, a in enumerate(self.script.actions) if a.onset < t < a.offset)
        return [(n, self._courses[n][t]) for n in under_way]

    def _moved(self, t: int) -> Bumps:
        """The field of all actions under way."""
        return Bumps.sum(self._fields[n].scaled(course) for n, course in self._acting(t))

    def _closure(self, t: int) -> float:
        """How far the lids are shut."""
        shut = (course for n, course in self._acting(t) if self.script.actions[n].kind == "blink")
        return max(shut, default=0.0)

    @cached_property
    def _grids(self) -> list[np.ndarray]:
        """Each action's displacement at its apex on `_GRID`, (2, n, n) float32."""
        grids = (np.moveaxis(field.grid(_GRID), -1, 0) for field in self._fields)
        return [np.ascontiguousarray(grid, dtype=np.float32) for grid in grids]

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


# ---------------------------------------------------------------- parts


@lru_cache(maxsize=2)
def _base_face(mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """The photo, grey float32, and its landmarks (68, 2)."""
    photo = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.ascontiguousarray(photo[:, ::-1]) if mirrored else photo, base_points(mirrored)


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
