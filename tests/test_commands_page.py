"""The page of all commands: each is there with its help and its options; pages name no other."""

import re
import sys
from pathlib import Path

import click
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "book"))

import pages

from metst_lib.app.cli import main

CHECKOUT = Path(__file__).parents[1]


def every(command, name):
    """(name as it is typed, command) of a command and all below it."""
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        yield from every(below, f"{name} {child}")


def section(page, name):
    """What the page says under a command's heading."""
    return page.split(f"## `{name}`\n")[1].split("\n## ")[0]


def test_every_command_is_there_with_its_help_and_options():
    page, found = pages.commands(), dict(every(main, "metst"))
    assert {"metst analyze", "metst data check", "metst tables", "metst trace"} <= set(found)
    assert page.count("\n## ") + 1 == len(found)
    for name, command in found.items():
        text = section(page, name)
        assert f"Usage: {name}" in text and command.help.split("\n")[0] in text
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"| `{option.opts[0]}" in text or f"{option.opts[0]} /" in text, (name, option.name)


def test_a_choice_is_one_cell_of_its_row():
    (row,) = [line for line in section(pages.commands(), "metst data rehearse").splitlines() if "roi" in line]
    assert row.replace("\\|", "").count("|") == 3
    assert "[default: 5]" in row


@pytest.mark.parametrize(
    "page", ["README.md", "data/README.md", "metst_lib/released/README.md", "notebooks/README.md"]
)
def test_every_command_that_a_page_names_exists(page):
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    typed = re.findall(r"(?:^|`|/bin/)metst ([a-z][^`\n]+)", text, flags=re.M)
    assert typed
    for words in typed:
        command = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, f"metst {words}"
            command = command.commands[word]
