"""From frame scores to events."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import find_peaks

from metst_lib.events import CLASSES, Event, Prediction
from metst_lib.spotting import (
    Rule,
    _apart,
    candidates,
    find_events,
    grow,
    half_width,
    inside,
    ranked,
    smooth,
    threshold,
)


def bump(n_frames, *centres, height=1.0, width=3.0):
    frames = np.arange(n_frames)
    return height * sum(np.exp(-(((frames - c) / width) ** 2)) for c in centres)


def logits(classes):
    return np.eye(5)[[CLASSES.index(name) for name in classes]] * 4.0


def test_half_width_is_half_the_mean_span_plus_one():
    # Spans 10 and 13: N = 11.5, (N + 1) / 2 = 6.25.
    assert half_width([Event(0, 10), Event(20, 33)]) == 6
    assert half_width([Event(0, 1)]) == 1


def test_half_width_leaves_out_what_is_too_long_to_be_a_micro_expression():
    events = [Event(0, 10), Event(0, 12), Event(100, 3555)]
    assert half_width(events) == 6
    assert half_width(events, longest=None) == int((3477 / 3 + 1) / 2)
    assert half_width([Event(0, 299)]) == 150  # 300 frames stay
    with pytest.raises(ValueError, match="no micro-expression of at most 300 frames"):
        half_width([Event(0, 300)])


def test_half_width_heeds_micro_expressions_only():
    assert half_width([Event(0, 10), Event(0, 50, kind="macro"), Event(0, 4, kind="blink")]) == 5
    with pytest.raises(ValueError, match="no micro-expression"):
        half_width([Event(0, 50, kind="macro")])
    with pytest.raises(ValueError, match=r"mean span of 0.00 frames is too short"):
        half_width([Event(5, 5)])


def test_smoothing_by_hand():
    # Frame t averages t − 2 … t + 1; what lies outside counts as zero.
    assert smooth([4, 8, 0, 0, 4], 2).tolist() == [3, 3, 3, 3, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 12))
def test_smoothing_is_the_moving_average_of_the_padded_score(score, k_p):
    padded = np.concatenate([np.zeros(k_p), score, np.zeros(k_p)])
    expected = [padded[t : t + 2 * k_p].mean() for t in range(len(score))]
    np.testing.assert_allclose(smooth(score, k_p), expected, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=24, max_size=40), st.integers(1, 12))
def test_smoothing_equals_numpys_same_mode_as_the_released_code_uses(score, k_p):
    np.testing.assert_allclose(
        smooth(score, k_p), np.convolve(score, np.ones(2 * k_p) / (2 * k_p), "same"), atol=1e-12
    )


def test_equal_surroundings_give_equal_averages_to_the_last_digit():
    rng = np.random.default_rng(0)
    piece = rng.random(40, dtype=np.float32)
    score = np.concatenate([rng.random(33), piece, rng.random(150), piece, rng.random(8)])
    smoothed = smooth(score, 9)
    assert smoothed[33 + 9 : 73 - 8].tolist() == smoothed[223 + 9 : 263 - 8].tolist()
    assert smooth(score[::-1], 9)[::-1][:-1].tolist() == smoothed[1:].tolist()  # the window turned round
    assert smooth([5e-324, 0.0], 1).tolist() == [0, 0] and smooth([0.0, 0.0], 1).tolist() == [0, 0]


def test_of_peaks_too_close_together_the_highest_stays_and_of_equals_the_earliest():
    height = np.zeros(40)
    height[[5, 8, 12, 20, 24, 30]] = 3, 3, 3, 1, 2, 2
    peaks = np.flatnonzero(height)
    assert _apart(peaks, height, 4) == [5, 12, 20, 24, 30]  # 8 lies 3 from 5; 12 is 4 from 8, which is gone
    assert _apart(peaks, height, 5) == [5, 12, 24, 30]
    assert _apart(peaks, height, 8) == [5, 24]  # 12 lies 7 from 5; 30 lies 6 from 24, its equal
    assert _apart(peaks, height, 1) == peaks.tolist() and _apart(peaks[:0], height, 4) == []
    # two pairs whose plateaus are equal to the last digit: the earlier of each stays
    score = np.tile([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 5) / 3
    assert [c.peak % 12 for c in candidates(score, logits(["others"] * 60), 2)] == [3] * 5


_KERNELS = """
import numpy as np
from metst_lib.spotting import candidates, smooth
from metst_lib import spotting
rng = np.random.default_rng(5)
print(spotting.__file__)
for trial in range(300):
    length, k_p = int(rng.integers(20, 400)), int(rng.integers(1, 20))
    score = rng.integers(0, 4, length) / 3 if trial % 2 else rng.random(length, dtype=np.float32)
    emotion = rng.integers(0, 3, (length, 5)).astype(np.float32)
    print(smooth(score, k_p).tobytes().hex()[:4096], candidates(score, emotion, k_p, p=rng.random()))
"""
_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"


def printed_with(**environment):
    """What the trials above print in a process of its own, whose libraries choose other kernels."""
    environment = {**os.environ, **environment}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _KERNELS], env=environment, text=True, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_events_do_not_depend_on_the_processor():
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "avx512f" not in flags.read_text():
        pytest.skip("this processor has no AVX-512, so there is nothing to hold Haswell's kernels against")
    haswell, skylake = (printed_with(OPENBLAS_CORETYPE=name) for name in ("Haswell", "SkylakeX"))
    assert haswell == skylake and haswell.count("Candidate") > 1000
    # NumPy's own kernels: without AVX-512 it sorts and selects in another way
    assert printed_with(NPY_DISABLE_CPU_FEATURES=_AVX512) == haswell


def test_threshold_lies_between_mean_and_maximum():
    score = np.array([0, 0, 0, 1.0])
    assert threshold(score, 0.55) == pytest.approx(0.25 + 0.55 * 0.75)
    assert threshold(score, 0) == 0.25 and threshold(score, 1) == 1


def test_one_bump_becomes_one_event_around_its_peak():
    score = bump(100, 40)
    found = find_events(score, logits(["positive"] * 100), 6)
    # The average over t − 6 … t + 5 is centred half a frame early, so the peak is at 40 or 41.
    assert found in (
        [Event(34, 46, apex=40, emotion="positive")],
        [Event(35, 47, apex=41, emotion="positive")],
    )


def test_low_bumps_stay_under_the_threshold():
    score = bump(200, 50) + bump(200, 150, height=0.4)
    emotion = logits(["others"] * 200)
    assert [e.apex // 10 for e in find_events(score, emotion, 6)] in ([5], [4])
    assert len(find_events(score, emotion, 6, p=0.2)) == 2


def test_peaks_are_at_least_the_half_width_apart():
    score = bump(100, 40, 46, width=1.0)
    emotion = logits(["others"] * 100)
    assert len(find_events(score, emotion, 2)) == 2
    assert len(find_events(score, emotion, 8)) == 1


def test_intervals_are_clipped_to_the_video():
    for centre, expected in ((2, (0, 8)), (97, (91, 99))):
        (found,) = find_events(bump(100, centre, width=2.0), logits(["others"] * 100), 6)
        assert found.onset == max(0, found.apex - 6) and found.offset == min(99, found.apex + 6)
        assert abs(found.onset - expected[0]) + abs(found.offset - expected[1]) <= 4
        assert (found.onset == 0) or (found.offset == 99)


@pytest.mark.parametrize(
    "score", [np.zeros(80), np.full(80, 0.3), np.full(80, 0.3) + 1e-9 * np.sin(np.arange(80)), []]
)
def test_a_flat_score_gives_no_event(score):
    assert find_events(score, logits(["others"] * len(score)), 6) == []


def test_a_score_without_a_peak_gives_no_event():
    assert find_events(np.linspace(0, 1, 5), logits(["others"] * 5), 6) == []


def test_the_emotion_is_that_of_most_open_interval_frames():
    score = bump(60, 30)
    (candidate,) = candidates(score, logits(["others"] * 60), 5)
    onset, offset = candidate.onset, candidate.offset
    assert (onset, offset) == (candidate.peak - 5, candidate.peak + 5)
    names = ["negative"] * 60
    # Frames onset + 1 … offset − 2 vote: eight frames, five of them surprise.
    names[onset + 1 : onset + 6] = ["surprise"] * 5
    assert find_events(score, logits(names), 5)[0].emotion == "surprise"
    # Onset, offset − 1 and offset have no vote: four against four, negative seen first, and so it stays.
    for silent in (onset, offset - 1, offset):
        names = ["others"] * 60
        names[onset + 1 : onset + 9] = ["negative"] * 4 + ["surprise"] * 4
        names[silent] = "surprise"
        assert find_events(score, logits(names), 5)[0].emotion == "negative"


def test_of_equally_many_votes_the_class_seen_first_wins():
    score = bump(60, 30)
    (candidate,) = candidates(score, logits(["others"] * 60), 5)
    first = candidate.onset + 1
    for one, two in (("surprise", "negative"), ("negative", "surprise")):
        names = ["others"] * 60
        names[first : first + 8] = [one, two, two, one, one, two, two, one]
        assert find_events(score, logits(names), 5)[0].emotion == one


def test_the_peak_decides_where_the_interval_is_too_short_to_vote():
    score = np.zeros(20)
    score[10] = 1
    names = ["negative"] * 20
    (candidate,) = candidates(score, logits(names), 1)
    assert candidate.offset - candidate.onset == 2
    names[candidate.peak] = "positive"
    assert find_events(score, logits(names), 1)[0].emotion == "positive"


def test_result_synergy_drops_what_the_recogniser_calls_neutral():
    score = bump(200, 50, 150)
    emotion = logits(["neutral"] * 100 + ["surprise"] * 100)
    emotion[:100, CLASSES.index("positive")] = 1  # second best
    with_synergy = find_events(score, emotion, 6)
    without = find_events(score, emotion, 6, result_synergy=False)
    assert [e.emotion for e in with_synergy] == ["surprise"]
    assert [e.emotion for e in without] == ["positive", "surprise"]
    assert with_synergy == without[1:]
    seen = candidates(score, emotion, 6)
    assert [(c.vote, c.emotion, c.dropped) for c in seen] == [
        ("neutral", "positive", True),
        ("surprise", "surprise", False),
    ]
    assert seen[0].height == smooth(score, 6).max()


def test_synergy_keeps_the_five_way_vote_not_the_four_way_one():
    # Eight voting frames: three negative, three neutral leaning to positive, two positive.
    score = bump(60, 30)
    (candidate,) = candidates(score, logits(["others"] * 60), 5)
    emotion = logits(["others"] * 60)
    rows = slice(candidate.onset + 1, candidate.offset - 1)
    emotion[rows] = logits(["negative"] * 3 + ["neutral"] * 3 + ["positive"] * 2)
    emotion[candidate.onset + 4 : candidate.onset + 7, CLASSES.index("positive")] = 1
    assert find_events(score, emotion, 5)[0].emotion == "negative"
    assert find_events(score, emotion, 5, result_synergy=False)[0].emotion == "positive"


@given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.floats(0.1, 50), st.booleans())
def test_events_lie_in_the_video_and_do_not_depend_on_the_scale_of_the_score(seed, k_p, scale, synergy):
    rng = np.random.default_rng(seed)
    score, emotion = rng.random(120), rng.normal(size=(120, 5))
    found = find_events(score, emotion, k_p, result_synergy=synergy)
    assert all(0 <= e.onset <= e.apex <= e.offset < 120 for e in found)
    assert all(e.emotion in CLASSES[:4] for e in found)
    assert [e.apex for e in found] == sorted(e.apex for e in found)
    low = [c.peak for c in candidates(score, emotion, k_p, p=0)]
    assert all(later - earlier >= k_p for earlier, later in itertools.pairwise(low))
    kept = {e.apex for e in found}
    everything = candidates(score, emotion, k_p)
    assert kept == {c.peak for c in everything if not (synergy and c.dropped)}
    apexes = [c.peak for c in candidates(score * 2.0 ** round(np.log2(scale)), emotion, k_p)]
    assert apexes == [c.peak for c in everything]


def test_what_is_not_finite_or_does_not_fit_is_refused():
    score, emotion = bump(50, 20), logits(["others"] * 50)
    bad = score.copy()
    bad[7] = np.nan
    with pytest.raises(ValueError, match="spotting score is not finite at frame 7"):
        find_events(bad, emotion, 5)
    worse = emotion.copy()
    worse[9, 3] = np.inf
    with pytest.raises(ValueError, match="emotion logits are not finite at frame 9"):
        find_events(score, worse, 5)
    with pytest.raises(ValueError, match=r"logits \(T, 5\), got \(50,\) and \(50, 4\)"):
        find_events(score, emotion[:, :4], 5)
    with pytest.raises(ValueError, match="at least one frame, got 0"):
        find_events(score, emotion, 0)


def steps(n_frames, *pieces):
    """A score that is 0 but for pieces (first, last, height)."""
    score = np.zeros(n_frames)
    for first, last, height in pieces:
        score[first : last + 1] = height
    return score


GROWTH = {
    # within 13 … 19 the score neither rises nor falls; two low frames are met at 8, 9 and at 21, 22
    "on both sides": (steps(40, (10, 20, 1), (16, 16, 1.2)), 16, 3, (16, 10, 20)),
    # the rise from 14 to 15 and the fall from 17 to 18 lie inside 11 … 21
    "inwards": (steps(40, (15, 17, 0.5), (16, 16, 1)), 16, 5, (16, 14, 18)),
    # no frame below the mean within 5 k_p
    "none": (steps(100, (20, 79, 1), (50, 50, 1.1)), 50, 3, (50, 47, 53)),
    # one low frame, 8, is no end: the next, 7, is high
    "over a gap of one frame": (steps(60, (4, 7, 1), (9, 14, 1), (12, 12, 1.2)), 12, 3, (12, 4, 15)),
    "not beyond 5 k_p": (steps(100, (30, 70, 1), (50, 50, 1.1)), 50, 4, (50, 46, 54)),
    # nothing low before the first frame: the end that k_p gave stays, and the highest frame is found anew
    "to the first frame": (steps(40, (0, 9, 1), (2, 2, 1.3), (4, 4, 1.2)), 4, 4, (2, 1, 9)),
    "to the last frame": (steps(40, (30, 39, 1), (35, 35, 1.2)), 35, 4, (35, 30, 39)),
}


@pytest.mark.parametrize("where", GROWTH)
def test_an_interval_grows_along_the_curve(where):
    score, peak, k_p, expected = GROWTH[where]
    assert grow(score, [peak], k_p) == [expected]


def test_of_intervals_that_grow_into_each_other_the_left_one_stays():
    hump = steps(60, (10, 22, 1), (12, 12, 1.1), (20, 20, 1.2), (40, 44, 1))
    assert (*grow(hump, [12], 3), *grow(hump, [20], 3)) == ((20, 9, 22), (20, 10, 23))
    assert grow(hump, [12, 20, 42], 3) == [(20, 9, 22), (40, 39, 45)]
    assert grow(hump, [12, 20, 42], 2) == [(12, 10, 14), (20, 18, 22), (40, 40, 44)]  # 5 k_p is nearer


@given(st.lists(st.floats(0, 1), min_size=12, max_size=60), st.integers(1, 8), st.data())
def test_grown_intervals_lie_apart_and_hold_their_highest_frame(score, k_p, data):
    score = np.array(score)
    peaks = data.draw(st.lists(st.integers(1, len(score) - 2), unique=True, max_size=6).map(sorted))
    found = grow(score, peaks, k_p)
    assert bool(found) == bool(peaks)
    for i, (top, onset, offset) in enumerate(found):
        assert 0 <= onset <= top <= offset < len(score)
        assert score[top] == score[onset : offset + 1].max()
        for other, first, last in found[:i]:
            shared = max(0, min(offset, last) - max(onset, first))
            assert shared < 0.2 * (offset - onset + last - first - shared)
            assert abs(top - other) > k_p


def test_half_width_by_the_median_takes_the_longer_of_two_middle_spans():
    events = [Event(0, 4), Event(0, 30), Event(0, 9), Event(0, 12)]
    assert half_width(events, of="median") == 6  # N = 12
    assert half_width(events) == 7  # N = 13.75
    assert Rule(width="median").fitted(events).half_width == 6


def test_neutral_counted_as_zero_wins_only_where_all_emotions_are_negative():
    score = bump(60, 30)
    learned = np.tile([0.5, -1, -1, -1, 3.0], (60, 1))
    (as_learned,) = candidates(score, learned, 5)
    (zeroed,) = candidates(score, learned, 5, neutral="zero")
    assert (as_learned.vote, zeroed.vote) == ("neutral", "negative")
    (below,) = candidates(score, learned - 1, 5, neutral="zero")
    assert (below.vote, below.emotion) == ("neutral", "negative")
    assert learned[0, 4] == 3  # the logits handed in stay as they were


def test_an_interval_may_be_cut_to_the_video_before_or_after_its_vote():
    # peak 1, k_p 2: cut first, the interval is 0 … 3 and frame 1 votes; cut last, −1 … 3 and frames 0 and 1
    score = steps(12, (0, 0, 0.1), (1, 1, 0.5), (2, 2, 1))
    named = ["surprise", "negative"] + ["others"] * 10
    first, last = (candidates(score, logits(named), 2, cut=cut)[0] for cut in ("first", "last"))
    assert (first.peak, first.onset, first.offset) == (last.peak, last.onset, last.offset) == (1, 0, 3)
    assert (first.vote, last.vote) == ("negative", "surprise")


@pytest.mark.parametrize("field", ["width", "growth", "neutral", "cut", "edges"])
def test_a_rule_refuses_what_it_does_not_know(field):
    with pytest.raises(ValueError, match=f"unknown {field} 'x' of a rule; known: "):
        Rule(**{field: "x"})


def test_a_rule_hands_all_that_it_says_to_the_search():
    score = steps(40, (10, 20, 1), (16, 16, 1.2))
    rule = Rule(half_width=3, growth="curve", neutral="zero", cut="last")
    (event,) = rule.find(Prediction(score, np.tile([1.0, 0, 0, 0, 9], (40, 1))))
    assert (event.onset, event.apex, event.offset, event.emotion) == (10, 16, 20, "negative")


def test_of_two_peaks_on_one_hump_prominence_keeps_the_higher():
    # The second peak, of height 3, rises by 1 above its valley.
    score = np.array([0, 4, 4, 4, 1, 3, 2, 4, 2, 1, *[0] * 10], dtype=float)
    smoothed, emotion = smooth(score, 1), logits(["others"] * 20)
    assert smoothed[:11].tolist() == [0, 2, 4, 4, 2.5, 2, 2.5, 3, 3, 1.5, 0.5]
    assert [c.peak for c in candidates(score, emotion, 1)] == [2, 7]
    spread = 4 - smoothed.mean()
    for share, kept in ((0.99 / spread, [2, 7]), (1 / spread, [2, 7]), (1.01 / spread, [2])):
        rule = Rule(half_width=1, prominence=share)
        assert [event.apex for event in rule.find(Prediction(score, emotion))] == kept
    assert [e.apex for e, _ in ranked(score, emotion, 1, prominence=0.5)] == [2]


@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(0, 1), st.floats(0, 1))
def test_prominence_is_scipys_and_more_of_it_never_adds_a_peak(seed, k_p, one, other):
    score = np.convolve(np.random.default_rng(seed).random(300), np.ones(5), "same")
    smoothed, emotion, (less, more) = smooth(score, k_p), np.zeros((300, 5)), sorted((one, other))
    few, many = ([c.peak for c in candidates(score, emotion, k_p, 0.2, prominence=x)] for x in (more, less))
    assert set(few) <= set(many)
    how = {"height": threshold(smoothed, 0.2), "prominence": less * np.ptp([smoothed.mean(), smoothed.max()])}
    assert many == find_peaks(smoothed, distance=k_p, **how)[0].tolist()


def test_whole_windows_take_mean_maximum_and_peaks_of_their_own():
    # Averages of two frames; that of frame 0 and what lies before it is no whole window.
    score, emotion = np.array([2, 2, 0, 4, 0, 0, 2, 1, 0], dtype=float), np.zeros((9, 5))
    assert smooth(score, 1).tolist() == [1, 2, 1, 2, 2, 0, 1, 1.5, 0.5]
    assert smooth(score, 1)[inside(9, 1, "whole")].tolist() == [2, 1, 2, 2, 0, 1, 1.5, 0.5]  # mean 1.25
    padded, whole = (ranked(score, emotion, 1, relative=True, edges=edges) for edges in ("padded", "whole"))
    assert [event.apex for event, _ in padded] == [1, 3, 7]
    assert [(event.apex, height) for event, height in whole] == [(3, 1), (7, pytest.approx(1 / 3))]
    assert candidates(score[:3], emotion[:3], 2, edges="whole") == []


@pytest.mark.parametrize("share", [-0.1, float("nan")])
def test_a_prominence_below_zero_or_no_number_is_refused(share):
    with pytest.raises(ValueError, match="prominence of a rule must be 0 or more, got"):
        Rule(prominence=share)


def test_every_local_peak_is_ranked_and_those_over_the_threshold_are_the_candidates():
    rng = np.random.default_rng(0)
    score, emotion = rng.random(400), rng.random((400, 5))
    every, relative = ranked(score, emotion, 6), ranked(score, emotion, 6, relative=True)
    smoothed = smooth(score, 6)
    over = [(event.onset, event.offset) for event, height in every if height >= threshold(smoothed, 0.55)]
    proposed = candidates(score, emotion, 6, p=0.55)
    assert 0 < len(over) < len(every) and over == [(c.onset, c.offset) for c in proposed]
    assert all(height == smoothed[event.apex] for event, height in every)
    assert [event for event, _ in relative] == [event for event, _ in every]
    # relative: the threshold is p itself
    assert [h >= 0.55 for _, h in relative] == [h >= threshold(smoothed, 0.55) for _, h in every]
    assert max(height for _, height in relative) == 1


def test_ranked_peaks_are_of_the_kind_asked_for_and_a_flat_score_has_none():
    score, emotion = np.sin(np.arange(100) / 5), np.zeros((100, 5))
    assert {event.kind for event, _ in ranked(score, emotion, 4, kind="macro")} == {"macro"}
    assert ranked(np.ones(50), np.zeros((50, 5)), 4, relative=True) == []


def test_a_height_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="height p of a rule's threshold is no number"):
        Rule(p=float("nan"))


def test_a_half_width_beyond_the_video_averages_all_of_it_and_takes_no_memory_of_its_own():
    np.testing.assert_allclose(smooth([4, 8, 0, 4], 7), [16 / 14] * 4)
    np.testing.assert_allclose(smooth([4, 8, 0, 4], 10**12), [8e-12] * 4)
