"""`metst released …`: what the authors released, used."""

from pathlib import Path

import click
import pandas as pd
from tabulate import tabulate

from metst_lib.app.options import print_table, root_option

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def released() -> None:
    """Use the weights and caches that the authors released."""


@released.command()
@click.argument("folder", type=_FOLDER)
@click.option("--dataset", default="", show_default=False, help="sammlv or casme3; else each that is there.")
@click.option("--data", type=_FOLDER, help="Has <data set>/ with its tables.  [default: data/ of the root]")
@click.option("--out", type=click.Path(path_type=Path), help="[default: released/ in the folder of the data]")
@root_option
def replay(folder: Path, dataset: str, data: Path | None, out: Path | None, root: str) -> None:
    """Run the authors' weights over their caches, both in FOLDER, and print Tables I–IV beside theirs.

    FOLDER is a clone of the authors' repository, with its large files. Of the data set its owners' tables are
    needed and no frames. A second run goes on from the predictions that the first one left.
    """
    from metst_lib import experiment
    from metst_lib.experiment import published
    from metst_lib.released import clone
    from metst_lib.released import replay as player

    data = data or experiment.home(root) / "data"
    out, failed = out or data / "released", []
    names = [dataset] if dataset else list(clone.NAMES)
    for name in names:
        try:
            found = player.replay(folder, name, data, out=out)
        except (ValueError, OSError) as error:
            failed.append(f"{name} is not replayed: {error}")
            continue
        subjects = f"{len(found.subjects)} of {found.of} subjects"
        click.echo(f"\n{found.network} on {name}, {subjects}, k_p = {found.half_width} frames")
        click.echo("Stitched by batch, as the authors' code runs. In brackets what Table IV has.\n")
        for table in (found.table4(published.with_successors), found.tables123(published.with_successors)):
            click.echo(
                tabulate(_as_text(table), headers="keys", showindex=False, disable_numparse=True) + "\n"
            )
        if len(found.missing):
            click.echo("Missing")
            print_table(found.missing)
        click.echo(
            "\n".join(["What differs from the authors' code, and why:", *(f"- {n}" for n in found.notes)])
        )
        click.echo(
            f"All of it, and the counts of each subject: {found.write(out, published.with_successors)}"
        )
    if len(failed) == len(names):
        raise FileNotFoundError("; ".join(failed))
    for line in failed:
        click.echo(line, err=True)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The rows stitched by batch, or published; a published number in brackets behind ours."""
    rows = table[table["stitching"] != "by video"].drop(columns=["stitching", "subjects"])
    text = {}
    for name in [name for name in rows if not name.endswith(" published")]:
        digits = 4 if rows[name].dtype == float else 0
        cells = [
            ["" if pd.isna(x) else x if isinstance(x, str) else f"{x:.{digits}f}" for x in rows[column]]
            for column in (name, f"{name} published")
            if column in rows
        ]
        text[name] = [
            " ".join([ours, *(f"({x})" for x in theirs if x)]) for ours, *theirs in zip(*cells, strict=True)
        ]
    return pd.DataFrame(text)
