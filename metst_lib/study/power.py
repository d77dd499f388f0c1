"""How many subjects, replicates and seeds it takes to see a difference in spotting F1, on drawn studies.

Designs: one data set whose subjects are left out one by one; replicates of the study (24 subjects, 6 groups)
with whole replicates left out, whose data suit both variants alike or do not (`World.apart`).
Studies are put together from a pool of drawn subjects or replicates.

Glossary: D drawn studies, K seeds, n units of a study, P units of the pool.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from metst_lib import inference
from metst_lib._files import write_text
from metst_lib.study import simulation

#: Differences in spotting F1 to be seen; 0 asks how often "alike" is shown.
DIFFERENCES = (0.0, 0.03, 0.05, 0.10)
SEEDS = (1, 2, 4)
#: A seen difference is what four studies of five are to show.
WANTED = 0.8
#: Subjects, or replicates, of a study.
SUBJECTS, REPLICATES = (8, 16, 24, 48, 94, 200, 400, 800), (2, 3, 5, 8, 12, 20, 40)
#: Per design: world, shape of what is drawn into the pool, how many of these make a study.
DESIGNS = {
    "one data set, each subject left out": (simulation.MANY, (1, 1, 1), SUBJECTS),
    "replicates of 24 subjects, alike for both": (simulation.STUDY, (1, 6, 4), REPLICATES),
    "replicates of 24 subjects, apart by .1": (replace(simulation.STUDY, apart=0.1), (1, 6, 4), REPLICATES),
}


def power(draws: int = 5000, seed: int = 0, jobs: int = 1) -> pd.DataFrame:
    """Per design, difference, number of seeds and of subjects: `seen`, the share of studies whose interval of
    the difference leaves 0 out, and `alike`, of those that show it to be within .02.

    ValueError for fewer than 100 draws.
    """
    simulation.enough(draws)
    work = [(design, d, draws, [seed, 1000 + i]) for i, (design, d) in enumerate(_plan())]
    return pd.DataFrame([row for rows in simulation.spread(_seen, work, jobs) for row in rows])


def _plan() -> list[tuple[str, float]]:
    return [(design, difference) for design in DESIGNS for difference in DIFFERENCES]


def _seen(design: str, difference: float, draws: int, seed: list[int]) -> list[dict]:
    rng = np.random.default_rng(seed)
    world, shape, sizes = DESIGNS[design]
    each, better = int(np.prod(shape)), simulation.lift(world, difference)
    pool = simulation.draw(world, rng, (max(draws, 40 * max(sizes)), *shape), max(SEEDS), better, named=False)
    pool = pool.sum(axis=(3, 4, 5)).astype(float)  # (2, K, P, 3)
    rows = []
    for n in sizes:
        for seeds in SEEDS:
            seen = alike = 0
            for start in range(0, draws, simulation.CHUNK):
                picked = rng.integers(pool.shape[2], size=(min(simulation.CHUNK, draws - start), n))
                a, b = pool[:, :seeds, picked]
                _, low, high, _, less, more = inference.contrast(a, b, "spotting.f1", 0.95, np.zeros((1, n)))
                seen += int(((low > 0) | (high < 0)).sum())
                alike += int(((less > -inference.ALIKE) & (more < inference.ALIKE)).sum())
            rows.append(
                {
                    "design": design,
                    "difference": difference,
                    "seeds": seeds,
                    "subjects": n * each,
                    "units": n,
                    "seen": seen / draws,
                    "alike": alike / draws,
                }
            )
    return rows


def needed(found: pd.DataFrame) -> pd.DataFrame:
    """Subjects that it takes for four studies of five: to see each difference, and to show that two variants
    alike are within .02 (difference 0); on the line between measured sizes, "> n" beyond them."""
    rows = []
    for (design, difference), of in found.groupby(["design", "difference"], sort=False):
        row = {"design": design, "to show": f"{difference:.2f}" if difference else "alike within .02"}
        for seeds, line in of.groupby("seeds"):
            share = line["seen" if difference else "alike"].to_numpy()
            row[f"{seeds} seed{'s' * (seeds > 1)}"] = _reached(line["subjects"].to_numpy(), share)
        rows.append(row)
    return pd.DataFrame(rows)


def _reached(subjects: np.ndarray, share: np.ndarray) -> str:
    """Where the share first reaches `WANTED`, on the logarithm of the subjects."""
    if share[0] >= WANTED:
        return f"<= {subjects[0]}"
    if not (share >= WANTED).any():
        return f"> {subjects[-1]}"
    k = int(np.argmax(share >= WANTED))
    at = (WANTED - share[k - 1]) / (share[k] - share[k - 1])
    return f"{subjects[k - 1] * (subjects[k] / subjects[k - 1]) ** at:.0f}"


def write(folder: Path, covered: pd.DataFrame, found: pd.DataFrame, draws: int, seed: int) -> list[Path]:
    """Both tables as CSV, and what to read of them as Markdown; returns the paths."""
    shown = covered.drop(columns=["width", "difference_width", "true"]).to_markdown(
        index=False, floatfmt=".3f"
    )
    text = f"""# What intervals hold and what can be seen, on synthetic counts

`metst study simulate --draws {draws} --seed {seed}`: so many drawn studies a row. held: share of 95 %
intervals that hold the true value; difference_held: that of the difference of two variants; differ, differ_p:
share of studies in which the two differ by the interval, by p ≤ .05; alike: share that shows them to be
within .02. apart: how much better one data set suits one variant (logit); hits: scored ones in a study.

{shown}

## Subjects that it takes for four studies of five

{needed(found).to_markdown(index=False, disable_numparse=True)}
"""
    return [
        write_text(folder / "inference_coverage.csv", covered.round(4).to_csv(index=False)),
        write_text(folder / "inference_coverage.md", text),
        write_text(folder / "inference_power.csv", found.round(4).to_csv(index=False)),
    ]
