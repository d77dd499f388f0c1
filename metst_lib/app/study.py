"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import click

from metst_lib.app.options import root_option


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


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
