"""SAMM Long Videos: preamble, padded subjects, frames between frames, the emotions of the other table."""

import lookalikes
import pandas as pd
import pytest

from metst_lib import datasets
from metst_lib.datasets import check


@pytest.fixture
def read(tmp_path):
    def read(rows=None, clips=None, **options):
        tables = lookalikes.sammlv(tmp_path, rows, clips)
        table, audit = datasets.read_annotations("sammlv", *tables, **options)
        return table.set_index("source_row"), audit

    return read


def entries(audit, row, action):
    return audit[(audit["row"] == row) & (audit["action"] == action)]["reason"].tolist()


def test_rows_are_numbered_as_excel_shows_them_below_nine_rows_of_preamble(read):
    table, _ = read()
    assert table.index.tolist() == [11, 12, 13, 14, 15, 16, 17]
    assert table.loc[11, ["onset", "apex", "offset"]].tolist() == [101, 120, 141]
    assert table["kind"].value_counts().to_dict() == {"micro": 4, "macro": 3}


def test_a_subject_may_be_a_number_or_padded_text(read):
    table, _ = read()
    assert table["subject"].tolist() == ["004", "004", "005", "005", "005", "012", "012"]
    assert table.loc[13, "video"] == "005_2"


def test_frames_between_frames_are_rounded(read):
    table, audit = read()
    assert table.loc[13, ["onset", "apex", "offset"]].tolist() == [301, 350, 421]
    assert entries(audit, 13, "repaired") == [
        "onset 300.5 is between frames: 301",
        "apex 350.25 is between frames: 350",
        "offset 420.75 is between frames: 421",
    ]


def test_onset_0_is_kept_and_flagged_and_clipped_to_the_first_frame(read, root):
    table, audit = read()
    assert table.loc[14, "onset"] == 0 and "onset 0" in table.loc[14, "notes"]
    assert len(entries(audit, 14, "flagged")) == 1
    data = datasets.load("sammlv", root)
    assert data.video("005", "005_2").events_of("macro")[0].onset == 0
    assert entries(data.audit, 14, "clipped") == [
        "onset 0 → 1: it begins before its video, whose frames are 1…700"
    ]


@pytest.mark.parametrize("row", [12, 17])
def test_apex_minus_1_is_left_empty(read, row):
    table, audit = read()
    assert pd.isna(table.loc[row, "apex"])
    assert entries(audit, row, "repaired") == ["apex −1, not coded: left empty"]


def test_emotions_come_from_the_table_of_clips_but_frames_never_do(read):
    table, _ = read()
    micro = table[table["kind"] == "micro"]
    assert micro["emotion"].tolist() == ["negative", "positive", "surprise", "others"]
    assert micro["emotion_raw"].tolist() == ["Anger", "Happiness", "Surprise", "Other"]
    assert table["offset"].max() < 9000  # the clips begin there


def test_without_the_table_of_clips_emotions_are_unknown(tmp_path):
    long_videos, facs = lookalikes.sammlv(tmp_path / "sammlv")
    facs.unlink()
    table, audit = datasets.read_annotations("sammlv", long_videos)
    assert table["emotion"].isna().all() and audit["reason"].str.contains("not known").any()
    ranges = lookalikes.SAMMLV_FIRST_LAST
    assert len(datasets.load("sammlv", tmp_path, ranges=ranges).videos) == 3


def test_a_clip_that_is_not_in_the_table_has_no_emotion(read):
    table, audit = read(clips=lookalikes.SAMMLV_CLIPS[1:])
    assert pd.isna(table.loc[11, "emotion"])
    assert entries(audit, 11, "flagged") == ["004_1_1 is not in SAMM_Micro_FACS_Codes_v2.xlsx: no emotion"]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_any_version_is_read_and_of_several_the_highest(tmp_path, version):
    for older in range(1, version + 1):
        lookalikes.sammlv(tmp_path / "sammlv", version=older)
    found = datasets.find_tables("sammlv", tmp_path / "sammlv")
    assert [path.name for path in found] == [
        f"SAMM_LongVideos_V{version}_Release.xlsx",
        "SAMM_Micro_FACS_Codes_v2.xlsx",
    ]
    assert len(datasets.read_annotations("sammlv", *found)[0]) == 7


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        ("SAMM_LongVideos_V2_Release.xlsx", "an earlier version or name"),
        ("SAMM_LongVideos_V3_Release_edited.xlsx", "not its owners' name"),
        ("SAMM_LongVideos_V4 (mine).xlsx", "not its owners' name"),
        ("SAMM_LongVideos_V3_Release.xls", "not its owners' format"),
    ],
)
def test_a_table_passed_over_is_named_with_the_reason_in_check_and_audit(tmp_path, copy, why):
    book, _ = lookalikes.sammlv(tmp_path / "sammlv")
    (book.parent / copy).write_bytes(book.read_bytes())
    (book.parent / f"~${copy}").write_bytes(b"Excel's lock file")
    assert datasets.find_tables("sammlv", book.parent)[0] == book
    row = check.check("sammlv", tmp_path).set_index("expected").loc[book.name]
    assert (row["found"], row["ok"]) == (f"{book.name}, not {copy} ({why})", True)
    line = check.entries("sammlv", tmp_path).iloc[0]
    said = f"this file is read, not {copy} ({why})"
    assert line[["table", "action", "reason"]].tolist() == [book.name, "flagged", said]
    named = check.entries("sammlv", [book.parent / copy])  # asked for by name: no choice to tell of
    assert not named["reason"].str.contains("this file is read").any()


def test_a_label_that_ends_after_its_video_is_cut_and_stands_apart_in_the_audit(tmp_path):
    macros = [[5, f"005_2_{n}", 2, 0, 20, 60, 61, "Macro", "AU4", ""] for n in range(4, 12)]
    late = [["012", "012_3_3", 3, 350, 380, 475, 126, "Macro", "AU4", ""]]  # row 26, of a video of 400 frames
    tables = lookalikes.sammlv(tmp_path, lookalikes.SAMMLV_LONG + macros + late)
    ranges = lookalikes.SAMMLV_FIRST_LAST
    reason = "offset 475 → 400: it ends after its video, whose frames are 1…400"
    assert entries(check.entries("sammlv", tables, ranges=ranges), 26, "clipped") == [reason]
    lines = check.audit("sammlv", tables, ranges=ranges)
    clipped = lines[lines["step"] == "clipped"]
    assert clipped["row"].tolist() == [14, 26] and clipped["reason"].tolist()[1] == reason
    assert clipped["reason"].str.startswith("9 rows, the first: onset 0 → 1: it begins before").tolist()[0]
    event = (
        datasets.load("sammlv", tables=tables, ranges=ranges, frame_step=1).video("012", "012_3").events[-1]
    )
    assert (event.onset, event.offset) == (349, 399)


def test_the_audit_tells_of_labels_in_videos_without_a_micro_expression(tmp_path):
    rows = [*lookalikes.SAMMLV_LONG, [12, "012_4_1", 3, 250, 260, 310, 61, "Macro", "AU4", ""]]
    tables = lookalikes.sammlv(tmp_path, rows)
    found = check.entries("sammlv", tables, ranges=lookalikes.SAMMLV_FIRST_LAST)
    assert len(entries(found, 18, "clipped")) == 1


def test_every_seventh_frame_is_kept_and_events_follow(root):
    data = datasets.load("sammlv", root)
    assert data.fps == pytest.approx(200 / 7) and data.subjects == ["004", "005", "012"]
    video = data.video("004", "004_1")
    first = video.events_of("micro")[0]
    assert (first.onset, first.apex, first.offset) == (100 // 7, 119 // 7, 140 // 7)
    assert video.n_frames == 86 and video.source.path(1).name == "004_1_0008.jpg"
    assert datasets.load("sammlv", root, frame_step=1).video("004", "004_1").n_frames == 600


def test_no_blinks_are_labelled(root):
    data = datasets.load("sammlv", root)
    assert not any(data.has_blinks(subject) for subject in data.subjects)


def changed(row, **cells):
    rows = [list(cells_) for cells_ in lookalikes.SAMMLV_LONG]
    columns = lookalikes._SAMM
    for column, value in cells.items():
        rows[row - 11][columns.index(column)] = value
    return rows


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Onset": 142}, r"SAMM_LongVideos_V3_Release.xlsx, sheet 'Sheet1', row 11, column 'Onset'.*after"),
        ({"Offset": "end"}, r"row 11, column 'Offset': 'end' is not a frame number"),
        ({"Type": "Mini"}, r"row 11, column 'Type': unknown type 'Mini'; known: Macro, Micro - 1/2"),
        ({"Subject": 7}, r"row 11, column 'Subject': '7', but the Filename is '004_1_1'"),
        ({"Filename": "004"}, r"row 11, column 'Filename': '004' is not <subject>_<video>_<number>"),
    ],
)
def test_a_row_that_is_wrong_in_an_unknown_way_is_an_error_or_dropped_on_request(read, cells, message):
    with pytest.raises(ValueError, match=message):
        read(changed(11, **cells))
    table, audit = read(changed(11, **cells), bad_rows="drop")
    assert 11 not in table.index and len(entries(audit, 11, "dropped")) == 1


def test_an_unknown_emotion_names_the_other_table_too(read):
    clips = [list(row) for row in lookalikes.SAMMLV_CLIPS]
    clips[0][9] = "Boredom"
    with pytest.raises(ValueError, match=r"Codes_v2.xlsx, row 15, .*unknown emotion 'Boredom'; known: anger"):
        read(clips=clips)
