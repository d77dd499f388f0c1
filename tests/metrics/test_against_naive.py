"""Metrics against a second, naive implementation."""

from fractions import Fraction

import numpy as np
import pytest
from naive import case, overlap, tally, uf1

from metst_lib.events import Event
from metst_lib.metrics import SCORERS, average_precision, chance, evaluate
from metst_lib.metrics.chance import shifts

CASES = 500


@pytest.mark.parametrize("kind", ["micro", "macro", "overall"])
def test_scores_are_those_of_the_naive_implementation(kind):
    doubles = 0
    for seed in range(CASES):
        predicted, truth, _ = case(seed, kind)
        for scorer in SCORERS:
            counts, called = tally(predicted, truth, scorer, kind)
            scores = evaluate(predicted, truth, scorer, kind)
            parts = {subject: part.spotting for subject, part in scores.by_subject.items()}
            assert {s: [c.tp, c.fp, c.fn] for s, c in parts.items()} == counts, (seed, scorer)
            assert scores.recognition.uf1 == pytest.approx(uf1(called, scorer)), (seed, scorer)
            tp, fp, fn = (sum(each) for each in zip(*counts.values(), strict=True)) if counts else (0, 0, 0)
            assert scores.spotting.f1 == pytest.approx(2 * tp / max(2 * tp + fp + fn, 1))
            doubles += tp > len({(m.video, m.prediction) for m in scores.matches})
    assert doubles > 20  # one prediction over two truths did occur


@pytest.mark.parametrize("kind", ["micro", "overall"])
def test_chance_is_the_naive_count_of_hits_after_each_shift(kind):
    chosen = 0
    for seed in range(CASES):
        predicted, truth, n_frames = case(seed, kind)
        found = chance(predicted, truth, n_frames, draws=2, seed=seed, kind=kind)
        hits = []
        for draw in range(2):
            moved = {}
            for key, shift in shifts(truth, n_frames, 2, seed).items():
                moved[key] = []
                for e in truth[key]:
                    last, onset = n_frames[key] - e.length, e.onset
                    for _ in range(shift[draw]):
                        onset = onset + 1 if onset < last else 0
                    moved[key].append(Event(onset, onset + e.length - 1, emotion=e.emotion, kind=e.kind))
            counts, _ = tally(predicted, moved, "strict", kind)
            hits.append(sum(tp for tp, *_ in counts.values()))
            pairs = [(p, t) for key in moved for p in predicted[key] for t in moved[key] if p.kind == t.kind]
            chosen += sum(overlap(p, t) * 2 >= 1 for p, t in pairs) > hits[-1]
        assert found.by_draw.tolist() == hits, seed
    assert chosen > 50  # predictions or truths with a choice did occur


def test_average_precision_is_the_naive_one():
    for seed in range(CASES):
        predicted, truth, _ = case(seed, "micro")
        rng = np.random.default_rng(seed)
        heights = rng.permutation(100) / 100  # no ties: they are a test of their own
        every = [(key, event) for key, events in predicted.items() for event in events]
        ranked = {key: [] for key in predicted}
        for (key, event), height in zip(every, heights, strict=False):
            ranked[key].append((event, float(height)))
        least = [Fraction(3, 10), Fraction(1, 2), Fraction(7, 10)][seed % 3]
        taken, hit = [], []
        for _, (key, event) in sorted(zip(heights, every, strict=False), key=lambda each: -each[0]):
            free = [j for j in range(len(truth[key])) if (key, j) not in taken]
            # Equally good truths: the earlier, then the shorter one.
            free.sort(
                key=lambda j: (-overlap(event, truth[key][j]), truth[key][j].onset, truth[key][j].offset)
            )
            hit.append(bool(free) and overlap(event, truth[key][free[0]]) >= least)
            taken += [(key, free[0])] if hit[-1] else []
        precision = [sum(hit[: m + 1]) / (m + 1) for m in range(len(hit))]
        n_true = sum(map(len, truth.values()))
        area = sum(max(precision[m:]) / n_true for m in range(len(hit)) if hit[m])
        assert average_precision(ranked, truth, float(least)) == pytest.approx(area), seed
