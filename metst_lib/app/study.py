"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import os
from pathlib import Path

import click

from metst_lib.app.options import print_table, root_option


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


@study.command()
@click.option("--jobs", default=2, type=click.IntRange(1), help="Processes, one thread each.")
def rates(jobs: int) -> None:
    """Choose the learning rate of every row on replicate 0 and keep the grid in the library's folder.

    Rows whose grid is there, of today's difficulty, are not run again.
    """
    from metst_lib.study import rates

    table = rates.complete(jobs=jobs)
    print_table(table)
    click.echo(rates.write(table))


@study.command()
@click.option("--replicates", default="1-5", help="Such as 1-5 or 1,3; replicate 0 is never counted.")
@click.option("--rows", default="", help="Of the study, with commas between; default: all.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at once.  [default: one a processor]")
@root_option
def run(replicates: str, rows: str, jobs: int | None, root: str) -> None:
    """Run what is missing of the study's rows, and put it into the committed counts.

    A run is a row on one replicate with one seed; each is kept at once, so that a stopped command goes on.
    """
    from metst_lib.study import edition

    numbers, (home, into) = edition.numbers(replicates), edition.places(root)
    named = [row for row in rows.split(",") if row]
    made = edition.run_missing(home, numbers, named, jobs or os.cpu_count() or 1)
    runs = edition.collect(home, into)
    click.echo(f"{made} runs made; {len(runs)} are counted in {into / 'counts.csv'}")


@study.command()
@root_option
def tables(root: str) -> None:
    """Write all tables of the study, and its confusion matrix, from the committed counts: no network runs."""
    from metst_lib import figures
    from metst_lib.experiment import provenance
    from metst_lib.study import edition
    from metst_lib.study import tables as writer

    into = edition.places(root)[1]
    made = writer.read(into)
    for table in writer.make(made):
        click.echo(table.write(into)[0])
    found = made.found(writer.CONFUSED)
    if not found.lacking:
        drawing = figures.confusion({found.title: (writer.confusion(found), writer.metrics.COLUMNS)})
        paths = figures.save(figures.stamp(drawing, writer.WHERE), into / "fig5_confusion")
        provenance.write(paths, f"Fig. 5 ({made.caption()})", made.behind([writer.CONFUSED]))
        click.echo(paths[0])


@study.command()
@click.option("--draws", default=5000, help="Studies drawn for each number.")
@click.option("--seed", default=0, type=click.IntRange(0))
@click.option("--jobs", default=1, type=click.IntRange(1), help="Processes.")
@click.option(
    "--out", default="figures/synthetic", type=click.Path(path_type=Path), help="Folder to write to."
)
def simulate(draws: int, seed: int, jobs: int, out: Path) -> None:
    """Measure what intervals and p hold, and how many subjects a difference takes, on SYNTHETIC counts."""
    from metst_lib import figures
    from metst_lib.study import power, simulation

    found = simulation.coverage(draws, seed, jobs), power.power(draws, seed, jobs)
    drawing = figures.stamp(figures.power(found[1]), "synthetic: drawn studies")
    for path in (*power.write(out, *found, draws, seed), *figures.save(drawing, out / "power")):
        click.echo(path)


@study.command()
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(("signals", "labels", "pixels")),
    help="What to make, more than once for more; the rest of the table stays.  [default: all three]",
)
@click.option("--rows", default="", help="Of the study, with commas between; default: the main ones.")
@click.option("--jobs", default=1, type=click.IntRange(1), help="Processes (pixels: threads).")
@root_option
def sweeps(parts: tuple[str, ...], rows: str, jobs: int, root: str) -> None:
    """Where spotting breaks: signals, labels and pixels changed in one thing, kept in sweeps.csv."""
    from metst_lib import experiment, figures
    from metst_lib.study import pixels
    from metst_lib.study import sweeps as made

    chosen, names = parts or made.PARTS, [row for row in rows.split(",") if row] or made.SWEPT
    path = experiment.configure(root=root).places.figures / "synthetic" / made.NAME
    if {"signals", "labels"} & {*chosen}:
        levels = made.SWEEPS if "signals" in chosen else (), made.ERRORS if "labels" in chosen else ()
        made.write(made.run(names, jobs, sweeps=levels[0], errors=levels[1]), path)
    if "pixels" in chosen:
        made.write(pixels.run(jobs, root), path)
    table = made.read(path)
    drawing = figures.stamp(figures.sweeps(table), "synthetic: study, and demo where it says so")
    files = figures.save(drawing, path.with_suffix(""))
    click.echo("\n".join([*made.falls_under(table), *map(str, (path, *files))]))


@study.command()
@click.option("--replicates", default="1-5", help="Such as 1-5 or 1,3.")
@click.option("--rows", default="", help="Of the study, with commas between; default: those with two seeds.")
@click.option(
    "--evidence", default="", help="Pack of real curves.  [default: $METST_EVIDENCE, data/evidence]"
)
@root_option
def decoders(replicates: str, rows: str, evidence: str, root: str) -> None:
    """Hold other rules of decoding against the paper's, on the study's curves and on real ones.

    Only what is at hand is computed; other lines of figures/synthetic/decoders.csv stay.
    """
    from metst_lib.evidence import pack
    from metst_lib.study import decoders, edition

    home, into = edition.places(root)
    names = [row for row in rows.split(",") if row]
    given = pack.there(evidence, home)
    click.echo(decoders.make(home, into, given, edition.numbers(replicates), names))


@study.command()
@click.option("--replicate", "number", default=0, show_default=True, help="Which replicate is looked at.")
def difficulty(number: int) -> None:
    """How hard the synthetic study set is, told without a network (a few minutes)."""
    from metst_lib.study import hardness
    from metst_lib.synthetic.replicates import replicate

    print_table(hardness.described(replicate(number)))


@study.command()
@click.option("--seeds", default=2, type=click.IntRange(1), help="Trainings of each network.")
@root_option
def pixels(seeds: int, root: str) -> None:
    """Render the scripts of eight subjects of replicate 0, measure their flow, hold the signals against it.

    Writes the committed table and its figure; rendered flow is kept under data/runs/study/pixels.
    """
    from metst_lib import experiment, figures
    from metst_lib.study import rendered
    from metst_lib.synthetic.replicates import replicate

    places, drawn = experiment.configure(root=root).places, replicate(0)
    flows = rendered.measured(drawn, places.data / "runs" / "study" / "pixels", progress=True)
    table = rendered.agreement(drawn, flows[rendered.ROI_SET], range(seeds))
    rendered.write(table, places.figures / "synthetic" / rendered.TABLE)
    figure = figures.stamp(figures.pixels_beside_signals(table), "synthetic data")
    figures.save(figure, places.figures / "synthetic" / "study_pixels")
    print_table(table[(table["name"] == "all") | (table["measure"] == "F1")].round(3))
