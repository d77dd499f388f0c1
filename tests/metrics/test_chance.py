"""The chance line: by hand."""

import sys

import numpy as np
import pytest

from metst_lib.events import Event
from metst_lib.metrics import Counts, chance
from metst_lib.metrics.chance import hits, moved, shifts

A, B = ("s1", "a"), ("s1", "b")


def test_hits_by_chance_are_the_share_of_shifts_that_hit():
    # Five of ten frames begin at 0…5: shifts 0…9 give onsets 0 1 2 3 4 5 0 1 2 3. Onsets 0 and 1 overlap
    # 0…4 by 5/5 and 4/6, onset 2 by 3/7 only: four shifts in ten hit.
    found = chance({A: [Event(0, 4)]}, {A: [Event(0, 4)]}, {A: 10}, draws=4000)
    assert found.observed == Counts(1, 0, 0)
    assert found.tp == found.f1 == found.by_draw.mean() == pytest.approx(0.4, abs=0.03)
    assert found.p == (1 + found.by_draw.sum()) / 4001


def test_f1_by_chance_is_that_of_the_mean_hits_and_p_the_draws_that_reach_what_is_seen():
    truth = {A: [Event(100, 109), Event(300, 309)], B: [Event(50, 59)]}
    predicted = {A: [Event(100, 109), Event(300, 309), Event(700, 709)], B: []}
    found = chance(predicted, truth, {A: 1000, B: 200}, draws=300)
    assert found.observed == Counts(2, 1, 1)
    assert found.f1 == pytest.approx(2 * found.tp / 6)
    assert found.p == (1 + np.sum(found.by_draw >= 2)) / 301 < 0.05
    # Nothing found is always reached.
    assert chance({A: []}, {A: [Event(0, 4)]}, {A: 10}).p == 1


def test_the_seed_decides_and_the_order_of_the_videos_does_not():
    n_frames = {A: 60, B: 40}
    truth = {A: [Event(10, 19)], B: [Event(20, 26)]}
    predicted = {A: [Event(0, 9), Event(30, 39)], B: [Event(3, 9)]}
    one, again, other = (chance(predicted, truth, n_frames, 50, seed).by_draw for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any()
    turned = {key: truth[key] for key in (B, A)}
    assert (chance(predicted, turned, n_frames, 50, 1).by_draw == one).all()


def test_truths_of_a_video_move_together_and_start_again_where_they_would_leave_it():
    events = [Event(0, 4), Event(6, 7)]
    # Of ten frames the first can begin at 0…5, the second at 0…8.
    assert moved(events, np.array([0, 2, 5, 6, 9]), 10, A).tolist() == [
        [0, 6],
        [2, 8],
        [5, 2],
        [0, 3],
        [3, 6],
    ]
    assert moved([Event(0, 9)], np.arange(10), 10, A).tolist() == [[0]] * 10
    (drawn,) = shifts([A], {A: 7}, 500, 0).values()
    assert set(drawn) == set(range(7))


def test_both_kinds_of_a_video_move_by_the_same_shift():
    events = {A: [Event(0, 9), Event(30, 59, kind="macro")]}
    found = chance(events, events, {A: 500}, draws=200, kind="overall")
    apart = [chance({A: [e]}, {A: [e]}, {A: 500}, 200, kind=e.kind).by_draw for e in events[A]]
    assert (found.by_draw == apart[0] + apart[1]).all() and found.observed.tp == 2


def test_a_prediction_with_a_choice_is_one_hit_as_the_strict_scorer_has_it():
    truth, onsets = [Event(0, 9), Event(3, 12)], np.array([[0, 3], [0, 30], [20, 40]])
    met = hits([Event(2, 11)], truth, onsets)
    # 2…11 overlaps 0…9 by 8/12 and 3…12 by 9/11: the better one; then 0…9 alone; then none.
    assert met[:, :, 0].tolist() == [[False, True], [True, False], [False, False]]


def test_videos_without_a_length_or_with_too_short_a_one_are_named():
    truth = {A: [Event(0, 9)]}
    for n_frames in ({}, {A: 0}):
        with pytest.raises(ValueError, match="video s1 a has no length"):
            chance(truth, truth, n_frames)
    with pytest.raises(ValueError, match="video s1 a has 9 frames, too few for an event of 10"):
        chance(truth, truth, {A: 9})
    with pytest.raises(ValueError, match="video s1 a has no prediction"):
        chance({}, truth, {A: 20})
    with pytest.raises(ValueError, match="unknown kind 'blink'"):
        chance(truth, truth, {A: 20}, kind="blink")


@pytest.mark.parametrize("draws", [0, -1])
def test_chance_without_a_draw_is_refused(draws):
    with pytest.raises(ValueError, match="at least one draw"):
        chance({("s", "v"): []}, {("s", "v"): []}, {("s", "v"): 9}, draws=draws)


def test_draws_made_in_parts_are_the_same_draws(monkeypatch):
    truth, predicted = {A: [Event(10, 19), Event(40, 52)]}, {A: [Event(12, 20), Event(30, 41), Event(70, 80)]}
    whole = chance(predicted, truth, {A: 100}, draws=50)
    monkeypatch.setattr(sys.modules["metst_lib.metrics.chance"], "_parts", lambda *_: 7)
    assert chance(predicted, truth, {A: 100}, draws=50).by_draw.tolist() == whole.by_draw.tolist()
