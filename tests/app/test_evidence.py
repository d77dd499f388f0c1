"""`metst evidence`: list, convert and check, with their exit statuses."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from metst_lib.app.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence"))

import layouts
import madeup


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    pack = madeup.write(tmp_path_factory.mktemp("pack"))
    return layouts.write(pack, tmp_path_factory.mktemp("clones"))


def test_the_list_names_each_repository_with_its_commit_licence_and_files():
    printed = metst("evidence", "list")
    assert "https://github.com/williamlee91/LGSNet\n  commit fb38eb2" in printed
    assert "licence: none stated" in printed and "-> metstplus_audit.csv" in printed


def test_changed_clones_are_refused_then_accepted_and_numbers_that_differ_end_in_status_1(clones, tmp_path):
    assert "--accept-changed" in metst("evidence", "convert", clones, "--out", tmp_path, code=1)
    printed = metst("evidence", "convert", clones, "--out", tmp_path, "--accept-changed")
    assert "15 of 15 files of the pack" in printed and "Warning: TJUMMG" in printed
    printed = metst("evidence", "check", tmp_path, code=1)
    assert "numbers that should be equal are not" in printed
    assert "Made of sources other than the known ones" in printed
    assert "Reported by a third party: ME-TST+" in printed


def test_missing_clones_are_named_and_end_in_status_1(tmp_path):
    (tmp_path / "clones").mkdir()
    printed = metst("evidence", "convert", tmp_path / "clones", "--out", tmp_path / "pack", code=1)
    assert "Missing: dma.csv: not there: TJUMMG/DMA-ME-Spotting" in printed and "0 of 15 files" in printed
    assert "makes the pack" in metst("evidence", "check", tmp_path / "pack", code=1)
