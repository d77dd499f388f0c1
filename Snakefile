# data set × variant × seed × fold → tables, figures, executed notebooks, an index page.
#
#   metst workflow --cores all                                        the synthetic demonstration
#   metst workflow --cores all --config dataset=casme3 seeds=3        a real data set
#   metst workflow --cores all folds                                  only what is fitted, nothing drawn
#
# Settings (--config name=value): dataset, preset, seeds (how many), variants (with commas), folds_per_job,
# root (the folder with data/ and figures/; default: this checkout).
#
# What holds is decided by `plan`, not by the times of files: `metst workflow` forces the rules whose
# files are there but stale. A job that runs again skips the folds that hold, which is why its
# outputs are marked as updated in place. An executed notebook is its rule's log: of a failed job Snakemake deletes the
# outputs and keeps the log, so that the notebook with the traceback stays.

import shlex
import sys

from snakemake.logging import logger

from metst_lib.app import devices, progress
from metst_lib.experiment import plan

PLAN = plan.workflow(**config)
DATASET, ROOT = PLAN.edition.dataset, PLAN.edition.places.root
OPTIONS = shlex.join(["--root", str(ROOT), "--preset", PLAN.edition.preset])
METST = f"{sys.executable} -m metst_lib.app.cli"
NOTEBOOK = f"{sys.executable} -m metst_lib.app.notebook"
ON_CARD = f"{sys.executable} -m metst_lib.app.devices"  # pins what follows to a free card
CARD = {"gpu": 1} if devices.seen() else {}
CORES = workflow.resource_settings.cores or 8  # of a step that takes all; a cluster has no "all"
# MB and minutes of a job: a full-size fold of CAS(ME)³ peaked at 5 GB, one of the demonstration at 0.75 GB
MEMORY, MINUTES = (2000, 120) if PLAN.rendered else (8000, 1440)


def doubled(amount):
    """An amount, twice as much when the job is tried again."""
    return lambda wildcards, attempt: amount * attempt


def taking(memory, minutes, **more):
    """What a step takes: MB, minutes, and a card where it asks for one."""
    return {"mem_mb": doubled(memory), "runtime": doubled(minutes), "gpu": 0} | more


def parameters(subjects, **run):
    """What a notebook is told on the command line."""
    values = {"dataset": DATASET, "preset": PLAN.edition.preset, "root": ROOT, "subject": ",".join(subjects)}
    return shlex.join(word for name, value in (values | run).items() for word in ("-p", name, str(value)))


if workflow.is_main_process:  # one line on a terminal
    progress.attach(logger, {job.name: len(job.subjects) for job in PLAN.jobs})


rule all:
    default_target: True
    input:
        PLAN.index,
        PLAN.metrics,  # named here, or a fold that is lost would not be missed as long as the page is there
        PLAN.model,


rule folds:
    input:
        PLAN.metrics,


if PLAN.rendered:

    rule render:
        output:
            PLAN.rendered,
        threads: CORES
        resources:
            **taking(4000, 240),
        shell:
            f"{METST} data synth {shlex.join(['--root', str(ROOT)])} --jobs {{threads}}"


if PLAN.to_extract:

    rule flow:
        input:
            ancient(PLAN.sources),
        output:
            [update(path) for path in PLAN.to_extract.values()],
        params:
            variants=" ".join(f"--variant {variant}" for variant in PLAN.to_extract),
        threads: CORES
        resources:
            **taking(4000, 240),
        priority: 10  # before any fold: it wants all cores, and would keep one idle until the others are free
        shell:
            f"{METST} flow {DATASET} {{params.variants}} {OPTIONS} --jobs {{threads}}"


# In this loop everything that differs stands in params: a shell command is put together only when it runs.

for job in PLAN.jobs:

    rule:
        name:
            job.name
        input:
            job.flow,
            job.needs,
            ancient(f"notebooks/{job.chapter}.ipynb"),
        output:
            [update(path) for path in job.metrics],
        log:
            job.log,
        params:
            notebook=job.chapter,
            values=parameters(job.subjects, variant=job.config.variant, seed=job.config.seed),
        resources:
            **taking(MEMORY, MINUTES, **CARD),
        shell:
            f"{ON_CARD} {NOTEBOOK} notebooks/{{params.notebook}}.ipynb {{log:q}} {{params.values}}"


if PLAN.model:

    rule model:
        input:
            PLAN.flow.values(),
            PLAN.labels,
        output:
            PLAN.model,
        resources:
            **taking(MEMORY, MINUTES, **CARD),
        shell:
            f"{ON_CARD} {METST} train {DATASET} {PLAN.model[0].stem} {OPTIONS}"


NEEDS = {"01": PLAN.labels, "02": PLAN.flow.values(), "07": PLAN.model}

for chapter in PLAN.pages:

    rule:
        name:
            f"chapter_{chapter[:2]}"
        input:
            NEEDS.get(chapter[:2], PLAN.metrics),
            f"notebooks/{chapter}.ipynb",
        output:
            PLAN.drawn[chapter],
            page=PLAN.pages[chapter],
        log:
            PLAN.logs[chapter],
        params:
            notebook=chapter,
            values=parameters(PLAN.folds[:1]),
        resources:
            **taking(8000, 120),
        shell:
            f"{NOTEBOOK} notebooks/{{params.notebook}}.ipynb {{log:q}} {{params.values}} --html {{output.page:q}}"


rule tables:
    input:
        PLAN.metrics,
    output:
        PLAN.tables,
    resources:
        **taking(4000, 60),
    shell:
        f"{METST} tables {DATASET} {OPTIONS} --seeds {PLAN.seeds} --variants {PLAN.variants}"


rule index:
    input:
        PLAN.tables,
        [path for drawn in PLAN.drawn.values() for path in drawn],
        pages=PLAN.pages.values(),
    output:
        PLAN.index,
    resources:
        **taking(4000, 60),
    shell:
        f"{METST} index {DATASET} {{input.pages:q}} {OPTIONS}"
