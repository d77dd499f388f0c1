"""mamba-ssm's kernel: passed over where it is not there, given its own layout where it is."""

import sys
import types

import pytest
import torch

from metst_lib import ssm
from metst_lib.kernels import mamba_ssm


def random_inputs(batch, length, channels, state):
    g = torch.Generator().manual_seed(0)

    def r(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    sequence, projection = (batch, length, channels), (batch, length, state)
    return {
        "u": r(*sequence),
        "delta": r(*sequence),
        "A": -r(channels, state).abs(),
        "B": r(*projection),
        "C": r(*projection),
        "D": r(channels),
        "z": r(*sequence),
        "delta_bias": r(channels) - 2,
    }


@pytest.fixture
def no_mamba_ssm_cache():
    mamba_ssm.kernel.cache_clear()
    yield
    mamba_ssm.kernel.cache_clear()


def test_without_its_kernel_mamba_ssm_is_passed_over(monkeypatch, no_mamba_ssm_cache):
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)  # makes the import fail
    assert ssm.choose_backend("cuda") == "torch"
    assert "kernel cannot be imported" in ssm.missing_backends("cuda")["mamba_ssm"]


def test_mamba_ssm_serves_float32_on_a_gpu_with_time_last(monkeypatch, no_mamba_ssm_cache):
    def time_last(u, delta, A, B, C, D, z, delta_bias, delta_softplus):
        """A stand-in that takes arguments as mamba-ssm's kernel does: (b, c, l) and (b, n, l)."""
        assert u.is_contiguous() and B.is_contiguous() and delta_softplus is True
        u, delta, B, C, z = (x.mT for x in (u, delta, B, C, z))
        return ssm.selective_scan(u, delta, A, B, C, D, z, delta_bias, True, backend="torch").mT

    monkeypatch.setitem(sys.modules, "selective_scan_cuda", types.ModuleType("selective_scan_cuda"))
    name = "mamba_ssm.ops.selective_scan_interface"
    for part in ("mamba_ssm", "mamba_ssm.ops", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    sys.modules[name].selective_scan_fn = time_last
    assert ssm.choose_backend("cuda") == "mamba_ssm"
    assert ssm.choose_backend("cuda", torch.float64) == "torch"
    assert ssm.choose_backend("cpu") != "mamba_ssm"

    inputs = random_inputs(2, 5, 3, 16)
    y = mamba_ssm.scan(*inputs.values(), True)
    torch.testing.assert_close(y, ssm.selective_scan(**inputs, delta_softplus=True))
