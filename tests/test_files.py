"""Files are whole or absent."""

import json
import os

import numpy as np
import pytest

from metst_lib._files import atomic, digest, read_json, read_npz, sha256, sweep, write_json, write_text


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


def test_json_that_is_no_object_is_damaged_and_named(tmp_path):
    path = write_json(tmp_path / "a.json", {"z": 1})
    assert read_json(path) == {"z": 1}
    for content in ("", "{", "[1]", '"z"'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"a\.json is damaged"):
            read_json(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")


def test_arrays_come_back_whole_or_the_file_is_named_for_what_it_is_not(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, score=np.arange(99.0), flags=np.zeros(2, bool), more=np.ones(1))
    read = read_npz(path, "score flags", "a record")
    assert list(read) == ["score", "flags"] and read["score"].tolist() == list(range(99))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[300] ^= 1  # in the numbers
    unpacked = bytearray(whole)
    unpacked[whole.index(b"PK\1\2") + 10] = 99  # a compression that zipfile does not know
    for content in (b"", b"text", whole[:200], whole[:-1], bytes(flipped), bytes(unpacked)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz is not a record, or not a whole one .* make it anew"):
            read_npz(path, "score flags", "a record")
    np.savez(path, score=np.array([{}], dtype=object))
    for names in ("score", "gone"):  # pickled, and not there
        with pytest.raises(ValueError, match=r"a\.npz is not a record"):
            read_npz(path, names, "a record")


def test_a_files_hash_is_that_of_its_bytes(tmp_path):
    path = write_text(tmp_path / "a.txt", "abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
