"""`metst study …`: the synthetic study, its editions, rates, simulations, sweeps and decoders."""

import click

from metst_lib.app.options import print_table, root_option


@click.group()
def study() -> None:
    """The synthetic study: rows held against each other on replicates, kept as counts."""


@study.command()
@click.option("--seeds", default=2, type=click.IntRange(1), help="Trainings of each network.")
@root_option
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
    print_table(table[(table["name"] == "all") | (table["measure"] == "F1")].round(3))
