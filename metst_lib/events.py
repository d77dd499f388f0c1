"""What everyone speaks: an expression in a video (Event), a video (Video), what a network says of one
(Prediction), and the arithmetic of intervals and windows.

Frames are 0-based indices into a video's frame list; intervals are inclusive on both ends, so that an
event of onset 3 and offset 5 is three frames long (paper, Sec. IV-A, Eq. 4).

Glossary: T frames of a video; onset, apex, offset = first, strongest and last frame of an event; k frames of
a window; W windows of a video.
"""

import operator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import softmax

#: (subject, video): how predictions, truths and flow are keyed.
Key = tuple[str, str]
#: The emotions of a micro-expression, in the order of every array and table.
EMOTIONS = ("negative", "positive", "surprise", "others")
#: The recogniser's fifth class: no micro-expression.
NEUTRAL = "neutral"
#: Class order of the recognition logits: index 4 is neutral.
CLASSES = (*EMOTIONS, NEUTRAL)
#: Kinds of event. The first two are spotted, one kind in a run; a blink only explains what was found.
KINDS = ("micro", "macro", "blink")


@dataclass(frozen=True)
class Event:
    """One facial event: onset and offset in frames (inclusive), apex where known, emotion where known.

    aus: Action Units as the tables write them, "4" or one-sided "L12". They say what moved, and are no part
    of what makes two events equal: nothing that is fitted or scored reads them, and events.csv lacks them.

    Raises ValueError where onset > offset, a frame is negative or not whole, the apex lies outside the
    interval, emotion or kind is unknown, or aus is a bare text.
    """

    onset: int
    offset: int
    apex: int | None = None
    emotion: str | None = None
    kind: str = "micro"
    aus: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for name in ("onset", "offset", "apex"):
            value = getattr(self, name)
            if value is not None or name != "apex":
                object.__setattr__(self, name, _frame(name, value))
        if self.onset > self.offset:
            raise ValueError(f"onset {self.onset} lies after offset {self.offset}")
        if self.apex is not None and not self.onset <= self.apex <= self.offset:
            raise ValueError(f"apex {self.apex} lies outside {self.onset}…{self.offset}")
        if self.emotion is not None and self.emotion not in EMOTIONS:
            raise ValueError(f"unknown emotion {self.emotion!r}; known: {', '.join(EMOTIONS)}")
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        if isinstance(self.aus, str):
            raise ValueError(f"Action Units are a tuple of texts, not the text {self.aus!r}")
        object.__setattr__(self, "aus", tuple(self.aus))

    @property
    def length(self) -> int:
        """Number of frames, both ends counted: offset − onset + 1."""
        return self.offset - self.onset + 1


@dataclass(frozen=True)
class Video:
    """A long video of one subject and the events labelled in it.

    fps and n_frames are those after `frame_step`, the units that every event, window and score uses.
    source tells `datasets.frames.open` where the frames are: a `FrameFiles`, a `VideoFile`, the path of a
    video file, or None where only annotations or ready-made flow exist. Frame i is the owners' number
    first + i · step.
    """

    subject: str
    name: str
    fps: float
    n_frames: int
    events: tuple[Event, ...]
    source: Any = None
    first: int = 0
    step: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", tuple(sorted(self.events, key=lambda e: (e.onset, e.offset))))
        for event in self.events:
            if event.offset >= self.n_frames:
                raise ValueError(
                    f"video {self.subject} {self.name} has frames 0…{self.n_frames - 1}, "
                    f"but an event ends at frame {event.offset}"
                )

    @property
    def key(self) -> Key:
        """(subject, name)."""
        return self.subject, self.name

    def events_of(self, *kinds: str) -> list[Event]:
        """The events of the given kinds ("micro", "macro", "blink"), by onset."""
        return [event for event in self.events if event.kind in kinds]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a video: spotting score (T,) and emotion logits (T, 5)."""

    score: np.ndarray
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Class probabilities (T, 5): softmax of the logits."""
        return softmax(self.logits, axis=1)


def named(key: Key) -> str:
    """A video's key as messages write it: "spNO.1 a"."""
    return " ".join(map(str, key))


def numbered(event: Event, first: int, step: int) -> Event:
    """An event of a video in its owners' numbers: frame i is first + i · step."""
    moved = {name: first + getattr(event, name) * step for name in ("onset", "offset")}
    return replace(event, apex=None if event.apex is None else first + event.apex * step, **moved)


def overlap(a: Event, b: Event) -> int:
    """Number of frames that two intervals share; 0 where they do not meet."""
    return max(0, min(a.offset, b.offset) - max(a.onset, b.onset) + 1)


def iou(a: Event, b: Event) -> float:
    """Intersection over union of two inclusive frame intervals (Eq. 4), between 0 and 1."""
    shared = overlap(a, b)
    return shared / (a.length + b.length - shared)


def clip(onset: int, offset: int, n_frames: int) -> tuple[int, int]:
    """The interval cut to the frames 0…n_frames − 1. ValueError where it lies wholly outside."""
    if offset < 0 or onset >= n_frames:
        raise ValueError(f"interval {onset}…{offset} lies outside frames 0…{n_frames - 1}")
    return max(0, onset), min(n_frames - 1, offset)


def window_starts(n_frames: int, window: int) -> np.ndarray:
    """First frame of every window, int64 (W,): 0, k/2, 2·k/2, …, and one window aligned to the end.

    The aligned one is added where the regular windows leave frames over, so that no frame is without a score.
    Raises ValueError where the window is odd or shorter than two frames, and where the video is shorter than
    a window.
    """
    if window < 2 or window % 2:
        raise ValueError(f"a window needs an even number of frames, at least 2; got {window}")
    if n_frames < window:
        raise ValueError(f"the video has {n_frames} frames, fewer than one window of {window}")
    starts = np.arange(0, n_frames - window + 1, window // 2, dtype=np.int64)
    if starts[-1] + window < n_frames:
        starts = np.append(starts, n_frames - window)
    return starts


def _frame(name: str, value: Any) -> int:
    try:
        frame = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} {value!r} is not a whole frame number") from None
    if frame < 0:
        raise ValueError(f"{name} {frame} is negative")
    return frame
