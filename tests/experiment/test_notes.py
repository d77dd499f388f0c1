"""Sentences below the tables."""

from handmade import ALL, HALF, run

from metst_lib.events import EMOTIONS, Event
from metst_lib.experiment import configure, notes
from metst_lib.experiment.estimates import found_in


def test_absent_classes_are_named_once_for_each_run():
    (note,) = notes.absent({"me-tst": found_in([run("me-tst", ALL), run("me-tst", HALF, 1)])})
    assert "ME-TST, seed 0: positive; ME-TST, seed 1: positive, surprise" in note
    everything = run("me-tst", ALL)
    truth = {("s1", "a"): [Event(20 * i, 20 * i + 9, emotion=e) for i, e in enumerate(EMOTIONS)]}
    everything.folds["s1"].truth.update(truth)
    everything.folds["s1"].predicted.update(truth)
    assert notes.absent({"me-tst": found_in([everything])}) == ()


def test_a_note_says_what_else_differs_between_rows():
    (demo,), (paper,) = notes.unequal(configure()), notes.unequal(configure("casme3"))
    assert "parameters: row 2" in demo and demo.endswith("all are trained alike.")
    assert "row 7 16,653,318" in paper and paper.endswith("all are trained alike.")


def test_what_was_fitted_is_said_over_all_folds():
    found = run("flow-magnitude", ALL)
    for fold, (measure, reach) in zip(
        found.folds.values(), (("a", 1.0), ("a", 1.0), ("b", 2.5)), strict=True
    ):
        fold.statistics.update(measure=measure, reach=reach, inner={"x": 1})
    (note,) = notes.fitted(found)
    assert note.endswith("measure a (2 folds), b (1 folds); reach 1.00 to 2.50.")
    assert notes.fitted(run("flow-magnitude", {}, missing=["s1", "s2", "s3"])) == ()
