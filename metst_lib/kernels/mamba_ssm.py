"""The selective scan of the package mamba-ssm, for CUDA tensors: the Mamba-1 kernel."""

import functools
from collections.abc import Callable

from torch import Tensor


@functools.cache
def kernel() -> tuple[Callable | None, str]:
    """mamba-ssm's scan, or None and the reason. Looked for once, at first need: the import takes seconds.

    The kernel is looked for by its own name because releases of mamba-ssm differ: some fail at import
    without it, later ones only when the scan is called.
    """
    try:
        import selective_scan_cuda  # noqa: F401
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except Exception as error:  # a kernel built for another torch fails in more ways than ImportError
        return None, f"mamba-ssm with its Mamba-1 kernel cannot be imported ({error})"
    return selective_scan_fn, ""


def scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> Tensor:
    """As `ssm.selective_scan`; the kernel itself keeps time last, (b, c, l) and (b, n, l)."""
    u, delta, B, C, z = (x if x is None else x.transpose(1, 2).contiguous() for x in (u, delta, B, C, z))
    return kernel()[0](u, delta, A, B, C, D, z, delta_bias, delta_softplus).transpose(1, 2)
