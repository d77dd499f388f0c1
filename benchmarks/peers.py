"""The scans that are compared, all called alike: u, delta, A, B, C → y, channels last.

"readable" and "fast" are `metst_lib.ssm`'s; "mambapy" and "transformers" (its path without CUDA kernels) are
other projects', installed by `make bench` and left out where they are not there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F

from metst_lib.ssm import available_backends, selective_scan

Scan = Callable[..., torch.Tensor]


OURS = {"readable": "torch", "fast": "c"}
"""Names of ours here → back ends of `selective_scan`."""


def _mambapy(block, u, delta, A, B, C):
    nothing = u.new_zeros(u.shape[2])  # its D cannot be left out
    return block.selective_scan(None, u, delta, A, B, C, nothing)


def _transformers(scan, u, delta, A, B, C):
    u, delta, B, C = (x.transpose(1, 2) for x in (u, delta, B, C))  # its layout: time last
    return scan(u, delta, A, B, C).transpose(1, 2)


def scans() -> dict[str, Scan]:
    """The scans that are there, the slowest first."""
    found: dict[str, Scan] = {}
    try:
        from transformers.models.mamba.modeling_mamba import mamba_selective_scan

        found["transformers"] = functools.partial(_transformers, mamba_selective_scan)
    except ImportError:
        pass
    try:
        from mambapy.mamba import MambaBlock

        found["mambapy"] = functools.partial(_mambapy, MambaBlock)
    except ImportError:
        pass
    there = available_backends()
    ours = {name: backend for name, backend in OURS.items() if backend in there}
    return found | {
        name: functools.partial(selective_scan, backend=backend) for name, backend in ours.items()
    }


def layer_scan(name: str) -> Scan:
    """A scan in the place of `ssm.selective_scan`: with bias, softplus, skip and gate as there."""
    scan = scans()[name]

    def whole(u, delta, A, B, C, D, z, *, delta_bias, delta_softplus, **options):
        if name in OURS:
            return scan(u, delta, A, B, C, D, z, delta_bias=delta_bias, delta_softplus=delta_softplus)
        return (scan(u, F.softplus(delta + delta_bias), A, B, C) + D * u) * F.silu(z)

    return whole
