"""Published against reproduced: the real pack gives every number; a made-up one says what is not there."""

import pytest

from metst_lib.evidence import check, counts, decoders, pack, protocols
from metst_lib.evidence.authors import K
from metst_lib.metrics import Counts


@pytest.fixture(scope="module")
def table(real_pack):
    return check.check(real_pack)


def row(table, *head):
    """The row of method, data set, kind and what."""
    names = ["method", "dataset", "kind", "what"]
    (found,) = table[(table[names] == list(head)).all(axis=1)].to_dict("records")
    return found


def test_every_number_that_should_come_out_comes_out(table):
    assert len(table) == 29 and check.unexplained(table).empty
    assert (table["status"] == "equal").sum() == 22
    assert set(table["whose"]) == {check.AUTHORS, check.THIRD}


def test_the_known_differences_are_what_they_were(table):
    differing = table[table["status"] == "differs"]
    found = {(r.method, r.dataset, r.kind, r.what): r.reproduced for r in differing.itertuples()}
    ours = "our rule, strict"
    assert found == {
        ("SL-Swin", "sammlv", "micro", ours): "34/449/125, F1 .1059",
        ("SL-Swin", "casme2sq", "micro", ours): "13/205/44, F1 .0945",
        ("SL-Swin", "casme2sq", "macro", ours): "70/264/228, F1 .2215",
        ("SL-Swin", "castest", "both", "rows of its MEGC 2022 submission"): "35 of 36",
        ("SL-Swin", "castest", "both", "peaks beyond it"): "3",
        ("LGSNet", "casme2sq", "both", "its intervals, strict"): "126/82/231, F1 .4460",
        (
            "ME-TST+, native",
            "casme3",
            "micro",
            "result synergy, totals beside the paper's",
        ): "76/727/782, F1 .0915",
    }
    assert (differing["why"] != "").all()


def test_the_whole_tables_of_slswin_come_out(table):
    for kind, subjects in (("micro", "14 of 14"), ("macro", "20 of 20")):
        assert row(table, "SL-Swin", "casme2sq", kind, "subjects")["reproduced"] == subjects
        assert row(table, "SL-Swin", "casme2sq", kind, "rows of its table over p")["reproduced"] == "99 of 99"


def test_our_smoothing_cut_to_whole_windows_is_the_authors_decoder(real_pack):
    for (dataset, kind), k in K.items():
        for curve in real_pack.scores[dataset, kind].values():
            mine = protocols.detect(check.bare(curve), k, 0.6, edges="whole", kind=kind)
            theirs = decoders.slswin(curve, k, 0.6)
            assert [(e.onset, e.offset) for e in mine] == [(e.onset, e.offset) for e in theirs]


def test_the_three_scorers_agree_where_only_videos_with_an_me_are_given(real_pack):
    found = {
        name: check.ours(real_pack, "sammlv", "micro", scorer=name).spotting for name in check.metrics.SCORERS
    }
    assert set(found.values()) == {Counts(34, 449, 125)}


def test_one_protocol_of_all_gives_each_published_number(real_pack):
    for (dataset, kind), printed in check.PRINTED.items():
        curves = {key: check.bare(curve) for key, curve in real_pack.scores[dataset, kind].items()}
        table = protocols.table(curves, real_pack.truth[dataset], kind, printed)
        (only,) = table[table["published"]].to_dict("records")
        assert (only["width"], only["growth"], only["edges"], only["p"], only["matching"]) == (
            "mean",
            "none",
            "whole",
            0.6,
            "above .5",
        )


def test_committed_counts_are_those_of_the_real_pack(real_pack):
    made, stored = counts.of_pack(real_pack), counts.table()
    assert made.to_csv(index=False) == stored.to_csv(index=False)


def test_a_made_up_pack_reproduces_nothing_and_that_is_told(small):
    table = check.check(pack.load(small))
    wrong = check.unexplained(table)
    assert "counts at p .6" in set(wrong["what"]) and (wrong["why"] == "").all()
    # what is true of any pack that is consistent in itself:
    assert row(table, "DMA LBP", "sammlv", "micro", "its record, strict on its intervals")[
        "reproduced"
    ].startswith("0/1/1")
    assert row(table, "ME-TST+, G", "sammlv", "micro", "subjects")["reproduced"] == "2 of 2"


def test_what_a_pack_lacks_is_not_computed_and_said(small):
    given = pack.load(small)
    given.scores.clear()
    given.tables.pop("dma")
    table = check.check(given)
    gone = table[table["status"] == "not there"].set_index("method")["why"]
    assert gone["SL-Swin"] == "the pack lacks scores" and gone["DMA"] == "the pack lacks dma"
    wrong = check.unexplained(table)
    assert not wrong["what"].str.contains("not computed").any() and "DMA LBP" not in set(wrong["method"])


def test_counts_are_shown_as_papers_print_them():
    assert check.shown(Counts(33, 440, 126)) == "33/440/126, F1 .1044"
