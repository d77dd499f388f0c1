"""`metst share` and `metst compare`: results that may travel."""

from pathlib import Path

import click

from metst_lib.app.options import dataset_argument, experiment_options, print_table, seeds_option


@click.command()
@dataset_argument
@click.argument("variant")
@seeds_option
@click.option("--out", type=click.Path(path_type=Path), help="The file.  [default: beside the runs]")
@experiment_options
def share(dataset: str, variant: str, seeds: int, out: Path | None, **options: str) -> None:
    """Pack what may be published of the finished runs of VARIANT on DATASET into one JSON file.

    It holds counts of each video and subject, confusion matrices of subjects, intervals, chance, false alarms
    a minute, settings, versions and hashes; no frame, curve, landmark, event, path or name. Subjects and
    videos are numbered. Look at it, and at your licence, before you pass it on.
    """
    from metst_lib import experiment
    from metst_lib.experiment import packs, sharing

    config = experiment.configure(dataset, variant, **options)
    made = sharing.share(dataset, variant, range(seeds), **options)
    path = packs.write(out or experiment.store.pack_path(config), made)
    click.echo(f"{sharing.in_words(made)}\nLicence of the data: {config.reader.licence}\nPack: {path}")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="PACK...", type=click.Path(path_type=Path))
def compare(files: tuple[Path, ...]) -> None:
    """Set packs of one data set (files of `metst share`) beside the paper's numbers and each other.

    \b
    What is said of a measure, by its 95 % interval over subjects:
      differs      the other number lies outside the interval, or, between packs of the
                   same videos and as many seeds, the paired difference leaves zero out
      reproduced   neither, and the interval is at most 0.10 wide
      not decided  neither, but the interval is wider

    The other number is the one that the paper prints, or the value of the other pack; of two packs the
    interval is that of the first. Packs that were changed by hand are refused.
    """
    from metst_lib.experiment import packs, sharing

    read = [packs.read(path) for path in files]
    found = sharing.compare(read)
    for number, (path, pack) in enumerate(zip(files, read, strict=True), start=1):
        click.echo(f"Pack {number}, {path.name}: {sharing.in_words(pack)}")
    print_table(found)
    if (found["other"] == sharing.DASH).any():
        click.echo(f"{sharing.DASH}: the paper prints no such number of this variant on this data set.")
    click.echo(
        "Rule: differs where the other number lies outside the interval or, where a paired difference stands,"
        " that leaves zero out; "
        f"else reproduced if the interval is at most {sharing.WIDTH:.2f} wide; else not decided."
    )
