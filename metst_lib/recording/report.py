"""What is kept of a video of your own: tables, a figure, subtitles and a page, in one folder.

| file | what |
|---|---|
| report.html | the page to open: figure, events, what to know; needs no other file and no network |
| events.csv | one row per micro-expression: seconds, the recording's own frames, emotion, score |
| curves.csv | one row per frame: time, own frame, face seen, score, class probabilities |
| events.vtt | the events as WebVTT subtitles, to play beside the video |
| figure.png | score, threshold and events along the recording |
| analysis.json | how it was made: recording, model, settings, notes, limits |
"""

import base64
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd

from metst_lib import experiment, figures, spotting
from metst_lib._files import atomic, write_json, write_text
from metst_lib.recording.analysis import Analysis, analyze, filled
from metst_lib.recording.face import known_landmarks, landmarks_from
from metst_lib.recording.model import Trained

FILES = ("report.html", "events.csv", "curves.csv", "events.vtt", "figure.png", "analysis.json")

_PAGES = jinja2.Environment(loader=jinja2.PackageLoader("metst_lib.recording", ""), autoescape=True)


def write(analysis: Analysis, folder: str | Path) -> Path:
    """Write all files of an analysis into a folder; returns it.

    An earlier analysis there stays until the new one is whole. FileExistsError where the folder holds
    anything else, which would be lost.
    """
    folder = Path(folder)
    check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{age}") for age in ("new", "old"))
    if old.exists() and not folder.exists():  # a run was killed between its two renames
        os.replace(old, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        new.mkdir()
        drawing = figure(analysis)
        picture = figures.png(drawing)
        (new / "figure.png").write_bytes(picture)
        analysis.events_table().to_csv(new / "events.csv", index=False)
        analysis.curves_table().to_csv(new / "curves.csv", index=False)
        write_text(new / "events.vtt", subtitles(analysis))
        write_text(new / "report.html", page(analysis, picture, figures.alt_text(drawing)))
        write_json(new / "analysis.json", about(analysis))
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def check(folder: str | Path) -> None:
    """FileExistsError where a folder of results may not go: something else is there."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; --out names a folder")
    strange = sorted({path.name for path in folder.iterdir()} - set(FILES)) if folder.is_dir() else []
    if strange:
        raise FileExistsError(
            f"{folder} holds {strange[0]}, which is no analysis' file and would be lost: choose another --out"
        )


def figure(analysis: Analysis) -> figures.Drawing:
    """The recording's figure; no face is shown."""
    score = spotting.smooth(filled(analysis.prediction.score, analysis.scored), analysis.about.half_width)
    table = analysis.events_table()
    drawn = figures.recording(
        analysis.name,
        analysis.resampled.seconds,
        np.where(analysis.scored, score, np.nan),
        analysis.threshold,
        list(table[["start_s", "end_s", "emotion"]].itertuples(index=False, name=None)),
        analysis.unscored,
    )
    origin = "a synthetic face" if analysis.about.synthetic else analysis.about.trained_on
    return figures.stamp(drawn, f"model trained on {origin}; not for judging people")


def summary(analysis: Analysis) -> str:
    """What was found, in a sentence or two."""
    events, recording = analysis.events, analysis.recording
    many = "1 micro-expression" if len(events) == 1 else f"{len(events) or 'No'} micro-expressions"
    counted = pd.Series([event.emotion for event in events], dtype=object).value_counts()
    kinds = ", ".join(f"{count} {emotion}" for emotion, count in counted.items())
    scored = 100 * analysis.scored.mean()
    part = "" if analysis.scored.all() else f" {scored:.0f} % of the video could be scored."
    return f"{many} reported in {recording.seconds:.1f} s{f': {kinds}' if kinds else ''}.{part}"


def page(analysis: Analysis, picture: bytes, alt: str) -> str:
    """The report as HTML: one file that loads nothing."""
    return _PAGES.get_template("report.html").render(
        a=analysis,
        summary=summary(analysis),
        picture=base64.b64encode(picture).decode(),
        alt=alt,
        rows=list(analysis.events_table().itertuples()),
        colours=figures.PALETTE,
    )


def subtitles(analysis: Analysis) -> str:
    """The events as WebVTT, https://www.w3.org/TR/webvtt1/; the limits stand in a comment on top."""
    limits = "\n".join(["NOTE", *analysis.about.limits])
    cues = [
        f"{row.event}\n{_clock(row.start_s)} --> {_clock(row.end_s)}\n{row.emotion} (score {row.score:.2f})"
        for row in analysis.events_table().itertuples()
    ]
    return "\n\n".join(["WEBVTT", limits, *cues]) + "\n"


def about(analysis: Analysis) -> dict[str, Any]:
    """How the result was made, as JSON-able values; file names without folders."""
    recording = analysis.recording
    return {
        "recording": {
            "name": analysis.name,
            "frames": len(recording.times),
            "seconds": round(recording.seconds, 3),
            "fps": round(recording.fps, 4),
            "steady": recording.steady,
            "height_width": list(recording.shape),
            "rotation": recording.rotation,
            "frames_scored": int(analysis.scored.sum()),
            "frames_at_model_rate": len(analysis.seen),
        },
        "landmarks": analysis.landmarks,
        "model": {"key": analysis.model.key, **dataclasses.asdict(analysis.about)},
        "threshold": round(analysis.threshold, 4),
        "without_face_s": [[round(t, 3) for t in span] for span in analysis.unseen],
        "not_scored_s": [[round(t, 3) for t in span] for span in analysis.unscored],
        "notes": analysis.notes,
        "limits": analysis.about.limits,
        "events": len(analysis.events),
        "versions": experiment.versions(),
    }


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: the folder of its result and the analysis, or why there is none."""

    path: Path
    folder: Path
    analysis: Analysis | None = None
    error: str = ""


def run(
    recordings: Sequence[str | Path],
    model: Trained,
    out: str | Path,
    landmarks: str | Path = "",
    root: str | Path = "",
    **how: Any,
) -> Iterator[Outcome]:
    """Analyse recordings and write the result of each; one that fails does not stop the others.

    A single one's files lie in `out`; of several each has a folder there, named like the recording, and
    `all_events.csv` beside them holds the events of all. landmarks, root: see `face.landmarks_from`; how:
    face, fps and jobs as of `analysis.analyze`. FileExistsError, before anything is computed, where a result
    would be put in the place of other files; FileNotFoundError where there is nothing to find landmarks with.
    """
    marks, notes = landmarks_from(landmarks, root)
    paths, out = [Path(os.path.abspath(path)) for path in recordings], Path(out)
    folders = [out] if len(paths) == 1 else [out / name for name in _names(paths)]
    for folder in folders:
        check(folder)
    tables = {}
    for path, folder in zip(paths, folders, strict=True):
        try:
            known = known_landmarks(marks, path) if isinstance(marks, Path) else marks
            analysis = analyze(path, model, known, **how)
        except (ValueError, OSError, RuntimeError, cv2.error) as error:
            yield Outcome(path, folder, error=str(error))
            continue
        analysis.notes[:0] = notes
        write(analysis, folder)
        tables[folder.name] = analysis.events_table()
        yield Outcome(path, folder, analysis)
    if len(paths) > 1 and tables:
        together = pd.concat(tables, names=["video"]).reset_index("video")
        with atomic(out / "all_events.csv") as temporary:
            together.to_csv(temporary, index=False)


def _names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each recording; the second of the same name ends in -2."""
    stems = [path.name if path.is_dir() else path.stem for path in paths]
    return [
        stem if (before := stems[:i].count(stem)) == 0 else f"{stem}-{before + 1}"
        for i, stem in enumerate(stems)
    ]


def _clock(seconds: float) -> str:
    """A WebVTT time stamp, hh:mm:ss.ttt."""
    total = round(seconds * 1000)
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d}.{total % 1000:03d}"
