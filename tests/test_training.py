"""Fitting a network: what is learned, from what, and that it can be repeated; predicting with it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from toys import CHANNELS, QUICK, WINDOW, Small, as_flow, equal, toy

from metst_lib.events import CLASSES, EMOTIONS, Event, Prediction
from metst_lib.metrics import evaluate
from metst_lib.spotting import Rule
from metst_lib.training import (
    TrainingSettings,
    check_predictions,
    class_weights,
    fit,
    predict,
    weighted_cross_entropy,
)

# --------------------------------------------------------------------------------------------- learning


def test_a_toy_problem_is_learned_and_a_constant_score_is_not():
    flows, events = toy(subjects=4)
    unseen = {key: flows.pop(key) for key in list(flows) if key[0] == "s3"}
    truth = {key: events.pop(key) for key in unseen}
    fitted = fit(Small, flows, events, replace(QUICK, epochs=40), seed=0)

    def scores(predictor):
        found = {key: Rule(half_width=5).find(predictor(flow)) for key, flow in unseen.items()}
        return evaluate(found, truth)

    learned = scores(fitted.predict)
    assert learned.spotting.f1 > 0.8 and learned.recognition.uar > 0.8
    assert fitted.history.loss.iloc[-1] < fitted.history.loss.iloc[0] / 2

    def constant(flow):
        return Prediction(np.full(flow.n_frames, 0.4), np.tile(np.eye(5)[0], (flow.n_frames, 1)))

    assert scores(constant).spotting.f1 == 0


def test_macro_expressions_are_learned_alike_without_emotions():
    flows, events = toy()
    macro = {key: [Event(e.onset, e.offset, kind="macro") for e in found] for key, found in events.items()}
    fitted = fit(Small, flows, macro, QUICK, seed=0, kind="macro")
    micro = fit(Small, flows, events, QUICK, seed=0)
    assert fitted.statistics["absent"] == list(EMOTIONS)
    assert fitted.statistics["windows_with_event"] == micro.statistics["windows_with_event"]
    with pytest.raises(ValueError, match=r"none of the \d+ training windows holds a frame of a micro-"):
        fit(Small, flows, macro, QUICK, seed=0)


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
    still = replace(QUICK, augment=(1.0, 1.0))
    doubling = replace(QUICK, augment=(2.0, 2.0))
    assert equal(fit(Small, flows, events, doubling, seed=3), fit(Small, twice, events, still, seed=3))
    assert not equal(fit(Small, flows, events, QUICK, seed=3), fit(Small, flows, events, still, seed=3))


def test_the_learning_rate_rises_to_its_highest_and_falls_again():
    flows, events = toy()
    lr = fit(Small, flows, events, TrainingSettings(epochs=10, lr=1e-2, device="cpu"), seed=3).history.lr
    assert lr.iloc[0] == pytest.approx(1e-2 / 25)
    # Three tenths up, seven tenths down.
    assert lr.iloc[3] == lr.max() == pytest.approx(1e-2, rel=0.05)
    assert lr.iloc[:4].is_monotonic_increasing and lr.iloc[3:].is_monotonic_decreasing


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
    off = fit(Small, flows, events, replace(QUICK, feature_synergy=False), seed=0)
    assert off.statistics["class_weights"]["neutral"] == 0 < on.statistics["class_weights"]["neutral"]
    for name in EMOTIONS:
        assert off.statistics["class_weights"][name] == on.statistics["class_weights"][name]
    flow = flows["s0", "a"]
    neutral_on, neutral_off = (
        (fitted.predict(flow).logits.argmax(axis=1) == CLASSES.index("neutral")).mean()
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


def test_macro_expressions_among_the_negatives_change_which_windows_train_and_not_how_many():
    flows, events = toy()
    quick = replace(QUICK, epochs=1, ratio=0.3)
    macros = {key: [*found, Event(100, 120, kind="macro")] for key, found in events.items()}

    def fitted(events, negatives):
        return fit(Small, flows, events, replace(quick, negatives=negatives), seed=0)

    some, hard, none = fitted(macros, "any"), fitted(macros, "macro"), fitted(events, "macro")
    assert some.statistics["steps"] == hard.statistics["steps"]
    assert some.statistics["windows"] == hard.statistics["windows"]
    assert not equal(some, hard)
    assert none.statistics["windows"] == some.statistics["windows"]


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
    seen = predict(model, flow)
    score = seen.score
    assert not model.training
    assert score.shape == (240,) and seen.logits.shape == (240, 5) and score.dtype == np.float32
    assert 0 <= score.min() and score.max() <= 1
    np.testing.assert_allclose(predict(model, flow, batch=3).score, score, atol=1e-6)
    model.train()
    np.testing.assert_array_equal(predict(model, flow).score, score)  # evaluation mode: no dropout
    assert model.training
    with torch.no_grad():
        by_window, _ = model.eval()(torch.from_numpy(flow.values))
    released = predict(model, flow, stitch="released").score
    np.testing.assert_allclose(released[:WINDOW], by_window[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(score[: WINDOW // 2], by_window[0, : WINDOW // 2].numpy(), atol=1e-6)
    both = (by_window[0, WINDOW // 2 :] + by_window[1, : WINDOW // 2]) / 2
    np.testing.assert_allclose(score[WINDOW // 2 : WINDOW], both.numpy(), atol=1e-6)


def test_what_was_fitted_predicts_with_the_stitching_that_it_was_given():
    flows, events = toy(subjects=2)
    fitted = fit(Small, flows, events, QUICK, seed=0, stitch="released")
    flow = flows["s0", "a"]
    expected = predict(fitted.model, flow, "released")
    assert np.array_equal(fitted.predict(flow).score, expected.score)
    assert np.array_equal(fitted.predict(flow).logits, expected.logits)
    assert not np.array_equal(expected.score, predict(fitted.model, flow).score)


def seen(score, logit=0.0):
    return Prediction(np.asarray(score, np.float32), np.full((len(score), 5), logit, np.float32))


def test_predictions_that_are_not_finite_are_refused_by_the_videos_name():
    fine = seen([0.1, 0.9])
    check_predictions({("s0", "a"): fine}, epochs=3)
    for bad in (seen([0.1, np.nan]), seen([np.inf, 0.2]), seen([0.1, 0.9], logit=np.nan)):
        with pytest.raises(FloatingPointError, match="scores of video s1 b are NaN or infinite"):
            check_predictions({("s0", "a"): fine, ("s1", "b"): bad}, epochs=0)


def test_scores_that_are_flat_everywhere_are_those_of_a_network_that_has_not_learned():
    flat = seen([0.25, 0.25, 0.25])
    with pytest.raises(FloatingPointError, match=r"0\.250000 in every frame of every video after epoch 7"):
        check_predictions({("s0", "a"): flat, ("s0", "b"): flat}, epochs=7)
    check_predictions({("s0", "a"): flat, ("s0", "b"): seen([0.2, 0.3])}, epochs=7)  # a still video
    check_predictions({("s0", "a"): flat}, epochs=0)  # nothing was trained: there may be nothing to see
    check_predictions({}, epochs=7)


# ------------------------------------------------------------------------------------------------- errors


def test_nan_in_flow_is_never_trained_on_nor_predicted_from():
    flows, events = toy()
    flows["s1", "b"].values[2, 1, 3] = np.nan
    with pytest.raises(ValueError, match="flow of video s1 b holds NaN"):
        fit(Small, flows, events, QUICK, seed=0)
    with pytest.raises(ValueError, match="the flow holds NaN"):
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
        (dict(negatives="blinks"), "unknown negatives 'blinks'; known: any, macro"),
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
