"""What every set has in common: the Dataset, its errors, the synthetic set through the same reader."""

import json
import os
import time
from pathlib import Path

import lookalikes
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metst_lib import datasets
from metst_lib.datasets import reader, rows, videos
from metst_lib.datasets.frames import Listing
from metst_lib.events import Event


def micro_rows(**cells):
    """The look-alike's first micro row alone, with cells changed."""
    row = dict(zip(lookalikes._C3, lookalikes.CASME3_MICRO[0], strict=True)) | cells
    return [list(row.values())]


def read_one(tmp_path, name="casme3", **cells):
    micro, _ = lookalikes.casme3(tmp_path, micro_rows(**cells))
    return datasets.read_annotations(name, micro)


# ---------------------------------------------------------------- unknown names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ("nano",)}, "unknown kind 'nano'; known: micro, macro, blink"),
        ({"kinds": "micro"}, "unknown kind 'micro' .a list of names is wanted"),
        (
            {"subjects": ["spNO.99"]},
            "unknown subject of casme3 'spNO.99'; known: spNO.1, spNO.2, spNO.3, spNO.10",
        ),
        ({"videos": "some"}, "unknown choice of videos 'some'; known: with_me, with_macro, all"),
        ({"bad_rows": "fix"}, "unknown choice of bad_rows 'fix'; known: error, drop"),
        ({"frame_step": 0}, "frame_step 0 is not a whole number of 1 or more"),
        ({"frame_step": 1.5}, "frame_step 1.5 is not"),
    ],
)
def test_an_unknown_option_lists_the_known_ones(root, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("casme3", root, **options)


def test_an_unknown_set_lists_the_known_ones(root):
    for call in (datasets.load, datasets.read_annotations):
        with pytest.raises(
            ValueError, match="unknown data set 'casme4'; known: synthetic, casme3, sammlv, casme2sq"
        ):
            call("casme4", root)


def test_an_unknown_subject_or_video_lists_the_known_ones(root):
    data = datasets.load("casme3", root)
    with pytest.raises(KeyError, match=r"unknown subject 'spNO.9' in casme3; known: spNO.1, spNO.2, spNO.10"):
        data.videos_of("spNO.9")
    with pytest.raises(KeyError, match=r"unknown video 'z' of spNO.1 in casme3; known: a, b"):
        data.video("spNO.1", "z")


# ---------------------------------------------------------------- missing files


@pytest.mark.parametrize("name", ["casme3", "sammlv", "casme2sq"])
def test_a_missing_set_says_what_was_looked_for_where_and_how_to_get_it(tmp_path, name):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load(name, tmp_path)
    message = str(error.value)
    assert next(iter(datasets.reader_of(name).tables)) in message and str(tmp_path / name) in message
    assert "data/README.md says how to apply" in message and "https://" in message


def test_tables_without_any_frames_say_where_frames_belong(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    with pytest.raises(FileNotFoundError, match=r"no frames of CAS\(ME\)³ data .*data/spNO.1/a/color/8.jpg"):
        datasets.load("casme3", tmp_path)


def test_a_path_that_is_no_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table at .*nowhere.xlsx"):
        datasets.read_annotations("casme3", tmp_path / "nowhere.xlsx")
    (tmp_path / "torn.xlsx").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match=r"torn.xlsx cannot be read as an Excel workbook"):
        datasets.read_annotations("casme3", tmp_path / "torn.xlsx")


def test_too_many_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match="casme2sq is read from 1 to 1 tables"):
        datasets.read_annotations("casme2sq", *lookalikes.casme2sq(tmp_path), None)


# ---------------------------------------------------------------- columns, sheets, rows


def test_a_missing_column_names_the_columns_wanted_and_found(tmp_path):
    frame = pd.DataFrame(lookalikes.CASME3_MICRO, columns=lookalikes._C3).drop(columns="Offset")
    path = lookalikes.write_workbook(tmp_path / "label.xlsx", {"label": frame})
    with pytest.raises(ValueError, match=r"label.xlsx, sheet 'label': no column 'Offset';") as error:
        datasets.read_annotations("casme3", path)
    assert "columns wanted: Subject, Filename, Onset, Apex, Offset, AU" in str(error.value)
    assert "found: Subject, Filename, Onset, Apex, AU" in str(error.value)


def test_a_missing_sheet_names_the_sheets_found(tmp_path):
    micro, second = lookalikes.casme3(tmp_path)
    lookalikes.write_workbook(second, {"blinks": pd.DataFrame([[1]], columns=["a"])})
    with pytest.raises(ValueError, match=r"sheet 'AU\+Emotion' wanted, sheets found: blinks"):
        datasets.read_annotations("casme3", micro, second)


def test_column_names_may_differ_in_case_and_blanks_and_order(tmp_path):
    frame = pd.DataFrame(lookalikes.CASME3_MICRO, columns=[f" {name.upper()} " for name in lookalikes._C3])
    path = lookalikes.write_workbook(tmp_path / "label.xlsx", {"label": frame.iloc[:, ::-1]})
    assert len(datasets.read_annotations("casme3", path)[0]) == 9


def test_blank_rows_are_passed_over_and_still_counted(tmp_path):
    rows = [lookalikes.CASME3_MICRO[0], [None] * 8, lookalikes.CASME3_MICRO[6]]
    micro, _ = lookalikes.casme3(tmp_path, rows)
    assert datasets.read_annotations("casme3", micro)[0]["source_row"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"emotion": "boredom"},
            r"sheet 'label', row 2, column 'emotion': unknown emotion 'boredom'; known: disgust",
        ),
        ({"Onset": "x"}, r"row 2, column 'Onset': 'x' is not a frame number"),
        ({"Apex": None}, r"row 2, column 'Apex': '' is not a frame number"),
        ({"Onset": "-3"}, r"row 2, column 'Onset': onset -3 is negative"),
    ],
)
def test_a_wrong_cell_names_file_row_and_column(tmp_path, cells, message):
    with pytest.raises(ValueError, match=r"cas\(me\)3_part_A_ME_label_JpgIndex_v2.xlsx, .*" + message):
        read_one(tmp_path, **cells)


@pytest.mark.parametrize(("onset", "offset", "column"), [("250", "260", "Onset"), ("1", "4", "Offset")])
def test_an_event_outside_its_video_is_an_error_or_dropped_on_request(tmp_path, onset, offset, column):
    micro, _ = lookalikes.casme3(tmp_path / "casme3", micro_rows(Onset=onset, Apex=onset, Offset=offset))
    lookalikes.casme3_frames(tmp_path / "casme3", {("spNO.1", "a"): (8, 207)})
    options = {"tables": (micro, None)}
    message = (
        rf"JpgIndex_v2.xlsx .*, row 2, column '{column}' .*{onset}…{offset} lies outside the frames 8…207"
    )
    with pytest.raises(ValueError, match=message):
        datasets.load("casme3", tmp_path, **options)
    data = datasets.load("casme3", tmp_path, bad_rows="drop", **options)
    assert len(data.videos) == 0 and (data.audit["action"] == "dropped").sum() == 1


def test_an_event_that_runs_past_the_last_frame_is_clipped_with_an_entry(tmp_path):
    micro, _ = lookalikes.casme3(tmp_path / "casme3", micro_rows(Onset="200", Apex="206", Offset="215"))
    data = datasets.load("casme3", tmp_path, ranges={("spNO.1", "a"): (8, 207)}, tables=(micro,))
    assert data.videos[0].events == (Event(192, 199, 198, "negative"),)
    clipped = data.audit[data.audit["action"] == "clipped"]
    assert clipped["reason"].tolist() == ["offset 215 → 207: it ends after its video, whose frames are 8…207"]
    assert clipped["row"].tolist() == [2] and clipped["table"].item().startswith("cas(me)3_part_A_ME_label")


@given(
    first=st.integers(0, 5000),
    length=st.integers(1, 3000),
    step=st.integers(1, 20),
    places=st.tuples(*[st.floats(0, 1)] * 3),
)
def test_an_index_is_the_kept_frame_at_or_just_before_the_owners(first, length, step, places):
    numbers = sorted(first + int(place * (length - 1)) for place in places)
    record = dict.fromkeys(rows.COLUMNS) | dict(zip(("onset", "apex", "offset"), numbers, strict=True))
    record |= {"subject": "s", "video": "v", "kind": "micro", "source_row": 2}
    table = rows.annotation_table([record])
    ends = {("s", "v"): (first, first + length - 1)}
    (video,) = videos.assemble(table, ends, rows.AuditLog(), frame_step=step, fps=30.0)
    (event,) = video.events
    kept = range(first, first + length, step)
    assert video.n_frames == len(kept) and video.fps == 30.0 / step
    for index, number in zip((event.onset, event.apex, event.offset), numbers, strict=True):
        assert kept[index] <= number < kept[index] + step


# ---------------------------------------------------------------- ranges and listings


def test_ranges_may_be_a_file_or_a_mapping(tmp_path):
    tables = lookalikes.casme3(tmp_path / "casme3")
    rows = [[*key, *ends] for key, ends in lookalikes.CASME3_FIRST_LAST.items()]
    frame = pd.DataFrame(rows, columns=["subject", "video", "first_jpg", "last_jpg"])
    frame.to_csv(tmp_path / "ranges.csv", index=False)
    sets = [
        datasets.load("casme3", tmp_path, ranges=ranges, tables=tables)
        for ranges in (tmp_path / "ranges.csv", lookalikes.CASME3_FIRST_LAST)
    ]
    assert sets[0].videos == sets[1].videos and len(sets[0].videos) == 4
    frame.iloc[:, :3].to_csv(tmp_path / "ranges.csv", index=False)
    with pytest.raises(ValueError, match="frame ranges: no column last; wanted: subject, video, first, last"):
        datasets.load("casme3", tmp_path, ranges=tmp_path / "ranges.csv")


def test_a_folder_is_looked_into_again_only_when_it_changed(tmp_path, monkeypatch):
    folder = tmp_path / "a"
    lookalikes.write_frames(folder, "{}.jpg", range(5, 15))
    old = time.time_ns() - 10**11
    os.utime(folder, ns=(old, old))
    index = tmp_path / ".frame_index.json"
    expected = {("s", "a"): Listing(folder, "{}.jpg", 5, 14, 10)}
    assert videos.list_videos({("s", "a"): folder}, index) == expected
    calls = []
    monkeypatch.setattr(videos, "list_frames", lambda path: calls.append(path))
    assert videos.list_videos({("s", "a"): folder}, index) == expected and calls == []
    os.utime(folder, ns=(old + 1, old + 1))
    assert videos.list_videos({("s", "a"): folder}, index) == {("s", "a"): None} and calls == [folder]


@pytest.mark.parametrize("content", ["{ torn", '{"a": 3}', '{"a": []}', '{"a": [1, "{}.jpg"]}'])
def test_a_damaged_index_is_written_anew(tmp_path, content):
    folder = tmp_path / "a"
    lookalikes.write_frames(folder, "{}.jpg", range(3))
    old = time.time_ns() - 10**11
    os.utime(folder, ns=(old, old))
    index = tmp_path / ".frame_index.json"
    index.write_text(content)
    assert videos.list_videos({("s", "a"): folder}, index)["s", "a"].count == 3
    assert list(json.loads(index.read_text())) == ["a"]


# ---------------------------------------------------------------- the synthetic set


def synthetic(folder, micro=None, **settings):
    rows = [lookalikes.CASME3_MICRO[0], lookalikes.CASME3_MICRO[6]] if micro is None else micro
    second = [lookalikes.CASME3_MACRO[0]]
    lookalikes.casme3(folder, rows, second)
    lookalikes.casme3_frames(folder, {key: (8, 207) for key in (("spNO.1", "a"), ("spNO.2", "e"))})
    (folder / "complete.json").write_text(json.dumps({"settings": settings}))


def test_the_synthetic_set_is_read_by_the_same_reader_with_its_own_frame_rate(tmp_path):
    synthetic(tmp_path / "synthetic", fps=60)
    data = datasets.load("synthetic", tmp_path)
    assert data.synthetic and data.name == "synthetic" and data.fps == 60.0
    assert [video.key for video in data.videos] == [("spNO.1", "a"), ("spNO.2", "e")]
    assert all(data.has_blinks(subject) for subject in data.subjects)  # labelled, if none is there


def test_a_synthetic_set_that_was_not_finished_is_not_taken_as_whole(tmp_path):
    synthetic(tmp_path / "synthetic")
    (tmp_path / "synthetic/complete.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no whole synthetic set .*complete.json.*metst data synth"):
        datasets.load("synthetic", tmp_path)


@pytest.mark.parametrize("row", [5, 8])
def test_our_own_tables_have_no_excuse_for_the_owners_quirks(tmp_path, row):
    micro, _ = lookalikes.casme3(tmp_path, [lookalikes.CASME3_MICRO[row - 1]])
    with pytest.raises(ValueError, match=r"row 2, column 'Onset': onset \d+ lies after offset"):
        datasets.read_annotations("synthetic", micro)


def test_nothing_was_released_for_the_synthetic_set(tmp_path):
    micro, _ = lookalikes.casme3(tmp_path)
    with pytest.raises(ValueError, match="released nothing for the synthetic set"):
        datasets.read_annotations("synthetic", micro, as_released=True)


# ---------------------------------------------------------------- the data statement


@pytest.mark.parametrize("name", ["casme3", "sammlv", "casme2sq"])
def test_the_data_statement_says_where_each_set_goes_and_how_to_apply(name):
    statement = (Path(__file__).parents[2] / "data/README.md").read_text(encoding="utf-8")
    reader = datasets.reader_of(name)
    for path in (*reader.tables, reader.example):
        assert f"data/{name}/{path}" in statement
    assert reader.source.split(": ")[1] in statement
    for word in ("**Apply.**", "**Size.**", "**Cite.**", "**Put it**"):
        assert statement.count(word) == 3


# ---------------------------------------------------------------- small things


def test_a_dataset_gives_its_events_as_a_table_and_by_video(root):
    data = datasets.load("casme3", root)
    table = data.table()
    assert len(table) == sum(len(events) for events in data.events().values())
    assert set(data.events("micro")) == {video.key for video in data.videos}
    row = table[(table["subject"] == "spNO.1") & (table["kind"] == "blink")].iloc[0]
    assert (row["onset"], row["offset"], row["frames"]) == (36, 42, 7)
    assert row["seconds"] == pytest.approx(7 / 30) and pd.isna(row["apex"])


def test_one_subject_can_be_loaded_alone(root):
    data = datasets.load("casme3", root, subjects=["spNO.2"])
    assert [video.key for video in data.videos] == [("spNO.2", "e")]
    assert datasets.load("casme3", root, subjects=["spNO.3"], videos="all").subjects == ["spNO.3"]


@pytest.mark.parametrize(
    ("length", "fps", "long"), [(59, 30, False), (60, 30, True), (57, 200 / 7, False), (58, 200 / 7, True)]
)
def test_two_seconds_are_long_at_any_frame_rate(length, fps, long):
    assert datasets.is_long(Event(10, 9 + length), fps) is long


def test_subjects_sort_by_their_numbers():
    names = ["spNO.10", "spNO.2", "spNO.1", "006_10", "006_9"]
    assert sorted(names, key=reader.natural_key) == ["006_9", "006_10", "spNO.1", "spNO.2", "spNO.10"]


def test_the_audit_refuses_an_action_it_does_not_know():
    with pytest.raises(
        ValueError, match="unknown action 'deleted'; known: repaired, clipped, kept, flagged, dropped"
    ):
        rows.AuditLog().add("deleted", "why")
