"""The selective scan, forward and backward, against other projects' scans; one thread.

    python benchmarks/scan.py [--rounds 7] [--large-rounds 2]

128 channels, state 64, as in ME-TST; batch 32 of 30 frames and batch 256 of 50.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import _bench
import peers
import torch

CASES = {"batch 32, T 30": (32, 30), "batch 256, T 50": (256, 50)}
CHANNELS, STATES = 128, 64


def problem(batch: int, length: int, seed: int = 0) -> list[torch.Tensor]:
    """u, delta, A, B, C with gradients wanted, of the sizes that occur in training."""
    made = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
    A = -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1)
    delta = torch.nn.functional.softplus(draw(batch, length, CHANNELS) - 4)
    inputs = [draw(batch, length, CHANNELS), delta, A]
    inputs += [draw(batch, length, STATES), draw(batch, length, STATES)]
    return [x.requires_grad_() for x in inputs]


def forward_backward(scan: peers.Scan, inputs: list[torch.Tensor]) -> Callable[[], tuple[torch.Tensor, ...]]:
    """A call that gives y and the gradients of its sum of squares."""

    def run():
        y = scan(*inputs)
        return y.detach(), *torch.autograd.grad(y.square().sum(), inputs)

    return run


def disagreement(scans: dict[str, peers.Scan]) -> dict[str, float]:
    """Largest difference of values and gradients from the readable scan, relative to the largest value."""
    wanted = forward_backward(scans["readable"], problem(2, 30))()
    worst = {}
    for name, scan in scans.items():
        found = forward_backward(scan, problem(2, 30))()
        worst[name] = max(
            ((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, wanted, strict=True)
        )
    return worst


def extra_memory(name: str, batch: int, length: int) -> int:
    """Bytes by which one forward and backward pass raises the memory of a fresh process."""
    torch.set_num_threads(1)
    scan = peers.scans()[name]
    forward_backward(scan, problem(1, 2))()  # libraries are loaded
    run = forward_backward(scan, problem(batch, length))
    before = _bench.memory()
    run()
    return max(0, _bench.peak_memory() - before)


def measure(rounds: int = 7, large_rounds: int = 2, with_memory: bool = True) -> _bench.Part:
    """Times and memory of every scan that is there."""
    torch.set_num_threads(1)
    scans = peers.scans()
    wrong = disagreement(scans)
    tables, targets, least = {}, [], {}
    for heading, (batch, length) in CASES.items():
        large = batch > 100
        inputs = problem(batch, length)
        cases = {name: forward_backward(scan, inputs) for name, scan in scans.items()}
        times = _bench.interleaved(
            cases, large_rounds if large else rounds, warm=0 if large else 1, at_least=1.0 if large else 0.1
        )
        extra = {}
        if with_memory:
            memory = {name: _bench.in_child("scan", "extra_memory", name, batch, length) for name in scans}
            extra["extra memory, MiB"] = {name: f"{size / _bench.MIB:.0f}" for name, size in memory.items()}
            if large and "fast" in memory:
                size = memory["fast"] / _bench.MIB
                targets.append(
                    _bench.Target(f"extra memory of the fast scan, {heading}", size, 200, 120, "MiB", True)
                )
        extra["differs by"] = {name: f"{value:.0e}" for name, value in wrong.items()}
        tables[heading] = _bench.timing_table(times, next(iter(times)), extra)
        least[heading] = {name: min(found) for name, found in times.items()}
    goals = [
        ("batch 32, T 30", "mambapy", "fast", 20, 28),
        ("batch 32, T 30", "transformers", "fast", 30, 45),
        ("batch 256, T 50", "mambapy", "fast", 80, 100),
        ("batch 32, T 30", "mambapy", "readable", 3, 4),
    ]

    def each(at: str, name: str) -> str:  # what a row of another size or machine can be compared with
        batch, length = CASES[at]
        return f"{name} {1e9 * least[at][name] / (batch * length * CHANNELS * STATES):.2f} ns"

    ratios = [
        _bench.Target(
            f"scan, {at}: {slow} / {quick}",
            least[at][slow] / least[at][quick],
            goal,
            aim,
            note=f"per state and frame: {each(at, slow)}, {each(at, quick)}",
        )
        for at, slow, quick, goal, aim in goals
        if {slow, quick} <= least.get(at, {}).keys()
    ]
    return _bench.Part("scan", tables, ratios + targets)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--large-rounds", type=int, default=2)
    chosen = options.parse_args()
    began = _bench.machine()
    _bench.finish(measure(chosen.rounds, chosen.large_rounds), began)


if __name__ == "__main__":
    main()
