"""An edition grows run by run: pieces are kept, resumed and merged; what does not fit is refused by name."""

import dataclasses

import pytest
from click.testing import CliRunner
from toystudy import LEAD, PLAIN, SHARED, Toy

from metst_lib import fold, metrics
from metst_lib.app.cli import main
from metst_lib.study import counts, edition, rows
from metst_lib.synthetic.difficulty import difficulty


@pytest.fixture
def into(toy_study):
    return toy_study / "figures"


def files(root):
    return {path: path.read_bytes() for path in edition.folder(root).rglob("seed*.*")}


def test_scores_from_counts_are_those_of_the_folds_for_every_measure(toy_study):
    toy = Toy(3)
    folds = [fold.fold(toy.flow(), toy.truth, group, rows.recipe(PLAIN)) for group in toy.groups]
    theirs = metrics.pool([one.scores for one in folds])
    found = edition.run(3, PLAIN, 0).counted
    assert theirs.spotting.tp and theirs.recognition.total
    for measure in metrics.MEASURES:
        assert found.scores.measure(measure) == theirs.measure(measure), measure
    predicted = {key: events for one in folds for key, events in one.predicted.items()}
    chance = metrics.chance(predicted, toy.truth, dict.fromkeys(toy.truth, 240))
    assert sum(float(row["chance_tp"]) for row in found.rows) == pytest.approx(chance.tp)
    assert found.run.chance_f1 == pytest.approx(chance.f1, abs=1e-6)
    assert found.seconds == 32 and found.groups == {"1": ("s0", "s1"), "2": ("s2", "s3")}
    assert found.run.fp_per_minute == pytest.approx(theirs.spotting.fp * 60 / 32, abs=1e-6)


def test_what_was_run_is_not_run_again_and_what_is_damaged_is(toy_study):
    assert edition.run_missing(toy_study, [1], [PLAIN]) == 1
    before = files(toy_study)
    assert edition.run_missing(toy_study, [1], [PLAIN]) == 0 and files(toy_study) == before
    (path,) = (path for path in before if path.suffix == ".csv")
    path.write_text(path.read_text().replace("s0", "s9"))
    assert edition.run_missing(toy_study, [1], [PLAIN]) == 1
    assert path.read_bytes() == before[path]


def test_a_row_that_shares_a_training_reads_the_curves_that_are_there(toy_study, monkeypatch):
    assert edition.run_missing(toy_study, [1], [LEAD]) == 2  # two seeds: it stands in a pair
    monkeypatch.setattr(fold, "fit", lambda *_: pytest.fail("trained again"))
    assert edition.run_missing(toy_study, [1], [SHARED]) == 2
    name = 1, SHARED, 1
    assert edition.held(toy_study, name).run.steps == edition.held(toy_study, (1, LEAD, 1)).run.steps > 0
    assert set(edition.curves(toy_study, (1, LEAD, 0))) == set(Toy(1).truth)
    with pytest.raises(FileNotFoundError, match="no curves of replicate 1, me-tst-no-veto, seed 1"):
        edition.curves(toy_study, name)


def test_another_recipe_makes_a_run_anew(toy_study, monkeypatch):
    edition.run_missing(toy_study, [1], [PLAIN])
    plain = rows.recipe(PLAIN)
    other = dataclasses.replace(plain, rule=dataclasses.replace(plain.rule, p=0.2))
    monkeypatch.setattr(rows, "recipe", lambda row: other)
    assert edition.held(toy_study, (1, PLAIN, 0)) is None
    assert [task.rows for task in edition.tasks(toy_study, [1], [PLAIN])] == [(PLAIN,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "replicate 0 is never counted: learning rates and the best variant are chosen on it"),
        ("0-2", "never counted"),
        ("9-2", "run backwards: 2-9 is wanted"),
        ("x", "replicates are numbers such as 1-5 or 1,3, not 'x'"),
        ("1-", "not '1-'"),
        ("", "not ''"),
    ],
)
def test_replicates_that_are_none_are_refused_in_one_line(text, said, tmp_path):
    result = CliRunner().invoke(main, ["study", "run", "--replicates", text, "--root", str(tmp_path)])
    assert result.exit_code == 1 and said in result.output
    assert edition.numbers("1-3,5,2") == (1, 2, 3, 5)


def test_an_unknown_row_is_refused(toy_study):
    with pytest.raises(ValueError, match="unknown row 'bogus' of the study; known: flow-magnitude"):
        edition.tasks(toy_study, [1], ["bogus"])


# --- the committed counts -------------------------------------------------------------------------------


def test_an_edition_grows_and_its_files_are_sorted_and_the_same_whatever_the_order(toy_study, into):
    for number in (2, 1):
        edition.run_missing(toy_study, [number], [PLAIN])
        edition.collect(toy_study, into)
    assert list(counts.read(into)) == [(1, PLAIN, 0), (2, PLAIN, 0)]
    before = [(into / name).read_bytes() for name in (counts.NAME, counts.RUNS_NAME)]
    elsewhere = toy_study / "elsewhere"  # another machine, which has the committed files alone
    assert list(edition.collect(elsewhere, into)) == [(1, PLAIN, 0), (2, PLAIN, 0)]
    assert before == [(into / name).read_bytes() for name in (counts.NAME, counts.RUNS_NAME)]
    lines = before[0].decode().splitlines()
    assert len(lines) == 1 + 2 * 4 and lines[1].startswith("1,flow-magnitude,0,1,s0,a,8.0,")
    assert before[1].decode().count("\n") == 3


def test_a_file_that_was_edited_is_named_with_its_run(toy_study, into):
    edition.run_missing(toy_study, [1, 2], [PLAIN])
    edition.collect(toy_study, into)
    for name, old, new in (
        (counts.NAME, "2,flow-magnitude,0,1,s1,a,8.0,", "2,flow-magnitude,0,1,s1,a,8.0,1"),
        (counts.RUNS_NAME, "2,flow-magnitude,0,", "2,flow-magnitude,0,0"),
    ):
        path, text = into / name, (into / name).read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(
            ValueError, match="was edited: replicate 2, flow-magnitude, seed 0 is not as it was"
        ):
            counts.read(into)
        path.write_text(text)
    (into / counts.NAME).write_text(text := (into / counts.NAME).read_text() + "3,x,0,1,s0,a,8.0,1,1,1\n")
    with pytest.raises(ValueError, match=r"no line of counts_runs.csv speaks of replicate 3, x, seed 0"):
        counts.read(into)
    (into / counts.NAME).write_text("a,b\n")
    with pytest.raises(ValueError, match=r"counts.csv is no such file of ours"):
        counts.read(into)


def test_runs_of_another_difficulty_are_not_pooled(toy_study, into, monkeypatch):
    edition.run_missing(toy_study, [1], [PLAIN])
    edition.collect(toy_study, into)
    harder = dataclasses.replace(difficulty(), noise=9.0)
    monkeypatch.setattr(edition, "difficulty", lambda: harder)
    edition.run_missing(toy_study, [2], [PLAIN])
    with pytest.raises(
        ValueError, match=r"not pooled with today's: replicate 1, flow-magnitude, seed 0 \(diffi"
    ):
        edition.collect(toy_study, into)
    edition.run_missing(toy_study, [1], [PLAIN])  # made again, it may stand beside the other
    assert {one.run.difficulty for one in edition.collect(toy_study, into).values()} == {harder.key}
