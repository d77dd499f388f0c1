"""Sphinx's settings for the reading edition: `make book` turns the checkout into a site in book/build/html.

The checkout itself is the source folder, so that every link works here as it does on GitHub. Nothing is
executed: notebooks are shown with the outputs they are stored with. Nothing is fetched, neither by the build
nor by its pages.
"""

import sys
from pathlib import Path

BOOK = Path(__file__).parent
ROOT = BOOK.parent
sys.path[:0] = [str(BOOK), str(ROOT)]

import pages  # noqa: E402

from metst_lib import __version__  # noqa: E402

project = "The ME-TST+ compendium"
author = "The ME-TST+ compendium developers"
project_copyright = f"{author}, MIT licence"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
root_doc = "README"
contents = pages.contents(ROOT)
include_patterns = [f"{name}{end}" for name in contents.documents for end in (".md", ".rst", ".ipynb")]
# Folders that hold no page are not walked through: some have a hundred thousand files.
exclude_patterns = pages.other_folders(ROOT, contents.documents)

# Notebooks, as they are stored
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_number_source_lines = False
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # as JupyterLab does

# Markdown, as GitHub reads it
smartquotes_action = "qe"  # quotes and dots, no dashes: an option is written with two hyphens
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a notebook's part may begin two levels down

# The library: what its docstrings say, in the order of its files
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!metst_lib\.).*"),  # other projects' names cannot be looked up without a network
    (r"py:.*", r"(.*\.)?_\w*"),  # private names have no entry
    (r"py:.*", r"metst_lib\..*\.[A-Z]"),  # nor have type variables
]

# The look
html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"priority": 300})]  # after the options that it changes
html_copy_source = True
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_theme_options = {
    "navbar_persistent": [],  # the search stands in the side bar
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
mathjax_path = "mathjax/tex-svg-full.js"  # beside the pages; it draws glyphs and needs no fonts


def setup(app):
    """Hang in what Sphinx does not do by itself."""
    pages.setup(app)
