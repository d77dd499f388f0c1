"""The authors' weights on their caches, without frames: a round trip, counts by hand, what is missing."""

import dataclasses
import itertools
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from authors import (
    SAMMLV,
    Hostile,
    TheirBoosting,
    TheirWide,
    cache,
    filled,
    in_a_clone,
    in_their_spelling,
    lookalikes,
    released_state,
    telling_cache,
    written,
)
from click.testing import CliRunner

from metst_lib import datasets, flow, metrics, models, spotting, training, windows
from metst_lib.app.cli import main
from metst_lib.events import Event, Prediction, window_starts
from metst_lib.experiment import published
from metst_lib.released import replay, replayed
from metst_lib.released.weights import Weights

torch.set_num_threads(1)

TRUTH = {  # onset … offset of the micro-expressions after every 7th frame, counted from frame 1
    ("004", "004_1"): [(14, 20, "negative"), (28, 35, "positive")],
    ("005", "005_2"): [(64, 69, "surprise")],
    ("012", "012_3"): [(7, 12, "others")],
}
HALF_WIDTH = 3  # spans 6, 7, 5, 5: int((5.75 + 1) / 2)
CASME3 = [  # five videos of two subjects; rows of the owners' first workbook
    ["spNO.2", "a", 20, 25, 40, "4", "VII", "disgust"],
    ["spNO.2", "b", 60, 70, 85, "12", "I", "happy"],
    ["spNO.2", "c", 30, 35, 47, "1+2", "II", "surprise"],
    ["spNO.10", "a", 50, 60, 69, "14", "VII", "others"],
    ["spNO.10", "b", 90, 99, 104, "4", "VII", "fear"],
]


def events_of(truth):
    return {key: [Event(a, b, emotion=emotion) for a, b, emotion in rows] for key, rows in truth.items()}


def rendered(truth, lengths, channels, k):
    """Flow of a data set's regions: each class moves channels of its own while it lasts; noise."""
    rng, flows = np.random.default_rng(5), {}
    for key, events in truth.items():
        signal = rng.normal(0, 0.05, (lengths[key], channels))
        for event in events:
            bump = np.sin(np.linspace(0, np.pi, event.length))
            signal[event.onset : event.offset + 1, len(event.emotion) % 5 :: 5] += bump[:, None]
        starts = window_starts(len(signal), k)
        cuts = windows.cut(signal, starts, k)
        values = (cuts - cuts[:, :1]).transpose(0, 2, 1).astype(np.float32)
        roi_set = "18" if channels == 36 else "5"
        none = np.zeros(len(starts), bool)
        flows[key] = flow.RoiFlow(values, starts, none, len(signal), roi_set=roi_set)
    return flows


def check_against_our_pipeline(found, networks, flows, truth, of="mean", growth="none"):
    """Equal to our own prediction, stitching, rule and metrics."""
    every = [event for events in truth.values() for event in events]
    assert found.half_width == spotting.half_width(every, longest=None, of=of)
    how = {"half_width": found.half_width, "growth": growth, "cut": "last"}
    rules = {
        "2": spotting.Rule(result_synergy=False, **how),
        "1, neutral as learned": spotting.Rule(**how),
        "1, neutral zeroed": spotting.Rule(neutral="zero", **how),
    }
    by_video = {key: training.predict(networks[key[0]], x, stitch="released") for key, x in flows.items()}
    firsts = {subject: (subject, video) for subject, video in reversed(flows)}.values()
    by_batch = {  # each subject's windows fit in one batch
        key: seen if key in firsts else without_start(seen, flows[key].values.shape[2] // 2)
        for key, seen in by_video.items()
    }
    for (stitching, seen), (strategy, rule), scorer in itertools.product(
        {"by video": by_video, "by batch": by_batch}.items(), rules.items(), metrics.SCORERS
    ):
        if scorer == "released" and strategy != "2":
            continue  # counted as the authors do, see below
        predicted = {key: rule.find(prediction) for key, prediction in seen.items()}
        ours, theirs = metrics.evaluate(predicted, truth, scorer), found.scores[stitching, strategy, scorer]
        assert ours.by_subject == theirs.by_subject
        assert ours.recognition == theirs.recognition
        hits = [[(m.predicted, m.true.onset) for m in scores.matches] for scores in (ours, theirs)]
        assert hits[0] == hits[1]
    spotted = found.scores["by video", "2", "released"].spotting
    assert spotted.tp + spotted.fp > 0
    if len(firsts) < len(flows):
        a, b = ([rules["2"].find(seen[key]) for key in flows] for seen in (by_video, by_batch))
        assert a != b  # the lost starts matter


def without_start(seen, frames):
    """A prediction whose first frames say nothing."""
    score, logits = seen.score.copy(), seen.logits.copy()
    score[:frames], logits[:frames] = 0, 0
    return Prediction(score, logits)


@pytest.fixture(scope="module")
def sammlv(tmp_path_factory):
    data = tmp_path_factory.mktemp("sammlv")
    lookalikes().sammlv(data / "sammlv")
    return data


@pytest.fixture(scope="module")
def casme3(tmp_path_factory):
    data = tmp_path_factory.mktemp("casme3")
    second = [[*row[:6], "Micro-expression", row[6]] for row in CASME3]
    lookalikes().casme3(data / "casme3", CASME3, second)
    return data


# --- the round trip -------------------------------------------------------------------------------------


def test_full_size_networks_of_ours_in_the_authors_layout_replay_to_what_our_pipeline_gives(tmp_path, sammlv):
    lengths = {("004", "004_1"): 75, ("005", "005_2"): 90, ("012", "012_3"): 45}
    truth = events_of(TRUTH)
    flows = rendered(truth, lengths, 36, 30)
    how = training.TrainingSettings(epochs=2, lr=1e-3, batch=8, device="cpu")
    networks = {}
    for out in ("004", "005", "012"):
        rest = [key for key in flows if key[0] != out]
        some = {key: flows[key] for key in rest}, {key: truth[key] for key in rest}
        networks[out] = training.fit(models.METSTPlus, *some, how, seed=1).model
    states = {subject: in_their_spelling(model, "ME-TST+") for subject, model in networks.items()}
    folder = in_a_clone(tmp_path / "clone", "SAMMLV", states, [flow.values for flow in flows.values()])
    found = replay.replay(folder, "sammlv", sammlv, progress=False)
    assert (found.network, found.subjects, found.of) == ("ME-TST+", ("004", "005", "012"), 3)
    assert found.missing.empty
    check_against_our_pipeline(found, networks, flows, truth)
    assert found.scores["by video", "2", "released"].spotting.tp > 0  # so that there was something to equal


@pytest.mark.parametrize(
    ("theirs", "channels", "name", "of", "growth"),
    [
        (TheirWide, 10, "ME-TST, July 2025", "mean", "none"),
        (TheirBoosting, 36, "BoostingVRME", "median", "curve"),
    ],
)
def test_caches_in_five_parts_and_the_other_networks_replay_likewise(
    tmp_path, casme3, theirs, channels, name, of, growth
):
    keys = [(row[0], row[1]) for row in CASME3]
    ranges = {key: (1, 200) for key in keys}
    truth = datasets.load("casme3", casme3, ranges=ranges, as_released=True).events("micro")
    flows = rendered(truth, dict.fromkeys(keys, 200), channels, 50)
    networks = {subject: filled(theirs(), seed) for seed, subject in enumerate(("spNO.2", "spNO.10"))}
    states = {subject[5:]: model.state_dict() for subject, model in networks.items()}
    folder = in_a_clone(tmp_path / "clone", "CASME_3", states, [flow.values for flow in flows.values()])
    assert len(list((folder / "cache").rglob("CASME_3_dataset_?.pkl"))) == 5
    found = replay.replay(folder, "casme3", casme3, progress=False)
    assert (found.network, found.subjects) == (name, ("spNO.2", "spNO.10"))
    check_against_our_pipeline(found, networks, flows, truth, of, growth)


# --- by hand --------------------------------------------------------------------------------------------


def test_a_window_is_first_in_its_batch_as_the_authors_code_runs_or_in_its_video():
    values = 10 * np.arange(1, 6)[:, None] + np.arange(4)  # windows of 4 frames: 10…13, 20…23, …
    first, second = replay.stitch(values, [3, 2], batch=4)
    assert first.tolist() == [10, 11, 12, 13, 22, 23, 32, 33]
    assert second.tolist() == [0, 0, 50, 51, 52, 53]  # 42, 43 are overwritten by the next batch's first
    first, second = replay.stitch(values, [3, 2])
    assert first.tolist() == [10, 11, 12, 13, 22, 23, 32, 33]
    assert second.tolist() == [40, 41, 42, 43, 52, 53]
    for video, part in zip((first, second), (values[:3], values[3:]), strict=True):
        starts = 2 * np.arange(len(part))
        np.testing.assert_array_equal(video, windows.stitch(part, starts, len(video), "released"))


def test_neutral_intervals_go_after_matching_as_the_authors_count_and_before_it_as_we_do():
    truth = {("s", "v"): [Event(10, 20, emotion="negative"), Event(40, 50, emotion="positive")]}
    found = [
        Event(8, 18),
        Event(12, 22, emotion="negative"),
        Event(41, 51, emotion="surprise"),
        Event(70, 80),
    ]
    drops, keeps = replayed.STRATEGIES["1, neutral as learned"], replayed.STRATEGIES["0"]

    def counts(strategy, scorer):
        scores = replayed.counted({("s", "v"): found}, truth, strategy, scorer)
        return scores.spotting, (scores.recognition.tp, scores.recognition.fn, scores.recognition.total)

    assert counts(keeps, "released") == (metrics.Counts(2, 2, 0), (0, 2, 2))
    assert counts(drops, "released") == (metrics.Counts(1, 1, 1), (0, 1, 1))  # 10…20 stays missed
    assert counts(drops, "strict") == (metrics.Counts(2, 0, 0), (1, 1, 2))  # 12…22 takes it
    after = replayed.counted({("s", "v"): found}, truth, drops, "released")
    assert [match.predicted.emotion for match in after.matches] == ["surprise"]


class Telltale(torch.nn.Module):
    """Reads the score and the logits off its input."""

    in_channels = 10

    def forward(self, x):
        return x[:, 0], x[:, 5:].mT


@pytest.fixture
def clone(tmp_path):
    """SAMM-LV's weights and cache of the earliest ME-TST, of random numbers."""
    states = {subject: released_state(seed) for seed, (subject, _) in enumerate(SAMMLV)}
    return in_a_clone(tmp_path / "clone", "SAMMLV", states, cache((4, 5, 2)))


@pytest.fixture
def telltale(clone, monkeypatch):
    """A clone whose weights find what the cache says."""
    written(clone / "cache" / "ME-TST" / "SAMMLV_dataset.pkl", telling_cache())
    monkeypatch.setattr(replay, "read_weights", lambda path: Weights("ME-TST+", Telltale()))
    return clone


def test_what_the_weights_find_is_counted_by_hand(telltale, sammlv):
    found = replay.replay(telltale, "sammlv", sammlv, progress=False)
    assert found.half_width == HALF_WIDTH
    counts = {  # the second of four is neutral by 2 to 1, which zeroing makes 0 to 1
        "0": ((3, 1, 1), (1, 2)),
        "1, neutral as learned": ((2, 1, 2), (1, 1)),
        "1, neutral zeroed": ((3, 1, 1), (2, 2)),
        "2": ((3, 1, 1), (2, 2)),
    }
    for strategy, (spotting_, recognition) in counts.items():
        for stitching in replay.STITCHINGS:  # one video a subject: the same
            scores = found.scores[stitching, strategy, "released"]
            assert (scores.spotting.tp, scores.spotting.fp, scores.spotting.fn) == spotting_
            assert (scores.recognition.tp, scores.recognition.total) == recognition  # "others" is not scored
    table = found.by_subject.set_index(["stitching", "strategy", "scorer", "subject"])
    assert table.loc[("by batch", "2", "strict", "004")].tolist() == [2, 0, 0, 2, 2]
    assert table.loc[("by batch", "2", "strict", "005")].tolist() == [0, 1, 1, 0, 0]


def test_published_numbers_stand_beside_those_replayed(telltale, sammlv):
    found = replay.replay(telltale, "sammlv", sammlv, progress=False)
    four = found.table4(published.table)
    assert len(four) == 2 * 4 * 3 * 2
    rows = four[four["scorer"] == "released"].set_index(["stitching", "strategy", "task"])
    for strategy, theirs in (("2", [53, 184, 106]), ("1, neutral zeroed", [52, 171, 107])):
        row = rows.loc["by batch", strategy, "spotting"]
        assert [row[f"{name} published"] for name in ("tp", "fp", "fn")] == theirs
    assert [rows.loc[("by batch", "2", "spotting"), name] for name in ("tp", "fp", "fn")] == [3, 1, 1]
    assert rows.loc[("by batch", "1, neutral zeroed", "recognition"), "total published"] == 40
    assert rows.loc["by batch", "0", "spotting"].filter(like="published").isna().all()
    first, *others = found.tables123(published.table).to_dict("records")
    assert (first["strategy"], first["spotting F1 (I, III)"], first["STRS (III)"]) == (
        "published",
        0.2723,
        0.1848,
    )
    assert np.isnan(first["UF1 (II)"])  # Table II is of CAS(ME)³
    (row,) = [r for r in others if list(r.values())[:3] == ["by batch", "2", "released"]]
    assert row["subjects"] == "3 of 3"
    assert row["spotting F1 (I, III)"] == 0.75
    assert row["STRS (III)"] == pytest.approx(0.75 * row["recognition F1 (III)"])


def test_casme3_has_table_2s_row_and_the_earlier_network_no_table_4():
    truth = {("spNO.1", "a"): []}
    scores = {("by batch", "2", "released"): metrics.evaluate(truth, truth, "released")}
    none = pd.DataFrame(columns=["what", "why"])
    found = replayed.Replayed("casme3", "ME-TST, 2024", 17, ("spNO.1",), 94, scores, none)
    first = found.tables123(published.table).iloc[0]
    assert [first[name] for name in ("UF1 (II)", "UAR (II)", "STRS (III)")] == [0.4754, 0.4878, 0.0387]
    assert found.table4(published.table)["tp published"].isna().all()
    later = dataclasses.replace(found, network="BoostingVRME").tables123(published.with_successors)
    assert later.iloc[0]["STRS (III)"] == 0.0562
    assert replayed.NOTES["casme3"]["repairs"] in found.notes


def test_mes_behind_the_last_window_stay_in_the_truth(sammlv):
    ranges = [["004", "004_1", 1, 525], ["005", "005_2", 1, 420], ["012", "012_3", 1, 315]]
    data = replay.whole_truth("sammlv", sammlv, ranges)
    found = {video.key: [(e.onset, e.offset, e.emotion) for e in video.events] for video in data.videos}
    assert found == TRUTH


# --- from the command line, again, and with something missing -------------------------------------------


def metst(*arguments):
    result = CliRunner().invoke(main, ["released", "replay", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_prints_and_keeps_the_tables(clone, sammlv, tmp_path):
    code, said = metst(clone, "--data", sammlv, "--out", tmp_path / "out")
    assert code == 0, said
    assert "ME-TST, 2024 on sammlv, 3 of 3 subjects, k_p = 3 frames" in said
    assert "0.2167" in said and "0.6259" in said and "0.1356" in said
    for note in replayed.NOTES["every"].values():
        assert note in said
    assert "casme3 is not replayed: no weights of CASME_3" in said
    folder = tmp_path / "out" / "sammlv" / "me-tst-2024"
    tables = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    assert tables.keys() == {"table4", "tables123", "by_subject", "missing"}
    assert len(tables["by_subject"]) == 2 * 4 * 3 * 3 and tables["missing"].empty
    assert {path.name for path in (folder / "predictions").iterdir()} == {"004.npz", "005.npz", "012.npz"}


def test_a_second_run_predicts_only_what_changed_or_was_damaged(clone, sammlv, tmp_path, monkeypatch):
    asked, outputs = [], training.outputs
    monkeypatch.setattr(replay.training, "outputs", lambda *a: asked.append(len(a[1])) or outputs(*a))

    def run():
        asked.clear()
        return replay.replay(clone, "sammlv", sammlv, out=tmp_path / "out", progress=False)

    first = run()
    assert asked == [4, 5, 2]
    again = run()
    assert asked == []
    pd.testing.assert_frame_equal(first.by_subject, again.by_subject)
    shutil.copy(clone / "weights/SAMMLV_4emo/subject_004.pkl", clone / "weights/SAMMLV_4emo/subject_005.pkl")
    kept = tmp_path / "out/sammlv/me-tst-2024/predictions/012.npz"
    kept.write_bytes(kept.read_bytes()[:-50])
    run()
    assert asked == [5, 2]
    held = dict(np.load(kept))
    np.savez(kept, **held | {"score": held["score"][:1]})
    run()
    assert asked == [2]
    written(clone / "cache/ME-TST/SAMMLV_dataset.pkl", cache((4, 5, 3)))
    run()
    assert asked == [4, 5, 3]


def test_weights_that_are_not_there_or_not_right_are_named_and_the_rest_goes_on(clone, sammlv, tmp_path):
    weights = clone / "weights/SAMMLV_4emo"
    (weights / "subject_004.pkl").rename(weights / "subject_99.pkl")
    torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, weights / "subject_005.pkl")
    found = replay.replay(clone, "sammlv", sammlv, progress=False)
    missing = dict(zip(found.missing["what"], found.missing["why"], strict=True))
    assert missing["subject 004"] == "no weights: subject_004.pkl is not there"
    assert "subject_005.pkl cannot be read as weights: it asks for" in missing["subject 005"]
    assert missing["subject_99.pkl"] == "the tables have no such subject"
    assert not (tmp_path / "harm").exists()
    assert (found.subjects, found.of, found.half_width) == (("012",), 3, HALF_WIDTH)  # k_p: of all three
    assert set(found.rows["subjects"]) == {"1 of 3"}
    code, said = metst(clone, "--data", sammlv, "--out", tmp_path / "out")
    assert code == 0 and "1 of 3 subjects" in said and "subject_004.pkl is not there" in said


def test_a_link_to_nowhere_and_a_folder_are_no_weights(clone, sammlv):
    weights = clone / "weights/SAMMLV_4emo"
    (weights / "subject_004.pkl").unlink()
    (weights / "subject_004.pkl").symlink_to("nowhere")
    (weights / "subject_9.pkl").mkdir()
    found = replay.replay(clone, "sammlv", sammlv, progress=False)
    assert found.missing["why"].tolist() == ["no weights: subject_004.pkl is not there"]


def test_weights_of_another_network_are_left_out(clone, sammlv):
    other = filled(TheirWide()).state_dict()
    torch.save(other, clone / "weights/SAMMLV_4emo/subject_012.pkl")
    found = replay.replay(clone, "sammlv", sammlv, progress=False)
    (why,) = found.missing["why"]
    assert why.endswith("subject_012.pkl holds ME-TST, July 2025, where the first weights hold ME-TST, 2024")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 66700000\n"


def test_a_clone_of_pointers_says_what_to_run(clone, sammlv, tmp_path):
    (clone / "cache/ME-TST/SAMMLV_dataset.pkl").write_text(POINTER)
    with pytest.raises(ValueError, match=r"SAMMLV_dataset\.pkl is a git-lfs pointer.*`git lfs pull`"):
        replay.replay(clone, "sammlv", sammlv, progress=False)
    for path in (clone / "weights/SAMMLV_4emo").iterdir():
        path.write_text(POINTER)
    code, said = metst(clone, "--data", sammlv, "--out", tmp_path / "out")
    assert code == 1
    assert "none of 3 files of weights can be read" in said and "run `git lfs pull`" in said


@pytest.mark.parametrize(
    ("videos", "k", "message"),
    [
        ((4, 5), 30, "2 videos, but the tables of sammlv have 3"),
        ((4, 5, 2), 50, "windows of 50 frames, not of 30"),
        (
            (4, 1, 2),
            30,
            "video 005 005_2: 1 windows of 30 frames, but a micro-expression begins at",
        ),
    ],
)
def test_a_cache_that_does_not_fit_the_tables_is_named(clone, sammlv, videos, k, message):
    written(clone / "cache/ME-TST/SAMMLV_dataset.pkl", cache(videos, k))
    code, said = metst(clone, "--data", sammlv)
    assert code == 1
    assert message in said and "no weights of CASME_3" in said


def test_what_was_looked_for_is_said(clone, sammlv, tmp_path):
    code, said = metst(tmp_path, "--data", sammlv)
    assert code == 1
    for folder in ("SAMMLV_4emo", "CASME_3_4emo"):
        assert str(tmp_path / "weights" / folder / "subject_<id>.pkl") in said
    (clone / "cache/ME-TST/SAMMLV_dataset.pkl").unlink()
    with pytest.raises(FileNotFoundError, match=r"with 5 regions: not there .*ME-TST.SAMMLV_dataset\.pkl"):
        replay.replay(clone, "sammlv", sammlv)
    with pytest.raises(ValueError, match=r"released no weights for 'casme2sq'; .*sammlv, casme3"):
        replay.replay(clone, "casme2sq", sammlv)


def test_parts_of_a_cache_that_are_missing_are_named(tmp_path):
    for part in (1, 2, 3, 5):
        written(tmp_path / f"CASME_3_dataset_{part}.pkl", cache())
    (tmp_path / "cache").mkdir()
    for path in tmp_path.glob("*.pkl"):
        shutil.move(path, tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match=r"not there are \S+cache.CASME_3_dataset_4\.pkl$"):
        replay.clone.cache(tmp_path, "casme3", "5")
    written(tmp_path / "cache" / "CASME_3_dataset_4.pkl", cache())
    found = replay.clone.cache(tmp_path, "casme3", "5")
    assert [path.stem[-1] for path in found] == ["1", "2", "3", "4", "5"]
    assert list(replay.clone.caches(tmp_path)) == [("casme3", "5")]
