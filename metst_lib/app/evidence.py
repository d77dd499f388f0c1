"""`metst evidence …` and `metst score`: other people's results, and any method's file, against the truth."""

from pathlib import Path
from typing import Any

import click
import pandas as pd
from tabulate import tabulate

from metst_lib.app.options import print_table


@click.group()
def evidence() -> None:
    """Other people's published curves, intervals and counts: what there is, made into one pack, checked."""


@evidence.command("list")
def list_() -> None:
    """List what can be had: file of the pack, repository, commit, path, licence as found there."""
    from metst_lib.evidence import sources

    table = sources.table()
    for (repository, commit, licence), rows in table.groupby(["repository", "commit", "licence"], sort=False):
        click.echo(f"https://github.com/{repository}\n  commit {commit}\n  licence: {licence}")
        for path, files in rows.groupby("path", sort=False)["file"]:
            click.echo(f"    {path} -> {', '.join(files)}")
    click.echo(
        "Clone what you want into one folder, each at its commit; then `metst evidence convert FOLDER`.\n"
        "The labels of SAMM-LV and CAS(ME)² are their owners': apply for them as data/README.md says."
    )


@evidence.command()
@click.argument("clones", type=click.Path(path_type=Path))
@click.option("--out", default="data/evidence", type=click.Path(path_type=Path), help="Folder of the pack.")
@click.option(
    "--accept-changed", is_flag=True, help="Go on where a clone is not the known one; captions will say so."
)
def convert(clones: Path, out: Path, accept_changed: bool) -> None:
    """Turn the repositories in the folder CLONES (owner+name, owner/name or name) into the pack.

    Each source is held against its SHA-256 and each clone against its commit. Exit status 1 if files are
    missing; those that can be made are made.
    """
    from metst_lib.evidence import convert as converter

    made = converter.convert(clones, out, accept_changed)
    for what in made.changed:
        click.echo(f"Warning: {what}", err=True)
    for what in made.unchecked:
        click.echo(f"Warning: {what}: no hash is known, the clone tells no commit; taken as it is", err=True)
    for name, why in made.missing.items():
        click.echo(f"Missing: {name}: {why}")
    click.echo(
        f"{len(made.written)} of {len(made.written) + len(made.missing)} files of the pack lie in {out}"
    )
    raise SystemExit(int(bool(made.missing)))


@evidence.command()
@click.argument("pack", default="data/evidence", envvar="METST_EVIDENCE", type=click.Path(path_type=Path))
def check(pack: Path) -> None:
    """Compute what was published again from the PACK, by default $METST_EVIDENCE, else data/evidence.

    Exit status 1 if a number that should be equal is not.
    """
    from metst_lib.evidence import check as checker
    from metst_lib.evidence import pack as packs

    given = packs.load(pack)
    found = checker.check(given)
    print_table(found.drop(columns="whose"))
    for whose, rows in found.groupby("whose"):
        if whose:
            click.echo(f"{whose[0].upper()}{whose[1:]}: {', '.join(dict.fromkeys(rows['method']))}.")
    if given.warning:
        click.echo(given.warning, err=True)
    if len(wrong := checker.unexplained(found)):
        raise ValueError(f"{len(wrong)} numbers that should be equal are not")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--dataset", default="", help="Which, where TRUTH holds several.")
@click.option("--kind", type=click.Choice(["micro", "macro", "overall"]), default="micro")
@click.option("--scorer", default="", help="One of strict, released, megc2024.  [default: all]")
@click.option("--videos", type=click.Choice(["with_me", "all"]), default="with_me", help="Which count.")
@click.option("--p", default=0.55, type=click.FloatRange(0, 1), help="Height of the threshold.")
@click.option(
    "--half-width", type=click.IntRange(1), help="k_p in frames.  [default: of the other subjects' truths]"
)
@click.option("--width", type=click.Choice(["mean", "median"]), default="mean", help="k_p of which length.")
@click.option("--growth", type=click.Choice(["none", "curve"]), default="none", help="Shape of intervals.")
@click.option("--synergy/--no-synergy", default=True, help="The recogniser's veto, if FILE names emotions.")
@click.option(
    "--step", default=1, type=click.IntRange(1), help="FILE takes every so-many-th frame of TRUTH's."
)
@click.option("--sweep", is_flag=True, help="Also a table over the height of the threshold.")
@click.option("--protocols", is_flag=True, help="Also the same curves through every documented protocol.")
def score(file: Path, truth: Path, sweep: bool, protocols: bool, **options: Any) -> None:
    """Score FILE, curves (npz, csv) or a table of intervals (csv), against TRUTH, a table of intervals.

    A table of intervals has the columns subject, video, onset, offset, and where known dataset, kind,
    emotion, fps, n_frames; frames from 0, both ends in it; a video without events has a row without these.
    A score file has a row a frame: dataset, subject, video, fps, frame, score, and five logits if it names
    emotions. F1 comes with its 95 % interval over subjects, and with what chance alone gives where the
    videos' lengths are known.
    """
    from metst_lib.evidence import protocols as protocol
    from metst_lib.evidence import scoring
    from metst_lib.metrics import SCORERS
    from metst_lib.spotting import Rule

    kind, scorer = options["kind"], options["scorer"]
    given = scoring.read(file, truth, options["dataset"], options["step"])
    given = given.only(options["videos"], kind)
    how = {name: options[name] for name in ("half_width", "p", "width", "growth")}
    synergy = options["synergy"] and given.recognised
    rule = Rule(kind="micro" if kind == "overall" else kind, result_synergy=synergy, **how)
    click.echo(f"{given.dataset or 'Events'}, {kind}: {given.counted} ({options['videos']})")
    _numbers(scoring.table(given, rule, kind, [scorer] if scorer else list(SCORERS)))
    if given.predictions is not None:
        click.echo("Average precision at IoU .3, .5, .7, of every local peak:")
        _numbers(scoring.ranking(given, rule, kind))
    if sweep:
        _numbers(scoring.sweep(given, rule, kind, scorer or "strict"))
    if protocols:
        if given.predictions is None:
            raise ValueError("a table of intervals has no curves to put through protocols")
        curves = {key: given.predictions[key] for key in given.truth}
        _numbers(protocol.table(curves, given.truth, kind))


def _numbers(table: pd.DataFrame) -> None:
    click.echo(tabulate(table.astype(object), headers="keys", showindex=False, floatfmt=".4f"))
