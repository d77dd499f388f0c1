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

from __future__ import annotations

import base64
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd

from metst_lib import figures, own_video, spotting
from metst_lib._files import atomic, write_json, write_text
from metst_lib.own_video import Analysis
from metst_lib.provenance import versions
from metst_lib.trained import Trained

FILES = ("report.html", "events.csv", "curves.csv", "events.vtt", "figure.png", "analysis.json")

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ a.name }}: micro-expressions</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { border-bottom: 1px solid #8886; padding: .25rem .8rem .25rem 0; text-align: right; }
  th:last-child, td:last-child { padding-right: 0; }
  .word { text-align: left; }
  figure { margin: 1rem 0; background: #fff; } img { max-width: 100%; display: block; }
  .swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
  .limits { background: #fff4d6; color: #222; border-left: 4px solid #c80; padding: .5rem 1rem; }
  .notes { border-left: 4px solid #0072B2; padding: .1rem 1rem; }
  .limits ul, .notes ul { margin: 0; padding-left: 1.1rem; }
  .small { font-size: .85rem; opacity: .85; overflow-wrap: anywhere; }
</style>
<h1>{{ a.name }}</h1>
<p>{{ summary }}</p>
<div class="limits" role="note" aria-label="Limits"><ul>
{%- for line in a.about.limits %}<li>{{ line }}</li>{% endfor %}</ul></div>
{% if a.notes %}<h2>About this recording</h2>
<div class="notes"><ul>{% for line in a.notes %}<li>{{ line }}</li>{% endfor %}</ul></div>{% endif %}
<h2>Along the video</h2>
<figure><img src="data:image/png;base64,{{ picture }}" alt="{{ alt }}"></figure>
<h2>Events</h2>
{% if rows %}<div class="scroll"><table>
<thead><tr><th scope="col">no.</th><th scope="col">start (s)</th><th scope="col">apex (s)</th>
<th scope="col">end (s)</th><th scope="col">frames of the video</th><th scope="col">score</th>
<th scope="col" class="word">emotion</th></tr></thead>
<tbody>{% for r in rows %}<tr><td>{{ r.event }}</td><td>{{ "%.2f"|format(r.start_s) }}</td>
<td>{{ "%.2f"|format(r.apex_s) }}</td><td>{{ "%.2f"|format(r.end_s) }}</td>
<td>{{ r.start_frame }}–{{ r.end_frame }}</td><td>{{ "%.2f"|format(r.score) }}</td>
<td class="word"><span class="swatch" style="background:{{ colours[r.emotion] }}"></span>{{ r.emotion }}</td>
</tr>{% endfor %}</tbody></table></div>{% else %}<p>None found.</p>{% endif %}
<h2>How it was made</h2>
<table class="small">{% for name, value in facts %}<tr><th scope="row" class="word">{{ name }}</th>
<td class="word">{{ value }}</td></tr>{% endfor %}</table>
<p class="small">Beside this page: events.csv and curves.csv with all numbers, events.vtt as subtitles for a
video player, figure.png, and analysis.json with every setting.</p>
</html>
""",
    autoescape=True,
)


def write(analysis: Analysis, folder: str | Path) -> Path:
    """Write all files of an analysis into a folder; returns it.

    An earlier analysis there stays until the new one is whole. FileExistsError where the folder holds
    anything else, which would be lost.
    """
    folder = Path(folder)
    check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _restore(folder)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
    try:
        drawing = figure(analysis)
        picture = figures.png(drawing)
        (new / "figure.png").write_bytes(picture)
        analysis.events_table().to_csv(new / "events.csv", index=False)
        analysis.curves_table().to_csv(new / "curves.csv", index=False)
        write_text(new / "events.vtt", subtitles(analysis))
        write_text(new / "report.html", page(analysis, picture, figures.alt_text(drawing)))
        write_json(new / "analysis.json", about(analysis))
        umask = os.umask(0)
        os.umask(umask)
        new.chmod(0o777 & ~umask)
        _swap(new, folder)
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
    score = spotting.smooth(
        np.where(analysis.scored, analysis.score, analysis.score[analysis.scored].mean()),
        analysis.about.half_width,
    )
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
    return _PAGE.render(
        a=analysis,
        summary=summary(analysis),
        picture=base64.b64encode(picture).decode(),
        alt=alt,
        rows=list(analysis.events_table().itertuples()),
        colours=figures.PALETTE,
        facts=_facts(analysis),
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
            "frames_at_model_rate": len(analysis.score),
        },
        "landmarks": analysis.landmarks,
        "model": {"key": analysis.model_key, **dataclasses.asdict(analysis.about)},
        "threshold": round(analysis.threshold, 4),
        "without_face_s": [[round(t, 3) for t in span] for span in analysis.unseen],
        "not_scored_s": [[round(t, 3) for t in span] for span in analysis.unscored],
        "notes": analysis.notes,
        "limits": analysis.about.limits,
        "events": len(analysis.events),
        "versions": versions(),
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
    *,
    root: str | Path = "",
    face: int | None = None,
    fps: float | None = None,
    jobs: int = 2,
    progress: bool = True,
) -> Iterator[Outcome]:
    """Analyse recordings and write the result of each; one that fails does not stop the others.

    A single one's files lie in `out`; of several each has a folder there, named like the recording, and
    `all_events.csv` beside them holds the events of all. Other arguments: see `own_video.analyze` and
    `own_video.landmarks_from`. FileExistsError, before anything is computed, where a result would be put
    in the place of other files; FileNotFoundError where there is nothing to find landmarks with.
    """
    marks, notes = own_video.landmarks_from(landmarks, root)
    paths, out = [Path(os.path.abspath(path)) for path in recordings], Path(out)
    folders = [out] if len(paths) == 1 else [out / name for name in _names(paths)]
    for folder in folders:
        check(folder)
    tables = {}
    for path, folder in zip(paths, folders, strict=True):
        try:
            known = own_video.known_landmarks(marks, path) if isinstance(marks, Path) else marks
            analysis = own_video.analyze(path, model, known, face=face, fps=fps, jobs=jobs, progress=progress)
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


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    recording, about_it = analysis.recording, analysis.about
    height, width = recording.shape
    rate = f"{recording.fps:.4g} frames per second" + ("" if recording.steady else " on average, varying")
    return [
        ("recording", f"{len(recording.times)} frames of {width} × {height}, {rate}"),
        ("used", f"{len(analysis.score)} frames at the model's {about_it.fps:.4g} per second"),
        ("landmarks", analysis.landmarks),
        (
            "model",
            f"{about_it.title} ({about_it.preset} size), {about_it.roi_set} regions, windows of "
            f"{about_it.window} frames, {analysis.model_key}",
        ),
        (
            "trained on",
            f"{about_it.trained_on}: {about_it.videos} videos of {about_it.subjects} subjects, "
            f"{about_it.micro_expressions} micro-expressions",
        ),
        (
            "events",
            f"k_p = {about_it.half_width} frames, p = {about_it.p:g}, threshold {analysis.threshold:.3f}",
        ),
    ]


def _clock(seconds: float) -> str:
    """A WebVTT time stamp, hh:mm:ss.ttt."""
    total = round(seconds * 1000)
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d}.{total % 1000:03d}"


def _swap(new: Path, folder: Path) -> None:
    """Put a whole folder in an earlier one's place; a kill in between leaves that one as `.<name>.old`."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path) -> None:
    """Undo what a run left that was killed while it swapped."""
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)
    for left in folder.parent.glob(f".{folder.name}.*.new"):
        shutil.rmtree(left, ignore_errors=True)
