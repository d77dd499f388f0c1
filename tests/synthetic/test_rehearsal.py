"""A rehearsal: the annotations of a real set, acted out by signals, trained and scored."""

import dataclasses
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from metst_lib import datasets, experiment
from metst_lib.app import cli
from metst_lib.experiment import flows, store
from metst_lib.synthetic import rehearsal
from metst_lib.synthetic.reader import REHEARSAL

sys.path.append(str(Path(__file__).parents[1] / "datasets"))
import lookalikes


@pytest.fixture
def owners(tmp_path):
    """A folder with look-alike workbooks and the videos' frame ranges, as the owners' tables lie."""
    folder = tmp_path / "owners"
    lookalikes.casme3(folder)
    rows = [f"{s},{v},{first},{last}" for (s, v), (first, last) in lookalikes.CASME3_FIRST_LAST.items()]
    (folder / REHEARSAL.ranges).write_text("subject,video,first_jpg,last_jpg\n" + "\n".join(rows) + "\n")
    return folder


def test_a_rehearsal_is_written_trained_and_scored_by_the_command_line(owners, tmp_path, monkeypatch):
    root = tmp_path / "compendium"
    small = {"METST": {"dim": 8, "depth": 1, "d_state": 4}}
    preset = ("casme3-rehearsal", "paper")
    monkeypatch.setitem(
        experiment.PRESETS, preset, dataclasses.replace(experiment.PRESETS[preset], sizes=small)
    )
    call = ["data", "rehearse", "casme3", "--tables", str(owners), "--root", str(root), "--roi-set", "both"]
    result = CliRunner().invoke(cli.main, call)
    assert result.exit_code == 0, result.output
    assert result.output.count("SYNTHETIC signals of 4 videos, 28 windows") == 2
    config = experiment.configure("casme3-rehearsal", root=root)
    assert config.reader.synthetic
    stored = experiment.load_flow(config, experiment.load_data(config).videos)
    assert {flow.window for flow in stored.values()} == {50}
    call = ["run", "casme3-rehearsal", "me-tst", "--subject", "spNO.1", "--epochs", "1", "--root", str(root)]
    result = CliRunner().invoke(cli.main, call)
    assert result.exit_code == 0, result.output
    assert "spNO.1: spotting F1" in result.output
    short = dataclasses.replace(config, epochs=1)
    assert short.edition == "casme3-rehearsal-1epochs"
    assert experiment.read_fold(short, "spNO.1").history["epoch"].tolist() == [1]


def test_flow_of_a_rehearsal_is_made_again_only_when_its_annotations_change(owners, tmp_path):
    data = tmp_path / "data"
    rehearsal.write("casme3", data, owners)
    config = experiment.configure("casme3-rehearsal", root=tmp_path)
    flows._load.cache_clear()
    first = experiment.prepare(config, progress=False)
    paths = sorted(store.flow_folder(config).glob("*.npz"))
    times = [path.stat().st_mtime_ns for path in paths]
    assert experiment.prepare(config, progress=False) == first
    assert [path.stat().st_mtime_ns for path in paths] == times
    rows = [[*lookalikes.CASME3_MICRO[0][:2], "90", "95", "102", "4", "VII", "disgust"]]
    lookalikes.casme3(owners, micro=lookalikes.CASME3_MICRO[1:] + rows)
    rehearsal.write("casme3", data, owners)
    flows._load.cache_clear()
    assert experiment.prepare(config, progress=False) != first


def test_without_ranges_the_frames_on_disk_are_counted(tmp_path):
    lookalikes.casme3(tmp_path / "casme3")
    lookalikes.casme3_frames(tmp_path / "casme3", {("spNO.1", "a"): (8, 107)})
    folder = rehearsal.write("casme3", tmp_path)
    assert (folder / REHEARSAL.ranges).read_text().splitlines()[1:] == ["spNO.1,a,8,107"]
    (video,) = datasets.load("casme3-rehearsal", tmp_path, subjects=["spNO.1"]).videos
    assert (video.n_frames, video.source) == (100, None)


def test_bad_input_of_a_rehearsal_is_named(tmp_path):
    with pytest.raises(ValueError, match="no rehearsal of 'sammlv'; known: casme3"):
        rehearsal.write("sammlv", tmp_path)
    with pytest.raises(FileNotFoundError, match="no table of CAS"):
        rehearsal.write("casme3", tmp_path, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="metst data rehearse casme3"):
        datasets.load("casme3-rehearsal", tmp_path)
