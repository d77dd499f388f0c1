"""How regions answer to Action Units: a known response is found again, as is the rendered set's."""

import measuring
import numpy as np
import pytest

from metst_lib import experiment, rois
from metst_lib.events import Video
from metst_lib.synthetic import response, signals
from metst_lib.synthetic.script import Action


def acting_set(tmp_path, measured, videos=24):
    """Flow of a known response, and the truth that the renderer would write beside it."""
    flows, rng = {}, np.random.default_rng(0)
    for number in range(videos):
        actions = []
        for n, onset in enumerate(range(20, 860, 60)):
            units, side = [((1, 2), ""), ((12,), "L"), ((45,), ""), ((12,), "R")][n % 4]
            amplitude = float(rng.uniform(3, 6))
            kind, course = "blink" if 45 in units else "macro", (onset, onset + 6, onset + 14)
            actions.append(Action(kind, *course, amplitude, units, None, side))
        video = Video("s", str(number), 30.0, 900, ())
        flows[video.key] = signals.roi_flow(video, "5", 30, actions=actions, measured=measured)
        columns = {name: [getattr(a, name) for a in actions] for name in ("kind", "onset", "apex", "offset")}
        names = [a.unit_names for a in actions]
        amplitudes = [a.amplitude for a in actions]
        path = tmp_path / f"s_{number}.npz"
        np.savez(path, **columns, amplitude=amplitudes, action_units=np.array(names))
    return flows


def test_a_known_response_is_found_again(tmp_path):
    known = response.response("5")
    flows = acting_set(tmp_path, known)
    found = measuring.measure(flows, tmp_path)
    blink, smile = response.UNITS.index(45), response.UNITS.index(12)
    np.testing.assert_allclose(found.gains[:, smile], known.gains[:, smile], atol=0.06)
    np.testing.assert_allclose(found.gains[:, blink].sum(0), known.gains[:, blink].sum(0), atol=0.06)
    brows = [response.UNITS.index(unit) for unit in (1, 2)]
    np.testing.assert_allclose(
        found.gains[:, brows].sum((0, 1)), known.gains[:, brows].sum((0, 1)), atol=0.06
    )
    np.testing.assert_allclose(np.sqrt(np.diag(found.noise)), np.sqrt(np.diag(known.noise)), rtol=0.15)
    np.testing.assert_allclose(np.sqrt(np.diag(found.drift)), np.sqrt(np.diag(known.drift)), rtol=0.35)
    np.testing.assert_allclose(found.spread, known.spread, rtol=0.35)


def test_a_tiny_rendered_set_agrees_with_the_stored_response(tiny_root):
    config = experiment.configure(root=tiny_root)
    flows = experiment.load_flow(config, experiment.load_data(config).videos)
    truth = tiny_root / "data" / "synthetic" / "truth"
    found, stored = measuring.measure(flows, truth), response.response("5")
    blink = response.UNITS.index(45)
    brow = rois.channel_names("5").index("left brow y")
    assert found.gains[:, blink, brow].sum() == pytest.approx(stored.gains[:, blink, brow].sum(), rel=0.4)
    assert 0.8 < stored.gains[:, blink, brow].sum() < 1.3  # amplitude 1 is 1 px at the brow
    for name in ("noise", "drift"):
        ratio = np.sqrt(np.diag(getattr(found, name)) / np.diag(getattr(stored, name)))
        assert 0.5 < np.median(ratio) < 2


def test_a_response_is_read_as_it_was_written_and_refused_for_other_regions(tmp_path):
    path = measuring.save(response.response("18"), tmp_path / "r.csv")
    assert response.Response.load(path, "18").key == response.response("18").key
    with pytest.raises(ValueError, match=r"r\.csv is no response of roi_set '5'"):
        response.Response.load(path, "5")


def test_flow_of_two_sets_of_regions_is_not_measured_together(tmp_path):
    flows = {("s", n): signals.roi_flow(Video("s", n, 30.0, 330, ()), n) for n in ("5", "18")}
    with pytest.raises(ValueError, match="one set of regions"):
        measuring.measure(flows, tmp_path)
