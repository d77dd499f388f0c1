"""A data set brought from outside: loaded, checked and audited like any other."""

from dataclasses import replace
from pathlib import Path

import lookalikes
import pandas as pd
import pytest
import toyset

from metst_lib import datasets
from metst_lib.datasets import check, registry

VIDEOS = {("anna", "1"): (1, 90), ("anna", "2"): (1, 90), ("bert", "1"): (5, 94)}
ROWS = [
    ["anna", "1", 11, 16, 22, "joy", "micro"],
    ["anna", "1", 40, 50, 70, "", "macro"],
    ["anna", "2", 31, 35, 41, "anger", "micro"],
    ["bert", "1", 3, 20, 30, "joy", "micro"],  # begins before the first frame
    ["bert", "1", 80, 0, 70, "joy", "micro"],  # upside down
]
TOY = replace(toyset.TOY, fps=25.0)


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    """A folder like data/ with the toy set in it."""
    monkeypatch.setattr(registry, "_registered", {})
    datasets.register(TOY)
    lookalikes.write_workbook(tmp_path / "toy/toy.xlsx", {"x": pd.DataFrame(ROWS, columns=toyset.COLUMNS)})
    for (subject, video), (first, last) in VIDEOS.items():
        lookalikes.write_frames(tmp_path / "toy" / subject / video, "{}.jpg", range(first, last + 1))
    return tmp_path


def test_it_is_loaded_like_any_other(toy):
    with pytest.raises(ValueError, match=r"toy.xlsx, .*row 6, column 'onset': onset 80 lies after offset 70"):
        datasets.load("toy", toy)
    data = datasets.load("toy", toy, bad_rows="drop")
    assert (data.name, data.synthetic, data.fps) == ("toy", True, 25.0) and data.reader is TOY
    assert [video.key for video in data.videos] == list(VIDEOS)
    event = data.video("bert", "1").events[0]
    assert (event.onset, event.apex, event.offset, event.emotion) == (0, 15, 25, "positive")
    assert data.has_blinks("bert")


def test_its_kinds_of_event_choose_its_videos(toy):
    data = datasets.load("toy", toy, videos="all", bad_rows="drop")
    assert [video.key for video in data.with_kind("macro").videos] == [("anna", "1")]
    assert data.with_kind().subjects == data.with_kind("micro").subjects == ["anna", "bert"]
    assert datasets.load("toy", toy, videos="with_macro", bad_rows="drop").subjects == ["anna"]


def test_it_is_checked_and_audited(toy):
    table = check.check("toy", toy).set_index("item")
    assert table.loc["tables read", "to_do"].startswith("toy.xlsx, sheet 'x', row 6")
    assert table.loc["videos with frames", "found"] == "3"
    assert table.loc["micro-expressions", ["found", "expected", "ok"]].tolist() == ["3", "–", True]
    assert table["ok"].drop("tables read").all()
    steps = check.audit("toy", toy)
    assert steps[["step", "micro"]].values.tolist() == [
        ["rows of micro-expressions", 4],
        ["dropped", 3],
        ["kept", 3],
        ["loaded", 3],
        ["clipped", 3],
    ]


def test_a_name_is_given_once(toy):
    assert datasets.known() == ["synthetic", "casme3", "sammlv", "casme2sq", "casme3-rehearsal", "toy"]
    for reader in (TOY, datasets.reader_of("casme3")):
        with pytest.raises(ValueError, match=rf"there is a data set '{reader.name}' already; known: synth"):
            datasets.register(reader)


# ---------------------------------------------------------------- by entry point


@pytest.fixture
def bring(monkeypatch):
    """Have an installed package bring a set: its name, and where its reader is."""

    def bring(name, value):
        point = registry.EntryPoint(name, value, registry.GROUP)
        monkeypatch.setattr(registry, "_brought", lambda: {name: point})

    return bring


def test_an_installed_package_brings_a_set(bring):
    bring("toy", f"{__name__}:TOY")
    assert datasets.known() == ["casme3", "sammlv", "casme2sq", "toy"]
    assert datasets.reader_of("toy") is TOY


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gone", "no_such_package:READER", "cannot be loaded: No module named 'no_such_package'"),
        ("gone", f"{__name__}:NOTHING", "cannot be loaded: .*NOTHING"),
        ("gone", f"{__name__}:ROWS", "is no Reader of that name"),
        ("other", f"{__name__}:TOY", "is no Reader of that name"),
    ],
)
def test_one_that_cannot_be_loaded_is_named_when_it_is_asked_for(bring, root, name, value, message):
    bring(name, value)
    assert name in datasets.known() and len(datasets.load("casme3", root).videos) == 4
    where = rf"the data set '{name}' .entry point metst.readers, {value}. "
    with pytest.raises(ValueError, match=where + message):
        datasets.reader_of(name)


def test_our_own_synthetic_sets_come_the_same_way():
    assert {"synthetic", "casme3-rehearsal"} <= registry._brought().keys()
    synthetic, rehearsal = (datasets.reader_of(name) for name in ("synthetic", "casme3-rehearsal"))
    assert synthetic.synthetic and rehearsal.synthetic and not datasets.reader_of("casme3").synthetic
    assert rehearsal.rehearses == "casme3" and rehearsal.flow is not None and synthetic.flow is None
