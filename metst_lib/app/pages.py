"""The page that a run ends with: its tables and figures, and links to the executed notebooks."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from metst_lib import figures
from metst_lib._files import write_text
from metst_lib.experiment import Config, store

_PAGES = jinja2.Environment(loader=jinja2.PackageLoader("metst_lib.app", ""), autoescape=True)


def write(config: Config, pages: Sequence[Path]) -> Path:
    """Write the page beside the runs of an edition; pages are executed notebooks as HTML.

    Tables and figures are those that lie in the edition's folder of figures. Returns the page's path.
    """
    path, folder = store.index_page(config), store.figures_folder(config)
    drawn = sorted(folder.glob("fig*.png"))
    content = _PAGES.get_template("index.html").render(
        title=config.reader.title,
        synthetic=config.reader.synthetic,
        origin=config.reader.origin,
        notebooks={_link(page, path): _title(page) for page in pages},
        tables=[_table(file) for file in sorted(folder.glob("table*.md"))],
        figures=[(_link(file, path), file.stem.replace("_", " "), figures.alt_text(file)) for file in drawn],
    )
    return write_text(path, content)


def _link(target: Path, page: Path) -> str:
    return os.path.relpath(target, page.parent).replace(os.sep, "/")


def _table(file: Path) -> tuple[str, Markup, list[str]]:
    """Caption, rows and notes of a table, from its Markdown and the CSV beside it."""
    caption, *rest = file.read_text(encoding="utf-8").split("\n")
    frame = pd.read_csv(file.with_suffix(".csv"), dtype=str, keep_default_na=False)
    body = Markup(frame.to_html(index=False, border=0))
    return caption.strip("*"), body, [line[2:] for line in rest if line.startswith("- ")]


def _title(page: Path) -> Markup | str:
    """The first heading of a page, or its file's name."""
    heading = re.search(r"<h1[^>]*>(.*?)(?:<a |</h1>)", page.read_text(encoding="utf-8"), re.S)
    return Markup(heading[1].strip()) if heading else page.stem.replace("_", " ")
