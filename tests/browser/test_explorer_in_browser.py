"""The explorer as a reader has it: in JupyterLab, in a real browser, by keyboard alone."""

import dataclasses
import json
import os
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from metst_lib import experiment
from metst_lib.app.view import at_frame, look, start, story

FOLDER = Path(os.environ.get("METST_FIGURES", Path(__file__).parents[2] / ".test_figures"))
"""Where the screenshots are kept; git ignores it."""
SUBJECT = "spNO.2"
SCORED = ".metst-said"
FAILED = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'], .metst-error"
SLIDERS = ("Threshold p", "k_p", "Frame")
TAB_ORDER = (
    *(("combobox", name) for name in ("Subject", "Video", "Scorer")),
    ("checkbox", "Result-level synergy"),
    ("slider", "Threshold p"),
    ("slider", "k_p"),
    ("button", "as in the run"),
    ("slider", "Frame"),
    ("button", "‹ event"),
    ("button", "event ›"),
)
LATENCY = """async (presses) => {
  const image = document.querySelector('.metst-explorer img'), times = [];
  for (let i = 0; i < presses; i++) {
    const handle = document.activeElement, began = performance.now();
    const shown = new Promise(done => image.addEventListener('load', done, {once: true}));
    const key = {key: i % 2 ? 'ArrowLeft' : 'ArrowRight', bubbles: true, cancelable: true};
    handle.dispatchEvent(new KeyboardEvent('keydown', key));
    await shown;
    times.push(performance.now() - began);
    await new Promise(done => setTimeout(done, 100));
  }
  return times;
}"""


@pytest.fixture(scope="module")
def config(tiny_root):
    """The comparator without training, on the tiny set: all its folds in half a second."""
    config = experiment.configure(variant="flow-magnitude", root=tiny_root)
    experiment.run_folds(config, experiment.folds(config), progress=False)
    return config


@pytest.fixture
def page(watched, lab, config):
    """The explorer in a notebook, all cells run."""
    page, watch = watched
    code = [
        "from metst_lib import experiment\nfrom metst_lib.app import explorer\n"
        f"config = experiment.configure(variant={config.variant!r}, root={str(config.places.root)!r})",
        f"shown = explorer.explore(config, {SUBJECT!r})\nshown",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, lab.folder / "explorer.ipynb")
    page.goto(f"{lab.address}lab/tree/explorer.ipynb?token={lab.token}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget?.context?.isReady")
    page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(f".metst-explorer img[alt], {FAILED}, .jp-RenderedText[data-mime-type*=error]")
    assert page.locator(".metst-explorer").count() == 1, page.locator(".jp-OutputArea").all_inner_texts()
    yield page
    assert watch.outside == []
    assert watch.errors == []


def reads(page, text: str) -> None:
    """Wait until the explorer says this, or fail with what it says instead."""
    try:
        page.wait_for_function(
            "([where, failed, text]) => document.querySelector(failed) || "
            "document.querySelector(where).textContent.includes(text)",
            arg=[SCORED, ".metst-error", text],
            timeout=15_000,
        )
    except Exception:
        pytest.fail(f"waited for {text!r}, seen {page.locator(SCORED).inner_text()!r}")
    assert page.locator(".metst-error").count() == 0, page.locator(".metst-error").inner_text()


def press(page, role: str, name: str, *keys: str) -> None:
    """Focus a control by its name and press keys."""
    page.get_by_role(role, name=name, exact=True).focus()
    for key in keys:
        page.keyboard.press(key)


def test_a_slider_moved_by_keyboard_shows_the_events_that_the_library_finds(page, config):
    run = experiment.read_run(config)
    (video,) = experiment.load_data(config).videos_of(SUBJECT)
    state = start(run, video)
    first = look(run, state)
    reads(page, story(first))
    assert f"{len(first.found)} events found" in story(first)

    higher = dataclasses.replace(state, rule=dataclasses.replace(state.rule, p=round(state.rule.p + 0.35, 2)))
    view = look(run, higher)
    assert len(view.found) < len(first.found)
    prediction, own = run.folds[SUBJECT].predictions[video.key], run.folds[SUBJECT].rule
    assert len(view.found) == len(dataclasses.replace(own, p=higher.rule.p).candidates(prediction))
    press(page, "slider", "Threshold p", *["PageUp"] * 7)
    reads(page, story(view))
    said = page.locator(SCORED).inner_text()
    assert int(re.search(r"(\d+) events? found", said)[1]) == len(view.found)

    counts = view.of_run.spotting
    numbers = [str(counts.tp), str(counts.fp), str(counts.fn), f"{counts.f1:.3f}"]
    cells = page.locator(".metst-scores tr").last.locator("td")
    expect(cells).to_have_text([*numbers, f"{view.of_run.recognition.f1:.3f}", f"{view.of_run.strs:.3f}"])

    press(page, "slider", "Frame", "ArrowRight", "ArrowRight")
    frame = state.frame + 2
    reads(page, at_frame(view, video, frame))
    image = page.locator(".metst-explorer img")
    expect(image).to_have_attribute("alt", re.compile(f"Frame {frame} of"))
    assert story(view) in image.get_attribute("alt")
    assert image.evaluate("image => image.naturalWidth") == 1382

    press(page, "button", "as in the run", "Enter")
    reads(page, story(first))
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.locator(".jp-Notebook").screenshot(path=FOLDER / "explorer.png")
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.locator(".jp-Notebook").screenshot(path=FOLDER / "explorer_dark.png")


def test_every_control_has_a_name_and_is_reached_by_keyboard(page):
    explorer = page.locator(".metst-explorer")
    for role in {role for role, _ in TAB_ORDER}:
        assert explorer.get_by_role(role).count() == sum(role == other for other, _ in TAB_ORDER)
    explorer.get_by_role("combobox", name="Subject").focus()
    for role, name in TAB_ORDER:
        here = explorer.get_by_role(role, name=name, exact=True)
        assert here.evaluate("control => document.activeElement === control"), name
        page.keyboard.press("Tab")
        if role == "slider":
            page.keyboard.press("Tab")  # past its number, which can be typed over


def test_the_picture_follows_a_slider_at_once(page):
    found = {}
    for name in SLIDERS:
        page.get_by_role("slider", name=name, exact=True).focus()
        times = sorted(page.evaluate(LATENCY, 12))
        found[name] = {"median": statistics.median(times), "90th percentile": times[10]}
    (FOLDER / "explorer_ms.json").write_text(json.dumps(found, indent=1))
    assert all(one["median"] < 300 for one in found.values()), found  # far above 100 ms: CI may be busy
