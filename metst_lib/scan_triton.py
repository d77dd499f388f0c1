"""The selective scan of `ssm.py` as Triton kernels: forward and backward for short sequences on a GPU.

Sec. III-A, Eq. 2; see `ssm.py` for the recurrence. A program holds the states of some channels in registers
and goes through the frames one by one, so a window of 30 frames costs 30 steps and no padding. Softplus, the
bias of the step sizes, D and the gate silu(z) are part of the kernels: a scan is one launch forward, and one
launch and three small sums backward.

The backward pass keeps no states. Each program first runs forward again and notes the state of every fourth
or so frame in a scratch buffer of bounded size, then goes back over the frames, a few at a time. Sums over
channels and over the batch are taken in two stages in a fixed order, so that two runs agree bit for bit.

Glossary, as in `ssm.py`: b batch, l length (frames), c channels, n state size; a tile is the channels of one
program.

Only float32 on CUDA tensors. Importing this module needs the package triton, which torch brings on Linux.
"""

# ruff: noqa: RUF005   Triton's language has no starred tuples
from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 16
"""Frames that the parts without a recurrence (softplus, gate) take at a time."""

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _softplus(x):
    """log(1 + exp(x)) to float32 precision, for small steps too: log(1 + e) = 2 artanh(e / (2 + e))."""
    e = tl.exp(-tl.abs(x))
    s = e / (2.0 + e)  # at most 1/3: eight terms of the series reach 1e-8
    q = s * s
    tail = 1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q * (1.0 / 15)))
    series = 1.0 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * tail)))
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit
def _softplus_slope(step):
    """d softplus(x) / dx from step = softplus(x): 1 − exp(−step), by its series where that cancels."""
    d = step
    series = d * (1 - d / 2 * (1 - d / 3 * (1 - d / 4 * (1 - d / 5 * (1 - d / 6 * (1 - d / 7))))))
    return tl.where(d < 0.5, series, 1.0 - tl.exp(-d))


@triton.jit
def _stack(a, b, c, d):
    """Four equal tensors along a new last axis, so that they are stored, or summed over channels, at once."""
    x = tl.join(tl.join(a, c), tl.join(b, d))
    return tl.reshape(x, a.shape + (4,))


@triton.jit
def _forward(
    u,  # (b, l, c)
    delta,  # (b, l, c)
    A,  # (c, n)
    B,  # (b, l, n), rows row_B · UNIT apart
    C,
    D,  # (c,)
    z,  # (b, l, c), rows row_z apart
    bias,  # (c,)
    step,  # (b, l, c), written where SOFTPLUS or HAS_BIAS; else delta itself
    y,  # (b, l, c), written
    length,
    channels,
    states,
    row_B,
    row_C,
    row_z,
    TILE: tl.constexpr,
    N: tl.constexpr,
    FRAMES: tl.constexpr,
    ROWS: tl.constexpr,
    UNIT: tl.constexpr,
    HAS_D: tl.constexpr,
    HAS_Z: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """One tile of channels of one batch entry."""
    c = tl.program_id(0) * TILE + tl.arange(0, TILE)
    n = tl.arange(0, N)
    is_c, is_n = c < channels, n < states
    rows = tl.arange(0, ROWS)
    frame = tl.program_id(1).to(tl.int64) * length  # the entry's first row
    u += frame * channels
    delta += frame * channels
    step += frame * channels
    y += frame * channels
    z += frame * row_z
    B += frame * row_B * UNIT
    C += frame * row_C * UNIT

    if SOFTPLUS or HAS_BIAS:
        for t0 in range(0, length, ROWS):
            t = t0 + rows
            at = t[:, None] * channels + c[None, :]
            mask = (t < length)[:, None] & is_c[None, :]
            x = tl.load(delta + at, mask=mask, other=0.0)
            if HAS_BIAS:
                x += tl.load(bias + c, mask=is_c, other=0.0)[None, :]
            tl.store(step + at, _softplus(x) if SOFTPLUS else x, mask=mask)
        tl.debug_barrier()

    is_cn = is_c[:, None] & is_n[None, :]
    rate = tl.load(A + c[:, None] * states + n[None, :], mask=is_cn, other=0.0) * LOG2E
    h = tl.zeros((TILE, N), tl.float32)
    for t0 in range(0, length, FRAMES):
        ys = ()  # stored together: each store from this layout costs a barrier
        for i in tl.static_range(FRAMES):
            t = t0 + i
            is_t = t < length
            d = tl.load(step + t * channels + c, mask=is_c & is_t, other=0.0)
            x = tl.load(u + t * channels + c, mask=is_c & is_t, other=0.0)
            B_t = tl.load(B + t * row_B * UNIT + n, mask=is_n & is_t, other=0.0)
            C_t = tl.load(C + t * row_C * UNIT + n, mask=is_n & is_t, other=0.0)
            h = tl.exp2(d[:, None] * rate) * h + (d * x)[:, None] * B_t[None, :]
            ys = ys + (tl.sum(h * C_t[None, :], axis=1),)
        t = t0 + tl.arange(0, FRAMES)
        mask = is_c[:, None] & (t < length)[None, :]
        tl.store(y + t[None, :] * channels + c[:, None], _stack(ys[0], ys[1], ys[2], ys[3]), mask=mask)

    if HAS_D or HAS_Z:
        tl.debug_barrier()
        for t0 in range(0, length, ROWS):
            t = t0 + rows
            at = t[:, None] * channels + c[None, :]
            mask = (t < length)[:, None] & is_c[None, :]
            out = tl.load(y + at, mask=mask, other=0.0)
            if HAS_D:
                skip = tl.load(D + c, mask=is_c, other=0.0)
                out += skip[None, :] * tl.load(u + at, mask=mask, other=0.0)
            if HAS_Z:
                gate = tl.load(z + t[:, None] * row_z + c[None, :], mask=mask, other=0.0)
                out *= gate * tl.sigmoid(gate)
            tl.store(y + at, out, mask=mask)


@triton.jit
def _backward(
    u,  # (b, l, c), as the next two and dy
    step,
    z,  # rows row_z apart
    dy,
    A,  # (c, n)
    B,  # (b, l, n), rows row_B · UNIT apart
    C,
    D,  # (c,)
    du,  # (b, l, c), written, as the next two
    ddelta,
    dz,
    dA,  # (programs along the batch, c, n), written
    dBC,  # (tiles, 2, b, l, n), written
    dvec,  # (programs along the batch, 2, c), written: D, then the bias
    work,  # scratch of all programs
    batch,
    length,
    channels,
    states,
    row_B,
    row_C,
    row_z,
    TILE: tl.constexpr,
    N: tl.constexpr,
    FRAMES: tl.constexpr,
    ROWS: tl.constexpr,
    UNIT: tl.constexpr,
    HAS_D: tl.constexpr,
    HAS_Z: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """One tile of channels, for every so-many-th batch entry."""
    tile, first, programs = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    local = tl.arange(0, TILE)
    c = tile * TILE + local
    n = tl.arange(0, N)
    is_c, is_n = c < channels, n < states
    rows = tl.arange(0, ROWS)
    pieces = tl.cdiv(length, FRAMES)

    # Scratch of this program: the gradient before the gate (l, TILE), the noted states (pieces, TILE, N).
    size = length * TILE + pieces * TILE * N
    inner = work + (first * tl.num_programs(0) + tile).to(tl.int64) * size
    noted = inner + length * TILE + local[:, None] * N + n[None, :]

    is_cn = is_c[:, None] & is_n[None, :]
    rate = tl.load(A + c[:, None] * states + n[None, :], mask=is_cn, other=0.0) * LOG2E
    skip = tl.zeros((TILE,), tl.float32)
    if HAS_D:
        skip = tl.load(D + c, mask=is_c, other=0.0)
    sum_A = tl.zeros((TILE, N), tl.float32)
    sum_D = tl.zeros((ROWS, TILE), tl.float32)
    sum_bias = tl.zeros((ROWS, TILE), tl.float32)

    for entry in range(first, batch, programs):
        frame = (entry * length + tl.zeros((), tl.int32)).to(tl.int64)  # the entry's first row
        u_e, step_e, dy_e = u + frame * channels, step + frame * channels, dy + frame * channels
        du_e, ddelta_e, dz_e = du + frame * channels, ddelta + frame * channels, dz + frame * channels
        z_e, B_e, C_e = z + frame * row_z, B + frame * row_B * UNIT, C + frame * row_C * UNIT
        half = tl.cast(batch, tl.int64) * length * states
        dBC_e = dBC + 2 * half * tile + frame * states

        tl.debug_barrier()  # the scratch of the entry before has been read
        for t0 in range(0, length, ROWS):
            t = t0 + rows
            at = t[:, None] * channels + c[None, :]
            mask = (t < length)[:, None] & is_c[None, :]
            g = tl.load(dy_e + at, mask=mask, other=0.0)
            if HAS_Z:
                gate = tl.load(z_e + t[:, None] * row_z + c[None, :], mask=mask, other=0.0)
                g *= gate * tl.sigmoid(gate)
            if HAS_D:
                sum_D += g * tl.load(u_e + at, mask=mask, other=0.0)
            tl.store(inner + t[:, None] * TILE + local[None, :], g, mask=(t < length)[:, None])

        h = tl.zeros((TILE, N), tl.float32)
        for piece in range(pieces):
            tl.store(noted + piece * TILE * N, h)
            for i in tl.static_range(FRAMES):
                t = piece * FRAMES + i
                is_t = t < length
                d = tl.load(step_e + t * channels + c, mask=is_c & is_t, other=0.0)
                x = tl.load(u_e + t * channels + c, mask=is_c & is_t, other=0.0)
                B_t = tl.load(B_e + t * row_B * UNIT + n, mask=is_n & is_t, other=0.0)
                h = tl.exp2(d[:, None] * rate) * h + (d * x)[:, None] * B_t[None, :]
        tl.debug_barrier()

        carry = tl.zeros((TILE, N), tl.float32)  # what later frames ask of this frame's state
        for back in range(pieces):
            piece = pieces - 1 - back
            hs = (tl.load(noted + piece * TILE * N),)  # states before each frame of the piece
            for i in tl.static_range(FRAMES - 1):
                t = piece * FRAMES + i
                is_t = t < length
                d = tl.load(step_e + t * channels + c, mask=is_c & is_t, other=0.0)
                x = tl.load(u_e + t * channels + c, mask=is_c & is_t, other=0.0)
                B_t = tl.load(B_e + t * row_B * UNIT + n, mask=is_n & is_t, other=0.0)
                hs = hs + (tl.exp2(d[:, None] * rate) * hs[i] + (d * x)[:, None] * B_t[None, :],)
            g_us, g_ds, ungateds, g_Bs, g_Cs = (), (), (), (), ()  # of the frames, the last one first
            for i in tl.static_range(FRAMES - 1, -1, -1):
                t = piece * FRAMES + i
                is_t = t < length
                d = tl.load(step_e + t * channels + c, mask=is_c & is_t, other=0.0)
                x = tl.load(u_e + t * channels + c, mask=is_c & is_t, other=0.0)
                g_y = tl.load(inner + t * TILE + local, mask=is_c & is_t, other=0.0)
                B_t = tl.load(B_e + t * row_B * UNIT + n, mask=is_n & is_t, other=0.0)
                C_t = tl.load(C_e + t * row_C * UNIT + n, mask=is_n & is_t, other=0.0)
                dx = d * x
                fade = tl.exp2(d[:, None] * rate)
                faded = fade * hs[i]
                h = faded + dx[:, None] * B_t[None, :]
                g = carry + g_y[:, None] * C_t[None, :]
                g_faded = g * faded
                carry = fade * g
                sum_A += d[:, None] * g_faded
                g_dx = tl.sum(g * B_t[None, :], axis=1)
                g_us = g_us + (d * g_dx + skip * g_y,)
                g_ds = g_ds + (tl.sum(g_faded * rate, axis=1) * LN2 + x * g_dx,)
                if HAS_Z:
                    ungateds = ungateds + (tl.sum(h * C_t[None, :], axis=1) + skip * x,)
                g_Bs = g_Bs + (dx[:, None] * g,)
                g_Cs = g_Cs + (g_y[:, None] * h,)
            t = piece * FRAMES + tl.arange(0, FRAMES)
            at = t[None, :] * channels + c[:, None]
            mask = is_c[:, None] & (t < length)[None, :]
            tl.store(du_e + at, _stack(g_us[3], g_us[2], g_us[1], g_us[0]), mask=mask)
            tl.store(ddelta_e + at, _stack(g_ds[3], g_ds[2], g_ds[1], g_ds[0]), mask=mask)
            if HAS_Z:
                stacked = _stack(ungateds[3], ungateds[2], ungateds[1], ungateds[0])
                tl.store(dz_e + at, stacked, mask=mask)
            g_B = _stack(g_Bs[3], g_Bs[2], g_Bs[1], g_Bs[0])
            g_C = _stack(g_Cs[3], g_Cs[2], g_Cs[1], g_Cs[0])
            g_BC = tl.sum(tl.join(g_B, g_C), axis=0)  # (N, frames, 2): one sum, since each costs a barrier
            at = (t[None, :] * states + n[:, None])[:, :, None] + tl.arange(0, 2)[None, None, :] * half
            mask = (is_n[:, None] & (t < length)[None, :])[:, :, None]
            tl.store(dBC_e + at, g_BC, mask=mask)

        tl.debug_barrier()
        for t0 in range(0, length, ROWS):
            t = t0 + rows
            at = t[:, None] * channels + c[None, :]
            mask = (t < length)[:, None] & is_c[None, :]
            g_d = tl.load(ddelta_e + at, mask=mask, other=0.0)
            if SOFTPLUS:
                g_d *= _softplus_slope(tl.load(step_e + at, mask=mask, other=0.0))
                tl.store(ddelta_e + at, g_d, mask=mask)
            sum_bias += g_d
            if HAS_Z:
                gate = tl.load(z_e + t[:, None] * row_z + c[None, :], mask=mask, other=0.0)
                s = tl.sigmoid(gate)
                ungated = tl.load(dz_e + at, mask=mask, other=0.0)
                slope = s * (1.0 + gate * (1.0 - s))
                tl.store(dz_e + at, tl.load(dy_e + at, mask=mask, other=0.0) * ungated * slope, mask=mask)

    at = (first * channels + c[:, None]) * states + n[None, :]
    tl.store(dA + at, sum_A, mask=is_cn)
    tl.store(dvec + first * 2 * channels + c, tl.sum(sum_D, axis=0), mask=is_c)
    tl.store(dvec + (first * 2 + 1) * channels + c, tl.sum(sum_bias, axis=0), mask=is_c)


# ------------------------------------------------------------------------------------------- launching


@dataclass(frozen=True)
class Cut:
    """How a kernel is cut: states in a tile (channels × state) and warps of a program."""

    elements: int
    warps: int

    def tile(self, channels: int, states: int) -> tuple[int, int]:
        """Channels and states of a tile, powers of two that hold what there is."""
        n = triton.next_power_of_2(states)
        return max(1, min(self.elements // n, triton.next_power_of_2(max(channels, 16)))), n


FORWARD = Cut(elements=2048, warps=4)
BACKWARD = Cut(elements=2048, warps=8)
"""As measured on an H100."""

FRAMES = 4
"""Frames that a program takes at a time; its kernels stack four."""

PROGRAMS = 4
"""Programs of the backward kernel for each multiprocessor; the batch entries beyond are taken in turn."""


def scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    """`ssm.selective_scan` for float32 tensors on a GPU, none of them empty; shapes as there."""
    return _Scan.apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, bias, softplus):
        batch, length, channels = u.shape
        u, delta, A = u.contiguous(), delta.contiguous(), A.contiguous()
        D, bias = (x if x is None else x.contiguous() for x in (D, bias))
        (B, row_B), (C, row_C), (z, row_z) = _rows(B), _rows(C), (None, 0) if z is None else _rows(z)
        unit = 1 if row_B % 4 or row_C % 4 else 4  # tells the compiler when rows can be read by fours
        sizes = (length, channels, A.shape[1], row_B // unit, row_C // unit, row_z)
        step = torch.empty_like(u) if softplus or bias is not None else delta
        y = torch.empty_like(u)
        tile, n = FORWARD.tile(channels, A.shape[1])
        flags = {"UNIT": unit, "HAS_D": D is not None, "HAS_Z": z is not None, "SOFTPLUS": softplus}
        with torch.cuda.device_of(u):
            _forward[triton.cdiv(channels, tile), batch](
                *(u if x is None else x for x in (u, delta, A, B, C, D, z, bias, step, y)),
                *sizes,
                **{
                    "TILE": tile,
                    "N": n,
                    "FRAMES": FRAMES,
                    "ROWS": ROWS,
                    "HAS_BIAS": bias is not None,
                },
                **flags,
                num_warps=FORWARD.warps,
            )
        ctx.save_for_backward(u, step, z, A, B, C, D)
        ctx.sizes, ctx.flags, ctx.has_bias = sizes, flags, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        u, step, z, A, B, C, D = ctx.saved_tensors
        (batch, length, channels), states = u.shape, A.shape[1]
        tile, n = BACKWARD.tile(channels, states)
        tiles = triton.cdiv(channels, tile)
        programs = _programs(batch, tiles, u.device)
        du, ddelta, dz = torch.empty_like(u), torch.empty_like(u), torch.empty_like(u)
        dA = u.new_empty(programs, channels, states)
        dBC = u.new_empty(tiles, 2, batch, length, states)
        dvec = u.new_empty(programs, 2, channels)
        work = u.new_empty(programs * tiles * tile * (length + triton.cdiv(length, FRAMES) * n))
        inputs = (u if x is None else x for x in (u, step, z, dy.contiguous(), A, B, C, D))
        with torch.cuda.device_of(u):
            _backward[tiles, programs](
                *(*inputs, du, ddelta, dz, dA, dBC, dvec, work, batch),
                *ctx.sizes,
                **{"TILE": tile, "N": n, "FRAMES": FRAMES, "ROWS": ROWS},
                **ctx.flags,
                num_warps=BACKWARD.warps,
            )
        dA, (dB, dC), (dD, dbias) = (x[0] if len(x) == 1 else x.sum(0) for x in (dA, dBC, dvec))
        return (
            *(du, ddelta, dA, dB, dC),
            dD if D is not None else None,
            dz if z is not None else None,
            dbias if ctx.has_bias else None,
            None,
        )


def _rows(x: Tensor) -> tuple[Tensor, int]:
    """x (b, l, …) and the elements from one frame to the next; copied unless its rows are evenly spaced."""
    row = x.stride(1)
    if x.stride() == (x.shape[1] * row, row, 1):
        return x, row
    return x.contiguous(), x.shape[2]


def _programs(batch: int, tiles: int, device: torch.device) -> int:
    """Programs along the batch: a few for each multiprocessor, and each with about as many entries."""
    wanted = triton.cdiv(PROGRAMS * torch.cuda.get_device_properties(device).multi_processor_count, tiles)
    return triton.cdiv(batch, triton.cdiv(batch, wanted))
