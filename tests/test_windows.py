"""Windows: where they lie, their labels, sampling, and stitching their scores into one."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metst_lib.events import Event, window_starts
from metst_lib.windows import cut, holding, sample, stitch, targets

lengths = st.tuples(st.integers(1, 12), st.integers(0, 90)).map(
    lambda pair: (2 * pair[0] + pair[1], 2 * pair[0])
)


def test_window_starts_by_hand():
    assert window_starts(100, 50).tolist() == [0, 25, 50]
    assert window_starts(110, 50).tolist() == [0, 25, 50, 60]  # ten frames left over: one more, at the end
    assert window_starts(50, 50).tolist() == [0]
    assert window_starts(51, 50).tolist() == [0, 1]


@given(lengths)
def test_windows_step_by_half_and_leave_no_frame_out(case):
    n_frames, window = case
    starts = window_starts(n_frames, window)
    regular = n_frames // (window // 2) - 1  # their number in the released code
    assert starts[:regular].tolist() == [i * (window // 2) for i in range(regular)]
    assert len(starts) - regular == (n_frames % (window // 2) > 0)
    assert set(np.concatenate([range(s, s + window) for s in starts])) == set(range(n_frames))


def test_a_video_shorter_than_a_window_is_an_error_naming_both_lengths():
    with pytest.raises(ValueError, match="49 frames, fewer than one window of 50"):
        window_starts(49, 50)
    with pytest.raises(ValueError, match="even number of frames, at least 2; got 7"):
        window_starts(49, 7)


def test_targets_mark_the_frames_between_onset_and_offset():
    spot, emotion = targets([Event(2, 6, emotion="surprise"), Event(8, 10, emotion="negative")], 12)
    assert spot.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0]
    assert emotion.tolist() == [4, 4, 4, 2, 2, 2, 4, 4, 4, 0, 4, 4]
    assert spot.dtype == np.float32 and emotion.dtype == np.int64


def test_targets_ignore_macro_expressions_and_blinks_and_too_short_events():
    events = [Event(0, 9, kind="macro"), Event(2, 5, kind="blink"), Event(3, 4, emotion="others")]
    spot, emotion = targets(events, 10)
    assert spot.sum() == 0 and (emotion == 4).all()


def test_of_two_overlapping_events_the_later_onset_labels_shared_frames():
    events = [Event(4, 9, emotion="positive"), Event(0, 6, emotion="negative")]
    spot, emotion = targets(events, 10)
    assert spot.tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert emotion.tolist() == [4, 0, 0, 0, 0, 1, 1, 1, 1, 4]


def test_targets_refuse_what_cannot_be_learned():
    with pytest.raises(ValueError, match="ends at frame 10, but the video has 10 frames"):
        targets([Event(5, 10, emotion="others")], 10)
    with pytest.raises(ValueError, match="5…9 has no emotion"):
        targets([Event(5, 9)], 10)


def test_stitching_by_hand():
    values = np.array([[0, 0, 0, 0], [2, 2, 4, 4], [8, 8, 8, 8]], dtype=np.float32)
    starts = window_starts(7, 4)
    assert starts.tolist() == [0, 2, 3]
    # Frame 2 is seen by windows 0 and 1, frame 3 by all three, 4 and 5 by 1 and 2, 6 by the last alone.
    assert stitch(values, starts, 7).tolist() == pytest.approx([0, 0, 1, 10 / 3, 6, 6, 8])
    # Every window but the first gives its second half; the aligned one the frame left over.
    assert stitch(values, starts, 7, mode="released").tolist() == [0, 0, 0, 0, 4, 4, 8]


@given(lengths, st.integers(0, 2**32 - 1), st.sampled_from(["mean", "released"]))
def test_cutting_and_stitching_a_signal_gives_it_back(case, seed, mode):
    n_frames, window = case
    signal = np.random.default_rng(seed).normal(size=(n_frames, 3))
    starts = window_starts(n_frames, window)
    pieces = cut(signal, starts, window)
    assert pieces.shape == (len(starts), window, 3)
    np.testing.assert_array_equal(pieces[-1], signal[n_frames - window :])
    np.testing.assert_allclose(stitch(pieces, starts, n_frames, mode), signal, rtol=0, atol=1e-12)


@given(lengths, st.integers(0, 2**32 - 1), st.sampled_from(["mean", "released"]))
def test_stitched_values_lie_within_those_of_their_windows_and_order_does_not_matter(case, seed, mode):
    n_frames, window = case
    rng = np.random.default_rng(seed)
    starts = window_starts(n_frames, window)
    values = rng.random((len(starts), window))
    whole = stitch(values, starts, n_frames, mode)
    for frame in range(n_frames):
        seen = [
            piece[frame - start]
            for start, piece in zip(starts, values, strict=True)
            if 0 <= frame - start < window
        ]
        assert min(seen) - 1e-12 <= whole[frame] <= max(seen) + 1e-12
    order = rng.permutation(len(starts))
    np.testing.assert_allclose(stitch(values[order], starts[order], n_frames, mode), whole, atol=1e-12)


def test_stitching_keeps_float32_and_shape():
    values = np.ones((3, 4, 5), dtype=np.float32)
    whole = stitch(values, window_starts(8, 4), 8)
    assert whole.dtype == np.float32 and whole.shape == (8, 5)


def test_stitching_refuses_gaps_and_misfits():
    values = np.zeros((2, 4))
    with pytest.raises(ValueError, match="no window sees frame 4 of 10"):
        stitch(values, [0, 6], 10)
    with pytest.raises(ValueError, match="unknown stitching 'median'; known: mean, released"):
        stitch(values, [0, 4], 8, mode="median")
    with pytest.raises(ValueError, match="3 starts do not fit"):
        stitch(values, [0, 2, 4], 8)
    with pytest.raises(ValueError, match="beyond the video's 7 frames"):
        stitch(values, [0, 4], 7)
    with pytest.raises(ValueError, match="do not fit a signal of 7 frames"):
        cut(np.zeros(7), np.array([0, 4]), 4)


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_sampling_takes_every_window_with_an_event_and_ratio_times_as_many_without(flags, ratio, seed):
    has_event = np.array(flags, dtype=bool)
    chosen = sample(has_event, ratio, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == len(chosen)
    assert set(np.flatnonzero(has_event)) <= set(chosen.tolist())
    without = (~has_event[chosen]).sum() if len(chosen) else 0
    assert without == min(int(ratio * has_event.sum()), (~has_event).sum())
    assert chosen.tolist() == sorted(chosen.tolist())


def test_sampling_follows_its_generator():
    has_event = np.arange(100) % 10 == 0
    first, again, other = (sample(has_event, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    with pytest.raises(ValueError, match="ratio must be 0 or more, got -1"):
        sample(has_event, -1, np.random.default_rng(0))


def test_half_of_the_windows_without_an_event_come_from_the_hard_ones_as_far_as_they_go():
    has_event = np.arange(40) < 8
    hard = (np.arange(40) % 8 == 0) & (np.arange(40) > 0)  # 8, 16, 24, 32

    def drawn(ratio, hard):
        chosen = sample(has_event, ratio, np.random.default_rng(0), hard)
        assert len(set(chosen)) == len(chosen) == 8 * (1 + ratio)  # as many as without
        assert set(range(8)) <= set(chosen)
        return sum(bool(hard[i]) for i in chosen)

    assert drawn(1, hard) >= 4  # half of eight: all four there are
    few = np.arange(40) == 20
    assert drawn(1, few) == 1
    assert drawn(1, has_event) == 8  # a window with an event is no negative
    many = np.arange(40) >= 12  # 28 of the 32 quiet ones
    assert 4 <= drawn(1, many) <= 8


def test_windows_that_hold_a_macro_expression_are_found_in_the_order_of_the_videos():
    starts = np.array([0, 5, 10])
    flow = SimpleNamespace(values=np.zeros((3, 2, 10)), starts=starts, n_frames=20)
    events = {
        ("b", "1"): [Event(2, 4, kind="macro"), Event(12, 18, emotion="positive")],
        ("a", "1"): [Event(16, 19, kind="macro")],
    }
    found = holding({key: flow for key in events}, events, "macro")
    assert found.tolist() == [False, False, True, True, False, False]  # a before b
