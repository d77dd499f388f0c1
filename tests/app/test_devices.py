"""One card for one process: which are there, which is taken, and when it is free again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metst_lib.app import devices


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def start(seconds: float, cards: str) -> subprocess.Popen:
    """A command on a card of its own, which prints that card, and ends after so many seconds."""
    code = f"import os, time; print(os.environ['{devices.VISIBLE}'], flush=True); time.sleep({seconds})"
    command = [sys.executable, "-m", "metst_lib.app.devices", sys.executable, "-c", code]
    environment = {**os.environ, devices.VISIBLE: cards}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_have_two_cards_and_a_third_waits_for_one_that_is_free_again():
    first, second = start(60, "4,7"), start(60, "4,7")
    try:
        taken = {first.stdout.readline().strip(), second.stdout.readline().strip()}
        assert taken == {"4", "7"}
        third = start(0, "4,7")
        time.sleep(1)
        assert third.poll() is None  # it waits
        first.kill()  # even so the card is free again
        assert third.communicate(timeout=20)[0].strip() in taken
    finally:
        first.kill()
        second.kill()
        for process in (first, second):
            process.communicate()


@pytest.mark.parametrize("cards", ["", "3"])
def test_with_one_card_or_none_there_is_nothing_to_pick(cards):
    several = [start(0.5, cards) for _ in range(2)]
    assert [process.communicate(timeout=20)[0].strip() for process in several] == [cards, cards]


def test_the_commands_exit_status_is_passed_on():
    command = [sys.executable, "-m", "metst_lib.app.devices", sys.executable, "-c", "raise SystemExit(3)"]
    assert subprocess.run(command, env={**os.environ, devices.VISIBLE: "0,1"}).returncode == 3


@pytest.mark.parametrize(("count", "cards"), [(0, []), (3, ["0", "1", "2"])])
def test_without_a_list_the_driver_is_asked(tmp_path, monkeypatch, count, cards):
    lines = "\\n".join(f"GPU {i}: a card (UUID: GPU-{i})" for i in range(count))
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f'#!/bin/sh\nprintf "{lines}\\n"\n')
    driver.chmod(0o755)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert devices.seen() == cards


def test_a_machine_without_a_driver_has_no_card(monkeypatch):
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    monkeypatch.setenv("PATH", str(Path("/nowhere")))
    assert devices.seen() == []
    with pytest.raises(ValueError, match="no graphics card"):
        devices.take([])


def test_a_lock_is_held_once_and_given_back_however_its_holder_ends(tmp_path):
    path = tmp_path / "running"
    code = "import sys, time; from metst_lib.app.devices import _hold; kept = _hold(sys.argv[1]); "
    asks = [sys.executable, "-c", code + "print(bool(kept), flush=True)", str(path)]
    first = devices._hold(path)
    assert subprocess.run(asks, capture_output=True, text=True).stdout == "False\n"
    first.close()
    asks[2] += "; time.sleep(60)"
    holder = subprocess.Popen(asks, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n" and devices._hold(path) is None
    holder.kill()
    holder.communicate()
    assert devices._hold(path)
