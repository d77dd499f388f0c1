"""Run one notebook with parameters: `python -m metst_lib.app.notebook IN OUT -p name value …`.

A thin layer over papermill that adds what batch runs need:

* a parameter that the notebook does not declare is refused (papermill only warns), and every value keeps
  the type that the parameters cell declares: `-p subject 006` stays the text "006";
* the kernel is always this environment's `python3`;
* kernels talk over IPC in a folder of their own, so that parallel runs cannot clash on ports;
* the executed notebook is saved after every cell, so that a failed run keeps its traceback.
"""

import ast
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from metst_lib._files import write_text

#: Given to a kernel, or it says so when it is shut down.
QUIET = ["--log-level=50"]


def parameters_of(path: str | Path) -> dict[str, Any]:
    """Name → default of every parameter declared in the notebook's cell tagged "parameters".

    Raises FileNotFoundError where there is no such notebook and ValueError where it has no such cell or a
    default is not a plain Python value.
    """
    from papermill import inspect_notebook

    if not Path(path).is_file():
        raise FileNotFoundError(f"no notebook {path}")
    declared = inspect_notebook(str(path))
    if not declared:
        raise ValueError(f"{path} has no cell tagged 'parameters', or an empty one")
    try:
        return {name: ast.literal_eval(p["default"]) for name, p in declared.items()}
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{path}: the parameters cell must hold plain values ({error})") from None


def convert(path: str | Path, given: dict[str, str]) -> dict[str, Any]:
    """The given texts as values of the types that the notebook declares.

    Raises ValueError naming an unknown parameter together with the known ones, or a text that is no value
    of the declared type.
    """
    declared = parameters_of(path)
    if unknown := [name for name in given if name not in declared]:
        known = ", ".join(declared)
        raise ValueError(f"{Path(path).name} has no parameter {unknown[0]!r}; it has: {known}")
    return {name: _as(type(declared[name]), name, text) for name, text in given.items()}


def _as(kind: type, name: str, text: str) -> Any:
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        wanted = "true or false" if kind is bool else f"of type {kind.__name__}"
        raise ValueError(f"parameter {name!r} is {wanted}, not {text!r}") from None


@contextmanager
def own_kernel() -> Iterator[dict[str, Any]]:
    """What papermill or nbclient is given for a kernel over IPC, in a temporary folder of its own."""
    from jupyter_client.manager import AsyncKernelManager

    # Short: paths of sockets end at about 100 characters. What a kernel still writes is not waited for.
    with tempfile.TemporaryDirectory(prefix="metst", ignore_cleanup_errors=True) as folder:

        class IPCKernelManager(AsyncKernelManager):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.transport = "ipc"
                self.connection_file = os.path.join(folder, "kernel.json")
                self.ip = os.path.join(folder, "s")

        # Windows has no IPC sockets for ZeroMQ; there the default TCP ports have to do.
        yield {} if sys.platform == "win32" else {"kernel_manager_class": IPCKernelManager}


def run(path: str | Path, out: str | Path, parameters: dict[str, str]) -> Path:
    """Execute a notebook with parameters given as texts; returns the path of the executed copy.

    Shows a bar on a terminal. Raises ValueError for parameters the notebook does not declare, and papermill's
    PapermillExecutionError for a cell that fails: `out` then ends in its traceback.
    """
    from papermill import execute_notebook

    values = convert(path, parameters)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with own_kernel() as kernel:
        execute_notebook(
            str(path),
            str(out),
            values,
            kernel_name="python3",
            progress_bar=sys.stderr.isatty(),
            extra_arguments=QUIET,
            **kernel,
        )
    return out


def to_html(path: str | Path, page: str | Path) -> Path:
    """Write an executed notebook as a page to read, its figures with their text alternatives."""
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter(template_file=str(Path(__file__).with_suffix(".html"))).from_filename(str(path))
    return write_text(page, text)


@click.command(context_settings={"show_default": True})
@click.argument("notebook", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "-p",
    "-r",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter; repeat for more.",
)
@click.option(
    "--html", "page", default=None, type=click.Path(), help="Also write the executed copy as a page."
)
def main(notebook: str, out: str, parameters: tuple[tuple[str, str], ...], page: str | None) -> None:
    """Execute NOTEBOOK with parameters and save the executed copy as OUT."""
    from papermill.exceptions import PapermillExecutionError

    try:
        run(notebook, out, dict(parameters))
        if page:
            to_html(out, page)
    except (ValueError, FileNotFoundError) as error:
        raise click.UsageError(str(error)) from None
    except PapermillExecutionError as error:
        click.echo(f"{notebook}: cell {error.exec_count} failed: {error.ename}: {error.evalue}", err=True)
        click.echo(f"The executed notebook with its traceback is {out}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
