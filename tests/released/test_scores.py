"""The authors' weights on their caches, without frames: what is found, counted by hand."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from authors import (
    SAMMLV,
    Hostile,
    cache,
    lookalikes,
    random_weights,
    telling_cache,
    written,
)

from metst_lib import datasets, metrics, released, spotting
from metst_lib.released import scores

torch.set_num_threads(1)

TRUTH = {  # onset … offset of the micro-expressions after every 7th frame, counted from frame 1
    ("004", "004_1"): [(14, 20, "negative"), (28, 35, "positive")],
    ("005", "005_2"): [(64, 69, "surprise")],
    ("012", "012_3"): [(7, 12, "others")],
}
HALF_WIDTH = 3  # spans 6, 7, 5, 5: int((5.75 + 1) / 2)

THEIRS = {"spotting_f1": (0.2167, 0.0802), "recognition_f1": (0.6259, 0.4823), "strs": (0.1356, 0.0387)}
PUBLISHED = {
    2: pd.DataFrame([{"method": "ME-TST", "uf1": 0.4754, "uar": 0.4878}]),
    3: pd.DataFrame(
        [
            {"method": "ME-TST"}
            | {f"sammlv_{name}": value for name, (value, _) in THEIRS.items()}
            | {f"casme3_{name}": value for name, (_, value) in THEIRS.items()}
        ]
    ),
}
"""Rows of the paper's tables, by number."""


class Telltale(torch.nn.Module):
    """Reads the score and the logits off its input."""

    def forward(self, x):
        return x[:, 0], x[:, 5:].mT


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    data = tmp_path_factory.mktemp("sammlv")
    lookalikes().sammlv(data / "sammlv")
    return data


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights"))


def evaluated(tables, folder, content, weights):
    path, how = written(folder / "SAMMLV_dataset.pkl", content), {"window": 30, "frame_step": 7}
    found = released.read_caches("sammlv", [path], tables, **how)
    data = scores.whole_truth("sammlv", tables, found.ranges, **how)
    return scores.evaluate(found.flows, data, weights, progress=False)


def test_released_weights_are_scored_as_a_pass_written_out_by_hand(tables, tmp_path, weights):
    content = cache((4, 5, 2))
    found = evaluated(tables, tmp_path, content, weights)
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
    for reading, synergy in scores.READINGS.items():
        expected = metrics.evaluate(predicted[synergy], truth, "released")
        assert found.scores[reading].spotting == expected.spotting
        assert found.scores[reading].recognition == expected.recognition


def test_what_the_weights_find_is_counted_by_hand(tables, tmp_path, weights, monkeypatch):
    monkeypatch.setattr(scores.released, "load_weights", lambda path: Telltale())
    found = evaluated(tables, tmp_path, telling_cache(), weights)
    assert found.half_width == HALF_WIDTH
    shipped, synergy = found.scores.values()
    assert (shipped.spotting.tp, shipped.spotting.fp, shipped.spotting.fn) == (3, 1, 1)
    assert (synergy.spotting.tp, synergy.spotting.fp, synergy.spotting.fn) == (2, 1, 2)
    assert (shipped.recognition.total, shipped.recognition.tp) == (2, 2)  # "others" enters no score
    assert (synergy.recognition.total, synergy.recognition.tp) == (1, 1)
    table = found.table(PUBLISHED.get).set_index("measure")
    assert list(table.columns) == ["ME-TST, published", *scores.READINGS]
    assert list(table.loc["spotting.f1"]) == ["0.2167", "0.7500", "0.5714"]
    assert list(table.loc["spotting.tp"]) == ["–", "3", "2"]
    assert list(table.loc["recognition.uf1"]) == ["–", "0.6667", "0.3333"]


def test_published_numbers_of_casme3_stand_in_its_table():
    none = metrics.evaluate({("spNO.1", "a"): []}, {("spNO.1", "a"): []}, "released")
    found = scores.Reproduction("casme3", 17, {"neutral left out": none})
    published = found.table(PUBLISHED.get).set_index("measure")["ME-TST, published"]
    assert published["spotting.f1"] == "0.0802"
    assert published["recognition.uf1"] == "0.4754"
    assert published["recognition.uar"] == "0.4878"
    assert published["strs"] == "0.0387"
    assert scores.NOTES["casme3"]["classes"] in found.notes


def test_a_set_without_released_weights_and_missing_weights_are_named(tables, tmp_path, weights):
    with pytest.raises(ValueError, match=r"released no weights for 'casme2sq'; .*sammlv, casme3"):
        scores.whole_truth("casme2sq", tables, [], window=30, frame_step=7)
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(FileNotFoundError, match=r"3 of 3 subjects have no weights in .*first subject_004"):
        evaluated(tables, tmp_path, cache((4, 5, 2)), own)
    for path in weights.iterdir():
        shutil.copy(path, own)
    torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, own / "subject_004.pkl")
    with pytest.raises(ValueError, match=r"subject_004\.pkl cannot be read as weights: it asks for"):
        evaluated(tables, tmp_path, cache((4, 5, 2)), own)
    assert not (tmp_path / "harm").exists()


def test_weights_are_looked_for_under_the_authors_names(tmp_path):
    (tmp_path / "subject_10.pkl").touch()
    assert scores.weights_of(["spNO.10"], tmp_path) == {"spNO.10": tmp_path / "subject_10.pkl"}


def test_mes_behind_the_last_window_stay_in_the_truth(tables):
    ranges = [["004", "004_1", 1, 525], ["005", "005_2", 1, 420], ["012", "012_3", 1, 315]]
    data = scores.whole_truth("sammlv", tables, ranges, window=30, frame_step=7)
    found = {
        video.key: [(e.onset, e.offset, e.emotion) for e in video.events_of("micro")] for video in data.videos
    }
    assert found == TRUTH
    assert isinstance(data, datasets.Dataset)
