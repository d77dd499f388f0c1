"""The authors' caches in a compendium, without frames: import them, run a fold, score their weights."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from metst_lib import datasets, experiment
from metst_lib.app.cli import main
from metst_lib.experiment import records, store
from metst_lib.released import scores

sys.path.append(str(Path(__file__).parents[1] / "released"))
from authors import Hostile, cache, lookalikes, random_weights, telling_cache, written

torch.set_num_threads(1)

TRUTH = {  # onset … offset of the micro-expressions after every 7th frame, counted from frame 1
    ("004", "004_1"): [(14, 20, "negative"), (28, 35, "positive")],
    ("005", "005_2"): [(64, 69, "surprise")],
    ("012", "012_3"): [(7, 12, "others")],
}


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
    return random_weights(tmp_path_factory.mktemp("weights"))


def import_(config, content):
    path = written(config.places.root / "SAMMLV_dataset.pkl", content)
    return experiment.flows.import_cache(config, [path])


def metst(config, *arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--root", str(config.places.root)])
    return result.exit_code, result.output


def test_from_a_cache_to_a_fold_and_to_the_scores_of_the_released_weights(config, weights):
    path = written(config.places.root / "SAMMLV_dataset.pkl", cache((4, 5, 2)))
    code, said = metst(config, "data", "import-cache", "sammlv", path)
    assert (code, said.strip()) == (0, f"Flow of 3 videos, 11 windows, lies in {store.flow_folder(config)}")
    assert not (config.places.data / "sammlv" / "SAMM_longvideos").exists()

    short = dataclasses.replace(config, epochs=1)
    assert experiment.folds(short) == ["004", "005", "012"]
    counted = experiment.run_fold(short, "004").spotting
    assert counted.tp + counted.fn == 2
    fold = experiment.read_fold(short, "004")
    assert fold.predictions["004", "004_1"].score.shape == (75,)
    assert len(fold.history) == 1

    code, said = metst(config, "evaluate-released", "sammlv", "--weights", weights)
    assert code == 0, said
    assert "k_p = 3 frames" in said
    assert "0.2167" in said and "0.6259" in said and "0.1356" in said
    for note in scores.NOTES["every"].values():
        assert note in said


def test_events_lie_where_they_lie_with_frames(config, tmp_path):
    import_(config, cache((4, 5, 2)))
    data = experiment.load_data(config)
    lookalikes().sammlv(tmp_path / "frames" / "sammlv")
    lookalikes().sammlv_frames(tmp_path / "frames" / "sammlv")
    with_frames = datasets.load("sammlv", tmp_path / "frames", frame_step=7).with_kind()
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
    experiment.flows.import_cache(config, [path])
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
    plus = experiment.configure("sammlv", "me-tst-plus", root=config.places.root)
    with pytest.raises(FileNotFoundError, match="no frames of SAMM-LV"):
        experiment.load_data(plus)
    report = import_(config, cache((4, 5, 2)))
    assert experiment.folds(plus) == ["004", "005", "012"]
    assert experiment.read_run(plus).missing == ["004", "005", "012"]
    with pytest.raises(FileNotFoundError, match="hold the flow of 5 regions, and me-tst-plus reads 18"):
        experiment.prepare(plus, progress=False)
    assert experiment.prepare(config, progress=False) == report


# --- bad input --------------------------------------------------------------------------------------------


def test_without_an_imported_cache_the_command_is_named(config, weights):
    code, said = metst(config, "evaluate-released", "sammlv", "--weights", weights)
    assert code == 1
    assert "no imported cache of sammlv" in said and "metst data import-cache sammlv FILE" in said
    code, said = metst(config, "evaluate-released", "casme2sq", "--weights", weights)
    assert code == 1
    assert "released no weights for 'casme2sq'; there are those of sammlv, casme3" in said


def test_hostile_weights_are_named(config, weights, tmp_path):
    import_(config, cache((4, 5, 2)))
    own = tmp_path / "own"
    shutil.copytree(weights, own)
    torch.save({"Stem.0.weight": Hostile(tmp_path / "harm")}, own / "subject_004.pkl")
    code, said = metst(config, "evaluate-released", "sammlv", "--weights", own)
    assert code == 1
    assert "subject_004.pkl cannot be read as weights: it asks for" in said
    assert not (tmp_path / "harm").exists()


def test_a_cache_that_is_refused_ends_in_one_line(config):
    path = written(config.places.root / "c.pkl", cache((4, 5)))
    code, said = metst(config, "data", "import-cache", "sammlv", path)
    assert code == 1
    assert said.startswith("Error: c.pkl: 2 videos, but the tables of sammlv have 3")
    code, said = metst(config, "data", "import-cache", "--help")
    assert code == 0 and "Error" not in said


def test_flow_made_from_frames_is_never_replaced_and_imported_flow_is(config):
    import_(config, cache((4, 5, 2)))
    import_(config, cache((4, 6, 2)))
    flows = experiment.load_flow(config, experiment.load_data(config).videos)
    assert flows["005", "005_2"].n_frames == 105
    store.flow_report_path(config).unlink()  # as flow that was made from frames
    path = store.flow_folder(config) / "005_005_2.npz"
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"made from frames, first 004_004_1\.npz: move or delete it"):
        import_(config, cache((4, 5, 2)))
    assert path.read_bytes() == before


def test_an_import_that_is_cut_short_does_not_count_as_whole(config, monkeypatch):
    import_(config, cache((4, 5, 2)))
    real = records.save_flow

    def full_disk(path, *arguments, **options):
        if path.name.startswith("012"):
            raise OSError("no space left")
        return real(path, *arguments, **options)

    monkeypatch.setattr(records, "save_flow", full_disk)
    with pytest.raises(OSError, match="no space left"):
        import_(config, cache((4, 5, 2)))
    with pytest.raises(FileNotFoundError, match="no flow of sammlv"):
        experiment.flow_report(config)
