"""The page that a run ends with: its tables and figures, and links to the executed notebooks."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd

from metst_lib import figures
from metst_lib._files import write_text
from metst_lib.datasets import TITLES
from metst_lib.experiment import Config

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ME-TST+ compendium: {{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-size: .85rem; }
  th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }
  td { white-space: nowrap; }
  figure { margin: 2rem 0; } img { max-width: 100%; } figcaption, .note { color: #444; font-size: .85rem; }
  .synthetic { background: #fff4d6; border-left: 4px solid #c80; padding: .5rem 1rem; }
</style>
<h1>ME-TST+ compendium: {{ title }}</h1>
{% if synthetic %}<p class="synthetic">Synthetic data: rendered motion of one face. The numbers compare
methods with each other on these data and say nothing about real ones.</p>{% endif %}
<h2>Notebooks, executed</h2>
<ul>{% for link, name in notebooks %}<li><a href="{{ link }}">{{ name }}</a></li>{% endfor %}</ul>
<h2>Tables</h2>
{% for name, body, notes in tables %}<h3>{{ name }}</h3><div class="scroll">{{ body }}</div>
{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}{% endfor %}
<h2>Figures</h2>
{% for link, name, text in figures %}<figure><img src="{{ link }}" alt="{{ text }}">
<figcaption>{{ name }} ({{ title }})</figcaption></figure>{% endfor %}
</html>
""",
    autoescape=False,
)


def write(config: Config, pages: Sequence[Path]) -> Path:
    """Write `index.html` beside the runs of an edition; pages are executed notebooks as HTML.

    Tables and figures are those that lie in the edition's folder of figures. Returns the page's path.
    """
    path = config.data / "runs" / config.edition / "index.html"

    def link(target: Path) -> str:
        return os.path.relpath(target, path.parent).replace(os.sep, "/")

    tables = []
    for file in sorted(config.figures.glob("table*.md")):
        caption, *rest = file.read_text(encoding="utf-8").split("\n")
        notes = [html.escape(line[2:]) for line in rest if line.startswith("- ")]
        frame = pd.read_csv(file.with_suffix(".csv"), dtype=str, keep_default_na=False)
        tables.append((html.escape(caption.strip("*")), frame.to_html(index=False, border=0), notes))
    drawn = [
        (link(file), file.stem.replace("_", " "), html.escape(figures.alt_text(file)))
        for file in sorted(config.figures.glob("fig*.png"))
    ]
    notebooks = [(link(page), _title(page)) for page in pages]
    content = _PAGE.render(
        title=TITLES[config.dataset],
        synthetic=config.synthetic,
        notebooks=notebooks,
        tables=tables,
        figures=drawn,
    )
    return write_text(path, content)


def _title(page: Path) -> str:
    """The first heading of a page, or its file's name."""
    heading = re.search(r"<h1[^>]*>(.*?)(?:<a |</h1>)", page.read_text(encoding="utf-8"), re.S)
    return heading[1].strip() if heading else page.stem.replace("_", " ")
