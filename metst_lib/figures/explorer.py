"""The explorer's picture: one video's face, scores, classes and intervals, redrawn while a slider moves.

It is painted in three layers: what belongs to the video, what the settings change, what the frame changes.
The pixels of each are kept and only what lies above is drawn anew: a tenth of the time of a new figure.

Glossary: T frames of a video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from metst_lib.events import CLASSES, NEUTRAL, Event, Video
from metst_lib.figures._style import (
    INK,
    PALETTE,
    TEXT,
    Drawing,
    bar,
    canvas,
    describe,
    emotion_lines,
    legend_below,
    shade,
    shade_handles,
    stamp,
    theme,
    unit_axis,
)
from metst_lib.figures.faces import GRANULARITY, draw_landmarks
from metst_lib.rois import CROP, Layout

WIDTH, HEIGHT = 9.6, 5.0
"""Size of the picture in inches."""
SCREEN = 144
"""Pixels per inch on screen."""
_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
"""PNG in half the time for a tenth more bytes: the picture goes no further than the browser."""
LANES = ("true", "found", "dropped", "distractors")


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
        with theme():
            self._drawing = canvas(WIDTH, HEIGHT)
            self._axes = _axes(self._drawing)
            self._still(score)
        stamp(self._drawing, origin)
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

    def figure(self, outcome: Outcome, frame: int, *sentences: str) -> Drawing:
        """The same as a figure with these sentences as its text alternative. It uses the scene up."""
        self._put_outcome(outcome)
        self._put_frame(frame)
        return describe(self._drawing, *sentences, self._drawing.metst_alt)

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
        bars.set_yticks(range(len(CLASSES)), CLASSES)
        bars.set(xlim=(0, 1.18), ylim=(len(CLASSES) - 0.4, -0.6), xticks=[0, 0.5, 1])
        bars.set_xlabel("class probability at this frame (0–1)")
        bars.grid(axis="y", visible=False)
        raw = ax_score.plot(self._time, score, color="#A8A8A8", lw=0.8, label="score")
        shade(ax_score, video.events, video.fps)
        unit_axis(ax_score, float(np.max(score, initial=0)))
        ax_score.set_ylabel(
            "spotting score" + "\n(0–1)" * bool(score.max() <= 1)
        )  # a comparator's goes higher
        emotion_lines(ax_class, self._time, self.probabilities)
        shade(ax_class, video.events, video.fps)
        ax_class.set_ylabel("class probability\n(0–1)")
        for event in video.events:
            bar(lanes, event, LANES.index("true" if event.kind == "micro" else "distractors"), video.fps)
        lanes.set_yticks(range(len(LANES)), LANES)
        lanes.set_ylim(len(LANES) - 0.45, -0.55)
        lanes.grid(axis="y", visible=False)
        lanes.set_xlim(0, video.n_frames / video.fps)
        lanes.set_xlabel("time in the video (s)")
        self._drawing.align_ylabels([ax_score, ax_class])
        handles = [
            Line2D([], [], **GRANULARITY["whole"]),
            Line2D([], [], **GRANULARITY["part"]),
            *raw,
            Line2D([], [], color=INK, lw=1.4, label="smoothed score"),
            Line2D([], [], color=INK, ls="--", lw=1, label="threshold"),
            Line2D([], [], ls="", marker="v", ms=6, mfc="w", mec=INK, label="peak"),
            *shade_handles(video.events),
            Patch(facecolor="white", edgecolor=INK, lw=1.4, label="hollow: matches no true one"),
        ]
        legend_below(self._drawing, handles, 6)

    def _put_outcome(self, outcome: Outcome) -> None:
        """Smoothed score, threshold and peaks, and the intervals in their lanes."""
        _, _, ax_score, _, lanes = self._axes
        ax_score.plot(self._time, outcome.smoothed, color=INK, lw=1.4)
        ax_score.axhline(outcome.threshold, color=INK, ls="--", lw=1)
        peaks = np.array([event.apex for event, _ in (*outcome.found, *outcome.dropped)], dtype=int)
        ax_score.plot(
            self._time[peaks], outcome.smoothed[peaks], ls="", marker="v", ms=6, mfc="w", mec=INK, zorder=6
        )
        for lane, events in (("found", outcome.found), ("dropped", outcome.dropped)):
            for event, matches in events:
                bar(lanes, event, LANES.index(lane), self.video.fps, hollow=not matches)
                if lane == "dropped":  # its vote is neutral
                    grey = PALETTE[NEUTRAL]
                    lanes.patches[-1].set(edgecolor=grey, facecolor=grey if matches else "white")

    def _put_frame(self, frame: int) -> None:
        """The face, the classes at this frame, and a line where it lies in the video."""
        face, bars, *over_time = self._axes
        self._put_face(face, frame)
        for row, (name, share) in enumerate(zip(CLASSES, self.probabilities[frame], strict=True)):
            bars.add_patch(Rectangle((0, row - 0.35), share, 0.7, facecolor=PALETTE[name], lw=0))
            bars.text(share + 0.02, row, f"{share:.2f}", va="center_baseline", fontsize=TEXT, color=INK)
        for ax in over_time:
            ax.axvline((frame + 0.5) / self.video.fps, color="#C2185B", lw=1.2, zorder=5)

    def _put_face(self, ax: Axes, frame: int) -> None:
        seen = self.face(frame)
        ax.text(
            0,
            1.02,
            f"frame {frame} · {frame / self.video.fps:.2f} s",
            transform=ax.transAxes,
            va="bottom",
            fontsize=TEXT + 1,
            fontweight="bold",
            color=INK,
        )
        if seen.image is not None:
            ax.imshow(seen.image, cmap="gray", vmin=0, vmax=255, extent=(0, CROP, CROP, 0), zorder=1)
        elif seen.landmarks is not None:
            draw_landmarks(ax, seen.landmarks, points=False)
        else:
            ax.text(CROP / 2, CROP / 2, "no frame to show", ha="center", va="center", fontsize=TEXT)
        if seen.layout is not None:
            for kind in ("whole", "part"):
                edges = _edges(seen.layout, kind)
                ax.plot(edges[:, 0], edges[:, 1], zorder=4, **GRANULARITY[kind])


def _edges(layout: Layout, kind: str) -> np.ndarray:
    """Outlines of the regions of one granularity as one line (points, 2), the pen lifted at NaN."""
    points = []
    for roi, (top, bottom, left, right) in zip(layout.rois, layout.regions, strict=True):
        if roi.granularity == kind:
            points += [
                (left, top),
                (right, top),
                (right, bottom),
                (left, bottom),
                (left, top),
                (np.nan, np.nan),
            ]
    return np.array(points, dtype=float).reshape(-1, 2)


def _axes(figure: Drawing) -> tuple[Axes, ...]:
    """Face above the classes of one frame on the left; score, classes and lanes of the video on the right."""
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2.15])
    face, bars = left.subplots(2, 1, height_ratios=[2.6, 1])
    score, classes, lanes = right.subplots(3, 1, sharex=True, height_ratios=[1.5, 1.3, 1.1])
    return face, bars, score, classes, lanes
