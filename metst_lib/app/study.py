"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import click

from metst_lib.app.options import root_option


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


@study.command()
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(("signals", "labels", "pixels")),
    help="What to make, more than once for more; the rest of the table stays.  [default: all three]",
)
@click.option("--row", "rows", multiple=True, help="Rows of the study in place of the main ones.")
@click.option("--jobs", default=1, type=click.IntRange(1), help="Processes (pixels: threads).")
@root_option
def sweeps(parts: tuple[str, ...], rows: tuple[str, ...], jobs: int, root: str) -> None:
    """Where spotting breaks: signals, labels and pixels changed in one thing, kept in sweeps.csv."""
    from metst_lib import experiment
    from metst_lib.study import pixels
    from metst_lib.study import sweeps as made

    chosen = parts or made.PARTS
    path = experiment.configure(root=root).places.figures / "synthetic" / made.NAME
    if {"signals", "labels"} & {*chosen}:
        levels = made.SWEEPS if "signals" in chosen else (), made.ERRORS if "labels" in chosen else ()
        made.write(made.run(rows or made.SWEPT, jobs, sweeps=levels[0], errors=levels[1]), path)
    if "pixels" in chosen:
        made.write(pixels.run(jobs, root), path)
    click.echo("\n".join([*made.falls_under(made.read(path)), str(path)]))
