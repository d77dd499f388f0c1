"""The authors' artefacts end to end, without frames: import a cache, run a fold, score their weights."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from test_released import SAMMLV, Hostile, cache, lookalikes, released_state, saved, written
from trials import shorter

from metst_lib import datasets, experiment, metrics, released, reproduce, spotting
from metst_lib.cli import main

torch.set_num_threads(1)

TRUTH = {  # onset … offset of the micro-expressions after every 7th frame, counted from frame 1
    ("004", "004_1"): [(14, 20, "negative"), (28, 35, "positive")],
    ("005", "005_2"): [(64, 69, "surprise")],
    ("012", "012_3"): [(7, 12, "others")],
}
HALF_WIDTH = 3  # spans 6, 7, 5, 5: int((5.75 + 1) / 2)


def telling_cache(windows=(4, 3, 2)):
    """A cache that gives itself away: channel 0 is the spotting score, channels 5–9 are the logits.

    Boxes of 2 k_p frames, each smoothed to a peak at its fourth frame. The second micro-expression is neutral
    first and positive second. Video 005_2 ends before its micro-expression and has a false alarm.
    """
    marks = {
        ("004", "004_1"): [(14, (1, 0, 0, 0, 0)), (28, (0, 1, 0, 0, 2))],
        ("005", "005_2"): [(20, (1, 0, 0, 0, 0))],
        ("012", "012_3"): [(7, (0, 0, 0, 1, 0))],
    }
    content = []
    for key, count in zip(SAMMLV, windows, strict=True):
        signal = np.zeros((10, 15 * (count + 1)))
        for start, logits in marks[key]:
            signal[0, start : start + 6] = 1
            signal[5:, start : start + 6] = np.array(logits)[:, None]
        content.append([signal[:, 15 * i : 15 * i + 30] for i in range(count)])
    return content


class Telltale(torch.nn.Module):
    """Reads the score and the logits off its input."""

    def forward(self, x):
        return x[:, 0], x[:, 5:].mT


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("sammlv")
    lookalikes().sammlv(root / "data" / "sammlv")
    return root


@pytest.fixture
def config(tables, tmp_path, monkeypatch):
    """SAMM-LV as it is with the tables alone."""
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    shutil.copytree(tables, tmp_path / "root")
    return experiment.configure("sammlv", root=tmp_path / "root")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of the released shapes for each subject."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, (subject, _) in enumerate(SAMMLV):
        saved(folder / f"subject_{subject}.pkl", released_state(seed))
    return folder


def import_(config, content):
    path = written(config.root / "SAMMLV_dataset.pkl", content)
    return released.import_cache(
        config.dataset, [path], config.data, config.flow_folder, window=30, frame_step=7
    )


def metst(config, *arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--root", str(config.root)])
    return result.exit_code, result.output


def test_from_a_cache_to_a_fold_and_to_the_scores_of_the_released_weights(config, weights):
    path = written(config.root / "SAMMLV_dataset.pkl", cache((4, 5, 2)))
    code, said = metst(config, "data", "import-cache", "sammlv", path)
    assert (code, said.strip()) == (0, f"Flow of 3 videos, 11 windows, lies in {config.flow_folder}")
    assert not (config.data / "sammlv" / "SAMM_longvideos").exists()

    short = shorter(config, epochs=1)
    assert experiment.folds(short) == ["004", "005", "012"]
    scores = experiment.run_fold(short, "004")
    assert scores.spotting.tp + scores.spotting.fn == 2
    fold = experiment.read_fold(short, "004")
    assert fold.score["004", "004_1"].shape == (75,)
    assert len(fold.history) == 1

    code, said = metst(config, "evaluate-released", "sammlv", "--weights", weights)
    assert code == 0, said
    assert "k_p = 3 frames" in said
    assert "0.2167" in said and "0.6259" in said and "0.1356" in said
    for note in reproduce.NOTES.values():
        assert note in said


def test_released_weights_are_scored_as_a_pass_written_out_by_hand(config, weights):
    content = cache((4, 5, 2))
    import_(config, content)
    found = reproduce.evaluate(config, weights, progress=False)
    predicted = {False: {}, True: {}}
    for (subject, video), windows in zip(SAMMLV, content, strict=True):
        model = released.load_weights(weights / f"subject_{subject}.pkl")
        with torch.no_grad():
            spot, logits = (x.numpy() for x in model(torch.tensor(np.array(windows), dtype=torch.float32)))
        score, votes = np.zeros(15 * len(windows) + 15), np.zeros((15 * len(windows) + 15, 5))
        score[:30], votes[:30] = spot[0], logits[0]
        for i in range(1, len(windows)):  # each window but the first gives its second half
            score[15 * i + 15 : 15 * i + 30] = spot[i, 15:]
            votes[15 * i + 15 : 15 * i + 30] = logits[i, 15:]
        for synergy in predicted:
            predicted[synergy][subject, video] = spotting.find_events(
                score, votes, HALF_WIDTH, result_synergy=synergy
            )
    truth = {
        key: [spotting.Event(onset, offset, emotion=emotion) for onset, offset, emotion in events]
        for key, events in TRUTH.items()
    }
    assert any(predicted[False].values())
    for reading, synergy in reproduce.READINGS.items():
        expected = metrics.evaluate(predicted[synergy], truth, "released")
        assert found.scores[reading].spotting == expected.spotting
        assert found.scores[reading].recognition == expected.recognition


def test_what_the_weights_find_is_counted_by_hand(config, weights, monkeypatch):
    monkeypatch.setattr(released, "load_weights", lambda path: Telltale())
    import_(config, telling_cache())
    found = reproduce.evaluate(config, weights, progress=False)
    assert found.half_width == HALF_WIDTH
    shipped, synergy = found.scores.values()
    assert (shipped.spotting.tp, shipped.spotting.fp, shipped.spotting.fn) == (3, 1, 1)
    assert (synergy.spotting.tp, synergy.spotting.fp, synergy.spotting.fn) == (2, 1, 2)
    assert (shipped.recognition.total, shipped.recognition.tp) == (2, 2)  # "others" enters no score
    assert (synergy.recognition.total, synergy.recognition.tp) == (1, 1)
    table = found.table().set_index("measure")
    assert list(table.columns) == ["ME-TST, published", *reproduce.READINGS]
    assert list(table.loc["spotting.f1"]) == ["0.2167", "0.7500", "0.5714"]
    assert list(table.loc["spotting.tp"]) == ["–", "3", "2"]
    assert list(table.loc["recognition.uf1"]) == ["–", "0.6667", "0.3333"]


def test_published_numbers_of_casme3_stand_in_its_table():
    scores = metrics.evaluate({("spNO.1", "a"): []}, {("spNO.1", "a"): []}, "released")
    found = reproduce.Reproduction("casme3", 17, {"neutral left out": scores})
    published = found.table().set_index("measure")["ME-TST, published"]
    assert published["spotting.f1"] == "0.0802"
    assert published["recognition.uf1"] == "0.4754"
    assert published["recognition.uar"] == "0.4878"
    assert published["strs"] == "0.0387"
    assert reproduce.NOTES_CASME3["classes"] in found.notes


# --- events on imported flow ----------------------------------------------------------------------------


def test_events_lie_where_they_lie_with_frames(config, tmp_path):
    import_(config, cache((4, 5, 2)))
    data = experiment.load_data(config)
    lookalikes().sammlv(tmp_path / "frames" / "sammlv")
    lookalikes().sammlv_frames(tmp_path / "frames" / "sammlv")
    with_frames = datasets.load("sammlv", tmp_path / "frames", frame_step=7).with_me()
    assert data.events("micro") == with_frames.events("micro")
    assert {
        v.key: [(e.onset, e.offset, e.emotion) for e in v.events_of("micro")] for v in data.videos
    } == TRUTH
    assert [v.n_frames for v in data.videos] == [75, 90, 45]  # of 86, 100 and 58: what the windows cover
    assert all(v.source is None for v in data.videos)


def test_casme3_counts_frames_from_1_as_the_cache_does(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    lookalikes().casme3(tmp_path / "data" / "casme3")
    config = experiment.configure("casme3", root=tmp_path)
    path = written(tmp_path / "c.pkl", cache((7, 7, 6), k=50))
    released.import_cache("casme3", [path], config.data, config.flow_folder, window=50, frame_step=1)
    data = experiment.load_data(config)
    assert [v.key for v in data.videos] == [("spNO.1", "a"), ("spNO.1", "b"), ("spNO.2", "e")]
    events = [(e.onset, e.offset) for e in data.video("spNO.1", "a").events_of("micro")]
    assert events == [(4, 17), (19, 31), (29, 40)]  # 5 … 18, before the first jpg (8), is whole
    left_out = data.audit[data.audit["video"] == "j"]
    assert "no frames of this video: left out with 1 micro, 1 blink" in set(left_out["reason"])


def test_an_me_behind_the_last_window_is_left_out_of_runs_with_an_entry(config):
    import_(config, telling_cache())
    data = experiment.load_data(config)
    assert [v.key for v in data.videos] == [("004", "004_1"), ("012", "012_3")]
    (entry,) = data.audit[(data.audit["video"] == "005_2") & (data.audit["kind"] == "micro")].itertuples()
    assert entry.action == "dropped"
    assert "micro event 450…490 lies outside the frames 1…420" in entry.reason


def test_variants_of_other_regions_know_the_folds_and_want_frames(config):
    plus = experiment.configure("sammlv", "me-tst-plus", root=config.root)
    with pytest.raises(FileNotFoundError, match="no frames of SAMM-LV"):
        experiment.load_data(plus)
    report = import_(config, cache((4, 5, 2)))
    assert experiment.folds(plus) == ["004", "005", "012"]
    assert experiment.read_run(plus).missing == ["004", "005", "012"]
    with pytest.raises(FileNotFoundError, match="hold the flow of 5 regions, and me-tst-plus reads 18"):
        experiment.prepare(plus, progress=False)
    assert experiment.prepare(config, progress=False) == report


# --- bad input ------------------------------------------------------------------------------------------


def test_without_an_imported_cache_the_command_is_named(config, weights):
    with pytest.raises(FileNotFoundError, match="metst data import-cache sammlv FILE"):
        reproduce.evaluate(config, weights)
    report = import_(config, cache((4, 5, 2)))
    del report["imported"]  # as flow that was made from frames
    (config.flow_folder / "complete.json").write_text(json.dumps(report))
    with pytest.raises(FileNotFoundError, match="no imported cache of sammlv"):
        reproduce.evaluate(config, weights)
    other = dataclasses.replace(config, dataset="casme2sq")
    with pytest.raises(ValueError, match=r"released no weights for 'casme2sq'; .*sammlv, casme3"):
        reproduce.evaluate(other, weights)


def test_missing_and_hostile_weights_are_named(config, weights, tmp_path):
    import_(config, cache((4, 5, 2)))
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(FileNotFoundError, match=r"3 of 3 subjects have no weights in .*first subject_004"):
        reproduce.evaluate(config, own)
    for path in weights.iterdir():
        shutil.copy(path, own)
    torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, own / "subject_004.pkl")
    code, said = metst(config, "evaluate-released", "sammlv", "--weights", own)
    assert code == 1
    assert "subject_004.pkl cannot be read as weights: it asks for" in said
    assert not (tmp_path / "harm").exists()


def test_weights_are_looked_for_under_the_authors_names(tmp_path):
    (tmp_path / "subject_10.pkl").touch()
    assert reproduce.weights_of(["spNO.10"], tmp_path) == {"spNO.10": tmp_path / "subject_10.pkl"}


def test_a_cache_that_is_refused_ends_in_one_line(config):
    path = written(config.root / "c.pkl", cache((4, 5)))
    code, said = metst(config, "data", "import-cache", "sammlv", path)
    assert code == 1
    assert said.startswith("Error: c.pkl: 2 videos, but the tables of sammlv have 3")
    code, said = metst(config, "data", "import-cache", "--help")
    assert code == 0 and "Error" not in said
