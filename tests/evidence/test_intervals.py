"""Tables of intervals: what is written is read again, what is no interval is named with file and row."""

import pytest

from metst_lib.events import Event
from metst_lib.evidence import intervals

EVENTS = {
    ("006", "006_1"): [Event(3, 9, apex=5, emotion="positive"), Event(20, 40, kind="macro")],
    ("007", "007_1"): [],
}


def text(tmp_path, *lines):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_events_come_back_as_they_were_written(tmp_path):
    fps, n_frames = dict.fromkeys(EVENTS, 200), {("006", "006_1"): 50, ("007", "007_1"): 80}
    found = intervals.read(intervals.write(tmp_path / "t.csv", "sammlv", EVENTS, fps, n_frames))
    assert found == intervals.Intervals("sammlv", EVENTS, fps, n_frames)


def test_videos_without_any_event_come_back_too(tmp_path):
    nothing = {("006", "006_1"): []}
    assert intervals.read(intervals.write(tmp_path / "t.csv", "sammlv", nothing)).events == nothing


def test_four_columns_are_enough(tmp_path):
    found = intervals.read(text(tmp_path, "subject,video,onset,offset", "006,006_1,3,9"))
    assert found.events == {("006", "006_1"): [Event(3, 9)]} and found.dataset == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("006,006_1,9,3,,", r"table\.csv, row 3: onset after offset \(9.* … 3.*\)"),
        ("006,006_1,-1,3,,", r"row 3: a negative onset"),
        ("006,006_1,1,,,", r"row 3: an end that is no number"),
        ("006,006_1,1,inf,,", r"row 3: an end that is no number"),
        ("006,006_1,1.5,3,,", r"row 3: .*1\.5"),
        ("006,006_1,1,3,happy,", r"row 3: unknown emotion 'happy'"),
        ("006,006_1,70,80,,60", r"row 3: an onset of 70 in a video of 60 frames"),
        ("006,,1,3,,", r"row 3: no subject or no video"),
        ("006,006_1,1,3,,abc", r"row 3: n_frames 'abc' is no number"),
        ("006,006_1,1,3,,inf", r"row 3: n_frames of inf where a number above 0 is wanted"),
        ("006,006_1,1,3,,0", r"row 3: n_frames of 0 where a number above 0 is wanted"),
        ("006,006_2,1,3,,61", r"row 3: n_frames 61, but 60 above for video 006 006_2"),
    ],
)
def test_a_row_that_is_no_interval_is_named(tmp_path, row, message):
    path = text(tmp_path, "subject,video,onset,offset,emotion,n_frames", "006,006_2,4,5,,60", row)
    with pytest.raises(ValueError, match=message):
        intervals.read(path)


def test_a_label_that_ends_beyond_its_video_is_kept(tmp_path):
    path = text(tmp_path, "subject,video,onset,offset,n_frames", "006,006_2,50,70,60")
    assert intervals.read(path).events["006", "006_2"] == [Event(50, 70)]


def test_of_several_data_sets_one_has_to_be_named(tmp_path):
    path = text(tmp_path, "dataset,subject,video,onset,offset", "a,1,x,1,2", "b,1,x,3,4")
    assert intervals.read(path, "b").events == {("1", "x"): [Event(3, 4)]}
    with pytest.raises(ValueError, match="several data sets, a, b: say which"):
        intervals.read(path)
    with pytest.raises(ValueError, match="no rows of 'c'; it holds a, b"):
        intervals.read(path, "c")


def test_a_table_without_its_columns_or_none_at_all_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no column offset; found: subject, video, onset"):
        intervals.read(text(tmp_path, "subject,video,onset", "1,x,3"))
    with pytest.raises(FileNotFoundError, match="no file"):
        intervals.read(tmp_path / "none.csv")
