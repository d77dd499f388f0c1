"""What only a GPU can show: the Triton scan against the readable one, layers and training on the device."""

import math

import pytest
import torch
from test_ssm import random_inputs, relative
from test_training import toy

from metst_lib import models, ssm, training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SIZES = [  # (batch, length, channels, state): those of the networks, then odd ones
    (4, 30, 128, 64),
    (2, 50, 256, 64),
    (3, 25, 512, 16),
    (1, 300, 3, 64),
    (3, 15, 33, 100),
    (70, 4, 5, 17),
    (2, 6, 17, 1),
    (1, 1, 1, 5),
]


def moved(inputs, dtype=torch.float32):
    return {k: x.detach().to("cuda", dtype).requires_grad_() for k, x in inputs.items()}


def scanned(inputs, weights, **options):
    """The scan of inputs, and the gradient of sum(weights · y) with respect to each."""
    y = ssm.selective_scan(**inputs, **{"delta_softplus": True, "backend": "triton", **options})
    (y * weights.to(y)).sum().backward()
    return {"y": y.detach(), **{f"d{name}": x.grad for name, x in inputs.items()}}


def assert_equal_to_the_readable_scan(inputs, **options):
    exact = moved(inputs, torch.float64)
    weights = torch.randn(exact["u"].shape, generator=torch.Generator().manual_seed(0)).cuda()
    expected = scanned(exact, weights, **options, backend="torch")
    found = scanned(moved(inputs), weights, **options)
    for name, value in expected.items():
        assert relative(found[name].double().cpu().numpy(), value.cpu().numpy()) < 1e-5, name


@pytest.mark.parametrize("size", SIZES)
def test_triton_equals_the_readable_scan_in_float64(size):
    assert_equal_to_the_readable_scan(random_inputs(3, *size))


@pytest.mark.parametrize("left_out", [("D",), ("z",), ("delta_bias",), ("D", "z", "delta_bias")])
def test_triton_with_parts_left_out(left_out):
    assert_equal_to_the_readable_scan(random_inputs(4, 3, 30, 40, 16, left_out=left_out))


def test_triton_takes_step_sizes_as_they_are_without_softplus():
    inputs = random_inputs(5, 2, 6, 3, 4, left_out=("delta_bias",))
    with torch.no_grad():
        inputs["delta"].abs_()
    assert_equal_to_the_readable_scan(inputs, delta_softplus=False)


def test_triton_takes_a_rate_above_zero():
    inputs = random_inputs(4, 1, 5, 2, 16)
    with torch.no_grad():
        inputs["A"].neg_()
        inputs["delta_bias"].sub_(2)
    assert_equal_to_the_readable_scan(inputs)


@pytest.mark.parametrize("columns", [5, 4])
def test_columns_of_wider_rows_and_odd_strides_of_single_frames_are_read_rightly(columns):
    inputs = moved(random_inputs(6, 3, 1, 40, 16))
    plain = {k: x.detach() for k, x in inputs.items()}
    wide = torch.randn(3, 1, columns + 2 * 16, device="cuda")
    _, left, right = wide.split([columns, 16, 16], dim=2)
    odd = torch.randn(48, device="cuda").as_strided((3, 1, 16), (16, 1000, 1))
    half = torch.randn(3, 1, 80, device="cuda").chunk(2, dim=2)[1]
    for B, C, z in ((left, right, half), (right, odd, half), (odd, odd, plain["z"])):
        given = plain | {"B": B, "C": C, "z": z}
        y = ssm.selective_scan(**given, delta_softplus=True, backend="triton")
        expected = ssm.selective_scan(**given, delta_softplus=True, backend="torch")
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


def test_memory_layout_does_not_matter():
    inputs = moved(random_inputs(6, 2, 5, 40, 16))
    with torch.no_grad():
        strided = {
            "u": torch.stack([inputs["u"]] * 2, dim=3)[..., 0],
            "delta": inputs["delta"].transpose(1, 2).contiguous().transpose(1, 2),
            "A": inputs["A"].T.contiguous().T,
            "D": torch.stack([inputs["D"]] * 3, dim=1)[:, 1],
            "z": inputs["z"].permute(2, 0, 1).contiguous().permute(1, 2, 0),
        }
    assert not any(x.is_contiguous() for x in strided.values())
    expected = ssm.selective_scan(**inputs, delta_softplus=True, backend="triton")
    assert torch.equal(
        ssm.selective_scan(**inputs | strided, delta_softplus=True, backend="triton"), expected
    )


def test_only_the_gradients_asked_for_are_given_and_expanded_ones_are_read_rightly():
    inputs = moved(random_inputs(9, 2, 4, 30, 16))
    wanted = {k: x.detach() for k, x in inputs.items()}
    wanted["B"].requires_grad_()
    for given, backend in ((wanted, "triton"), (inputs, "torch")):
        ssm.selective_scan(**given, delta_softplus=True, backend=backend).sum().backward()
    torch.testing.assert_close(wanted["B"].grad, inputs["B"].grad, rtol=1e-4, atol=1e-5)
    assert all(x.grad is None for k, x in wanted.items() if k != "B")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["u", "delta", "B"])
def test_a_bad_number_shows_from_its_frame_on_and_nowhere_else(bad, name):
    inputs = moved(random_inputs(2, 2, 6, 20, 16))
    options = {"delta_softplus": True, "backend": "triton"}
    clean = ssm.selective_scan(**inputs, **options)
    with torch.no_grad():
        inputs[name][0, 3, 1] = bad
    y = ssm.selective_scan(**inputs, **options)
    assert torch.equal(y[1], clean[1])
    assert torch.equal(y[0, :3], clean[0, :3])
    if name == "delta" and bad == -math.inf:  # a step of zero: the state stands still, which is a number
        assert torch.isfinite(y).all()
    else:
        reached = slice(None) if name == "B" else 1
        assert not torch.isfinite(y[0, 3, reached]).any()
    y.sum().backward()


def test_two_runs_of_the_kernels_are_bit_equal():
    def run():
        inputs = moved(random_inputs(7, 40, 30, 130, 64))
        return scanned(inputs, torch.ones(1))

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_kernels_are_chosen_for_float32_only():
    pytest.importorskip("triton")
    assert ssm.choose_backend("cuda") == ssm.BACKENDS[-1] == "triton"
    assert ssm.choose_backend("cuda", torch.float64) == "torch"


@pytest.mark.parametrize("shape", [(0, 5, 3, 4), (2, 0, 3, 4), (2, 5, 0, 4), (2, 5, 3, 0)])
def test_empty_scans_fall_back(shape):
    inputs = moved(random_inputs(0, *shape))
    assert ssm.selective_scan(**inputs, delta_softplus=True).shape == shape[:3]


def test_mamba_ssm_gives_the_same_where_it_is_built():
    if reason := ssm.missing_backends("cuda").get("mamba_ssm"):
        pytest.skip(reason)
    inputs = random_inputs(3, 4, 30, 128, 64)
    weights = torch.randn(4, 30, 128, generator=torch.Generator().manual_seed(0)).cuda()
    expected = scanned(moved(inputs, torch.float64), weights, backend="torch")
    found = scanned(moved(inputs), weights, backend="mamba_ssm")
    for name, value in expected.items():
        assert relative(found[name].double().cpu().numpy(), value.cpu().numpy()) < 1e-4, name


SMALL = {
    "METST": {"dim": 32, "depth": 3, "d_state": 16},
    "METSTPlus": {"dim": 32, "n_blocks": 2, "depth": 2, "d_state": 16},
    "Transformer": {"dim": 32, "depth": 2},
    "WindowClassifier": {"dim": 16},
}


def trained(network, epochs=3, device="cuda", **size):
    flows, events = toy()
    settings = training.TrainingSettings(epochs=epochs, batch=16, lr=1e-3, ratio=1.0, device=device)
    return training.fit(lambda: models.build(network, 4, **SMALL[network] | size), flows, events, settings, 0)


@pytest.mark.parametrize("network", SMALL)
def test_training_twice_gives_the_same_weights_bit_for_bit(network):
    first, second = trained(network), trained(network)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


@pytest.mark.parametrize("network", ["METST", "METSTPlus"])
def test_recorded_steps_train_as_those_started_one_by_one(monkeypatch, network):
    recorded = trained(network)
    monkeypatch.setattr(training, "_Recorded", training._Backward)
    plain = trained(network)
    assert recorded.history.equals(plain.history)
    for name, value in recorded.model.state_dict().items():
        assert torch.equal(value, plain.model.state_dict()[name]), name


@pytest.mark.parametrize("network", ["METST", "METSTPlus"])
def test_training_on_a_gpu_starts_as_on_the_cpu(network):
    here = trained(network, epochs=1, device="cpu", drop_path=0.0)
    there = trained(network, epochs=1, drop_path=0.0)
    assert here.history.loss[0] == pytest.approx(there.history.loss[0], rel=1e-3)


@pytest.mark.parametrize("network", ["METST", "METSTPlus"])
def test_a_network_gives_the_numbers_of_the_cpu(network):
    torch.manual_seed(0)
    size = {"depth": 2} if network == "METST" else {"n_blocks": 2, "depth": 1}
    model = models.build(network, 10, dim=32, drop_path=0.0, **size)
    flow = torch.randn(3, 10, 30)
    results = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            score, logits = model(flow.to(device))
            (score.sum() + logits.square().sum()).backward()
        results.append([score, logits, *(p.grad for p in model.parameters())])
    for here, there in zip(*results, strict=True):
        assert relative(there.detach().cpu().numpy(), here.detach().cpu().numpy()) < 1e-3
