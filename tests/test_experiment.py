"""Experiments: names and presets, flow on disk, a fold's artefacts, no leak from the test subject."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from trials import shorter

from metst_lib import experiment, frames, metrics, preparation, training
from metst_lib.experiment import configure


@pytest.fixture
def config(tiny_root, tmp_path):
    """ME-TST on the tiny set, two epochs, with runs of its own."""
    root = tmp_path / "own"
    (root / "data").mkdir(parents=True)
    for name in ("synthetic", "landmarks"):
        (root / "data" / name).symlink_to(tiny_root / "data" / name)
    shutil.copytree(tiny_root / "data" / "flow", root / "data" / "flow")
    return shorter(configure(root=root))


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": "samm"}, "unknown data set 'samm'; known: synthetic, casme3, sammlv, casme2sq"),
        ({"variant": "me-tsd"}, "unknown variant 'me-tsd'; known: .*me-tst"),
        ({"preset": "full"}, "unknown preset 'full' for synthetic; known: demo, paper"),
        ({"dataset": "casme3", "preset": "demo"}, "unknown preset 'demo' for casme3; known: paper"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(given, message):
    with pytest.raises(ValueError, match=message):
        configure(**given)


def test_presets_are_those_of_the_paper_and_the_released_code():
    casme3, sammlv = configure("casme3"), configure("sammlv")
    assert (casme3.settings.frame_step, casme3.settings.window) == (1, 50)
    assert (sammlv.settings.frame_step, sammlv.settings.window) == (7, 30)
    for config, batch, ratio in ((casme3, 256, 4.0), (sammlv, 32, 0.5)):
        training = config.training
        assert (training.epochs, training.lr, training.batch, training.ratio) == (30, 1e-4, batch, ratio)
    assert experiment.build(sammlv).stem is not None
    size = sum(p.numel() for p in experiment.build(sammlv).parameters())
    small = sum(p.numel() for p in experiment.build(configure()).parameters())
    assert small < size / 10


def test_a_preset_that_is_not_the_default_has_folders_of_its_own():
    assert configure().edition == "synthetic"
    assert configure(preset="paper").edition == "synthetic-paper"
    assert configure("casme3").run_folder.parts[-3:] == ("casme3", "me-tst", "seed0")


def test_another_precision_of_matrix_products_is_a_run_of_its_own(config, monkeypatch):
    monkeypatch.setenv("METST_MATMUL", "medium")
    other = dataclasses.replace(configure(root=config.root), settings=config.settings)
    assert other.edition == "synthetic-medium" and other.fitting() == config.fitting() | {"matmul": "medium"}
    assert other.flow_folder == config.flow_folder
    seen = []
    monkeypatch.setattr(
        experiment, "fit", lambda *_: seen.append(experiment.torch.get_float32_matmul_precision())
    )
    with pytest.raises(AttributeError):  # the stand-in gives no model
        experiment.run_fold(other, "spNO.1")
    assert seen == ["medium"] and experiment.torch.get_float32_matmul_precision() == "highest"
    monkeypatch.setenv("METST_MATMUL", "low")
    with pytest.raises(ValueError, match="METST_MATMUL=low; known: highest, high, medium"):
        configure()


def test_the_folder_of_the_compendium_is_given_set_or_found(tmp_path, monkeypatch):
    monkeypatch.delenv("METST_ROOT", raising=False)
    assert (experiment.home() / "notebooks").is_dir()
    monkeypatch.setenv("METST_ROOT", str(tmp_path / "set"))
    assert experiment.home() == (tmp_path / "set").resolve()
    assert experiment.home(tmp_path / "given") == (tmp_path / "given").resolve()


# --- flow -----------------------------------------------------------------------------------------------


def test_flow_is_extracted_once(config, monkeypatch):
    def never(*_, **__):
        raise AssertionError("extracted again")

    monkeypatch.setattr(preparation.flow, "extract_sets", never)
    report = experiment.prepare(config, progress=False)
    assert sorted(report["videos"]) == ["spNO.1 a", "spNO.2 a", "spNO.3 a"]
    assert report["failed"] == {}


def test_two_sets_of_regions_take_one_pass(config, monkeypatch):
    wide = dataclasses.replace(config, variant="me-tst-plus")
    videos = experiment.load_data(config).videos
    before = {v.key: experiment.load_flow(config, [v])[v.key].values for v in videos}
    for video in videos[:2]:
        experiment.flow_path(config, video).unlink()
    asked, real = [], preparation.flow.extract_sets

    def counted(images, points, roi_sets, **settings):
        asked.append((settings["name"], roi_sets))
        if len(roi_sets) > 1 and settings["name"] == "spNO.2 a":  # a region that one set alone has is outside
            raise ValueError("nothing of region 'below left eye' lies in the face crop")
        return real(images, points, roi_sets, **settings)

    monkeypatch.setattr(preparation.flow, "extract_sets", counted)
    experiment.prepare(config, progress=False, beside=[wide])
    assert asked == [("spNO.1 a", ("5", "18")), ("spNO.2 a", ("5", "18")), ("spNO.2 a", ("5",))]
    for video in videos[:2]:
        np.testing.assert_array_equal(
            experiment.load_flow(config, [video])[video.key].values, before[video.key]
        )
    asked.clear()
    assert experiment.prepare(wide, progress=False)["failed"] == {}
    assert asked == [("spNO.2 a", ("18",)), ("spNO.3 a", ("18",))]  # that of the first video is there


def test_half_a_flow_file_is_never_read_as_whole(config):
    video = experiment.load_data(config).videos[0]
    path = experiment.flow_path(config, video)
    whole = preparation.flow.RoiFlow.load(path).values
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=path.name):
        experiment.load_flow(config, [video])
    experiment.prepare(config, progress=False)
    np.testing.assert_array_equal(experiment.load_flow(config, [video])[video.key].values, whole)


def test_a_video_without_a_face_is_reported_and_the_rest_goes_on(config, monkeypatch, capsys):
    videos = experiment.load_data(config).videos
    experiment.flow_path(config, videos[1]).unlink()
    real = frames.open

    class Blank:
        def __init__(self, video):
            self.frames, self.replaced = real(video), {}

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, i):
            return np.zeros_like(self.frames[i])

    monkeypatch.setattr(preparation.frames, "open", Blank)
    report = experiment.prepare(config, progress=False)
    assert list(report["failed"]) == ["spNO.2 a"]
    assert "face" in report["failed"]["spNO.2 a"]
    assert "spNO.2 a" in capsys.readouterr().out
    assert list(experiment.load_flow(config, videos)) == [("spNO.1", "a"), ("spNO.3", "a")]
    scores = experiment.run_fold(config, "spNO.2")  # nothing found there, so every ME is missed
    assert scores.spotting.tp == scores.spotting.fp == 0
    assert scores.spotting.fn == len(videos[1].events_of("micro")) > 0


def test_a_missing_flow_names_the_command_that_makes_it(config):
    (config.flow_folder / "complete.json").unlink()
    with pytest.raises(FileNotFoundError, match="metst flow synthetic"):
        experiment.run_fold(config, "spNO.1")


def test_a_missing_predictor_says_which_file_is_wanted(config):
    video = experiment.load_data(config).videos[0]
    experiment.flow_path(config, video).unlink()
    without = dataclasses.replace(config, landmarks=config.root / "none.dat")
    with pytest.raises(FileNotFoundError, match=r"none\.dat.*shape_predictor_68_face_landmarks\.dat"):
        experiment.prepare(without, progress=False)


# --- a fold ---------------------------------------------------------------------------------------------


def test_a_fold_leaves_its_artefacts_and_is_read_back_as_it_was(config):
    scores = experiment.run_fold(config, "spNO.2")
    folder = experiment.fold_folder(config, "spNO.2")
    expected = ["config.json", "events.csv", "history.csv", "metrics.json", "predictions.npz"]
    assert sorted(p.name for p in folder.iterdir()) == expected
    fold = experiment.read_fold(config, "spNO.2")
    assert fold.scores == scores == metrics.evaluate(fold.predicted, fold.truth)
    assert list(fold.history["epoch"]) == [1, 2]
    assert fold.score["spNO.2", "a"].shape == (240,)
    assert fold.logits["spNO.2", "a"].shape == (240, 5)
    about = json.loads((folder / "config.json").read_text())
    assert about["settings"]["training"]["epochs"] == 2
    assert about["versions"]["torch"].startswith("2.13.0")
    assert about["backend"]


def test_a_fold_that_finds_nothing_still_knows_what_it_missed(config, monkeypatch):
    monkeypatch.setattr(experiment.spotting, "find_events", lambda *args, **settings: [])
    scores = experiment.run_fold(config, "spNO.1")
    fold = experiment.read_fold(config, "spNO.1")
    assert fold.predicted == {("spNO.1", "a"): []}
    assert len(fold.truth["spNO.1", "a"]) == scores.spotting.fn > 0


def test_a_finished_fold_is_not_fitted_again_and_lost_metrics_are_scored_anew(config, monkeypatch):
    first = experiment.run_fold(config, "spNO.1")
    monkeypatch.setattr(experiment, "fit", lambda *_: pytest.fail("fitted again"))
    (experiment.fold_folder(config, "spNO.1") / "metrics.json").unlink()
    assert experiment.run_fold(config, "spNO.1") == first
    assert (experiment.fold_folder(config, "spNO.1") / "metrics.json").is_file()


def test_scores_are_made_anew_for_another_threshold_and_only_then(config):
    experiment.run_fold(config, "spNO.1")
    path = experiment.fold_folder(config, "spNO.1") / "metrics.json"
    first = path.read_text()
    os.utime(path, (0, 0))
    experiment.run_fold(config, "spNO.1")
    assert path.read_text() == first and path.stat().st_mtime > 0  # the workflow sees it as made now
    experiment.run_fold(dataclasses.replace(config, p=0.9), "spNO.1")
    assert path.read_text() != first


def test_other_settings_other_seeds_and_other_labels_are_fitted_anew(config, monkeypatch):
    experiment.run_fold(config, "spNO.1")
    folder = experiment.fold_folder(config, "spNO.1")
    first = (folder / "config.json").read_text()
    experiment.run_fold(shorter(config, epochs=1), "spNO.1")
    assert (folder / "config.json").read_text() != first
    data = experiment.load_data(config)
    video = data.videos[1]
    moved = dataclasses.replace(
        video, events=video.events_of("macro", "blink") + video.events_of("micro")[:1]
    )
    other = dataclasses.replace(data, videos=(data.videos[0], moved, data.videos[2]))
    identity = json.loads(first)["identity"]
    monkeypatch.setattr(experiment, "load_data", lambda _: other)
    if moved.events != video.events:
        experiment.run_fold(config, "spNO.1")
        assert json.loads((folder / "config.json").read_text())["identity"] != identity


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(config):
    train = experiment.load_data(config).videos[1:]
    probe = experiment.load_flow(config, train)[train[0].key]
    score = {
        seed: experiment.fit(dataclasses.replace(config, seed=seed), train).predict(probe)[0]
        for seed in (0, 1)
    }
    again = experiment.fit(config, train).predict(probe)[0]
    np.testing.assert_array_equal(again, score[0])
    assert not np.array_equal(score[1], score[0])


def test_nothing_of_the_test_subject_reaches_training(config, monkeypatch):
    """Its frames, labels and lengths are replaced by nonsense: what is fitted stays the same to the bit."""
    subject = "spNO.2"
    experiment.run_fold(config, subject)
    folder = experiment.fold_folder(config, subject)
    before = {name: (folder / name).read_bytes() for name in ("history.csv",)}
    fitted = json.loads((folder / "config.json").read_text())["fitted"]
    half_width = json.loads((folder / "metrics.json").read_text())["half_width"]

    data = experiment.load_data(config)
    path = experiment.flow_path(config, data.videos_of(subject)[0])
    real = preparation.flow.RoiFlow.load(path)
    noise = np.random.default_rng(0).normal(size=real.values.shape).astype(np.float32) * 50
    dataclasses.replace(real, values=noise).save(path)
    wrong = dataclasses.replace(
        data.videos_of(subject)[0],
        events=(experiment.Event(0, 200, emotion="positive"), experiment.Event(210, 211, emotion="surprise")),
    )
    poisoned = tuple(wrong if video.subject == subject else video for video in data.videos)
    monkeypatch.setattr(experiment, "load_data", lambda _: dataclasses.replace(data, videos=poisoned))
    (folder / "config.json").unlink()
    experiment.run_fold(config, subject)

    assert {name: (folder / name).read_bytes() for name in before} == before
    assert json.loads((folder / "config.json").read_text())["fitted"] == fitted
    assert json.loads((folder / "metrics.json").read_text())["half_width"] == half_width


def test_a_full_disk_leaves_no_fold_that_looks_whole(config, monkeypatch):
    def full(file, **_):
        with open(file, "wb") as half:
            half.write(b"PK\x03\x04 half a file")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        with pytest.raises(OSError, match="No space left"):
            experiment.run_fold(config, "spNO.3")
    folder = experiment.fold_folder(config, "spNO.3")
    assert not (folder / "predictions.npz").exists() and not (folder / "metrics.json").exists()
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]
    experiment.run_fold(config, "spNO.3")
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2"]


def test_a_failing_fold_does_not_stop_the_others(config, monkeypatch):
    real = experiment.run_fold

    def failing(config, subject):
        if subject == "spNO.1":
            raise ValueError("the loss is not finite")
        return real(config, subject)

    monkeypatch.setattr(experiment, "run_fold", failing)
    with pytest.raises(RuntimeError, match=r"1 of 3 folds failed: spNO\.1: the loss is not finite"):
        experiment.run_folds(config, experiment.chosen(config, "all"), progress=False)
    assert experiment.read_run(config).missing == ["spNO.1"]


@pytest.mark.parametrize(
    ("score", "logits", "message"),
    [
        (np.linspace(0, np.nan, 240), 0.0, "scores of video spNO.1 a are NaN or infinite"),
        (np.linspace(0, 1, 240), np.inf, "scores of video spNO.1 a are NaN or infinite"),
        (
            np.full(240, 0.25),
            0.0,
            "the spotting score is 0.250000 in every frame of every video after epoch 2",
        ),
    ],
)
def test_a_fold_that_predicts_nothing_usable_fails_by_name_and_is_not_averaged(
    config, monkeypatch, score, logits, message
):
    def predict(*_, **__):
        return np.asarray(score, np.float32), np.full((240, 5), logits, np.float32)

    real = training.predict
    monkeypatch.setattr(training, "predict", predict)
    with pytest.raises(FloatingPointError, match=rf"fold spNO\.1 of me-tst, seed 0: {message}"):
        experiment.run_fold(config, "spNO.1")
    folder = experiment.fold_folder(config, "spNO.1")
    assert not folder.exists() or not list(folder.iterdir())
    monkeypatch.setattr(training, "predict", real)
    experiment.run_fold(config, "spNO.2")
    run = experiment.read_run(config)
    assert list(run.folds) == ["spNO.2"]
    with pytest.raises(ValueError, match=r"missing: spNO\.1, spNO\.3"):
        run.scores()


def test_a_fold_whose_training_diverges_names_subject_variant_and_epoch(config):
    steep = {name: dataclasses.replace(s, lr=1e30) for name, s in config.settings.training.items()}
    config = dataclasses.replace(config, settings=dataclasses.replace(config.settings, training=steep))
    with pytest.raises(RuntimeError, match=r"fold spNO\.1 of me-tst, seed 0: the loss is \w+ in epoch \d"):
        experiment.run_folds(config, ["spNO.1"], progress=False)
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]


def test_a_killed_fold_goes_on_from_its_checkpoint_to_the_same_artefacts(config, monkeypatch, capsys):
    experiment.run_fold(config, "spNO.1")
    folder = experiment.fold_folder(config, "spNO.1")
    whole = {
        name: (folder / name).read_bytes() for name in ("predictions.npz", "metrics.json", "history.csv")
    }
    shutil.rmtree(folder)
    monkeypatch.setenv("METST_CHECKPOINT", "0")
    with monkeypatch.context() as patch:  # stopped after the first epoch, when it has just been kept
        kept = training.Checkpoint.write
        patch.setattr(
            training.Checkpoint, "write", lambda *a: kept(*a) or (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            experiment.run_fold(config, "spNO.1")
    assert [path.name for path in folder.iterdir()] == ["checkpoint.pt"]
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]
    experiment.run_fold(config, "spNO.1")
    assert "training goes on after epoch 1 of 2" in capsys.readouterr().out
    assert {name: (folder / name).read_bytes() for name in whole} == whole
    assert not (folder / "checkpoint.pt").exists()
    assert json.loads((folder / "config.json").read_text())["resumed_after_epoch"] == 1


def test_how_often_checkpoints_are_kept_is_a_number(config, monkeypatch):
    monkeypatch.setenv("METST_CHECKPOINT", "often")
    with pytest.raises(ValueError, match="METST_CHECKPOINT is a number of seconds, not 'often'"):
        experiment.run_fold(config, "spNO.1")


def test_folds_are_chosen_by_name(config):
    assert experiment.chosen(config, "all") == ["spNO.1", "spNO.2", "spNO.3"]
    assert experiment.chosen(config, "spNO.3, spNO.1") == ["spNO.3", "spNO.1"]
    assert experiment.chosen(config, "") == ["spNO.1"]
    with pytest.raises(ValueError, match=r"no fold 'spNO\.9'; known: spNO\.1, spNO\.2, spNO\.3"):
        experiment.chosen(config, "spNO.9")


def test_a_run_with_missing_folds_gives_no_number(config):
    experiment.run_fold(config, "spNO.1")
    with pytest.raises(ValueError, match=r"1 of 3 folds are there; missing: spNO\.2, spNO\.3"):
        experiment.read_run(config).scores()
    with pytest.raises(FileNotFoundError, match=r"fold spNO\.2 of me-tst, seed 0, has not been run"):
        experiment.read_fold(config, "spNO.2")


def test_the_comparator_without_training_runs_as_a_fold(config):
    yardstick = dataclasses.replace(config, variant="flow-magnitude")
    experiment.run_fold(yardstick, "spNO.1")
    fold = experiment.read_fold(yardstick, "spNO.1")
    assert fold.history.empty
    assert {"measure", "reach", "pooling"} <= set(fold.fitted)


def test_variants_that_differ_after_training_share_one(config, monkeypatch):
    """Row 6 of Table V is row 7 without result-level synergy: same predictions, more events."""
    plus = {"METSTPlus": {"dim": 8, "n_blocks": 1, "depth": 1, "d_state": 4}}
    config = dataclasses.replace(config, settings=dataclasses.replace(config.settings, sizes=plus))
    wide = dataclasses.replace(config, variant="me-tst-plus")
    experiment.prepare(wide, progress=False)
    narrow = dataclasses.replace(config, variant="me-tst-plus-no-result-synergy")
    experiment.run_fold(narrow, "spNO.1")
    monkeypatch.setattr(experiment, "fit", lambda *_: pytest.fail("trained twice"))
    experiment.run_fold(wide, "spNO.1")
    with_synergy, without = experiment.read_fold(wide, "spNO.1"), experiment.read_fold(narrow, "spNO.1")
    np.testing.assert_array_equal(with_synergy.score["spNO.1", "a"], without.score["spNO.1", "a"])
    kept, found = (len(fold.predicted["spNO.1", "a"]) for fold in (with_synergy, without))
    assert kept <= found


@pytest.mark.parametrize("variant", ["window-classifier", "transformer", "me-tst-no-synergy"])
def test_every_other_variant_of_five_regions_runs_a_fold(config, variant):
    scores = experiment.run_fold(dataclasses.replace(config, variant=variant), "spNO.3")
    assert scores.spotting.tp + scores.spotting.fn == len(
        [e for v in experiment.load_data(config).videos_of("spNO.3") for e in v.events_of("micro")]
    )


def test_table_v_has_its_seven_rows_in_order():
    rows = [
        (v.roi_set, v.network, v.feature_synergy, v.result_synergy) for v in experiment.VARIANTS.values()
    ][3:]
    assert rows == [
        ("5", "METST", False, False),
        ("5", "METST", True, True),
        ("5", "METSTPlus", True, False),
        ("18", "METST", True, False),
        ("18", "METSTPlus", False, False),
        ("18", "METSTPlus", True, False),
        ("18", "METSTPlus", True, True),
    ]


def test_landmarks_for_figures_follow_the_face(config):
    video = experiment.load_data(config).videos[0]
    points = experiment.landmarks_along(config, video)
    with np.load(config.data / "synthetic" / "truth" / "spNO.1_a.npz") as truth:
        distance = np.linalg.norm(points[::15] - truth["landmarks"][::15], axis=-1)
    assert points.shape == (video.n_frames, 68, 2)
    assert np.median(distance) < 4
    np.testing.assert_array_equal(points[15], points[29])


def test_a_run_killed_between_fit_and_scores_does_not_pass_as_finished(config, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    experiment.run_fold(config, "spNO.1")
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "_score", killed)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_fold(shorter(config, epochs=1), "spNO.1")
    assert "spNO.1" in experiment.read_run(shorter(config, epochs=1)).missing
    assert "spNO.1" in experiment.read_run(config).missing
    experiment.run_fold(config, "spNO.1")
    assert "spNO.1" not in experiment.read_run(config).missing


@pytest.mark.parametrize("name", ["events.csv", "predictions.npz", "history.csv"])
def test_a_damaged_file_of_a_fold_is_named_and_made_again(config, name):
    scores = experiment.run_fold(config, "spNO.1")
    path = experiment.fold_folder(config, "spNO.1") / name
    for size in (0, 60):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(
            ValueError, match=r"fold spNO\.1 of me-tst, seed 0, is damaged: a file in .*spNO\.1"
        ):
            experiment.read_fold(config, "spNO.1")
        assert (
            experiment.run_fold(config, "spNO.1") == scores == experiment.read_fold(config, "spNO.1").scores
        )


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_a_damaged_record_of_a_fold_is_named_and_made_again(config, name):
    experiment.run_fold(config, "spNO.1")
    path = experiment.fold_folder(config, "spNO.1") / name
    for content in ("", "[]", '{"identity": 3'):
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"spNO\.1/{name} is damaged"):
            experiment.read_fold(config, "spNO.1")
        experiment.run_fold(config, "spNO.1")
        experiment.read_fold(config, "spNO.1")


@pytest.mark.parametrize("content", ["", "null", "{}"])
def test_a_damaged_report_of_the_flow_is_named_and_made_again(config, content):
    path = config.flow_folder / "complete.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"complete\.json is damaged"):
        experiment.flow_report(config)
    experiment.prepare(config, progress=False)
    assert len(experiment.flow_report(config)["videos"]) == 3


def test_a_damaged_frame_and_its_repair_make_the_flow_of_the_video_anew(config):
    frame = experiment.load_data(config).videos[0].source.path(100)
    before = experiment.prepare(config, progress=False)["videos"]["spNO.1 a"]
    whole = frame.read_bytes()
    frame.write_bytes(whole[:2000])
    try:
        assert experiment.prepare(config, progress=False)["videos"]["spNO.1 a"]["replaced"] == 1
    finally:
        frame.write_bytes(whole)
    assert experiment.prepare(config, progress=False)["videos"]["spNO.1 a"] == before


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="from 0 on, not -1"):
        configure(seed=-1)
