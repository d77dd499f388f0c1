"""The authors' caches in a compendium, without frames: taken from a clone, and folds run on them."""

import dataclasses
import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from metst_lib import datasets, experiment
from metst_lib.app.cli import main
from metst_lib.experiment import plan, records, store
from metst_lib.released import clone as layout

sys.path.append(str(Path(__file__).parents[1] / "released"))
from authors import Hostile, cache, lookalikes, telling_cache, written

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


FIVE = [0, 1, 8, 9, 16, 17, 28, 29, 30, 31]  # x and y of regions 1, 5, 9, 15, 16


def clone(config, content, roi_set="5", name="SAMMLV_dataset.pkl"):
    """A clone of the authors' repository with a cache in it."""
    folder = config.places.root / "ME-TST"
    place = folder / {"18": "cache/ME-TST+", "5": "cache/ME-TST"}[roi_set]
    place.mkdir(parents=True, exist_ok=True)
    written(place / name, content)
    return folder


def import_(config, content, roi_set="5"):
    return experiment.flows.import_cache(config, clone(config, content, roi_set))


def metst(config, *arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--root", str(config.places.root)])
    return result.exit_code, result.output


def test_from_a_cache_of_eighteen_regions_to_folds_of_both_networks(config):
    content = cache((4, 5, 2), channels=36)
    plus = dataclasses.replace(config, variant="me-tst-plus")
    code, said = metst(config, "flow", "sammlv", "--released", clone(config, content, "18"))
    assert code == 0, said
    for each in (config, plus):
        assert f"Flow of 3 of 3 videos lies in {store.flow_folder(each)}" in said
    assert "No flow for" not in said
    assert not (config.places.data / "sammlv" / "SAMM_longvideos").exists()

    flows = {each: experiment.load_flow(each, experiment.load_data(each).videos) for each in (config, plus)}
    for windows, five, eighteen in zip(content, *(found.values() for found in flows.values()), strict=True):
        np.testing.assert_array_equal(eighteen.values, np.float32(windows))
        np.testing.assert_array_equal(five.values, np.float32(windows)[:, FIVE])
        assert (five.roi_set, eighteen.roi_set) == ("5", "18")
    file = config.places.root / "ME-TST" / "cache" / "ME-TST+" / "SAMMLV_dataset.pkl"
    for each in (config, plus):
        told = experiment.flow_report(each).imported.files
        assert told == {"SAMMLV_dataset.pkl": hashlib.sha256(file.read_bytes()).hexdigest()}

        short = dataclasses.replace(each, epochs=1)
        assert experiment.folds(short) == ["004", "005", "012"]
        counted = experiment.run_fold(short, "004").spotting
        assert counted.tp + counted.fn == 2
        fold = experiment.read_fold(short, "004")
        assert fold.predictions["004", "004_1"].score.shape == (75,)
        assert len(fold.history) == 1


def test_the_workflow_finds_imported_flow_in_place(config):
    import_(config, cache((4, 5, 2), channels=36), "18")
    planned = plan.workflow("sammlv", root=config.places.root)
    assert planned.to_extract == {}
    assert set(planned.flow) == {"me-tst", "me-tst-plus"}
    assert [name[:2] for name in planned.pages] == ["03", "04", "05", "09"], "the others show frames"
    assert {job.config.variant for job in planned.jobs} == set(experiment.TABLED)


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


def test_casme3_comes_in_parts_and_counts_frames_from_1_as_the_cache_does(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_LANDMARKS", raising=False)
    monkeypatch.setitem(layout.PARTS, "casme3", ("_1", "_2"))  # three videos do not fill five parts
    lookalikes().casme3(tmp_path / "data" / "casme3")
    config, content = experiment.configure("casme3", root=tmp_path), cache((7, 7, 6), k=50, channels=36)
    clone(config, content[:2], "18", "CASME_3_dataset_1.pkl")
    with pytest.raises(
        FileNotFoundError, match=r"no whole cache of casme3 .*_1\.pkl, CASME_3_dataset_2\.pkl"
    ):
        experiment.flows.import_cache(config, tmp_path / "ME-TST")
    folder = clone(config, content[2:], "18", "CASME_3_dataset_2.pkl")
    assert set(experiment.flows.import_cache(config, folder)) == {"5", "18"}
    for variant in ("me-tst", "me-tst-plus"):
        data = experiment.load_data(dataclasses.replace(config, variant=variant))
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


def test_a_clone_with_five_regions_alone_serves_their_variants_and_names_the_others(config):
    plus = dataclasses.replace(config, variant="me-tst-plus")
    with pytest.raises(FileNotFoundError, match="no frames of SAMM-LV"):
        experiment.load_data(plus)
    folder = clone(config, cache((4, 5, 2)))
    code, said = metst(config, "flow", "sammlv", "--released", folder)
    assert code == 0, said
    assert said.count("Flow of 3 of 3 videos lies in") == 1
    others = (
        "single-path-18roi, me-tst-plus-no-feature-synergy, me-tst-plus-no-result-synergy, me-tst-plus, "
        "boosting-vrme"
    )
    assert f"No flow for {others}: {folder} has no cache of 18 regions" in said
    assert experiment.folds(plus) == ["004", "005", "012"]
    assert experiment.read_run(plus).missing == ["004", "005", "012"]
    with pytest.raises(FileNotFoundError, match="hold the flow of 5 regions, and me-tst-plus reads 18"):
        experiment.prepare(plus, progress=False)
    assert experiment.prepare(config, progress=False) == experiment.flow_report(config)


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (cache((4, 5), channels=36), "SAMMLV_dataset.pkl: 2 videos, but the tables of sammlv have 3"),
        (cache((4, 2, 2), channels=36), "video 005 005_2: 2 windows of 30 frames, but a micro-expression"),
        (cache((4, 5, 2), 50, channels=36), "video 004 004_1: windows of 50 frames, not of 30"),
        ([[Hostile("harm")]], "SAMMLV_dataset.pkl cannot be read as a cache of flow: it asks for"),
    ],
)
def test_a_cache_that_is_refused_ends_in_one_line_and_leaves_nothing(config, content, message):
    code, said = metst(config, "flow", "sammlv", "--released", clone(config, content, "18"))
    assert code == 1
    assert said.startswith("Error: ") and message in said
    assert len(said.splitlines()) == 1
    assert not (config.places.data / "flow").exists()


def test_a_clone_without_its_large_files_or_no_clone_says_what_is_wanted(config, tmp_path):
    folder = clone(config, cache((4, 5, 2), channels=36), "18")
    pointer = folder / "cache" / "ME-TST+" / "SAMMLV_dataset.pkl"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 130\n")
    code, said = metst(config, "flow", "sammlv", "--released", folder)
    assert code == 1 and "SAMMLV_dataset.pkl is a git-lfs pointer" in said and "git lfs pull" in said
    code, said = metst(config, "flow", "sammlv", "--released", tmp_path / "none")
    wanted = "looked for SAMMLV_dataset.pkl in cache/ME-TST+ (18 regions) and cache/ME-TST (5)"
    assert code == 1 and wanted in said
    code, said = metst(config, "flow", "casme2sq", "--released", folder)
    assert code == 1 and "released no cache of 'casme2sq'; there are those of sammlv, casme3" in said


def test_flow_made_from_frames_is_never_replaced_and_imported_flow_is(config):
    import_(config, cache((4, 5, 2)))
    import_(config, cache((4, 6, 2)))
    videos = experiment.load_data(config).videos
    flows = experiment.load_flow(config, videos)
    assert flows["005", "005_2"].n_frames == 105
    store.flow_report_path(config).unlink()
    made = flows["012", "012_3"]
    made.settings.pop("imported")  # as flow that was made from frames
    path = store.flow_path(config, videos[2])
    records.save_flow(path, videos[2].key, "key", made)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"made from frames, first 012_012_3\.npz: move or delete it"):
        import_(config, cache((4, 5, 2), channels=36), "18")
    assert path.read_bytes() == before
    assert not store.flow_folder(dataclasses.replace(config, variant="me-tst-plus")).exists()


def test_what_was_imported_is_left_as_it_is(config):
    made = import_(config, cache((4, 5, 2)))
    paths = sorted(store.flow_folder(config).iterdir())
    before = [path.stat().st_mtime_ns for path in paths]
    assert import_(config, cache((4, 5, 2))) == made
    assert [path.stat().st_mtime_ns for path in paths] == before
    paths[0].write_bytes(b"damaged")
    again = import_(config, cache((4, 5, 2)))
    assert [video.hash for video in again["5"].videos.values()] == [
        video.hash for video in made["5"].videos.values()
    ]
    assert len(experiment.load_flow(config, experiment.load_data(config).videos)) == 3


@pytest.mark.parametrize("roi_set", ["5", "18"])
def test_an_import_that_is_killed_does_not_count_and_is_repeated_by_the_same_command(
    config, monkeypatch, roi_set
):
    content, real = cache((4, 5, 2), channels=36), records.save_flow
    folder = clone(config, content, "18")

    def killed(path, video, key, made):
        if path.name.startswith("012") and made.roi_set == roi_set:
            (path.parent / ".012_012_3.abcdefgh.npz").write_bytes(b"half")  # what a kill leaves
            raise KeyboardInterrupt
        return real(path, video, key, made)

    with monkeypatch.context() as patch:
        patch.setattr(records, "save_flow", killed)
        with pytest.raises(KeyboardInterrupt):
            experiment.flows.import_cache(config, folder)
    variant = {"5": "me-tst", "18": "me-tst-plus"}[roi_set]
    with pytest.raises(FileNotFoundError, match="no flow of sammlv"):
        experiment.flow_report(dataclasses.replace(config, variant=variant))
    code, said = metst(config, "flow", "sammlv", "--released", folder)
    assert code == 0, said
    assert said.count("Flow of 3 of 3 videos lies in") == 2
