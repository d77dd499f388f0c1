"""Action Units on events: every way the tables write them, and a note for each part that cannot be read."""

import re

import lookalikes
import pytest

from metst_lib import datasets
from metst_lib.datasets.rows import action_units


@pytest.mark.parametrize(
    ("cell", "units", "unread"),
    [
        ("4", ("4",), ()),
        ("1+2+25,24", ("1", "2", "25", "24"), ()),
        ("L12 + r18+4+04", ("L12", "R18", "4"), ()),
        ("T28+14+B28", ("T28", "14", "B28"), ()),
        ("AU6+AU12", ("6", "12"), ()),
        ("4B+A12C+5B/C+6(B/C)", ("4", "A12", "5", "6"), ()),
        ("4D+ref(10)+glare", ("4",), ("ref(10)", "glare")),
        ("14or23", (), ("14or23",)),
        ("12(2)+123", (), ("12(2)", "123")),
        (" ", (), ()),
    ],
)
def test_a_cell_is_read_as_far_as_it_can_be(cell, units, unread):
    assert action_units(cell) == (units, unread)


@pytest.mark.parametrize(
    ("name", "key", "units"),
    [
        ("casme3", ("spNO.1", "a"), [("R12",), ("4",), ("L14",), (), ("6", "12")]),  # the fourth a blink
        ("sammlv", ("005", "005_2"), [("4",), ("6", "12"), ("1", "2")]),
        ("casme2sq", ("s15", "happy1"), [("6", "12")]),
    ],
)
def test_each_reader_keeps_them(root, name, key, units):
    (video,) = [video for video in datasets.load(name, root, videos="all").videos if video.key == key]
    assert [event.aus for event in video.events] == units


def test_a_part_that_cannot_be_read_is_in_the_audit_and_the_event_is_kept(tmp_path):
    rows = [[*row] for row in lookalikes.SAMMLV_LONG]
    rows[2][8] = "4D+ref(10)+glare"
    table, audit = datasets.read_annotations("sammlv", *lookalikes.sammlv(tmp_path, rows))
    told = audit[audit["reason"].str.contains("Action Units")]
    assert told[["row", "action", "kind"]].to_numpy().tolist() == [[13, "flagged", "macro"]]
    assert re.search(r"'4D\+ref\(10\)\+glare': 'ref\(10\)', 'glare' cannot be read", told["reason"].item())
    assert len(table) == len(rows) and table["action_units"][2] == "4D+ref(10)+glare"


@pytest.mark.parametrize(("name", "noted"), [("casme3", 0), ("sammlv", 91), ("casme2sq", 0)])
def test_of_the_owners_tables_so_many_labels_hold_a_part_that_cannot_be_read(owners_folder, name, noted):
    _, audit = datasets.read_annotations(name, *datasets.find_tables(name, owners_folder(name)))
    assert audit["reason"].str.startswith("Action Units").sum() == noted
