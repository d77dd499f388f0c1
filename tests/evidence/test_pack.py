"""The pack: what is in it, by key; what does not fit is named by file and row or video."""

import shutil

import numpy as np
import pytest

from metst_lib.events import Event
from metst_lib.evidence import pack


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small, tmp_path / "pack")


def change(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_curves_truths_and_lengths_are_there_by_key(small):
    given = pack.load(small)
    assert given.missing == () and given.changed == () and given.warning == ""
    assert list(given.scores["sammlv", "micro"]) == [("006", "006_1"), ("021", "021_3")]
    assert given.scores["sammlv", "micro"]["006", "006_1"].shape == (400 - 37,)
    assert given.truth["sammlv"]["006", "006_1"] == [
        Event(0, 150, kind="macro"),
        Event(210, 280, emotion="surprise"),
    ]
    assert given.truth_of("sammlv", "micro")["006", "006_2"] == []
    assert given.n_frames["casme2sq"]["s15", "happy1"] == 200
    assert given.fps == {"casme2sq": 30, "sammlv": 200}
    assert given.test["sammtest", "macro"]["001_2"].shape == (400,)
    assert len(given.peaks) == 4 and given.counts["subject"].iloc[0] == "006"


def test_what_is_not_there_is_named_and_none(copy):
    (copy / "dma.csv").unlink()
    (copy / "slswin_casme2sq_macro.npz").unlink()
    given = pack.load(copy)
    assert given.missing == ("slswin_casme2sq_macro.npz", "dma.csv") and given.dma is None
    assert ("casme2sq", "macro") not in given.scores
    with pytest.raises(AttributeError, match="no_such_table"):
        given.no_such_table  # noqa: B018


def test_a_folder_without_a_pack_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no videos\.csv .* `metst evidence convert CLONES"):
        pack.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "truth.csv",
            "40,51,positive",
            "52,51,positive",
            r"truth\.csv, row 4: onset after offset \(52 … 51\)",
        ),
        (
            "truth.csv",
            "sammlv,006,006_2,macro,20",
            "sammlv,006,006_9,macro,20",
            "video 006 006_9 is not in videos",
        ),
        ("dma.csv", ",,,10,40,,FP", ",,,-10,40,,FP", r"dma\.csv, row 5: a negative onset"),
        ("dma.csv", ",,,10,40,,FP", ",,,10,,,FP", r"dma\.csv, row 5: an end that is no number"),
        ("dma.csv", "211,281", "281,211", r"dma\.csv, row 4: true_onset after true_offset"),
        ("lgsnet_casme2sq.csv", "39.500", "nan", r"lgsnet_casme2sq\.csv, row 2: an end that is no number"),
        ("lgsnet_casme2sq.csv", "39.500", "x", r"lgsnet_casme2sq\.csv, row 2: onset is 'x'"),
        ("dma.csv", "iou,class", "overlap,class", r"dma\.csv has no column iou; it has dataset, feature"),
        ("videos.csv", "n_frames", "frames", r"videos\.csv has no column n_frames; it has dataset"),
        ("metstplus_sammlv_peaks.csv", ",48", ",-4", r"peaks\.csv, row 4: a negative peak"),
        ("slswin_megc2022_submission.csv", "10,46", "50,46", r"submission\.csv, row 2: onset after offset"),
    ],
)
def test_an_interval_that_is_none_is_named_with_file_and_row(copy, file, old, new, message):
    change(copy / file, old, new)
    with pytest.raises(ValueError, match=message):
        pack.load(copy)


def test_a_curve_of_another_length_or_not_finite_or_of_no_video_is_named(copy):
    path = copy / "slswin_sammlv_micro.npz"
    curves = dict(np.load(path))
    np.savez(path, **curves | {"006/006_1": np.zeros(400)})
    with pytest.raises(
        ValueError, match=r"video 006 006_1: a score of shape \(400,\), but its 400 frames take 363"
    ):
        pack.load(copy)
    np.savez(path, **curves | {"021/021_3": np.full(463, np.nan)})
    with pytest.raises(ValueError, match="video 021 021_3: the score is not finite at frame 0"):
        pack.load(copy)
    np.savez(path, **curves | {"099/099_1": np.zeros(4)})
    with pytest.raises(ValueError, match=r"video 099 099_1 is not in videos\.csv"):
        pack.load(copy)


def test_the_real_pack_is_whole_and_of_the_known_size(real_pack):
    assert real_pack.missing == ()
    assert {name: len(videos) for name, videos in real_pack.n_frames.items()} == {
        "sammlv": 147,
        "casme2sq": 97,
    }
    assert sum(real_pack.n_frames["sammlv"].values()) == 483_797
    sizes = {set_: len(curves) for set_, curves in real_pack.scores.items()}
    assert sizes == {("sammlv", "micro"): 79, ("casme2sq", "micro"): 33, ("casme2sq", "macro"): 88}
    events = {
        name: [e.kind for of in videos.values() for e in of] for name, videos in real_pack.truth.items()
    }
    assert {n: (k.count("macro"), k.count("micro")) for n, k in events.items()} == {
        "sammlv": (343, 159),
        "casme2sq": (300, 57),
    }
