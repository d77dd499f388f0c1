"""CAS(ME)²: a workbook without headers, and names that its other sheets explain."""

import lookalikes
import pytest

from metst_lib import datasets


@pytest.fixture
def read(tmp_path):
    def read(rows=None, codes=None, **options):
        table, audit = datasets.read_annotations(
            "casme2sq", *lookalikes.casme2sq(tmp_path, rows, codes), **options
        )
        return table.set_index("source_row"), audit

    return read


def test_without_a_header_the_first_row_is_row_1(read):
    table, _ = read()
    assert table.index.tolist() == [1, 2, 3, 4, 5]
    assert table.loc[1, ["subject", "video", "onset", "apex", "offset"]].tolist() == [
        "s15",
        "disgust1",
        10,
        14,
        19,
    ]
    assert table["kind"].tolist() == ["micro", "macro", "macro", "micro", "macro"]
    assert table["emotion"].tolist() == ["negative", "positive", "negative", "surprise", "others"]


def test_offset_0_becomes_the_apex(read):
    table, audit = read()
    assert table.loc[2, "offset"] == 45
    assert "offset 0 → 45, the apex" in audit[audit["row"] == 2]["reason"].tolist()


def test_the_typo_in_the_self_report_is_repaired(read):
    table, audit = read()
    assert "self-report: happiness" in table.loc[2, "notes"]
    assert audit["reason"].str.contains("'happyiness' → 'happiness'").sum() == 1


@pytest.mark.parametrize("lost", [False, True])
def test_codes_of_videos_are_read_with_their_leading_zero(tmp_path, lost):
    codes = [[int(code) if lost else code, name] for code, name in lookalikes.CASME2SQ_CODES]
    lookalikes.casme2sq(tmp_path / "casme2sq", codes=codes)
    lookalikes.casme2sq_frames(tmp_path / "casme2sq")
    data = datasets.load("casme2sq", tmp_path, videos="all")
    keys = [("s15", "disgust1"), ("s15", "happy1"), ("s16", "anger1"), ("s16", "anger2")]
    assert [video.key for video in data.videos] == keys
    assert data.video("s15", "disgust1").source.path(0).name == "img1.jpg"


def test_events_count_from_the_first_image(root):
    data = datasets.load("casme2sq", root)
    assert [video.key for video in data.videos] == [("s15", "disgust1"), ("s16", "anger1")]
    event = data.video("s15", "disgust1").events_of("micro")[0]
    assert (event.onset, event.apex, event.offset, event.emotion) == (9, 13, 18, "negative")


def test_the_self_report_may_be_absent(read):
    table, _ = read([row[:8] for row in lookalikes.CASME2SQ_ROWS])
    assert len(table) == 5 and table.loc[1, "notes"] == ""


def test_a_video_or_subject_that_no_sheet_explains_is_an_error(read):
    rows = [list(row) for row in lookalikes.CASME2SQ_ROWS]
    rows[2][1] = "fear9_1"
    with pytest.raises(ValueError, match=r"row 3, column 'video': 'fear9_1' is no video of the naming sheet"):
        read(rows)
    rows[2][0] = 3
    with pytest.raises(ValueError, match="no sheet maps the subjects 1, 2, 3 to folders such as s15"):
        read(rows)


def test_a_workbook_without_the_naming_sheets_is_an_error(tmp_path):
    path = lookalikes.write_workbook(
        tmp_path / "code_final.xlsx", {"CASFEcode_final": lookalikes.CASME2SQ_ROWS}
    )
    with pytest.raises(ValueError, match=r"code_final.xlsx: no sheet maps the subjects"):
        datasets.read_annotations("casme2sq", path)


def test_the_owners_workbook_is_read_and_not_an_updated_one_beside_it(tmp_path):
    (book,) = lookalikes.casme2sq(tmp_path)
    other = book.with_stem(f"{book.stem}(Updated)")
    other.write_bytes(book.read_bytes())
    assert datasets.find_tables("casme2sq", tmp_path) == [book]
    said = f"this file is read, not {other.name} (not its owners' name)"
    assert said in datasets.read_annotations("casme2sq", book)[1]["reason"].tolist()
    book.unlink()
    assert datasets.find_tables("casme2sq", tmp_path) == [other]
    assert not datasets.read_annotations("casme2sq", other)[1]["reason"].str.contains("this file").any()


def test_there_is_nothing_as_released(read):
    with pytest.raises(ValueError, match="the authors released nothing"):
        read(as_released=True)
