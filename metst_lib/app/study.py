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
@click.option("--seeds", default=2, type=click.IntRange(1), help="Trainings of each network.")
@options.root_option
def pixels(seeds: int, root: str) -> None:
    """Render the scripts of eight subjects of replicate 0, measure their flow, hold the signals against it.

    Writes the committed table and its figure; rendered flow is kept under data/runs/study/pixels.
    """
    from metst_lib import experiment, figures
    from metst_lib.study import pixels as part
    from metst_lib.synthetic.replicates import replicate

    places, drawn = experiment.configure(root=root).places, replicate(0)
    flows = part.measured(drawn, places.data / "runs" / "study" / "pixels", progress=True)
    table = part.agreement(drawn, flows[part.ROI_SET], range(seeds))
    part.write(table, places.figures / "synthetic" / part.TABLE)
    figure = figures.stamp(figures.pixels_beside_signals(table), "synthetic data")
    figures.save(figure, places.figures / "synthetic" / "study_pixels")
    options.print_table(table[(table["name"] == "all") | (table["measure"] == "F1")].round(3))
