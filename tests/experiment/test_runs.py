"""Runs: a fold is fitted once, resumed, repeated where something changed, and learns nothing of its test."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from trials import SMALLEST, compendium, shorten

from metst_lib import experiment, training
from metst_lib import fold as folding
from metst_lib.events import Event, Prediction
from metst_lib.evidence import megc, scoring
from metst_lib.experiment import checkpoint, configure, flows, records, runs, store, variants


@pytest.fixture
def config(tiny_root, tmp_path, monkeypatch):
    """ME-TST on the tiny set, two epochs, with runs of its own."""
    shorten(monkeypatch)
    return configure(root=compendium(tiny_root, tmp_path / "own"))


def never_fitted(monkeypatch):
    monkeypatch.setattr(folding, "fit", lambda *_, **__: pytest.fail("fitted again"))


def test_another_precision_of_matrix_products_is_a_run_of_its_own(config, monkeypatch):
    monkeypatch.setenv("METST_MATMUL", "medium")
    other = configure(root=config.places.root)
    assert other.edition == "synthetic-medium" and other.fitting() == config.fitting() | {"matmul": "medium"}
    assert store.flow_folder(other) == store.flow_folder(config)
    seen, real = [], folding.fit

    def fit(*arguments, **options):
        seen.append(torch.get_float32_matmul_precision())
        return real(*arguments, **options)

    monkeypatch.setattr(folding, "fit", fit)
    experiment.run_fold(other, "spNO.1")
    assert seen == ["medium"] and torch.get_float32_matmul_precision() == "highest"
    assert store.metrics_path(other, "spNO.1").is_file()
    assert not store.metrics_path(config, "spNO.1").exists()


def test_a_fold_that_finds_nothing_still_knows_what_it_missed(config, monkeypatch):
    monkeypatch.setattr(folding.Rule, "find", lambda *_: [])
    scores = experiment.run_fold(config, "spNO.1")
    fold = experiment.read_fold(config, "spNO.1")
    assert fold.predicted == {("spNO.1", "a"): []}
    assert len(fold.truth["spNO.1", "a"]) == scores.spotting.fn > 0


def test_a_finished_fold_is_not_fitted_again_and_lost_metrics_are_scored_anew(config, monkeypatch):
    first = experiment.run_fold(config, "spNO.1")
    never_fitted(monkeypatch)
    path = store.metrics_path(config, "spNO.1")
    written, time = path.read_bytes(), path.stat().st_mtime_ns
    assert experiment.run_fold(config, "spNO.1") == first and path.stat().st_mtime_ns == time
    path.unlink()
    assert experiment.run_fold(config, "spNO.1") == first
    assert path.read_bytes() == written


def test_another_threshold_is_only_scored_anew(config, monkeypatch):
    experiment.run_fold(config, "spNO.1")
    never_fitted(monkeypatch)
    path = store.metrics_path(config, "spNO.1")
    first = path.read_text()
    real = variants.Preset.recipe

    def higher(self, what, **changes):
        made = real(self, what, **changes)
        return dataclasses.replace(made, rule=dataclasses.replace(made.rule, p=0.9))

    monkeypatch.setattr(variants.Preset, "recipe", higher)
    assert experiment.read_run(config).stale == ["spNO.1"]
    experiment.run_fold(config, "spNO.1")
    assert path.read_text() != first and experiment.read_fold(config, "spNO.1").rule.p == 0.9


def test_other_settings_are_fitted_anew(config, monkeypatch):
    experiment.run_fold(config, "spNO.1")
    first = store.read_fitting(config, "spNO.1")
    shorten(monkeypatch, epochs=1)
    assert experiment.read_run(config).stale == ["spNO.1"]
    experiment.run_fold(config, "spNO.1")
    again = store.read_fitting(config, "spNO.1")
    assert again.identity != first.identity and again.files != first.files
    assert len(experiment.read_fold(config, "spNO.1").history) == 1


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(config):
    train = experiment.load_data(config).videos[1:]
    probe = experiment.load_flow(config, train)[train[0].key]
    score = {
        seed: experiment.fit(dataclasses.replace(config, seed=seed), train).predict(probe).score
        for seed in (0, 1)
    }
    again = experiment.fit(config, train).predict(probe).score
    np.testing.assert_array_equal(again, score[0])
    assert not np.array_equal(score[1], score[0])


def test_nothing_of_the_test_subject_reaches_training(config, monkeypatch):
    """Its frames, labels and lengths are replaced by nonsense: what is fitted stays the same to the bit."""
    subject = "spNO.2"
    experiment.run_fold(config, subject)
    before = experiment.read_fold(config, subject)

    data = experiment.load_data(config)
    (video,) = data.videos_of(subject)
    path, report = store.flow_path(config, video), experiment.flow_report(config)
    real = experiment.load_flow(config, [video])[video.key]
    noise = np.random.default_rng(0).normal(size=real.values.shape).astype(np.float32) * 50
    key = report.videos["spNO.2 a"].key
    about = records.save_flow(path, video.key, key, dataclasses.replace(real, values=noise))
    changed = dataclasses.replace(report, videos=report.videos | {"spNO.2 a": about})
    records.write(store.flow_report_path(config), changed)
    events = (Event(0, 200, emotion="positive"), Event(210, 211, emotion="surprise"))
    wrong = dataclasses.replace(video, events=events)
    poisoned = tuple(wrong if video.subject == subject else video for video in data.videos)
    monkeypatch.setattr(flows, "load_data", lambda _: dataclasses.replace(data, videos=poisoned))
    experiment.run_fold(config, subject)

    after = experiment.read_fold(config, subject)
    assert not np.array_equal(after.predictions[video.key].score, before.predictions[video.key].score)
    assert after.truth != before.truth
    assert after.history.equals(before.history)
    assert after.statistics == before.statistics
    assert after.rule == before.rule and before.rule.half_width > 0


def test_a_full_disk_leaves_no_fold_that_looks_whole(config, monkeypatch):
    def full(file, **_):
        with open(file, "wb") as half:
            half.write(b"PK\x03\x04 half a file")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        with pytest.raises(OSError, match="No space left"):
            experiment.run_fold(config, "spNO.3")
    folder = store.fold_folder(config, "spNO.3")
    assert [path.name for path in folder.iterdir()] == ["history.csv"]
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]
    experiment.run_fold(config, "spNO.3")
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2"]


def test_a_failing_fold_does_not_stop_the_others(config, monkeypatch):
    real = runs.run_fold

    def failing(config, subject, inputs):
        if subject == "spNO.1":
            raise ValueError("the loss is not finite")
        return real(config, subject, inputs)

    monkeypatch.setattr(runs, "run_fold", failing)
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
    prediction = Prediction(np.asarray(score, np.float32), np.full((240, 5), logits, np.float32))
    with monkeypatch.context() as patch:
        patch.setattr(training, "predict", lambda *_, **__: prediction)
        with pytest.raises(FloatingPointError, match=rf"fold spNO\.1 of me-tst, seed 0: {message}"):
            experiment.run_fold(config, "spNO.1")
    folder = store.fold_folder(config, "spNO.1")
    assert not folder.exists() or not list(folder.iterdir())
    experiment.run_fold(config, "spNO.2")
    run = experiment.read_run(config)
    assert list(run.folds) == ["spNO.2"]
    with pytest.raises(ValueError, match=r"missing: spNO\.1, spNO\.3"):
        run.scores()


def test_a_fold_whose_training_diverges_names_subject_variant_and_epoch(config, monkeypatch):
    steep = {name: dataclasses.replace(s, lr=1e30) for name, s in config.settings.training.items()}
    shorten(monkeypatch, training=steep)
    with pytest.raises(RuntimeError, match=r"fold spNO\.1 of me-tst, seed 0: the loss is \w+ in epoch \d"):
        experiment.run_folds(config, ["spNO.1"], progress=False)
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]


def test_a_killed_fold_goes_on_from_its_checkpoint_to_the_same_artefacts(config, monkeypatch, capsys):
    experiment.run_fold(config, "spNO.1")
    folder = store.fold_folder(config, "spNO.1")
    whole = {
        name: (folder / name).read_bytes() for name in ("predictions.npz", "metrics.json", "history.csv")
    }
    shutil.rmtree(folder)
    monkeypatch.setenv("METST_CHECKPOINT", "0")

    def killed(*arguments):
        kept(*arguments)
        raise KeyboardInterrupt

    kept = checkpoint.Checkpoint.write
    with monkeypatch.context() as patch:  # stopped after the first epoch, when it has just been kept
        patch.setattr(checkpoint.Checkpoint, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_fold(config, "spNO.1")
    assert [path.name for path in folder.iterdir()] == ["checkpoint.pt"]
    assert experiment.read_run(config).missing == ["spNO.1", "spNO.2", "spNO.3"]
    experiment.run_fold(config, "spNO.1")
    assert "training goes on after epoch 1" in capsys.readouterr().out
    assert {name: (folder / name).read_bytes() for name in whole} == whole
    assert not (folder / "checkpoint.pt").exists()
    assert store.read_fitting(config, "spNO.1").resumed_after_epoch == 1


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
    assert {"measure", "reach", "pooling"} <= set(fold.statistics)


def test_variants_that_differ_after_training_share_one(config, monkeypatch):
    """Row 6 of Table V is row 7 without result-level synergy: same predictions, more events."""
    shorten(monkeypatch, sizes=SMALLEST)
    wide = dataclasses.replace(config, variant="me-tst-plus")
    experiment.prepare(wide, progress=False)
    narrow = dataclasses.replace(config, variant="me-tst-plus-no-result-synergy")
    experiment.run_fold(narrow, "spNO.1")
    never_fitted(monkeypatch)
    experiment.run_fold(wide, "spNO.1")
    with_synergy, without = experiment.read_fold(wide, "spNO.1"), experiment.read_fold(narrow, "spNO.1")
    key = ("spNO.1", "a")
    np.testing.assert_array_equal(with_synergy.predictions[key].score, without.predictions[key].score)
    assert len(with_synergy.predicted[key]) <= len(without.predicted[key])
    assert without.predicted[key] == without.rule.find(without.predictions[key])
    assert not without.rule.result_synergy and with_synergy.rule.result_synergy


@pytest.mark.parametrize("variant", ["window-classifier", "transformer", "me-tst-no-synergy"])
def test_every_other_variant_of_five_regions_runs_a_fold(config, variant):
    scores = experiment.run_fold(dataclasses.replace(config, variant=variant), "spNO.3")
    assert scores.spotting.tp + scores.spotting.fn == len(
        [e for v in experiment.load_data(config).videos_of("spNO.3") for e in v.events_of("micro")]
    )


def test_a_run_killed_between_fit_and_scores_does_not_pass_as_finished(config, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    experiment.run_fold(config, "spNO.1")
    with monkeypatch.context() as patch:
        shorten(patch, epochs=1)
        patch.setattr(store, "save_scores", killed)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_fold(config, "spNO.1")
        assert "spNO.1" in experiment.read_run(config).missing
    assert "spNO.1" in experiment.read_run(config).missing
    experiment.run_fold(config, "spNO.1")
    assert "spNO.1" not in experiment.read_run(config).missing


def test_a_run_of_macro_expressions_is_one_of_its_own(config, monkeypatch):
    experiment.run_fold(config, "spNO.1")
    micro, before = store.run_folder(config), runs.states(config)
    shorten(monkeypatch, kind="macro")
    assert store.run_folder(config) == micro.parents[1] / "macro" / "seed0"
    videos = experiment.load_data(config).videos
    assert videos and all(video.events_of("macro") for video in videos)
    assert set(runs.states(config)) == {video.subject for video in videos}
    assert set(runs.states(config).values()) == {"missing"} != set(before.values())


def test_a_whole_run_leaves_a_score_file_that_gives_its_counts_and_a_part_of_one_none(config):
    for subject in runs.folds(config)[:-1]:
        experiment.run_fold(config, subject)
    assert runs.write_scores(experiment.read_run(config)) is None
    assert not store.scores_path(config).exists()
    experiment.run_fold(config, runs.folds(config)[-1])
    run = experiment.read_run(config)
    written = runs.write_scores(run)
    assert written == store.scores_path(config)
    given = scoring.read(written, store.truth_path(config))
    assert given.recognised and not given.left_out and given.n_frames.keys() == run.truth.keys()
    found = scoring.scores(given, config.recipe.rule)
    assert found.by_subject == run.scores().by_subject
    sent = megc.write(written.with_name("sent.csv"), runs.found_by([run]))
    given, _ = megc.given(sent, store.truth_path(config), "strict")
    (row,) = megc.table(given, "strict").query("kind == 'micro'").to_dict("records")
    assert [row[name] for name in ("tp", "fp", "fn")] == list(vars(run.scores().spotting).values())
    store._begun(config, runs.folds(config)[0])  # another fit of a fold takes it away
    assert not written.exists()
