"""The learning rate of each trained row: one small grid for all, on replicate 0, which is never counted.

A row is trained on four groups of subjects and spots in the other two, twice; the rate with the highest F1,
all videos of both pooled, is kept, of equally good ones the lower. Rows that differ in decoding alone share
it.
"""

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from metst_lib import fold, metrics
from metst_lib._files import write_text
from metst_lib.study import rows
from metst_lib.synthetic import replicates
from metst_lib.synthetic.difficulty import difficulty

GRID = (1e-3, 3e-3, 1e-2)
#: Groups of subjects, counted from 0, that validate together; the others train.
VALIDATING = ((0, 1), (4, 5))


def f1(row: str, rate: float) -> float:
    """Spotting F1 of a row trained at this rate on replicate 0; 0 where its training diverges."""
    replicate, made, counts = replicates.replicate(0), rows.recipe(row, lr=rate), metrics.Counts()
    flow = replicate.flow(made.roi_set)
    for groups in VALIDATING:
        out = [subject for group in groups for subject in replicate.groups[group]]
        try:
            counts += fold.fold(flow, replicate.truth, out, made).scores.spotting
        except FloatingPointError:
            return 0.0
    return counts.f1


def grid(of: Iterable[str] = rows.ROWS, jobs: int = 1) -> pd.DataFrame:
    """What each rate gave each of these rows: row, rate, f1, chosen, and the difficulty's key.

    jobs: processes of one thread each.
    """
    trained = dict.fromkeys(like for row in of if (like := rows.fits_like(row)))
    cells = list(product(trained, GRID))
    bar = partial(tqdm, total=len(cells), desc="learning rates", disable=None)
    if jobs == 1:
        found = [f1(*cell) for cell in bar(cells)]
    else:
        way = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, way, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(bar(pool.map(f1, *zip(*cells, strict=True))))
    return chosen(cells, found).assign(difficulty=difficulty().key)


def chosen(cells: Sequence[tuple[str, float]], found: Sequence[float]) -> pd.DataFrame:
    """The grid as a table, with the best rate of each row marked: the lower of equally good ones."""
    table = pd.DataFrame(cells, columns=["row", "rate"]).assign(f1=found)
    best = table.sort_values(["f1", "rate"], ascending=[False, True]).drop_duplicates("row").index
    return table.assign(chosen=table.index.isin(best))


def write(table: pd.DataFrame, path: Path = rows.RATES) -> Path:
    """Keep the grid where `rows` reads it."""
    return write_text(path, table.to_csv(index=False, float_format="%.4g"))
