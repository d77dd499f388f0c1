"""The notebook runner: parameters checked, types kept, tracebacks kept, parallel runs apart."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from metst_lib.app import notebook

PARAMETERS = """\
subject: str = "spNO.3"  # a fold
seed: int = 0  # of everything random
rate: float = 0.5  # a number
fast: bool = False  # a switch
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A notebook that prints its parameters and fails for seed 13."""
    cell = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    body = nbformat.v4.new_code_cell("print([subject, seed, rate, fast])\nassert seed != 13, 'unlucky'")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=[cell, body], metadata={"kernelspec": kernel})
    path = tmp_path / "made.ipynb"
    nbformat.write(book, path)
    return path


def outputs(path: Path) -> str:
    cells = nbformat.read(path, 4).cells
    return "".join(o.get("text", "") for c in cells for o in c.get("outputs", []))


def test_values_keep_the_type_that_the_notebook_declares(made):
    given = {"subject": "006", "seed": "7", "rate": "1", "fast": "True"}
    assert notebook.convert(made, given) == {"subject": "006", "seed": 7, "rate": 1.0, "fast": True}
    assert type(notebook.convert(made, given)["rate"]) is float


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bogus", "1", "has no parameter 'bogus'; it has: subject, seed, rate, fast"),
        ("seed", "one", "parameter 'seed' is of type int, not 'one'"),
        ("fast", "yes", "parameter 'fast' is true or false, not 'yes'"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(made, name, text, message):
    with pytest.raises(ValueError, match=message):
        notebook.convert(made, {name: text})


def test_a_notebook_without_parameters_cell_is_refused(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "a.ipynb")
    with pytest.raises(ValueError, match="no cell tagged 'parameters'"):
        notebook.parameters_of(tmp_path / "a.ipynb")
    with pytest.raises(FileNotFoundError, match=r"no notebook .*b\.ipynb"):
        notebook.parameters_of(tmp_path / "b.ipynb")


def test_a_failed_run_leaves_the_notebook_with_its_traceback(made, tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "metst_lib.app.notebook", str(made), str(out), "-p", "seed", "13"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "AssertionError: unlucky" in result.stderr
    errors = [
        o for c in nbformat.read(out, 4).cells for o in c.get("outputs", []) if o.output_type == "error"
    ]
    assert [e.ename for e in errors] == ["AssertionError"]


def test_the_command_refuses_an_unknown_parameter_before_running(made, tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "metst_lib.app.notebook", str(made), str(out), "-p", "bogus", "1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "'bogus'" in result.stderr
    assert not out.exists()


def test_parallel_runs_in_one_folder_do_not_clash(made, tmp_path):
    def one(i: int) -> str:
        return outputs(notebook.run(made, tmp_path / f"{i}.ipynb", {"seed": str(i), "subject": f"{i:03d}"}))

    with ThreadPoolExecutor(4) as pool:
        printed = list(pool.map(one, range(4)))
    assert printed == [f"['{i:03d}', {i}, 0.5, False]\n" for i in range(4)]


def test_an_executed_notebook_becomes_a_page(made, tmp_path):
    out = notebook.run(made, tmp_path / "out.ipynb", {"subject": "spNO.9"})
    page = notebook.to_html(out, tmp_path / "page.html").read_text()
    assert "spNO.9" in page and "<html" in page


def test_figures_keep_their_text_alternatives_on_the_page(tmp_path):
    code = """from metst_lib import figures
from metst_lib.events import Event
figures.class_counts([Event(0, 9, emotion="negative")] * 3)"""
    cells = [
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
        nbformat.v4.new_code_cell(code.replace("3", "5")),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, tmp_path / "in.ipynb")
    out = notebook.run(tmp_path / "in.ipynb", tmp_path / "out.ipynb", {})
    page = notebook.to_html(out, tmp_path / "page.html").read_text()
    images = re.findall(r"<img[^>]*data:image/png[^>]*>", page)
    alternatives = [re.findall(r'alt="([^"]*)"', image) for image in images]
    assert [len(found) for found in alternatives] == [1, 1]
    assert "3" in alternatives[0][0] and "5" in alternatives[1][0]
