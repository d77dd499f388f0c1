"""What the study lets a text say: computed from counts made by hand, checked against the inference."""

from dataclasses import replace

import numpy as np
import pytest
from toystudy import counted

from metst_lib.experiment import estimates
from metst_lib.study import counts, edition, effects, rows, tables

#: How many MEs of each video a row misses; all other rows miss two.
MISSED = {"perfect-scores": 0, "leaked-subject": 0, "me-tst-plus": 1, "convolution": 1}


def made(replicates=(1, 2), seeds=(0, 1), without=()):
    names = [(n, row, seed) for n in replicates for row in rows.ROWS for seed in seeds if row not in without]
    return tables.Study({name: counted(name, MISSED.get(name[1], 2)) for name in names})


@pytest.fixture(scope="module")
def study():
    return made()


@pytest.fixture(scope="module")
def pairs(study):
    return effects.compared(study.every)


def test_pairs_are_those_of_the_inference_with_p_after_holm(study, pairs):
    plain, after = pairs
    assert tuple(plain) == tuple(after) == rows.PAIRS
    for pair in (rows.PAIRS[0], rows.PAIRS[5]):
        alone = estimates.differences(study.every[pair.a], study.every[pair.b])
        assert plain[pair] == alone
    holm = estimates.adjusted({pair: of["strs"] for pair, of in plain.items()})
    assert {pair: of["strs"] for pair, of in after.items()} == holm
    assert all(after[pair]["recognition.uar"] == plain[pair]["recognition.uar"] for pair in rows.PAIRS)


def test_a_pair_without_a_row_is_left_out_and_says_what_it_lacks(pairs):
    some = made(replicates=(1,), seeds=(0,), without={"attention"}).every
    assert {pair.claim for pair in set(pairs[0]) - set(effects.compared(some)[0])} == {
        "Mamba in place of attention"
    }
    (pair,) = (pair for pair in rows.PAIRS if pair.b == "attention")
    assert effects.lacking(some, pair) == "0 of 1 replicates" and effects.lacking(some, rows.PAIRS[0]) == ""


def test_the_sentence_of_a_pair_is_worded_by_the_inference(pairs):
    pair = next(pair for pair in rows.PAIRS if (pair.a, pair.b) == ("me-tst", "convolution"))
    said = effects.sentence(pair, pairs[1][pair])
    f1 = pairs[1][pair]["spotting.f1"]
    assert f1.value < 0 and f1.words in said
    assert said.startswith("Mamba in place of gated convolution: ") and f"(F1 spot. {f1}, p " in said


def test_every_pair_is_counted_once_as_different_alike_or_open(pairs):
    said = effects.summary(pairs[1])
    numbers = [int(word) for word in said.replace(",", "").split() if word.isdigit()]
    assert numbers[0] == len(rows.PAIRS) == sum(numbers[1:])
    same = {pair: of for pair, of in pairs[1].items() if of["spotting.f1"].value == 0}
    assert f"Of {len(same)} pairs 0 differ in spotting F1 after Holm, {len(same)} more are shown" in (
        effects.summary(same)
    )


def test_the_floor_is_told_from_the_rows_own_numbers(study):
    f1 = {row: effects.spotting(found).value for row, found in study.every.items()}
    said = " ".join(effects.floor(study.every))
    share = (f1["me-tst-plus"] - f1["chance"]) / (f1["perfect-scores"] - f1["chance"])
    assert f"come {share:.0%} of the way" in said and f"ME-TST+ at {f1['me-tst-plus']:.3f}" in said
    worth = estimates.differences(study.every["leaked-subject"], study.every["me-tst-plus"])["spotting.f1"]
    assert f"is worth {worth} over ME-TST+: {worth.words}." in said
    assert f"of .02 is {0.02 / (f1['me-tst-plus'] - f1['chance']):.0%} of what ME-TST+ finds" in said


def test_without_a_control_the_floor_is_not_told():
    (said,) = effects.floor(made(without={"chance", "leaked-subject"}, seeds=(0,)).every)
    assert said == "Floor and ceiling are not told: this edition has no chance, no leaked subject."


def test_where_a_row_is_no_better_than_chance_any_difference_may_hide():
    every = made(seeds=(0,), replicates=(1,)).every
    said = effects.floor(every | {"chance": every["perfect-scores"], "perfect-scores": every["chance"]})
    assert "A difference of .02 is all of what ME-TST+ finds above chance" in said[-1]


def test_spread_tells_seeds_from_replicates(study):
    table = effects.spread(study.every)
    assert list(table.index) == [rows.ROWS[row].what.title for row in rows.ROWS]
    assert table["from seed to seed"].eq(0).all()  # both seeds of a toy are alike
    of = [[run.measure("spotting.f1") for run in seeds] for seeds in study.every["me-tst"].nested]
    expected = np.std(np.mean(of, axis=1), ddof=1)
    assert table.loc["ME-TST", "from replicate to replicate"] == pytest.approx(expected)
    assert effects.spread(made(seeds=(0,)).every).empty
    assert effects.spread(made(replicates=(1,)).every)["from replicate to replicate"].isna().all()


def test_the_stored_study_is_that_of_the_folder_that_has_counts(tmp_path, monkeypatch):
    here, checkout = tmp_path / "here", tmp_path / "checkout"
    monkeypatch.setattr(edition.provenance, "CHECKOUT", checkout)
    with pytest.raises(FileNotFoundError, match="here"):
        tables.stored(here)
    for folder, row in ((checkout, "me-tst"), (here, "chance")):
        one = counted((1, row, 0))
        (folder / "figures" / "synthetic").mkdir(parents=True)
        counts.write(folder / "figures" / "synthetic", [one])
        assert list(tables.stored(here).counted) == [(1, row, 0)]
    assert tables.stored(here).stale == ""
    other = replace(one, run=replace(one.run, code="another"))
    line = other.run.line
    other = replace(other, run=replace(other.run, counts=counts.hashed(line, other.lines)))
    counts.write(here / "figures" / "synthetic", [other])
    assert tables.stored(here).stale == "; made of other code than today's"
    with pytest.raises(ValueError, match="another edition"):
        tables.read(here / "figures" / "synthetic")


def test_counts_of_several_difficulties_are_never_pooled(tmp_path):
    one, two = counted((1, "me-tst", 0)), counted((2, "me-tst", 0))
    run = replace(two.run, difficulty="easier")
    run = replace(run, counts=counts.hashed(run.line, two.lines))
    counts.write(tmp_path, [one, replace(two, run=run)])
    with pytest.raises(ValueError, match=r"several difficulties are not pooled: .*easier"):
        tables.read(tmp_path, today=False)
