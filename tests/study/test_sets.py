"""Real sets, demo and study side by side: the table has what its columns are made from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from metst_lib.app.cli import main
from metst_lib.datasets.statistics import STATISTICS
from metst_lib.events import Event, Video
from metst_lib.study import sets

COLUMNS = ["Statistic", "CAS(ME)³", "SAMM-LV", "CAS(ME)²", "demo, synthetic", "study, synthetic"]


def drawn(number):
    """A replicate of one video of a minute with as many MEs as its number, 1 s each; no class, no blink."""
    events = tuple(Event(100 * n, 100 * n + 29) for n in range(number))
    return SimpleNamespace(videos=(Video("s01", "a", 30, 1800, events),))


@pytest.fixture
def toys(monkeypatch):
    monkeypatch.setattr(sets.replicates, "replicate", drawn)


def row(frame, name):
    return frame.set_index("Statistic").loc[name].tolist()


def test_every_statistic_has_a_cell_of_every_set(toys):
    made = sets.table(sets.measured())
    assert list(made.frame) == COLUMNS and made.frame["Statistic"].tolist() == list(STATISTICS)
    assert "SYNTHETIC" in made.caption and any("dense in events on purpose" in note for note in made.notes)
    rate = row(made.frame, "MEs per minute, all videos (1/min)")
    assert rate == ["0.42", "3.94", "0.41", "11.0", "3.00 (1.00–5.00)"]


def test_replicates_are_a_mean_and_a_range_and_alike_ones_a_number(toys):
    frame = sets.table(sets.measured([2, 3])).frame
    assert row(frame, "MEs")[-1] == "2.50 (2–3)"
    assert row(frame, "videos")[-1] == "1" and row(frame, "ME duration, median (s)")[-1] == "1.00"
    assert "mean of 2 replicates" in sets.table(sets.measured([2, 3])).to_markdown()


def test_what_a_set_does_not_label_is_a_dash(toys):
    frame = sets.table(sets.measured([1])).frame
    assert row(frame, "blink duration, median (s)") == ["0.50", "–", "–", "0.23", "–"]
    assert row(frame, "classes per subject, mean of 4")[-1] == "–"


def test_the_demo_is_dense_in_events_and_touches_no_macro():
    found = sets.statistics.statistics(sets.demo())
    assert found["MEs"] == 88 and found["MEs per minute, all videos (1/min)"] == 11
    assert found["videos without an ME (%)"] == found["MEs that overlap a macro (%)"] == 0


def test_the_stored_table_is_todays():
    stored = Path(__file__).parents[2] / "figures" / "synthetic" / "data_compare.csv"
    made = sets.table(sets.measured()).frame
    assert stored.read_text(encoding="utf-8") == made.to_csv(index=False)


def test_no_replicate_is_refused():
    with pytest.raises(ValueError, match="no replicate is named"):
        sets.measured([])


def test_the_command_prints_the_table_and_writes_it(toys, tmp_path):
    path = tmp_path / "sets.csv"
    result = CliRunner().invoke(main, ["data", "compare", "--csv", str(path)])
    assert result.exit_code == 0, result.output
    assert "3.00 (1.00–5.00)" in result.output and str(path) in result.output
    assert path.read_text(encoding="utf-8").splitlines()[0] == ",".join(
        f'"{c}"' if "," in c else c for c in COLUMNS
    )
