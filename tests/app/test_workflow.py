"""What `metst workflow` reads of Snakemake's arguments before Snakemake does."""

from types import SimpleNamespace

import pytest
import snakemake.cli

from metst_lib.app import workflow
from metst_lib.experiment import plan


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The command lines that Snakemake was given, in an empty folder where two rules are stale."""
    given = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "workflow", lambda dataset="synthetic", seeds=1: SimpleNamespace(seeds=seeds))
    monkeypatch.setattr(plan, "stale", lambda _: {"b", "a"})

    def main(command):
        given.append(command)
        raise SystemExit

    monkeypatch.setattr(snakemake.cli, "main", main)
    return given


def run(*arguments):
    with pytest.raises(SystemExit):
        workflow.run(arguments)


def test_stale_rules_are_forced_and_all_else_is_handed_on(asked):
    run("--cores", "2", "--config", "seeds=3", "--", "folds")
    (command,) = asked
    assert command[:3] == ["--forcerun", "a", "b"]
    assert command[-6:] == ["--cores", "2", "--config", "seeds=3", "--", "folds"]


@pytest.mark.parametrize(
    ("argument", "dry"),
    [
        ("-n", True),
        ("-np", True),
        ("--dry-run", True),
        ("--dryrun", True),
        ("-p", False),
        ("--nolock", False),
    ],
)
def test_a_dry_run_takes_no_lock(asked, tmp_path, argument, dry):
    run(argument, "--cores", "1")
    assert len(asked) == 1 and (tmp_path / ".snakemake" / "metst.lock").exists() == (not dry)


@pytest.mark.parametrize("arguments", [("--config", "foo=1"), ("--configfile", "settings.yaml")])
def test_settings_that_are_not_known_or_stand_elsewhere_are_refused(asked, arguments):
    with pytest.raises(ValueError, match="given as --config name=value; there are dataset, seeds"):
        workflow.run(arguments)
    assert asked == []
