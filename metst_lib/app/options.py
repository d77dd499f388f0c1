"""What the commands of `metst` share: options, arguments, tables on a terminal, errors in one line."""

from typing import Any

import click
import pandas as pd
from tabulate import tabulate


class Plain(click.Group):
    """Bad input ends in one line that says what is wrong, not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):  # RuntimeErrors too: --help ends by one
            raise
        except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
            raise click.ClickException(str(error)) from error


def print_table(table: pd.DataFrame) -> None:
    """A table for a terminal, long cells wrapped."""
    shown = table.astype(object).where(table.notna(), "").replace({True: "yes", False: "NO"}).astype(str)
    click.echo(tabulate(shown, headers="keys", tablefmt="simple_grid", showindex=False, maxcolwidths=44))


dataset_argument = click.argument("dataset")
root_option = click.option("--root", default="", help="The compendium's folder; default: this checkout.")
seeds_option = click.option("--seeds", default=1, type=click.IntRange(1), help="Seeds 0 … n − 1.")
threads_option = click.option("--jobs", default=2, type=click.IntRange(1), help="Threads over windows.")
landmarks_option = click.option(
    "--landmarks", default="", help="dlib's predictor file, or a folder of landmark files."
)


def experiment_options(command: Any) -> Any:
    """--preset, --root and --landmarks, as `experiment.configure` takes them."""
    preset = click.option("--preset", default="", help="Settings; default: the data set's own.")
    return preset(root_option(landmarks_option(command)))
