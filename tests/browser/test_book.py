"""The reading edition: built as `make book` does, every link followed, then opened from disk in a browser."""

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BOOK = CHECKOUT / "book"
sys.path.insert(0, str(BOOK))

import check  # noqa: E402
import pages  # noqa: E402

from metst_lib.app.cli import main  # noqa: E402


@pytest.fixture(scope="module")
def site() -> Path:
    """The site in book/build, brought up to date: where `make book` was run before, little is left to do."""
    built = BOOK / "build" / "html"
    command = [
        "-m",
        "sphinx",
        "--quiet",
        "--nitpicky",
        "--fail-on-warning",
        "-d",
        built.with_name("doctrees"),
    ]
    done = subprocess.run(
        [sys.executable, *command, "-c", BOOK, CHECKOUT, built], capture_output=True, text=True, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return built


def test_every_link_leads_somewhere_and_nothing_is_asked_of_elsewhere(site):
    found = check.check(site)
    assert found.faults == []
    assert found.pages > 40 and found.links > 1000


def test_readme_notebooks_cards_every_file_of_the_method_and_every_drawer_are_there(site):
    names = [
        "README",
        "MODEL_CARD",
        "DATA_STATEMENT",
        "data/README",
        "metst_lib/released/README",
        "benchmarks/RESULTS",
        "book/api/commands",
    ]
    names += [f"notebooks/{path.stem}" for path in (CHECKOUT / "notebooks").glob("0*.ipynb")]
    names += [f"book/api/{path.stem}" for path in (CHECKOUT / "metst_lib").glob("[!_]*.py")]
    names += [f"book/api/{path.parent.name}" for path in (CHECKOUT / "metst_lib").glob("*/__init__.py")]
    assert [name for name in names if not (site / f"{name}.html").is_file()] == []
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_what_a_drawers_files_define_and_every_command_have_a_place(site):
    names = "models", "figures", "commands"
    shown = {name: (site / f"book/api/{name}.html").read_text(encoding="utf-8") for name in names}
    assert 'id="metst_lib.models.me_tst_plus.METSTPlus"' in shown["models"]
    assert 'id="metst_lib.figures.save"' in shown["figures"]  # out of a private file
    places = set(re.findall(r'<section id="(metst[\w-]*)"', shown["commands"]))
    assert places >= {f"metst-{name}" for name in main.commands}


def test_pictures_of_a_notebook_keep_their_text_alternatives(site):
    name = "notebooks/01_data_exploration"
    cells = json.loads((CHECKOUT / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    wanted = [o["metadata"]["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
    shown = re.findall(r'<img[^>]* alt="([^"]*)"', (site / f"{name}.html").read_text(encoding="utf-8"))
    assert wanted and [text for text in wanted if text not in map(unescape, shown)] == []


def test_modules_stand_in_the_order_of_the_readmes_map(site):
    text = (site / "book/api/index.html").read_text(encoding="utf-8")
    order = [
        text.index(f'href="{name}.html"')
        for name in ("events", "rois", "flow", "models", "fold", "datasets", "app")
    ]
    assert order == sorted(order)


def test_modules_that_the_map_forgets_come_last(tmp_path):
    for name in ("events.py", "forgotten.py", "_hidden.py", "figures/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    readme = "```\nlib/\n  figures/            Figs.\n  events.py, _x.c     Event\n  gone.py   no more\n```\n"
    assert pages.modules(readme, tmp_path) == [("figures", "Figs."), ("events", "Event"), ("forgotten", "")]


def test_explained_parameters_become_a_list():
    said = "score: (T,) of a video. p: the height,\nof two lines\n\nValueError where p: is bad."
    first, last = said.split("\n\n")
    shown = pages._listed(first, ["score", "p"])
    assert shown.split("\n") == ["", "", "- `score`: (T,) of a video.", "- `p`: the height, of two lines", ""]
    assert pages._listed(last, []) == last


def test_a_link_to_a_folder_leads_to_the_readme_at_or_above_it(tmp_path):
    (tmp_path / "figures" / "set").mkdir(parents=True)
    (tmp_path / "figures" / "README.md").touch()
    assert pages._page_of(tmp_path, "README", "figures") == "figures/README.md"
    assert pages._page_of(tmp_path, "README", "figures/set") == "figures/README.md"


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html is not there"),
        ('<a href="#gone">x</a>', "index.html: #gone has no such place"),
        ('<a href="other.html#gone">x</a>', "index.html: other.html#gone has no such place"),
        ('<img src="p.png">', "index.html: picture p.png has no text alternative"),
        ('<script src="https://x.org/a.js"></script>', "index.html: asks https://x.org/a.js of elsewhere"),
        ('<link rel="stylesheet" href="//x.org/a.css">', "index.html: asks //x.org/a.css of elsewhere"),
        ("", "a.css: asks https://x.org/f.woff2 of elsewhere"),
    ],
)
def test_what_is_wrong_with_a_site_is_said(tmp_path, page, fault):
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "other.html").write_text('<p id="here"><a href="https://x.org">x</a></p>')
    (tmp_path / "p.png").touch()
    if not page:
        (tmp_path / "a.css").write_text("@font-face { src: url('https://x.org/f.woff2') }")
    assert check.check(tmp_path).faults == [fault]
    assert check.check(tmp_path).elsewhere["https://x.org"] == "other.html"


def test_where_there_is_no_site_the_way_to_one_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="`make book` builds one"):
        check.check(tmp_path)


@pytest.mark.parametrize(
    "name", ["index", "notebooks/05_synergy_ablations", "book/api/ssm", "MODEL_CARD", "benchmarks/RESULTS"]
)
def test_a_page_opens_from_disk_without_an_error_or_a_request_to_elsewhere(site, watched, name):
    page, watch = watched
    page.goto((site / f"{name}.html").as_uri(), wait_until="load")
    assert page.locator("article h1").first.is_visible()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0
    width, shown = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= shown
    if name.startswith("notebooks/05"):
        formulas = page.locator(".math")
        page.locator("mjx-container svg").first.wait_for(state="attached")
        assert formulas.count() > 0
        assert page.locator("mjx-container").count() == formulas.count()
    assert (watch.outside, watch.errors) == ([], [])


def test_search_finds_a_function_and_the_look_can_be_switched(site, watched):
    page, watch = watched
    page.goto((site / "search.html").as_uri() + "?q=selective_scan")
    page.locator("#search-results a", has_text="selective_scan").first.wait_for()
    page.goto((site / "index.html").as_uri())
    for theme in ("dark", "light"):
        page.locator("button.theme-switch-button:visible").first.click()
        page.locator(f"button.theme-change-button[data-mode={theme}]:visible").first.click()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert (watch.outside, watch.errors) == ([], [])
