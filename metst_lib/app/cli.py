"""The command line, `metst …`: a few lines per command; the work is done by the modules it names."""

import dataclasses
import itertools
import os
import shutil
import time
from pathlib import Path
from typing import Any

import click
import pandas as pd
from tabulate import tabulate

from metst_lib.app.data import data
from metst_lib.app.evidence import evidence, score, submit
from metst_lib.app.options import (
    Plain,
    dataset_argument,
    experiment_options,
    landmarks_option,
    root_option,
    seeds_option,
    threads_option,
)
from metst_lib.app.released import released
from metst_lib.app.sharing import compare, share
from metst_lib.app.study import study


@click.group(cls=Plain, context_settings={"show_default": True, "max_content_width": 100})
@click.version_option(package_name="metst-lib")
def main() -> None:
    """Micro-expression analysis by temporal state transition: the steps of the workflow, one by one."""


for command in (data, released, evidence, score, submit, share, compare, study):
    main.add_command(command)


@main.command()
@root_option
def doctor(root: str) -> None:
    """Say what is installed, which scans and data are there, and what to do; exit status 1 at a problem."""
    from metst_lib.app import doctor as examiner

    found = examiner.examine(root)
    click.echo(examiner.report(found, min(shutil.get_terminal_size((100, 24)).columns, 120)))
    raise SystemExit(int((found["state"] == examiner.PROBLEM).any()))


@main.command()
@dataset_argument
@click.option(
    "--variant",
    "variants",
    multiple=True,
    default=["me-tst"],
    help="The variant whose regions are wanted; repeat for more, all in one pass.",
)
@click.option(
    "--released",
    default="",
    metavar="CLONE",
    help="A clone of the authors' repository: its caches become the flow, for all variants that they serve.",
)
@threads_option
@experiment_options
def flow(dataset: str, variants: tuple[str, ...], released: str, jobs: int, **options: str) -> None:
    """Extract and cache the ROI flow of every video of DATASET, or take it from the authors' caches."""
    from metst_lib import experiment

    if released:  # neither frames nor landmarks are needed
        served = experiment.flows.import_cache(experiment.configure(dataset, **options), released)
        variants = tuple(name for name, what in experiment.VARIANTS.items() if what.roi_set in served)
        if others := [name for name in experiment.VARIANTS if name not in variants]:
            click.echo(f"No flow for {', '.join(others)}: {released} has no cache of 18 regions", err=True)
    wanted = [experiment.configure(dataset, variant, **options) for variant in variants]
    configs = list({experiment.store.flow_folder(config): config for config in wanted}.values())
    audit = experiment.load_data(configs[0]).audit
    if lost := int((audit["action"] == "dropped").sum()):
        click.echo(f"{lost} annotations are left out; which and why: `metst data audit {dataset}`", err=True)
    for number, config in enumerate(configs, start=1):
        report = experiment.prepare(config, jobs=jobs, beside=configs[number:])
        done, folder = len(report.videos), experiment.store.flow_folder(config)
        click.echo(f"Flow of {done} of {done + len(report.failed)} videos lies in {folder}")
        for what, meaning in (
            ("replaced", "unreadable or missing frames, the nearest readable one served"),
            ("flagged", "windows without a face on their first frame, the nearest one with a face served"),
        ):
            if count := sum(getattr(video, what) for video in report.videos.values()):
                click.echo(f"{count} {meaning}")


@main.command()
@dataset_argument
@click.argument("variant")
@click.option("--subject", default="all", help='A fold, several with commas between, or "all".')
@click.option("--seed", default=0)
@click.option("--epochs", default=0, help="In place of the preset's, for a rehearsal; kept apart.")
@experiment_options
def run(dataset: str, variant: str, subject: str, seed: int, epochs: int, **options: str) -> None:
    """Run folds of VARIANT on DATASET without a notebook; finished ones are skipped."""
    from metst_lib import experiment

    config = dataclasses.replace(experiment.configure(dataset, variant, seed, **options), epochs=epochs)
    for name, scores in experiment.run_folds(config, experiment.chosen(config, subject)).items():
        click.echo(f"{name}: spotting F1 {scores.spotting.f1:.4f}, STRS {scores.strs:.4f}")


@main.command()
@dataset_argument
@click.argument("variant", default="me-tst-plus")
@click.option("--seed", default=0)
@experiment_options
def train(dataset: str, variant: str, seed: int, **options: str) -> None:
    """Train VARIANT on all subjects of DATASET and keep the model, for `metst analyze`."""
    from metst_lib import experiment
    from metst_lib.recording import model

    config = experiment.configure(dataset, variant, seed, **options)
    made = model.fit(config)
    path = model.save(made, experiment.store.model_path(config))
    click.echo(f"Model, trained on {made.about.videos} videos: {path}")


@main.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the result.")
@click.option("--model", default="", help="A model file.  [default: the one that `make demo` leaves]")
@click.option(
    "--landmarks",
    default="",
    help="dlib's 68-point predictor (.dat), a file of known landmarks (.npz of ours, .csv of OpenFace), or a "
    "folder of such files named like the videos.  [default: the predictor in data/]",
)
@click.option(
    "--face", type=click.IntRange(1), help="Which of several, from the left.  [default: the largest]"
)
@click.option("--fps", type=click.FloatRange(0, min_open=True), help="Frame rate, in place of time stamps.")
@threads_option
@root_option
def analyze(videos: tuple[Path, ...], out: Path, model: str, root: str, **options: Any) -> None:
    """Find micro-expressions in videos of your own: VIDEO is a file, or a folder of numbered images.

    Writes report.html (the page to open), events.csv, curves.csv, events.vtt, figure.png and analysis.json
    into the folder --out; of several videos each has a folder there, and all_events.csv holds the events of
    all. One that fails does not stop the others; the exit status is then 1. Nothing leaves the machine.
    """
    from metst_lib import experiment
    from metst_lib.experiment import plan
    from metst_lib.recording import model as models
    from metst_lib.recording import report

    usual = experiment.configure("synthetic", plan.DEMONSTRATION, root=root)
    used = models.load(model or experiment.store.model_path(usual))
    failed = []
    for outcome in report.run(videos, used, out, root=root, **options):
        if outcome.analysis is None:
            failed.append(outcome.error)
            click.echo(f"Error: {outcome.error}", err=True)
            continue
        click.echo(f"{outcome.path.name}: {report.summary(outcome.analysis)}")
        for note in outcome.analysis.notes:
            click.echo(f"  Note: {note}")
        click.echo(f"  Page to open: {outcome.folder / 'report.html'}")
    if len(failed) < len(videos):
        click.echo("\n".join(["Limits of every result:", *(f"- {line}" for line in used.about.limits)]))
    if failed and len(videos) > 1:
        click.echo(f"{len(failed)} of {len(videos)} videos could not be analysed", err=True)
    raise SystemExit(int(bool(failed)))


@main.command()
@dataset_argument
@seeds_option
@click.option("--jobs", type=click.IntRange(1), help="Folds that run at once.  [default: one a processor]")
@experiment_options
def plan(dataset: str, seeds: int, jobs: int | None, **options: str) -> None:
    """List what is there of a reproduction of DATASET, what is missing, and the hours that are left."""
    from metst_lib.experiment import plan as planner

    found = planner.make(dataset, range(seeds), **options)
    for heading, table in (("Flow, in videos", found.flow), ("Folds", found.folds)):
        click.echo(f"{heading}\n{tabulate(table, headers='keys', showindex=False, floatfmt='.2f')}\n")
    click.echo(found.in_words(jobs or os.cpu_count() or 1))


main.add_command(plan, "cost")  # its former name, for what a run will cost before it is started


class _Verbatim(click.Command):
    """All words behind the command are somebody else's, "--" included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["arguments"] = tuple(args)
        return []


@main.command(cls=_Verbatim, options_metavar="[SNAKEMAKE'S ARGUMENTS]")
def workflow(arguments: tuple[str, ...]) -> None:
    """Run the Snakefile here with Snakemake's own ARGUMENTS: --cores all, -n, --config seeds=3, …

    What is stale is made again, a killed run goes on, and of two runs in one folder the second refuses.
    """
    from metst_lib.app import workflow as starter

    starter.run(arguments)


@main.command()
@dataset_argument
@seeds_option
@click.option(
    "--variants", default="", help="With commas: stale folds of others do not change the exit status."
)
@experiment_options
def tables(dataset: str, seeds: int, variants: str, **options: str) -> None:
    """Write the tables of DATASET's finished runs as Markdown, CSV and LaTeX; they say what is missing.

    Each whole run leaves its curves beside its folds, and its edition a truth.csv: `metst score` reads them.
    Folds that are stale, made of other inputs than today's, are left out; the exit status is then 1.
    """
    from metst_lib import experiment
    from metst_lib.experiment import tables as writer

    folder = experiment.store.figures_folder(experiment.configure(dataset, **options))
    experiment.runs.score_fitted(
        experiment.configure(dataset, variant, seed, **options)
        for variant, seed in itertools.product(experiment.TABLED, range(seeds))
    )
    made = writer.make(dataset, range(seeds), **options)
    whole = {run.config: run for table in made for of_seeds in table.runs.values() for run in of_seeds}
    for run in whole.values():
        experiment.runs.write_scores(run)
    for table in made:
        click.echo(table.write(folder)[0])
    judged = variants.split(",") if variants else experiment.TABLED
    runs = [run for table in made for name in judged for run in table.runs.get(name, ()) if run.stale]
    stale = {f"{run.config.variant}, seed {run.config.seed}: {', '.join(run.stale)}" for run in runs}
    if stale:
        raise click.ClickException(f"stale folds are left out of these tables: {'; '.join(sorted(stale))}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--folds", is_flag=True, help="Also list every single fold.")
@root_option
@landmarks_option
def trace(file: Path, folds: bool, **options: str) -> None:
    """Say which runs and folds FILE, a table or figure, comes from.

    Exit status 1 if FILE was changed since, or folds behind it are stale.
    """
    from metst_lib.experiment import trace as tracer

    found = tracer.trace(file, folds, **options)
    stale = list(found.stale)
    if found.side.counted:
        from metst_lib.study import tables as counted

        stale += counted.stale(found.side, file.parent)
    click.echo(f"{file.name}: {found.title}")
    for heading, rows in found.tables.items():
        plain = heading in ("Runs", "Folds")  # a line each; the others have cells of several lines
        style = {"tablefmt": "simple"} if plain else {"tablefmt": "simple_grid", "maxcolwidths": 56}
        click.echo(f"\n{heading}")
        click.echo(tabulate(rows, headers="keys", showindex=False, disable_numparse=True, **style))
    if not found.from_runs:
        click.echo("It shows no result: no run stands behind it.")
    for name in found.changed:
        click.echo(f"{name} has been changed since: what is said above is about another file", err=True)
    for line in stale:
        click.echo(line, err=True)
    raise SystemExit(int(bool(found.changed or stale)))


@main.command()
@click.argument("notebooks", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the copies.  [default: notebooks/student]"
)
@click.option("--check/--no-check", default=True, help="Try stubs and solutions; write only if all is well.")
@click.option("--jobs", default=2, type=click.IntRange(1), help="Notebooks that run at once.")
def student(notebooks: tuple[Path, ...], out: Path | None, check: bool, jobs: int) -> None:
    """Make student copies of NOTEBOOKS (default: all): solutions cut out, each exercise tried.

    Without an answer each check must fail, with the solution it must pass, and all other cells must pass;
    else nothing is written and the exit status is 1.
    """
    from metst_lib.app import student as copies

    paths = list(notebooks) or sorted(copies.FOLDER.glob("[0-9]*.ipynb"))
    out = out or copies.FOLDER / "student"
    copies.refuse(paths, out)
    if check:
        began = time.monotonic()
        outcomes = copies.check(paths, jobs)
        rows = pd.DataFrame(outcomes).drop(columns="ok").rename(columns=lambda name: name.replace("_", " "))
        click.echo(tabulate(rows, headers="keys", tablefmt="simple", showindex=False))
        bad = sum(not outcome.ok for outcome in outcomes)
        tried = len(outcomes) - len(paths)
        click.echo(f"{tried} exercises of {len(paths)} notebooks tried in {time.monotonic() - began:.0f} s")
        if bad:
            raise ValueError(f"{bad} of these lines are not as they should be: no copies are written")
    written = copies.write(paths, out)
    click.echo(f"{len(written)} student copies: {out}")


@main.command()
@dataset_argument
@click.argument("pages", nargs=-1, type=click.Path(exists=True, path_type=Path))
@experiment_options
def index(dataset: str, pages: tuple[Path, ...], **options: str) -> None:
    """Write the page that shows DATASET's tables and figures and links the executed notebooks (PAGES)."""
    from metst_lib import experiment
    from metst_lib.app import pages as writer

    config = experiment.configure(dataset, **options)
    path = writer.write(config, pages)
    click.echo(f"Tables and figures: {experiment.store.figures_folder(config)}\nPage to open:       {path}")


if __name__ == "__main__":
    main()
