"""The benchmarks' parts at toy size: turns, ratios, targets, memory, and that all scans do the same work."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def found_by_name(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    for name in ("_bench", "peers", "scan", "step", "flow", "end_to_end", "run", "demo"):
        sys.modules.pop(name, None)


def module(name):
    return importlib.import_module(name)


# --- what they share --------------------------------------------------------------------------------------


def test_cases_take_turns_and_each_round_begins_with_another():
    calls = []
    cases = {name: lambda name=name: calls.append(name) for name in "abc"}
    times = module("_bench").interleaved(cases, rounds=3, warm=0)
    assert "".join(calls) == "abcbcacab"
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_short_case_runs_until_it_has_had_its_time():
    times = module("_bench").interleaved({"a": lambda: None}, rounds=1, warm=0, at_least=0.01)
    assert len(times["a"]) > 10
    assert sum(times["a"]) >= 0.01


def test_a_table_shows_median_minimum_and_ratio_of_minima():
    times = {"slow": [0.4, 0.2, 0.9], "quick": [0.1, 0.3, 0.2]}
    table = module("_bench").timing_table(times, "slow", {"memory": {"quick": "7"}})
    assert table.splitlines()[2:] == [
        "| slow | 400.0 | 200.0 | 1.0× | 3 | – |",
        "| quick | 200.0 | 100.0 | 2.0× | 3 | 7 |",
    ]


@pytest.mark.parametrize(
    ("value", "at_most", "status"),
    [
        (28, False, "aim met"),
        (21, False, "met"),
        (19.9, False, "MISSED"),
        (21, True, "MISSED"),
        (20, True, "met"),
    ],
)
def test_a_target_is_judged_in_its_direction(value, at_most, status):
    least, aim = (20, 15) if at_most else (20, 28)
    assert module("_bench").Target("x", value, least, aim, at_most=at_most).status == status


def test_results_are_put_together_from_the_last_run_of_each(tmp_path):
    bench = module("_bench")
    for name, value in (("scan", 30.0), ("flow", 1.05)):
        target = bench.Target(f"{name} ratio", value, 20, 28, note="why")
        part = {"name": name, "tables": {"one": "| a |"}, "targets": [vars(target)]}
        (tmp_path / f"{name}.json").write_text(json.dumps({"part": part, "machine": {"cores": "2"}}))
    text = bench.write_results(tmp_path / "R.md", tmp_path, order=("scan", "flow")).read_text()
    assert "| scan ratio | 30× | 20× | 28× | aim met | why |" in text
    assert "| flow ratio | 1.05× | 20× | 28× | MISSED | why |" in text
    assert text.index("## scan") < text.index("## flow")


def test_memory_of_a_case_is_told_by_a_process_of_its_own():
    bench = module("_bench")
    before, block = bench.memory(), np.ones(200 * bench.MIB // 8)  # too large for freed memory
    assert block.sum() > 0
    assert bench.peak_memory() - before > 150 * bench.MIB
    there, peak = bench.in_child("_bench", "memory"), bench.in_child("_bench", "peak_memory")
    assert 0 < there and 0 < peak < bench.peak_memory()  # this process has torch, and the child has not
    with pytest.raises(RuntimeError, match="no_such_function"):
        bench.in_child("_bench", "no_such_function")


# --- (a) scan, (b) step -----------------------------------------------------------------------------------


def test_all_scans_that_are_there_agree_and_are_timed(monkeypatch):
    scan = module("scan")
    monkeypatch.setattr(scan, "CASES", {"batch 32, T 30": (2, 6)})
    monkeypatch.setattr(scan, "CHANNELS", 4)
    monkeypatch.setattr(scan, "STATES", 16)
    assert max(scan.disagreement(module("peers").scans()).values()) < 1e-5
    part = scan.measure(rounds=1, with_memory=False)
    assert "| readable |" in part.tables["batch 32, T 30"]


def test_the_readable_scan_needs_the_memory_of_its_states():
    bench = module("_bench")
    states = 8 * 30 * 128 * 64 * 4  # batch, frames, channels, states, bytes of one pass
    assert bench.in_child("scan", "extra_memory", "readable", 8, 30) > states / 2


def test_a_training_step_gives_the_same_losses_with_every_scan():
    step, peers = module("step"), module("peers")
    losses = {}
    for name in peers.scans():
        run = step.training_step("METST", 10, name, batch=2, length=8, dim=8, depth=1, d_state=16)
        losses[name] = [run(), run()]
        assert losses[name][0] != losses[name][1]  # the weights were changed
    for found in losses.values():
        assert found == pytest.approx(losses["readable"], rel=1e-4)


# --- (c) flow, (d, e) end to end --------------------------------------------------------------------------


def test_flow_is_measured_against_its_own_farneback_calls():
    flow = module("flow")
    frames, landmarks = flow.clip(2)
    with flow.farneback_seconds() as spent:
        found = flow.cpu_overhead(
            frames[:50], flow.PrecomputedLandmarks(landmarks.points[:50]), "5", rounds=1
        )
    assert found["calls"] == len(spent) >= 49 * 4  # nose, two brows, mouth, nose wings: some share a patch
    assert 1 < found["ratio"] < 3
    assert found["whole"] == pytest.approx(found["ratio"] * found["bare"])


def test_a_short_video_is_played_to_and_fro():
    played = module("end_to_end").ToAndFro("abcd", 10)
    assert "".join(played[t] for t in range(len(played))) == "abcdcbabcd"
    with pytest.raises(IndexError):
        played[10]


def test_a_video_is_analysed_from_files_to_events(tmp_path, monkeypatch):
    run = module("end_to_end")
    train = run.predictor.train
    monkeypatch.setattr(run.predictor, "train", lambda path, seed: train(path, seed, actors=4, frames=6))
    run.render(tmp_path, 2)
    found = run.analyse(str(tmp_path), 4, 1, 2)
    assert found["windows"] == 4  # 120 frames: 0, 25, 50 and one aligned to the end
    assert found["seconds"] == pytest.approx(found["flow"] + found["network"])
    assert found["peak"] >= found["before"] > 0
