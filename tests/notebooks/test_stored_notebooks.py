"""The notebooks as they are stored: whole, in running order, readable, small, and free of faces and paths."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from metst_lib import figures
from metst_lib.app import notebook, student

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CHAPTERS = [
    "01_data_exploration",
    "02_flow_extraction",
    "03_me_tst",
    "04_me_tst_plus",
    "05_synergy_ablations",
    "06_visualization",
    "07_your_own_video",
    "09_real_evidence",
]
PARAMETERS = {"dataset": str, "variant": str, "subject": str, "seed": int, "preset": str, "root": str}
OWN = {
    "04_me_tst_plus": {"clone": str},
    "07_your_own_video": {"video": str, "model": str, "landmarks": str},
    "09_real_evidence": {"evidence": str},
}
"""Parameters that only one chapter has."""
CHECKED = "# NBVAL_CHECK_OUTPUT"
MACHINE_PATH = re.compile(r"(?<![\w.:/])(/(home|root|tmp|work|usr|opt|var|mnt|private|Users)\b|[A-Z]:\\)")
LINES = 25

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def texts(cell: NotebookNode) -> Iterator[str]:
    """Every stored text of a cell's outputs; pictures and other encoded data left out."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield content if isinstance(content, str) else json.dumps(content)


def pictures(cell: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """The kind and the metadata of every picture that a cell shows."""
    for output in cell.outputs:
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                yield kind, output.get("metadata", {}).get(kind, {})


def parameters_cell(path: Path) -> NotebookNode:
    (cell,) = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    return cell


def test_the_chapters_are_there():
    assert [path.stem for path in NOTEBOOKS] == CHAPTERS


def test_each_chapter_leads_to_its_neighbours():
    way = ["README.md", *(f"{name}.ipynb" for name in CHAPTERS), "README.md"]
    for path, before, after in zip(NOTEBOOKS, way[:-2], way[2:], strict=True):
        head, *_, end = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
        assert re.search(rf"Before: \[[^]]+\]\({before}\)", head), path.name
        for place in (head, end):
            assert re.search(rf"Next:\*{{0,2}} (back to )?\[[^]]+\]\({after}\)", place), path.name


def test_the_minutes_of_a_chapter_are_the_same_everywhere():
    for path in NOTEBOOKS:
        minutes = {re.search(r"\*\*Time:\*\* (\d+) minutes", nbformat.read(path, 4).cells[0].source)[1]}
        for page in (FOLDER / "README.md", FOLDER.parent / "README.md"):
            (row,) = [line for line in page.read_text().splitlines() if f"{path.name})" in line]
            minutes.add(re.search(r"\| (\d+) \|", row)[1])
        assert len(minutes) == 1, f"{path.name}: {sorted(minutes)} minutes"


@every_notebook
def test_it_is_a_valid_notebook_for_the_kernel_that_everyone_has(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    assert book.metadata.kernelspec.language == "python"


@every_notebook
def test_it_declares_the_parameters_with_their_types_and_a_comment_each(path):
    parameters = PARAMETERS | OWN.get(path.stem, {})
    source = parameters_cell(path).source
    declared = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    assert {node.target.id: node.annotation.id for node in declared} == {
        name: kind.__name__ for name, kind in parameters.items()
    }
    assert [type(value) for value in notebook.parameters_of(path).values()] == list(parameters.values())
    assert all("  # " in line for line in source.splitlines())


@every_notebook
def test_it_is_stored_with_the_outputs_of_one_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@every_notebook
def test_no_error_and_no_warning_is_stored(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text


@every_notebook
def test_cells_that_nbval_compares_have_something_to_compare(path):
    """nbval passes a marked cell whose stored output is empty: such a cell would check nothing."""
    marked = [cell for cell in code_cells(path) if CHECKED in cell.source]
    assert len(marked) >= 3
    for cell in marked:
        assert cell.source.startswith(CHECKED)
        assert "".join(texts(cell)).strip(), cell.source


@every_notebook
def test_it_is_small_enough_to_open_on_the_web(path):
    assert path.stat().st_size < 1_000_000


@every_notebook
def test_outputs_name_no_path_of_the_machine_that_ran_it(path):
    for cell in code_cells(path):
        for text in texts(cell):
            assert not MACHINE_PATH.search(text), f"{cell.source}\n→ {MACHINE_PATH.search(text)[0]}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("saved to /home/ann/me/data", True),
        ("'/tmp/x.npz'", True),
        (r"C:\Users\ann", True),
        ("data/synthetic/truth", False),
        ("https://example.org/home/x", False),
        ("and/or", False),
    ],
)
def test_machine_paths_are_told_from_others(text, told):
    assert bool(MACHINE_PATH.search(text)) is told


@every_notebook
def test_cells_are_short_and_define_no_class(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= LINES, cell.source
        plain = "\n".join(
            line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))
        )
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(plain))), cell.source


@every_notebook
def test_every_picture_has_a_text_alternative(path):
    for cell in code_cells(path):
        for kind, about in pictures(cell):
            assert len(about.get("alt", "").strip()) > 20, f"{kind} of: {cell.source}"
        for text in texts(cell):
            for tag in re.findall(r"<img\b[^>]*>", text):
                assert re.search(r'\balt="[^"]+"', tag), cell.source
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]\(", cell.source), cell.source


@every_notebook
def test_it_opens_with_what_one_learns_and_minutes_and_what_it_reads_and_writes(path):
    opening = nbformat.read(path, 4).cells[0].source
    assert "**You will learn**" in opening and len(re.findall(r"(?m)^- ", opening)) >= 3
    assert re.search(r"\*\*Time:\*\* \d+ minutes", opening)
    assert "**Reads**" in opening and "**Writes**" in opening


@every_notebook
def test_it_ends_with_two_or_three_exercises_with_a_hint_and_what_to_expect(path):
    book = nbformat.read(path, 4)
    found = student.exercises(book, path.stem)
    assert 2 <= len(found) <= 3
    for number, exercise in enumerate(found, start=1):
        assert exercise.title.startswith(f"{number} · "), exercise.title
        texts = [cell.source for cell in book.cells[: exercise.answer] if cell.cell_type == "markdown"]
        assert "Hint:" in texts[-1] and "Expected:" in texts[-1], exercise.title


@every_notebook
def test_no_line_of_a_solution_stands_elsewhere_in_the_student_copy(path):
    book = nbformat.read(path, 4)
    copied = "\n".join(cell.source for cell in student.copy(book, path.stem).cells)
    there = {"".join(line.split()) for line in copied.splitlines()}
    for exercise in student.exercises(book, path.stem):
        source = book.cells[exercise.answer].source
        for solution in re.findall(f"{student.BEGIN}\n(.*?)\n *{student.END}", source, re.DOTALL):
            lines = {"".join(line.split()) for line in solution.splitlines()}
            assert not lines & there, exercise.title


@every_notebook
def test_it_was_run_on_the_synthetic_set_so_that_no_licensed_face_is_in_it(path):
    assert notebook.parameters_of(path)["dataset"] == "synthetic"
    for cell in code_cells(path):
        assert "injected-parameters" not in cell.metadata.get("tags", [])
        names = [
            target.id
            for node in ast.walk(ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", cell.source)))
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert "dataset" not in names, f"a cell below overrides the parameter: {cell.source}"


# --- the figures and tables that are kept with the notebooks --------------------------------------------


@pytest.fixture(scope="module")
def kept():
    """Every file that git tracks below figures/."""
    command = ["git", "-C", str(FOLDER.parent), "ls-files", "-z", "figures"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: what is kept cannot be told from what was drawn here")
    return [FOLDER.parent / name for name in listed.split("\0") if name and name != "figures/README.md"]


def test_only_figures_of_the_synthetic_set_are_kept(kept):
    home = FOLDER.parent / "figures" / "synthetic"
    assert [path for path in kept if home not in path.parents] == []


#: What tables are made from, rather than a table; `figures/README.md` says of each what it holds.
RAW = {"counts.csv", "counts_runs.csv", "inference_coverage.csv", "inference_power.csv"}


def test_every_table_of_data_that_is_kept_says_synthetic(kept):  # what differs between rows is settings
    for path in kept:
        if path.suffix in (".md", ".csv", ".tex") and path.name not in RAW | {"study_what_differs.csv"}:
            lines = path.read_text().splitlines()
            caption = [line for line in lines if line.startswith(("**", r"\caption"))] or lines[:1]
            assert "synthetic" in caption[0].lower(), path.name


def test_the_folders_page_says_of_what_tables_are_made_from_that_it_is_synthetic():
    page = (FOLDER.parent / "figures" / "README.md").read_text()
    assert all(name in page for name in RAW) and "synthetic" in page


def test_every_figure_that_is_kept_says_synthetic(kept):
    for path in kept:
        if path.suffix == ".png" and not path.stem.startswith("fig3_"):  # that one comes from no data
            assert "synthetic" in figures.alt_text(path).lower(), path.name
