"""A set that the library does not know, from its reader to its tables: nothing else has to be told of it."""

from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner
from toyset import COLUMNS, TOY

from metst_lib import datasets, experiment, metrics
from metst_lib.app.cli import main
from metst_lib.datasets import registry
from metst_lib.experiment import plan, store

VIDEOS = {("anna", "1"): "spNO.1", ("anna", "2"): "spNO.2", ("bert", "1"): "spNO.3"}
"""Its videos, and the rendered ones whose frames they have."""
ROWS = (
    ("anna", "1", 112, 117, 121, "grief", "micro"),
    ("anna", "2", 69, 73, 76, "joy", "micro"),
    ("anna", "2", 124, 131, 138, "awe", "micro"),
    ("bert", "1", 62, 67, 76, "awe", "micro"),
    ("bert", "1", 112, 131, 160, "", "macro"),
    ("bert", "1", 230, 231, 300, "joy", "micro"),  # ends after the last frame
)


@pytest.fixture
def root(tiny_root, tmp_path, monkeypatch) -> Path:
    """A compendium folder with the toy set and nothing else."""
    monkeypatch.delenv("METST_FIGURES", raising=False)
    monkeypatch.setattr(registry, "_registered", {})
    datasets.register(TOY)
    rendered, folder = tiny_root / "data" / "synthetic", tmp_path / "data" / "toy"
    for (subject, video), source in VIDEOS.items():
        (folder / subject).mkdir(parents=True, exist_ok=True)
        (folder / subject / video).symlink_to(rendered / "data" / source / "a" / "color")
    (folder / "predictor.dat").symlink_to(next(rendered.glob("*.dat")))
    workbook = openpyxl.Workbook()
    for row in (COLUMNS, *ROWS):
        workbook.active.append(row)
    workbook.save(folder / "toy.xlsx")
    return tmp_path


def metst(*arguments):
    ended = CliRunner().invoke(main, [str(a) for a in arguments])
    assert ended.exit_code == 0, ended.output
    return " ".join(ended.output.split())


def test_a_set_is_run_from_its_reader_alone(root):
    audit = metst("data", "audit", "toy", "--root", root)
    assert "rows of micro-expressions" in audit and (root / "data" / "toy" / "audit.csv").is_file()

    assert "Flow of 3 of 3 videos" in metst("flow", "toy", "--root", root)
    config = experiment.configure("toy", "flow-magnitude", root=root)
    assert (config.preset, config.edition, config.settings.window) == ("demo", "toy", 30)
    assert experiment.folds(config) == ["anna", "bert"]

    assert metst("run", "toy", "flow-magnitude", "--root", root).count("spotting F1") == 2
    run = experiment.read_run(config)
    assert list(run.folds) == ["anna", "bert"] and run.lacking == []
    assert sum(len(events) for events in run.truth.values()) == 5  # the last one cut at the video's end
    assert run.scores() == metrics.evaluate(run.predicted, run.truth)

    metst("tables", "toy", "--root", root)
    folder = store.figures_folder(config)
    assert folder == root / "figures" / "toy" and len(list(folder.glob("table*.md"))) == 6
    for path in folder.glob("table*.md"):
        caption, *lines = path.read_text().splitlines()
        assert "SYNTHETIC" in caption
        header = next(line for line in lines if line.startswith("|"))
        ours = [cell for cell in header.split("|") if cell.strip().endswith(", ours")]
        assert ours and all("synthetic toy" in cell for cell in ours)
        if path.stem != "table5_differences":
            assert "- Synthetic data are puppets on strings" in path.read_text()
    line = next(
        x for x in (folder / "table1_spotting_f1.md").read_text().splitlines() if "flow magnitude (" in x
    )
    assert f"{run.scores().spotting.f1:.4f} [" in line

    trace = metst("trace", "--root", root, folder / "table1_spotting_f1.md")
    assert "toy, preset demo" in trace and "folds anna, bert" in trace
    metst("index", "toy", "--root", root)
    page = store.index_page(config).read_text()
    assert page.count("synthetic toy") > 2 and "Synthetic data: puppets on strings" in page


def test_its_workflow_has_a_job_for_each_fold_and_knows_its_chapters(root):
    found = plan.workflow("toy", root=str(root), variants="me-tst,me-tst-plus")
    assert found.rendered == [] and found.folds == ["anna", "bert"] and len(found.jobs) == 4
    assert [path.name for path in found.labels] == ["toy.xlsx"]
    assert found.model == [] and not any(name.startswith("07") for name in found.pages)
    assert list(found.to_extract) == ["me-tst", "me-tst-plus"]
