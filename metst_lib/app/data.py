"""`metst data …`: make and check data sets."""

from typing import Any

import click

from metst_lib.app.options import dataset_argument, print_table, root_option


@click.group()
def data() -> None:
    """Make and check data sets."""


@data.command()
@click.option("--subjects", type=int, help="[default: 8]")
@click.option("--videos", type=int, help="Videos a subject.  [default: 2]")
@click.option("--seconds", type=float, help="Length of a video.  [default: 30]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--jobs", default=2, help="Threads that render.")
@root_option
@click.option("--overwrite", is_flag=True, help="Replace a set of other settings.")
def synth(root: str, **settings: Any) -> None:
    """Render the synthetic set into data/synthetic, with the demonstration landmark predictor."""
    from metst_lib import experiment, synthetic

    given = {name: value for name, value in settings.items() if value is not None}
    folder = synthetic.write(experiment.home(root) / "data", **given)
    click.echo(f"The synthetic set lies in {folder}")


@data.command()
@click.argument("name")
@click.option("--fps", default=30.0, help="Frames per second of the videos.")
@click.option("--title", default="", help="In tables and figures.  [default: NAME]")
@root_option
def new(name: str, fps: float, title: str, root: str) -> None:
    """Begin a data set of your own, data/NAME: its settings, a csv for labels, a folder for videos."""
    from metst_lib import datasets, experiment
    from metst_lib.datasets import own

    folder = own.begin(experiment.home(root) / "data", name, fps, title, datasets.known())
    click.echo(f"Settings to look through: {folder / own.SETTINGS}")
    click.echo(f"A row for each event:     {folder / own.LABELS}")
    click.echo(f"Videos:                   {folder / own.VIDEOS}/<subject>/<video>.mp4")
    click.echo(f"Then: metst data check {name}")


@data.command()
@dataset_argument
@root_option
@click.option("--deep", is_flag=True, help="Read every frame, not only the first, middle and last.")
def check(dataset: str, root: str, deep: bool) -> None:
    """Compare what lies under data/DATASET with what should; exit status 1 where something is wrong."""
    from metst_lib import experiment
    from metst_lib.datasets import check as checker

    found = checker.check(dataset, experiment.home(root) / "data", deep=deep)
    print_table(found)
    raise SystemExit(0 if found["ok"].all() else 1)


@data.command()
@dataset_argument
@root_option
@click.option(
    "--tables", default="", help="A folder that has DATASET/ with the owners' tables, where no frames are."
)
@click.option(
    "--ranges", help="A .csv of each video's first and last frame number, where the frames are not there."
)
@click.option("--as-released", is_flag=True, help="Leave out what the authors' released code leaves out.")
def audit(dataset: str, root: str, tables: str, ranges: str | None, as_released: bool) -> None:
    """Print what the reader of DATASET repaired, clipped or dropped, and save it row by row."""
    from metst_lib import experiment
    from metst_lib._files import write_text
    from metst_lib.datasets import check as checker

    folder = experiment.home(root) / "data"
    source = tables or folder
    options: dict[str, Any] = {"as_released": as_released, "ranges": ranges}
    print_table(checker.audit(dataset, source, **options))
    path = folder / dataset / ("audit_as_released.csv" if as_released else "audit.csv")
    rows = checker.entries(dataset, source, **options)
    click.echo(f"Row by row: {write_text(path, rows.to_csv(index=False))}")


@data.command()
@click.option("--csv", "path", default="", help="Write the table as .csv to this path as well.")
def compare(path: str) -> None:
    """Print what three real sets, the demo and the study look like: rates, durations, overlaps, classes."""
    from metst_lib._files import write_text
    from metst_lib.study import sets

    table = sets.table(sets.measured())
    click.echo(table.to_markdown())
    if path:
        click.echo(f"As a table: {write_text(path, table.frame.to_csv(index=False))}")


@data.command()
@dataset_argument
@click.option("--tables", default="", help="A folder with the owners' tables and video_frames.csv.")
@root_option
@click.option("--roi-set", type=click.Choice(["5", "18", "both"]), default="5")
def rehearse(dataset: str, tables: str, root: str, roi_set: str) -> None:
    """Write flow of DATASET's real size from its annotations alone: SYNTHETIC signals, no face, no frames."""
    from metst_lib import experiment
    from metst_lib.synthetic import rehearsal

    name = rehearsal.write(dataset, experiment.home(root) / "data", tables or None).name
    for variant in {"5": ["me-tst"], "18": ["me-tst-plus"], "both": ["me-tst", "me-tst-plus"]}[roi_set]:
        config = experiment.configure(name, variant, root=root)
        report = experiment.prepare(config)
        click.echo(f"SYNTHETIC signals of {_size(report)}: {experiment.store.flow_folder(config)}")
    click.echo(f"Next: metst run {name} me-tst --subject {experiment.folds(config)[0]} --epochs 2")


def _size(report: Any) -> str:
    """How much flow there is."""
    return f"{len(report.videos)} videos, {sum(video.windows for video in report.videos.values())} windows"
