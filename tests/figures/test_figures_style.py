"""Figures look alike, read without colour, say what they show, and are written whole."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from pictures import BARE, DIFFERENCES, FPS, FRAMES, MES, PREDICTED, VIDEO, bars, images, texts

from metst_lib import figures
from metst_lib.events import CLASSES, EMOTIONS, KINDS, Event
from metst_lib.figures import _style as style


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
        ("decoder_differences", {"difference of spotting F1 (−1 to 1)"}),
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
    assert tuple(figures.PALETTE) == CLASSES == tuple(style.HATCHES) == tuple(style.DASHES)
    assert len(set(style.HATCHES.values())) == 5
    assert len({style.DASHES[name] for name in EMOTIONS}) == 4


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
    figure = figures.class_counts([Event(0, 9, emotion="negative")] * 3)
    png, pdf = figures.save(figure, tmp_path / "a.b")
    assert (png.name, pdf.name) == ("a.b.png", "a.b.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.pdf", "a.b.png"]
    assert (
        figures.alt_text(png)
        == figures.alt_text(figure)
        == "Number of micro-expressions by class: 3 negative, 0 positive, 0 surprise, 0 others; 3 in all."
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


def test_no_figure_holds_a_picture_of_a_face_by_default(drawn):
    with_images = {name for name, figure in drawn.items() if images(figure)}
    assert with_images == {"confusion", "scan", "sensitivity"}  # maps of numbers


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
        figures.decoder_differences(DIFFERENCES[:1]),
        figures.result_synergy({}),
        figures.result_synergy({"ME-TST": (0, 0, 0, 0)}),
        figures.window_against_video(np.zeros(0), np.zeros(0, int), 30, score, [], FPS),
        figures.state_transition(np.zeros(40), np.zeros(40), MES[2], FPS, 0),  # the event is elsewhere
        figures.training_curves(pd.DataFrame({"epoch": [], "loss": []})),
    ]
    for figure in nothing:
        figure.canvas.draw()
        assert figures.alt_text(figure)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_has_a_band_a_bar_and_a_word(kind):
    event = Event(30, 59, kind=kind)
    _, (band, lane) = style.panels(style.FULL, 2, 1, 2)
    style.shade(band, [event], FPS)
    style.bar(lane, event, 0, FPS)
    assert {(patch.get_x(), patch.get_width()) for patch in band.patches} == {(1, 1)}
    assert [(left, width) for left, width, _ in bars(lane)] == [(1, 1)]
    (handle,) = style.shade_handles([event])
    assert handle.get_label().endswith(style.KINDS[kind].label)


def test_an_emotion_colours_a_micro_expression_and_no_other_kind():
    _, ax = style.panels(style.FULL, 2)
    for kind in KINDS:
        style.bar(ax, Event(0, 9, emotion="positive", kind=kind), 0, FPS)
    green = [to_rgb(figures.PALETTE["positive"]) == patch.get_facecolor()[:3] for patch in ax.patches]
    assert green == [kind == "micro" for kind in KINDS]
