"""The selective scan and the Mamba layer: how the state of a face moves from frame to frame (Sec. III-A).

The paper starts from a linear system in continuous time (Eq. 1), h′(t) = A h(t) + B x(t), y(t) = C h(t),
and turns it into a recurrence over frames by a step size Δ (Eq. 2). Mamba lets Δ, B and C depend on the
frame ("selective"), so the convolution of Eq. 3, which needs them constant, no longer applies and the
recurrence itself is computed:

    h[t] = exp(Δ[t] A) h[t−1] + Δ[t] B[t] u[t]          Eq. 2, with B̄ ≈ Δ B
    y[t] = C[t] · h[t] + D u[t],  then  y[t] · silu(z[t])

Each channel has its own state, and A is diagonal, real and negative, so exp(Δ A) is a plain exponential.
Eq. 2's exact B̄ = (ΔA)⁻¹ (exp(ΔA) − I) ΔB is replaced by its first-order term Δ B, as Mamba does.

Glossary: b batch, l length (frames), c channels, n state size (the paper's N; it also calls the sequence
length N), r rank of the step-size projection, k taps of the short convolution.

References: Gu and Dao, "Mamba: linear-time sequence modeling with selective state spaces" (2023), whose
package mamba-ssm gives the layer its parameter names, shapes and initial values.
What is not here: carrying a state from one call to the next, complex A, and grouped B and C.
"""

import functools
import logging
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from metst_lib.kernels import mamba_ssm, scan

#: Every back end by name, the faster later: the readable scan below; the same in C (`kernels/scan.c`) for
#: CPU tensors; mamba-ssm's kernel for CUDA tensors.
BACKENDS = ("torch", "c", "mamba_ssm")

_log = logging.getLogger(__name__)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
    recompute: bool = False,
) -> Tensor:
    """The recurrence of Eq. 2 with step sizes and projections that change from frame to frame.

    Args:
        u: (b, l, c) the input.
        delta: (b, l, c) step sizes Δ, before bias and softplus.
        A: (c, n) evolution, one row of rates per channel; negative for a state that fades.
        B, C: (b, l, n) projections into and out of the state.
        D: (c,) weight of the path that skips the state; none if left out.
        z: (b, l, c) gate: the result is multiplied by silu(z).
        delta_bias: (c,) added to delta.
        delta_softplus: take softplus(delta + delta_bias) as the step size.
        backend: "auto", or one of `BACKENDS`.
        recompute: let the readable scan forget its states and compute them again in the backward pass;
            half as much time again, a small part of the memory. The other back ends always work so.

    Returns: y (b, l, c).

    Raises ValueError for shapes that do not fit, mixed devices or an unknown or absent back end, and
    TypeError where the tensors are not all float32 or all float64.
    """
    _check(u, delta, A, B, C, D, z, delta_bias)
    backend = _resolve(backend, u, A.shape[1])
    if backend == "mamba_ssm":
        return mamba_ssm.scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    if backend == "c":
        return scan.Scan.apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus)

    if delta_bias is not None:
        delta = delta + delta_bias
    if delta_softplus:
        delta = F.softplus(delta)
    y = (_Replayed.apply if recompute else _scan_torch)(u, delta, A, B, C)
    if D is not None:
        y = y + D * u
    return y if z is None else y * F.silu(z)


def _resolve(backend: str, u: Tensor, states: int) -> str:
    """The back end that serves a scan of u (b, l, c): what "auto" means, or the one asked for.

    ValueError where that is unknown or cannot run here.
    """
    if backend == "auto" and 0 in (*u.shape, states):
        return "torch"  # nothing to scan: kernels would refuse to start
    if backend == "auto":
        chosen = choose_backend(u.device, u.dtype)
        _announce(chosen, u.device.type)
        return chosen
    if backend not in BACKENDS:
        raise ValueError(f"unknown scan back end {backend!r}; known: auto, {', '.join(BACKENDS)}")
    if reason := _missing(backend, u.device, u.dtype):
        raise ValueError(f"scan back end {backend!r} cannot run here: {reason}")
    return backend


def _scan_torch(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The readable scan: one turn of the loop is one frame of Eq. 2."""
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])  # (b, c, n)
    y = []
    # unbind, not u[:, t]: the gradient of each such slice would be a whole (b, l, c) tensor again.
    du = delta * u
    for du_t, delta_t, B_t, C_t in zip(*(x.unbind(1) for x in (du, delta, B, C)), strict=True):
        h = torch.exp(delta_t[:, :, None] * A) * h + du_t[:, :, None] * B_t[:, None, :]
        y.append((h * C_t[:, None, :]).sum(2))  # (b, c); a matrix product per batch entry is slower
    return torch.stack(y, dim=1) if y else du  # no frame: empty, as du is


class _Replayed(torch.autograd.Function):
    """The readable scan, run once without keeping its states and once more where gradients are asked for."""

    @staticmethod
    def forward(ctx, *inputs):
        ctx.save_for_backward(*inputs)
        return _scan_torch(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        inputs = [x.detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            y = _scan_torch(*inputs)
        return torch.autograd.grad(y, inputs, dy, allow_unused=True)  # no frame: A, B, C unused


def available_backends() -> list[str]:
    """The back ends that work for CPU tensors here, the readable one first."""
    return [name for name in BACKENDS if not _missing(name, torch.device("cpu"), torch.float32)]


def missing_backends(device: torch.device | str = "cpu") -> dict[str, str]:
    """The back ends that cannot serve float32 tensors on this device, each with the reason in words."""
    device = torch.device(device)
    return {name: reason for name in BACKENDS if (reason := _missing(name, device, torch.float32))}


def choose_backend(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """The back end that "auto" takes for such tensors: the fastest that can serve them."""
    device = torch.device(device)
    return next(name for name in reversed(BACKENDS) if not _missing(name, device, dtype))


def _missing(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Why a back end cannot serve such tensors; empty where it can."""
    if backend == "c":
        return (
            scan.library()[1] if device.type == "cpu" else f"the C scan needs CPU tensors, not {device.type}"
        )
    if backend == "mamba_ssm":
        if device.type != "cuda":
            return f"mamba-ssm's kernel needs CUDA tensors, these are on {device.type}"
        if dtype != torch.float32:
            return f"mamba-ssm's kernel has no {dtype}"
        return mamba_ssm.kernel()[1]
    return ""


@functools.cache
def _announce(backend: str, device: str) -> None:
    """Say once per process and kind of device which scan "auto" took, and why no faster one."""
    fastest = {"cpu": "c", "cuda": "mamba_ssm"}.get(device, backend)
    if reason := _missing(fastest, torch.device(device), torch.float32):
        _log.warning("selective scan on %s: %s, which is slower, since %s", device, backend, reason)
    else:
        _log.info("selective scan on %s: %s", device, backend)


def _check(u, delta, A, B, C, D, z, delta_bias) -> None:
    if u.dim() != 3:
        raise ValueError(f"u must have shape (batch, length, channels), not {tuple(u.shape)}")
    batch, length, channels = u.shape
    if A.dim() != 2 or A.shape[0] != channels:
        raise ValueError(f"A must have shape ({channels}, state), not {tuple(A.shape)}")
    sequence, projection = (batch, length, channels), (batch, length, A.shape[1])
    wanted = {
        "delta": (delta, sequence),
        "B": (B, projection),
        "C": (C, projection),
        "D": (D, (channels,)),
        "z": (z, sequence),
        "delta_bias": (delta_bias, (channels,)),
    }
    given = {"u": u, "A": A} | {name: tensor for name, (tensor, _) in wanted.items() if tensor is not None}
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, not {tuple(tensor.shape)}")
    if u.dtype not in (torch.float32, torch.float64) or len({x.dtype for x in given.values()}) > 1:
        found = ", ".join(f"{name} {x.dtype}" for name, x in given.items())
        raise TypeError(f"all tensors must be float32 or all float64; got {found}")
    if len({x.device for x in given.values()}) > 1:
        found = ", ".join(f"{name} on {x.device}" for name, x in given.items())
        raise ValueError(f"all tensors must be on one device; got {found}")


class Mamba(nn.Module):
    """One Mamba layer: project, convolve over four frames, scan, gate, project back.

    Parameter names, shapes and initial values are those of `mamba_ssm.Mamba`, so state dicts pass both ways.
    The layer sees the past only: output frame t depends on input frames up to t.

    Args:
        d_model: width of input and output.
        d_state: n, state size of each channel.
        d_conv: k, taps of the causal convolution before the scan.
        expand: the scan runs on c = expand · d_model channels.
        backend, recompute: as in `selective_scan`.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        *,
        backend: str = "auto",
        recompute: bool = False,
    ):
        super().__init__()
        channels, rank = expand * d_model, math.ceil(d_model / 16)
        self.d_model, self.d_state, self.rank = d_model, d_state, rank
        self.backend, self.recompute = backend, recompute

        self.in_proj = nn.Linear(d_model, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels, padding=d_conv - 1)
        self.x_proj = nn.Linear(channels, rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(rank, channels)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, d_state + 1)).repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, d_model, bias=False)
        with torch.no_grad():
            self.dt_proj.weight.uniform_(-(rank**-0.5), rank**-0.5)
            self.dt_proj.bias.copy_(step_size_bias(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (b, l, d_model) -> (b, l, d_model)."""
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x must have shape (batch, length, {self.d_model}), not {tuple(x.shape)}")
        uz = self.in_proj(x)
        if self._runs_in_c(uz):
            inner = (self.conv1d.weight, self.conv1d.bias, self.x_proj.weight, self.dt_proj.weight)
            return self.out_proj(scan.Layer.apply(uz, *inner, self.dt_proj.bias, self.A_log, self.D))
        u, z = uz.chunk(2, dim=2)  # (b, l, c) each
        u = F.silu(causal_conv(u, self.conv1d.weight, self.conv1d.bias))
        dt, B, C = self.x_proj(u).split([self.rank, self.d_state, self.d_state], dim=2)
        delta = dt @ self.dt_proj.weight.T  # (b, l, c); its bias goes in with the scan
        A = -torch.exp(self.A_log)  # negative, so that every state fades
        step = {"delta_bias": self.dt_proj.bias, "delta_softplus": True}
        way = {"backend": self.backend, "recompute": self.recompute}
        return self.out_proj(selective_scan(u, delta, A, B, C, self.D, z, **step, **way))

    def _runs_in_c(self, uz: Tensor) -> bool:
        """Whether `scan.Layer` may take over; what it cannot take, `selective_scan` serves or names."""
        if uz.numel() == 0 or {uz.dtype, self.A_log.dtype} not in ({torch.float32}, {torch.float64}):
            return False
        return _resolve(self.backend, uz, self.d_state) == "c"


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor, dilation: int = 1, ahead: int = 0) -> Tensor:
    """Each channel convolved over its own last k frames: a sum of k shifted copies.

    x (b, l, c), weight (c, 1, k) and bias (c,) as `nn.Conv1d` keeps them -> (b, l, c). Frames beyond either
    end count as zero. Channels stay last, so no transpose is needed between projections and scan. dilation:
    the k frames lie so many apart; ahead: the last of them is so many frames later than the present one.
    """
    k, length = weight.shape[2], x.shape[1]
    padded = F.pad(x, (0, 0, (k - 1) * dilation - ahead, ahead))
    y = bias.expand_as(x)
    for j in range(k):
        y = torch.addcmul(y, padded[:, j * dilation : j * dilation + length], weight[:, 0, j])
    return y


def step_size_bias(channels: int, smallest: float = 1e-3, largest: float = 0.1) -> Tensor:
    """Biases b whose step sizes softplus(b) are spread log-uniformly over smallest … largest. Shape (c,)."""
    delta = torch.exp(torch.empty(channels).uniform_(math.log(smallest), math.log(largest)))
    return delta + torch.log(-torch.expm1(-delta))  # the inverse of softplus
