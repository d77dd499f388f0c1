"""The study set: the same scripts everywhere, as crowded as its difficulty says, flow by geometry."""

import dataclasses
import hashlib
from itertools import pairwise

import numpy as np
import pytest

from metst_lib import rois, windows
from metst_lib.datasets.statistics import statistics
from metst_lib.events import Video, overlap
from metst_lib.synthetic import answers, replicates, signals, study_script
from metst_lib.synthetic.difficulty import difficulty
from metst_lib.synthetic.script import Action, Change, Habit, envelope, write_script
from metst_lib.synthetic.shape import Shape, waves

#: A study of four subjects, two minutes in all.
TOY = dataclasses.replace(difficulty(), subjects=4, groups=2, minutes=2.0, me_per_minute=4.0)


@pytest.fixture(scope="module")
def toy():
    return replicates.replicate(1, TOY)


#: All that a face does.
KINDS = ("micro", "macro", "blink", "talk", "gaze")


def of(replicate, kind):
    return [(key, event) for key, events in replicate.truth.items() for event in events if event.kind == kind]


def hashed(values):
    return hashlib.sha256(values).hexdigest()[:12]


# --- the first edition ------------------------------------------------------------------------------------


def test_the_first_edition_is_what_it_was():
    drawn = write_script(0, 5, 1)
    shown = [
        (a.kind, a.onset, a.apex, a.offset, a.amplitude, a.action_units, a.balance) for a in drawn.actions
    ]
    assert hashed(repr((shown, drawn.look, drawn.motion, drawn.key)).encode()) == "a36b3b22dbcc"
    assert (drawn.manner, drawn.changes, drawn.wander) == ((), (), ())
    flow = signals.roi_flow(Video("s", "a", 30, 900, drawn.events), "18", 30, actions=drawn.actions)
    assert np.abs(flow.values).sum(dtype=float) == pytest.approx(14071.773927562579, rel=1e-6)


# --- difficulty -------------------------------------------------------------------------------------------


def test_the_key_is_the_frozen_settings_until_something_is_changed():
    assert difficulty().key == "a88816e88e38"  # frozen: another key is another edition
    same = dataclasses.replace(difficulty(), noise=2.0)
    assert same.key != difficulty().key
    assert dataclasses.replace(same, noise=1.0).key == difficulty().key
    assert dataclasses.replace(difficulty(), fps=15).key not in (same.key, difficulty().key)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": -1.0}, r"noise = -1\.0 of a difficulty must be 0 or more"),
        ({"overlap": 1.2}, r"overlap = 1\.2 of a difficulty is no share from 0 to 1"),
        ({"minutes": 0.0}, r"minutes = 0\.0 of a difficulty must be more than 0"),
        ({"groups": 5}, r"24 subjects do not fall into 5 equal groups"),
    ],
)
def test_a_difficulty_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(difficulty(), **changes)


# --- scripts ----------------------------------------------------------------------------------------------


def test_a_number_gives_the_same_scripts_on_every_machine():
    scripts = study_script.write_scripts(3, TOY)
    assert hashed(repr(list(scripts.items())).encode()) == "93fca38c2ead"
    assert scripts == study_script.write_scripts(3, TOY)
    assert scripts != study_script.write_scripts(4, TOY)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_a_replicate_has_the_statistics_that_its_difficulty_names(number):
    drawn, what = replicates.replicate(number), difficulty()
    found = statistics(drawn.videos)
    assert found["videos"] == 48
    assert found["total length (min)"] == pytest.approx(what.minutes, abs=0.05)
    assert found["MEs per minute, all videos (1/min)"] == pytest.approx(what.me_per_minute, abs=0.05)
    assert found["macros per minute (1/min)"] == pytest.approx(what.macro_per_minute, abs=0.2)
    assert found["videos without an ME (%)"] == pytest.approx(100 * what.without_me, abs=1)
    assert found["MEs that overlap a macro (%)"] == pytest.approx(100 * what.overlap, abs=9)  # 77 MEs: 2 σ
    assert found["ME duration, median (s)"] == pytest.approx(what.micro_seconds[3], abs=0.08)
    assert found["subjects with fewer than 3 classes (%)"] > 50
    assert min(e.length for _, e in of(drawn, "micro")) >= 0.2 * 30
    seconds = [e.length / 30 for _, e in of(drawn, "macro")]
    assert min(seconds) == pytest.approx(0.5, abs=0.07)
    assert max(seconds) <= 6.0
    pixels = [a.amplitude for s in drawn.scripts.values() for a in s.of("micro")]
    assert 0.3 <= min(pixels) < 0.5 < np.median(pixels) < np.mean(pixels) < max(pixels) <= 2.0
    assert min(a.amplitude for s in drawn.scripts.values() for a in s.of("macro")) >= 1.5


@pytest.mark.parametrize("changes", [{}, {"me_per_minute": 6.0}, {"overlap": 1.0}, {"fps": 15}])
def test_no_micro_expression_lies_on_another(changes):
    drawn = replicates.replicate(2, dataclasses.replace(difficulty(), **changes))
    for video in drawn.videos:
        for one, other in pairwise(video.events_of("micro")):
            assert not overlap(one, other)
        windows.targets(video.events, video.n_frames)  # labels can be made, whatever else overlaps
        actions = drawn.scripts[video.key].actions
        assert all(0 <= a.onset < a.apex <= a.apex + a.hold < a.offset < video.n_frames for a in actions)


def test_overlap_is_where_it_is_set():
    for share in (0.0, 0.5, 1.0):
        drawn = replicates.replicate(0, dataclasses.replace(difficulty(), overlap=share, beside=0.0))
        found = statistics(drawn.videos)["MEs that overlap a macro (%)"]
        assert found == pytest.approx(100 * share, abs=12)


def test_rate_frames_and_amplitude_follow_their_settings():
    base = replicates.replicate(0)
    fast, often, far = (
        replicates.replicate(0, dataclasses.replace(difficulty(), **changes))
        for changes in ({"fps": 60}, {"me_per_minute": 3.2}, {"amplitude": 2.0})
    )
    assert len(of(often, "micro")) == 2 * len(of(base, "micro"))
    for video, other in zip(base.videos, fast.videos, strict=True):
        assert other.n_frames == pytest.approx(2 * video.n_frames, abs=1)
    for key in base.scripts:
        pairs = zip(base.scripts[key].actions, far.scripts[key].actions, strict=True)
        assert all(b.amplitude == pytest.approx(a.amplitude * (1 + (a.kind == "micro"))) for a, b in pairs)


def test_only_expressions_and_blinks_are_events(toy):
    kinds = {a.kind for s in toy.scripts.values() for a in s.actions}
    assert kinds == {"micro", "macro", "blink", "talk", "gaze"}
    assert {e.kind for events in toy.truth.values() for e in events} == {"micro", "macro", "blink"}


# --- records ----------------------------------------------------------------------------------------------


def test_an_action_that_holds_stays_at_its_apex():
    course = envelope(Action("macro", 10, 14, 30, 1.0, (4,), hold=8), 40)
    np.testing.assert_array_equal(course[14:23], 1.0)
    assert course[12] == pytest.approx(0.5)
    assert course[26] == pytest.approx(0.5)
    assert not course[:11].any()
    assert not course[30:].any()


def test_what_passes_is_added_to_the_heads_waves():
    drawn = dataclasses.replace(write_script(0, 0, 0), changes=(Change("turn", 5, 8, 11, (("yaw", 3.0),)),))
    before, after = waves(write_script(0, 0, 0)), waves(drawn)
    assert (after["yaw"] - before["yaw"])[[5, 8, 11]].tolist() == pytest.approx([0, 3, 0])
    np.testing.assert_array_equal(after["x"], before["x"])


def test_a_habit_moves_an_action_units_field():
    look, action = write_script(0, 0, 0).look, Action("micro", 0, 1, 2, 1.0, (17,))
    plain, own = Shape(look), Shape(look, [Habit(17, 0.0, 0.2, 1.1, 1.0)])
    moved = own.field(action).centres - plain.field(action).centres
    np.testing.assert_allclose(moved, [[0, 0.2 * plain.g]] * 2, atol=1e-9)
    np.testing.assert_allclose(own.field(action).widths, 1.1 * plain.field(action).widths)
    points = np.concatenate([own.landmarks, own.field(action).centres])
    peak = np.linalg.norm(own.field(action).at(points), axis=1).max() * own.crop_scale
    assert peak == pytest.approx(1.0)


# --- signals ----------------------------------------------------------------------------------------------


def test_flow_of_an_even_shift_is_nothing_and_of_one_region_its_own():
    shape = Shape(write_script(0, 1, 0).look)
    sight = answers.Sight(shape, "18")
    assert np.abs(sight.read(np.ones_like(sight.points))).max() < 1e-12  # the nose moves as far
    brow = np.zeros_like(sight.points)
    brow[: sight.ends[0]] = [0.0, -2.0 / sight.scale]
    np.testing.assert_allclose(sight.read(brow)[:4], [0, -2, 0, 0], atol=1e-9)


def test_geometry_is_attenuated_as_flow_was_measured_to_be():
    share = answers.attenuation()
    assert share.shape == (36,)
    np.testing.assert_array_equal(share[0::2], share[1::2])
    assert (0.5 < share).all() and (share < 1.1).all()


def test_windows_are_those_of_flow_and_both_sets_see_one_face(toy):
    wide, narrow = toy.flow("18"), toy.flow("5")
    own = [rois.channel_names("18").index(name) for name in rois.channel_names("5")]
    for video in toy.videos:
        flow = narrow[video.key]
        assert flow.values.shape[1:] == (10, replicates.WINDOW)
        assert not flow.values[:, :, 0].any()
        assert (flow.n_frames, flow.fps, flow.roi_set) == (video.n_frames, 30, "5")
        np.testing.assert_array_equal(flow.values, wide[video.key].values[:, own])


def test_micro_expressions_left_out_change_the_flow_around_them_alone(toy):
    seen, without = toy.flow("5"), toy.flow("5", without=("micro",))
    for video in toy.videos:
        flow, frames = seen[video.key], seen[video.key].starts[:, None] + np.arange(replicates.WINDOW)
        differs = (flow.values != without[video.key].values).any(axis=1)
        inside = np.zeros(video.n_frames, bool)
        for event in video.events_of("micro"):
            inside[event.onset : event.offset + 1] = True
        touched = inside[frames] | inside[frames[:, :1]]  # one under way at the first frame is in all others
        assert not differs[~touched].any()
        if inside.any():
            assert differs.any()


def test_noise_head_and_jitter_do_what_they_say():
    def rest(**changes):
        still = {"noise": 0.0, "head": 0.0, "jitter": 0.0, "lights_per_minute": 0.0}
        what = dataclasses.replace(TOY, **{**still, **changes})
        drawn = replicates.replicate(1, what)
        return np.concatenate([f.values.ravel() for f in drawn.flow("5", KINDS).values()])

    assert not rest().any()
    assert not rest(jitter=3.0).any()  # regions that lie off read nothing of a face that does nothing
    one, two = (rest(noise=level).std() for level in (1.0, 2.0))
    assert two == pytest.approx(2 * one, rel=1e-5)
    assert rest(head=2.0).std() == pytest.approx(2 * rest(head=1.0).std(), rel=1e-3)
