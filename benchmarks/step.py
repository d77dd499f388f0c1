"""A whole training step of ME-TST and ME-TST+ with each scan; one thread.

    python benchmarks/step.py [--rounds 2]

Full-size networks, T 30, batch 32 (ME-TST+: 8, since other projects' scans would need over 16 GB for 32):
forward, both losses, backward, Adam. Networks, projections and losses are ours in every row. "fast" has the
convolution before the scan and the gate behind it in C as well; in the other rows they are torch's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from unittest import mock

import _bench
import peers
import torch

from metst_lib import models, ssm
from metst_lib.training import weighted_cross_entropy

NETWORKS = {"ME-TST, batch 32": ("METST", 10, 32), "ME-TST+, batch 8": ("METSTPlus", 36, 8)}


def training_step(
    network: str, channels: int, scan: str, batch: int = 32, length: int = 30, **size: int
) -> Callable[[], float]:
    """A call that trains one step and gives its loss; weights and data are the same for every scan."""
    torch.manual_seed(0)
    model = models.build(network, channels, backend="c" if scan == "fast" else "torch", **size).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    flow = torch.randn(batch, channels, length)
    spot, emotion = torch.rand(batch, length), torch.randint(5, (batch, length))
    whole = peers.layer_scan(scan)

    def run() -> float:
        torch.manual_seed(1)  # of drop path
        with mock.patch.object(ssm, "selective_scan", whole):  # the layer in C does not call it
            score, logits = model(flow)
        loss = 0.9 * torch.nn.functional.mse_loss(score, spot)
        loss = loss + 0.1 * weighted_cross_entropy(logits, emotion, torch.ones(5))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return run


def step_memory(network: str, channels: int, batch: int, scan: str) -> int:
    """Bytes that a process holds at most that trains one step, all libraries included."""
    torch.set_num_threads(1)
    training_step(network, channels, scan, batch)()
    return _bench.peak_memory()


def measure(rounds: int = 2, with_memory: bool = True) -> _bench.Part:
    """Times and memory of both networks' steps on every scan that is there."""
    torch.set_num_threads(1)
    tables, targets = {}, []
    for title, (network, channels, batch) in NETWORKS.items():
        cases = {name: training_step(network, channels, name, batch) for name in peers.scans()}
        times = _bench.interleaved(cases, rounds, warm=0, at_least=1.0)
        memory = {}
        if with_memory:
            for name in cases:
                size = _bench.in_child("step", "step_memory", network, channels, batch, name)
                memory[name] = f"{size / _bench.MIB:.0f}"
        tables[title] = _bench.timing_table(times, next(iter(times)), {"whole process, MiB": memory})
        if network == "METST" and {"mambapy", "fast"} <= times.keys():
            ratio = min(times["mambapy"]) / min(times["fast"])
            targets.append(_bench.Target("ME-TST training step: mambapy / fast", ratio, 10, 15))
    return _bench.Part("step", tables, targets)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    began = _bench.machine()
    _bench.finish(measure(chosen.rounds), began)


if __name__ == "__main__":
    main()
