"""The explorer without a browser: what a state shows, what a control does, what is stored where nobody is."""

import dataclasses

import cv2
import ipywidgets
import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest

from metst_lib import experiment, metrics, notebook, spotting, widgets
from metst_lib.events import CLASSES, Event, Video
from metst_lib.figures.explorer import Face, Scene

KEY, OTHER = ("s1", "a"), ("s2", "a")


def hump(at: int, height: float, length: int = 120) -> np.ndarray:
    """A score that rises to `height` at one frame and falls again, ten frames to either side."""
    return height * np.clip(1 - abs(np.arange(length) - at) / 10, 0, None)


def logits(*named: tuple[int, str], length: int = 120) -> np.ndarray:
    """Neutral everywhere, but ten frames to either side of each frame that is named, its class."""
    values = np.zeros((length, len(CLASSES)))
    values[:, CLASSES.index("neutral")] = 1
    for at, name in named:
        values[max(at - 10, 0) : at + 11] = np.eye(len(CLASSES))[CLASSES.index(name)]
    return values


def fold(key, truth, score, classes, half_width=6) -> experiment.Fold:
    """A finished fold of one video, made by hand."""
    predicted = {key: spotting.find_events(score, classes, half_width)}
    scores = metrics.evaluate(predicted, {key: truth})
    return experiment.Fold(
        key[0], predicted, {key: truth}, {key: score}, {key: classes}, half_width, scores, {}, pd.DataFrame()
    )


@pytest.fixture
def run() -> experiment.Run:
    """Two folds. In the first, peaks at 30 (surprise, true), 60 (neutral) and 90 (negative, low, true)."""
    truth = [Event(25, 35, 30, "surprise"), Event(85, 95, 90, "negative")]
    score = hump(30, 1) + hump(60, 0.9) + hump(90, 0.4)
    first = fold(KEY, truth, score, logits((30, "surprise"), (90, "negative")))
    second = fold(OTHER, [Event(20, 30, 25, "positive")], hump(80, 1), logits((80, "others")), half_width=4)
    return experiment.Run(experiment.configure(variant="me-tst"), {"s1": first, "s2": second}, [])


@pytest.fixture
def videos(run) -> list[Video]:
    """The two videos, with a blink in the first; no frames."""
    blink = Event(50, 54, kind="blink")
    return [
        Video(*KEY, 30.0, 120, (*run.truth[KEY], blink)),
        Video(*OTHER, 30.0, 120, tuple(run.truth[OTHER])),
    ]


@pytest.fixture
def explorer(run, videos) -> widgets.Explorer:
    return widgets.Explorer(run, videos)


# --- from a state to what it shows ----------------------------------------------------------------------


def test_the_runs_own_settings_show_the_runs_own_events_and_scores(run, videos):
    state = widgets.start(run, videos[0])
    view = widgets.look(run, state)
    assert state == widgets.State(KEY, 30, spotting.P, None, True, "strict")
    assert [event for event, _ in view.found] == run.predicted[KEY]
    assert view.of_run == run.scores()
    assert view.half_width == 6


def test_a_lower_threshold_finds_the_low_peak_too(run):
    high, low = (widgets.look(run, widgets.State(KEY, p=p)) for p in (0.55, 0.1))
    assert [(event.apex, hit) for event, hit in high.found] == [(30, True)]
    assert [(event.apex, hit) for event, hit in low.found] == [(30, True), (90, True)]
    assert low.threshold < high.threshold
    assert (high.of_video.spotting.fn, low.of_video.spotting.fn) == (1, 0)


def test_the_veto_moves_a_neutral_interval_from_found_to_dropped(run):
    on, off = (widgets.look(run, widgets.State(KEY, result_synergy=switch)) for switch in (True, False))
    assert [(event.apex, hit) for event, hit in on.dropped] == [(60, False)]
    assert off.dropped == ()
    assert [event.apex for event, _ in off.found] == [30, 60]


def test_a_true_interval_that_is_dropped_is_told_from_a_false_one(run):
    neutral = {KEY: logits()}
    changed = dataclasses.replace(run.folds["s1"], logits=neutral)
    run = dataclasses.replace(run, folds={**run.folds, "s1": changed})
    view = widgets.look(run, widgets.State(KEY))
    assert view.found == ()
    assert [(event.apex, hit) for event, hit in view.dropped] == [(30, True), (60, False)]


def test_k_p_is_each_folds_own_until_it_is_set_and_then_that_of_all(run):
    found = {
        k: [e for e, _ in widgets.look(run, widgets.State(OTHER, half_width=k)).found] for k in (None, 7)
    }
    for given, k_p in ((None, 4), (7, 7)):
        first, second = run.folds["s1"], run.folds["s2"]
        assert found[given] == spotting.find_events(second.score[OTHER], second.logits[OTHER], k_p)
        expected = {OTHER: found[given]}
        expected[KEY] = spotting.find_events(first.score[KEY], first.logits[KEY], given or 6)
        of_run = widgets.look(run, widgets.State(KEY, half_width=given)).of_run
        assert of_run == metrics.evaluate(expected, run.truth)
    assert found[None] != found[7]


def test_another_scorer_counts_the_same_events_otherwise(run):
    views = {name: widgets.look(run, widgets.State(OTHER, scorer=name)) for name in metrics.SCORERS}
    assert len({view.found for view in views.values()}) == 1
    empty = dataclasses.replace(run.folds["s2"], truth={OTHER: []})
    run = dataclasses.replace(run, folds={**run.folds, "s2": empty})
    assert widgets.look(run, widgets.State(OTHER)).of_video.spotting.fp == 1
    assert widgets.look(run, widgets.State(OTHER, scorer="megc2024")).of_video.spotting.fp == 0


def test_a_video_without_a_score_is_refused_by_name(run):
    with pytest.raises(ValueError, match="me-tst has no score of video s1 z"):
        widgets.look(run, widgets.State(("s1", "z")))


def test_the_next_event_is_the_nearest_true_or_found_one(run):
    view, truth = widgets.look(run, widgets.State(KEY)), run.truth[KEY]
    assert [widgets.neighbour(view, truth, frame, 1) for frame in (0, 30, 90)] == [30, 90, 90]
    assert [widgets.neighbour(view, truth, frame, -1) for frame in (119, 90, 30)] == [90, 30, 30]


# --- in words -------------------------------------------------------------------------------------------


def test_the_story_counts_what_is_found_missed_and_dropped(run):
    view = widgets.look(run, widgets.State(KEY))
    assert widgets.story(view) == (
        "1 event found: 1 on a true one, 0 on none; 1 of 2 true ones missed. "
        "1 interval dropped as neutral, 0 on a true one."
    )


def test_a_frame_is_told_with_score_class_and_truth(run, videos):
    view = widgets.look(run, widgets.State(KEY))
    words = widgets.at_frame(view, videos[0], 30)
    assert words.startswith("Frame 30 of 120 (1.00 s): smoothed score 0.7")
    assert "above the threshold" in words
    assert words.endswith("most probable surprise (0.40); true: a surprise micro-expression.")
    assert widgets.at_frame(view, videos[0], 52).endswith("true: a blink.")
    assert widgets.at_frame(view, videos[0], 0).endswith("true: nothing labelled.")


def test_the_table_has_video_fold_and_run(run):
    rows = widgets.table(widgets.look(run, widgets.State(KEY)), "s1", "all 2 folds").split("<tr>")[2:]
    assert [row.split("</th>")[0].split(">")[-1] for row in rows] == ["this video", "fold s1", "all 2 folds"]
    assert "<td>1</td><td>0</td><td>1</td><td>0.667</td>" in rows[0]
    assert "<td>1</td><td>1</td><td>2</td><td>0.400</td>" in rows[2]


# --- the picture ----------------------------------------------------------------------------------------


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def scene(run, videos):
    """Makes the picture of the first video, with a grey face."""
    grey, fold = Face(np.full((320, 320), 128, np.uint8)), run.folds["s1"]
    return lambda: Scene(videos[0], fold.score[KEY], fold.probabilities(KEY), lambda _: grey, "some data")


def test_the_picture_follows_the_state_and_leaves_no_trace(run, scene):
    picture = scene()
    views = [widgets.look(run, widgets.State(KEY, p=p)) for p in (0.55, 0.1)]
    first = picture.png(views[0], 30)
    moved, lowered = picture.png(views[0], 31), picture.png(views[1], 31)
    assert len({first, moved, lowered}) == 3
    assert picture.png(views[0], 30) == first


def test_in_layers_it_is_the_same_picture_as_at_once(run, scene):
    view = widgets.look(run, widgets.State(KEY))
    layered, whole = decoded(scene().png(view, 30)), scene().figure(view, 30, "A picture.")
    whole.canvas.draw()
    at_once = cv2.cvtColor(np.asarray(whole.canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    assert layered.shape == at_once.shape
    assert (layered != at_once).any(axis=2).mean() < 0.005  # where the line of the frame crosses others


def test_a_score_of_another_length_is_refused(run, videos):
    with pytest.raises(ValueError, match="video s1 a has 120 frames, the score 100"):
        Scene(videos[0], np.zeros(100), np.zeros((120, 5)), lambda _: Face(), "x")


def test_a_face_is_shown_of_the_synthetic_set_alone(tiny_root):
    config = experiment.configure(root=tiny_root)
    video = experiment.load_data(config).videos[0]
    shown = widgets.faces_of(config, video)(100)
    assert shown.image.shape == (320, 320)
    assert len(shown.layout.regions) == 5
    licensed = widgets.faces_of(dataclasses.replace(config, dataset="casme3"), video)(100)
    assert licensed.image is None
    np.testing.assert_array_equal(licensed.landmarks, shown.landmarks)
    assert licensed.layout == shown.layout


def test_without_frames_there_is_nothing_to_show_and_the_text_says_so(run, videos, explorer):
    assert widgets.faces_of(run.config, videos[0])(3) == Face()
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
    expected = widgets.State(KEY, 30, 0.1, 7, False, "released")
    assert explorer.state == expected
    assert widgets.story(widgets.look(run, expected)) in explorer._said.value
    assert explorer._picture.tooltip == explorer.text
    explorer.controls["reset"].click()
    assert explorer.state == widgets.State(KEY, 30)
    assert (explorer.controls["p"].value, explorer.controls["k_p"].value) == (0.55, 6)


def test_another_subject_brings_its_videos_its_k_p_and_its_first_event(explorer):
    explorer.controls["subject"].value = "s2"
    assert explorer.state.video == OTHER
    assert explorer.controls["frame"].value == 25
    assert explorer.controls["k_p"].value == 4  # its own still, as no other was asked for
    assert explorer.state.half_width is None


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
    assert "role='alert'" in explorer._error.value
    assert "ArithmeticError: no &lt;picture&gt; today" in explorer._error.value
    explorer.controls["p"].value = 0.4
    assert explorer._error.value == ""


def test_there_is_nothing_to_explore_without_a_finished_fold(run, videos, tiny_root):
    with pytest.raises(FileNotFoundError, match="no fold of me-tst, seed 7, is finished"):
        widgets.explore(experiment.configure(seed=7, root=tiny_root))
    with pytest.raises(ValueError, match="no finished fold 's3'; there are: s1, s2"):
        widgets.Explorer(run, videos, "s3")


# --- where nobody is ------------------------------------------------------------------------------------


def test_an_executed_notebook_stores_the_figure_and_no_widget(tiny_root, tmp_path):
    config = experiment.configure(variant="flow-magnitude", root=tiny_root)
    experiment.run_folds(config, ["spNO.2"], progress=False)
    source = (
        "from metst_lib import experiment, widgets\n"
        f"config = experiment.configure(variant='flow-magnitude', root={str(tiny_root)!r})\n"
        "widgets.explore(config, 'spNO.2')"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    (output,) = book.cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert "widgets" not in book.metadata
    alt = widgets.explore(config, "spNO.2").text
    assert alt in output.metadata["image/png"]["alt"]
    nbformat.write(book, tmp_path / "book.ipynb")
    page = notebook.to_html(tmp_path / "book.ipynb", tmp_path / "book.html").read_text()
    assert "Video a of spNO.2, synthetic data: the face with the regions" in page


def test_where_somebody_is_the_widget_comes_with_the_figure_beside_it(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda *data, **_: shown.extend(data))
    monkeypatch.setattr(widgets, "_somebody_is_there", lambda: True)
    explorer._ipython_display_()
    bundle, script = shown
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"} <= set(bundle)
    assert "aria-label" in script.data
    assert isinstance(explorer.widget, ipywidgets.VBox)
