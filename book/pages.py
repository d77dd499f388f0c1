"""What Sphinx does not do by itself: contents, a page for each module, Markdown in docstrings, pictures.

* The site's contents hang on the README, which stays an ordinary page on GitHub.
* Links to a folder lead to its README, as on GitHub.
* Each file of the method and each drawer of the library gets a page, in the order of the README's map; so do
  the commands.
* Docstrings are read as Markdown, which is how they are written; names in backticks lead to what they name.
* Pictures of notebooks keep their text alternatives; solutions of exercises are folded away.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from docutils.utils import new_document
from myst_parser.config.main import MdParserConfig
from myst_parser.mdit_to_docutils.sphinx_ import SphinxRenderer
from myst_parser.parsers.mdit import create_md_parser
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from metst_lib.app.cli import main

PACKAGE = "metst_lib"
API = "book/api"
PARTS = {
    "Chapters": ("notebooks/README", "notebooks/0*", "notebooks/TEACHING"),
    "Results": ("figures/README", "benchmarks/README"),
    "Data and responsible use": ("data/README", "metst_lib/released/README", "DATA_STATEMENT", "MODEL_CARD"),
    "Library": (f"{API}/index", f"{API}/commands", "book/README"),
}
"""Parts of the site and their pages, as patterns; what is not there is left out."""
BELOW = {"figures/README": ("figures/synthetic/*",), "benchmarks/README": ("benchmarks/RESULTS",)}
"""Pages and those that are listed below them."""


@dataclass(frozen=True)
class Contents:
    """What the site consists of: parts → names of their pages, without endings; pages → those below them."""

    parts: dict[str, list[str]]
    below: dict[str, list[str]]

    @property
    def documents(self) -> list[str]:
        """Every page, the first one among them."""
        listed = [*self.parts.values(), *self.below.values()]
        return ["README", *(name for names in listed for name in names)]


def contents(root: Path) -> Contents:
    """The site's contents. Pages of the library are written here, since Sphinx looks for files."""
    library = write_api(root)
    parts = {part: _pages(root, patterns) for part, patterns in PARTS.items()}
    below = {name: _pages(root, patterns) for name, patterns in BELOW.items()}
    return Contents(parts, {**below, f"{API}/index": library})


def _pages(root: Path, patterns: tuple[str, ...]) -> list[str]:
    ends = (".md", ".ipynb", ".rst")
    found = [sorted(path for end in ends for path in root.glob(pattern + end)) for pattern in patterns]
    return [path.relative_to(root).with_suffix("").as_posix() for paths in found for path in paths]


def other_folders(root: Path, documents: list[str]) -> list[str]:
    """The folders, as patterns, below which no page lies."""
    wanted = {parent.as_posix() for name in documents for parent in Path(name).parents}
    folders = [root / name for name in wanted]
    below = [
        path.relative_to(root).as_posix() for folder in folders for path in folder.iterdir() if path.is_dir()
    ]
    return sorted(set(below) - wanted)


# --- the library ----------------------------------------------------------------------------------------


def modules(readme: str, package: Path) -> list[tuple[str, str]]:
    """The package's files and drawers and what the README's map says of each, in its order; others last."""
    said = re.findall(r"^  (\w+)(?:\.py|/)\S*(?:, \S+)* {2,}(.+)$", readme, flags=re.M)
    there = {p.stem for p in package.glob("[!_]*.py")} | {
        p.parent.name for p in package.glob("*/__init__.py")
    }
    named = [(name, text) for name, text in said if name in there]
    return named + [(name, "") for name in sorted(there - dict(named).keys())]


def write_api(root: Path) -> list[str]:
    """Write a page for each file and drawer, an overview and the commands; returns the pages of the first."""
    folder, package = root / API, root / PACKAGE
    folder.mkdir(exist_ok=True)
    overview, names = [_OVERVIEW], []
    written = {"commands.md": _COMMANDS + commands()}
    for name, text in modules((root / "README.md").read_text(encoding="utf-8"), package):
        what = text or (inspect.getdoc(importlib.import_module(f"{PACKAGE}.{name}")) or "").split("\n")[0]
        overview.append(f"* :doc:`{name}`: {what}\n")
        shown = [_heading(f"{PACKAGE}.{name}", "="), _automodule(f"{PACKAGE}.{name}")]
        for part in sorted(path.stem for path in (package / name).glob("[!_]*.py")):
            shown += [_heading(f"{name}.{part}", "-"), _automodule(f"{PACKAGE}.{name}.{part}")]
        written[f"{name}.rst"] = "\n".join(shown)
        names.append(name)
    overview.append("\n.. toctree::\n   :hidden:\n\n   " + "\n   ".join(names) + "\n")
    for path in folder.iterdir():
        if path.name not in (*written, "index.rst"):
            path.unlink()
    for name, page in {**written, "index.rst": "".join(overview)}.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != page:  # else Sphinx would read it anew
            path.write_text(page, encoding="utf-8")
    return [f"{API}/{name}" for name in names]


def commands() -> str:
    """Usage, help and options of each command of `metst`, under a heading of its own; no title."""
    settings = main.context_settings | {"max_content_width": 80}
    return "\n\n".join(_command(click.Context(main, info_name="metst", **settings))) + "\n"


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## `{context.command_path}`"
    yield f"```text\n{command.get_usage(context)}\n```"
    yield inspect.cleandoc(command.help or "")
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [[cell.replace("|", r"\|") for cell in option.get_help_record(context)] for option in options]
    if rows := [f"| `{name}` | {text.removesuffix(_NOTHING)} |" for name, text in records]:
        yield "\n".join(["| option | what |", "|---|---|", *rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(click.Context(command.get_command(context, name), context, name))


_NOTHING = '  [default: ""]'
"""How click says that an option is a text which may be left out."""

_OVERVIEW = """The library
===========

What ``metst_lib`` offers. The method comes first, a page for each step of the paper's Fig. 3. Each imports
only from those before it, so they can be read in this order, the way of the data: from frames to events to
numbers. The drawers after it hold what a study needs beside the method.

"""
_COMMANDS = """# Commands

What `metst`, the command of the library, can do. `metst … --help` says the same in a terminal.

"""


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _automodule(name: str) -> str:
    """The directive for a module; what a drawer offers out of its private files is described there."""
    shown, module = [f".. automodule:: {name}\n   :ignore-module-all:"], importlib.import_module(name)
    for member, value in ((each, getattr(module, each)) for each in dir(module)):
        if not member.startswith("_") and (getattr(value, "__module__", None) or "").startswith(f"{name}._"):
            shown.append(f".. auto{'class' if inspect.isclass(value) else 'function'}:: {name}.{member}")
    return "\n\n".join([*shown, ""])


# --- docstrings -----------------------------------------------------------------------------------------


def as_markdown(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Hand a docstring to the directive below; explanations of parameters become the items of a list."""
    text = "\n\n".join(_listed(part, _parameters(obj)) for part in re.split(r"\n\s*\n", "\n".join(lines)))
    lines[:] = [".. markdown::", "", *("   " + line for line in text.split("\n")), ""]


def _parameters(obj: Any) -> list[str]:
    """Names of what a function takes or a record holds."""
    try:
        return list(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return []


def _listed(paragraph: str, names: list[str]) -> str:
    """A paragraph such as "score: (T,) … p: the threshold …", known names, with an item for each of them."""
    known = rf"\*{{0,2}}(?:{'|'.join(names)})\b"
    starts = rf"(?:(?<=[.;])\s+|^ *)(?=({known}(?:, {known})*):\s)" if names else r"(?!)"
    head, *items = re.split(starts, paragraph, flags=re.M)
    shown = "**Arguments**" if head.strip() == "Args:" else head.rstrip()
    for name, text in zip(items[::2], items[1::2], strict=True):
        explained = " ".join(text.removeprefix(f"{name}:").split())
        coded = ", ".join(f"`{one}`" for one in name.split(", "))
        shown += ("" if shown.endswith("\n") else "\n\n") + f"- {coded}: {explained}\n"
    return shown


class Markdown(SphinxDirective):
    """`.. markdown::`, whose content is Markdown; a name in backticks leads to what it names."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The parsed content."""
        part = new_document("docstring", self.state.document.settings)
        parser = create_md_parser(MdParserConfig(), SphinxRenderer)
        parser.disable(["html_inline", "html_block", "myst_role", "myst_target", "myst_line_comment"])
        parser.disable(["front_matter", "colon_fence"], ignoreInvalid=True)
        parser.options["document"] = part
        parser.render("\n".join(self.content))
        module, within = (self.env.ref_context.get(f"py:{kind}") for kind in ("module", "class"))
        for literal in list(part.findall(nodes.literal)):
            if re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", literal.astext()):
                target = literal.astext().removesuffix("()")
                link = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=target)
                link["refdoc"], link["py:module"], link["py:class"] = self.env.docname, module, within
                literal.replace_self(link)
                link += literal
        return part.children


def find_named(app: Any, env: Any, node: addnodes.pending_xref, shown: nodes.Node) -> nodes.Node | None:
    """Where a name of the library leads that Python would find from the module it stands in."""
    if node.get("refdomain") != "py":
        return None
    known = env.get_domain("py").objects
    for name in candidates(node["reftarget"], node.get("py:module") or "", node.get("py:class") or ""):
        if name in known:
            return make_refnode(
                app.builder, node["refdoc"], known[name].docname, known[name].node_id, shown, name
            )
    return None


@functools.cache
def candidates(target: str, module: str, within: str) -> list[str]:
    """Full names that a name in a module, or a class of it, may stand for: also what the module imports."""
    found = [f"{module}.{within}.{target}", f"{module}.{target}", f"{PACKAGE}.{target}"]
    found += [target, f"{module.rpartition('.')[0]}.{target}"]
    for origin in filter(None, (module, PACKAGE)):
        try:
            value = functools.reduce(getattr, target.split("."), importlib.import_module(origin))
        except (AttributeError, ImportError):  # an import error names what an old name is called now
            continue
        if inspect.ismodule(value):
            found.append(value.__name__)
        elif hasattr(value, "__qualname__") and (home := value.__module__):
            found += [f"{home}.{value.__qualname__}", f"{home.rpartition('.')[0]}.{value.__qualname__}"]
    return found


# --- pages ----------------------------------------------------------------------------------------------


def prepare_source(app: Any, docname: str, source: list[str]) -> None:
    """Small changes to a page before it is read: contents, headings of tables, folders, solutions."""
    root = Path(app.srcdir)
    text = source[0]
    if docname.startswith("notebooks/") and (root / f"{docname}.ipynb").is_file():
        text = _for_reading(text)
    text = re.sub(r"(?<=\]\()(?!https?:)([^()\s#]*)/(?=\))", lambda m: _page_of(root, docname, m[1]), text)
    if docname.startswith("figures/synthetic/"):
        text = re.sub(r"\A\*\*(.+?)(?:\. |\*\*)", r"# \1\n\n\g<0>", text)  # a page needs a heading
    listed = (
        app.config.contents.parts if docname == "README" else {"": app.config.contents.below.get(docname)}
    )
    if not docname.startswith(API):
        text += "".join(_toctree(caption, names) for caption, names in listed.items() if names)
    source[0] = text


def _toctree(caption: str, names: list[str]) -> str:
    named = f":caption: {caption}\n" if caption else ""
    return "\n\n```{toctree}\n:hidden:\n" + named + "\n" + "\n".join(f"/{name}" for name in names) + "\n```\n"


def _page_of(root: Path, docname: str, folder: str) -> str:
    """The README that a link to a folder leads to: its own, or that of a folder around it."""
    here = (root / docname).parent
    path = Path(folder)
    while not (here / path / "README.md").is_file() and path != path.parent:
        path = path.parent
    return (path / "README.md").as_posix()


def _for_reading(text: str) -> str:
    """A notebook with its solutions folded away and without the marks that are for tests."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if "### BEGIN SOLUTION" in code:
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
        cell["source"] = re.sub(r"^# NBVAL_\w+\n?", "", code, flags=re.M)
    return json.dumps(notebook)


def describe_pictures(app: Any, doctree: nodes.document) -> None:
    """Give each picture of a notebook the text alternative that its output carries."""
    path = Path(app.srcdir, f"{app.env.docname}.ipynb")
    if not path.is_file():
        return
    outputs = [
        output
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    texts = {
        hashlib.sha256(b64decode("".join(output["data"]["image/png"]))).hexdigest(): output["metadata"]
        .get("image/png", {})
        .get("alt", "")
        for output in outputs
    }
    for image in doctree.findall(nodes.image):
        if alternative := texts.get(Path(image["uri"]).stem):
            image["alt"] = alternative


def finish(app: Any, failure: Exception | None) -> None:
    """The site opens at index.html, as people and servers expect."""
    if failure is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app: Any) -> None:
    """Tell Sphinx of all of it."""
    app.add_config_value("contents", None, "env")  # a page more or less: read all anew
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("missing-reference", find_named)
    app.connect("source-read", prepare_source)
    app.connect("doctree-read", describe_pictures)
    app.connect("build-finished", finish)
