"""Pixels beside signals: the path of real data, and what is told about how alike both are."""

import dataclasses

import numpy as np
import pytest

from metst_lib import baseline
from metst_lib.flow import RoiFlow
from metst_lib.fold import Recipe
from metst_lib.spotting import Rule
from metst_lib.study import rendered, rows
from metst_lib.synthetic import study_signals
from metst_lib.synthetic.difficulty import difficulty
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.replicates import replicate
from metst_lib.synthetic.script import Action, Change, Wave

TOY = dataclasses.replace(difficulty(), subjects=6, groups=2, videos=1, minutes=2.0, without_me=0.0)


@pytest.fixture(scope="module")
def toy():
    return replicate(0, TOY)


def short(script, **changes):
    """A second and a half of a script, the face at rest but for what is said."""
    return dataclasses.replace(script, n_frames=46, **{"actions": (), "changes": (), "wander": (), **changes})


def flow_of(values, n_frames):
    starts = np.arange(len(values)) * 15
    return RoiFlow(values, starts, np.zeros(len(values), bool), n_frames, 30.0, "18", "fast")


def test_a_rendered_smile_is_measured_where_and_as_large_as_the_signals_say(toy):
    smile = Action("macro", 3, 14, 40, 4.0, (12,))
    script = short(toy.scripts["s01", "a"], actions=(smile,), motion=())
    film = Film(script)
    truth = film.truth()["landmarks"]
    found = rendered.filmed(script, lambda image, frame: truth[frame])["18"]
    said = dataclasses.replace(toy, scripts={("s01", "a"): script}).flow("18")["s01", "a"]
    (kind, measured), (_, reckoned) = (rendered.at_apexes(f, script)[0] for f in (found, said))
    assert kind == "macro" and np.abs(reckoned).max() > 2
    assert np.corrcoef(measured, reckoned)[0, 1] > 0.95
    assert np.linalg.norm(measured) == pytest.approx(np.linalg.norm(reckoned), rel=0.25)
    assert (found.n_frames, found.window, found.fps) == (46, 30, 30)


def test_found_landmarks_wander_as_the_script_says(toy):
    wave = Wave("y", 3.0, 4.0, 0.25)  # 3 px of the crop at once, 0 after a second at 30 fps
    script = short(toy.scripts["s01", "a"], wander=(wave,))
    found = rendered.wandering(lambda image, frame: np.ones((68, 2)), script, crop_scale=1.5)
    assert found(None, 0) == pytest.approx(np.tile([1.0, 3.0], (68, 1)))
    assert found(None, 30) == pytest.approx(np.ones((68, 2)))
    assert rendered.wandering(lambda image, frame: None, script, 1.5)(None, 0) is None


def test_noise_is_told_from_a_drift():
    rng, ramp = np.random.default_rng(0), np.arange(30) * 0.02
    values = rng.normal(0, 0.05, (400, 36, 30)) + ramp
    values -= values[:, :, :1]
    assert rendered.noise(values) == pytest.approx(np.full(36, 0.05), rel=0.05)
    assert rendered.second(values) == pytest.approx(np.full(36, np.hypot(29 * 0.02, 0.05 * 2**0.5)), rel=0.05)


def test_signals_at_rest_err_as_rendered_faces_did(toy):
    script = dataclasses.replace(short(toy.scripts["s01", "a"], motion=()), n_frames=6000)
    still = study_signals.roi_flow(script, toy.difficulty).values
    after = [np.sqrt(np.mean(still[:, :, lag] ** 2)) for lag in (1, 8, 16, 29)]
    assert after == pytest.approx([0.056, 0.073, 0.080, 0.091], rel=0.08)  # what was left on the faces


def test_windows_at_rest_and_apexes_are_those_of_the_script(toy):
    values = np.broadcast_to(np.arange(30.0), (4, 36, 30)) + np.arange(4)[:, None, None]
    action = Action("blink", 50, 53, 56, 1.0, (45,))  # in windows 2 (30…59) and 3 (45…74)
    turn = Change("turn", 2, 12, 14, (("x", 3.0),))
    script = dataclasses.replace(short(toy.scripts["s01", "a"]), n_frames=75)
    both = dataclasses.replace(script, actions=(action,), changes=(turn,))
    flow = flow_of(values, 75)
    assert len(rendered.at_rest(flow, script)) == 4
    assert rendered.at_rest(flow, both)[:, 0, 0].tolist() == [1]
    (blink, seen), (change, turned) = rendered.at_apexes(flow, both)
    assert (blink, change) == ("blink", "turn")
    assert seen.tolist() == [np.mean([23 + 2, 8 + 3])] * 36 and turned.tolist() == [12] * 36


def test_flow_is_measured_once_and_again_when_the_script_is_another(toy, tmp_path, monkeypatch):
    asked = []

    def filmed(script, landmarker):
        asked.append(script)
        return {name: toy.flow(name)["s01", "a"] for name in ("5", "18")}

    class Marks:
        made_by = "a test"

        def __init__(self, path):
            assert path.read_text() == "trained"

    monkeypatch.setattr(rendered, "SUBJECTS", 1)
    monkeypatch.setattr(rendered, "filmed", filmed)
    monkeypatch.setattr(rendered, "DlibLandmarker", Marks)
    monkeypatch.setattr(rendered.predictor, "train", lambda path, progress: path.write_text("trained"))
    first, again = (rendered.measured(toy, tmp_path) for _ in range(2))
    assert len(asked) == 1 and list(first) == list(again) == ["5", "18"]
    assert np.array_equal(first["18"]["s01", "a"].values, again["18"]["s01", "a"].values)
    script = dataclasses.replace(toy.scripts["s01", "a"], wander=())
    rendered.measured(dataclasses.replace(toy, scripts={**toy.scripts, ("s01", "a"): script}), tmp_path)
    assert len(asked) == 2


@pytest.fixture(scope="module")
def table(toy):
    """The agreement of signals with themselves, a fifth larger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendered, "SUBJECTS", 4)
        patch.setattr(rendered, "TAUGHT_BY", (8,))
        patch.setattr(rows, "recipe", lambda name: Recipe(baseline.NAME, rule=Rule(result_synergy=False)))
        larger = {
            video.key: dataclasses.replace(f := toy.flow("18")[video.key], values=1.2 * f.values)
            for video in rendered.part(toy)
        }
        return rendered.agreement(toy, larger, seeds=(0,))


def test_what_is_a_fifth_larger_is_told_so(table):
    ratios = table[table["synthetic source"] == "pixels / signals"]
    assert set(ratios["measure"]) == {"noise", "second", "length"}
    assert {"micro", "blink", "rest"} <= set(ratios["kind"])
    assert ratios["value"].to_numpy() == pytest.approx(1.2, rel=1e-4)
    assert ratios.dropna()[["low", "high"]].to_numpy() == pytest.approx(1.2, rel=1e-3)
    alike = table[(table["measure"] == "correlation") & (table["kind"] != "score")]
    assert alike["value"].to_numpy() == pytest.approx(1, abs=1e-4)
    lengths = table[(table["measure"] == "length") & (table["kind"] == "micro") & (table["name"] == "mouth")]
    pair = lengths.set_index("synthetic source")["value"]
    assert pair["pixels"] == pytest.approx(1.2 * pair["signals"])


def test_each_way_of_training_has_both_sources_and_their_difference(table):
    scores = table[table["measure"] == "F1"].set_index(["name", "synthetic source"])
    values = scores["value"].unstack()
    assert list(values.index) == ["leave two out", "trained on other subjects' signals"]
    found = values["pixels"] - values["signals"]
    assert found.tolist() == pytest.approx(values["pixels − signals"].tolist())
    curves = table[
        table["measure"].isin(["correlation", "AUC of frames"]) & (table["name"] == values.index[0])
    ]
    pixels, signals, alike = curves["value"]
    assert alike == pytest.approx(1) and pixels == pytest.approx(signals)
    assert found.iloc[0] == 0  # trained and tested on flow of the same scale, the comparator sees no change
    assert (scores["n"] > 0).all()


def test_the_table_is_read_as_it_was_written(table, tmp_path):
    path = rendered.write(table, tmp_path / rendered.TABLE)
    assert "synthetic" in path.read_text().splitlines()[0]
    again = rendered.read(path)
    assert again["value"].to_numpy() == pytest.approx(table["value"].to_numpy(), abs=1e-4)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"pixels_agreement\.csv is no table of pixels beside signals"):
        rendered.read(path)
