"""Figures show the data they were given, look alike, read without colour, and leave licensed faces out."""

import dataclasses
import itertools
import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from metst_lib import figures, rois
from metst_lib.events import CLASSES, EMOTIONS, Event, Video
from metst_lib.spotting import Candidate

FPS = 30
FRAMES = 150
MES = (
    Event(30, 41, 35, "negative"),
    Event(80, 89, None, "surprise"),
    Event(120, 134, 126, "others"),
)
DISTRACTORS = (Event(50, 75, kind="macro"), Event(38, 44, kind="blink"), Event(100, 105, kind="blink"))
VIDEO = Video("spNO.1", "a", FPS, FRAMES, MES + DISTRACTORS)
BARE = Video("spNO.2", "b", FPS, FRAMES, ())
CANDIDATES = [
    Candidate(36, 31, 41, 0.9, "negative", "negative"),
    Candidate(62, 57, 67, 0.7, "neutral", "others"),
]
PREDICTED = [Event(31, 42, 36, "negative"), Event(55, 66, 60, "positive")]
REGIONS = ["left brow", "mouth"]


@pytest.fixture(scope="module")
def landmarks():
    """A face of 68 points in a 320-px crop: jaw, arched brows, nose, eyes and lips."""
    jaw = np.linspace(0, np.pi, 17)
    points = [(160 - 110 * np.cos(a), 130 + 160 * np.sin(a)) for a in jaw]
    for left in (70, 180):
        points += [(left + 17 * n, y) for n, y in enumerate((100, 92, 88, 90, 95))]
    points += [(160, y) for y in np.linspace(120, 175, 4)] + [(x, 190) for x in np.linspace(135, 185, 5)]
    for centre in (105, 215):
        angles = np.linspace(-np.pi, 2 * np.pi / 3, 6)
        points += [(centre + 22 * np.cos(a), 120 + 8 * np.sin(a)) for a in angles]
    points += [(160 + 45 * np.cos(a), 240 + 18 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 12, False)]
    points += [(160 + 35 * np.cos(a), 240 + 6 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 8, False)]
    return np.round(np.array(points))


@pytest.fixture(scope="module")
def moving(landmarks):
    return np.repeat(landmarks[None], FRAMES, 0) + np.linspace(0, 1, FRAMES)[:, None, None]


@pytest.fixture(scope="module")
def output():
    score = np.linspace(0.1, 0.9, FRAMES)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), FRAMES)
    return score, probabilities


FACE = [np.full((320, 320), 100 + n % 50, np.uint8) for n in range(FRAMES)]
FLOW = np.arange(4 * 40, dtype=float).reshape(4, 40) / 40


TST = [
    ("flow", (30, 10)),
    ("stem", (30, 64)),
    ("spotting", (30, 64)),
    ("recognition", (30, 64)),
    ("spot_head", (30, 1)),
    ("emotion_head", (30, 5)),
]
"""What `models.shapes` says of a METST."""


def everything(landmarks, moving, output):
    """Name → figure, one of each."""
    score, probabilities = output
    view = figures.EventView("a", MES[0], 20, score[20:60], probabilities[20:60], FLOW, REGIONS, DISTRACTORS)
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.2], "lr": [1e-3, 2e-3, 1e-3]})
    steps = np.arange(10) / 10
    return {
        "durations": figures.durations(MES, FPS),
        "class_counts": figures.class_counts(MES),
        "timeline": figures.timeline([VIDEO, BARE]),
        "blink_rates": figures.blink_rates([VIDEO, BARE]),
        "event_strip": figures.event_strip(MES[0], FPS, landmarks=moving),
        "landmarks_on_canvas": figures.landmarks_on_canvas(landmarks),
        "regions_on_canvas": figures.regions_on_canvas(landmarks, rois.resolve(rois.ROIS, landmarks)),
        "flow_of_event": figures.flow_of_event(FLOW, REGIONS, MES[0], FPS, 20, FLOW + 1, DISTRACTORS),
        "alignment_on_off": figures.alignment_on_off(FLOW, FLOW + 1, REGIONS, FPS, 20, FLOW, MES),
        "blink_beside_me": figures.blink_beside_me(FLOW, REGIONS, MES[0], DISTRACTORS[1:], FPS, 20),
        "training_curves": figures.training_curves(history),
        "discretisation": figures.discretisation(steps, steps, {"Δ = 0.2 s": (steps[::2], steps[::2])}),
        "scan": figures.scan(np.ones(10), np.ones((10, 4)), np.ones(10), FPS),
        "five_intervals": figures.five_intervals(PREDICTED, MES, [(0, 0, 11 / 13)], FPS),
        "confusion": figures.confusion({"ME-TST": (np.eye(4, dtype=int), EMOTIONS)}),
        "score_to_events": figures.score_to_events(score, CANDIDATES, 5, FPS, truth=MES),
        "one_video": figures.one_video(VIDEO, score, probabilities, PREDICTED, 0.5, landmarks=moving),
        "two_variants": figures.two_variants(
            VIDEO,
            [figures.Output(name, score, probabilities, PREDICTED, 0.5) for name in ("ME-TST", "ME-TST+")],
        ),
        "state_transition": figures.state_transition(FLOW[0], FLOW.T, MES[0], FPS, 20, FLOW[1]),
        "window_against_video": figures.window_against_video(
            np.linspace(0, 1, 9), np.arange(9) * 15, 30, score, MES + DISTRACTORS, FPS
        ),
        "architecture": figures.architecture(TST, "ME-TST"),
        "result_synergy": figures.result_synergy({"ME-TST": (45, 22, 1, 14), "ME-TST+": (5, 0, 0, 2)}),
        "forest": figures.forest(
            {"a": (0.5, 0.4, 0.6), "b": (np.nan, np.nan, np.nan)}, "spotting F1 (0–1)", {"a": [0.45, 0.55]}
        ),
        "sensitivity": figures.sensitivity(np.eye(3), [0.5, 0.55, 0.6], [5, 6, 7], used=(0.55, 6)),
        "key_regions": figures.key_regions([view, dataclasses.replace(view, title="b")], FPS),
    }


@pytest.fixture(scope="module")
def drawn(landmarks, moving, output):
    """Every figure, drawn once."""
    made = everything(landmarks, moving, output)
    for figure in made.values():
        figure.canvas.draw()
    return made


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def bars(ax):
    """(left, width, row) of the bars in a lane."""
    found = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [(p.get_x(), p.get_width(), p.get_y() + p.get_height() / 2) for p in found]


def images(figure):
    return figure.findobj(AxesImage)


# ---- one look ----


def test_every_text_is_at_least_eight_points(drawn):
    small = {(name, t.get_text()): t.get_fontsize() for name, f in drawn.items() for t in texts(f)}
    assert {where: size for where, size in small.items() if size < 8} == {}


def test_every_figure_is_a_column_or_a_page_wide(drawn):
    assert {figure.get_size_inches()[0] for figure in drawn.values()} == {3.5, 7.0}


def test_every_figure_has_a_text_alternative_of_its_own(drawn):
    alternatives = [figures.alt_text(figure) for figure in drawn.values()]
    assert all(len(alt) > 30 and alt.endswith(".") for alt in alternatives)
    assert len(set(alternatives)) == len(alternatives)


def test_nothing_leaves_the_picture(drawn):
    for name, figure in drawn.items():
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, name


def test_no_two_texts_overlap(drawn, monkeypatch):
    drawn_texts = []
    draw = Text.draw

    def spy(text, renderer):
        draw(text, renderer)
        if text.get_visible() and text.get_text().strip():
            drawn_texts.append((text.get_text(), text.get_window_extent(renderer).padded(-1)))

    monkeypatch.setattr(Text, "draw", spy)
    for name, figure in drawn.items():
        drawn_texts.clear()
        figure.canvas.draw()
        assert len(drawn_texts) > 4
        clashes = [
            (a, b) for (a, box), (b, other) in itertools.combinations(drawn_texts, 2) if box.overlaps(other)
        ]
        assert clashes == [], name


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("durations", {"duration (s)"}),
        ("timeline", {"time in the video (s)", "subject and video"}),
        ("blink_rates", {"blinks per minute (1/min), one point per video"}),
        ("class_counts", {"number of micro-expressions"}),
        ("landmarks_on_canvas", {"x (px)", "y (px)"}),
        ("regions_on_canvas", {"x (px)", "y (px)"}),
        ("flow_of_event", {"time (s)", "flow (px)"}),
        ("alignment_on_off", {"time (s)", "flow (px)"}),
        ("one_video", {"time in the video (s)", "spotting score\n(0–1)", "class probability\n(0–1)"}),
        ("key_regions", {"time in the video (s)", "S: score\n(0–1)", "R: probability\n(0–1)", "flow (px)"}),
        ("state_transition", {"time (s)", "input x\n(px)", "state |h|\n(no unit)", "output y\n(no unit)"}),
        ("window_against_video", {"time in the video (s)", "window's answer\n(0–1)", "frame's score\n(0–1)"}),
        ("forest", {"spotting F1 (0–1)"}),
        ("sensitivity", {"half width k_p (frames)", "threshold p (0–1)", "spotting F1 (0–1)"}),
        ("training_curves", {"epoch", "loss (no unit)", "learning rate (no unit)"}),
    ],
)
def test_axes_name_their_quantity_and_unit(drawn, name, labels):
    found = {label for ax in drawn[name].axes for label in (ax.get_xlabel(), ax.get_ylabel())}
    assert found - {""} == labels


def test_each_class_has_its_colour_and_its_own_mark():
    assert figures.PALETTE == {
        "negative": "#D55E00",
        "positive": "#009E73",
        "surprise": "#0072B2",
        "others": "#7A1F5C",
        "neutral": "#6A6A6A",
    }
    assert tuple(figures.PALETTE) == CLASSES == tuple(figures.HATCHES) == tuple(figures.DASHES)
    assert len(set(figures.HATCHES.values())) == 5
    assert len({figures.DASHES[name] for name in EMOTIONS}) == 4


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
SIGHT = {
    "typical": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_class_colours_differ_for_every_kind_of_colour_vision(sight):
    from skimage.color import rgb2lab

    def seen(colour):
        channel = np.array(to_rgb(colour))
        linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
        return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))

    colours = [seen(colour) for colour in figures.PALETTE.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2)) > 14


def test_class_colours_stand_out_from_white_paper():
    for colour in figures.PALETTE.values():
        channel = np.array(to_rgb(colour))
        linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3  # WCAG 2, graphical objects


def test_the_callers_settings_stay_as_they_are_and_change_nothing():
    import matplotlib

    with matplotlib.rc_context({"font.size": 5, "axes.labelsize": 5}):
        figure = figures.durations(MES, FPS)
        figure.canvas.draw()
        assert matplotlib.rcParams["font.size"] == 5
    assert min(text.get_fontsize() for text in texts(figure)) >= 8


def test_a_stamp_says_where_the_data_come_from_in_picture_and_text(output, moving):
    figure = figures.one_video(VIDEO, *output, PREDICTED, landmarks=moving)
    before = figures.alt_text(figure)
    assert figures.stamp(figure, "synthetic data") is figure
    assert figures.alt_text(figure) == f"{before} Synthetic data."
    figure.canvas.draw()
    stamp = next(text for text in texts(figure) if text.get_text() == "synthetic data")
    box = stamp.get_window_extent()
    others = [text for text in texts(figure) if text is not stamp and text.axes is not None]
    titles = [text for text in others if text.axes.get_title(loc="center") == text.get_text()]
    assert titles and all(title.get_window_extent().y1 <= box.y0 + 1 for title in titles)


# ---- files ----


def test_two_saves_give_equal_bytes(tmp_path, output):
    files = []
    for turn, pause in (("one", 0), ("two", 1.1)):
        time.sleep(pause)  # a time stamp in seconds would show
        figure = figures.one_video(VIDEO, *output, PREDICTED, 0.5)
        files.append([path.read_bytes() for path in figures.save(figure, tmp_path / turn / "fig6")])
    assert files[0] == files[1]


def test_a_figure_that_was_shown_before_gives_the_same_bytes(tmp_path, drawn):
    for name in ("one_video", "confusion", "five_intervals", "event_strip"):
        first, again = (figures.save(drawn[name], tmp_path / turn / name) for turn in ("first", "again"))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again], name


def test_save_writes_png_and_pdf_with_the_text_alternative_and_no_date(tmp_path):
    figure = figures.class_counts({"negative": 3})
    png, pdf = figures.save(figure, tmp_path / "a.b")
    assert (png.name, pdf.name) == ("a.b.png", "a.b.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.pdf", "a.b.png"]
    assert (
        figures.alt_text(png)
        == figures.alt_text(figure)
        == "Number of micro-expressions by class: 3 negative; 3 in all."
    )
    assert b"CreationDate" not in pdf.read_bytes()


def test_a_figure_without_text_alternative_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="no text alternative"):
        figures.save(figures.Drawing(), tmp_path / "bare")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_the_picture_with_its_text_alternative():
    figure = figures.class_counts(MES)
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == figures.alt_text(figure)  # instead of an object's address
    assert metadata == {"image/png": {"alt": figures.alt_text(figure)}}
    assert figures.class_counts(MES)._repr_mimebundle_()[0] == data


# ---- no face unless asked ----


def test_faces_are_left_out_unless_asked_for(output, moving):
    hidden = [
        figures.one_video(VIDEO, *output, PREDICTED, landmarks=moving, frames=FACE),
        figures.one_video(VIDEO, *output, PREDICTED, frames=FACE),
        figures.event_strip(MES[0], FPS, frames=FACE, landmarks=moving),
    ]
    assert [len(images(figure)) for figure in hidden] == [0, 0, 0]
    assert "no face is shown" in figures.alt_text(hidden[0])
    shown = figures.one_video(VIDEO, *output, PREDICTED, frames=FACE, show_faces=True)
    assert len(images(shown)) == 3  # one for each true ME
    strip = figures.event_strip(MES[0], FPS, frames=FACE, show_faces=True)
    assert len(images(strip)) == 12  # six frames and their differences


def test_no_figure_holds_a_picture_of_a_face_by_default(drawn):
    with_images = {name for name, figure in drawn.items() if images(figure)}
    assert with_images == {"confusion", "scan", "sensitivity"}  # maps of numbers


def test_event_strip_says_what_it_needs():
    with pytest.raises(ValueError, match="needs landmarks where faces are not shown"):
        figures.event_strip(MES[0], FPS, frames=FACE)


# ---- the data in the figures ----


def test_durations_are_drawn_in_seconds_with_both_ends_counted():
    figure = figures.durations([Event(10, 24, None, "negative"), Event(50, 53, None, "negative")], FPS)
    points = figure.axes[0].collections[0].get_offsets()
    assert sorted(points[:, 0]) == pytest.approx([4 / 30, 15 / 30])
    assert "negative: n = 2, median 0.32 s" in figures.alt_text(figure)


def test_durations_read_a_table_and_go_logarithmic_for_very_long_labels():
    table = pd.DataFrame({"onset": [0, 5], "offset": [3455, 14], "emotion": ["negative", "others"]})
    figure = figures.durations(table, FPS)
    assert figure.axes[0].get_xscale() == "log"
    assert figures.durations(MES, FPS).axes[0].get_xscale() == "linear"


def test_class_counts_draws_one_bar_per_class_with_its_height():
    ax = figures.class_counts(MES).axes[0]
    assert [patch.get_width() for patch in ax.patches] == [1, 0, 1, 1]
    assert [text.get_text() for text in ax.texts] == ["1 (33%)", "0 (0%)", "1 (33%)", "1 (33%)"]


def test_timeline_places_every_event_on_its_videos_row():
    ax = figures.timeline([BARE, VIDEO]).axes[0]
    assert len(bars(ax)) == 6
    assert {row for _, _, row in bars(ax)} == {1}
    assert (30 / 30, 12 / 30, 1) in [pytest.approx(b) for b in bars(ax)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["spNO.2 b", "spNO.1 a"]


def test_timeline_says_how_many_videos_it_leaves_out():
    figure = figures.timeline([VIDEO] * 5, most=2)
    assert len(figure.axes[0].get_yticks()) == 2
    assert "3 further videos not shown" in figures.alt_text(figure)


def test_blink_rates_are_per_minute_and_leave_out_subjects_without_labelled_blinks():
    ax = figures.blink_rates([VIDEO, BARE]).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["spNO.1"]
    assert list(ax.collections[0].get_offsets()[:, 0]) == [24]  # 2 blinks in 5 s


def test_event_strip_shows_onset_apex_and_offset():
    points = np.zeros((FRAMES, 68, 2)) + np.random.default_rng(0).uniform(0, 300, (68, 2))
    titles = [
        ax.get_title(loc="center") for ax in figures.event_strip(MES[0], FPS, landmarks=points).axes[:6]
    ]
    assert titles[0] == "onset\n0.00 s" and titles[-1] == "offset\n0.37 s"
    assert "apex\n0.17 s" in titles


def test_event_strip_enlarges_the_movement_since_the_onset(landmarks):
    moved = np.repeat(landmarks[None], FRAMES, 0).astype(float)
    moved[41] += (0, 2)
    last = figures.event_strip(MES[0], FPS, landmarks=moved, gain=10).axes[-1]
    tracks = [line.get_ydata() for line in last.lines if len(line.get_ydata()) == 2][-68:]
    assert {float(y[1] - y[0]) for y in tracks} == {20.0}


def test_regions_are_drawn_where_the_layout_has_them(landmarks):
    layout = rois.resolve(rois.ROIS, landmarks)
    ax = figures.regions_on_canvas(landmarks, layout).axes[0]
    assert len(ax.patches) == 18 + 6
    drawn = {
        (p.get_y(), p.get_y() + p.get_height(), p.get_x(), p.get_x() + p.get_width()) for p in ax.patches
    }
    assert {tuple(box) for box in (*layout.regions, *layout.patches.values())} == drawn
    styles = {(p.get_linestyle(), tuple(p.get_edgecolor())) for p in ax.patches}
    assert len(styles) == 3  # whole, part, parent


def test_flow_is_drawn_by_region_and_component_over_time():
    figure = figures.flow_of_event(FLOW, REGIONS, MES[0], FPS, start=20, truth=FLOW + 1)
    mouth = figure.axes[1]
    true_x, x, true_y, y = mouth.lines
    assert np.array_equal(x.get_ydata(), FLOW[2]) and np.array_equal(y.get_ydata(), FLOW[3])
    assert np.array_equal(true_x.get_ydata(), FLOW[2] + 1) and np.array_equal(true_y.get_ydata(), FLOW[3] + 1)
    assert x.get_xdata()[[0, -1]] == pytest.approx([20 / 30, 59 / 30])
    assert x.get_linestyle() != y.get_linestyle()
    (band,) = mouth.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((30 / 30, 12 / 30))


def test_flow_that_does_not_fit_the_regions_is_refused():
    with pytest.raises(ValueError, match=r"\(4, 40\) does not hold x and y of 3 regions"):
        figures.flow_of_event(FLOW, ["a", "b", "c"], MES[0], FPS)


def test_alignment_on_and_off_states_the_error_of_both():
    alt = figures.alt_text(figures.alignment_on_off(FLOW, FLOW + 2, REGIONS, FPS, truth=FLOW + 1))
    assert "with head alignment 1.00 px, without 1.00 px" in alt
    alt = figures.alt_text(figures.alignment_on_off(FLOW, FLOW + 2, REGIONS, FPS, truth=FLOW))
    assert "with head alignment 0.00 px, without 2.00 px" in alt


def test_training_curves_draw_every_loss_and_the_mean_over_folds():
    history = pd.DataFrame(
        {"epoch": [1, 2, 1, 2], "loss": [1.0, 0.5, 3.0, 1.5], "subject": ["a", "a", "b", "b"]}
    )
    a, b, mean = figures.training_curves(history).axes[0].lines
    assert list(a.get_ydata()) == [1, 0.5] and list(b.get_ydata()) == [3, 1.5]
    assert list(mean.get_ydata()) == [2, 1]


def test_score_to_events_draws_the_smoothed_score_its_threshold_and_what_is_dropped():
    score = np.zeros(60)
    score[30:34] = 1
    figure = figures.score_to_events(score, CANDIDATES[:1], 2, FPS)
    raw, smoothed, mean, level, peaks = (line.get_ydata() for line in figure.axes[0].lines)
    assert raw.max() == smoothed.max() == 1 and np.sum(smoothed > 0) == 7  # 4 ones seen through 4 frames
    assert mean[0] == pytest.approx(4 / 60)
    assert level[0] == pytest.approx(4 / 60 + 0.55 * 56 / 60)
    assert peaks.tolist() == [0.9]
    figure = figures.score_to_events(score, CANDIDATES, 2, FPS)
    kept, dropped = (patch.get_facecolor() for patch in figure.axes[1].patches)
    assert kept[:3] == to_rgb(figures.PALETTE["negative"]) and dropped[:3] == to_rgb("white")
    assert "2 peaks above it, of which 1 dropped" in figures.alt_text(figure)


def test_without_an_epoch_the_training_curves_say_so():
    for history in (pd.DataFrame(), {"epoch": [], "loss": [], "lr": []}):
        figure = figures.training_curves(history)
        assert [text.get_text() for text in figure.axes[0].texts] == ["not trained by epochs"]
        assert "nothing here was trained" in figures.alt_text(figure)


def test_five_intervals_keep_the_labels_of_two_pairs_of_one_truth_apart():
    guess = [Event(46, 56, emotion="surprise"), Event(53, 63, emotion="negative")]
    figure = figures.five_intervals(
        guess, [Event(10, 19), Event(50, 61)], [(0, 1, 7 / 16), (1, 1, 9 / 14)], FPS
    )
    figure.canvas.draw()
    a, b = (t.get_window_extent() for t in figure.axes[0].texts if t.get_text().startswith("IoU"))
    assert not a.overlaps(b)


def test_five_intervals_name_each_hit_and_miss():
    figure = figures.five_intervals(PREDICTED, MES, [(0, 0, 11 / 13), (1, 1, 0.1)], FPS)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["IoU 0.85", "IoU 0.10", "TP", "FN", "FN", "TP", "FP"]
    assert "TP 1, FP 1, FN 2" in figures.alt_text(figure)


def test_confusion_shows_counts_and_shares_of_the_true_class():
    counts = np.array([[3, 1, 0], [0, 0, 0]])
    ax = figures.confusion({"x": (counts, ["negative", "positive", "others"])}).axes[0]
    assert [t.get_text() for t in ax.texts] == ["3\n75%", "1\n25%", "0\n0%", "–", "–", "–"]
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert np.allclose(shown, [[0.75, 0.25, 0], [np.nan] * 3], equal_nan=True)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["negative\n(n = 4)", "positive\n(n = 0)"]


def test_one_video_draws_score_probabilities_and_threshold(output):
    score, probabilities = output
    figure = figures.one_video(VIDEO, score, probabilities, PREDICTED, threshold=0.5)
    above, classes, lanes = figure.axes
    assert np.array_equal(above.lines[0].get_ydata(), score)
    assert list(above.lines[1].get_ydata()) == [0.5, 0.5]
    assert [line.get_color() for line in classes.lines] == list(figures.PALETTE.values())
    assert np.array_equal(np.array([line.get_ydata() for line in classes.lines]).T, probabilities)
    assert [t.get_text() for t in lanes.get_yticklabels()] == ["true", "predicted", "distractors"]
    assert [row for _, _, row in bars(lanes)] == [0] * 3 + [1] * 2 + [2] * 3


def test_a_prediction_that_meets_no_truth_is_hollow(output):
    lanes = figures.one_video(VIDEO, *output, PREDICTED).axes[-1]
    hit, miss = lanes.patches[3:5]
    assert hit.get_facecolor()[:3] == to_rgb(figures.PALETTE["negative"])
    assert miss.get_facecolor()[:3] == (1, 1, 1)
    assert miss.get_edgecolor()[:3] == to_rgb(figures.PALETTE["positive"])


def test_scores_of_another_length_than_the_video_are_refused(output):
    score, probabilities = output
    with pytest.raises(ValueError, match=r"spNO.1 a has 150 frames, but the score has 149"):
        figures.one_video(VIDEO, score[:-1], probabilities, [])


def test_two_variants_stand_one_above_the_other(output):
    score, probabilities = output
    outputs = [
        figures.Output("ME-TST", score, probabilities, PREDICTED),
        figures.Output("ME-TST+", 1 - score, probabilities, PREDICTED[:1]),
    ]
    axes = figures.two_variants(VIDEO, outputs).axes
    assert np.array_equal(axes[0].lines[0].get_ydata(), score)
    assert np.array_equal(axes[2].lines[0].get_ydata(), 1 - score)
    assert [ax.get_title(loc="left") for ax in (axes[0], axes[2])] == ["ME-TST", "ME-TST+"]
    lanes = [t.get_text() for t in axes[4].get_yticklabels()]
    assert lanes == ["true", "ME-TST", "ME-TST+", "distractors"]
    assert [row for _, _, row in bars(axes[4])].count(2) == 1


def test_key_regions_show_flow_on_the_time_axis_of_the_scores(drawn):
    axes = np.array(drawn["key_regions"].axes[:8]).reshape(4, 2)
    assert np.array_equal(axes[2, 0].lines[0].get_ydata(), FLOW[0])
    assert np.array_equal(axes[3, 1].lines[1].get_ydata(), FLOW[3])
    assert np.array_equal(axes[0, 0].lines[0].get_xdata(), axes[3, 0].lines[0].get_xdata())
    assert [axes[0, column].get_title(loc="left") for column in (0, 1)] == ["a  a", "b  b"]


def test_forest_draws_intervals_and_leaves_those_that_hold_zero_hollow():
    rows = {"a less b": (0.08, 0.02, 0.14), "a less c": (0.01, -0.03, 0.05)}
    ax = figures.forest(rows, "difference in F1 (−1 to 1)", reference=0).axes[0]
    intervals = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]
    assert [list(line.get_xdata()) for line in intervals[:2]] == [[0.02, 0.14], [-0.03, 0.05]]
    values = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() for line in values] == ["#222222", "white"]


def test_sensitivity_frames_the_settings_in_use_and_names_the_best():
    f1 = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.0]])
    figure = figures.sensitivity(f1, [0.5, 0.55, 0.6], [6, 7], used=(0.55, 7))
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == (0.5, 0.5)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert " ".join(words) == "0.10 0.20 0.30 0.40 0.50 0.00"
    assert "highest at p = 0.6, k_p = 6 frames" in figures.alt_text(figure)
    with pytest.raises(ValueError, match=r"\(3, 2\) for 2 thresholds"):
        figures.sensitivity(f1, [0.5, 0.55], [6, 7])


# ---- schematics ----


def test_state_transition_shows_the_norm_of_the_state_at_named_frames():
    state = np.zeros((40, 2))
    state[15] = 3, 4  # frame 35, the apex
    figure = figures.state_transition(np.zeros(40), state, MES[0], FPS, start=20)
    chain, x, norm = figure.axes
    assert norm.lines[0].get_ydata().max() == 5
    words = [text.get_text() for text in chain.texts if text.get_text()]
    apex = words.index("apex")
    assert words[apex - 3 : apex + 1] == ["5.00", "x(1.17 s)", "y", "apex"]
    assert words.count("non-ME") == 2
    assert len(x.patches) == 1  # the event, shaded


def test_window_answers_are_drawn_as_wide_as_the_window(output):
    answers = np.array([0.2, 0.9])
    figure = figures.window_against_video(answers, np.array([0, 15]), 30, output[0], MES, FPS)
    above = figure.axes[1]
    boxes = [patch for patch in above.patches if patch.get_width() == 1.0]  # 30 frames at 30 fps
    assert [(box.get_x(), box.get_height()) for box in boxes] == [(0, 0.2), (0.5, 0.9)]
    assert [bool(box.get_hatch()) for box in boxes] == [False, True]
    assert "2 windows of 30 frames, of which 1 say" in figures.alt_text(figure)


def test_architecture_has_a_box_with_the_shape_of_every_stage():
    ax = figures.architecture(TST).axes[0]
    sizes = {text.get_text().splitlines()[-1] for text in ax.texts if "×" in text.get_text()}
    assert sizes == {"30 × 10", "30 × 64", "30 × 1", "30 × 5"}
    assert len([patch for patch in ax.patches if hasattr(patch, "get_boxstyle")]) == 6


def test_architecture_connects_the_stages_of_the_real_networks():
    from metst_lib import models

    plus = models.METSTPlus(dim=4, n_blocks=2, depth=1, d_state=2)
    stages = {stage.name: stage for stage in figures.arrange(models.shapes(plus, 30))}
    assert stages["spotting.fast.1"].inputs == ("spotting.fast.0",)
    assert stages["spotting.fast.0"].inputs == ("stem",)
    assert stages["recognition.slow.0"].inputs == ("recognition.to_slow",)
    assert stages["recognition.lateral.1"].inputs == ("recognition.fast.1",)
    assert stages["recognition.lateral.1"].adds_to == "recognition.slow.1"
    assert stages["spotting.join"].inputs == ("spotting.fast.1", "spotting.slow.1")
    assert stages["emotion_head"].inputs == ("recognition.join",)
    assert stages["spotting.join"].shape == (30, 12)
    assert len({(stage.column, stage.row) for stage in stages.values()}) == len(stages) == 20
    shared = models.METST(dim=4, depth=1, d_state=2, shared_branches=True)
    heads = [s for s in figures.arrange(models.shapes(shared, 30)) if s.name.endswith("head")]
    assert [head.inputs for head in heads] == [("spotting",), ("spotting",)]
    windows = figures.arrange(models.shapes(models.WindowClassifier(), 30))
    assert [s.inputs for s in windows if s.name.endswith("head")] == [("features.2",)] * 2


def test_a_stage_without_a_place_is_named():
    with pytest.raises(ValueError, match="no place in the figure for the stages gate"):
        figures.architecture([*TST, ("gate", (30, 64))])


def test_result_synergy_bars_are_as_long_as_the_counts():
    figure = figures.result_synergy({"ME-TST": figures.Synergy(45, 22, 1, 14)})
    ax = figure.axes[0]
    heights = [patch.get_height() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert heights == [46, 36, 45, 22, 1, 14]
    words = [text.get_text() for text in ax.texts]
    assert {"82 candidates", "45 TP", "22 FP", "1 TP lost", "14 FP avoided"} < set(words)
    assert ax.get_title(loc="left") == "ME-TST: precision 0.56 → 0.67"  # 46 / 82 and 45 / 67


# ---- nothing to show ----


def test_figures_of_nothing_are_drawn_without_error(output, landmarks):
    score, probabilities = output
    nothing = [
        figures.durations([], FPS),
        figures.class_counts([]),
        figures.timeline([]),
        figures.timeline([BARE]),
        figures.blink_rates([BARE]),
        figures.confusion({}),
        figures.five_intervals([], [], [], FPS),
        figures.five_intervals([], MES, [], FPS),
        figures.score_to_events(0 * score, [], 5, FPS),
        figures.one_video(BARE, score, probabilities, []),
        figures.one_video(
            BARE, 0 * score, probabilities, [], landmarks=np.repeat(landmarks[None], FRAMES, 0)
        ),
        figures.two_variants(BARE, [figures.Output("ME-TST", score, probabilities, [])]),
        figures.key_regions([], FPS),
        figures.forest({}, "spotting F1 (0–1)"),
        figures.result_synergy({}),
        figures.result_synergy({"ME-TST": (0, 0, 0, 0)}),
        figures.window_against_video(np.zeros(0), np.zeros(0, int), 30, score, [], FPS),
        figures.state_transition(np.zeros(40), np.zeros(40), MES[2], FPS, 0),  # the event is elsewhere
        figures.training_curves({"epoch": [], "loss": []}),
    ]
    for figure in nothing:
        figure.canvas.draw()
        assert figures.alt_text(figure)


def test_a_frame_without_a_face_leaves_its_picture_empty(output):
    lost = np.full((FRAMES, 68, 2), np.nan)
    figure = figures.one_video(VIDEO, *output, PREDICTED, landmarks=lost)
    figure.canvas.draw()
    assert len(figure.axes) == 3 + 3
    assert [len(ax.lines) for ax in figure.axes if not len(ax.get_yticks())] == [0, 0, 0]
