"""Who does what when: the same everywhere, all classes, nothing overlapping, nothing outside the video."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metst_lib.events import EMOTIONS
from metst_lib.synthetic import script
from metst_lib.synthetic.script import Action, Draws, envelope, write_script


def default_set(seed):
    return [write_script(seed, subject, video) for subject in range(8) for video in range(2)]


def test_seed_0_gives_these_events_on_every_machine():
    actions = [
        (a.kind, a.onset, a.apex, a.offset, a.amplitude, a.unit_names, a.emotion)
        for a in write_script(0, 0, 0).actions
    ]
    assert actions == [
        ("micro", 64, 68, 72, 0.7858, "12", "positive"),
        ("blink", 136, 139, 142, 0.7806, "45", None),
        ("micro", 216, 221, 228, 1.1137, "14", "others"),
        ("blink", 270, 272, 274, 0.6598, "45", None),
        ("macro", 293, 317, 338, 3.9897, "6+12", "positive"),
        ("blink", 357, 359, 361, 0.6813, "45", None),
        ("micro", 412, 417, 421, 0.817, "15+17", "negative"),
        ("blink", 498, 500, 502, 0.9814, "45", None),
        ("micro", 553, 556, 561, 1.112, "9+10+4", "negative"),
        ("blink", 614, 618, 622, 0.9353, "45", None),
        ("macro", 642, 665, 701, 5.7256, "20", "others"),
        ("blink", 753, 755, 758, 0.9427, "45", None),
        ("micro", 791, 796, 801, 0.9458, "1+2", "surprise"),
        ("blink", 859, 861, 864, 0.9942, "45", None),
    ]


def test_draws_are_the_raw_words_of_pcg64():
    raw = np.random.PCG64(np.random.SeedSequence(3, spawn_key=(1, 2))).random_raw(2)
    draws = Draws(3, 1, 2)
    assert draws.unit() == (int(raw[0]) >> 11) / 2**53
    assert draws.whole(10, 19) == 10 + int(raw[1]) * 10 // 2**64


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_default_set_has_the_content_that_was_settled(seed):
    scripts = default_set(seed)
    counts = Counter(a.kind for s in scripts for a in s.actions)
    assert all(len(s.of("micro")) in (5, 6) for s in scripts)
    assert all({a.emotion for a in s.of("micro")} == set(EMOTIONS) for s in scripts)
    assert counts["macro"] == 32
    assert 90 <= counts["blink"] <= 140
    one_sided = sum(a.side != "" for s in scripts for a in s.of("micro")) / counts["micro"]
    assert 0.05 < one_sided < 0.25


def test_lengths_amplitudes_and_apexes_lie_in_the_ranges_that_were_settled():
    ranges = {  # frames at 30 fps, both ends counted; px of the face crop
        "micro": (8, 15, 0.6, 1.3),
        "macro": (21, 75, 3.5, 7.0),
        "blink": (5, 9, 0.5, 1.0),
    }
    for s in default_set(0):
        for a in s.actions:
            shortest, longest, weakest, strongest = ranges[a.kind]
            assert shortest <= a.offset - a.onset + 1 <= longest
            assert weakest <= a.amplitude <= strongest
            assert a.onset < a.apex < a.offset
            assert (a.emotion is None) == (a.kind == "blink")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(2, 70), st.sampled_from([15, 25, 30, 60, 200]))
def test_actions_keep_their_distance_and_stay_in_the_video(seed, seconds, fps):
    s = write_script(seed, 3, 1, seconds, fps)
    gap = int(0.6 * fps + 0.5)
    edges = [(-1, -1), *((a.onset, a.offset) for a in s.actions), (s.n_frames, s.n_frames)]
    assert all(later[0] - earlier[1] > gap for earlier, later in pairwise(edges))
    assert len(s.of("micro")) >= 1
    assert [e.onset for e in s.events] == [a.onset for a in s.actions]


def test_pauses_between_blinks_are_two_seconds_at_least():
    for s in default_set(2):
        onsets = [a.onset for a in s.of("blink")]
        assert min(np.diff(onsets)) >= 60


def test_short_videos_of_two_subjects_show_different_emotions():
    first, second = (write_script(0, subject, 0, 4).of("micro") for subject in (0, 1))
    assert first[0].emotion != second[0].emotion


def test_other_seeds_subjects_videos_and_casts_give_other_scripts():
    base = write_script(0, 0, 0)
    others = [write_script(1, 0, 0), write_script(0, 1, 0), write_script(0, 0, 1)]
    others.append(write_script(0, 0, 0, cast="predictor"))
    assert all(other.actions != base.actions for other in others)
    assert write_script(0, 0, 1).look == base.look  # one subject, two videos
    assert all(other.look != base.look for other in (others[0], others[1], others[3]))


def test_an_expression_with_a_unit_of_the_midline_is_never_one_sided():
    actions = [a for seed in range(30) for s in default_set(seed)[:4] for a in s.of("micro")]
    assert not any(a.side for a in actions if {17, 24, 26} & set(a.action_units))
    share = sum(a.side != "" for a in actions) / len(actions)
    assert share == pytest.approx(1 / 7, abs=0.04)


def test_envelope_is_nothing_at_onset_and_offset_and_whole_at_the_apex():
    course = envelope(Action("micro", 4, 6, 12, 1.0, (4,)), 16)
    assert course[[0, 4, 12, 15]].tolist() == [0, 0, 0, 0]
    assert course[6] == 1
    assert course[[5, 9]] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, 0, 1), r"1\.0 s at 30 fps\) is too short for its 1 expressions with pauses of 0\.6 s"),
        ((0, 0, 0, -1), "seconds = -1 is not a length"),
        ((0, 0, 0, float("nan")), "seconds = nan is not a length"),
        ((0, 0, 0, 30, 10), "fps = 10 must be between 15 and 300"),
        ((0, 0, 0, 30, 29.97), r"fps = 29\.97 is not a whole number"),
        ((-1, 0, 0), "seed = -1 must be at least 0"),
    ],
)
def test_settings_that_cannot_be_played_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        write_script(*arguments)


def test_unknown_cast_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown cast 'extras'; known: set, predictor"):
        write_script(0, 0, 0, cast="extras")


def test_recipes_use_units_that_the_face_can_move_and_words_that_the_reader_knows():
    from metst_lib.datasets.casme3 import EMOTION_CLASSES
    from metst_lib.synthetic.bumps import ACTION_UNITS

    for recipe in script.RECIPES:
        assert set(recipe.action_units) <= set(ACTION_UNITS)
        assert EMOTION_CLASSES[recipe.word] == recipe.emotion
    assert {recipe.emotion for recipe in script.RECIPES} == set(EMOTIONS)
