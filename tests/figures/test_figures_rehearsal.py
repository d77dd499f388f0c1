"""The figure of the rehearsal sets measured flow beside flow made of signals."""

import pandas as pd
import pytest

from metst_lib import figures

TABLE = pd.DataFrame(
    [
        {"kind": kind, "region": region, "source": source, "length": length + shift}
        for kind, length in (("rest", 0.0), ("blink", 1.0))
        for region in ("left brow", "mouth")
        for source, shift in (("measured", 0.25), ("signals", 0.5))
    ]
)


def test_there_is_a_panel_for_each_kind_and_a_point_for_each_region_and_source():
    figure = figures.flow_lengths(TABLE)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["at rest", "blink"]
    assert [list(line.get_xdata()) for line in figure.axes[1].lines] == [[1.25] * 2, [1.5] * 2]
    assert "blink measured 1.25 px; blink signals 1.50 px" in figures.alt_text(figure)


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="the table is empty"):
        figures.flow_lengths(TABLE[:0])
