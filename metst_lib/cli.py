"""The command line, `metst …`: a few lines per command; the work is done by the modules it names."""

from __future__ import annotations

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


class _Plain(click.Group):
    """Bad input ends in one line that says what is wrong, not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):  # RuntimeErrors too: --help ends by one
            raise
        except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
            raise click.ClickException(str(error)) from error


def _print(table: pd.DataFrame) -> None:
    """A table for a terminal, long cells wrapped."""
    shown = table.astype(object).where(table.notna(), "").replace({True: "yes", False: "NO"}).astype(str)
    click.echo(tabulate(shown, headers="keys", tablefmt="simple_grid", showindex=False, maxcolwidths=44))


def _experiment_options(command: Any) -> Any:
    """--preset, --root and --landmarks, as `experiment.configure` takes them."""
    for option in (
        click.option("--landmarks", default="", help="dlib's predictor file, or a folder of landmark files."),
        click.option("--root", default="", help="The compendium's folder; default: this checkout."),
        click.option("--preset", default="", help="Settings; default: the data set's own."),
    ):
        command = option(command)
    return command


@click.group(cls=_Plain, context_settings={"show_default": True, "max_content_width": 100})
@click.version_option(package_name="metst-lib")
def main() -> None:
    """Micro-expression analysis by temporal state transition: the steps of the workflow, one by one."""


@main.command()
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
def doctor(root: str) -> None:
    """Say what is installed, which scans and data are there, and what to do; exit status 1 at a problem."""
    from metst_lib import doctor as examiner

    found = examiner.examine(root)
    click.echo(examiner.report(found, min(shutil.get_terminal_size((100, 24)).columns, 120)))
    raise SystemExit(int((found["state"] == examiner.PROBLEM).any()))


@main.group()
def data() -> None:
    """Make and check data sets."""


@data.command()
@click.option("--subjects", type=int, help="[default: 8]")
@click.option("--videos", type=int, help="Videos a subject.  [default: 2]")
@click.option("--seconds", type=float, help="Length of a video.  [default: 30]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--jobs", default=2, help="Threads that render.")
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
@click.option("--overwrite", is_flag=True, help="Replace a set of other settings.")
def synth(root: str, **settings: Any) -> None:
    """Render the synthetic set into data/synthetic, with the demonstration landmark predictor."""
    from metst_lib import experiment, synthetic

    given = {name: value for name, value in settings.items() if value is not None}
    folder = synthetic.write(experiment.home(root) / "data", **given)
    click.echo(f"The synthetic set lies in {folder}")


@data.command()
@click.argument("dataset")
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
@click.option("--deep", is_flag=True, help="Read every frame, not only the first, middle and last.")
def check(dataset: str, root: str, deep: bool) -> None:
    """Compare what lies under data/DATASET with what should; exit status 1 where something is wrong."""
    from metst_lib import experiment
    from metst_lib.datasets import check as checker

    found = checker.check(dataset, experiment.home(root) / "data", deep=deep)
    _print(found)
    raise SystemExit(0 if found["ok"].all() else 1)


@data.command()
@click.argument("dataset")
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
@click.option(
    "--tables", default="", help="A folder with the owners' tables, where the frames are not there."
)
@click.option("--as-released", is_flag=True, help="Leave out what the authors' released code leaves out.")
def audit(dataset: str, root: str, tables: str, as_released: bool) -> None:
    """Print what the reader of DATASET repaired, clipped or dropped, and save it row by row."""
    from metst_lib import experiment
    from metst_lib._files import write_text
    from metst_lib.datasets import check as checker

    folder = experiment.home(root) / "data"
    source = tables or folder
    _print(checker.audit(dataset, source, as_released=as_released))
    path = folder / dataset / ("audit_as_released.csv" if as_released else "audit.csv")
    rows = checker.entries(dataset, source, as_released=as_released)
    click.echo(f"Row by row: {write_text(path, rows.to_csv(index=False))}")


@data.command()
@click.argument("dataset")
@click.option("--tables", default="", help="A folder with the owners' tables and video_frames.csv.")
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
@click.option("--roi-set", type=click.Choice(["5", "18", "both"]), default="5")
def rehearse(dataset: str, tables: str, root: str, roi_set: str) -> None:
    """Write flow of DATASET's real size from its annotations alone: SYNTHETIC signals, no face, no frames."""
    from metst_lib import experiment
    from metst_lib.synthetic import rehearsal

    name = rehearsal.write(dataset, experiment.home(root) / "data", tables or None).name
    for variant in {"5": ["me-tst"], "18": ["me-tst-plus"], "both": ["me-tst", "me-tst-plus"]}[roi_set]:
        config = experiment.configure(name, variant, root=root)
        report = experiment.prepare(config)
        windows = sum(video["windows"] for video in report["videos"].values())
        click.echo(
            f"SYNTHETIC signals of {len(report['videos'])} videos, {windows} windows: {config.flow_folder}"
        )
    click.echo(f"Next: metst run {name} me-tst --subject {experiment.folds(config)[0]} --epochs 2")


@data.command()
@click.argument("dataset")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_experiment_options
def import_cache(dataset: str, files: tuple[Path, ...], **options: str) -> None:
    """Turn the authors' caches of DATASET (FILES, in their order) into flow files, without any frames."""
    from metst_lib import experiment, released

    config = experiment.configure(dataset, **options)
    folder, settings = config.flow_folder, config.settings
    report = released.import_cache(
        dataset, files, config.data, folder, window=settings.window, frame_step=settings.frame_step
    )
    windows = sum(video["windows"] for video in report["videos"].values())
    click.echo(f"Flow of {len(report['videos'])} videos, {windows} windows, lies in {folder}")


@main.command()
@click.argument("dataset")
@click.option("--weights", required=True, help="Folder with the authors' subject_<id>.pkl.")
@_experiment_options
def evaluate_released(dataset: str, weights: str, **options: str) -> None:
    """Score the authors' weights on their imported cache of DATASET, beside the published row."""
    from metst_lib import experiment, reproduce

    found = reproduce.evaluate(experiment.configure(dataset, **options), weights)
    _print(found.table())
    click.echo(f"Scorer: released. k_p = {found.half_width} frames, of all subjects. What differs, and why:")
    for note in found.notes:
        click.echo(f"- {note}")


@main.command()
@click.argument("dataset")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    default=["me-tst"],
    help="The variant whose regions are wanted; repeat for more, all in one pass.",
)
@click.option("--jobs", default=2, type=click.IntRange(1), help="Threads over windows.")
@_experiment_options
def flow(dataset: str, variants: tuple[str, ...], jobs: int, **options: str) -> None:
    """Extract and cache the ROI flow of every video of DATASET."""
    from metst_lib import experiment

    wanted = [experiment.configure(dataset, variant, **options) for variant in variants]
    configs = list({config.flow_folder: config for config in wanted}.values())
    audit = experiment.load_data(configs[0]).audit
    if lost := int((audit["action"] == "dropped").sum()):
        click.echo(
            f"{lost} annotations are left out: `metst data audit {dataset}` says which and why", err=True
        )
    for number, config in enumerate(configs, start=1):
        report = experiment.prepare(config, jobs=jobs, beside=configs[number:])
        total = len(report["videos"]) + len(report["failed"])
        click.echo(f"Flow of {len(report['videos'])} of {total} videos lies in {config.flow_folder}")
        for what, meaning in (
            ("replaced", "unreadable or missing frames, the nearest readable one served"),
            ("flagged", "windows without a face on their first frame, the nearest one with a face served"),
        ):
            if count := sum(video[what] for video in report["videos"].values()):
                click.echo(f"{count} {meaning}")


@main.command()
@click.argument("dataset")
@click.argument("variant")
@click.option("--subject", default="all", help='A fold, several with commas between, or "all".')
@click.option("--seed", default=0)
@click.option(
    "--epochs", default=0, help="In place of the preset's, for a rehearsal; kept apart from real runs."
)
@_experiment_options
def run(dataset: str, variant: str, subject: str, seed: int, epochs: int, **options: str) -> None:
    """Run folds of VARIANT on DATASET without a notebook; finished ones are skipped."""
    from metst_lib import experiment

    config = dataclasses.replace(experiment.configure(dataset, variant, seed, **options), epochs=epochs)
    for name, scores in experiment.run_folds(config, experiment.chosen(config, subject)).items():
        click.echo(f"{name}: spotting F1 {scores.spotting.f1:.4f}, STRS {scores.strs:.4f}")


@main.command()
@click.argument("dataset")
@click.argument("variant", default="me-tst-plus")
@click.option("--seed", default=0)
@_experiment_options
def train(dataset: str, variant: str, seed: int, **options: str) -> None:
    """Train VARIANT on all subjects of DATASET and keep the model, for `metst analyze`."""
    from metst_lib import experiment, trained

    config = experiment.configure(dataset, variant, seed, **options)
    model = trained.fit(config)
    click.echo(
        f"Model, trained on {model.about.videos} videos: {trained.save(model, trained.path_of(config))}"
    )


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
@click.option("--jobs", default=2, type=click.IntRange(1), help="Threads over windows.")
@click.option("--root", default="", help="The compendium's folder; default: this checkout.")
def analyze(videos: tuple[Path, ...], out: Path, model: str, root: str, **options: Any) -> None:
    """Find micro-expressions in videos of your own: VIDEO is a file, or a folder of numbered images.

    Writes report.html (the page to open), events.csv, curves.csv, events.vtt, figure.png and analysis.json
    into the folder --out; of several videos each has a folder there, and all_events.csv holds the events of
    all. One that fails does not stop the others; the exit status is then 1. Nothing leaves the machine.
    """
    from metst_lib import experiment, own_report, trained

    usual = experiment.configure("synthetic", trained.DEMONSTRATION, root=root)
    used = trained.load(model or trained.path_of(usual))
    failed = []
    for outcome in own_report.run(videos, used, out, root=root, **options):
        if outcome.analysis is None:
            failed.append(outcome.error)
            click.echo(f"Error: {outcome.error}", err=True)
            continue
        click.echo(f"{outcome.path.name}: {own_report.summary(outcome.analysis)}")
        for note in outcome.analysis.notes:
            click.echo(f"  Note: {note}")
        click.echo(f"  Page to open: {outcome.folder / 'report.html'}")
    if len(failed) < len(videos):
        click.echo("\n".join(["Limits of every result:", *(f"- {line}" for line in used.about.limits)]))
    if failed and len(videos) > 1:
        click.echo(f"{len(failed)} of {len(videos)} videos could not be analysed", err=True)
    raise SystemExit(int(bool(failed)))


@main.command()
@click.argument("dataset")
@click.option("--seeds", default=1, type=click.IntRange(1), help="Seeds 0 … n − 1.")
@click.option("--jobs", default=2, type=click.IntRange(1), help="Folds that run at once.")
@_experiment_options
def cost(dataset: str, seeds: int, jobs: int, **options: str) -> None:
    """Say what every fold of every variant of DATASET would cost on this machine, before it is started."""
    from metst_lib import cost as estimate

    table = estimate.estimate(dataset, **options)
    _print(table)
    click.echo(estimate.in_words(table, seeds, jobs))


@main.command()
@click.argument("dataset")
@click.option("--seeds", default=1, type=click.IntRange(1), help="Seeds 0 … n − 1.")
@click.option("--jobs", type=click.IntRange(1), help="Folds that run at once.  [default: one a processor]")
@_experiment_options
def plan(dataset: str, seeds: int, jobs: int | None, **options: str) -> None:
    """List what is there of a reproduction of DATASET, what is missing, and the hours that are left."""
    from metst_lib import plan as planner

    found = planner.make(dataset, range(seeds), **options)
    for heading, table in (("Flow, in videos", found.flow), ("Folds", found.folds)):
        click.echo(f"{heading}\n{tabulate(table, headers='keys', showindex=False, floatfmt='.2f')}\n")
    click.echo(found.in_words(jobs or os.cpu_count() or 1))


@main.command()
@click.argument("dataset")
@click.option("--seeds", default=1, type=click.IntRange(1), help="Seeds 0 … n − 1.")
@_experiment_options
def tables(dataset: str, seeds: int, **options: str) -> None:
    """Write the tables of DATASET's finished runs as Markdown, CSV and LaTeX; they say what is missing."""
    from metst_lib import experiment
    from metst_lib import tables as writer

    folder = experiment.configure(dataset, **options).figures
    for variant, seed in itertools.product(experiment.VARIANTS, range(seeds)):
        experiment.score_fitted(experiment.configure(dataset, variant, seed, **options))
    for table in writer.make(dataset, range(seeds), **options):
        click.echo(table.write(folder)[0])


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--folds", is_flag=True, help="Also list every single fold.")
def trace(file: Path, folds: bool) -> None:
    """Say which runs and folds FILE, a table or figure, comes from; exit status 1 if it was changed since."""
    from metst_lib import provenance

    found = provenance.trace(file, folds)
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
    raise SystemExit(int(bool(found.changed)))


@main.command()
@click.argument("notebooks", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the copies.  [default: notebooks/student]"
)
@click.option(
    "--check/--no-check", default=True, help="Try stubs and solutions, and write only if all is well."
)
@click.option("--jobs", default=2, type=click.IntRange(1), help="Notebooks that run at once.")
def student(notebooks: tuple[Path, ...], out: Path | None, check: bool, jobs: int) -> None:
    """Make student copies of NOTEBOOKS (default: all): solutions cut out, each exercise tried.

    Without an answer each check must fail, with the solution it must pass, and all other cells must pass;
    else nothing is written and the exit status is 1.
    """
    from metst_lib import student as copies

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
            raise click.ClickException(
                f"{bad} of these lines are not as they should be: no copies are written"
            )
    written = copies.write(paths, out)
    click.echo(f"{len(written)} student copies: {out}")


@main.command()
@click.argument("dataset")
@click.argument("pages", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_experiment_options
def index(dataset: str, pages: tuple[Path, ...], **options: str) -> None:
    """Write the page that shows DATASET's tables and figures and links the executed notebooks (PAGES)."""
    from metst_lib import experiment, report

    config = experiment.configure(dataset, **options)
    path = report.write(config, pages)
    click.echo(f"Tables and figures: {config.figures}\nPage to open:       {path}")


if __name__ == "__main__":
    main()
