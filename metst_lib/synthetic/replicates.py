"""The study set: replicates drawn alike and independently, as ROI flow by `study_signals`.

A replicate is a whole data set of its own: other subjects, other scripts. Its folds leave out groups of
subjects. Replicate 0 is for settings and never counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from metst_lib.events import Event, Key, Video
from metst_lib.flow import RoiFlow
from metst_lib.synthetic import study_script, study_signals
from metst_lib.synthetic.difficulty import Difficulty, difficulty
from metst_lib.synthetic.script import Script

#: Frames of a window, k.
WINDOW = 30


@dataclass(frozen=True, eq=False)
class Replicate:
    """One data set of the study: its number, its videos with their events, their scripts, its difficulty."""

    number: int
    videos: tuple[Video, ...]
    scripts: Mapping[Key, Script]
    difficulty: Difficulty = field(default_factory=difficulty)

    @cached_property
    def truth(self) -> dict[Key, list[Event]]:
        """The events of every video, of all kinds."""
        return {video.key: list(video.events) for video in self.videos}

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The subjects that are left out together."""
        names = list(dict.fromkeys(video.subject for video in self.videos))
        size = len(names) // self.difficulty.groups
        return tuple(tuple(names[i : i + size]) for i in range(0, len(names), size))

    def flow(self, roi_set: str = "5", without: Iterable[str] = ()) -> dict[Key, RoiFlow]:
        """The ROI flow of every video in windows of `WINDOW` frames; without: kinds of actions left out of
        it, such as "micro", the truth unchanged. ValueError for an unknown set."""
        return self._flow(roi_set, tuple(without))

    @lru_cache(maxsize=4)  # noqa: B019
    def _flow(self, roi_set: str, without: tuple[str, ...]) -> dict[Key, RoiFlow]:
        if roi_set != "18":
            whole = self._flow("18", without)
            return {key: study_signals.narrowed(flow, roi_set) for key, flow in whole.items()}
        drawn = self.scripts.items()
        return {
            key: study_signals.roi_flow(script, self.difficulty, WINDOW, without) for key, script in drawn
        }


def replicate(number: int, what: Difficulty | None = None) -> Replicate:
    """The replicate of this number at a difficulty, the frozen one where none is given; the same arguments
    give the same one."""
    return _replicate(number, what or difficulty())


@lru_cache(maxsize=4)
def _replicate(number: int, what: Difficulty) -> Replicate:
    scripts = study_script.write_scripts(number, what)
    videos = [Video(*key, drawn.fps, drawn.n_frames, drawn.events) for key, drawn in scripts.items()]
    return Replicate(number, tuple(videos), scripts, what)
