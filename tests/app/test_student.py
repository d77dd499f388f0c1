"""Student copies: what is cut out, what is refused, and that stubs fail and solutions pass."""

from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from metst_lib.app import cli, student

ANSWER = """\
def iou(both, either):
    ### BEGIN SOLUTION
    return both / either
    ### END SOLUTION"""
CHECK = "# NBVAL_CHECK_OUTPUT\nassert iou(1, 2) == 0.5\nprint('right')"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def book(*sources: str):
    """A notebook of these cells; one that begins with "# " is text, but for nbval's mark."""
    cells = []
    for i, source in enumerate(sources):
        text = source.startswith("# ") and not source.startswith("# NBVAL")
        cells.append((new_markdown_cell if text else new_code_cell)(source, id=f"cell-{i}"))
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


@pytest.fixture
def complete():
    made = book("import os", "# 1 · Half of the union", ANSWER, CHECK)
    for n, cell in enumerate((c for c in made.cells if c.cell_type == "code"), start=1):
        cell.execution_count = n
        cell.outputs = [new_output("stream", name="stdout", text="both / either is 0.5\n")]
    made.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"answer": 0.5}}}
    return made


def test_a_solution_becomes_a_stub_that_is_indented_like_it():
    assert student.cut(ANSWER) == ("def iou(both, either):\n    # Your answer here\n    ...")
    twice = "a = 1\n### BEGIN SOLUTION\nb = 2\n### END SOLUTION\nc = 3\n" + ANSWER
    assert student.cut(twice).count("Your answer here") == 2
    assert "b = 2" not in student.cut(twice) and "c = 3" in student.cut(twice)


def test_a_cell_without_markers_stays_as_it_is():
    assert student.cut(CHECK) == CHECK


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("### BEGIN SOLUTION\nx = 1", "'### BEGIN SOLUTION' without an '### END SOLUTION' after it"),
        ("x = 1\n### END SOLUTION", "'### END SOLUTION' without a '### BEGIN SOLUTION' before it"),
        (ANSWER + "\n### END SOLUTION", "'### END SOLUTION' without a '### BEGIN SOLUTION' before it"),
        ("### BEGIN SOLUTION\n" + ANSWER, "a second '### BEGIN SOLUTION' inside a solution"),
        ("## BEGIN SOLUTION\nx = 1", "'## BEGIN SOLUTION' is no marker"),
        ("### begin solution\nx = 1\n### end solution", "'### begin solution' is no marker"),
        ("x = 1  ### BEGIN SOLUTION", "is no marker: write '### BEGIN SOLUTION'"),
    ],
)
def test_wrong_markers_are_errors_that_name_notebook_and_cell(source, message):
    with pytest.raises(ValueError, match=message):
        student.cut(source)
    with pytest.raises(ValueError, match=f"^05_some, cell cell-1: .*{message}"):
        student.copy(book("import os", source, CHECK), "05_some")


def test_markers_in_a_text_cell_are_an_error():
    with pytest.raises(ValueError, match="a, cell cell-0: solution markers in a markdown cell"):
        student.copy(book("# Text\n" + ANSWER, CHECK), "a")


@pytest.mark.parametrize("after", [["print(1)"], [], [ANSWER, CHECK]])
def test_an_exercise_without_a_check_is_an_error(after):
    with pytest.raises(ValueError, match="a, cell cell-0: no cell with an assertion after this exercise"):
        student.copy(book(ANSWER, *after), "a")


def test_a_copy_holds_no_solution_no_output_and_no_widget_state(complete):
    before = nbformat.writes(complete)
    made = student.copy(complete, "a")
    nbformat.validate(made)
    text = nbformat.writes(made)
    assert "both / either" not in text and "widget" not in text and "NBVAL" not in text
    assert [cell.execution_count for cell in made.cells if cell.cell_type == "code"] == [None] * 3
    assert made.cells[0].source == "import os" and made.cells[3].source == CHECK.split("\n", 1)[1]
    assert nbformat.writes(complete) == before  # the complete one stays as it is


def test_only_the_check_is_locked(complete):
    locked = [cell.metadata.get("editable") is False for cell in student.copy(complete, "a").cells]
    assert locked == [False, False, False, True]


@pytest.mark.parametrize("heading", ["## 2 · A *b*", "### 2 · A *b*", "**2 · A *b*.** Compute it."])
def test_an_exercise_is_called_as_its_text_calls_it(heading):
    (found,) = student.exercises(book("# 1 · Before", "# Exercises\n\n" + heading, ANSWER, CHECK), "a")
    assert (found.title, found.answer, found.check) == ("2 · A *b*", 2, 3)


def test_trying_out_tells_good_exercises_from_bad_ones():
    """One kernel: a good exercise, a check that no answer passes too, a wrong solution, cells that break."""
    made = book(
        *("x = 1", "# 1 · Good", ANSWER, CHECK),
        *("# 2 · Checks nothing", ANSWER, "assert x == 1"),
        *("# 3 · Wrong solution", ANSWER.replace("iou", "half"), "assert half(1, 3) == 0.5"),
        *("# 4 · A name to define", "### BEGIN SOLUTION\ny = 2\n### END SOLUTION", "assert y == 2"),
        *("# 5 · Check broken", ANSWER, "assert open('nowhere') or iou(1, 2)"),
        *("# 6 · Runs only if called", ANSWER, "assert iou(1, 2) != 1"),
        *("# 7 · Stub broken", ANSWER + "\nz = 1 + iou(1, 2)", CHECK),
        "1 / 0",
    )
    found = {o.exercise: o for o in student.try_out(made, "a")}
    assert found["1 · Good"] == student.Outcome("a", "1 · Good", "fails", "passes", True)
    assert found["2 · Checks nothing"] == student.Outcome(
        "a", "2 · Checks nothing", "PASSES", "passes", False
    )
    assert found["3 · Wrong solution"].with_solution == "FAILS: AssertionError"
    assert not found["3 · Wrong solution"].ok
    assert found["4 · A name to define"].ok
    assert found["5 · Check broken"].with_solution.startswith("FAILS: FileNotFoundError")
    assert found["6 · Runs only if called"].without_answer == "PASSES"  # None is not 1, either
    assert found["7 · Stub broken"].without_answer.startswith("STUB BREAKS: TypeError")
    assert found["all other cells"].without_answer == "FAILS: cell-22: ZeroDivisionError: division by zero"
    assert not found["all other cells"].ok


def test_the_command_writes_copies_that_passed(complete, tmp_path):
    path = tmp_path / "01_a.ipynb"
    nbformat.write(complete, path)
    done = CliRunner().invoke(cli.main, ["student", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "1 · Half of the union" in done.output and "1 exercises of 1 notebooks tried" in done.output
    assert nbformat.read(tmp_path / "out" / "01_a.ipynb", 4).cells[2].source == student.cut(ANSWER)
    assert "Your answer here" in (tmp_path / "out" / "README.md").read_text()


def test_the_command_writes_nothing_where_a_check_is_empty(complete, tmp_path):
    complete.cells[3].source = "assert iou"
    path = tmp_path / "01_a.ipynb"
    nbformat.write(complete, path)
    done = CliRunner().invoke(cli.main, ["student", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "PASSES" in done.output and "no copies are written" in done.output
    assert not (tmp_path / "out").exists()


def test_the_command_never_overwrites_the_complete_notebooks(complete, tmp_path):
    path = tmp_path / "01_a.ipynb"
    nbformat.write(complete, path)
    before = path.read_bytes()
    done = CliRunner().invoke(cli.main, ["student", str(path), "--no-check", "--out", str(tmp_path)])
    assert done.exit_code == 1 and "holds the complete notebooks" in done.output
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_copies_of_all_notebooks_can_be_made(tmp_path):
    paths = sorted(Path(student.FOLDER).glob("[0-9]*.ipynb"))
    for written in student.write(paths, tmp_path):
        made = nbformat.read(written, 4)
        nbformat.validate(made)
        assert "SOLUTION" not in written.read_text()
        assert all(not cell.outputs for cell in made.cells if cell.cell_type == "code")
