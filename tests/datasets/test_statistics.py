"""Statistics of a set of long videos: a toy counted by hand, and the owners' workbooks where they are."""

import lookalikes
import numpy as np
import pandas as pd
import pytest

from metst_lib.datasets.statistics import PLACES, STATISTICS, from_owners, real, statistics
from metst_lib.events import Event, Video

# Ten frames a second; a: 60 s, b: 30 s, the third has no event.
A = (
    Event(10, 14, emotion="negative"),  # 0.5 s; the next ME begins 10 frames after its end: 1 s, near
    Event(25, 29, emotion="positive"),  # macro from 40 on: 10 frames between, near
    Event(40, 59, kind="macro"),  # 2 s
    Event(71, 80, emotion="negative"),  # 11 frames after the macro: not near
    Event(200, 201, kind="blink"),  # 0.2 s
)
B = (
    Event(50, 59, kind="macro"),  # 1 s
    Event(59, 68, emotion="others"),  # 1 s; shares frame 59
    Event(65, 74, emotion="others"),  # 1 s; overlaps the ME before it: 16 frames together
)
TOY = [Video("s1", "a", 10, 600, A), Video("s2", "b", 10, 300, B), Video("s2", "c", 10, 900, ())]


def test_two_videos_with_events_and_one_without_are_counted_as_by_hand():
    expected = {
        "videos": 3,
        "total length (min)": 3,
        "subjects with an ME": 2,
        "MEs": 5,
        "MEs per minute, all videos (1/min)": 5 / 3,
        "MEs per minute, videos with an ME (1/min)": 5 / 1.5,
        "macros per minute (1/min)": 2 / 3,
        "blinks per minute, labelled subjects (1/min)": 1,  # one blink, one minute of s1
        "blinks per minute, videos with a blink (1/min)": 1,
        "ME duration, median (s)": 1,  # of 0.5, 0.5, 1, 1, 1
        "ME duration, 5 % (s)": 0.5,
        "ME duration, 95 % (s)": 1,
        "macro duration, 5 % (s)": 1.05,
        "macro duration, median (s)": 1.5,
        "macro duration, 95 % (s)": 1.95,
        "blink duration, 5 % (s)": 0.2,
        "blink duration, median (s)": 0.2,
        "blink duration, 95 % (s)": 0.2,
        "video length, 5 % (s)": 33,
        "video length, median (s)": 60,
        "video length, 95 % (s)": 87,
        "videos without an ME (%)": 100 / 3,
        "MEs that overlap a macro (%)": 20,
        "MEs within 1 s of a macro (%)": 60,
        "MEs within 1 s of another ME (%)": 80,
        "frames in an ME (%)": 100 * (5 + 5 + 10 + 16) / 1800,
        "classes per subject, mean of 4": 1.5,
        "subjects with fewer than 3 classes (%)": 100,
        "class negative (%)": 40,
        "class positive (%)": 20,
        "class surprise (%)": 0,
        "class others (%)": 40,
        "MEs per subject, median": 2.5,
        "MEs per subject, most": 3,
    }
    found = statistics(TOY, blink_subjects={"s1"})
    assert list(found.index) == list(STATISTICS) and set(expected) == set(STATISTICS)
    assert found.to_dict() == pytest.approx(expected)


def test_blinks_count_over_every_subject_where_none_is_named():
    assert statistics(TOY)["blinks per minute, labelled subjects (1/min)"] == pytest.approx(1 / 3)


def test_what_a_set_does_not_label_is_not_a_number_rather_than_nothing():
    mes = tuple(Event(e.onset, e.offset) for e in A if e.kind == "micro")  # no emotion, no macro, no blink
    found = statistics([Video("s1", "a", 10, 600, mes)])
    of_these = found[found.index.str.contains("macro|blink|class")]
    assert len(of_these) == 3 + 8 + 6 and of_these.isna().all()
    assert found["MEs within 1 s of another ME (%)"] == pytest.approx(200 / 3)


def test_seconds_are_those_of_each_video_whatever_its_frame_rate():
    fast = Video("s1", "a", 200, 2000, (Event(100, 199),))
    slow = Video("s1", "b", 20, 200, (Event(10, 19),))
    assert statistics([fast])["ME duration, median (s)"] == 0.5
    np.testing.assert_allclose(statistics([fast]), statistics([slow]))


def test_no_video_or_one_without_a_length_is_refused_by_name():
    with pytest.raises(ValueError, match="a set without a video has no statistics"):
        statistics([])
    with pytest.raises(ValueError, match="video s9 x has no length"):
        statistics([*TOY, Video("s9", "x", 30, 0, ())])


def test_the_stored_numbers_are_those_of_the_owners_workbooks():
    folder = lookalikes.owners("evidence").parent
    pd.testing.assert_frame_equal(from_owners(folder), real(), rtol=0, atol=0.5 * 10**-PLACES)


def test_the_stored_numbers_hold_summaries_of_three_sets_with_their_source():
    table = real()
    assert table["dataset"].unique().tolist() == ["casme3", "sammlv", "casme2sq"]
    assert table["statistic"].tolist() == 3 * list(STATISTICS)
    assert table["source"].str.contains("xlsx").all()
    rates = table.set_index(["dataset", "statistic"])["value"]
    for name, all_videos, with_me, on_macro in (
        ("casme3", 0.42, 1.17, 7.6),
        ("casme2sq", 0.41, 1.27, 3.5),
        ("sammlv", 3.9, 6.1, 31),
    ):
        found = rates[name]
        assert found["MEs per minute, all videos (1/min)"] == pytest.approx(all_videos, rel=0.015)
        assert found["MEs per minute, videos with an ME (1/min)"] == pytest.approx(with_me, rel=0.015)
        assert found["MEs that overlap a macro (%)"] == pytest.approx(on_macro, rel=0.015)
