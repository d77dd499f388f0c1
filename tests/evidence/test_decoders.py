"""The authors' own rules, on curves and intervals that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metst_lib.events import Event
from metst_lib.evidence import decoders
from metst_lib.metrics import Counts, evaluate

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda s: Event(s[0], s[0] + s[1])), max_size=6
)


def test_slswin_averages_whole_windows_and_gives_intervals_of_2k():
    # Averages of 4: windows 2, 3, 4, 5 hold the 4.0 at frame 5; the plateau's middle, the earlier, is 3.
    score = np.zeros(12)
    score[5] = 4.0
    assert decoders.slswin(score, k=2, p=0.5) == [Event(3, 7)]


def test_a_peak_at_the_very_edge_of_a_video_is_no_peak_of_whole_windows():
    assert decoders.slswin(np.linspace(1, 0, 20), k=2, p=0.5) == []


def test_slswin_wants_more_than_half_and_charges_an_empty_video_one_false_positive():
    half, more = [Event(0, 9)], [Event(0, 10)]
    assert decoders.slswin_counts(half, [Event(0, 4)]) == Counts(0, 1, 1)  # IoU 5/10
    assert decoders.slswin_counts(more, [Event(0, 5)]) == Counts(1, 0, 0)  # IoU 6/11
    assert decoders.slswin_counts([], [Event(0, 4)]) == Counts(0, 1, 1)
    assert decoders.slswin_counts([], []) == Counts(0, 1, 0)


def test_one_prediction_may_serve_two_truths_by_double_service_alone():
    one, two = [Event(0, 10)], [Event(0, 9), Event(1, 10)]
    assert decoders.double_service(one, two) == Counts(2, -1, 0)
    assert evaluate({("a", "b"): one}, {("a", "b"): two}).spotting == Counts(1, 0, 1)


@given(spans, spans)
def test_double_service_hits_no_fewer_than_strict_and_truths_are_hits_and_misses(predicted, truth):
    found = decoders.double_service(predicted, truth)
    key = ("a", "b")
    assert found.tp >= evaluate({key: predicted}, {key: truth}).spotting.tp
    assert found.tp + found.fn == len(truth) and found.tp + found.fp == len(predicted)


def test_lgsnet_cuts_confidence_to_three_decimals_and_keeps_fourteen():
    rows = [(0, "s15", "happy1", 10.9 + 20 * i, 25.2 + 20 * i, 0.9) for i in range(15)]
    rows += [(0, "s16", "anger1", 5.0, 30.9, 0.4859), (0, "s16", "anger1", 5.0, 30.9, 0.4860)]
    rows += [(1, "s16", "anger1", 7.0, 8.0, 0.99)]
    names = ["epoch", "subject", "video", "onset", "offset", "confidence"]
    found = decoders.lgsnet(pd.DataFrame(rows, columns=names), epoch=0, cut=0.485)
    assert len(found["s15", "happy1"]) == 14 and found["s15", "happy1"][0] == Event(10, 25)
    rows += [(2, "s16", "anger1", 9.5, 8.0, 0.99)]
    with pytest.raises(
        ValueError, match="epoch 2, video s16 anger1: an interval 9 … 8 ends before it begins"
    ):
        decoders.lgsnet(pd.DataFrame(rows, columns=names), epoch=2, cut=0.485)
    assert found["s16", "anger1"] == [Event(5, 30, kind="macro")]  # .4859 is cut to .485, which is not above


def test_peaks_become_intervals_of_eleven_frames_and_truths_are_divided_by_the_step():
    assert decoders.peaks([35]) == [Event(30, 40, apex=35)]
    assert decoders.stepped([Event(210, 280, emotion="surprise")]) == [Event(30, 40, emotion="surprise")]
    with pytest.raises(ValueError, match="-1"):
        decoders.peaks([4])
