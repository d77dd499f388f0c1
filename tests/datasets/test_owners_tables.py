"""The owners' workbooks of SAMM-LV and CAS(ME)², in every edition that METST_TABLES holds.

Lengths of the videos come from `evidence/videos.csv` beside them. For CAS(ME)³ see `test_casme3.py`.
"""

import re

import lookalikes
import pandas as pd
import pytest

from metst_lib import datasets
from metst_lib.datasets import check
from metst_lib.datasets.rows import keys_of

COUNTS = {
    "sammlv": {
        "rows": 502,
        "macro-expressions": 343,
        "micro-expressions": 159,
        "negative": 92,
        "positive": 26,
        "surprise": 15,
        "others": 26,
        "subjects with a micro-expression": 29,
        "videos with a micro-expression": 79,
        "subjects with a label": 30,
    },
    "casme2sq": {
        "rows": 357,
        "macro-expressions": 300,
        "micro-expressions": 57,
        "negative": 21,
        "positive": 8,
        "surprise": 9,
        "others": 19,
        "subjects with a micro-expression": 14,
        "videos with a micro-expression": 33,
        "subjects with a label": 22,
    },
}
LABELLED = {"sammlv": 147, "casme2sq": 95}  # videos; three of CAS(ME)²'s 98 have no label
EVENT = ["subject", "video", "kind", "onset", "apex", "offset", "emotion"]


@pytest.fixture(scope="module", params=["sammlv", "casme2sq"])
def editions(request, owners_folder):
    """The set's name and, of each edition of its first table, the paths to read."""
    name = request.param
    folder = owners_folder(name)
    pattern = next(iter(datasets.reader_of(name).tables.values()))
    books = [p for p in sorted(folder.rglob("[!~]*.xls*")) if re.search(pattern, p.name, re.IGNORECASE)]
    assert books, f"no edition of {name} in {folder}"
    return name, [(book, *datasets.find_tables(name, folder)[1:]) for book in books]


@pytest.fixture(scope="module")
def lengths(owners_folder):
    """Set -> its videos' first and last frame numbers."""
    path = owners_folder("evidence") / "videos.csv"
    videos = pd.read_csv(path, dtype={"subject": str, "video": str})
    return {
        name: {(row.subject, row.video): (1, row.n_frames) for row in rows.itertuples()}
        for name, rows in videos.groupby("dataset")
    }


def loaded(name, tables, ranges):
    return datasets.load(name, "nowhere", tables=tables, ranges=ranges, videos="all", frame_step=1)


def test_every_edition_has_the_counts_that_are_known(editions):
    name, every = editions
    for tables in every:
        table, audit = datasets.read_annotations(name, *tables)
        found = check.counts(table, audit)
        assert {item: found[item] for item in COUNTS[name]} == COUNTS[name], tables[0].name
        assert len(keys_of(table)) == LABELLED[name]
        known = datasets.reader_of(name).expected
        assert {item: found[item] for item in known if item in found} == {
            item: count for item, count in known.items() if item in found
        }


def test_the_folds_and_videos_are_those_with_a_micro_expression(editions, lengths):
    name, every = editions
    for tables in every:
        data = datasets.load(name, "nowhere", tables=tables, ranges=lengths[name])
        assert len(data.subjects) == COUNTS[name]["subjects with a micro-expression"]
        assert len(data.videos) == COUNTS[name]["videos with a micro-expression"]


def test_all_editions_are_the_same_events_once_their_frames_are_mapped(editions, lengths):
    """A user rounded one edition of SAMM-LV and cut it to its videos, the other is rounded and cut here."""
    name, every = editions
    first, *others = (
        loaded(name, tables, lengths[name]).table()[EVENT].sort_values(EVENT[:4]).reset_index(drop=True)
        for tables in every
    )
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_two_macro_labels_of_sammlv_end_after_their_video(owners_folder, lengths):
    tables = datasets.find_tables("sammlv", owners_folder("sammlv"))
    data = loaded("sammlv", tables, lengths["sammlv"])
    assert len(data.videos) == 147 and sum(video.n_frames for video in data.videos) == 483_797
    assert data.video("021", "021_3").n_frames == 3419
    beyond = data.audit[data.audit["reason"].str.contains("ends after")]
    assert beyond[["video", "action", "kind", "row"]].values.tolist() == [
        ["020_6", "clipped", "macro", 339],
        ["036_7", "clipped", "macro", 497],
    ]
    assert beyond["reason"].tolist() == [
        "offset 5476 → 5001: it ends after its video, whose frames are 1…5001",
        "offset 8298 → 8201: it ends after its video, whose frames are 1…8201",
    ]
    begins = data.audit["reason"].str.contains("onset 0 → 1: it begins before its video")
    assert begins.sum() == 10 and (data.audit["action"] == "dropped").sum() == 0
    lines = check.audit("sammlv", tables, ranges=lengths["sammlv"])
    assert lines[lines["reason"].str.contains("ends after")]["row"].tolist() == [339, 497]


def test_a_copy_of_casme2sq_without_one_video_is_whole_but_for_that(owners_folder, lengths, tmp_path):
    (book,) = datasets.find_tables("casme2sq", owners_folder("casme2sq"))
    folder = tmp_path / "casme2sq"
    codes = {name: code for code, name in datasets.casme2sq.video_codes(book).items()}
    for subject, video in lengths["casme2sq"]:
        if (subject, video) != ("s23", "happy1"):
            place = folder / f"rawpic/{subject}/{subject[1:]}_{codes[video]}film"
            lookalikes.write_frames(place, "img{}.jpg", range(1, 2))
    (folder / book.name).write_bytes(book.read_bytes())
    there = len(lengths["casme2sq"]) - 1
    wanted = {"videos": there + 1, "subjects": 22}
    table = check.check("casme2sq", tmp_path, expected=wanted).set_index("item")
    line = table.loc["videos with frames", ["found", "ok"]].tolist()
    assert line == [f"{there}, one missing: s23 happy1", True]
    assert table.loc["videos with a micro-expression and frames", ["found", "ok"]].tolist() == ["33", True]
    line = check.check("casme2sq", tmp_path).set_index("item").loc["videos with frames", ["found", "ok"]]
    assert line.tolist() == [f"{there}, 2 missing: s23 happy1, a video without a label", True]
