"""One of several faces: which it is, and where it goes."""

import pytest

from metst_lib.recording import face
from metst_lib.rois import Rect


def box(x: int, width: int = 100, y: int = 200) -> Rect:
    """A square box with its centre at x, y."""
    return Rect(y - width // 2, y + width // 2, x - width // 2, x + width // 2)


def test_faces_are_numbered_from_left_to_right_and_the_largest_is_followed():
    seen = [[box(500, 140), box(100)], [box(110), box(505, 140)], [box(500, 140), box(120)]]
    found = face.follow(seen)
    assert (found.number, found.largest, found.at) == (2, 2, 0)
    assert found.all == [box(100), box(500, 140)]
    assert found.boxes == [box(500, 140), box(505, 140), box(500, 140)]
    first = face.follow(seen, 1)
    assert (first.number, first.boxes) == (1, [box(100), box(110), box(120)])
    with pytest.raises(ValueError, match=r"no face 3: 2 faces, from left to right: 1 at x = 100 \(100 px wi"):
        face.follow(seen, 3)


def test_a_passer_by_does_not_become_the_one_who_is_followed():
    """The larger face comes for two moments, while the one that is followed is out of sight."""
    seen = [[box(100)], [box(100)], [box(100), box(500, 90)], [box(100), box(500, 90)], [box(500, 200)]]
    assert face.follow(seen, 1).boxes == [box(100), box(100), box(100), box(100), None]


def test_a_face_is_found_again_further_away_the_longer_it_was_gone():
    gone: list[list[Rect]] = [[] for _ in range(4)]
    assert face.follow([[box(100)], [box(280)]]).boxes == [box(100), None]
    assert face.follow([[box(100)], *gone, [box(380)]]).boxes == [box(100), *[None] * 4, box(380)]
    assert face.follow([[box(100)], *gone, [box(480)]]).boxes[-1] is None


def test_a_second_face_at_one_moment_only_is_the_detectors_mistake():
    seen = [[box(100)], [box(100), box(400, 30)], [box(100)]]
    found = face.follow(seen)
    assert (found.all, found.number) == ([box(100)], 1)
    assert found.boxes == [box(100)] * 3
    assert face.follow([[box(100), box(400, 30)], []]).all == [box(100)]


def test_the_moments_before_the_most_faces_are_followed_back():
    seen = [[box(90)], [], [box(100), box(400)], [box(410), box(105)]]
    found = face.follow(seen, 1)
    assert (found.at, found.boxes) == (2, [box(90), None, box(100), box(105)])
    with pytest.raises(ValueError, match="no face found"):
        face.follow([[], []])
