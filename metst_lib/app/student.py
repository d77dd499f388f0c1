"""Student copies of the notebooks (`metst student`): solutions cut out, and what is left tried out.

The complete notebooks are the one source. A solution stands between the lines `### BEGIN SOLUTION` and
`### END SOLUTION` (nbgrader's markers) of a code cell; the next code cell checks it by assertions. A copy has
a stub in place of each solution, and no outputs: they would give the answers away.

Each notebook is tried in one kernel: first the copy as a student gets it, where every check must fail and
everything else pass; then, from the first exercise on, the same cells with their solutions, where all must
pass. So the long part of a notebook runs once for both.
"""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

from metst_lib._files import write_text
from metst_lib.app.notebook import QUIET, own_kernel

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
#: Tells our own tests to compare a cell's output; nothing to a student.
COMPARED = "# NBVAL_CHECK_OUTPUT\n"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
#: An empty body that runs, so that a check has to find out for itself that the answer is missing.
STUB = ("# Your answer here", "...")
README = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Exercise:
    """A cell to fill in and the cell that checks it, by their places in the notebook."""

    title: str
    answer: int
    check: int


@dataclass(frozen=True)
class Outcome:
    """What became of one exercise (or of all other cells) without an answer and with the solution."""

    notebook: str
    exercise: str
    without_answer: str
    with_solution: str
    ok: bool


# --- one notebook → its copy ----------------------------------------------------------------------------


def cut(source: str) -> str:
    """The source of a cell with a stub in place of each solution.

    Raises ValueError for a marker that is nested, stray, unclosed or misspelt.
    """
    kept, inside = [], False
    for line in source.splitlines():
        marker = line.strip()
        if marker == BEGIN:
            if inside:
                raise ValueError(f"a second {BEGIN!r} inside a solution")
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + stub for stub in STUB]
        elif marker == END:
            if not inside:
                raise ValueError(f"{END!r} without a {BEGIN!r} before it")
            inside = False
        elif re.search(r"\b(BEGIN|END)[\s_-]*SOLUTION", line, re.IGNORECASE):
            raise ValueError(f"{marker!r} is no marker: write {BEGIN!r} or {END!r} on a line of its own")
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"{BEGIN!r} without an {END!r} after it")
    return "\n".join(kept)


def exercises(book: NotebookNode, name: str) -> list[Exercise]:
    """The exercises of a complete notebook, in order.

    Raises ValueError, naming notebook and cell, for wrong markers, a marker outside of a code cell, and an
    exercise whose next code cell asserts nothing.
    """
    found = []
    for i, cell in enumerate(book.cells):
        try:
            stubbed = cut(cell.source)
            if stubbed == cell.source:
                continue
            if cell.cell_type != "code":
                raise ValueError(f"solution markers in a {cell.cell_type} cell")
            check = next((j for j in range(i + 1, len(book.cells)) if book.cells[j].cell_type == "code"), i)
            if BEGIN in book.cells[check].source or "assert" not in book.cells[check].source:
                raise ValueError("no cell with an assertion after this exercise")
        except ValueError as error:
            raise ValueError(f"{name}, cell {cell.get('id', i)}: {error}") from None
        found.append(Exercise(_title(book, i), i, check))
    return found


def _title(book: NotebookNode, cell: int) -> str:
    """The last heading or bold line before a cell, else the cell's id."""
    text = "\n".join(c.source for c in book.cells[:cell] if c.cell_type == "markdown")
    headings = re.findall(r"^(?:#+ |\*\*(?=\d))(.+?)(?:\*\*|$)", text, re.MULTILINE)
    return headings[-1].rstrip(".") if headings else str(book.cells[cell].get("id", cell))


def copy(book: NotebookNode, name: str) -> NotebookNode:
    """The notebook for students: stubs for solutions, no outputs, no widget state, checks locked.

    Raises ValueError as `exercises`.
    """
    checks = {exercise.check for exercise in exercises(book, name)}
    made = nbformat.from_dict(book)
    made.metadata.pop("widgets", None)
    for i, cell in enumerate(made.cells):
        if cell.cell_type == "code":
            cell.source = cut(cell.source.removeprefix(COMPARED))
            cell.outputs, cell.execution_count = [], None
        if i in checks:
            cell.metadata.update(editable=False, deletable=False)
    return made


# --- does it work? --------------------------------------------------------------------------------------


def try_out(book: NotebookNode, name: str, stepped: Callable[..., None] = lambda **_: None) -> list[Outcome]:
    """Run a notebook's copy, then its exercises with their solutions, and say how each cell ended.

    The last outcome is that of all cells which belong to no exercise. `stepped` is called after each cell.
    """
    tasks = exercises(book, name)
    first = tasks[0].answer if tasks else len(book.cells)
    trial = copy(book, name)
    trial.cells += [nbformat.from_dict(cell) for cell in book.cells[first:]]
    ended = [_error(cell) for cell in _run(trial, stepped).cells]
    unsolved, solved = ended[: len(book.cells)], [""] * first + ended[len(book.cells) :]

    found, own = [], set()
    for task in tasks:
        own |= {task.answer, task.check}
        stub, error = unsolved[task.answer], solved[task.answer] or solved[task.check]
        fails = bool(unsolved[task.check]) and not stub
        without = "fails" if fails else f"STUB BREAKS: {stub}" if stub else "PASSES"
        found.append(Outcome(name, task.title, without, _loud(error) or "passes", fails and not error))
    ids = [str(cell.get("id", i)) for i, cell in enumerate(book.cells)]
    first_wrong = [
        next((f"{ids[i]}: {error}" for i, error in enumerate(errors) if error and i not in own), "")
        for errors in (unsolved, solved)
    ]
    rest = [_loud(error) or "passes" for error in first_wrong]
    return [*found, Outcome(name, "all other cells", *rest, not any(first_wrong))]


def _loud(error: str) -> str:
    return f"FAILS: {error}" if error else ""


def _error(cell: NotebookNode) -> str:
    """The error that a cell ended with, in a line; "" where it ended well."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}".splitlines()[0].removesuffix(": ")
    return ""


def _run(book: NotebookNode, stepped: Callable[..., None]) -> NotebookNode:
    """Execute a notebook in place, past its errors; its figures are drawn elsewhere than the real ones."""
    from nbclient import NotebookClient

    with own_kernel() as kernel, tempfile.TemporaryDirectory() as figures:
        client = NotebookClient(
            book,
            timeout=None,
            kernel_name="python3",
            allow_errors=True,
            resources={"metadata": {"path": str(FOLDER)}},
            on_cell_executed=stepped,
            extra_arguments=[*QUIET],  # nbclient adds to the list
            **kernel,
        )
        return client.execute(env={**os.environ, "METST_FIGURES": figures})


# --- all notebooks --------------------------------------------------------------------------------------


def check(paths: Sequence[Path], jobs: int = 2) -> list[Outcome]:
    """Try out every notebook, `jobs` at once, with a progress bar on a terminal."""
    books = [nbformat.read(path, as_version=4) for path in paths]
    cells = 0
    for path, book in zip(paths, books, strict=True):
        tasks = exercises(book, path.stem)
        again = book.cells[tasks[0].answer :] if tasks else []
        cells += sum(cell.cell_type == "code" for cell in [*book.cells, *again])
    with tqdm(total=cells, desc="cells", disable=None) as bar, ThreadPoolExecutor(jobs) as pool:
        tried = pool.map(lambda path, book: try_out(book, path.stem, lambda **_: bar.update()), paths, books)
        return [outcome for outcomes in tried for outcome in outcomes]


def refuse(paths: Sequence[Path], out: Path) -> None:
    """ValueError as of `exercises`, and where `out` is the folder of the complete notebooks."""
    for path in paths:
        exercises(nbformat.read(path, as_version=4), path.stem)
        if path.resolve().parent == out.resolve():
            raise ValueError(f"{out} holds the complete notebooks: name another folder for the copies")


def write(paths: Sequence[Path], out: Path) -> list[Path]:
    """Write the student copy of each notebook, and a README for students, into the folder `out`.

    Raises ValueError as `refuse`, before anything is written.
    """
    refuse(paths, out)
    write_text(out / "README.md", README.read_text("utf-8"))
    return [
        write_text(out / path.name, nbformat.writes(copy(nbformat.read(path, 4), path.stem)) + "\n")
        for path in paths
    ]
