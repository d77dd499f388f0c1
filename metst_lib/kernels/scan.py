"""The selective scan and the inside of a Mamba layer in C (`scan.c`), on one thread, with their gradients.

`ssm.py` says what is computed; here torch's tensors are handed to the compiled file by ctypes. Shapes are
those of `ssm.py`: b batch, l length (frames), c channels, n state size, r rank of the step sizes' projection,
k taps of the convolution. All tensors of a call are on the CPU, and all float32 or all float64.
"""

import ctypes
import functools
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

#: What `scan_version` of a compiled `scan.c` must say: an older build would misread its arguments.
VERSION = 3

#: Best set of instructions that the scan may use: 0 plain, 1 AVX2, 2 AVX-512; never more than there are.
LEVEL = 2

_INPUTS = ("u", "delta", "A", "B", "C", "D", "z", "bias")
_Tensors = dict[str, Tensor | None]


class Scan(torch.autograd.Function):
    """`ssm.selective_scan`; it never keeps the states of all channels and frames."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, bias, softplus):
        u, delta, A, D, bias = (x if x is None else x.contiguous() for x in (u, delta, A, D, bias))
        (B, C), (z,) = _rows(B, C), _rows(z)
        inputs = (u, delta, A, B, C, D, z, bias)
        out, *kept = _forward(inputs, softplus)
        ctx.save_for_backward(*inputs, *kept)
        ctx.softplus = softplus
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dout):
        gradients = [x if x is None else _zeros(x) for x in ctx.saved_tensors[: len(_INPUTS)]]
        _backward(ctx.saved_tensors, ctx.softplus, dout, gradients)
        return *gradients, None


class Layer(torch.autograd.Function):
    """What lies between the two outer projections of a Mamba layer, in one step for autograd.

    `ssm.Mamba.forward` says the same in torch's words. Here nothing is copied between the parts, and
    gradients of parts that are columns of one tensor are written there at once.
    """

    @staticmethod
    def forward(ctx, uz, conv_weight, conv_bias, x_weight, dt_weight, dt_bias, A_log, D):
        channels, rank = dt_weight.shape
        x, z = uz.split(channels, dim=2)
        taps = conv_weight[:, 0].T.contiguous()  # (k, c)
        u = _zeros(x)
        _convolve("forward", x, taps, conv_bias, out=u, work=u.new_empty(channels))
        low = F.linear(u, x_weight)  # (b, l, r + 2n)
        delta = F.linear(low[..., :rank], dt_weight)
        A = -torch.exp(A_log)
        B, C = low[..., rank:].chunk(2, dim=2)
        out, *kept = _forward((u, delta, A, B, C, D, z, dt_bias), softplus=True)
        ctx.save_for_backward(uz, low, taps, conv_bias, x_weight, dt_weight, u, delta, A, D, dt_bias, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dout):
        uz, low, taps, conv_bias, x_weight, dt_weight, u, delta, A, D, bias, *kept = ctx.saved_tensors
        (_, length, channels), rank = u.shape, dt_weight.shape[1]
        duz, dlow = torch.empty_like(uz), torch.empty_like(low)
        (x, z), (dx, dz) = uz.split(channels, dim=2), duz.split(channels, dim=2)
        (B, C), (dB, dC) = low[..., rank:].chunk(2, dim=2), dlow[..., rank:].chunk(2, dim=2)
        du, ddelta, dA, dD, dbias = (_zeros(part) for part in (u, delta, A, D, bias))
        gradients = (du, ddelta, dA, dB, dC, dD, dz, dbias)
        _backward((u, delta, A, B, C, D, z, bias, *kept), True, dout, gradients)
        flat_low, flat_dlow, flat_ddelta = (part.flatten(0, 1) for part in (low, dlow, ddelta))
        torch.mm(flat_ddelta, dt_weight, out=flat_dlow[:, :rank])
        du.view(-1, channels).addmm_(flat_dlow, x_weight)
        dtaps, dconv_bias = _zeros(taps), _zeros(conv_bias)
        work = u.new_empty((length + 1) * channels)
        results = {"dout": du, "dx": dx, "dweight": dtaps, "dbias": dconv_bias, "work": work}
        _convolve("backward", x, taps, conv_bias, **results)
        dx_weight, ddt_weight = flat_dlow.T @ u.flatten(0, 1), flat_ddelta.T @ flat_low[:, :rank]
        return duz, dtaps.T[:, None], dconv_bias, dx_weight, ddt_weight, dbias, dA * A, dD


def _zeros(x: Tensor) -> Tensor:
    return torch.zeros_like(x, memory_format=torch.contiguous_format)


def _rows(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Tensors (b, l, n) as they are where they are columns of rows of one width, else copies."""
    row = next((x.stride(1) for x in tensors if x is not None), 0)
    if all(x is None or x.stride() == (x.shape[1] * row, row, 1) for x in tensors):
        return tensors
    # clone, as contiguous() would leave the odd stride of a single frame
    return tuple(x if x is None else x.clone(memory_format=torch.contiguous_format) for x in tensors)


def _forward(inputs, softplus: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """out, and what the backward pass wants beside the inputs: step sizes, and y before the gate.

    inputs: in the order of `_INPUTS`.
    """
    named = dict(zip(_INPUTS, inputs, strict=True))
    out = torch.empty_like(named["u"])
    step = torch.empty_like(out) if softplus or named["bias"] is not None else None
    y = None if named["z"] is None else torch.empty_like(out)
    _scan("forward", {**named, "step": step, "y": y, "out": out}, softplus)
    return out, step, y


def _backward(kept, softplus: bool, dout: Tensor, gradients) -> None:
    """Fill the gradients of the inputs; those of D and bias come as zeros. kept: inputs, step sizes, y."""
    tensors = dict(zip((*_INPUTS, "step", "y"), kept, strict=True))
    tensors |= {f"d{name}": gradient for name, gradient in zip(_INPUTS, gradients, strict=True)}
    _scan("backward", {**tensors, "dout": dout.contiguous()}, softplus)


def _scan(direction: str, tensors: _Tensors, softplus: bool) -> None:
    wide = (name for name in ("B", "z", "dB", "dz") if tensors.get(name) is not None)
    rows = {f"row_{name}": tensors[name].stride(1) for name in wide}
    batch, length, channels = tensors["u"].shape
    states, lanes = tensors["A"].shape[1], 64 // tensors["u"].element_size()
    sizes = {"batch": batch, "length": length, "channels": channels, "states": states}
    size = library()[0].scan_work(direction == "backward", length, channels, states, lanes)
    work = tensors["u"].new_empty(size)
    _call(f"scan_{direction}", _ScanStruct, {**tensors, "work": work}, softplus=softplus, **sizes, **rows)


def _convolve(direction: str, x: Tensor, weight: Tensor, bias: Tensor, **tensors: Tensor) -> None:
    """x (b, l, c) with weight (k, c): `ssm.causal_conv` and silu, or their gradients."""
    batch, length, channels = x.shape
    sizes = {
        "batch": batch,
        "length": length,
        "channels": channels,
        "taps": len(weight),
        "row_x": x.stride(1),
    }
    if "dx" in tensors:
        sizes["row_dx"] = tensors["dx"].stride(1)
    tensors = {"x": x, "weight": weight, "bias": bias, **tensors}
    _call(f"convolution_{direction}", _ConvolutionStruct, tensors, **sizes)


def _call(function: str, structure: type[ctypes.Structure], tensors: _Tensors, **numbers: int) -> None:
    """Call a function of `scan.c`, for the type of the tensors, which stand under the structure's names."""
    pointers = {name: x.data_ptr() for name, x in tensors.items() if x is not None}
    arguments = structure(level=LEVEL, **numbers, **pointers)
    kind = {torch.float32: "float", torch.float64: "double"}[tensors["work"].dtype]
    getattr(library()[0], f"{function}_{kind}")(ctypes.byref(arguments))


def _fields(numbers: str, tensors: str) -> list[tuple[str, type]]:
    """Fields of a structure that has its whole numbers first, then its pointers."""
    kinds = ((numbers, ctypes.c_int64), (tensors, ctypes.c_void_p))
    return [(name, kind) for names, kind in kinds for name in names.split()]


class _ScanStruct(ctypes.Structure):
    """`struct scan` of `scan.c`, field by field."""

    _fields_ = _fields(
        "level batch length channels states softplus row_B row_z row_dB row_dz",
        "u delta A B C D z bias dout step y out du ddelta dz dA dB dC dD dbias work",
    )


class _ConvolutionStruct(ctypes.Structure):
    """`struct convolution` of `scan.c`, field by field."""

    _fields_ = _fields(
        "level batch length channels taps row_x row_dx",
        "x weight bias dout out dx dweight dbias work",
    )


@functools.cache
def library() -> tuple[ctypes.CDLL | None, str]:
    """The compiled `scan.c`, or None and the reason. Looked for once."""
    built = [Path(__file__).with_name(f"_scan{suffix}") for suffix in EXTENSION_SUFFIXES]
    found = next(filter(Path.is_file, built), None)
    if found is None:
        return None, "it was not compiled when metst_lib was installed; with a C compiler, install once more"
    try:
        compiled = ctypes.CDLL(str(found))
        version = compiled.scan_version()
        compiled.scan_work.argtypes, compiled.scan_work.restype = [ctypes.c_int64] * 5, ctypes.c_int64
    except (OSError, AttributeError) as error:
        return None, f"{found.name} cannot be loaded ({error}); install metst_lib once more"
    if version != VERSION:
        return None, f"{found.name} is version {version}, not {VERSION}; install metst_lib once more"
    return compiled, ""
