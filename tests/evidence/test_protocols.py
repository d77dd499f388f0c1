"""One set of curves through every protocol: what each choice changes, worked out by hand."""

import numpy as np
import pytest

from metst_lib.events import Event
from metst_lib.evidence import protocols
from metst_lib.evidence.scorefile import bare
from metst_lib.metrics import Counts

A, B, C = ("s1", "a"), ("s1", "b"), ("s2", "c")


def bump(n, *centres):
    """A curve with a triangle of height 1 at each centre."""
    t = np.arange(n)
    return bare(sum(np.clip(1 - np.abs(t - c) / 6, 0, None) for c in centres))


def curves():
    return {A: bump(80, 30), B: bump(80, 60), C: bump(60, 20)}


TRUTH = {
    A: [Event(25, 35), Event(0, 70, kind="macro")],
    B: [],
    C: [Event(14, 22), Event(40, 60)],
}


def test_the_table_has_a_row_a_combination():
    table = protocols.table(curves(), TRUTH)
    assert len(table) == 2 * 2 * 2 * 3 * 2 * 5
    assert not table.duplicated(list(protocols.COLUMNS)).any()
    # Lengths 10, 8, 20: mean 12.67, median 10.
    assert table.groupby("width")["half_width"].first().to_dict() == {"mean": 6, "median": 5}
    assert table.groupby("videos")["n_videos"].first().to_dict() == {"all": 3, "with_me": 2}


def test_all_videos_cost_the_false_positives_of_those_without_a_label():
    table = protocols.table(curves(), TRUTH).set_index(list(protocols.COLUMNS))
    for matching, more in (("strict", 1), ("released", 1), ("megc2024", 0), ("double service", 1)):
        few, all_ = (table.loc["median", "none", "padded", 0.55, of, matching] for of in protocols.VIDEOS)
        assert (all_["tp"], all_["fn"]) == (few["tp"], few["fn"]) == (2, 1)
        assert all_["fp"] - few["fp"] == more


def test_the_rows_all_are_left_out_where_every_video_has_a_label():
    few = {key: curve for key, curve in curves().items() if key != B}
    assert set(protocols.table(few, TRUTH)["videos"]) == {"with_me"}


def test_a_published_number_is_found_among_the_protocols():
    table = protocols.table(curves(), TRUTH, published=Counts(2, 1, 1))
    found = table[table["published"]]
    assert set(found["videos"]) == {"all"} and len(found) > 0
    assert (found[["tp", "fp", "fn"]].to_numpy() == [2, 1, 1]).all()


def test_whole_windows_find_no_peak_at_the_edge_where_padding_makes_one():
    edge = bare(np.clip(1 - np.arange(40) / 12, 0, None))
    assert protocols.detect(edge, 4, 0.55, edges="whole") == []
    (found,) = protocols.detect(edge, 4, 0.55, edges="padded")
    assert found.onset == 0


def test_a_curve_shorter_than_its_window_has_no_interval():
    assert protocols.detect(bare(np.ones(7)), 4, 0.5, edges="whole") == []


def test_grown_intervals_follow_the_curve():
    wide = bare(np.concatenate([np.zeros(30), np.ones(30), np.zeros(30)]))
    (fixed,) = protocols.detect(wide, 6, 0.55)
    (grown,) = protocols.detect(wide, 6, 0.55, growth="curve")
    assert fixed.length == 13 and grown.length > 25


def test_a_curve_without_a_truth_is_an_error():
    with pytest.raises(ValueError, match="no truth of 1 videos with a curve, s1 b the first"):
        protocols.table(curves(), {A: [], C: []})
