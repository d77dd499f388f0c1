"""Figures of faces show regions where the layout has them and flow over time, and no face unasked."""

import numpy as np
import pytest
from pictures import FACE, FLOW, FPS, MES, PREDICTED, REGIONS, VIDEO, images

from metst_lib import figures, rois


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
