"""The scan against a plain float64 loop, on every back end; the layer against its formula."""

import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metst_lib import ssm
from metst_lib.kernels import scan

torch.set_num_threads(1)
# (back end, recompute): each way to the same numbers that CPU tensors can take here.
WAYS = [(name, False) for name in ssm.available_backends()] + [("torch", True)]
ARGUMENTS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


def random_inputs(seed, batch, length, channels, state, dtype=torch.float64, left_out=()):
    """Every argument of the scan, rates and steps as a trained layer has them."""
    rng = np.random.default_rng(seed)
    arrays = {
        "u": rng.standard_normal((batch, length, channels)),
        "delta": rng.standard_normal((batch, length, channels)),
        "A": -rng.uniform(0.1, max(state, 1), (channels, state)),
        "B": rng.standard_normal((batch, length, state)),
        "C": rng.standard_normal((batch, length, state)),
        "D": rng.standard_normal(channels),
        "z": rng.standard_normal((batch, length, channels)),
        "delta_bias": rng.standard_normal(channels) - 2,
    }
    return {k: torch.tensor(v, dtype=dtype).requires_grad_() for k, v in arrays.items() if k not in left_out}


def loop(u, delta, A, B, C, D=None, z=None, delta_bias=None, softplus=True):
    """Eq. 2 in numpy, frame by frame. Axes before (batch, …) are looped over by broadcasting."""
    if delta_bias is not None:
        delta = delta + delta_bias[..., None, None, :]
    if softplus:
        delta = np.log1p(np.exp(delta))
    A = A[..., None, :, :]
    h = 0
    y = []
    for t in range(u.shape[-2]):
        step = delta[..., t, :, None]
        h = np.exp(step * A) * h + step * u[..., t, :, None] * B[..., t, None, :]
        y.append(np.sum(h * C[..., t, None, :], axis=-1))
    y = np.stack(y, axis=-2) if y else np.zeros_like(u)
    if D is not None:
        y = y + D[..., None, None, :] * u
    if z is not None:
        y = y * z / (1 + np.exp(-z))
    return y


def loop_gradients(inputs, weights, softplus=True):
    """d sum(weights · y) / d input of the loop above, by a complex step: exact to rounding."""
    arrays = {name: x.detach().double().numpy() for name, x in inputs.items()}
    result = {}
    for name, x in arrays.items():
        steps = np.eye(x.size).reshape(x.size, *x.shape) * 1e-30j
        lifted = {k: (v + steps if k == name else v[None]) for k, v in arrays.items()}
        y = loop(**lifted, softplus=softplus)
        result[name] = (np.sum(weights * y, axis=(-3, -2, -1)).imag / 1e-30).reshape(x.shape)
    return result


def check(inputs, way, tolerance, softplus=True):
    backend, recompute = way
    y = ssm.selective_scan(**inputs, delta_softplus=softplus, backend=backend, recompute=recompute)
    expected = loop(**{k: x.detach().double().numpy() for k, x in inputs.items()}, softplus=softplus)
    assert y.dtype == inputs["u"].dtype
    # In these tiny scans a value can be a small difference of large terms: judged by the size of the terms.
    sizes = {k: x.detach().double() for k, x in inputs.items()}
    sizes |= {k: sizes[k].abs() for k in ("u", "B", "C", "D") if k in sizes}
    largest = np.abs(loop(**{k: x.numpy() for k, x in sizes.items()}, softplus=softplus)).max(initial=0)
    assert np.abs(y.detach().numpy() - expected).max(initial=0) <= tolerance * largest
    weights = np.random.default_rng(1).standard_normal(y.shape)
    (y * torch.tensor(weights, dtype=y.dtype)).sum().backward()
    expected = loop_gradients(inputs, weights, softplus)
    # So can a gradient: judged by the largest of all.
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert np.abs(inputs[name].grad.numpy() - gradient).max() < tolerance * largest, f"gradient of {name}"


def relative(found, expected):
    """Largest difference over the largest expected value."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-300)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(1, 3),
    length=st.integers(1, 9),
    channels=st.integers(1, 5),
    state=st.sampled_from([1, 2, 3, 5, 8, 16, 17, 64]),
    left_out=st.sets(st.sampled_from(["D", "z", "delta_bias"])),
)
def test_scan_and_gradients_equal_a_float64_loop(way, seed, batch, length, channels, state, left_out):
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        check(random_inputs(seed, batch, length, channels, state, dtype, left_out), way, tolerance)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(4, 30, 128, 64), (2, 50, 40, 16), (1, 300, 3, 64), (3, 15, 33, 100)])
def test_scan_and_gradients_at_the_sizes_of_the_networks(way, shape):
    """Too large for the complex step: gradients are held against the readable scan in float64."""
    exact = random_inputs(3, *shape)
    expected = ssm.selective_scan(**exact, delta_softplus=True, backend="torch")
    assert (
        relative(expected.detach().numpy(), loop(**{k: x.detach().numpy() for k, x in exact.items()})) < 1e-10
    )
    weights = torch.randn(shape[:3], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (expected * weights).sum().backward()
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        inputs = random_inputs(3, *shape, dtype)
        y = ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1])
        assert relative(y.detach().double().numpy(), expected.detach().numpy()) < tolerance
        (y * weights.to(dtype)).sum().backward()
        for name, x in inputs.items():
            assert relative(x.grad.double().numpy(), exact[name].grad.numpy()) < tolerance, name


@pytest.mark.parametrize("way", WAYS)
def test_scan_takes_step_sizes_as_they_are_without_softplus(way):
    inputs = random_inputs(5, 2, 6, 3, 4, left_out=("delta_bias",))
    with torch.no_grad():
        inputs["delta"].abs_()
    check(inputs, way, 1e-10, softplus=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", [3, 16])
def test_gradcheck(way, state):
    inputs = random_inputs(0, 2, 4, 3, state)
    backend, recompute = way

    def scan(*arguments):
        return ssm.selective_scan(*arguments, True, backend, recompute)

    assert torch.autograd.gradcheck(scan, [inputs[name] for name in ARGUMENTS])


@pytest.mark.parametrize("way", WAYS)
def test_a_scan_worked_by_hand(way):
    # One channel, one state, A = −ln 2, Δ = 1: the state halves each frame and takes 1 · B · u in.
    column = torch.tensor([4.0, 0.0, 2.0]).reshape(1, 3, 1)
    ones = torch.ones(1, 3, 1)
    A = torch.full((1, 1), -math.log(2))
    y = ssm.selective_scan(column, ones, A, ones, 3 * ones, torch.ones(1), backend=way[0], recompute=way[1])
    # h = 4, 2, 3; y = 3 h + u
    torch.testing.assert_close(y.flatten(), torch.tensor([16.0, 6.0, 11.0]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(0, 5, 3, 4), (2, 0, 3, 4), (2, 5, 0, 4), (2, 5, 3, 0), (0, 0, 3, 64)])
def test_empty_scans_give_empty_or_stateless_results(way, shape):
    inputs = random_inputs(0, *shape)
    y = ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1])
    silu = torch.nn.functional.silu(inputs["z"])
    expected = inputs["D"] * inputs["u"] * silu if shape[3] == 0 else torch.zeros(shape[:3])
    torch.testing.assert_close(y, expected, check_dtype=False)
    y.sum().backward()
    assert all(x.grad is None or torch.isfinite(x.grad).all() for x in inputs.values())
    assert inputs["u"].grad.shape == shape[:3]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["u", "delta", "B"])
def test_a_bad_number_shows_from_its_frame_on_and_nowhere_else(way, bad, name):
    inputs = random_inputs(2, 2, 6, 3, 16, torch.float32)
    clean = ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1])
    with torch.no_grad():
        inputs[name][0, 3, 1] = bad
    y = ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1])
    assert torch.equal(y[1], clean[1])
    assert torch.equal(y[0, :3], clean[0, :3])
    if name == "delta" and bad == -math.inf:  # a step of zero: the state stands still, which is a number
        assert torch.isfinite(y).all()
    else:
        reached = slice(None) if name == "B" else 1  # B serves all channels, u and delta one
        assert not torch.isfinite(y[0, 3, reached]).any()
    if name != "B":
        assert torch.equal(y[0, :, 0], clean[0, :, 0])
    y.sum().backward()


@pytest.mark.parametrize("way", WAYS)
def test_a_rate_above_zero_grows_as_in_the_loop(way):
    inputs = random_inputs(4, 1, 5, 2, 16)
    with torch.no_grad():
        inputs["A"].neg_()
        inputs["delta_bias"].sub_(2)
    check(inputs, way, 1e-10)


@pytest.mark.parametrize("way", WAYS)
def test_memory_layout_does_not_matter(way):
    inputs = random_inputs(6, 2, 5, 4, 16)
    expected = ssm.selective_scan(**inputs, delta_softplus=True, backend="torch")
    with torch.no_grad():
        strided = {
            "u": torch.stack([inputs["u"]] * 2, dim=3)[..., 0],
            "delta": inputs["delta"].transpose(1, 2).contiguous().transpose(1, 2),
            "A": inputs["A"].T.contiguous().T,
            "B": torch.cat([inputs["B"]] * 2, dim=2)[..., :16],
            "C": torch.flip(torch.flip(inputs["C"], (1,)).clone(), (1,)),
            "D": torch.stack([inputs["D"]] * 3, dim=1)[:, 1],
            "z": inputs["z"].permute(2, 0, 1).contiguous().permute(1, 2, 0),
            "delta_bias": inputs["delta_bias"],
        }
    assert not all(x.is_contiguous() for x in strided.values())
    leaves = {k: x.detach().requires_grad_() for k, x in strided.items()}
    y = ssm.selective_scan(**leaves, delta_softplus=True, backend=way[0], recompute=way[1])
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    y.pow(2).sum().backward()
    expected.pow(2).sum().backward()
    for name, x in leaves.items():
        torch.testing.assert_close(x.grad, inputs[name].grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(3, 1), (1, 4), (1, 1), (2, 3)])
def test_columns_of_wider_rows_and_odd_strides_of_single_frames_are_read_rightly(way, shape):
    batch, length = shape
    wide = torch.randn(batch, length, 5 + 2 * 16, generator=torch.Generator().manual_seed(0))
    inputs = random_inputs(6, batch, length, 4, 16, torch.float32, left_out=("B", "C"))
    _, left, right = wide.split([5, 16, 16], dim=2)
    strides = (length * 16, 1000 if length == 1 else 16, 1)
    odd = torch.randn(batch * length * 16).as_strided((batch, length, 16), strides)
    for B, C in ((left, right), (right, odd), (odd, odd)):
        y = ssm.selective_scan(**inputs, B=B, C=C, delta_softplus=True, backend=way[0], recompute=way[1])
        arrays = {k: x.detach().double().numpy() for k, x in inputs.items()}
        expected = loop(**arrays, B=B.double().numpy(), C=C.double().numpy())
        assert relative(y.detach().numpy(), expected) < 1e-5


@pytest.mark.parametrize("way", WAYS)
def test_an_expanded_gradient_and_an_expanded_input_are_read_rightly(way):
    inputs = random_inputs(8, 1, 4, 3, 16)
    shared = {k: x.expand(3, -1, -1) if x.dim() == 3 else x for k, x in inputs.items()}
    ssm.selective_scan(**shared, delta_softplus=True, backend=way[0], recompute=way[1]).sum().backward()
    three = {k: x.grad.clone() for k, x in inputs.items()}
    for x in inputs.values():
        x.grad = None
    ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1]).sum().backward()
    for name, x in inputs.items():
        torch.testing.assert_close(three[name], 3 * x.grad)


@pytest.mark.parametrize("way", WAYS)
def test_only_the_gradients_asked_for_are_given(way):
    inputs = random_inputs(9, 2, 4, 3, 16)
    wanted = {k: x.detach() for k, x in inputs.items()}
    wanted["B"].requires_grad_()
    ssm.selective_scan(**wanted, delta_softplus=True, backend=way[0], recompute=way[1]).sum().backward()
    ssm.selective_scan(**inputs, delta_softplus=True, backend="torch").sum().backward()
    torch.testing.assert_close(wanted["B"].grad, inputs["B"].grad)
    assert all(x.grad is None for k, x in wanted.items() if k != "B")


@pytest.mark.parametrize("way", WAYS)
def test_two_runs_are_bit_equal(way):
    def run():
        inputs = random_inputs(7, 6, 30, 20, 64, torch.float32)
        y = ssm.selective_scan(**inputs, delta_softplus=True, backend=way[0], recompute=way[1])
        y.square().sum().backward()
        return [y.detach(), *(x.grad for x in inputs.values())]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": torch.zeros(2, 5)}, r"u must have shape \(batch, length, channels\), not \(2, 5\)"),
        ({"A": torch.zeros(4, 16)}, r"A must have shape \(3, state\), not \(4, 16\)"),
        ({"delta": torch.zeros(2, 4, 3)}, r"delta must have shape \(2, 5, 3\), not \(2, 4, 3\)"),
        ({"B": torch.zeros(2, 16, 5)}, r"B must have shape \(2, 5, 16\), not \(2, 16, 5\)"),
        ({"C": torch.zeros(2, 5, 15)}, r"C must have shape \(2, 5, 16\), not \(2, 5, 15\)"),
        ({"D": torch.zeros(1)}, r"D must have shape \(3,\), not \(1,\)"),
        ({"z": torch.zeros(1, 5, 3)}, r"z must have shape \(2, 5, 3\), not \(1, 5, 3\)"),
        ({"delta_bias": torch.zeros(5)}, r"delta_bias must have shape \(3,\), not \(5,\)"),
    ],
)
def test_wrong_shapes_are_named(way, change, message):
    inputs = random_inputs(0, 2, 5, 3, 16, torch.float32) | change
    with pytest.raises(ValueError, match=message):
        ssm.selective_scan(**inputs, backend=way[0], recompute=way[1])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64])
def test_mixed_and_unknown_types_are_named(way, dtype):
    inputs = random_inputs(0, 2, 5, 3, 16, torch.float32)
    inputs["C"] = inputs["C"].detach().to(dtype)
    with pytest.raises(TypeError, match=f"all float64; got .*u torch.float32.*C {dtype}"):
        ssm.selective_scan(**inputs, backend=way[0], recompute=way[1])
    with pytest.raises(TypeError, match=r"u torch\.bfloat16"):
        ssm.selective_scan(**{k: x.bfloat16() for k, x in inputs.items()}, backend=way[0])


def test_tensors_on_two_devices_are_named():
    inputs = random_inputs(0, 2, 5, 3, 16) | {"A": torch.zeros(3, 16, dtype=torch.float64, device="meta")}
    with pytest.raises(ValueError, match="one device; got u on cpu, A on meta"):
        ssm.selective_scan(**inputs)


def test_unknown_and_absent_back_ends_are_named():
    inputs = random_inputs(0, 2, 5, 3, 16)
    with pytest.raises(ValueError, match=r"unknown scan back end 'numba'; known: auto, torch"):
        ssm.selective_scan(**inputs, backend="numba")
    with pytest.raises(ValueError, match=r"'mamba_ssm' cannot run here: .*CUDA tensors, these are on cpu"):
        ssm.selective_scan(**inputs, backend="mamba_ssm")


@pytest.mark.parametrize("compiled", [True, False])
def test_the_back_end_in_use_is_said_once(monkeypatch, caplog, compiled):
    reason = "" if compiled else "no compiler was there"
    monkeypatch.setattr(scan, "library", lambda: (None, reason))
    monkeypatch.setattr(scan, "_scan", lambda *arguments: None)
    ssm._announce.cache_clear()
    inputs = random_inputs(0, 1, 2, 3, 4)
    with caplog.at_level(logging.INFO, logger="metst_lib.ssm"):
        ssm.selective_scan(**inputs)
        ssm.selective_scan(**inputs)
    said = "c" if compiled else "torch, which is slower, since no compiler was there"
    assert [r.getMessage() for r in caplog.records] == [f"selective scan on cpu: {said}"]
    assert caplog.records[0].levelname == ("INFO" if compiled else "WARNING")
    assert ssm.choose_backend("cpu") == ("c" if compiled else "torch") == ssm.available_backends()[-1]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("state", [5, 16, 64])
def test_the_c_scan_is_right_with_every_set_of_instructions(monkeypatch, level, state):
    monkeypatch.setattr(scan, "LEVEL", level)
    check(random_inputs(11, 2, 7, 3, state), (ssm.available_backends()[-1], False), 1e-10)
    check(random_inputs(11, 2, 7, 3, state, torch.float32), (ssm.available_backends()[-1], False), 1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu():
    here = random_inputs(12, 2, 30, 8, 64, torch.float32)
    there = {k: x.detach().cuda().requires_grad_() for k, x in here.items()}
    results = []
    for inputs in (here, there):
        y = ssm.selective_scan(**inputs, delta_softplus=True)
        y.square().sum().backward()
        results.append([y.detach().cpu(), *(x.grad.cpu() for x in inputs.values())])
    for a, b in zip(*results, strict=True):
        assert relative(b.numpy(), a.numpy()) < 1e-4


def test_recompute_keeps_inputs_only():
    kept = {}
    for recompute in (False, True):
        inputs = random_inputs(0, 4, 20, 8, 16, torch.float32)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, s=sizes: s.append(x.numel()) or x, lambda x: x
        ):
            ssm.selective_scan(**inputs, delta_softplus=True, backend="torch", recompute=recompute)
        kept[recompute] = sum(sizes)
    assert kept[False] > 4 * 20 * 8 * 16  # at least one state per frame
    assert kept[True] < 4 * 20 * 8 * 16


def reference_layer(layer, x):
    """The Mamba layer from its formula, by torch's own convolution and the numpy loop."""
    p = {k: v.detach() for k, v in layer.state_dict().items()}
    channels, n = p["A_log"].shape
    xz = torch.einsum("bld,ed->ble", x, p["in_proj.weight"])
    u, z = xz[..., :channels], xz[..., channels:]
    k = p["conv1d.weight"].shape[2]
    u = torch.nn.functional.conv1d(u.mT, p["conv1d.weight"], p["conv1d.bias"], padding=k - 1, groups=channels)
    u = u[..., : x.shape[1]].mT
    u = u * torch.sigmoid(u)
    projected = torch.einsum("blc,ec->ble", u, p["x_proj.weight"])
    rank = projected.shape[2] - 2 * n
    delta = torch.einsum("blr,cr->blc", projected[..., :rank], p["dt_proj.weight"])
    parts = (u, delta, -p["A_log"].exp(), projected[..., rank : rank + n], projected[..., rank + n :])
    y = loop(*(v.numpy() for v in (*parts, p["D"], z, p["dt_proj.bias"])))
    return torch.einsum("blc,dc->bld", torch.tensor(y), p["out_proj.weight"])


@pytest.mark.parametrize("size", [(8, 16, 4, 2), (40, 5, 3, 1), (17, 64, 1, 3)])
@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_layer_equals_its_formula(size, length):
    torch.manual_seed(0)
    layer = ssm.Mamba(*size).double()
    x = torch.randn(3, length, size[0], dtype=torch.float64)
    torch.testing.assert_close(layer(x).detach(), reference_layer(layer, x), rtol=1e-10, atol=1e-10)


@pytest.mark.skipif("c" not in ssm.available_backends(), reason="installed without a C compiler")
def test_layer_in_c_equals_the_layer_in_torch_on_random_shapes():
    """One step for autograd, written by hand: values and every gradient, and a gradient check."""
    rng = np.random.default_rng(0)
    for seed in range(12):
        d_model, d_state, d_conv, expand = (int(rng.integers(1, top)) for top in (20, 20, 6, 4))
        batch, length = int(rng.integers(1, 4)), int(rng.integers(1, 12))
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            results = []
            for backend in ("torch", "c"):
                torch.manual_seed(seed)
                layer = ssm.Mamba(d_model, d_state, d_conv, expand, backend=backend).to(dtype)
                x = torch.randn(batch, length, d_model).to(dtype).requires_grad_()
                y = layer(x)
                y.square().sum().backward()
                results.append([y.detach(), x.grad, *(p.grad for p in layer.parameters())])
            largest = max(expected.abs().max() for expected in results[0][1:])
            for expected, found in zip(*results, strict=True):
                assert (found - expected).abs().max() <= tolerance * max(largest, expected.abs().max())
    layer = ssm.Mamba(3, 2, backend="c").double()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_in_a_layer_shows_from_its_frame_on(bad):
    for backend in ssm.available_backends():
        torch.manual_seed(0)
        layer = ssm.Mamba(4, 3, backend=backend)
        x = torch.randn(2, 9, 4)
        x[1, 5, 2] = bad
        finite = torch.isfinite(layer(x)).all(dim=2)
        assert finite[0].all() and finite[1, :5].all() and not finite[1, 5:].any(), backend


def test_layer_has_the_parameters_of_mamba_ssm():
    assert {k: tuple(v.shape) for k, v in ssm.Mamba(64, d_state=64).state_dict().items()} == {
        "A_log": (128, 64),
        "D": (128,),
        "in_proj.weight": (256, 64),
        "conv1d.weight": (128, 1, 4),
        "conv1d.bias": (128,),
        "x_proj.weight": (132, 128),
        "dt_proj.weight": (128, 4),
        "dt_proj.bias": (128,),
        "out_proj.weight": (64, 128),
    }
    assert ssm.Mamba(65).x_proj.weight.shape == (5 + 2 * 16, 130)  # rank: 65 / 16, rounded up


def test_layer_starts_as_mamba_ssm_does():
    torch.manual_seed(0)
    layer = ssm.Mamba(512, d_state=16)
    steps = torch.nn.functional.softplus(layer.dt_proj.bias.detach().double())
    assert 1e-3 * 0.999 <= steps.min() < 1.1e-3
    assert 0.09 < steps.max() <= 0.1 * 1.001
    # log-uniform: the median is the geometric mean, and a quarter lies below the quarter point
    assert steps.log().mean() == pytest.approx(math.log(1e-2), abs=0.15)
    assert (steps < 10**-2.5).double().mean() == pytest.approx(0.25, abs=0.05)
    assert layer.dt_proj.weight.detach().abs().max() == pytest.approx(32**-0.5, rel=0.01)
    rates = torch.arange(1, 17).float().expand(1024, 16)
    torch.testing.assert_close(layer.A_log.exp(), rates)
    assert torch.equal(layer.D, torch.ones(1024))
    assert layer.in_proj.bias is None and layer.out_proj.bias is None and layer.x_proj.bias is None


def test_layer_sees_the_past_only():
    torch.manual_seed(0)
    layer = ssm.Mamba(8, d_state=4).double()
    x = torch.randn(2, 10, 8, dtype=torch.float64)
    later = x.clone()
    later[:, 6:] += 1
    assert torch.equal(layer(x)[:, :6], layer(later)[:, :6])
    assert not torch.isclose(layer(x)[:, 6], layer(later)[:, 6]).any()


def test_layer_gives_every_parameter_a_gradient_on_each_way():
    gradients = []
    for backend, recompute in WAYS:
        torch.manual_seed(0)
        layer = ssm.Mamba(8, d_state=16, backend=backend, recompute=recompute).double()
        layer(torch.randn(2, 7, 8, dtype=torch.float64)).square().sum().backward()
        gradients.append({k: p.grad for k, p in layer.named_parameters()})
    assert all(g.abs().sum() > 0 for g in gradients[0].values())
    for other in gradients[1:]:
        for name, gradient in gradients[0].items():
            torch.testing.assert_close(other[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 7, 8), (2, 0, 8)])
def test_layer_takes_empty_batches_and_empty_windows(shape):
    assert ssm.Mamba(8)(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(2, 8, 7), (7, 8)])
def test_layer_names_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(batch, length, 8\)"):
        ssm.Mamba(8)(torch.zeros(shape))
