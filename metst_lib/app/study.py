"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import click


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""
