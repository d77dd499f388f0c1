"""A loaded data set: videos with their events, and the audit of how they came about (paper, Table I)."""

from dataclasses import dataclass, replace

import pandas as pd

from metst_lib.datasets.reader import Reader, natural_key
from metst_lib.datasets.rows import LONG_SECONDS
from metst_lib.events import KINDS, Event, Key, Video


@dataclass(frozen=True, eq=False)
class Dataset:
    """Videos with their events in 0-based frames after `frame_step`, and the audit of how they came about.

    fps is that after `frame_step`. blink_subjects are those whose blinks were labelled: a statement about
    blinks holds for them alone.
    """

    reader: Reader
    videos: tuple[Video, ...]
    audit: pd.DataFrame
    fps: float
    frame_step: int = 1
    blink_subjects: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.reader.name

    @property
    def synthetic(self) -> bool:
        """Whether nobody recorded it."""
        return self.reader.synthetic

    @property
    def subjects(self) -> list[str]:
        """Subjects in natural order (spNO.2 before spNO.10)."""
        return sorted({video.subject for video in self.videos}, key=natural_key)

    def videos_of(self, subject: str) -> list[Video]:
        """The videos of one subject. KeyError naming the known ones where there is no such subject."""
        found = [video for video in self.videos if video.subject == subject]
        if not found:
            raise KeyError(f"unknown subject {subject!r} in {self.name}; known: {', '.join(self.subjects)}")
        return found

    def video(self, subject: str, name: str) -> Video:
        """One video by subject and name. KeyError naming the known ones where there is none."""
        found = {video.name: video for video in self.videos_of(subject)}
        if name not in found:
            raise KeyError(f"unknown video {name!r} of {subject} in {self.name}; known: {', '.join(found)}")
        return found[name]

    def with_kind(self, kind: str = "micro") -> "Dataset":
        """Only the videos that contain an event of a kind; their subjects are the folds."""
        return replace(self, videos=tuple(video for video in self.videos if video.events_of(kind)))

    def has_blinks(self, subject: str) -> bool:
        """Whether this subject's blinks were labelled (not whether there are any)."""
        return subject in self.blink_subjects

    def events(self, *kinds: str) -> dict[Key, list[Event]]:
        """(subject, video) -> events of the given kinds (all by default); a key for every video."""
        return {video.key: video.events_of(*(kinds or KINDS)) for video in self.videos}

    def table(self) -> pd.DataFrame:
        """One row per event: subject, video, kind, emotion, onset, apex, offset, frames, seconds."""
        rows = [
            (v.subject, v.name, e.kind, e.emotion, e.onset, e.apex, e.offset, e.length, e.length / v.fps)
            for v in self.videos
            for e in v.events
        ]
        names = ("subject", "video", "kind", "emotion", "onset", "apex", "offset", "frames", "seconds")
        return pd.DataFrame(rows, columns=list(names)).astype({"apex": "Int64"})


def is_long(event: Event, fps: float) -> bool:
    """Whether an event lasts `LONG_SECONDS` or more: no micro-expression by any definition."""
    return event.length >= LONG_SECONDS * fps - 1e-9
