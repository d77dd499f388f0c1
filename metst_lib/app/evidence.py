"""`metst evidence …`, `metst score`, `metst submit`: other people's results, any method's file against the
truth, and files for the challenge."""

from pathlib import Path
from typing import Any

import click
import pandas as pd
from click.core import ParameterSource
from tabulate import tabulate

from metst_lib.app.options import landmarks_option, print_table, root_option


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
@click.option(
    "--protocol",
    type=click.Choice(["megc2022", "megc2024", "strict"]),
    help="FILE is a challenge's file (`metst submit`): macro, micro, overall F1, and STRS.",
)
@click.pass_context
def score(
    ctx: click.Context,
    file: Path,
    truth: Path,
    sweep: bool,
    protocols: bool,
    protocol: str | None,
    **options: Any,
) -> None:
    """Score FILE, curves (npz, csv) or a table of intervals (csv), against TRUTH, a table of intervals.

    A table of intervals has the columns subject, video, onset, offset, and where known dataset, kind,
    emotion, fps, n_frames; frames from 0, both ends in it; a video without events has a row without these.
    A score file has a row a frame: dataset, subject, video, fps, frame, score, and five logits if it names
    emotions. F1 comes with its 95 % interval over subjects, and with what chance alone gives where the
    videos' lengths are known.

    With --protocol, FILE is a csv as `metst submit` writes it, and TRUTH may have the columns first and
    frame_step, by which the owners' numbers become its frames. Within a kind, megc2022 and strict match one
    to one by best IoU of .5 or more, megc2022 on all videos of TRUTH, strict on those with a label of either
    kind (or --videos); megc2024 counts as that challenge's script does.
    """
    from metst_lib.evidence import protocols as documented
    from metst_lib.evidence import scoring
    from metst_lib.metrics import SCORERS
    from metst_lib.spotting import Rule

    if protocol:
        return _challenge(ctx, file, truth, protocol)
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
        _numbers(documented.table(curves, given.truth, kind))


def _challenge(ctx: click.Context, file: Path, truth: Path, protocol: str) -> None:
    """A challenge's file by its protocol."""
    from metst_lib.evidence import megc

    typed = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    may = {"file", "truth", "protocol", "dataset"} | ({"videos"} if protocol == "strict" else set())
    if odd := sorted(set(typed) - may):
        raise click.UsageError(f"--protocol {protocol} leaves no choice of {', '.join(odd)}: leave it out")
    videos = ctx.params["videos"] if "videos" in typed else ""
    given, seen = megc.given(file, truth, protocol, ctx.params["dataset"], videos)
    click.echo(f"{given.dataset or 'Events'}, {protocol}: {given.counted}")
    if not seen.kinds:
        click.echo("The file names no kinds: every event in it is taken for a micro-expression.")
    made = megc.table(given, protocol)
    _numbers(made.astype(object).where(made.notna(), ""))


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The csv to write.")
@click.option("--year", type=click.Choice(["2022", "2023", "2024"]), default="2022", help="Its columns.")
@click.option("--variant", default="", help="SOURCE is a data set, and this the variant of its whole run.")
@click.option("--seed", default=0)
@click.option(
    "--preset",
    "presets",
    multiple=True,
    help="Settings of the run; repeat to put runs of both kinds together.",
)
@root_option
@landmarks_option
def submit(sources: tuple[str, ...], out: Path, year: str, variant: str, seed: int, **options: Any) -> None:
    """Write the events found as a file of the micro-expression grand challenge (MEGC).

    SOURCE is a table of intervals (csv, as `metst score` reads it), a folder of such or of what `metst
    analyze` wrote; several are put together. With --variant it is a data set, whose whole run is written.
    Columns of 2022 and 2023: vid, onset, offset, type (me, mae); of 2024: subject, video, onset, offset,
    emotion. Frames are the owners' numbers. All this was seen in participants' code only: hold it against
    the organisers' own text before you send it.
    """
    from metst_lib.evidence import megc

    presets, found = options.pop("presets") or ("",), {}
    if variant:
        from metst_lib import experiment

        configs = [
            experiment.configure(s, variant, seed, preset, **options) for s in sources for preset in presets
        ]
        parts = [experiment.runs.found_by(map(experiment.read_run, configs))]
    else:
        parts = [megc.found(source) for source in sources]
    for part in parts:
        for key, events in part.items():
            found.setdefault(key, []).extend(events)
    path = megc.write(out, found, int(year))
    click.echo(f"{sum(map(len, found.values()))} events of {len(found)} videos: {path}")


def _numbers(table: pd.DataFrame) -> None:
    click.echo(tabulate(table.astype(object), headers="keys", showindex=False, floatfmt=".4f"))
