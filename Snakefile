# data set × variant × seed × fold → tables, figures, executed notebooks, an index page.
#
#   snakemake --cores all                                        the synthetic demonstration
#   snakemake --cores all --config dataset=casme3 seeds=3        a real data set
#   snakemake --cores all folds                                  only what is fitted, nothing drawn
#
# Settings (--config name=value): dataset, preset, seeds (how many), variants (with commas), folds_per_job,
# root (the folder with data/ and figures/; default: this checkout).
#
# An executed notebook is its rule's log: of a failed job Snakemake deletes the outputs and keeps the log, so
# that the notebook with the traceback stays. A job fits `folds_per_job` folds of one variant and seed; when
# it runs again it skips those that are finished, which is why its outputs are marked as updated in place.

import shutil
import sys
from pathlib import Path

from snakemake.logging import logger

from metst_lib import _files, devices, experiment, progress, synthetic, trained

# Snakemake's lock outlives a run that was killed. Ours does not: who gets it knows that nothing runs here, and
# that the lock which may lie there is a dead run's.
if workflow.is_main_process and not {"-n", "--dry-run", "--dryrun"} & set(sys.argv):
    ALONE = _files.hold(".snakemake/running")
    for dead in Path(".snakemake/locks").glob("*.lock") if ALONE else ():
        dead.unlink()

# A cluster that is not here: said before anything starts, not by every job
ASKED = dict(zip(sys.argv, sys.argv[1:]))
PROFILE = Path(ASKED.get("--profile", "-")) / "config.yaml"
SLURM = ASKED.get("--executor") == "slurm" or (PROFILE.is_file() and "\nexecutor: slurm\n" in PROFILE.read_text())
if SLURM and not shutil.which("sbatch"):
    sys.exit("The profile wants SLURM, and this machine has none (no sbatch). Start it on the cluster's login node.")

DATASET = config.get("dataset", "synthetic")
PRESET = config.get("preset", "")
SEEDS = range(int(config.get("seeds", 1)))
VARIANTS = str(config.get("variants", ",".join(experiment.VARIANTS))).split(",")
ROOT = str(experiment.home(config.get("root", "")))

EDITION = experiment.configure(DATASET, preset=PRESET, root=ROOT)
RENDERED = EDITION.data / "synthetic" / "complete.json"
SOURCE = [RENDERED] if EDITION.dataset == "synthetic" else []
RUNS = EDITION.data / "runs" / EDITION.edition
FIGURES = EDITION.figures
WANTS = {  # a chapter is executed where the variants that it shows are asked for
    "01_data_exploration": [],
    "02_flow_extraction": ["me-tst", "me-tst-plus"],
    "03_me_tst": ["me-tst"],
    "04_me_tst_plus": ["me-tst", "me-tst-plus"],
    "05_synergy_ablations": ["me-tst", "me-tst-plus"],
    "06_visualization": ["me-tst", "me-tst-plus"],
    "07_your_own_video": [trained.DEMONSTRATION],
}
CHAPTERS = [chapter for chapter, wanted in WANTS.items() if set(wanted) <= set(VARIANTS)]
if EDITION.rehearsal:  # signals have no frames to show
    CHAPTERS = [chapter for chapter in CHAPTERS if chapter[:2] in ("03", "04", "05")]
if EDITION.dataset != "synthetic":  # a video of one's own is no part of a data set
    CHAPTERS = [chapter for chapter in CHAPTERS if chapter[:2] != "07"]
TABLES = ["table1_spotting_f1", "table2_recognition", "table3_analysis", "table4_result_synergy",
          "table5_ablation", "table5_differences"]
DRAWN = ["fig1_state_transition", "fig2_window_against_video", "fig3_architecture", "fig4_result_synergy",
         "fig5_confusion", "fig6_one_video", "fig7_two_variants", "fig8_key_regions"]

if EDITION.dataset == "synthetic" and not RENDERED.exists():  # who is in it is known before it is rendered
    FOLDS = list(dict.fromkeys(p.subject for p in synthetic.plan()))
else:
    FOLDS = experiment.folds(EDITION)
PER_JOB = int(config.get("folds_per_job", len(FOLDS) if EDITION.dataset == "synthetic" else 1))
JOBS = [FOLDS[start : start + PER_JOB] for start in range(0, len(FOLDS), PER_JOB)]


def run_of(variant, seed=0):
    return experiment.configure(DATASET, variant, seed, PRESET, ROOT)


def metrics(run, subjects=FOLDS):
    return [experiment.fold_folder(run, subject) / "metrics.json" for subject in subjects]


def job_name(run, number):
    return f"{run.variant}_seed{run.seed}_job{number}"


def chapter_of(run):
    return "04_me_tst_plus" if run.what.network == "METSTPlus" else "03_me_tst"


def flows_of(run):
    """The flow that a run's chapter reads: notebook 04 compares both sets of regions."""
    both = [run_of("me-tst"), run_of("me-tst-plus")] if chapter_of(run) == "04_me_tst_plus" else []
    return sorted({each.flow_folder / "complete.json" for each in (run, *both)})


def parameters(subjects, run=None):
    """What a notebook is told on the command line."""
    values = {"dataset": DATASET, "preset": EDITION.preset, "root": ROOT, "subject": subjects}
    if run is not None:
        values |= {"variant": run.variant, "seed": run.seed}
    return " ".join(f"-p {name} '{value}'" for name, value in values.items())


# trained on all subjects, for videos of one's own
MODEL = [trained.path_of(run_of(trained.DEMONSTRATION))] if "07_your_own_video" in CHAPTERS else []

# What a job takes: MB, minutes, and one of the cards that are here, if any (a profile may ask for one elsewhere).
# A full-size fold of CAS(ME)³ peaked at 5 GB, one of the demonstration at 0.75 GB.
SMALL = EDITION.dataset == "synthetic"
MEMORY, MINUTES = (2000, 120) if SMALL else (8000, 1440)
CARD = {"gpu": 1} if devices.seen() else {}
CORES = workflow.resource_settings.cores or 8  # of a step that takes all; a cluster has no "all"


def doubled(amount):
    """An amount, twice as much when the job is tried again."""
    return lambda wildcards, attempt: amount * attempt


ON_CARD = f"{sys.executable} -m metst_lib.devices"  # pins what follows to a free card
NOTEBOOK = f"{sys.executable} -m metst_lib.notebook"
METST = f"{sys.executable} -m metst_lib.cli"
OPTIONS = f"--root '{ROOT}'" + (f" --preset {PRESET}" if PRESET else "")
EVERY_RUN = [run_of(variant, seed) for variant in VARIANTS for seed in SEEDS]
EVERY_FOLD = [path for run in EVERY_RUN for path in metrics(run)]
READ = {path for run in EVERY_RUN for path in flows_of(run)}
BY_REGIONS = {name: run_of(name).flow_folder / "complete.json" for name in ("me-tst", "me-tst-plus")}
FLOWS = {name: path for name, path in BY_REGIONS.items() if path in READ}


if workflow.is_main_process:  # one line on a terminal: folds done, running, failed, and the time left
    progress.attach(logger, {
        job_name(run, number): len(subjects) for run in EVERY_RUN for number, subjects in enumerate(JOBS)
    })


rule all:
    default_target: True
    input:
        RUNS / "index.html",
        EVERY_FOLD,  # named here, or a fold that is lost would not be missed as long as the page is there
        MODEL,


rule folds:
    input:
        EVERY_FOLD,


rule render:
    output:
        RENDERED,
    threads: CORES
    resources:
        mem_mb=doubled(4000),
        runtime=doubled(240),
        gpu=0,
    shell:
        f"{METST} data synth --root '{ROOT}' --jobs {{threads}}"


rule flow:
    input:
        SOURCE,
    output:
        [update(path) for path in FLOWS.values()],  # a set that is there is kept when another is wanted
    params:
        variants=" ".join(f"--variant {variant}" for variant in FLOWS),
    threads: CORES
    resources:
        mem_mb=doubled(4000),
        runtime=doubled(240),
        gpu=0,
    priority: 10  # before any fold: it wants all cores, and would keep one idle until the others are free
    shell:
        f"{METST} flow {DATASET} {{params.variants}} {OPTIONS} --jobs {{threads}}"


# In this loop everything that differs stands in params: a shell command is put together only when it runs.

for run in EVERY_RUN:
    for number, subjects in enumerate(JOBS):

        rule:
            name:
                job_name(run, number)
            input:
                flows_of(run),
                metrics(run.trained, subjects) if run.trained != run else [],
                ancient(f"notebooks/{chapter_of(run)}.ipynb"),  # its prose may change without a new training
            output:
                [update(path) for path in metrics(run, subjects)],
            log:
                run.run_folder / f"job{number}.ipynb",
            params:
                notebook=chapter_of(run),
                values=parameters(",".join(subjects), run),
                settings=run.to_dict(),  # a changed setting runs this variant again and no other
            resources:
                mem_mb=doubled(MEMORY),
                runtime=doubled(MINUTES),
                **CARD,
            shell:
                f"{ON_CARD} {NOTEBOOK} notebooks/{{params.notebook}}.ipynb {{log:q}} {{params.values}}"


rule model:
    input:
        flows_of(run_of(trained.DEMONSTRATION)),
    output:
        MODEL,
    params:
        settings=run_of(trained.DEMONSTRATION).to_dict(),
    resources:
        mem_mb=doubled(MEMORY),
        runtime=doubled(MINUTES),
        **CARD,
    shell:
        f"{ON_CARD} {METST} train {DATASET} {trained.DEMONSTRATION} {OPTIONS}"


NEEDS = {"01_data_exploration": SOURCE, "02_flow_extraction": flows_of(run_of("me-tst-plus")),
         "07_your_own_video": MODEL}
DRAWS = {"06_visualization": [FIGURES / f"{name}.{kind}" for name in DRAWN for kind in ("png", "pdf")]}

for chapter in CHAPTERS:

    rule:
        name:
            f"chapter_{chapter[:2]}"
        input:
            NEEDS.get(chapter, EVERY_FOLD),
            f"notebooks/{chapter}.ipynb",
        output:
            DRAWS.get(chapter, []),
            page=RUNS / "notebooks" / f"{chapter}.html",
        log:
            RUNS / "notebooks" / f"{chapter}.ipynb",
        params:
            notebook=chapter,
            values=parameters(FOLDS[0]),
        resources:
            mem_mb=doubled(8000),
            runtime=doubled(120),
            gpu=0,
        shell:
            f"{NOTEBOOK} notebooks/{{params.notebook}}.ipynb {{log:q}} {{params.values}} --html {{output.page:q}}"


rule tables:
    input:
        EVERY_FOLD,
    output:
        [FIGURES / f"{name}.{kind}" for name in TABLES for kind in ("md", "csv", "tex")],
    resources:
        mem_mb=doubled(4000),
        runtime=doubled(60),
        gpu=0,
    shell:
        f"{METST} tables {DATASET} {OPTIONS} --seeds {len(SEEDS)}"


rule index:
    input:
        rules.tables.output,
        [path for chapter in CHAPTERS for path in DRAWS.get(chapter, [])],
        pages=[RUNS / "notebooks" / f"{chapter}.html" for chapter in CHAPTERS],
    output:
        RUNS / "index.html",
    resources:
        mem_mb=doubled(4000),
        runtime=doubled(60),
        gpu=0,
    shell:
        f"{METST} index {DATASET} {{input.pages:q}} {OPTIONS}"
