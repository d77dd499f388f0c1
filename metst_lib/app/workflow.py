"""Start the workflow (`metst workflow`): Snakemake on the Snakefile here, one run in a folder at a time.

Snakemake looks at the times of files; whether what is there still holds is asked of `plan`, and what does not
is forced. Snakemake's own lock outlives a run that was killed and has to be lifted by hand. Ours is the
kernel's: it ends with the process, however that ends, and the same command goes on.
"""

import argparse
import inspect
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from metst_lib.experiment import plan

#: Rerun what a killed job left; of Snakemake's own words those that say what runs and what failed.
ALWAYS = "--rerun-triggers mtime --quiet rules host reason --nolock --rerun-incomplete".split()


def run(arguments: Sequence[str]) -> None:
    """Run Snakemake with these arguments in this process, and end as it ends (SystemExit).

    ValueError where another run is at work in this folder, and where a cluster is asked for that is not here.
    """
    from snakemake.cli import main

    asked = _asked(arguments)
    profile = Path(asked.profile) / "config.yaml"
    in_profile = profile.is_file() and "\nexecutor: slurm\n" in profile.read_text(encoding="utf-8")
    if (in_profile or asked.executor == "slurm") and not shutil.which("sbatch"):
        raise ValueError("SLURM is wanted, and this machine has none (no sbatch): start it on the login node")
    settings = dict(setting.split("=", 1) for setting in asked.config if "=" in setting)
    known = list(inspect.signature(plan.workflow).parameters)
    if asked.configfile or not settings.keys() <= set(known):
        raise ValueError(f"settings are given as --config name=value; there are {', '.join(known)}")
    stale = sorted(plan.stale(plan.workflow(**settings)))
    command = [*(["--forcerun", *stale] if stale else []), *ALWAYS, *arguments]
    if any(re.fullmatch("--dry-?run|-[npqFk]*n[npqFk]*", argument) for argument in arguments):
        main(command)
    Path(".snakemake").mkdir(exist_ok=True)
    try:
        with FileLock(".snakemake/metst.lock", timeout=0):
            main(command)
    except Timeout:
        raise ValueError(f"another run is at work in {Path.cwd()}: wait for it, or stop it first") from None


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    """What has to be known here of Snakemake's arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-C", nargs="+", action="extend", default=[])
    parser.add_argument("--executor", "-e", default="")
    parser.add_argument("--profile", default="-")
    parser.add_argument("--configfile", "--configfiles", nargs="+")
    return parser.parse_known_args(arguments)[0]
