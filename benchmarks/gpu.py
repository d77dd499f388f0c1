"""Speed on a GPU: the scan, a training step and a whole fold, each beside its peers; the checks come first.

    python benchmarks/gpu.py --out benchmarks/RESULTS.md

It needs an NVIDIA GPU. Peers: mamba-ssm's kernel where it is built, with and without the transposes that it
needs here, and the readable scan. The floor of a scan is the larger of two times: its bytes, each input read
and each output written once, over the rate of a copy on this GPU; its exponentials, one each way for every
(batch, frame, channel, state), over the rate of exp2 on this GPU. Everything is random data of the right
shape: speed does not depend on values.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import torch

from metst_lib import models, ssm, training
from metst_lib._files import atomic
from metst_lib.events import EMOTIONS, Event

SIZES = list(itertools.product((30, 50), (32, 256), (128, 256, 512), (16, 64)))  # T, batch, channels, state
CHECKED = [(30, 32, 128, 64), (50, 32, 256, 64), (25, 32, 512, 16)]
TOLERANCE = 1e-5
NETWORKS = {"METST": (10, 30, 1e-4), "METSTPlus": (36, 50, 3e-4)}  # flow channels, epochs, learning rate
WINDOWS, FRAMES, BATCH = 700, 30, 32  # a fold of SAMM-LV


# ------------------------------------------------------------------------------------------------ checks


def scan_inputs(frames, batch, channels, state, seed=0, dtype=torch.float32):
    """Arguments of the scan as a trained layer has them, on the GPU."""
    g = torch.Generator("cuda").manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=g, device="cuda", dtype=torch.float64)

    inputs = {
        "u": normal(batch, frames, channels),
        "delta": normal(batch, frames, channels),
        "A": -state * torch.rand(channels, state, generator=g, device="cuda", dtype=torch.float64) - 0.1,
        "B": normal(batch, frames, state),
        "C": normal(batch, frames, state),
        "D": normal(channels),
        "z": normal(batch, frames, channels),
        "delta_bias": normal(channels) - 2,
    }
    return {k: x.to(dtype).requires_grad_() for k, x in inputs.items()}


def scan_and_gradients(inputs, backend):
    y = ssm.selective_scan(**inputs, delta_softplus=True, backend=backend)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    gradients = torch.autograd.grad(y, list(inputs.values()), weights)
    return {"y": y.detach(), **dict(zip(inputs, gradients, strict=True))}


def check(backends) -> pd.DataFrame:
    """Each back end against the readable scan in float64; the largest difference over the largest value."""
    rows = []
    for size in CHECKED:
        exact = scan_and_gradients(scan_inputs(*size, dtype=torch.float64), "torch")
        for backend in backends:
            first, again = (scan_and_gradients(scan_inputs(*size), backend) for _ in range(2))
            far = {k: float((first[k] - x).abs().max() / x.abs().max()) for k, x in exact.items()}
            worst = max(far, key=far.get)
            same = all(torch.equal(first[k], again[k]) for k in exact)
            rows.append((*size, backend, far["y"], far[worst], worst, "yes" if same else "no"))
            if backend == "triton" and not (far[worst] < TOLERANCE and same):
                sys.exit(f"the check failed: {rows[-1]}")
    columns = ["T", "batch", "channels", "state", "back end", "y", "largest", "of", "two runs bit-equal"]
    return pd.DataFrame(rows, columns=columns)


# ------------------------------------------------------------------------------------------------- times


def milliseconds(run, repeats=20) -> float:
    """Median time of a call by events, the kernels recorded as one graph so that only the GPU is timed."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    for _ in range(3):
        graph.replay()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def copy_rate() -> float:
    """Bytes a second of a device copy, read and written ones counted."""
    x, y = torch.randn(2, 2**28, device="cuda")
    return 2 * x.numel() * 4 / (milliseconds(lambda: y.copy_(x)) / 1e3)


def exp_rate() -> float:
    """Exponentials a second, in registers."""
    import triton
    import triton.language as tl

    @triton.jit
    def exps(y, TURNS: tl.constexpr):
        at = tl.program_id(0) * 1024 + tl.arange(0, 1024)
        x = -at.to(tl.float32) * 1e-6
        for _ in range(TURNS):
            x = -tl.exp2(x)
        tl.store(y + at, x)

    programs, turns = 132 * 64, 1000
    y = torch.empty(programs * 1024, device="cuda")
    return y.numel() * turns / (milliseconds(lambda: exps[programs,](y, turns)) / 1e3)


def scan_times(frames, batch, channels, state, backend, native=False) -> tuple[float, float]:
    """Milliseconds of one scan forward, and forward and backward; inputs change so that no cache serves."""
    sets = max(1, min(8, 2**27 // (16 * batch * frames * channels)))
    inputs = [scan_inputs(frames, batch, channels, state, seed) for seed in range(sets)]
    weights = torch.randn(batch, frames, channels, device="cuda")
    scan = ssm._mamba_ssm()[0] if native else None
    if native:  # mamba-ssm's own layout, time last
        weights = weights.mT.contiguous()
        inputs = [
            {k: (x.detach().mT.contiguous().requires_grad_() if x.dim() == 3 else x) for k, x in i.items()}
            for i in inputs
        ]

    def forward(i):
        if native:
            return scan(**i, delta_softplus=True)
        return ssm.selective_scan(**i, delta_softplus=True, backend=backend)

    def forwards():
        with torch.no_grad():
            for i in inputs:
                forward(i)

    def both():
        for i in inputs:
            torch.autograd.grad(forward(i), list(i.values()), weights)

    return milliseconds(forwards) / sets, milliseconds(both) / sets


def floor(frames, batch, channels, state, copies, exps) -> tuple[float, float]:
    """Milliseconds for the bytes and for the exponentials of a scan, forward and backward."""
    wide, narrow = batch * frames * channels, batch * frames * state
    forward, backward = 4 * wide + 2 * narrow, 7 * wide + 4 * narrow
    return (forward + backward) * 4 / copies * 1e3, 2 * wide * state / exps * 1e3


def scans(backends, sizes) -> pd.DataFrame:
    copies, exps = copy_rate(), exp_rate()
    rows = []
    for size in sizes:
        row = dict(zip(("T", "batch", "channels", "state"), size, strict=True))
        row["Triton, forward (µs)"], row["Triton (µs)"] = (1e3 * x for x in scan_times(*size, "triton"))
        if "mamba_ssm" in backends:
            row["mamba-ssm (µs)"] = 1e3 * scan_times(*size, "mamba_ssm")[1]
            row["without transposes (µs)"] = 1e3 * scan_times(*size, "mamba_ssm", native=True)[1]
            row["over Triton"] = row["without transposes (µs)"] / row["Triton (µs)"]
        if (row["T"], row["batch"]) == (30, 32):
            row["readable (µs)"] = 1e3 * scan_times(*size, "torch")[1]
        row["bytes (µs)"], row["exponentials (µs)"] = (1e3 * x for x in floor(*size, copies, exps))
        row["Triton over the floor"] = row["Triton (µs)"] / max(row["bytes (µs)"], row["exponentials (µs)"])
        rows.append(row)
    table = pd.DataFrame(rows)
    table.attrs["rates"] = f"Copy {copies / 1e12:.2f} TB/s; exponentials {exps / 1e12:.2f} T/s."
    return table


def fold_data(channels):
    """Seven videos of 100 windows, an event in two windows of three."""
    rng = np.random.default_rng(0)
    flows, events = {}, {}
    for v in range(7):
        starts = np.arange(WINDOWS // 7) * (FRAMES // 2)
        values = rng.standard_normal((len(starts), channels, FRAMES)).astype(np.float32)
        key, n_frames = (f"s{v}", "a"), int(starts[-1]) + FRAMES
        flows[key] = SimpleNamespace(values=values, starts=starts, n_frames=n_frames)
        events[key] = [
            Event(t, t + 10, emotion=EMOTIONS[i % 4]) for i, t in enumerate(range(5, n_frames - 12, 45))
        ]
    return flows, events


def fold(network, backend, recorded=True, epochs=None) -> dict[str, object]:
    """A whole fold: seconds in all, those of the first epoch (compiling, recording), and one step."""
    channels, all_epochs, lr = NETWORKS[network]
    settings = training.TrainingSettings(epochs=epochs or all_epochs, lr=lr, batch=BATCH, ratio=1e6)
    flows, events = fold_data(channels)
    ends: list[float] = []
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    with mock.patch.object(training, "_Recorded", training._Recorded if recorded else training._Backward):
        fitted = training.fit(
            lambda: models.build(network, channels, backend=backend),
            flows,
            events,
            settings,
            0,
            log=lambda line: ends.append(time.perf_counter()),
        )
    seconds = time.perf_counter() - start
    steps = fitted.statistics["steps"] // settings.epochs
    epoch = statistics.median(np.diff(ends))
    return {
        "network": network,
        "scan": backend,
        "kernels started": "as a graph" if recorded else "one by one",
        "epochs": settings.epochs,
        "windows": fitted.statistics["windows"],
        "step (ms)": 1e3 * epoch / steps,
        "measured (s)": seconds,
        f"fold of {all_epochs} epochs (s)": seconds + (all_epochs - settings.epochs) * epoch,
        "before epoch 2 (s)": ends[0] - start,
        "memory (GiB)": torch.cuda.max_memory_allocated() / 2**30,
    }


def folds(network, backends) -> pd.DataFrame:
    runs = [("triton", True, None), ("triton", False, 4)]
    if "mamba_ssm" in backends:
        runs += [("mamba_ssm", True, 6), ("mamba_ssm", False, 4)]
    runs += [("torch", True, 3), ("torch", False, 2)]
    return pd.DataFrame([fold(network, *run) for run in runs])


# ------------------------------------------------------------------------------------------------ report


def machine() -> str:
    import triton

    return (
        f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).multi_processor_count} "
        f"multiprocessors; Python {platform.python_version()}, torch {torch.__version__}, "
        f"Triton {triton.__version__}, CUDA {torch.version.cuda}"
    )


def markdown(table: pd.DataFrame) -> str:
    def cell(x):
        if isinstance(x, float):
            return (
                "" if np.isnan(x) else f"{x:.2g}" if abs(x) < 1e-3 else f"{x:.3g}" if x < 100 else f"{x:.0f}"
            )
        return str(x)

    rows = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    rows += [[cell(x) for x in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="also write the tables to this Markdown file")
    parser.add_argument("--quick", action="store_true", help="four sizes of the scan, ME-TST only")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this benchmark needs an NVIDIA GPU; torch sees none")
    backends = [name for name in ssm.BACKENDS if name not in ssm.missing_backends("cuda")]
    if "triton" not in backends:
        sys.exit(ssm.missing_backends("cuda")["triton"])

    parts: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        parts.append(text)

    say(f"# On a GPU\n\n{machine()}. Written by `benchmarks/gpu.py`.\n")
    for name, reason in ssm.missing_backends("cuda").items():
        if name != "c":
            say(f"Not compared: {name}, since {reason}.\n")
    say("## Checks\n\nLargest difference from the readable scan in float64, over the largest value.\n")
    say(markdown(check(backends)) + "\n")
    table = scans(backends, [s for s in SIZES if s[2] == 128 and s[0] == 30] if options.quick else SIZES)
    say(f"## Scan, forward and backward\n\nThe floor: its bytes, its exponentials. {table.attrs['rates']}\n")
    say(markdown(table) + "\n")
    for network in ["METST"] if options.quick else NETWORKS:
        say(
            f"## {network}: a training step and a fold\n\n{WINDOWS} windows of {FRAMES} frames, batch "
            f"{BATCH}. A fold whose measured epochs are fewer is reckoned from its median epoch.\n"
        )
        say(markdown(folds(network, backends)) + "\n")
    if options.out:
        with atomic(options.out) as path:
            path.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
