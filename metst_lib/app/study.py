"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import click

from metst_lib.app.options import print_table


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


@study.command()
@click.option("--replicate", "number", default=0, show_default=True, help="Which replicate is looked at.")
def difficulty(number: int) -> None:
    """How hard the synthetic study set is, told without a network (a few minutes)."""
    from metst_lib.study import hardness
    from metst_lib.synthetic.replicates import replicate

    print_table(hardness.described(replicate(number)))
