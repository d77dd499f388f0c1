"""The synthetic set on disk, in the layout and with the annotation workbooks of CAS(ME)³ part A.

`write("data")` fills `data/synthetic/`:

- `data/spNO.<n>/<letter>/color/<jpgIndex>.jpg`: grey frames; the first index is not 1 and differs by video;
- `cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx`: the micro-expressions in jpg indices, with their emotions;
- `CAS(ME)3_part_A_v2.xlsx`: sheet "AU+Emotion", macro- and micro-expressions without emotion, and sheet
  "eye blink";
- `truth/<subject>_<letter>.npz`: what was rendered, see `truth`;
- `shape_predictor_68_synthetic.dat`: the demonstration's landmark predictor;
- `settings.json`, written first, and `complete.json`, written last: what was asked for; that it is all there.

A video is done when its truth file is there, which is written after its last frame. A run that was killed, or
that filled the disk, leaves no `complete.json`; the same call goes on where it stopped.
"""

import os
import shutil
import string
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
from tqdm.auto import tqdm

from metst_lib._files import atomic, digest, read_json, write_json
from metst_lib.events import Key
from metst_lib.synthetic import predictor, truth
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import FPS, SECONDS, Script, write_script

#: Grows with every change to what the same settings give.
RECIPE = 2
NAME = "synthetic"
SUBJECTS, VIDEOS = 8, 2  # videos of each subject
MICRO_BOOK = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
SECOND_BOOK = "CAS(ME)3_part_A_v2.xlsx"
JPEG_QUALITY = 90
_TICK = 50  # frames between two steps of the progress bar
_MAKERS = ("numpy", "opencv-python-headless", "scikit-image", "dlib-bin")
_COMPLETE = "complete.json"
_FILES = (MICRO_BOOK, SECOND_BOOK, predictor.NAME)


@dataclass(frozen=True)
class Plan:
    """One video to write: who, which, and the jpg index of its first frame."""

    subject: str
    video: str
    first: int
    script: Script

    @property
    def key(self) -> Key:
        """(subject, video)."""
        return self.subject, self.video


def write(
    root: str | Path,
    subjects: int = SUBJECTS,
    videos: int = VIDEOS,
    seconds: float = SECONDS,
    fps: int = FPS,
    seed: int = 0,
    jobs: int = 2,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write the synthetic set into `root`/synthetic and return that folder.

    `videos` are per subject, `jobs` threads render. A whole set of the same settings is left as it is, one
    with parts missing is completed. ValueError where a setting is out of range, or where the folder holds a
    set of other settings and `overwrite` is not set; FileExistsError where it holds something else.
    """
    if not 1 <= jobs <= 64:
        raise ValueError(f"jobs = {jobs!r} must be between 1 and 64")
    plans = plan(subjects, videos, seconds, fps, seed)
    settings = {
        "recipe": RECIPE, "subjects": subjects, "videos": videos, "seconds": float(seconds), "fps": fps,
        "seed": seed, "jpeg_quality": JPEG_QUALITY,
    }  # fmt: skip
    folder = Path(root) / NAME
    whole, missing = _take(folder, settings, overwrite), [p for p in plans if not _done(folder, p)]
    if whole and not missing and all((folder / name).is_file() for name in _FILES):
        return folder
    (folder / _COMPLETE).unlink(missing_ok=True)
    _render(missing, folder, jobs, progress)
    _write_tables(folder, plans)
    if not (folder / predictor.NAME).exists():
        predictor.train(folder / predictor.NAME, seed, progress=progress)
    versions = {name: version(name) for name in _MAKERS}
    shown = [
        {"subject": p.subject, "video": p.video, "first": p.first, "frames": p.script.n_frames} for p in plans
    ]
    about = {"settings": settings, "key": digest(settings), "versions": versions, "videos": shown}
    write_json(folder / _COMPLETE, about)
    return folder


def plan(
    subjects: int = SUBJECTS, videos: int = VIDEOS, seconds: float = SECONDS, fps: int = FPS, seed: int = 0
) -> list[Plan]:
    """What a set of these settings consists of, without writing anything."""
    for name, value, most in (("subjects", subjects, 999), ("videos", videos, 26)):
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(f"{name} = {value!r} must be a whole number from 1 to {most}")
    return [
        Plan(
            f"spNO.{subject + 1}",
            string.ascii_lowercase[video],
            2 + 5 * (subject * videos + video) % 8,
            write_script(seed, subject, video, seconds, fps),
        )
        for subject in range(subjects)
        for video in range(videos)
    ]


# ---------------------------------------------------------------- what is there already


def _take(folder: Path, settings: dict[str, Any], overwrite: bool) -> bool:
    """Make the folder ours for these settings; whether a whole set is said to lie in it."""
    marker = folder / "settings.json"
    if marker.exists():
        there = read_json(marker)
        if there == settings:
            return (folder / _COMPLETE).is_file()
        if not overwrite:
            differences = ", ".join(
                f"{name} {there.get(name)!r} there, {settings.get(name)!r} asked for"
                for name in sorted({*there, *settings})
                if there.get(name) != settings.get(name)
            )
            raise ValueError(
                f"{folder} holds a synthetic set of other settings ({differences}); "
                "overwrite it (overwrite=True, --overwrite) or write to another root"
            )
        for name in (_COMPLETE, *_FILES):
            (folder / name).unlink(missing_ok=True)
        for part in (folder / "data", folder / truth.FOLDER):
            if part.is_dir():
                shutil.rmtree(part)
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise FileExistsError(f"{folder} holds files, but no synthetic set (no settings.json): left alone")
    write_json(marker, settings)
    return False


def _frame_folder(folder: Path, p: Plan) -> Path:
    return folder / "data" / p.subject / p.video / "color"


def _done(folder: Path, p: Plan) -> bool:
    if not truth.path_of(folder / truth.FOLDER, p.key).is_file() or not _frame_folder(folder, p).is_dir():
        return False
    with os.scandir(_frame_folder(folder, p)) as entries:
        whole = sum(entry.name.endswith(".jpg") and entry.stat().st_size > 0 for entry in entries)
    return whole == p.script.n_frames


# ---------------------------------------------------------------- frames and truth


def _render(plans: list[Plan], folder: Path, jobs: int, progress: bool) -> None:
    """Render videos side by side. Threads do: OpenCV and NumPy let go of Python's lock."""
    stop = threading.Event()
    frames = sum(p.script.n_frames for p in plans)
    cv2_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # one per video is enough
    shown = {"desc": "synthetic videos", "unit": "frame", "disable": None if progress and frames else True}
    with tqdm(total=frames, mininterval=1, **shown) as bar, ThreadPoolExecutor(jobs) as pool:
        tasks = [pool.submit(_write_video, folder, p, stop, bar.update) for p in plans]
        try:
            wait(tasks, return_when="FIRST_EXCEPTION")
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            cv2.setNumThreads(cv2_threads)


def _write_video(folder: Path, p: Plan, stop: threading.Event, tick: Any) -> None:
    truth.path_of(folder / truth.FOLDER, p.key).unlink(missing_ok=True)
    frames = _frame_folder(folder, p)
    if frames.exists():
        shutil.rmtree(frames)
    frames.mkdir(parents=True)
    film = Film(p.script)
    for t in range(len(film)):
        if stop.is_set():
            return
        encoded, data = cv2.imencode(".jpg", film[t], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not encoded:
            raise OSError(f"frame {t} of {p.subject} {p.video} could not be encoded as JPEG")
        (frames / f"{p.first + t}.jpg").write_bytes(data)  # unlike cv2.imwrite it says when the disk is full
        if (t + 1) % _TICK == 0 or t + 1 == len(film):
            tick(t % _TICK + 1)
    truth.save(folder / truth.FOLDER, p.key, film, p.first)


# ---------------------------------------------------------------- workbooks


def _write_tables(folder: Path, plans: list[Plan]) -> None:
    """Both workbooks, with the sheets and columns of the owners'; frames are jpg indices."""
    micro, expressions, blinks = [], [], []
    for p in plans:
        for a in p.script.actions:
            span = {"Subject": p.subject, "Filename": p.video, "Onset": p.first + a.onset}
            if a.kind == "blink":
                blinks.append({**span, "Offset": p.first + a.offset})
                continue
            row = {**span, "Apex": p.first + a.apex, "Offset": p.first + a.offset, "AU": a.unit_names}
            objective = {"Objective class": a.recipe.objective_class}
            kind = {"Expression type": f"{a.kind.capitalize()}-expression"}
            expressions.append({**row, **kind, **objective})
            if a.kind == "micro":
                micro.append({**row, **objective, "emotion": a.recipe.word})
    _write_book(folder / MICRO_BOOK, {"label": pd.DataFrame(micro)})
    eyes = pd.DataFrame(blinks, columns=["Subject", "Filename", "Onset", "Offset"])
    _write_book(folder / SECOND_BOOK, {"AU+Emotion": pd.DataFrame(expressions), "eye blink": eyes})


def _write_book(path: Path, sheets: dict[str, pd.DataFrame]) -> None:
    with atomic(path) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as book:
        for name, sheet in sheets.items():
            sheet.to_excel(book, sheet_name=name, index=False)
