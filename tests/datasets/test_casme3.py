"""CAS(ME)³: counts, every known quirk of its tables, and events inside their videos."""

import lookalikes
import pandas as pd
import pytest

from metst_lib import datasets
from metst_lib.datasets import rows


def read(tables, **options):
    return datasets.read_annotations("casme3", tables.micro, tables.second, **options)


def loaded(tables, tmp_path, **options):
    """Loaded from the ranges of the videos, without frames."""
    options = {"ranges": tables.ranges, "tables": (tables.micro, tables.second), **options}
    return datasets.load("casme3", tmp_path, **options)


def micro(table):
    return table[table["kind"] == "micro"]


def reasons(audit, action, words):
    return audit[(audit["action"] == action) & audit["reason"].str.contains(words, regex=False)]


# ---------------------------------------------------------------- on look-alikes and on the owners' tables


def test_the_table_has_the_columns_and_types_of_every_set(casme3_tables):
    table, audit = read(casme3_tables)
    assert tuple(table.columns) == rows.COLUMNS
    assert tuple(audit.columns) == rows.AUDIT_COLUMNS
    for column in ("onset", "apex", "offset", "source_row"):
        assert table[column].dtype == "Int64"
    assert set(table["fps"]) == {30.0} and set(table["dataset"]) == {"casme3"}
    assert set(audit["action"]) <= set(rows.ACTIONS)


def test_all_rows_but_the_one_without_a_place_are_kept(casme3_tables):
    table, audit = read(casme3_tables)
    rows = micro(table)
    dropped = audit[audit["action"] == "dropped"]
    assert len(rows) == casme3_tables.kept and len(rows) + len(dropped) == casme3_tables.rows
    assert rows["subject"].nunique() == casme3_tables.subjects
    assert len(rows[["subject", "video"]].drop_duplicates()) == casme3_tables.videos
    assert dropped["reason"].str.contains("onset and apex are 0").all()
    classes = rows["emotion"].value_counts().to_dict()
    assert classes == {**casme3_tables.classes, "others": casme3_tables.classes["others"] - 1}


def test_the_released_code_keeps_one_micro_expression_and_one_video_fewer(casme3_tables, tmp_path):
    rows = micro(read(casme3_tables, as_released=True)[0])
    kept = len(rows), len(rows[["subject", "video"]].drop_duplicates())
    assert kept == casme3_tables.released
    data = loaded(casme3_tables, tmp_path, as_released=True)
    events = [event for video in data.videos for event in video.events_of("micro")]
    assert (len(events), len(data.videos)) == casme3_tables.released


def test_four_rows_are_repaired_from_the_second_workbook_and_say_so(casme3_tables):
    table, audit = read(casme3_tables)
    entries = reasons(audit, "repaired", "of the second workbook")
    assert len(entries) == 4
    first, second = (
        pd.read_excel(path, sheet_name=sheet, engine="calamine", dtype=object)
        for path, sheet in ((casme3_tables.micro, 0), (casme3_tables.second, "AU+Emotion"))
    )
    second = second[second["Expression type"] == "Micro-expression"]
    for row in entries["row"]:
        wrong, right = (
            book[["Onset", "Apex", "Offset"]].iloc[row - 2].astype(int) for book in (first, second)
        )
        assert not wrong["Onset"] <= wrong["Apex"] <= wrong["Offset"]
        assert by_row(table, row)[["onset", "apex", "offset"]].tolist() == right.tolist()


def test_macro_expressions_and_blinks_come_from_the_second_workbook(casme3_tables):
    table, _ = read(casme3_tables)
    for kind, expected in (("macro", casme3_tables.macro), ("blink", casme3_tables.blinks)):
        rows = table[table["kind"] == kind]
        assert (len(rows), rows["subject"].nunique()) == expected
        assert rows["emotion"].isna().all()


def test_every_event_lies_inside_its_video_or_is_clipped_with_an_entry(casme3_tables, tmp_path):
    data = loaded(casme3_tables, tmp_path, videos="all")
    assert len(data.table()) == len(read(casme3_tables)[0])  # none lost on the way
    clipped = data.audit[data.audit["action"] == "clipped"]
    assert (clipped["kind"] == "micro").sum() == casme3_tables.clipped
    assert clipped["reason"].str.contains("onset").all()
    for video in data.videos:
        assert all(0 <= event.onset <= event.offset < video.n_frames for event in video.events)


def test_long_same_and_overlapping_rows_are_flagged_and_kept(casme3_tables):
    table, audit = read(casme3_tables)
    flagged = audit[audit["action"] == "flagged"]["reason"]
    assert flagged.str.contains("too long for one").sum() == casme3_tables.long
    assert flagged.str.contains("the same frame").sum() == casme3_tables.same
    assert flagged.str.contains("overlaps").sum() == casme3_tables.overlaps
    assert table["notes"].str.contains("long").sum() == casme3_tables.long


def test_the_videos_with_a_micro_expression_are_loaded_by_default(casme3_tables, tmp_path):
    data = loaded(casme3_tables, tmp_path)
    assert len(data.videos) == casme3_tables.videos and len(data.subjects) == casme3_tables.subjects
    assert all(video.events_of("micro") and video.source is None for video in data.videos)
    assert data.fps == 30.0 and not data.synthetic


def test_blinks_are_known_for_some_subjects_only(casme3_tables, tmp_path):
    data = loaded(casme3_tables, tmp_path, videos="all")
    assert len(data.blink_subjects) == casme3_tables.blinks[1] < len(data.subjects)
    assert {video.subject for video in data.videos if video.events_of("blink")} == data.blink_subjects


# ---------------------------------------------------------------- quirks, by hand on look-alikes


@pytest.fixture
def tables(tmp_path):
    return lookalikes.casme3(tmp_path)


def by_row(table, row):
    return micro(table).set_index("source_row").loc[row]


def test_an_upper_case_letter_is_the_video_of_lower_case(tables):
    table, audit = datasets.read_annotations("casme3", *tables)
    assert by_row(table, 11)["video"] == "j"
    assert reasons(audit, "repaired", "Filename 'J' is video 'j'")["row"].tolist() == [11, 4]  # micro, blink


def test_others_is_spelt_in_two_ways(tables):
    table, _ = datasets.read_annotations("casme3", *tables)
    assert by_row(table, 9)["emotion"] == by_row(table, 3)["emotion"] == "others"
    assert by_row(table, 9)["emotion_raw"] == "Others"


def test_without_the_second_workbook_repairs_are_coarser_and_one_more_row_is_dropped(tables):
    table, audit = datasets.read_annotations("casme3", tables[0])
    assert set(table["kind"]) == {"micro"} and len(table) == 9
    assert by_row(table, 9)["offset"] == 110 and by_row(table, 10)["offset"] == 140  # the apex
    assert pd.isna(by_row(table, 5)["apex"])
    assert reasons(audit, "dropped", "onset 190 lies after offset 105")["row"].tolist() == [6]
    assert reasons(audit, "flagged", "no second workbook")["row"].isna().all()


def test_a_second_workbook_in_another_order_repairs_nothing(tmp_path):
    rows = lookalikes.casme3_second_rows()
    tables = lookalikes.casme3(tmp_path, second=rows[::-1])
    table, audit = datasets.read_annotations("casme3", *tables)
    assert len(micro(table)) == 9
    assert len(reasons(audit, "flagged", "nothing is repaired from it")) == 1


def test_other_frames_in_the_second_workbook_are_not_taken_where_the_first_is_sound(tmp_path):
    rows = lookalikes.casme3_second_rows()
    rows[1][4] = 33  # row 2 of the first workbook has 32
    table, audit = datasets.read_annotations("casme3", *lookalikes.casme3(tmp_path, second=rows))
    assert by_row(table, 2)["offset"] == 32
    entry = reasons(audit, "kept", "not taken")
    assert entry["row"].tolist() == [2] and "offset 32 → 33" in entry["reason"].item()


def test_frames_become_indices_counted_from_the_first_jpg(root):
    video = datasets.load("casme3", root).video("spNO.1", "a")
    frames = [(event.onset, event.apex, event.offset) for event in video.events_of("micro")]
    assert frames == [(0, 0, 10), (12, 17, 24), (22, 27, 33)]  # jpg 8 is index 0; 5 and 7 lie before it
    assert (video.n_frames, video.fps) == (200, 30.0)
    assert video.source.path(0).name == "8.jpg" and video.source.path(199).name == "207.jpg"


@pytest.mark.parametrize("step", [2, 3, 7])
def test_a_frame_step_maps_onset_apex_and_offset_alike(root, step):
    every = datasets.load("casme3", root).video("spNO.2", "e")
    stepped = datasets.load("casme3", root, frame_step=step).video("spNO.2", "e")
    assert stepped.n_frames == len(stepped.source.numbers) == -(-200 // step)
    assert stepped.fps == pytest.approx(30 / step)
    for before, after in zip(every.events, stepped.events, strict=True):
        assert (after.onset, after.offset) == (before.onset // step, before.offset // step)
        assert after.apex == (None if before.apex is None else before.apex // step)


def test_the_folder_of_an_upper_case_letter_is_found(root):
    video = datasets.load("casme3", root).video("spNO.10", "j")
    assert video.source.folder.parent.name == "J"
    assert video.events_of("micro")[0].onset == 100 - 9


def test_all_videos_are_loaded_when_asked_for(root):
    data = datasets.load("casme3", root, videos="all")
    assert data.subjects == ["spNO.1", "spNO.2", "spNO.3", "spNO.10"]  # natural order
    assert [video.name for video in data.videos_of("spNO.3")] == ["a"]
    assert (
        data.with_kind().subjects == datasets.load("casme3", root).subjects == ["spNO.1", "spNO.2", "spNO.10"]
    )


def test_only_events_of_the_kinds_asked_for_are_kept(root):
    only = datasets.load("casme3", root, kinds=("micro",))
    events = [event for video in only.videos for event in video.events]
    assert {event.kind for event in events} == {"micro"}
    assert len(events) == sum(map(len, datasets.load("casme3", root).events("micro").values()))


def test_a_video_that_is_not_unpacked_is_left_out_and_counted(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    videos = {key: ends for key, ends in lookalikes.CASME3_FIRST_LAST.items() if key != ("spNO.1", "a")}
    lookalikes.casme3_frames(tmp_path / "casme3", videos)
    (tmp_path / "casme3/data/spNO.1/a/color").mkdir(parents=True)  # a folder without images
    data = datasets.load("casme3", tmp_path)
    assert ("spNO.1", "a") not in data.events() and len(data.videos) == 3
    entry = reasons(data.audit, "dropped", "no frames of this video")
    assert entry[["subject", "video"]].values.tolist() == [["spNO.1", "a"]]
    assert "3 micro" in entry["reason"].item() and "1 macro" in entry["reason"].item()


def test_missing_frames_inside_a_video_are_counted(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    lookalikes.casme3_frames(tmp_path / "casme3")
    for number in (30, 31, 99):
        (tmp_path / f"casme3/data/spNO.2/e/color/{number}.jpg").unlink()
    data = datasets.load("casme3", tmp_path)
    entry = reasons(data.audit, "flagged", "are missing")
    assert entry["reason"].tolist() == ["3 of the frames 2…201 are missing: the nearest one serves"]
    assert data.video("spNO.2", "e").n_frames == 200
