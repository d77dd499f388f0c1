"""The page "A set of your own": what stands there is run as it stands there."""

import os
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from metst_lib import datasets, experiment
from metst_lib.app.cli import main
from metst_lib.datasets import registry
from metst_lib.experiment import plan

PAGE = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## A set of your own\n")[1].split("\n## ")[0]


def blocks(heading):
    """(language, text) of each fenced block below a heading of the section, in order."""
    below = SECTION.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", below, flags=re.M | re.S)


@pytest.fixture(scope="module")
def at_home(tiny_root, tmp_path_factory):
    """A folder to type in, in which the synthetic set of the page is rendered already; what was printed."""
    home = tmp_path_factory.mktemp("home")
    (home / "try" / "data").mkdir(parents=True)
    (home / "try" / "data" / "synthetic").symlink_to(tiny_root / "data" / "synthetic")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PWD", str(home))
        for name in ("METST_ROOT", "METST_LANDMARKS"):
            patch.setenv(name, "")
        patch.delenv("METST_FIGURES", raising=False)
        patch.setitem(experiment.VARIANTS, "me-tst", experiment.VARIANTS["me-tst"])
        printed = {}
        for language, text in blocks("Ten rows, three videos, one table"):
            if language == "python":
                exec(text, {})
            elif language == "text":
                assert len(text.splitlines()) == 1 + 10
                Path("try/data/mine/labels.csv").write_text(text)
            else:
                printed |= {line: typed(line, patch) for line in text.splitlines()}
        yield printed


def typed(line, patch):
    """What a line of a shell prints: of metst, export and cat, which is all that the page uses."""
    command, *words = os.path.expandvars(line).replace('"first try"', "first_try").split()
    if command == "export":
        patch.setenv(*words[0].split("=", 1))
        return ""
    if command == "cat":
        return Path(words[0]).read_text()
    assert command == "metst", line
    ended = CliRunner().invoke(main, words)
    assert ended.exit_code == 0, (line, ended.output)
    return " ".join(ended.output.split())


def test_ten_rows_and_three_videos_go_through_to_table_i(at_home):
    assert "the same event as in row 2" in at_home["metst data audit mine"]
    assert "Flow of 3 of 3 videos" in at_home["metst flow mine --variant flow-magnitude"]
    folds = at_home["metst run mine flow-magnitude --subject anna,bert"]
    assert folds.count("spotting F1") == 2 and "cleo" not in folds
    table = at_home["cat try/figures/mine/table1_spotting_f1.md"]
    assert "SYNTHETIC" in table and "synthetic first_try" in table and "one face, moved by a program" in table
    assert re.search(r"flow magnitude .*cleo|cleo.*flow magnitude|2 of 3 folds", table)
    found = datasets.load("mine", experiment.home() / "data")
    assert [len(video.events) for video in found.videos] == [2, 4, 3] and found.subjects == [
        "anna",
        "bert",
        "cleo",
    ]


def test_its_workflow_has_a_job_for_each_fold(at_home):
    made = plan.workflow("mine", variants="flow-magnitude,me-tst")
    assert made.folds == ["anna", "bert", "cleo"] and len(made.jobs) == 6 and made.rendered == []
    assert [path.name for path in made.labels] == ["labels.csv", "set.toml"]


def test_changed_settings_change_the_set_at_once(at_home):
    config = experiment.configure("mine", "flow-magnitude")
    path = config.places.data / "mine" / "set.toml"
    before = path.read_text()
    try:
        path.write_text(before.replace("window = 30", "window = 40"))
        assert experiment.configure("mine", "flow-magnitude").settings.window == 40
    finally:
        path.write_text(before)
    assert experiment.configure("mine", "flow-magnitude").settings.window == 30


def test_the_variant_of_the_page_is_run(at_home, capsys, monkeypatch):
    monkeypatch.setattr(experiment.variants, "VARIANTS", experiment.VARIANTS)
    [(language, code)] = blocks("A variant of your own")
    space = {}
    try:
        exec(code, space)
    finally:
        experiment.VARIANTS.pop("flow-magnitude-low", None)
    assert language == "python" and "tp=" in capsys.readouterr().out
    assert space["scores"].spotting.tp + space["scores"].spotting.fn == 1  # anna has one


def test_the_reader_of_the_page_reads_and_its_entry_point_is_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    code, brought = (text for _, text in blocks("A reader of your own"))
    exec(code, {})
    folder = tmp_path / "clips"
    for subject, clip in (("anna", "1"), ("bert", "2")):
        (folder / "frames" / subject / clip).mkdir(parents=True)
    rows = [["anna", 1, 3, 9, "joy"], ["bert", 2, 4, 8, "grief"], ["bert", 2, 14, 8, "grief"]]
    table = pd.DataFrame(rows, columns=["who", "clip", "from", "to", "felt"])
    table.to_csv(folder / "clips.csv", index=False)
    with pytest.raises(ValueError, match=r"clips.csv, row 4, column 'from': onset 14 lies after offset 8"):
        datasets.read_annotations("clips", folder / "clips.csv")
    found, log = datasets.read_annotations("clips", folder / "clips.csv", bad_rows="drop")
    assert found["emotion"].tolist() == ["positive", "negative"] and log["row"].tolist() == [4]
    assert set(datasets.reader_of("clips").locate(folder, [])) == {("anna", "1"), ("bert", "2")}
    points = tomllib.loads(brought)["project"]["entry-points"][registry.GROUP]
    assert list(points) == ["clips"] and registry.EntryPoint("clips", points["clips"], registry.GROUP).attr
