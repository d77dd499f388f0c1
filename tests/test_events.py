"""Events, videos and interval arithmetic."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metst_lib.events import CLASSES, EMOTIONS, Event, Video, clip, iou, numbered, overlap

intervals = st.tuples(st.integers(0, 60), st.integers(0, 30)).map(lambda pair: Event(pair[0], sum(pair)))


def test_classes_are_the_four_emotions_and_neutral_last():
    assert EMOTIONS == ("negative", "positive", "surprise", "others")
    assert CLASSES.index("neutral") == 4 and CLASSES[:4] == EMOTIONS


def test_action_units_are_a_tuple_and_no_part_of_equality():
    event = Event(3, 5, aus=["4", "L12"])
    assert event.aus == ("4", "L12") and event == Event(3, 5) and Event(3, 5).aus == ()
    with pytest.raises(ValueError, match="a tuple of texts, not the text 'L12'"):
        Event(3, 5, aus="L12")


def test_owners_numbers_by_hand():
    event = Event(3, 5, 4, "positive", "macro", ("12",))
    moved = numbered(event, 8, 7)
    assert moved == Event(29, 43, 36, "positive", "macro") and moved.aus == ("12",)
    assert numbered(Event(0, 2), 1, 1) == Event(1, 3)


def test_both_ends_count():
    assert Event(3, 5).length == 3
    assert Event(4, 4).length == 1


def test_iou_by_hand():
    assert iou(Event(0, 9), Event(5, 14)) == 5 / 15
    assert iou(Event(0, 9), Event(0, 4)) == 0.5
    assert iou(Event(0, 9), Event(10, 19)) == 0
    assert overlap(Event(0, 9), Event(9, 19)) == 1


@given(intervals, intervals)
def test_iou_and_overlap_are_those_of_sets_of_frames(a, b):
    frames_a, frames_b = set(range(a.onset, a.offset + 1)), set(range(b.onset, b.offset + 1))
    assert overlap(a, b) == overlap(b, a) == len(frames_a & frames_b)
    assert iou(a, b) == iou(b, a) == len(frames_a & frames_b) / len(frames_a | frames_b)
    assert (iou(a, b) == 1) == (a == b)


@given(intervals, st.integers(1, 100))
def test_clip_keeps_just_the_frames_inside_the_video(event, n_frames):
    inside = [f for f in range(event.onset, event.offset + 1) if f < n_frames]
    if inside:
        assert clip(event.onset, event.offset, n_frames) == (inside[0], inside[-1])
    else:
        with pytest.raises(ValueError, match=f"outside frames 0…{n_frames - 1}"):
            clip(event.onset, event.offset, n_frames)


def test_clip_cuts_a_start_before_the_first_frame():
    assert clip(-4, 6, 5) == (0, 4)
    with pytest.raises(ValueError, match=r"-4…-1 lies outside"):
        clip(-4, -1, 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(onset=5, offset=4), "onset 5 lies after offset 4"),
        (dict(onset=-1, offset=4), "onset -1 is negative"),
        (dict(onset=1.5, offset=4), "onset 1.5 is not a whole frame"),
        (dict(onset=None, offset=4), "onset None is not a whole frame"),
        (dict(onset=1, offset=4, apex=5), "apex 5 lies outside 1…4"),
        (dict(onset=1, offset=4, emotion="happy"), "unknown emotion 'happy'; known: negative, positive"),
        (dict(onset=1, offset=4, emotion="neutral"), "unknown emotion 'neutral'"),
        (dict(onset=1, offset=4, kind="wink"), "unknown kind 'wink'; known: micro, macro, blink"),
    ],
)
def test_an_impossible_event_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Event(**fields)


def test_numpy_frames_become_plain_integers():
    event = Event(np.int64(3), np.int32(9), apex=np.uint8(4))
    assert type(event.onset) is type(event.offset) is type(event.apex) is int
    assert event == Event(3, 9, apex=4) and hash(event) == hash(Event(3, 9, apex=4))


def test_events_and_videos_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event(1, 2).onset = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        Video("spNO.1", "a", 30, 10, ()).fps = 25


def test_a_video_sorts_its_events_and_sifts_them_by_kind():
    late, early, blink = Event(20, 25), Event(3, 9), Event(10, 12, kind="blink")
    video = Video("spNO.1", "a", 30, 100, (late, blink, early))
    assert video.key == ("spNO.1", "a")
    assert video.events == (early, blink, late)
    assert video.events_of("micro") == [early, late]
    assert video.events_of("blink", "micro") == [early, blink, late]
    assert video.events_of("macro") == []


def test_an_event_beyond_the_video_is_refused_by_name():
    Video("spNO.1", "a", 30, 26, (Event(20, 25),))
    with pytest.raises(ValueError, match=r"video spNO.1 a has frames 0…24, but an event ends at frame 25"):
        Video("spNO.1", "a", 30, 25, (Event(20, 25),))
