"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

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
