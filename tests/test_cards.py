"""The model card and the data statement: numbers are those of the tables, and links lead somewhere."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from metst_lib import synthetic
from metst_lib.events import EMOTIONS

CHECKOUT = Path(__file__).parents[1]
CARD, STATEMENT = (CHECKOUT / name for name in ("MODEL_CARD.md", "DATA_STATEMENT.md"))


def text(page):
    return page.read_text(encoding="utf-8")


def rows(name):
    with open(CHECKOUT / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["flow magnitude", "ME-TST", "ME-TST+"])
def test_the_cards_scores_are_those_of_the_readme(name):
    row = rf"^\| {re.escape(name)}(?:, no training)? \| (\d.*) \|$"
    found = [re.findall(row, text(page), flags=re.M) for page in (CARD, CHECKOUT / "README.md")]
    assert len(found[0]) == 1 and found[0] == found[1]


def test_the_cards_published_counts_are_those_of_table_iv():
    table = rows("metst_lib/experiment/published/table4_result_synergy.csv")
    found = {(row["dataset"], row["task"]): row for row in table if row["result_synergy"] == "yes"}
    said = " ".join(text(CARD).split())
    for dataset, title in (("CASME3", "CAS(ME)³"), ("SAMMLV", "SAMM Long Videos")):
        row = found[dataset, "spotting"]
        cells = [row[name] for name in ("total", "tp", "fn", "fp", "f1")]
        assert f"| {title} | {' | '.join(cells)} |" in said
    casme3, sammlv = found["CASME3", "spotting"], found["SAMMLV", "spotting"]
    reports = [int(row["tp"]) + int(row["fp"]) for row in (casme3, sammlv)]
    assert f"{reports[0]} reported intervals, of which {casme3['tp']} meet" in said
    assert f"{casme3['fp']} do not" in said
    assert f"{sammlv['tp']} of {reports[1]} reports are true" in said
    assert f"{sammlv['fn']} of {sammlv['total']} micro-expressions are missed" in said
    scored = [found[dataset, "recognition"]["total"] for dataset in ("CASME3", "SAMMLV")]
    assert f"those {scored[0]} and {scored[1]} only" in said


def test_the_statements_counts_are_those_of_the_scripts():
    scripts = [planned.script for planned in synthetic.plan()]
    actions = [action for script in scripts for action in script.actions]
    kinds = Counter(action.kind for action in actions)
    emotions = Counter(action.emotion for action in actions if action.kind == "micro")
    said = " ".join(text(STATEMENT).split())
    assert {emotions[emotion] for emotion in EMOTIONS} == {22}
    frames = sum(script.n_frames for script in scripts)
    assert (
        f"{frames:,} frames with {kinds['micro']} micro-expressions (22 of each class), "
        f"{kinds['macro']} macro-expressions and {kinds['blink']} blinks" in said
    )


def test_the_statements_rows_beside_the_real_sets_are_those_of_the_stored_table():
    stored = [" | ".join(row.values()) for row in rows("figures/synthetic/data_compare.csv")]
    table = text(STATEMENT).split("demo, synthetic | study, synthetic |\n")[1].split("\n\n")[0]
    said = [line.strip("| ") for line in table.splitlines()[1:]]
    assert len(said) >= 8 and set(said) <= set(stored)


@pytest.mark.parametrize("page", [CARD, STATEMENT], ids=lambda page: page.name)
def test_every_link_between_the_pages_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text(page))
    assert links
    for path, place in links:
        target = CHECKOUT / path if path else page
        assert target.exists(), path
        headings = re.findall(r"^#+ (.+)$", text(target), flags=re.M) if place else []
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not place or place in anchors, f"{path}#{place}"
