"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

from pathlib import Path

import click

from metst_lib.app import options


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


@study.command()
@click.option("--jobs", default=2, type=click.IntRange(1), help="Processes, one thread each.")
def rates(jobs: int) -> None:
    """Choose the learning rate of every row on replicate 0 and keep the grid in the library's folder."""
    from metst_lib.study import rates

    table = rates.grid(jobs=jobs)
    options.print_table(table)
    click.echo(rates.write(table))


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
@click.option("--replicates", default="1-5", help="Such as 1-5 or 1,3.")
@click.option("--rows", default="", help="Of the study, with commas between; default: those with two seeds.")
@click.option(
    "--evidence", default="", help="Pack of real curves.  [default: $METST_EVIDENCE, data/evidence]"
)
@options.root_option
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
