"""A set of your own: what is read, what is repaired and audited, what is refused by its line."""

import films
import pytest
from click.testing import CliRunner

from metst_lib import datasets
from metst_lib.app.cli import main
from metst_lib.datasets import check, frames, own, registry
from metst_lib.events import Event

HEADER = "subject,video,onset,apex,offset,kind,emotion,aus"


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Three videos: two files of 40 frames at 25 a second, and a folder of the images 5…44."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "anna").mkdir()
    films.clip_of(folder / "anna" / "talk.mp4", 40)
    films.clip_of(folder / "anna" / "walk.avi", 40)
    (folder / "bert").mkdir()
    films.folder_of(folder / "bert", {number: films.level(number - 5) for number in range(5, 45)})
    (folder / "bert" / "color").rename(folder / "bert" / "talk")
    return folder


@pytest.fixture
def data(tmp_path, filmed):
    """A folder like data/ with the set "mine", whose labels are still to be written."""
    folder = own.begin(tmp_path, "mine", fps=25)
    (folder / "videos").rmdir()
    (folder / "videos").symlink_to(filmed)
    return tmp_path


def label(data, *rows, header=HEADER):
    (data / "mine" / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def change(data, old, new):
    path = data / "mine" / "set.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def audited(data):
    """(line, 0 for a whole video, action, reason) of every entry."""
    log = datasets.load("mine", data, videos="all").audit.fillna({"row": 0})
    return [tuple(entry) for entry in log[["row", "action", "reason"]].values.tolist()]


# --- what is read ---


def test_a_set_that_was_just_begun_is_known_and_has_no_event_yet(data):
    assert datasets.known(data)[-1] == "mine" and "mine" not in datasets.known()
    table, log = datasets.read_annotations("mine", data / "mine" / "labels.csv")
    assert table.empty and log.empty
    reader = datasets.reader_of("mine", data)
    assert (reader.title, reader.fps, reader.synthetic) == ("mine", 25.0, False)


def test_frames_of_files_count_from_the_first_number_and_those_of_images_by_their_names(data):
    label(data, "anna,talk.mp4,3,5,9,micro,anger,4+7", "bert,talk,8,,14,Macro-expression,,12")
    change(data, "first_frame = 0", "first_frame = 1")
    anna, bert = (datasets.load("mine", data, videos="all").video(who, "talk") for who in ("anna", "bert"))
    assert anna.events == (Event(2, 8, 4, "negative"),) and bert.events == (Event(3, 9, kind="macro"),)
    assert (anna.n_frames, bert.n_frames, anna.fps) == (40, 40, 25.0)
    for video in (anna, bert):
        images = frames.open(video)
        assert all(films.near(images[index], index) for index in (0, 7, 39))
    table, _ = datasets.read_annotations("mine", data / "mine" / "labels.csv")
    assert table["action_units"].tolist() == ["4+7", "12"] and table["source_row"].tolist() == [2, 3]


def test_seconds_are_frames_by_the_rate_from_the_first_frame(data):
    rows = "anna,talk,0.4,0.5,0.8,micro,surprise,,seconds", "bert,talk,8,,14,macro,,,"
    label(data, *rows, "bert,talk,0.4,,0.8,micro,positive,,seconds", header=f"{HEADER},unit")
    found = datasets.load("mine", data)
    assert found.video("anna", "talk").events == (Event(10, 20, 13, "surprise"),)  # 12.5: the later one
    assert Event(10, 20, emotion="positive") in found.video("bert", "talk").events
    assert found.audit.empty
    change(data, 'unit = "frames"', 'unit = "seconds"')
    label(data, "anna;talk;0,4;;0,8;micro;surprise;", header=HEADER.replace(",", ";"))
    assert datasets.load("mine", data).video("anna", "talk").events == (Event(10, 20, emotion="surprise"),)


def test_every_other_frame_is_kept_of_files_as_of_folders(data):
    label(data, "anna,talk,10,,20,micro,others,", "bert,talk,15,,25,micro,others,")
    change(data, "frame_step = 1", "frame_step = 2")
    for video in datasets.load("mine", data).videos:
        assert (video.n_frames, video.fps, video.events) == (20, 12.5, (Event(5, 10, emotion="others"),))
        assert films.near(frames.open(video)[6], 12)


@pytest.mark.parametrize("wild", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.replace(",", ";"),
    lambda text: "sep=;\n" + text.replace(",", ";"),
    lambda text: text.replace(",", "\t"),
    lambda text: "# mine\n\n" + text.replace("\n", ",,\n"),
    lambda text: text.replace(",aus", "").replace('"4,R9"', "").replace("anna", " anna "),
])  # fmt: skip
def test_how_a_csv_was_saved_makes_no_difference(data, wild):
    text = (
        f'{HEADER}\nanna,talk,3,5,9,micro,anger,"4,R9"\n'.replace('"4,R9"', "") + "bert,talk,8,,14,macro,,\n"
    )
    (data / "mine" / "labels.csv").write_bytes(wild(text).encode())
    found = datasets.load("mine", data, videos="all")
    assert found.video("anna", "talk").events == (Event(3, 9, 5, "negative"),)
    assert found.video("bert", "talk").events == (Event(3, 9, kind="macro"),) and found.audit.empty


# --- what is repaired, each with its line ---


def test_what_can_be_read_all_the_same_is_in_the_audit_by_its_line(data):
    label(
        data,
        "anna,talk,3,30,9,micro,anger,",  # 2
        "anna,talk,3,30,9,micro,anger,",
        "anna,talk,12,,25,macro,,",  # 4
        "anna,talk,14,,18,macro,,",
        "anna,talk,30,,90,macro,,",  # 6
        "anna,walk,3,,9,micro,,",
        "anna,swim,3,,9,micro,anger,",  # 8
    )
    assert sorted(audited(data)) == [
        (0, "dropped", "no frames of this video: left out with 1 micro"),
        (2, "repaired", "apex 30 lies outside 3…9: left empty"),
        (3, "dropped", "the same event as in row 2"),
        (5, "flagged", "14…18 overlaps 12…25 of row 4, inside which it lies"),
        (6, "clipped", "offset 90 → 39: it ends after its video, whose frames are 0…39"),
        (7, "flagged", "no emotion: it counts for spotting alone"),
    ]


# --- what is refused ---


@pytest.mark.parametrize(("row", "message"), [
    ("anna,talk,9,,3,micro,anger,", "row 3, column 'onset': onset 9 lies after offset 3"),
    ("anna,talk,9,,0,micro,anger,", "row 3, column 'offset': offset 0: the event's end is not known"),
    ("anna,talk,nine,,12,micro,anger,", "row 3, column 'onset': 'nine' is not a frame number"),
    ("anna,talk,1,two,12,micro,anger,", "row 3, column 'apex': 'two' is not a frame number"),
    ("anna,talk,1,,,micro,anger,", "row 3, column 'offset': '' is not a frame number"),
    ("anna,talk,-1,,12,micro,anger,", "row 3, column 'onset': onset -1 is negative"),
    ("anna,talk,1,,12,tiny,anger,", "row 3, column 'kind': unknown kind 'tiny'; known: micro, macro, blink"),
    ("anna,talk,1,,12,micro,glee,", "row 3, column 'emotion': unknown emotion 'glee'; known: anger"),
    ("anna,talk,3,,9,micro,happiness,", "row 3, column 'emotion': 'happiness', but row 2 has the same event"),
    ("anna,talk,1,,12,micro,anger,4,7", "row 3, column 'beyond the last column': '7'"),
    ("../anna,talk,1,,12,micro,anger,", "row 3, column 'subject': '../anna' is no name for a file"),
    ("anna,,1,,12,micro,anger,", "row 3, column 'video': '' is no name for a file"),
    ("anna,talk,50,,60,micro,anger,", r"row 3, column 'Onset' \(50\): the micro event 50…60 lies outside"),
])  # fmt: skip
def test_a_bad_row_is_refused_by_its_line_or_left_out_with_an_entry(data, row, message):
    label(data, "anna,talk,3,,9,micro,anger,", row)
    with pytest.raises(ValueError, match=f"^labels.csv, {message}"):
        datasets.load("mine", data)
    found = datasets.load("mine", data, bad_rows="drop")
    assert [video.events for video in found.videos] == [(Event(3, 9, emotion="negative"),)]
    assert found.audit[["row", "action"]].values.tolist() == [[3, "dropped"]]


@pytest.mark.parametrize(("content", "message"), [
    (f"{HEADER}\nanna,talk,1,,9,micro,anger,\nJos\xe9,talk,1,,9,micro,anger,\n".encode("latin-1"),
     "labels.csv, line 3: not in UTF-8"),
    (f'{HEADER}\nanna,"talk,1,,9,micro,anger,\n'.encode(), "labels.csv, line 2: unexpected end of data"),
    (b"subject,video,onset,apex,kind\n", "labels.csv: no column 'offset', 'emotion'; columns wanted"),
    (b"", "labels.csv: no column 'subject'"),
])  # fmt: skip
def test_a_file_that_is_no_table_says_why(data, content, message):
    (data / "mine" / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.read_annotations("mine", data / "mine" / "labels.csv")


@pytest.mark.parametrize(("old", "new", "message"), [
    ("fps = 25", "fps = 0", "set.toml: fps: Input should be greater than 0"),
    ("window = 30", "window = 31", "set.toml: window: Input should be a multiple of 2"),
    ('unit = "frames"', 'unit = "hours"', "set.toml: unit: Input should be 'frames' or 'seconds'"),
    ('anger = "negative"', 'anger = "bad"', "set.toml: emotions.anger: Input should be 'negative'"),
    ("fps = 25", "fbs = 25", "set.toml: fps: (Missing|Field) required"),
    ("fps = 25", "fps = ", r"set.toml: Invalid value \(at line 4"),
])  # fmt: skip
def test_wrong_settings_are_named(data, old, new, message):
    change(data, old, new)
    with pytest.raises(ValueError, match=message):
        datasets.reader_of("mine", data)


@pytest.mark.parametrize(
    "name",
    ["..", "../mine", "a/b", "/mine", "Mine", "my set", "", ".mine", "casme3-paper", "9mine", "x" * 41],
)
def test_a_name_that_could_leave_the_folder_or_be_taken_for_another_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is no name for a set"):
        own.begin(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="unknown data set"):
        datasets.reader_of(name, tmp_path)


@pytest.mark.parametrize("name", ["casme3", "synthetic", "flow", "runs", "demo"])
def test_a_name_that_is_taken_is_refused_by_the_command(tmp_path, name):
    ended = CliRunner().invoke(main, ["data", "new", name, "--root", str(tmp_path)])
    assert ended.exit_code == 1 and f"the name '{name}' is taken by a" in ended.output


def test_a_set_is_begun_once_and_labels_that_are_there_stay(tmp_path):
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "labels.csv").write_text("mine")
    command = ["data", "new", "mine", "--fps", "200", "--root", str(tmp_path)]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert (tmp_path / "data" / "mine" / "labels.csv").read_text() == "mine"
    assert registry.reader_of("mine", tmp_path / "data").frame_step == 7
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 1 and "set.toml is there already; nothing was changed" in again.output


# --- videos ---


def test_check_names_a_file_that_cannot_be_read_and_one_of_another_rate(data):
    folder = data / "mine" / "videos"
    folder.unlink()
    (folder / "anna").mkdir(parents=True)
    films.clip_of(folder / "anna" / "talk.mp4", 40, fps=10)
    (folder / "anna" / "walk.mp4").write_bytes(b"no film at all")
    label(data, "anna,talk,3,,9,micro,anger,", "anna,walk,3,,9,micro,anger,")
    table = check.check("mine", data).set_index("item")
    assert "walk.mp4. Convert it" in table.loc["video files that cannot be read", "to_do"]
    assert "talk.mp4 has 10; a set has one" in table.loc["video files of other than 25 frames/s", "to_do"]
    assert table.loc["videos with a micro-expression and frames", ["found", "expected"]].tolist() == [
        "1",
        "2",
    ]
    assert audited(data)[0] == (0, "dropped", "walk.mp4 cannot be read as a video: left out with 1 micro")


@pytest.mark.parametrize(("paths", "message"), [
    (["anna/talk.mp4", "anna/talk.avi"], "are both video anna talk: remove one"),
    (["talk.mp4"], "talk.mp4 is no subject's"),
    (["anna/my talk.mp4"], "'my talk' is no name for a subject or video"),
    (["a/b_c.mp4", "a_b/c.mp4"], "videos a/b_c and a_b/c would share files"),
])  # fmt: skip
def test_videos_whose_names_are_not_clear_are_named_by_load_and_check(data, paths, message):
    folder = data / "mine" / "videos"
    folder.unlink()
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    label(data, "anna,talk,3,,9,micro,anger,")
    with pytest.raises(ValueError, match=message):
        datasets.load("mine", data)
    assert check.check("mine", data)["to_do"].str.contains(message).any()


def test_a_whole_set_is_checked_without_a_complaint(data):
    label(data, "anna,talk,3,,9,micro,anger,", "bert,talk,8,,14,micro,happiness,")
    table = check.check("mine", data, deep=True)
    assert table["ok"].all(), table
    found = dict(zip(table["item"], table["found"], strict=True))
    assert (found["micro-expressions"], found["videos with frames"]) == ("2", "3")
