"""Files are whole or absent."""

import json
import os
import subprocess
import sys

import pytest

from metst_lib._files import atomic, digest, hold, sweep, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_under_its_name_only_when_whole(tmp_path):
    path = tmp_path / "deep" / "scores.npz"
    with atomic(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".npz"
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["scores.npz"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="disk full"), atomic(path) as temporary:
        temporary.write_text("half a new o")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_before_the_first_file_leaves_none(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "a.txt"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    with atomic(tmp_path / "predictions.npz") as temporary:
        left = temporary.name
    for name in (left, ".gitignore", ".hidden.txt", "a.abcdefgh.npz"):
        (tmp_path / name).write_text("x")
    sweep(tmp_path)  # just written: may be somebody's work
    assert left in names(tmp_path)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    sweep(tmp_path)
    assert names(tmp_path) == [".gitignore", ".hidden.txt", "a.abcdefgh.npz", "predictions.npz"]


def test_the_file_may_be_read_by_others_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_json_keeps_order_and_letters_and_refuses_nan(tmp_path):
    path = write_json(tmp_path / "a.json", {"z": 1, "a": ["é", None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"z": 1, "a": ["é", None]}
    assert path.read_text(encoding="utf-8").index('"z"') < path.read_text(encoding="utf-8").index('"a"')
    assert "é" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"f1": float("nan")})
    assert names(tmp_path) == ["a.json"]


def test_equal_settings_share_a_key_whatever_their_order():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest("a", "b") != digest("ab")
    assert len(digest()) == 12 and int(digest("x"), 16) >= 0
    # Written down, so that a change of the key (which orphans every cached file) cannot pass unseen.
    assert digest({"window": 50}) == "d765eee4cb08"


def test_a_lock_is_held_once_and_given_back_however_its_holder_ends(tmp_path):
    path = tmp_path / "deep" / "running"
    code = "import sys, time; from metst_lib._files import hold; kept = hold(sys.argv[1]); "
    asks = [sys.executable, "-c", code + "print(bool(kept), flush=True)", str(path)]
    first = hold(path)
    assert subprocess.run(asks, capture_output=True, text=True).stdout == "False\n"
    first.close()
    asks[2] += "; time.sleep(60)"
    holder = subprocess.Popen(asks, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n" and hold(path) is None
    holder.kill()
    holder.communicate()
    assert hold(path)
