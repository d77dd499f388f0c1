"""Fitting one fold: what is learned, from what, and that it can be repeated."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from metst_lib.events import CLASSES, EMOTIONS, Event
from metst_lib.metrics import evaluate
from metst_lib.spotting import find_events
from metst_lib.training import (
    Checkpoint,
    FlowMagnitude,
    TrainingSettings,
    class_weights,
    displacement,
    fit,
    fit_flow_magnitude,
    predict,
    predict_flow_magnitude,
    split,
    weighted_cross_entropy,
)
from metst_lib.windows import cut, window_starts

WINDOW, CHANNELS = 16, 4
QUICK = TrainingSettings(epochs=3, lr=1e-2, batch=16, ratio=1.0, device="cpu")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Small(nn.Module):
    """Convolutions over time, with the batch normalisation and dropout that a fold must not leak through."""

    def __init__(self, dim=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(CHANNELS, dim, 5, padding=2), nn.BatchNorm1d(dim), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv1d(dim, dim, 5, padding=2), nn.BatchNorm1d(dim), nn.ReLU(),
        )  # fmt: skip
        self.spot, self.emotion = nn.Linear(dim, 1), nn.Linear(dim, 5)

    def forward(self, x):
        features = self.body(x).transpose(1, 2)
        return torch.sigmoid(self.spot(features)).squeeze(-1), self.emotion(features)


def as_flow(signal, window=WINDOW):
    """A (T, C) signal in windows, each relative to its first frame, as ROI flow is."""
    starts = window_starts(len(signal), window)
    pieces = cut(signal, starts, window)
    values = (pieces - pieces[:, :1]).transpose(0, 2, 1).astype(np.float32)
    return SimpleNamespace(values=values, starts=starts, n_frames=len(signal))


def toy(subjects=3, videos=2, n_frames=240, seed=0):
    """Bumps of ten frames in one channel: which channel and which way is the emotion; drift and noise."""
    rng = np.random.default_rng(seed)
    where = {"negative": (0, 1), "positive": (1, 1), "surprise": (0, -1), "others": (2, 1)}
    flows, events = {}, {}
    for s in range(subjects):
        for v in range(videos):
            signal = rng.normal(0, 0.03, (n_frames, CHANNELS))
            signal += np.cumsum(rng.normal(0, 0.01, (n_frames, CHANNELS)), axis=0)
            found = []
            for i, onset in enumerate(range(8, n_frames - 14, 40)):
                onset = onset + int(rng.integers(0, 20))
                emotion = EMOTIONS[(s + v + i) % 4]
                channel, sign = where[emotion]
                signal[onset : onset + 11, channel] += sign * np.sin(np.linspace(0, np.pi, 11))
                found.append(Event(onset, onset + 10, emotion=emotion))
            flows[f"s{s}", "ab"[v]], events[f"s{s}", "ab"[v]] = as_flow(signal), found
    return flows, events


def weights_of(fitted):
    return {name: tensor.numpy().copy() for name, tensor in fitted.model.state_dict().items()}


def equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(weights_of(a).values(), weights_of(b).values(), strict=True)
    )


# --------------------------------------------------------------------------------------------- learning


def pooled(flows, events, predictor, k_p=5):
    found = {key: find_events(*predictor(flows[key]), k_p) for key in flows}
    return evaluate(found, events)


def test_a_toy_problem_is_learned_and_a_constant_score_is_not():
    flows, events = toy(subjects=4)
    train, test = split(flows, "s3")
    fitted = fit(
        Small,
        {k: flows[k] for k in train},
        {k: events[k] for k in train},
        TrainingSettings(epochs=40, lr=1e-2, batch=16, ratio=1.0, device="cpu"),
        seed=0,
    )
    unseen, truth = {k: flows[k] for k in test}, {k: events[k] for k in test}
    scores = pooled(unseen, truth, lambda flow: predict(fitted.model, flow))
    assert scores.spotting.f1 > 0.8 and scores.recognition.uar > 0.8
    assert fitted.history.loss.iloc[-1] < fitted.history.loss.iloc[0] / 2

    def constant(flow):
        return np.full(flow.n_frames, 0.4), np.tile(np.eye(5)[0], (flow.n_frames, 1))

    assert pooled(unseen, truth, constant).spotting.f1 == 0


# ------------------------------------------------------------------------------------- what may be seen


def test_nothing_of_the_test_subject_reaches_training():
    flows, events = toy()
    train, test = split(flows, "s1")
    assert {s for s, _ in test} == {"s1"} and "s1" not in {s for s, _ in train}

    def fold(flows, events):
        return fit(Small, {k: flows[k] for k in train}, {k: events[k] for k in train}, QUICK, seed=5)

    clean = fold(flows, events)
    rng = np.random.default_rng(0)
    for key in test:
        # Frames, labels and lengths of the test subject made garbage: a single look at them would show.
        flows[key] = SimpleNamespace(
            values=np.full((3, 7, 5), np.nan), starts=rng.integers(0, 9, 3), n_frames=-1
        )
        events[key] = [Event(0, 10**6), Event(3, 4, kind="macro")]
    poisoned = fold(flows, events)
    assert equal(clean, poisoned)
    assert clean.statistics == poisoned.statistics
    assert clean.history.equals(poisoned.history)


def test_what_is_trained_on_does_matter():
    # The counterpart of the test above: it would pass if nothing were looked at at all.
    flows, events = toy()
    train, _ = split(flows, "s1")
    one = fit(Small, {k: flows[k] for k in train}, {k: events[k] for k in train}, QUICK, seed=5)
    flows[train[0]].values[:] *= 1.01
    two = fit(Small, {k: flows[k] for k in train}, {k: events[k] for k in train}, QUICK, seed=5)
    assert not equal(one, two)


def test_a_split_is_by_subject_and_complete():
    keys = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")]
    assert split(keys, "a") == ([("b", "1"), ("c", "1")], [("a", "1"), ("a", "2")])
    with pytest.raises(ValueError, match="unknown subject 'd'; known: a, b, c"):
        split(keys, "d")
    with pytest.raises(ValueError, match="no subject but a to train on"):
        split([("a", "1")], "a")


# ------------------------------------------------------------------------------------------ repeatability


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    flows, events = toy()
    one = fit(Small, flows, events, QUICK, seed=3)
    torch.manual_seed(99)  # the caller's random state
    np.random.seed(99)  # noqa: NPY002
    torch.rand(7)
    two = fit(Small, flows, events, QUICK, seed=3)
    assert equal(one, two) and one.history.equals(two.history)
    assert not equal(one, fit(Small, flows, events, QUICK, seed=4))


def test_the_order_of_the_videos_does_not_matter():
    flows, events = toy()
    backwards = {key: flows[key] for key in reversed(flows)}
    assert equal(fit(Small, flows, events, QUICK, seed=3), fit(Small, backwards, events, QUICK, seed=3))


def test_the_callers_random_state_is_left_alone():
    flows, events = toy()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(Small, flows, events, QUICK, seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_streams_are_separate_so_that_augmentation_does_not_change_the_initial_weights():
    flows, events = toy()
    seen = []

    def factory():
        model = Small()
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return model

    for augment in ((0.9, 1.1), (1.0, 1.0)):
        fit(factory, flows, events, TrainingSettings(epochs=1, augment=augment, device="cpu"), seed=3)
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_random_numbers_that_the_network_is_built_with_do_not_move_those_of_drop_path():
    flows, events = toy()

    def spendthrift():
        model = Small()
        torch.rand(1000)
        return model

    assert equal(fit(Small, flows, events, QUICK, seed=3), fit(spendthrift, flows, events, QUICK, seed=3))


def test_augmentation_scales_the_flow():
    flows, events = toy()
    twice = {
        key: SimpleNamespace(values=2 * flow.values, starts=flow.starts, n_frames=flow.n_frames)
        for key, flow in flows.items()
    }
    still = TrainingSettings(**{**vars(QUICK), "augment": (1.0, 1.0)})
    doubling = TrainingSettings(**{**vars(QUICK), "augment": (2.0, 2.0)})
    assert equal(fit(Small, flows, events, doubling, seed=3), fit(Small, twice, events, still, seed=3))
    assert not equal(fit(Small, flows, events, QUICK, seed=3), fit(Small, flows, events, still, seed=3))


def test_the_learning_rate_rises_to_its_highest_and_falls_again():
    flows, events = toy()
    lr = fit(Small, flows, events, TrainingSettings(epochs=10, lr=1e-2, device="cpu"), seed=3).history.lr
    assert lr.iloc[0] == pytest.approx(1e-2 / 25)
    # Three tenths up, seven tenths down.
    assert lr.iloc[3] == lr.max() == pytest.approx(1e-2, rel=0.05)
    assert lr.iloc[:4].is_monotonic_increasing and lr.iloc[3:].is_monotonic_decreasing


# -------------------------------------------------------------------------------------------- checkpoints


class Stopped(Exception):
    """What stands for the kill."""


@pytest.fixture
def stopped(tmp_path):
    """A training of six epochs killed in the fifth: (how to go on with it, its checkpoint, what was said)."""
    flows, events = toy()
    six, said = dataclasses.replace(QUICK, epochs=6), []
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this fold", every=0, say=said.append)

    def train(checkpoint=None, settings=six, model=Small, log=None):
        return fit(model, flows, events, settings, seed=3, log=log, checkpoint=checkpoint)

    def kill(line):
        if line.startswith("epoch 5/"):
            raise Stopped

    with pytest.raises(Stopped):
        train(checkpoint, log=kill)
    assert checkpoint.path.is_file() and not said
    return train, checkpoint, said


def test_a_stopped_training_goes_on_to_the_same_weights_bit_for_bit(stopped):
    train, checkpoint, said = stopped
    lines = []
    torch.manual_seed(99)  # whatever state the new process is in
    resumed, whole = train(checkpoint, log=lines.append), train()
    assert equal(resumed, whole)
    assert resumed.history.equals(whole.history) and resumed.statistics == whole.statistics
    assert (resumed.resumed, whole.resumed) == (4, 0) and resumed.earlier > 0 == whole.earlier
    assert [line.split(":")[0] for line in lines] == ["epoch 5/6", "epoch 6/6"]
    assert said == [f"training goes on after epoch 4 of 6: {checkpoint.path}"]


def test_a_training_without_its_checkpoint_file_starts_anew_in_silence(stopped):
    train, checkpoint, said = stopped
    checkpoint.remove()
    checkpoint.remove()
    assert equal(train(checkpoint), train()) and not said


def test_a_short_training_writes_no_checkpoint(stopped, tmp_path):
    train, _, said = stopped
    patient = Checkpoint(tmp_path / "patient.pt", "this fold", say=said.append)
    train(patient)
    assert not patient.path.exists()


def test_a_checkpoint_of_another_training_is_ignored_with_a_word(stopped):
    train, checkpoint, said = stopped
    other = dataclasses.replace(checkpoint, identity="another fold")
    assert other.read("any") is None
    for foreign in (
        {"checkpoint": other},
        {"checkpoint": checkpoint, "settings": dataclasses.replace(QUICK, epochs=7)},
        {"checkpoint": checkpoint, "model": lambda: Small(dim=20)},
    ):
        before = checkpoint.path.read_bytes()
        said.clear()
        assert train(**foreign).resumed == 0
        assert said == [f"{checkpoint.path} is ignored, training starts anew: it belongs to another training"]
        checkpoint.path.write_bytes(before)


def test_a_damaged_checkpoint_is_ignored_with_a_word(stopped):
    train, checkpoint, said = stopped
    whole = checkpoint.path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in the weights, where torch's reader would not see it
    for content in (b"", b"not an archive", whole[: len(whole) // 2], bytes(flipped)):
        checkpoint.path.write_bytes(content)
        said.clear()
        assert checkpoint.read("any") is None
        assert said and "is ignored, training starts anew: it is damaged" in said[0]
    assert equal(train(checkpoint), train())


def test_a_checkpoint_that_would_run_code_is_not_opened(tmp_path):
    said = []
    torch.save({"identity": "this fold", "shape": "any", "code": Stopped()}, tmp_path / "c.pt")
    assert Checkpoint(tmp_path / "c.pt", "this fold", say=said.append).read("any") is None
    assert "it is damaged" in said[0]


def test_a_checkpoint_that_cannot_be_written_stops_no_training(stopped, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    train, _, said = stopped
    monkeypatch.setattr(torch, "save", full)
    assert equal(train(Checkpoint(tmp_path / "c.pt", "this fold", every=0, say=said.append)), train())
    assert len(said) == 5 and not (tmp_path / "c.pt").exists()
    assert "no checkpoint could be written, training goes on without" in said[0]
    assert "No space left on device" in said[0]


def test_a_training_that_diverges_leaves_no_checkpoint(stopped):
    train, checkpoint, _ = stopped

    class Breaks(Small):
        def forward(self, x):
            score, logits = super().forward(x)
            return score, logits * np.nan

    with pytest.raises(FloatingPointError, match="loss is nan in epoch 5"):
        train(checkpoint, model=Breaks)
    assert not checkpoint.path.exists()


# ----------------------------------------------------------------------------------------- losses, weights


def test_class_weights_are_scikit_learns_balanced_ones_with_neutral_times_six():
    labels = np.repeat(np.arange(5), [5, 10, 2, 3, 80])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=labels)
    weights = class_weights(np.bincount(labels))
    np.testing.assert_allclose(weights[:4], expected[:4])
    assert weights[4] == pytest.approx(6 * expected[4]) == pytest.approx(6 * 100 / (5 * 80))
    assert class_weights(np.bincount(labels), neutral=0)[4] == 0


def test_an_absent_class_gets_weight_zero_and_the_others_are_balanced_among_themselves():
    labels = np.repeat([0, 2, 4], [5, 5, 90])
    expected = compute_class_weight("balanced", classes=np.array([0, 2, 4]), y=labels)
    weights = class_weights(np.bincount(labels, minlength=5), neutral=1)
    assert weights[[1, 3]].tolist() == [0, 0]
    np.testing.assert_allclose(weights[[0, 2, 4]], expected)


def test_cross_entropy_is_averaged_over_frames_as_torch_does_for_one_hot_targets():
    logits, classes = torch.randn(3, 7, 5), torch.randint(0, 5, (3, 7))
    weights = torch.tensor([1.0, 5.0, 9.0, 2.0, 0.3])
    one_hot = nn.functional.one_hot(classes, 5).float()
    reference = nn.CrossEntropyLoss(weight=weights)
    expected = reference(logits.reshape(-1, 5), one_hot.reshape(-1, 5))
    torch.testing.assert_close(weighted_cross_entropy(logits, classes, weights), expected)
    by_weight = reference(logits.reshape(-1, 5), classes.reshape(-1))
    assert abs(by_weight - expected) > 0.1  # class indices would divide by the weights' sum


def test_losses_by_hand():
    # Two frames: class 0 with probability 1/2, weight 3; neutral with probability 1/4, weight 1.
    logits = torch.log(
        torch.tensor([[[0.5, 0.125, 0.125, 0.125, 0.125], [0.1875, 0.1875, 0.1875, 0.1875, 0.25]]])
    )
    loss = weighted_cross_entropy(logits, torch.tensor([[0, 4]]), torch.tensor([3.0, 1, 1, 1, 1]))
    assert loss.item() == pytest.approx((3 * np.log(2) + np.log(4)) / 2)


def test_statistics_come_from_the_training_frames_and_can_be_written_as_json():
    flows, events = toy(subjects=2)
    fitted = fit(Small, flows, events, QUICK, seed=0)
    seen = json.loads(json.dumps(fitted.statistics, allow_nan=False))
    assert seen["half_width"] == 5
    has_event = 0
    for key, flow in flows.items():
        marked = {f for e in events[key] for f in range(e.onset + 1, e.offset)}
        has_event += sum(bool(marked & set(range(s, s + WINDOW))) for s in flow.starts)
    available = sum(len(flow.values) for flow in flows.values())
    assert (seen["windows_with_event"], seen["windows_available"]) == (has_event, available)
    assert seen["windows"] == has_event + min(has_event, available - has_event)
    assert sum(seen["frames"].values()) == seen["windows"] * WINDOW
    assert seen["steps"] == 3 * -(-seen["windows"] // 16)
    expected = class_weights([seen["frames"][name] for name in CLASSES])
    np.testing.assert_allclose(list(seen["class_weights"].values()), expected)
    assert list(fitted.history.columns) == ["epoch", "loss", "spotting", "recognition", "lr"]
    assert fitted.history.epoch.tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        fitted.history.loss, 0.9 * fitted.history.spotting + 0.1 * fitted.history.recognition, rtol=1e-5
    )


def test_feature_synergy_is_neutrals_part_in_the_loss():
    flows, events = toy()
    on = fit(Small, flows, events, QUICK, seed=0)
    off = fit(Small, flows, events, TrainingSettings(**{**vars(QUICK), "feature_synergy": False}), seed=0)
    assert off.statistics["class_weights"]["neutral"] == 0 < on.statistics["class_weights"]["neutral"]
    for name in EMOTIONS:
        assert off.statistics["class_weights"][name] == on.statistics["class_weights"][name]
    flow = flows["s0", "a"]
    neutral_on, neutral_off = (
        (predict(fitted.model, flow)[1].argmax(axis=1) == CLASSES.index("neutral")).mean()
        for fitted in (on, off)
    )
    assert neutral_on > neutral_off + 0.1


def test_a_class_without_frames_is_reported():
    flows, events = toy()
    events = {key: [e for e in found if e.emotion != "surprise"] for key, found in events.items()}
    lines = []
    fitted = fit(Small, flows, events, QUICK, seed=0, log=lines.append)
    assert fitted.statistics["absent"] == ["surprise"]
    assert lines[0] == "no training frame of class surprise: weight 0, cannot be learned"
    assert [line.split(":")[0] for line in lines[1:]] == [f"epoch {i}/3" for i in (1, 2, 3)]


def test_labels_can_be_remade_for_networks_that_answer_by_window():
    flows, events = toy()

    def whole(spot, emotion):
        assert spot.shape == emotion.shape == (len(spot), WINDOW)
        return spot.amax(dim=1, keepdim=True).expand_as(spot), torch.zeros_like(emotion)

    fitted = fit(Small, flows, events, QUICK, seed=0, relabel=whole)
    assert fitted.statistics["absent"] == ["positive", "surprise", "others", "neutral"]


# --------------------------------------------------------------------------------------------- prediction


def test_prediction_stitches_windows_and_leaves_the_model_as_it_was():
    flows, events = toy()
    flow = flows["s0", "a"]
    model = fit(Small, flows, events, QUICK, seed=0).model
    assert not model.training
    score, logits = predict(model, flow)
    assert not model.training
    assert score.shape == (240,) and logits.shape == (240, 5) and score.dtype == np.float32
    assert 0 <= score.min() and score.max() <= 1
    np.testing.assert_allclose(predict(model, flow, batch=3)[0], score, atol=1e-6)
    model.train()
    np.testing.assert_array_equal(predict(model, flow)[0], score)  # evaluation mode: no dropout
    assert model.training
    with torch.no_grad():
        by_window, _ = model.eval()(torch.from_numpy(flow.values))
    released, _ = predict(model, flow, stitch="released")
    np.testing.assert_allclose(released[:WINDOW], by_window[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(score[: WINDOW // 2], by_window[0, : WINDOW // 2].numpy(), atol=1e-6)
    both = (by_window[0, WINDOW // 2 :] + by_window[1, : WINDOW // 2]) / 2
    np.testing.assert_allclose(score[WINDOW // 2 : WINDOW], both.numpy(), atol=1e-6)


# ------------------------------------------------------------------------------------------------- errors


def test_nan_in_flow_is_never_trained_on_nor_predicted_from():
    flows, events = toy()
    flows["s1", "b"].values[2, 1, 3] = np.nan
    with pytest.raises(ValueError, match="flow of video s1 b holds NaN"):
        fit(Small, flows, events, QUICK, seed=0)
    with pytest.raises(ValueError, match="flow holds NaN"):
        predict(Small(), flows["s1", "b"])


def test_a_loss_that_is_not_finite_names_the_epoch():
    flows, events = toy()

    class Breaks(Small):
        calls = 0

        def forward(self, x):
            score, logits = super().forward(x)
            self.calls += 1
            return score, logits * (np.nan if self.calls > per_epoch else 1)

    per_epoch = fit(Small, flows, events, QUICK, seed=0).statistics["steps"] // 3
    with pytest.raises(FloatingPointError, match="loss is nan in epoch 2"):
        fit(Breaks, flows, events, QUICK, seed=0)


def test_what_does_not_fit_together_is_refused_by_name():
    flows, events = toy()
    with pytest.raises(ValueError, match="same videos: s0 a"):
        fit(Small, flows, {k: v for k, v in events.items() if k != ("s0", "a")}, QUICK, seed=0)
    with pytest.raises(ValueError, match="no video to train on"):
        fit(Small, {}, {}, QUICK, seed=0)
    with pytest.raises(
        ValueError, match=r"none of the \d+ training windows holds a frame of a micro-expression"
    ):
        fit(Small, flows, {key: [] for key in events}, QUICK, seed=0)
    late = {**events, ("s0", "a"): [Event(230, 240, emotion="others")]}
    with pytest.raises(ValueError, match="video s0 a: an event ends at frame 240"):
        fit(Small, flows, late, QUICK, seed=0)
    other = {**flows, ("s2", "b"): as_flow(np.zeros((240, CHANNELS)), window=20)}
    with pytest.raises(ValueError, match=r"s2 b have shape \(channels, frames\) \(4, 20\)"):
        fit(Small, other, events, QUICK, seed=0)


def test_a_network_of_other_shapes_is_refused():
    class Column(Small):
        def forward(self, x):
            score, logits = super().forward(x)
            return score.unsqueeze(-1), logits

    with pytest.raises(ValueError, match=r"scores \(16, 16, 1\) and logits \(16, 16, 5\) for \(16, 16\)"):
        fit(Column, *toy(), QUICK, seed=0)


def test_one_epoch_of_one_batch_is_enough_to_run():
    fitted = fit(Small, *toy(subjects=1), TrainingSettings(epochs=1, batch=10**6, device="cpu"), seed=0)
    assert fitted.statistics["steps"] == 1 and np.isfinite(fitted.history.loss).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(epochs=0), "epochs must be a whole number of at least 1, got 0"),
        (dict(batch=2.5), "batch must be a whole number"),
        (dict(lr=0.0), "lr must be above 0"),
        (dict(ratio=-1.0), "ratio must be 0 or more"),
        (dict(augment=(1.1, 0.9)), "augment must be two factors"),
        (dict(device="tpu"), "unknown device 'tpu'; known: auto, cpu, cuda"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_and_auto_is_the_cpu():
    flows, events = toy(subjects=1)
    with pytest.raises(ValueError, match="torch sees no GPU"):
        fit(Small, flows, events, TrainingSettings(device="cuda"), seed=0)
    assert fit(Small, flows, events, TrainingSettings(epochs=1), seed=0).statistics["device"] == "cpu"


# ----------------------------------------------------------------------------------------- flow-magnitude


def test_displacement_undoes_the_windows():
    signal = np.cumsum(np.random.default_rng(0).normal(size=(75, CHANNELS)), axis=0)
    path = displacement(as_flow(signal))
    np.testing.assert_allclose(path, signal - signal[0], atol=1e-5)


def test_flow_magnitude_finds_motion_out_and_back_and_its_direction():
    flows, events = toy(subjects=4)
    train, test = split(flows, "s3")
    settings = fit_flow_magnitude({k: flows[k] for k in train}, {k: events[k] for k in train})
    assert settings.half_width == 5 and settings.f1 > 0.9
    scores = pooled(
        {k: flows[k] for k in test},
        {k: events[k] for k in test},
        lambda flow: predict_flow_magnitude(flow, settings),
    )
    assert scores.spotting.f1 > 0.8 and scores.recognition.uar > 0.8


def test_flow_magnitude_follows_motion_and_not_place():
    # A region that drifts away slowly scores low all the while; one that goes out and back scores high there.
    path = np.zeros((120, CHANNELS))
    path[:, 0] = np.linspace(0, 5, 120)
    path[60:71, 2] = np.sin(np.linspace(0, np.pi, 11))
    for measure in ("range", "return"):
        settings = FlowMagnitude(measure, 5, "max", None, None, 5, 0.0, ((1.0, 0, 0, 0), None, None, None))
        score, logits = predict_flow_magnitude(as_flow(path), settings)
        assert score.shape == (120,) and logits.shape == (120, 5) and score.dtype == np.float32
        assert abs(int(score.argmax()) - 65) <= 5
        assert score[:50].max() < 0.5 * score.max()
        assert (logits[:, 4] < logits[:, :4].min(axis=1)).all()  # never neutral
        assert (logits[:, 1:4] == -1).all()  # classes that training lacks


def test_the_ceiling_and_the_limit_keep_large_motion_from_hiding_small_motion():
    path = np.zeros((200, CHANNELS))
    for onset, height in ((40, 1.0), (120, 6.0)):
        path[onset : onset + 11, 2] = height * np.sin(np.linspace(0, np.pi, 11))

    def apexes(ceiling, limit):
        settings = FlowMagnitude(
            "return", 5, "max", ceiling, limit, 5, 0.0, ((0, 0, 1.0, 0), None, None, None)
        )
        return {e.apex // 20 for e in find_events(*predict_flow_magnitude(as_flow(path), settings), 5)}

    assert apexes(None, None) == {6}
    assert apexes(0.5, None) == {2, 6}
    assert apexes(None, 3.0) == {2}


def test_flow_magnitude_chooses_by_what_it_is_given_and_the_same_each_time():
    flows, events = toy(subjects=2)
    one, two = fit_flow_magnitude(flows, events), fit_flow_magnitude(dict(reversed(flows.items())), events)
    assert one == two
    json.dumps(dataclasses.asdict(one), allow_nan=False)
    found = {key: find_events(*predict_flow_magnitude(flows[key], one), one.half_width) for key in flows}
    assert evaluate(found, events).spotting.f1 == pytest.approx(one.f1)  # as fitted, so predicted
    without = {key: [e for e in found if e.emotion != "others"] for key, found in events.items()}
    assert fit_flow_magnitude(flows, without).centroids[3] is None


def test_flow_magnitude_refuses_bad_flow():
    flows, events = toy(subjects=2)
    settings = fit_flow_magnitude(flows, events)
    with pytest.raises(ValueError, match="fitted on flow of 4 channels, got 2"):
        predict_flow_magnitude(as_flow(np.zeros((60, 2))), settings)
    flows["s1", "a"].values[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="flow of video s1 a holds NaN"):
        fit_flow_magnitude(flows, events)
    with pytest.raises(ValueError, match="flow holds NaN"):
        predict_flow_magnitude(flows["s1", "a"], settings)
    with pytest.raises(ValueError, match="same videos: s1 a"):
        fit_flow_magnitude({k: v for k, v in flows.items() if k != ("s1", "a")}, events)
    with pytest.raises(ValueError, match="no micro-expression"):
        fit_flow_magnitude({("s0", "a"): flows["s0", "a"]}, {("s0", "a"): []})
