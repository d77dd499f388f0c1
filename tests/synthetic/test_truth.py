"""The truth of a rendered video: what is written is read back, and what was not stored is not made up."""

from dataclasses import replace

import numpy as np
import pytest

from metst_lib import synthetic
from metst_lib.synthetic import truth
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import write_script

KEY = ("spNO.1", "a")


@pytest.fixture(scope="module")
def film():
    return Film(write_script(3, 0, 0, seconds=8))


def test_the_truth_of_a_film_is_read_as_it_was_written(film, tmp_path):
    truth.save(tmp_path, KEY, film, first=7)
    assert [path.name for path in tmp_path.iterdir()] == ["spNO.1_a.npz"]
    stored = synthetic.read_truth(tmp_path, KEY)
    for name, values in film.truth().items():
        np.testing.assert_array_equal(stored[name], values)
    assert (int(stored["first"]), int(stored["fps"])) == (7, 30)
    assert stored["emotion"].tolist() == [action.emotion or "" for action in film.script.actions]


def test_actions_come_back_without_recipe_and_balance(film, tmp_path):
    truth.save(tmp_path, KEY, film, first=1)
    wanted = [replace(action, recipe=None, balance=0.0) for action in film.script.actions]
    assert truth.read_actions(tmp_path, KEY) == wanted


@pytest.mark.parametrize("side", ["L", "R"])
def test_the_side_of_an_action_is_kept(film, tmp_path, side):
    script = film.script
    actions = (replace(script.of("micro")[0], action_units=(6, 12), side=side),)
    truth.save(tmp_path, KEY, Film(replace(script, actions=actions), film.face), first=1)
    (action,) = truth.read_actions(tmp_path, KEY)
    assert (action.side, action.action_units) == (side, (6, 12))
    assert action.halves == {"L": (0, 1), "R": (1, 0)}[side]


def test_a_video_without_truth_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"spNO\.1_a\.npz"):
        synthetic.read_truth(tmp_path, KEY)
