"""The study set: replicates drawn alike and independently, as ROI flow by `signals`.

A replicate is a whole data set of its own: other subjects, other scripts. Its folds leave out groups of
subjects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from metst_lib.events import Event, Key, Video
from metst_lib.flow import RoiFlow
from metst_lib.synthetic import script, signals

SUBJECTS, GROUPS, VIDEOS, SECONDS, WINDOW = 24, 6, 3, 50, 30


@dataclass(frozen=True, eq=False)
class Replicate:
    """One data set of the study: its number, its videos with their events, and their scripts."""

    number: int
    videos: tuple[Video, ...]
    scripts: Mapping[Key, script.Script]

    @cached_property
    def truth(self) -> dict[Key, list[Event]]:
        """The events of every video, of all kinds."""
        return {video.key: list(video.events) for video in self.videos}

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The subjects that are left out together."""
        names = list(dict.fromkeys(video.subject for video in self.videos))
        size = len(names) // GROUPS
        return tuple(tuple(names[i : i + size]) for i in range(0, len(names), size))

    @lru_cache(maxsize=4)  # noqa: B019
    def flow(self, roi_set: str = "5") -> dict[Key, RoiFlow]:
        """The ROI flow of every video in windows of `WINDOW` frames."""
        return {
            v.key: signals.roi_flow(v, roi_set, WINDOW, self.number, actions=self.scripts[v.key].actions)
            for v in self.videos
        }


@lru_cache(maxsize=4)
def replicate(number: int) -> Replicate:
    """The replicate of this number; the same number gives the same one."""
    scripts, videos = {}, []
    for subject in range(SUBJECTS):
        for n in range(VIDEOS):
            drawn = script.write_script(1000 + number, subject, n, SECONDS)
            video = Video(f"s{subject + 1:02d}", "abc"[n], drawn.fps, drawn.n_frames, drawn.events)
            videos.append(video)
            scripts[video.key] = drawn
    return Replicate(number, tuple(videos), scripts)
