"""What a set of long videos looks like in numbers: how often, how long, how near each other, of which class.

The three real sets' numbers stand in `real_statistics.csv`: counts and summaries of the owners' workbooks, no
row of theirs. A set that a program draws is held against them (paper, Sec. IV-A, Table I).

Glossary: ME micro-expression; macro macro-expression; a gap between two events is the time between the last
frame of one and the first of the other, nothing where they touch or overlap.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metst_lib.datasets.loading import find_tables, load
from metst_lib.events import EMOTIONS, Event, Video, overlap

STORED = Path(__file__).with_name("real_statistics.csv")
#: Places after the point that the stored file keeps.
PLACES = 4
#: Two events are near where the gap between them is no longer, in seconds.
NEAR_SECONDS = 1.0
_SHORT, _MIDDLE, _LONG = 5, 50, 95  # percentiles
_SPREAD = {"5 %": _SHORT, "median": _MIDDLE, "95 %": _LONG}
_KINDS = {"micro": "ME", "macro": "macro", "blink": "blink"}

#: Every statistic, with its unit in the name → how it is counted.
STATISTICS = {
    "videos": "all whose length is known",
    "total length (min)": "of all videos",
    "subjects with an ME": "the folds of leave-one-subject-out",
    "MEs": "labelled, long ones too",
    "MEs per minute, all videos (1/min)": "MEs / total length",
    "MEs per minute, videos with an ME (1/min)": "MEs / length of the videos that hold one",
    "macros per minute (1/min)": "macros / total length",
    "blinks per minute, labelled subjects (1/min)": "all videos of the subjects whose blinks are labelled",
    "blinks per minute, videos with a blink (1/min)": "only videos in which a blink is labelled",
    **{
        f"{name} duration, {place} (s)": "onset to offset, both counted"
        for name in _KINDS.values()
        for place in _SPREAD
    },
    **{f"video length, {place} (s)": "all videos" for place in _SPREAD},
    "videos without an ME (%)": "of all videos",
    "MEs that overlap a macro (%)": "share a frame with one",
    "MEs within 1 s of a macro (%)": "overlap one, or the gap is at most 1 s",
    "MEs within 1 s of another ME (%)": "overlap one, or the gap is at most 1 s",
    "frames in an ME (%)": "of the frames of all videos",
    "classes per subject, mean of 4": "of the subjects with an ME",
    "subjects with fewer than 3 classes (%)": "of the subjects with an ME",
    **{f"class {emotion} (%)": "of the MEs" for emotion in EMOTIONS},
    "MEs per subject, median": "of the subjects with an ME",
    "MEs per subject, most": "of the subjects with an ME",
}


def statistics(videos: Sequence[Video], blink_subjects: Collection[str] | None = None) -> pd.Series:
    """Every statistic of `STATISTICS`, by name; NaN where the set labels no event that it is about.

    videos: all of the set, at the owners' frame rate, those without an event too. blink_subjects: those whose
    blinks were labelled; all of them by default. Shares are in percent. ValueError without a video, and for
    one without a length.
    """
    if not videos:
        raise ValueError("a set without a video has no statistics")
    for video in videos:
        if not video.n_frames > 0 or not video.fps > 0:
            raise ValueError(f"video {video.subject} {video.name} has no length")
    found = {**_rates(videos, blink_subjects), **_lengths(videos), **_nearness(videos), **_classes(videos)}
    return pd.Series({name: float(found[name]) for name in STATISTICS}, name="value").rename_axis("statistic")


def real() -> pd.DataFrame:
    """The stored statistics of the real sets: dataset, statistic, value, counted, source; a row each."""
    return pd.read_csv(STORED)


def from_owners(folder: str | Path) -> pd.DataFrame:
    """The table that `real` reads, made anew from the owners' workbooks.

    folder: holds a folder of each set with its workbooks, casme3/video_frames.csv (subject, video, first_jpg,
    last_jpg) and evidence/videos.csv (dataset, subject, video, n_frames) for the lengths of the others.
    """
    folder = Path(folder)
    listed = folder / "evidence" / "videos.csv"
    lengths = pd.read_csv(listed, dtype={"subject": str, "video": str})
    tables = []
    for name in ("casme3", "sammlv", "casme2sq"):
        books, theirs = find_tables(name, folder / name), lengths[lengths["dataset"] == name]
        ranges: Any = {(row.subject, row.video): (1, row.n_frames) for row in theirs.itertuples()}
        said = "lengths as public copies list them"
        if not ranges:
            ranges, said = folder / name / "video_frames.csv", "lengths: first to last jpg of each folder"
        data = load(name, folder, tables=books, ranges=ranges, videos="all", frame_step=1)
        table = statistics(data.videos, data.blink_subjects).round(PLACES).reset_index()
        table.insert(0, "dataset", name)
        workbooks = " + ".join(book.name for book in books if book)
        source = f"{workbooks}, repaired as `metst data audit` says; {said}"
        tables.append(table.assign(counted=list(STATISTICS.values()), source=source))
    return pd.concat(tables, ignore_index=True)


def _rates(videos: Sequence[Video], blink_subjects: Collection[str] | None) -> dict[str, float]:
    """How many, and how often a minute."""
    with_me = [video for video in videos if video.events_of("micro")]
    of_blinkers = [v for v in videos if blink_subjects is None or v.subject in blink_subjects]
    with_blink = [v for v in of_blinkers if v.events_of("blink")]
    minutes = _minutes(videos)
    count = {kind: sum(len(video.events_of(kind)) for video in videos) for kind in _KINDS}
    blinks = sum(len(video.events_of("blink")) for video in with_blink) or np.nan
    return {
        "videos": len(videos),
        "total length (min)": minutes,
        "subjects with an ME": len({video.subject for video in with_me}),
        "MEs": count["micro"],
        "MEs per minute, all videos (1/min)": _ratio(count["micro"], minutes),
        "MEs per minute, videos with an ME (1/min)": _ratio(count["micro"], _minutes(with_me)),
        "macros per minute (1/min)": _ratio(count["macro"] or np.nan, minutes),
        "blinks per minute, labelled subjects (1/min)": _ratio(blinks, _minutes(of_blinkers)),
        "blinks per minute, videos with a blink (1/min)": _ratio(blinks, _minutes(with_blink)),
        "videos without an ME (%)": 100 * (1 - len(with_me) / len(videos)),
        "frames in an ME (%)": _ratio(100 * sum(map(_covered, videos)), sum(v.n_frames for v in videos)),
    }


def _lengths(videos: Sequence[Video]) -> dict[str, float]:
    """Percentiles of the lengths of events and videos, in seconds."""
    seconds = {
        f"{name} duration": [event.length / video.fps for video in videos for event in video.events_of(kind)]
        for kind, name in _KINDS.items()
    }
    seconds["video length"] = [video.n_frames / video.fps for video in videos]
    return {
        f"{name}, {place} (s)": np.percentile(values, percent) if values else np.nan
        for name, values in seconds.items()
        for place, percent in _SPREAD.items()
    }


def _nearness(videos: Sequence[Video]) -> dict[str, float]:
    """Shares of MEs that lie on or beside something else; of macros only where the set labels any."""
    on, beside, together = [], [], []
    for video in videos:
        mes, macros = video.events_of("micro"), video.events_of("macro")
        near = NEAR_SECONDS * video.fps + 1e-9
        for i, me in enumerate(mes):
            on.append(any(overlap(me, macro) for macro in macros))
            beside.append(any(_gap(me, macro) <= near for macro in macros))
            together.append(any(_gap(me, other) <= near for other in mes[:i] + mes[i + 1 :]))
    macros = any(video.events_of("macro") for video in videos)
    return {
        "MEs that overlap a macro (%)": _share(on) if macros else np.nan,
        "MEs within 1 s of a macro (%)": _share(beside) if macros else np.nan,
        "MEs within 1 s of another ME (%)": _share(together),
    }


def _classes(videos: Sequence[Video]) -> dict[str, float]:
    """Classes of the MEs, and what a subject shows of them."""
    by_subject: dict[str, list[str | None]] = {}
    for video in videos:
        for event in video.events_of("micro"):
            by_subject.setdefault(video.subject, []).append(event.emotion)
    found = Counter(emotion for theirs in by_subject.values() for emotion in theirs if emotion)
    classes = [len(set(theirs) - {None}) for theirs in by_subject.values()] if found else []
    sizes = [len(theirs) for theirs in by_subject.values()]
    return {
        "classes per subject, mean of 4": np.mean(classes) if classes else np.nan,
        "subjects with fewer than 3 classes (%)": _share([number < 3 for number in classes]),
        **{f"class {emotion} (%)": _ratio(100 * found[emotion], found.total()) for emotion in EMOTIONS},
        "MEs per subject, median": np.median(sizes) if sizes else np.nan,
        "MEs per subject, most": max(sizes, default=np.nan),
    }


def _gap(a: Event, b: Event) -> int:
    """Frames between two events; 0 or less where they touch or overlap."""
    return max(a.onset, b.onset) - min(a.offset, b.offset) - 1


def _covered(video: Video) -> int:
    """Frames that lie in an ME, each counted once."""
    frames = np.zeros(video.n_frames, bool)
    for event in video.events_of("micro"):
        frames[event.onset : event.offset + 1] = True
    return int(frames.sum())


def _minutes(videos: Sequence[Video]) -> float:
    return sum(video.n_frames / video.fps for video in videos) / 60


def _ratio(a: float, b: float) -> float:
    return a / b if b else np.nan


def _share(found: Sequence[bool]) -> float:
    return 100 * float(np.mean(found)) if len(found) else np.nan
