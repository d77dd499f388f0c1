"""The command line: each command does its work, and bad input ends in one line, not in a traceback."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from trials import lists, texts

from metst_lib import experiment, synthetic
from metst_lib.app.cli import main


def metst(*arguments, code=0):
    """What a command printed, once it has ended with the expected exit status."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_whole_set_passes_the_check_and_an_empty_folder_does_not(tiny_root, tmp_path):
    assert "NO" not in metst("data", "check", "synthetic", "--root", tiny_root)
    empty = metst("data", "check", "casme3", "--root", tmp_path, code=1)
    assert "NO" in empty and "data/README.md says how to apply" in empty.replace("\n", " ")


def test_the_audit_is_printed_and_saved_row_by_row(tiny_root, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(tiny_root / "data" / "synthetic")
    printed = metst("data", "audit", "synthetic", "--root", tmp_path)
    assert "rows of micro-expressions" in printed
    assert list(pd.read_csv(tmp_path / "data" / "synthetic" / "audit.csv").columns)[:4] == [
        "table",
        "row",
        "action",
        "reason",
    ]


def test_a_rendered_set_is_left_as_it_is_and_another_is_refused(tiny_root):
    same = ("--subjects", 3, "--videos", 1, "--seconds", 8)
    assert "lies in" in metst("data", "synth", "--root", tiny_root, *same)
    assert "other settings" in metst("data", "synth", "--root", tiny_root, "--seed", 7, code=1)


def test_the_defaults_of_the_command_are_those_of_the_library(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(synthetic, "write", lambda root, **settings: asked.update(settings) or root)
    metst("data", "synth", "--root", tmp_path)
    assert asked == {"jobs": 2, "overwrite": False}
    assert len(synthetic.plan()) == 16


def test_folds_tables_and_the_page_from_the_command_line(tiny_root):
    assert "Flow of 3 of 3 videos" in metst("flow", "synthetic", "--root", tiny_root)
    assert metst("run", "synthetic", "flow-magnitude", "--root", tiny_root).count("spotting F1") == 3
    assert "table3_analysis.md" in metst("tables", "synthetic", "--root", tiny_root)
    page = tiny_root / "data" / "runs" / "synthetic" / "notebooks" / "some chapter.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<p>a page</p>")
    assert "index.html" in metst("index", "synthetic", page, "--root", tiny_root)
    index = (tiny_root / "data" / "runs" / "synthetic" / "index.html").read_text()
    assert "Synthetic data" in index and "some chapter" in index and "flow magnitude (ours)" in index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("flow", "bogus"), "unknown data set 'bogus'"),
        (("run", "synthetic", "bogus"), "unknown variant 'bogus'"),
        (("run", "synthetic", "me-tst", "--subject", "x"), "no fold 'x'; known: spNO.1"),
        (("run", "synthetic", "me-tst", "--preset", "x"), "unknown preset 'x'"),
        (("data", "check", "bogus"), "unknown data set 'bogus'"),
        (("data", "check", "casme3-rehearsal"), "metst data check casme3"),
    ],
)
def test_bad_input_is_answered_in_one_line(tiny_root, arguments, message):
    printed = metst(*arguments, "--root", tiny_root, code=1)
    assert printed.startswith("Error: ") and message in printed and "Traceback" not in printed


def test_plan_and_its_former_name_say_what_is_left(tiny_root):
    printed = metst("plan", "synthetic", "--root", tiny_root, "--seeds", 2, "--jobs", 3)
    assert "57 of 60 folds are missing, about" in printed and "with 3 at once" in printed
    assert printed.count("estimated") == 16  # eight trainings, two seeds
    assert "folds are missing, about" in metst("cost", "synthetic", "--root", tiny_root)


def test_steps_of_a_fold_are_those_that_training_takes(tiny_root):
    from metst_lib.experiment import plan

    config = experiment.configure(root=tiny_root)
    data = experiment.load_data(config)
    windows, steps = plan.fold_size(config)
    counted = [
        experiment.fit(config, [v for v in data.videos if v.subject != s]).statistics["windows"]
        for s in data.subjects
    ]
    assert min(counted) - 1 <= windows <= max(counted) + 1
    assert steps == config.recipe.training.epochs * -(-windows // config.recipe.training.batch)


def test_a_model_is_trained_and_a_video_analysed_with_it(tiny_root, tmp_path):
    trained = metst("train", "synthetic", "me-tst", "--root", tiny_root)
    model = tiny_root / "data" / "models" / "synthetic" / "me-tst.npz"
    assert "trained on 3 videos" in trained and model.is_file()
    folder = tiny_root / "data" / "synthetic" / "data" / "spNO.2" / "a" / "color"
    few = tmp_path / "frames"
    few.mkdir()
    for path in sorted(folder.iterdir(), key=lambda path: int(path.stem))[:60]:
        (few / path.name).write_bytes(path.read_bytes())
    (tmp_path / "empty.mp4").write_bytes(b"")
    options = ("--root", tiny_root, "--model", model)
    printed = metst("analyze", few, "--fps", 30, "--out", tmp_path / "my", *options)
    assert "reported in 2.0 s" in printed and "Note: Landmarks come from the demonstration" in printed
    assert f"Page to open: {tmp_path / 'my' / 'report.html'}" in printed
    assert "Limits of every result:\n- The model was trained on synthetic data" in printed
    assert (tmp_path / "my" / "report.html").is_file() and "it/s" not in printed
    two = metst("analyze", few, tmp_path / "empty.mp4", "--out", tmp_path / "both", *options, code=1)
    assert "empty.mp4 is empty: a file of 0 bytes" in two and "1 of 2 videos could not be analysed" in two
    assert (tmp_path / "both" / "frames" / "events.csv").is_file()
    refused = metst("analyze", few, "--out", tmp_path, *options, code=1)
    assert "would be lost: choose another --out" in refused


def test_without_a_model_it_says_how_one_is_made(tiny_root, tmp_path):
    model = ("--model", tmp_path / "none.npz")
    printed = metst(
        "analyze", tmp_path / "my.mp4", "--out", tmp_path / "my", "--root", tiny_root, *model, code=1
    )
    assert "no model at" in printed and "`make demo` the demonstration's" in printed
    assert "Missing option '--out'" in metst("analyze", "my.mp4", code=2)


def test_a_finished_run_is_shared_without_names_and_compared_with_itself(tiny_root, tmp_path):
    metst("run", "synthetic", "flow-magnitude", "--root", tiny_root)
    path = tmp_path / "pack.json"
    printed = metst("share", "synthetic", "flow-magnitude", "--root", tiny_root, "--out", path)
    assert "SYNTHETIC data" in printed and "Licence of the data" in printed and str(path) in printed
    assert "hash" in metst("share", "synthetic", "flow-magnitude", "--root", tiny_root)
    (usual,) = (tiny_root / "data" / "runs" / "synthetic" / "shared").glob("*.json")
    assert usual.read_bytes() == path.read_bytes()
    content = json.loads(path.read_text())
    (seed,) = content["seeds"].values()
    assert len(seed["by_video"]) == 3 == max(map(len, lists(content).values()))
    assert len(seed["made_with"]) == 1 and seed["made"] and {"labels", "flow"} < set(content["inputs"])
    assert not [text for text in texts(content) if "spNO" in text or str(tiny_root) in text]
    assert "differs" not in metst("compare", path, path).split("Rule: ")[0]
    none = metst("share", "synthetic", "me-tst", "--root", tiny_root, "--seeds", 2, code=1)
    assert "Error: me-tst, seed 0: 0 of 3 folds are there" in none
