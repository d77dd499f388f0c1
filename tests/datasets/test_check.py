"""`check` on an empty, a half-filled and a whole set; `audit` from rows to events."""

import shutil
from dataclasses import replace

import lookalikes
import pandas as pd
import pytest
from click.testing import CliRunner

from metst_lib.app.cli import main
from metst_lib.datasets import check as checks
from metst_lib.datasets import reader_of, registry

WHOLE = {
    "rows of micro-expressions": 11,
    "micro-expressions": 10,
    "videos with a micro-expression": 4,
    "macro-expressions": 3,
    "blinks": 3,
    "subjects": 4,
    "videos": 5,
}


def lines(table):
    """item -> (found, expected, ok), and the tables apart."""
    rest = table[table["item"] != "table"]
    return {row.item: (row.found, row.expected, row.ok) for row in rest.itertuples()}


@pytest.fixture
def casme3(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    lookalikes.casme3_frames(tmp_path / "casme3")
    return tmp_path


def test_an_empty_folder_lists_what_is_missing_and_how_to_get_it(tmp_path):
    table = checks.check("casme3", tmp_path)
    assert tuple(table.columns) == checks.CHECK_COLUMNS
    assert not table["ok"].any()
    assert table["item"].tolist() == [
        "folder",
        "table",
        "table",
        "subjects with frames",
        "videos with frames",
    ]
    assert table["to_do"].str.contains("data/README.md").all()
    assert lines(table)["videos with frames"] == ("0", "1300", False)


def test_a_half_unpacked_set_names_the_first_thing_that_lacks(casme3):
    folder = casme3 / "casme3"
    (folder / lookalikes.CASME3_TABLES[1]).unlink()
    for path in (folder / "data/spNO.2/e/color").iterdir():
        path.unlink()
    (folder / "data/spNO.1/a/color/30.jpg").unlink()
    (folder / "data/spNO.1/b/color/6.jpg").write_bytes(b"")
    table = checks.check("casme3", casme3, expected=WHOLE)
    found = lines(table)
    assert table[table["item"] == "table"]["ok"].tolist() == [True, False]
    assert found["micro-expressions"] == ("9", "10", False)  # less to repair from
    assert found["videos with frames"] == ("4", "5", False)
    assert found["videos with a micro-expression and frames"] == ("3", "4", False)
    to_do = table.set_index("item")["to_do"]
    assert str(folder / "data/spNO.2/e/color") in to_do["videos with a micro-expression and frames"]
    assert found["missing frames"] == ("1", "at most 130", True)
    assert found["frames that do not open"] == ("1 of 12 opened", "at most 130", True)
    assert found["events outside their video"] == ("0", "0", True)


def test_a_whole_set_has_nothing_to_do(casme3):
    table = checks.check("casme3", casme3, expected=WHOLE, deep=True)
    assert table["ok"].all() and (table["to_do"] == "").all()
    found = lines(table)
    assert found["videos with frames"] == ("5", "5", True)
    assert found["frames that do not open"] == ("0 of 900 opened", "at most 130", True)
    need = "56 KB"  # 4 videos of 200 frames: 7 windows of 50 frames, 10 channels, 4 bytes
    assert found["disk for the flow of 5 regions (4 videos)"][1] == need


def test_a_small_copy_is_not_taken_for_the_owners_version(casme3):
    found = lines(checks.check("casme3", casme3))
    assert found["micro-expressions"] == ("10", "859", False)
    assert found["macro-expressions"] == ("3", "3346", False)


def test_missing_and_unreadable_frames_count_where_none_are_known(tmp_path):
    lookalikes.sammlv(tmp_path / "sammlv")
    lookalikes.sammlv_frames(tmp_path / "sammlv")
    (tmp_path / "sammlv/SAMM_longvideos/004_1/004_1_0005.jpg").unlink()
    (tmp_path / "sammlv/SAMM_longvideos/012_3/012_3_0001.jpg").write_bytes(b"torn")
    table = checks.check("sammlv", tmp_path).set_index("item")
    assert not table.loc["missing frames", "ok"] and "004_1_0005.jpg" in table.loc["missing frames", "to_do"]
    assert not table.loc["frames that do not open", "ok"]
    assert "012_3_0001.jpg" in table.loc["frames that do not open", "to_do"]


@pytest.fixture
def casme2sq(tmp_path, monkeypatch):
    """A look-alike whose counts are those expected, by folder and by command."""
    lookalikes.casme2sq(tmp_path / "data/casme2sq")
    lookalikes.casme2sq_frames(tmp_path / "data/casme2sq")
    counts = {"macro-expressions": 3, "subjects": 2, "videos": 4}
    monkeypatch.setitem(registry._OWNERS, "casme2sq", replace(reader_of("casme2sq"), expected=counts))
    return tmp_path


def checked(root, code):
    """The check of CAS(ME)², item by item; the command's exit status must be `code`."""
    result = CliRunner().invoke(main, ["data", "check", "casme2sq", "--root", str(root)])
    assert result.exit_code == code, result.output
    return checks.check("casme2sq", root / "data").set_index("item")


def test_a_video_that_copies_are_known_to_lack_is_named_and_the_set_is_usable(casme2sq):
    assert checked(casme2sq, code=0).loc["videos with frames", "found"] == "4"
    shutil.rmtree(casme2sq / "data/casme2sq/rawpic/s15/15_0502funnything")  # a macro-expression only
    row = checked(casme2sq, code=0).loc["videos with frames"]
    assert row[["found", "expected", "ok"]].tolist() == ["3, one missing: s15 happy1", "4", True]


def test_a_missing_video_that_no_label_names_is_told_of_too(casme2sq, monkeypatch):
    counts = {"videos": 5}
    monkeypatch.setitem(registry._OWNERS, "casme2sq", replace(reader_of("casme2sq"), expected=counts))
    row = checked(casme2sq, code=0).loc["videos with frames"]
    assert row["found"] == "4, one missing: a video without a label"


def test_a_missing_micro_expression_or_a_third_missing_video_is_not_passed_over(casme2sq, monkeypatch):
    for name in ("s15/15_0502funnything", "s16/16_0402beatingpregnantwoman"):
        shutil.rmtree(casme2sq / "data/casme2sq/rawpic" / name)
    assert checked(casme2sq, code=0).loc["videos with frames", "found"].startswith("2, 2 missing: s15 happy1")
    monkeypatch.setitem(registry._OWNERS, "casme2sq", replace(reader_of("casme2sq"), lacking=1))
    assert checked(casme2sq, code=1).loc["videos with frames", ["found", "ok"]].tolist() == ["2", False]
    monkeypatch.setitem(registry._OWNERS, "casme2sq", replace(reader_of("casme2sq"), lacking=3))
    shutil.rmtree(casme2sq / "data/casme2sq/rawpic/s15/15_0101disgustingteeth")
    table = checked(casme2sq, code=1)
    assert not table.loc["videos with a micro-expression and frames", "ok"]


def test_an_event_outside_its_video_is_reported_not_raised(casme3):
    for path in (casme3 / "casme3/data/spNO.1/a/color").iterdir():
        if int(path.stem) > 60:
            path.unlink()
    row = checks.check("casme3", casme3).set_index("item").loc["events outside their video"]
    assert (row["found"], row["ok"]) == ("1", False)
    assert "macro 100…140 of spNO.1 a, whose frames are 8…60 (row 2)" in row["to_do"]


def test_a_broken_table_is_reported_not_raised(tmp_path):
    rows = [list(row) for row in lookalikes.CASME3_MICRO]
    rows[3][7] = "boredom"
    lookalikes.casme3(tmp_path / "casme3", rows)
    table = checks.check("casme3", tmp_path).set_index("item")
    assert "row 5, column 'emotion'" in table.loc["tables read", "to_do"]
    assert table.loc["micro-expressions", "found"] == "9"


def test_the_synthetic_set_is_measured_by_its_own_settings(tmp_path):
    folder = tmp_path / "synthetic"
    lookalikes.casme3(folder, [lookalikes.CASME3_MICRO[0]], [lookalikes.CASME3_MACRO[0]])
    lookalikes.casme3_frames(folder, {("spNO.1", "a"): (8, 207)})
    before = checks.check("synthetic", tmp_path).set_index("item")
    assert before.loc["written to the end", "to_do"] == "run `metst data synth` again"
    (folder / "complete.json").write_text('{"settings": {"subjects": 1, "videos": 1, "fps": 30}}')
    table = checks.check("synthetic", tmp_path)
    assert table["ok"].all() and lines(table)["videos with frames"] == ("1", "1", True)


def test_the_flow_of_a_video_takes_windows_times_channels_times_frames():
    assert checks.flow_bytes(50, 50, 10) == 1 * 10 * 50 * 4
    assert checks.flow_bytes(51, 50, 10) == 2 * 10 * 50 * 4  # one more, aligned to the end
    assert checks.flow_bytes(100, 50, 36) == 3 * 36 * 50 * 4
    assert checks.flow_bytes(49, 50, 10) == 0


# ---------------------------------------------------------------- audit


def test_the_audit_leads_from_rows_to_events(casme3_tables):
    table = checks.audit("casme3", (casme3_tables.micro, casme3_tables.second))
    steps = table[["step", "micro", "videos", "subjects"]].values.tolist()
    t = casme3_tables
    assert steps[0] == ["rows of micro-expressions", t.rows, t.videos, t.subjects]
    assert steps[1] == ["dropped", t.kept, t.videos, t.subjects]
    assert steps[2] == ["kept", t.kept, t.videos, t.subjects]
    assert (table["step"] == "repaired").sum() >= 5 and (table["micro"].iloc[2:] == t.kept).all()


def test_the_audit_explains_what_the_released_code_keeps(casme3_tables):
    table = checks.audit("casme3", (casme3_tables.micro, casme3_tables.second), as_released=True)
    kept = table[table["step"] == "kept"].iloc[0]
    assert (kept["micro"], kept["videos"]) == casme3_tables.released
    reasons = " | ".join(table[table["step"] == "dropped"]["reason"])
    assert "the released code finds no folder 'J'" in reasons and "onset and apex are 0" in reasons


def test_the_audit_goes_on_to_what_is_loaded(casme3):
    for path in (casme3 / "casme3/data/spNO.2/e/color").iterdir():
        path.unlink()
    table = checks.audit("casme3", casme3)
    last = table[table["step"] == "loaded"].iloc[0]
    assert (last["micro"], last["videos"], last["subjects"]) == (7, 3, 2)
    assert table["reason"].str.contains("spNO.2 e: no frames of this video").any()
    rows = checks.entries("casme3", casme3)
    assert {"repaired", "dropped", "clipped", "flagged"} == set(rows["action"])


def test_with_the_lengths_of_the_videos_the_audit_needs_no_frames(tmp_path):
    lookalikes.sammlv(tmp_path / "tables/sammlv")
    lengths = ["subject,video,first,last", *(f"{v[:3]},{v},1,240" for v in ("004_1", "005_2", "012_3"))]
    (tmp_path / "lengths.csv").write_text("\n".join(lengths))
    given = {"tables": tmp_path / "tables", "ranges": tmp_path / "lengths.csv", "root": tmp_path}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    assert CliRunner().invoke(main, ["data", "audit", "sammlv", *options]).exit_code == 0
    rows = pd.read_csv(tmp_path / "data/sammlv/audit.csv").set_index("row")
    reason = "offset 250 → 240: it ends after its video, whose frames are 1…240"
    assert rows[rows["action"] == "clipped"].loc[12, "reason"] == reason
    outside = rows[rows["action"] == "dropped"]["reason"]
    assert outside.index.tolist() == [13, 15] and outside.str.contains("outside the frames 1…240").all()


def test_many_alike_entries_are_one_line(tmp_path):
    rows = [[*row] for row in lookalikes.SAMMLV_LONG]
    rows += [[5, f"005_2_{n}", 2, 10.5 + n, 20, 60, 50, "Macro", "AU4", ""] for n in range(4, 12)]
    table = checks.audit("sammlv", lookalikes.sammlv(tmp_path, rows))
    line = table[table["reason"].str.contains("9 rows, the first: onset 300.5 is between frames")]
    assert line["row"].tolist() == [13]
