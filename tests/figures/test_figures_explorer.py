"""The explorer's picture: in layers the same as at once, and no face in it that it was not given."""

import cv2
import numpy as np
import pytest
from pictures import FACE, FPS, PREDICTED, VIDEO, texts

from metst_lib import figures
from metst_lib.events import Event
from metst_lib.figures.explorer import LANES, Face, Outcome, Scene


@pytest.fixture
def scene(output):
    """Makes the picture of the video, given what may be shown of a frame."""
    return lambda face: Scene(VIDEO, *output, lambda frame: face, "synthetic data")


@pytest.fixture
def outcome(output):
    hit, miss = PREDICTED
    return Outcome(output[0], 0.5, ((hit, True), (miss, False)), ((Event(90, 99, 95), False),))


def test_in_layers_it_is_the_same_picture_as_at_once(scene, outcome):
    layered = cv2.imdecode(np.frombuffer(scene(Face()).png(outcome, 30), np.uint8), cv2.IMREAD_COLOR)
    whole = scene(Face()).figure(outcome, 30, "A picture.")
    whole.canvas.draw()
    at_once = cv2.cvtColor(np.asarray(whole.canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    assert layered.shape == at_once.shape
    assert (layered != at_once).any(axis=2).mean() < 0.005  # where the line of the frame crosses others


def test_intervals_stand_in_their_lanes(scene, outcome):
    lanes = scene(Face()).figure(outcome, 30, "A picture.").axes[-1]
    rows = [round(patch.get_y() + patch.get_height() / 2) for patch in lanes.patches]
    found, dropped, distractors = (LANES.index(name) for name in LANES[1:])
    assert sorted(rows) == sorted([0] * 3 + [found] * 2 + [dropped] + [distractors] * 3)


def test_it_says_where_the_data_come_from_and_shows_a_face_only_where_one_is_given(scene, outcome):
    bare, shown = (scene(face).figure(outcome, 45, "A picture.") for face in (Face(), Face(FACE[45])))
    assert figures.alt_text(bare) == "A picture. Synthetic data."
    assert [len(figure.axes[0].images) for figure in (bare, shown)] == [0, 1]
    words = [{text.get_text() for text in texts(figure)} for figure in (bare, shown)]
    assert "no frame to show" in words[0] - words[1]
    assert f"frame 45 · {45 / FPS:.2f} s" in words[0] & words[1]


def test_a_score_of_another_length_is_refused(output):
    with pytest.raises(ValueError, match=r"video spNO.1 a has 150 frames, the score 149"):
        Scene(VIDEO, output[0][:-1], output[1], lambda frame: Face(), "x")
