"""The explorer's picture: one video's face, scores, classes and intervals, redrawn while a slider moves.

It is painted in three layers: what belongs to the video, what the settings change, what the frame changes.
The pixels of each are kept and only what lies above is drawn anew: a tenth of the time of a new figure.

Glossary: T frames of a video.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metst_lib.events import CLASSES, NEUTRAL, Event, Video
from metst_lib.figures import _style as style
from metst_lib.figures.faces import GRANULARITY, draw_landmarks, show_image
from metst_lib.rois import CROP, Layout

#: Size of the picture in inches.
WIDTH, HEIGHT = 9.6, 5.0
#: Pixels per inch on screen.
SCREEN = 144
# PNG in half the time for a tenth more bytes: the picture goes no further than the browser.
_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
LANES = ("true", "found", "dropped", "distractors")
RAW = {"color": "#A8A8A8", "lw": 0.8, "label": "score"}
SMOOTHED = {"color": style.INK, "lw": 1.4, "label": "smoothed score"}
THRESHOLD = {**style.THRESHOLD, "lw": 1}


@dataclass(frozen=True)
class Face:
    """What may be shown of a frame, in pixels of its 320 × 320 face crop, and None where it is not known.

    image: the crop itself, None for data whose faces must not be shown; landmarks (68, 2); layout:
    the regions.
    """

    image: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    layout: Layout | None = None


@dataclass(frozen=True)
class Outcome:
    """What the settings of the explorer make of a video's score.

    smoothed: score (T,) after smoothing, and the threshold that its peaks must reach; found and dropped:
    the intervals that are kept and those that the recogniser drops, each with whether it matches a true one.
    """

    smoothed: np.ndarray
    threshold: float
    found: tuple[tuple[Event, bool], ...]
    dropped: tuple[tuple[Event, bool], ...]


class Scene:
    """The picture of one video: `png` for the screen, `figure` for a page.

    score (T,), not yet smoothed; probabilities (T, 5); face: what may be shown of a frame; origin: where the
    data come from, such as "synthetic data". ValueError where score or probabilities do not have n_frames
    frames.
    """

    def __init__(
        self,
        video: Video,
        score: np.ndarray,
        probabilities: np.ndarray,
        face: Callable[[int], Face],
        origin: str,
    ) -> None:
        if len(score) != video.n_frames or probabilities.shape != (video.n_frames, len(CLASSES)):
            raise ValueError(
                f"video {video.subject} {video.name} has {video.n_frames} frames, the score {len(score)}, "
                f"the probabilities {probabilities.shape}"
            )
        self.video, self.probabilities, self.face = video, probabilities, face
        self._time = np.arange(video.n_frames) / video.fps
        with style.theme():
            self._drawing = style.canvas(WIDTH, HEIGHT)
            self._axes = _axes(self._drawing)
            self._still(score)
        style.stamp(self._drawing, origin)
        self._drawing.set_dpi(SCREEN)
        self._empty = self._set = self._set_for = None

    def png(self, outcome: Outcome, frame: int) -> bytes:
        """The picture at one frame, for the screen, as the bytes of a PNG.

        Fastest while `outcome` stays the same object: then only what belongs to the frame is drawn.
        """
        surface, whole = self._drawing.canvas, self._drawing.bbox
        if self._empty is None:
            surface.draw()
            self._empty = surface.copy_from_bbox(whole)
        if self._set_for is not outcome:
            surface.restore_region(self._empty)
            self._once(self._put_outcome, outcome)
            self._set, self._set_for = surface.copy_from_bbox(whole), outcome
        surface.restore_region(self._set)
        self._once(self._put_frame, frame)
        pixels = cv2.cvtColor(np.asarray(surface.buffer_rgba()), cv2.COLOR_RGBA2BGR)
        good, content = cv2.imencode(".png", pixels, _FAST)
        if not good:
            raise RuntimeError("the picture could not be written as PNG")
        return content.tobytes()

    def figure(self, outcome: Outcome, frame: int, *sentences: str) -> style.Drawing:
        """The same as a figure with these sentences as its text alternative. It uses the scene up."""
        self._put_outcome(outcome)
        self._put_frame(frame)
        return style.describe(self._drawing, *sentences, self._drawing.metst_alt)

    def _once(self, put: Callable[[Any], None], what: Any) -> None:
        """Draw what `put` adds onto the pixels that are there, and take it off the axes again."""
        before = {id(artist) for ax in self._axes for artist in ax.get_children()}
        put(what)
        for ax in self._axes:
            for artist in [artist for artist in ax.get_children() if id(artist) not in before]:
                ax.draw_artist(artist)
                artist.remove()

    def _still(self, score: np.ndarray) -> None:
        """What belongs to the video, whatever the state."""
        face, bars, ax_score, ax_class, lanes = self._axes
        video = self.video
        face.set(xlim=(0, CROP), ylim=(CROP, 0), xticks=[], yticks=[], aspect="equal", facecolor="white")
        face.grid(False)
        face.set_title("frame", fontweight="normal", color="white")  # keeps the place of the moving title
        style.lanes(bars, CLASSES)
        bars.set(xlim=(0, 1.18), xticks=[0, 0.5, 1], xlabel="class probability at this frame (0–1)")
        ax_score.plot(self._time, score, **RAW)
        style.shade(ax_score, video.events, video.fps)
        style.unit_axis(ax_score, float(np.max(score, initial=0)))
        unit = "\n(0–1)" if score.max() <= 1 else ""  # a comparator's goes higher
        ax_score.set_ylabel(f"spotting score{unit}")
        style.class_panel(ax_class, video, self.probabilities)
        for event in video.events:
            lane = "true" if event.kind == "micro" else "distractors"
            style.bar(lanes, event, LANES.index(lane), video.fps)
        style.lanes(lanes, LANES, room=0.05)
        style.time_axis(lanes, (0, video.n_frames - 1), video.fps)
        self._drawing.align_ylabels([ax_score, ax_class])
        curves = (GRANULARITY["whole"], GRANULARITY["part"], RAW, SMOOTHED, THRESHOLD, style.PEAK)
        handles = [
            *(Line2D([], [], **look) for look in curves),
            *style.shade_handles(video.events),
            style.hollow_handle("hollow: matches no true one"),
        ]
        style.legend_below(self._drawing, handles, 6)

    def _put_outcome(self, outcome: Outcome) -> None:
        """Smoothed score, threshold and peaks, and the intervals in their lanes."""
        _, _, ax_score, _, lanes = self._axes
        ax_score.plot(self._time, outcome.smoothed, **SMOOTHED)
        ax_score.axhline(outcome.threshold, **THRESHOLD)
        peaks = np.array([event.apex for event, _ in (*outcome.found, *outcome.dropped)], dtype=int)
        ax_score.plot(self._time[peaks], outcome.smoothed[peaks], zorder=6, **style.PEAK)
        for lane, events in (("found", outcome.found), ("dropped", outcome.dropped)):
            for event, matches in events:
                style.bar(lanes, event, LANES.index(lane), self.video.fps, hollow=not matches)
                if lane == "dropped":  # its vote is neutral
                    grey = style.PALETTE[NEUTRAL]
                    lanes.patches[-1].set(edgecolor=grey, facecolor=grey if matches else "white")

    def _put_frame(self, frame: int) -> None:
        """The face, the classes at this frame, and a line where it lies in the video."""
        face, bars, *over_time = self._axes
        self._put_face(face, frame)
        for row, (name, share) in enumerate(zip(CLASSES, self.probabilities[frame], strict=True)):
            bars.add_patch(Rectangle((0, row - 0.35), share, 0.7, facecolor=style.PALETTE[name], lw=0))
            look = {"va": "center_baseline", "fontsize": style.TEXT, "color": style.INK}
            bars.text(share + 0.02, row, f"{share:.2f}", **look)
        for ax in over_time:
            ax.axvline((frame + 0.5) / self.video.fps, color="#C2185B", lw=1.2, zorder=5)

    def _put_face(self, ax: Axes, frame: int) -> None:
        seen = self.face(frame)
        when = f"frame {frame} · {frame / self.video.fps:.2f} s"
        look = {"fontsize": style.TEXT + 1, "fontweight": "bold", "color": style.INK}
        ax.text(0, 1.02, when, transform=ax.transAxes, va="bottom", **look)
        if seen.image is not None:
            show_image(ax, seen.image, interpolation=None, extent=(0, CROP, CROP, 0), zorder=1)
        elif seen.landmarks is not None:
            draw_landmarks(ax, seen.landmarks, points=False)
        else:
            style.centred(ax, CROP / 2, CROP / 2, "no frame to show", fontsize=style.TEXT)
        if seen.layout is not None:
            for kind in ("whole", "part"):
                ax.plot(*_edges(seen.layout, kind), zorder=4, **GRANULARITY[kind])


def _edges(layout: Layout, kind: str) -> tuple[list[float], list[float]]:
    """Outlines of the regions of one granularity as one line, its x and y, the pen lifted at NaN."""
    xs, ys = [], []
    for roi, (top, bottom, left, right) in zip(layout.rois, layout.regions, strict=True):
        if roi.granularity == kind:
            xs += [left, right, right, left, left, np.nan]
            ys += [top, top, bottom, bottom, top, np.nan]
    return xs, ys


def _axes(figure: style.Drawing) -> tuple[Axes, ...]:
    """Face above the classes of one frame on the left; score, classes and lanes of the video on the right."""
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2.15])
    face, bars = left.subplots(2, 1, height_ratios=[2.6, 1])
    score, classes, lanes = right.subplots(3, 1, sharex=True, height_ratios=[1.5, 1.3, 1.1])
    return face, bars, score, classes, lanes
