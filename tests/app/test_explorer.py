"""The explorer without a browser: what a control does, the picture, what is stored where nobody is."""

import cv2
import ipywidgets
import nbclient
import nbformat
import numpy as np
import pytest
from finished import KEY, OTHER

from metst_lib import experiment
from metst_lib.app import explorer as exploring
from metst_lib.app import notebook, view
from metst_lib.figures.explorer import Face, Scene
from metst_lib.spotting import Rule


@pytest.fixture
def explorer(run, videos) -> exploring.Explorer:
    return exploring.Explorer(run, videos)


# --- the picture ----------------------------------------------------------------------------------------


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def scene(run, videos):
    """Makes the picture of the first video, with a grey face."""
    grey, fold = Face(np.full((320, 320), 128, np.uint8)), run.folds["s1"]
    seen = fold.predictions[KEY]
    return lambda: Scene(videos[0], seen.score, seen.probabilities, lambda _: grey, "some data")


def test_the_picture_follows_the_state_and_leaves_no_trace(run, scene):
    picture = scene()
    views = [view.look(run, view.State(KEY, rule=Rule(p=p))) for p in (0.55, 0.1)]
    first = picture.png(views[0], 30)
    moved, lowered = picture.png(views[0], 31), picture.png(views[1], 31)
    assert len({first, moved, lowered}) == 3
    assert picture.png(views[0], 30) == first


def test_in_layers_it_is_the_same_picture_as_at_once(run, scene):
    shown = view.look(run, view.State(KEY))
    layered, whole = decoded(scene().png(shown, 30)), scene().figure(shown, 30, "A picture.")
    whole.canvas.draw()
    at_once = cv2.cvtColor(np.asarray(whole.canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    assert layered.shape == at_once.shape
    assert (layered != at_once).any(axis=2).mean() < 0.005  # where the line of the frame crosses others


def test_a_score_of_another_length_is_refused(run, videos):
    with pytest.raises(ValueError, match="video s1 a has 120 frames, the score 100"):
        Scene(videos[0], np.zeros(100), np.zeros((120, 5)), lambda _: Face(), "x")


def test_without_frames_there_is_nothing_to_show_and_the_text_says_so(run, videos, explorer):
    assert view.faces_of(run.config, videos[0])(3) == Face()
    assert explorer.text.startswith("Video a of s1, synthetic data: no frame to show, score with threshold,")


# --- controls -------------------------------------------------------------------------------------------


def test_every_control_says_what_it_is(explorer):
    for name, control in explorer.controls.items():
        assert control.description and len(control.tooltip) > 15, name


def test_moving_controls_does_what_the_logic_says(explorer, run):
    assert explorer.widget.children
    explorer.controls["p"].value = 0.1
    explorer.controls["synergy"].value = False
    explorer.controls["scorer"].value = "released"
    explorer.controls["k_p"].value = 7
    expected = view.State(KEY, 30, Rule("micro", 7, 0.1, False), "released")
    assert explorer.state == expected
    assert view.story(view.look(run, expected)) in explorer._shown.said.value
    assert explorer._shown.picture.tooltip == explorer.text
    explorer.controls["reset"].click()
    assert explorer.state == view.State(KEY, 30)
    assert (explorer.controls["p"].value, explorer.controls["k_p"].value) == (0.55, 6)


def test_another_subject_brings_its_videos_its_k_p_and_its_first_event(explorer):
    explorer.controls["subject"].value = "s2"
    assert explorer.state.video == OTHER
    assert explorer.controls["frame"].value == 25
    assert explorer.controls["k_p"].value == 4  # its own still, as no other was asked for
    assert explorer.state.rule.half_width is None


def test_buttons_go_from_event_to_event(explorer):
    explorer.controls["next"].click()
    assert explorer.controls["frame"].value == 90
    explorer.controls["previous"].click()
    assert explorer.state.frame == 30


def test_an_error_after_a_move_is_seen_and_raised_and_gone_after_the_next(explorer, monkeypatch):
    assert explorer.widget.children

    def fail(state):
        raise ArithmeticError("no <picture> today")

    with monkeypatch.context() as patch:
        patch.setattr(explorer, "_look", fail)
        with pytest.raises(ArithmeticError):
            explorer.controls["p"].value = 0.3
    assert "role='alert'" in explorer._shown.error.value
    assert "ArithmeticError: no &lt;picture&gt; today" in explorer._shown.error.value
    explorer.controls["p"].value = 0.4
    assert explorer._shown.error.value == ""


def test_there_is_nothing_to_explore_without_a_finished_fold(run, videos, tiny_root):
    with pytest.raises(FileNotFoundError, match="no fold of me-tst, seed 7, is finished"):
        exploring.explore(experiment.configure(seed=7, root=tiny_root))
    with pytest.raises(ValueError, match="no finished fold 's3'; there are: s1, s2"):
        exploring.Explorer(run, videos, "s3")


# --- where nobody is ------------------------------------------------------------------------------------


def test_an_executed_notebook_stores_the_figure_and_no_widget(tiny_root, tmp_path):
    config = experiment.configure(variant="flow-magnitude", root=tiny_root)
    experiment.run_folds(config, ["spNO.2"], progress=False)
    source = (
        "from metst_lib import experiment\nfrom metst_lib.app import explorer\n"
        f"config = experiment.configure(variant='flow-magnitude', root={str(tiny_root)!r})\n"
        "explorer.explore(config, 'spNO.2')"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    (output,) = book.cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert "widgets" not in book.metadata
    alt = exploring.explore(config, "spNO.2").text
    assert alt in output.metadata["image/png"]["alt"]
    nbformat.write(book, tmp_path / "book.ipynb")
    page = notebook.to_html(tmp_path / "book.ipynb", tmp_path / "book.html").read_text()
    assert "Video a of spNO.2, synthetic data: the face with the regions" in page


def test_where_somebody_is_the_widget_comes_with_the_figure_beside_it(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr(exploring, "display", lambda *data, **_: shown.extend(data))
    monkeypatch.setattr(exploring, "_somebody_is_there", lambda: True)
    explorer._ipython_display_()
    bundle, script = shown
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"} <= set(bundle)
    assert "aria-label" in script.data
    assert isinstance(explorer.widget, ipywidgets.VBox)
