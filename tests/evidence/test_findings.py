"""What the pack says beyond its headlines: varied rules, vetoes, one form for every method."""

from dataclasses import replace

import numpy as np
import pytest

from metst_lib import metrics
from metst_lib.events import Event
from metst_lib.evidence import check, decoders, findings, pack
from metst_lib.evidence.authors import K
from metst_lib.evidence.scorefile import bare
from metst_lib.metrics import Counts
from metst_lib.spotting import Rule

KEY = ("s", "v")


@pytest.fixture(scope="module")
def toy(small):
    return pack.load(small)


@pytest.fixture(scope="module")
def real(real_pack):
    return real_pack, findings.spotted(real_pack)


def test_a_veto_drops_what_lies_by_its_share_in_one_event():
    found = {KEY: [Event(0, 9), Event(10, 19), Event(16, 25), Event(40, 49)]}
    labels = {KEY: [Event(15, 30)]}
    assert findings.vetoed(found, labels) == {KEY: [Event(0, 9), Event(40, 49)]}
    assert findings.vetoed(found, labels, 0.6) == {KEY: [Event(0, 9), Event(10, 19), Event(40, 49)]}
    assert findings.vetoed(found, labels, 0) == {KEY: [Event(0, 9), Event(40, 49)]}


def test_the_best_height_and_f1_of_counts_by_hand():
    assert findings.f1_of(np.array([[2, 1, 1], [0, 0, 0]])).tolist() == [pytest.approx(2 / 3), 0.0]
    ranked = {KEY: [(Event(0, 9), 3.0), (Event(20, 29), 2.0), (Event(60, 69), 1.0)]}
    # Down to each: 1 of 1, 1 of 2, 2 of 3 for two truths: F1 2/3, 1/2, 4/5.
    ranking = metrics.ranking(ranked, {KEY: [Event(0, 9), Event(60, 69)]})
    assert findings.best(ranking) == pytest.approx(0.8)


@pytest.mark.parametrize(("dataset", "kind"), K)
def test_a_study_unchanged_is_our_rule_and_wider_intervals_have_the_same_peaks(toy, dataset, kind):
    study = findings.Study(toy, dataset, kind)
    rule = Rule(kind=kind, half_width=study.k, p=0.6, result_synergy=False)
    found, wide = study.find(), study.find(width=2)
    for key, curve in study.curves.items():
        assert found[key] == [replace(event, emotion=None) for event in rule.find(bare(curve))]
        assert [e.apex for e in wide[key]] == [e.apex for e in found[key]]
        assert all(
            a.onset <= b.onset and b.offset <= a.offset for a, b in zip(wide[key], found[key], strict=True)
        )
    assert all(event.kind != kind for of in study.other.values() for event in of)


def test_a_masked_curve_is_silent_about_an_event_and_as_it_was_elsewhere(toy):
    study = findings.Study(toy, "casme2sq")
    (key, *_), curve = study.curves, next(iter(study.curves.values()))
    masked = study.masked({k: [Event(20, 29)] for k in study.curves})[key]
    assert not masked[15:35].any() and np.array_equal(masked[35:], curve[35:])
    assert curve[15:35].all()


def test_every_method_stands_in_one_form_and_a_macro_is_no_label_of_both_kinds(toy):
    found = findings.spotted(toy)
    assert len(found) == 9
    for one in found.values():
        assert one.predicted.keys() == one.truth.keys() and all(one.truth.values())
        assert one.minutes == sum(one.n_frames[key] for key in one.truth) / one.fps / 60
    assert found["ME-TST+, G · SAMM-LV micro"].whose == check.THIRD
    assert found["LGSNet · CAS(ME)² both"].labels == {}
    stepped = found["ME-TST+, G · SAMM-LV micro"]
    assert stepped.fps == pytest.approx(200 / 7) and stepped.n_frames["021", "021_3"] == 72


def test_the_grid_of_lgsnet_is_its_own_matching_at_every_cut(toy):
    grid = findings.lgsnet_grid(toy, [1], [0.1, 0.8])
    subjects = sorted({subject for subject, _ in check.lgsnet(toy)[1]})
    for column, cut in enumerate((0.1, 0.8)):
        found, truth = check.lgsnet(toy, 1, cut)
        for row, subject in enumerate(subjects):
            of = [decoders.double_service(found[k], truth[k]) for k in truth if k[0] == subject]
            assert Counts(*grid[0, column, row].tolist()) == sum(of, Counts())
    assert findings.lgsnet_grid(toy, [1], [0.1], "micro")[..., 0].sum() == 0
    with pytest.raises(ValueError, match="ends before it begins"):
        findings.lgsnet_grid(toy, [0], [0.1])


def test_a_pack_is_looked_for_where_it_was_named_then_in_the_environment_then_at_home(
    small, tmp_path, monkeypatch
):
    monkeypatch.delenv("METST_EVIDENCE", raising=False)
    assert pack.there(home=tmp_path) is None
    assert pack.there(small).folder == small
    with pytest.raises(FileNotFoundError, match="makes the pack"):
        pack.there(tmp_path / "nowhere")
    monkeypatch.setenv("METST_EVIDENCE", str(small))
    assert pack.there(home=tmp_path).folder == small


def test_the_headline_of_the_real_grid_and_what_is_chosen_on_other_subjects(real):
    given, _ = real
    cuts = np.round(np.arange(0.4, 0.6, 0.005), 3)
    f1 = findings.f1_of(findings.lgsnet_grid(given, [check.EPOCH], cuts).sum(axis=2))[0]
    assert cuts[f1.argmax()] == check.CUT and f1.max() == pytest.approx(check.HEADLINE.f1)


def test_the_real_methods_lie_beyond_chance_at_the_known_alarms_a_minute(real):
    alarms = {name: round(one.fp_per_minute, 1) for name, one in real[1].items()}
    assert list(alarms.values()) == [17.2, 4.6, 2.0, 41.5, 38.1, 19.8, 5.0, 4.9, 0.6]
    assert all(one.chance(200).p < 0.03 for one in real[1].values())


def test_a_macro_veto_harms_where_the_labels_overlap(real):
    study = findings.Study(real[0], "sammlv")
    found = study.find()
    left = study.score(findings.vetoed(found, study.other)).spotting
    assert (study.score(found).spotting, left) == (Counts(34, 449, 125), Counts(17, 310, 142))
    assert study.score(study.find(edges="whole")).spotting == Counts(34, 439, 125)
