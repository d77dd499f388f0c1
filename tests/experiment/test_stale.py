"""What is stale: a change is made, all who can be asked name the same folds, and these are made again.

Asked are `metst tables`, the run that figures read, `metst plan`, `metst trace` of a table written before,
the explorer, and the workflow, in this process and as a dry run in its own.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner
from trials import SMALLEST, compendium, planned, shorten

from metst_lib import experiment
from metst_lib.app import explorer
from metst_lib.app.cli import main
from metst_lib.experiment import plan, store, variants
from metst_lib.synthetic import writer

HERE = Path(__file__).resolve()
SUBJECTS = ("spNO.1", "spNO.2", "spNO.3")
NAMES = ("flow-magnitude", "me-tst")
EVERY = {(variant, subject) for variant in NAMES for subject in SUBJECTS}


def config_of(root, variant="me-tst"):
    return experiment.configure("synthetic", variant, root=root)


# --- asking ---------------------------------------------------------------------------------------------


def metst(*arguments):
    """Exit status and words of a command, with all space made one."""
    ended = CliRunner().invoke(main, [str(a) for a in arguments])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.output
    return ended.exit_code, " ".join(ended.output.split())


def listed(text):
    """(variant, subject) of each "variant, seed 0: subject, subject"."""
    return {
        (variant, subject)
        for variant, subjects in re.findall(r"([\w-]+), seed 0:(?: stale:)? (spNO\.\d(?:, spNO\.\d)*)", text)
        for subject in subjects.split(", ")
    }


def by_tables(root):
    status, said = metst("tables", "synthetic", "--root", root)
    found = listed(said.partition("stale folds are left out of these tables:")[2])
    assert status == bool(found), said
    table = (store.figures_folder(config_of(root)) / "table1_spotting_f1.md").read_text()
    assert bool(found) == ("Folds that are stale" in table)
    for variant in NAMES:
        left = sum((variant, subject) not in found for subject in SUBJECTS)
        row = next(
            line for line in table.splitlines() if f"{experiment.VARIANTS[variant].title} (ours)" in line
        )
        assert (f"{left} of 3 folds" in row) == (left < 3), row
    return found


def by_figures(root):
    found = set()
    for variant in NAMES:
        run = experiment.read_run(config_of(root, variant))
        assert run.missing == [] and set(run.folds) | set(run.stale) == set(SUBJECTS)
        found |= {(variant, subject) for subject in run.stale}
        if run.stale:
            with pytest.raises(ValueError, match=f"stale: {', '.join(map(re.escape, run.stale))}$"):
                run.scores()
        else:
            assert run.scores().by_subject
    return found


def by_plan(root):
    folds = plan.make("synthetic", [0], NAMES, root=str(root)).folds
    assert (folds["missing"] == 0).all() and (folds["finished"] + folds["stale"] == 3).all()
    which = zip(folds["variant"], folds["which"], strict=True)
    return {(variant, subject) for variant, names in which for subject in filter(None, names.split(", "))}


def by_trace(root):
    status, said = metst("trace", "--root", root, root / "before" / "table3_analysis.md")
    lines = " ".join(re.findall(r"[\w-]+, seed 0: stale: [spNO., \d]+", said))
    assert status == bool(lines or "made again since" in said), said
    return listed(lines)


def by_explorer(root):
    found = set()
    for variant in NAMES:
        try:
            shown = explorer.explore(config_of(root, variant)).subjects
        except FileNotFoundError as error:
            assert "nothing to explore" in str(error)
            shown = []
        found |= {(variant, subject) for subject in SUBJECTS if subject not in shown}
    return found


def by_workflow(root):
    made = plan.workflow(root=str(root), variants=",".join(NAMES), folds_per_job=1)
    names, jobs = plan.stale(made), {job.name: job for job in made.jobs}
    return {(jobs[name].config.variant, *jobs[name].subjects) for name in names - {"flow"}}


ASKED = (by_tables, by_figures, by_plan, by_trace, by_explorer, by_workflow)


def stale(root):
    """The stale (variant, subject): who is asked must not matter."""
    answers = {ask.__name__: ask(root) for ask in ASKED}
    assert len({frozenset(found) for found in answers.values()}) == 1, answers
    return answers["by_figures"]


DRY = """
import sys
import pytest
from trials import SMALLEST, shorten
from metst_lib.app.cli import main
shorten(pytest.MonkeyPatch(), sizes=SMALLEST)
{before}
main(["workflow", *sys.argv[1:]])
"""


def dry_run(root, before=""):
    """The jobs that `metst workflow -n` would run, in a process of its own; before: Python run first."""
    settings = ["--config", f"root={root}", f"variants={','.join(NAMES)}", "folds_per_job=1", "--", "folds"]
    ended = subprocess.run(
        [sys.executable, "-c", DRY.format(before=before), "-n", "--cores", "1", *settings],
        cwd=root / "work",
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return planned(ended.stdout + ended.stderr)


def jobs(folds):
    return {f"{variant}_seed0_job{SUBJECTS.index(subject)}" for variant, subject in folds}


# --- a finished edition, and what is done to it ---------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tiny_root, tmp_path_factory):
    """Two variants with all folds, and their tables in a folder `before`."""
    root = compendium(tiny_root, tmp_path_factory.mktemp("finished") / "root")
    (root / "work").mkdir()
    for name in ("Snakefile", "notebooks"):
        (root / "work" / name).symlink_to(HERE.parents[2] / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("METST_FIGURES", raising=False)
        shorten(patch, sizes=SMALLEST)
        assert remake(root) == (EVERY, EVERY)
        assert by_tables(root) == set()
    (root / "figures" / "demo").rename(root / "before")
    return root


@pytest.fixture
def root(finished, tmp_path, monkeypatch):
    """A copy whose tables and flow are its own, but not its frames (`own_frames`)."""
    monkeypatch.delenv("METST_FIGURES", raising=False)
    shorten(monkeypatch, sizes=SMALLEST)
    root = shutil.copytree(finished, tmp_path / "root", symlinks=True)
    folder = root / "data" / "synthetic"
    there = folder.resolve()
    folder.unlink()
    shutil.copytree(there, folder, ignore=shutil.ignore_patterns("data", "truth"))
    for name in ("data", "truth"):
        (folder / name).symlink_to(there / name)
    return root


def remake(root):
    """Run what there is to run; the (variant, subject) that were fitted again, and those scored again."""

    def times(name):
        paths = {(variant, s): store.fold_folder(config_of(root, variant), s) / name for variant, s in EVERY}
        return {fold: path.exists() and path.stat().st_mtime_ns for fold, path in paths.items()}

    names = ("predictions.npz", "metrics.json")
    before = [times(name) for name in names]
    for variant in NAMES:
        experiment.run_folds(config_of(root, variant), SUBJECTS, progress=False)
    after = [times(name) for name in names]
    return tuple({fold for fold in EVERY if a[fold] != b[fold]} for a, b in zip(before, after, strict=True))


def relabel(root, book, sheet, row, column, by):
    """Move a number in a workbook."""
    path = root / "data" / "synthetic" / book
    workbook = openpyxl.load_workbook(path)
    cells = workbook[sheet]
    (place,) = [cell.column for cell in cells[1] if cell.value == column]
    cells.cell(row, place).value += by
    workbook.save(path)


def own_frames(root, subject):
    """The folder of a subject's frames, made a copy of its own."""
    folder = root / "data" / "synthetic" / "data"
    there = folder.resolve()
    folder.unlink()
    folder.mkdir()
    for path in there.iterdir():
        if path.name != subject:
            (folder / path.name).symlink_to(path)
    return shutil.copytree(there / subject, folder / subject) / "a" / "color"


def folder_of(root, variant, subject):
    return store.fold_folder(config_of(root, variant), subject)


# --- tests ----------------------------------------------------------------------------------------------


def test_nothing_is_stale_at_first_and_nothing_is_run_again(root):
    assert stale(root) == set()
    assert remake(root) == (set(), set())


def test_a_corrected_label_scores_its_own_fold_again_and_fits_all_others_again(root):
    relabel(root, writer.MICRO_BOOK, "label", 2, "Onset", -2)  # of spNO.1
    assert stale(root) == EVERY
    assert dry_run(root) == jobs(EVERY)
    fitted, scored = remake(root)
    assert scored == EVERY and fitted == {fold for fold in EVERY if fold[1] != "spNO.1"}
    assert stale(root) == set()
    (event,) = experiment.read_fold(config_of(root), "spNO.1").truth["spNO.1", "a"]
    assert event.length == 121 - 110 + 1


def test_labels_that_no_fold_reads_and_the_time_of_a_frame_make_nothing_stale(root):
    before = [video.events for video in experiment.load_data(config_of(root)).videos]
    relabel(root, writer.SECOND_BOOK, "eye blink", 2, "Offset", 3)
    relabel(root, writer.SECOND_BOOK, "AU+Emotion", 6, "Offset", 3)  # a macro-expression
    after = [video.events for video in experiment.load_data(config_of(root)).videos]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 2
    os.utime(own_frames(root, "spNO.2") / "100.jpg", (0, 0))
    assert stale(root) == set() == dry_run(root)
    assert metst("flow", "synthetic", "--root", root)[0] == 0
    assert remake(root) == (set(), set())


def test_a_frame_edited_in_place_makes_the_flow_of_its_video_stale_and_every_fold_with_it(root):
    folder = own_frames(root, "spNO.2")
    frame, other = folder / "100.jpg", folder / "130.jpg"
    frame.write_bytes(other.read_bytes())
    assert stale(root) == EVERY
    assert dry_run(root) == jobs(EVERY) | {"flow"}
    with pytest.raises(
        FileNotFoundError, match=r"flow of 1 videos .*first: spNO\.2 a.*make it with `metst flow"
    ):
        experiment.run_folds(config_of(root), ["spNO.1"], progress=False)
    assert metst("flow", "synthetic", "--root", root)[0] == 0
    assert remake(root) == (EVERY, EVERY)
    assert stale(root) == set()


def test_flow_files_that_were_swapped_are_noticed_and_made_again(root):
    videos = experiment.load_data(config_of(root)).videos
    first, last = (store.flow_path(config_of(root), videos[i]) for i in (0, -1))
    kept = first.rename(first.with_name("kept"))
    last.rename(first)
    kept.rename(last)
    assert stale(root) == EVERY
    assert dry_run(root) == jobs(EVERY) | {"flow"}
    assert metst("flow", "synthetic", "--root", root)[0] == 0
    assert stale(root) == set()  # the same flow again: every fold holds as it is
    assert remake(root) == (set(), set())


def test_a_fold_under_the_name_of_another_subject_is_none_of_its(root):
    shutil.rmtree(folder_of(root, "me-tst", "spNO.2"))
    shutil.copytree(folder_of(root, "me-tst", "spNO.1"), folder_of(root, "me-tst", "spNO.2"))
    check(root, {("me-tst", "spNO.2")})


def test_a_variant_that_was_changed_is_stale_and_no_other(root, monkeypatch):
    changed = dataclasses.replace(variants.VARIANTS["flow-magnitude"], result_synergy=True)
    monkeypatch.setitem(variants.VARIANTS, "flow-magnitude", changed)
    before = """
import dataclasses
from metst_lib.experiment.variants import VARIANTS
VARIANTS["flow-magnitude"] = dataclasses.replace(VARIANTS["flow-magnitude"], result_synergy=True)"""
    expected = {("flow-magnitude", subject) for subject in SUBJECTS}
    check(root, expected, before, fitted=set())  # a rule acts after the fit


def test_a_preset_that_was_changed_makes_what_it_trains_stale(root, monkeypatch):
    shorten(monkeypatch, epochs=1)
    before = "shorten(pytest.MonkeyPatch(), epochs=1)"
    check(root, {("me-tst", subject) for subject in SUBJECTS}, before)


def test_a_record_that_lacks_a_field_is_none(root):
    lacking = {"config.json": ("me-tst", "spNO.3"), "metrics.json": ("flow-magnitude", "spNO.2")}
    for name, field in (("config.json", "files"), ("metrics.json", "half_width")):
        path = folder_of(root, *lacking[name]) / name
        record = json.loads(path.read_text())
        del record[field]
        path.write_text(json.dumps(record))
    check(root, set(lacking.values()), fitted={lacking["config.json"]})


def test_a_record_that_vouches_for_nothing_is_none(root):
    of = {"config.json": ("me-tst", "spNO.1"), "metrics.json": ("flow-magnitude", "spNO.3")}
    for name, fold in of.items():
        path = folder_of(root, *fold) / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))
    path = folder_of(root, "me-tst", "spNO.2") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"spent": {}}))
    fitted = {of["config.json"], ("me-tst", "spNO.2")}
    check(root, {*of.values(), *fitted}, fitted=fitted)


def test_what_was_fitted_while_a_label_was_corrected_is_not_kept(root):
    shutil.rmtree(folder_of(root, "me-tst", "spNO.2"))
    before = experiment.flows.whole_inputs(config_of(root))
    relabel(root, writer.MICRO_BOOK, "label", 2, "Onset", -2)
    with pytest.raises(RuntimeError, match="labels or flow changed while this ran: run it again"):
        experiment.run_fold(config_of(root), "spNO.2", before)
    assert ("me-tst", "spNO.2") in remake(root)[0]


def test_tables_of_some_variants_do_not_mind_the_others(root):
    relabel(root, writer.MICRO_BOOK, "label", 2, "Onset", -2)
    experiment.run_folds(config_of(root), SUBJECTS, progress=False)
    assert metst("tables", "synthetic", "--root", root, "--variants", "me-tst")[0] == 0
    status, said = metst("tables", "synthetic", "--root", root, "--variants", "me-tst,flow-magnitude")
    assert status == 1 and listed(said) == {("flow-magnitude", subject) for subject in SUBJECTS}


def test_a_record_of_an_older_form_is_none(root):
    folder = folder_of(root, "flow-magnitude", "spNO.1")
    record, scored = (json.loads((folder / name).read_text()) for name in ("config.json", "metrics.json"))
    made_with, spent = record.pop("made_with"), record.pop("spent")
    (folder / "config.json").write_text(json.dumps(record | made_with | spent | {"inputs": "bc1979f9e62c"}))
    scores, counts = scored.pop("scores"), {"tp": 1, "fp": 2, "fn": 0, "f1": 0.5}
    scored |= {"scorer": scores["scorer"], "spotting": counts, "recognition": counts, "strs": 0.25}
    (folder / "metrics.json").write_text(json.dumps(scored))
    check(root, {("flow-magnitude", "spNO.1")})


def check(root, expected, before="", fitted=None):
    """These folds are stale by all accounts, they and no others are made again, and none is stale then."""
    assert stale(root) == expected
    assert dry_run(root, before) == jobs(expected)
    assert remake(root) == (expected if fitted is None else fitted, expected)
    assert stale(root) == set()
