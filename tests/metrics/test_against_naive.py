"""Metrics against a second, naive implementation: frames as sets, fractions, one pair after the other."""

from fractions import Fraction

import numpy as np
import pytest

from metst_lib.events import EMOTIONS, Event
from metst_lib.metrics import SCORERS, average_precision, chance, evaluate
from metst_lib.metrics.chance import shifts

CASES = 500


def case(seed, kind):
    """Up to three subjects with up to two videos; few frames, so that overlaps, ties and doubles abound."""
    rng = np.random.default_rng(seed)
    kinds = ["micro", "macro"] if kind == "overall" else [kind]

    def events(frames, most):
        found = []
        for _ in range(rng.integers(0, most + 1)):
            onset = int(rng.integers(0, frames))
            offset = min(frames - 1, onset + int(rng.integers(0, 9)))
            emotion = [*EMOTIONS, None][rng.integers(5)]
            found.append(Event(onset, offset, emotion=emotion, kind=kinds[rng.integers(len(kinds))]))
        return found

    n_frames = {(f"s{s}", v): int(rng.integers(9, 40)) for s in range(rng.integers(1, 4)) for v in "ab"}
    n_frames = {key: frames for key, frames in n_frames.items() if rng.random() < 0.8}
    truth = {key: events(frames, 4) for key, frames in n_frames.items()}
    # Some predictions are a truth itself, or one frame beside it.
    predicted = {key: events(frames, 3) for key, frames in n_frames.items()}
    for key, frames in n_frames.items():
        for true in truth[key]:
            if rng.random() < 0.5 and true.offset + 1 < frames:
                late = int(rng.integers(0, 2))
                predicted[key].append(
                    Event(true.onset + late, true.offset + late, emotion=true.emotion, kind=true.kind)
                )
    return predicted, truth, n_frames


def frames_of(event):
    return set(range(event.onset, event.offset + 1))


def overlap(a, b):
    return Fraction(len(frames_of(a) & frames_of(b)), len(frames_of(a) | frames_of(b)))


def order(p, t):
    """Which of two equally good pairs comes first: earlier, then shorter, then by emotion."""
    times = [f(p.onset, t.onset) for f in (min, max)] + [f(p.offset, t.offset) for f in (min, max)]
    return [*times, p.emotion or "", t.emotion or ""]


def strict(predicted, truth):
    left, right, pairs = list(range(len(predicted))), list(range(len(truth))), []
    while True:
        good = [(i, j) for i in left for j in right if overlap(predicted[i], truth[j]) * 2 >= 1]
        if not good:
            return pairs
        best = max(overlap(predicted[i], truth[j]) for i, j in good)
        equal = [(i, j) for i, j in good if overlap(predicted[i], truth[j]) == best]
        pairs.append(min(equal, key=lambda ij: (order(predicted[ij[0]], truth[ij[1]]), ij)))
        left.remove(pairs[-1][0])
        right.remove(pairs[-1][1])


def by_time(events):
    return [i for _, _, i in sorted((e.onset, e.offset, i) for i, e in enumerate(events))]


def released(predicted, truth):
    pairs = []
    for i in by_time(predicted):
        overlaps = [overlap(predicted[i], true) for true in truth]
        if overlaps and max(overlaps) * 2 >= 1:
            last = max(j for j, each in enumerate(overlaps) if each == max(overlaps))
            if last not in [j for _, j in pairs]:
                pairs.append((i, last))
    return pairs


def megc2024(predicted, truth):
    pairs = []
    for i in by_time(predicted):
        for j in by_time(truth):
            if overlap(predicted[i], truth[j]) * 2 >= 1 and j not in [taken for _, taken in pairs]:
                pairs.append((i, j))
    return pairs


def tally(predicted, truth, scorer, kind):
    """TP, FP, FN of every subject, and how often which true emotion was called what."""
    counts = {key[0]: [0, 0, 0] for key in truth}
    called = {}
    for one in ["micro", "macro"] if kind == "overall" else [kind]:
        for key in truth:
            p = [e for e in predicted[key] if e.kind == one]
            t = [e for e in truth[key] if e.kind == one]
            if scorer == "megc2024":
                spoke = any(e.kind == one for k in predicted if k[0] == key[0] for e in predicted[k])
                if not t or not spoke:
                    continue
            pairs = {"strict": strict, "released": released, "megc2024": megc2024}[scorer](p, t)
            counts[key[0]][0] += len(pairs)
            counts[key[0]][1] += len(p) - len({i for i, _ in pairs})
            counts[key[0]][2] += len(t) - len({j for _, j in pairs})
            for i, j in pairs:
                if t[j].emotion:
                    called[t[j].emotion, p[i].emotion] = called.get((t[j].emotion, p[i].emotion), 0) + 1
    return counts, called


def uf1(called, scorer):
    """The mean of three F1 scores, from pairs of true and named classes; "released": of those that occur."""
    total, occur = Fraction(0), 0
    for c in EMOTIONS[:3]:
        tp = called.get((c, c), 0)
        fp = sum(n for (true, name), n in called.items() if name == c and true not in (c, "others"))
        fn = sum(n for (true, name), n in called.items() if true == c and name != c)
        total += Fraction(2 * tp, 2 * tp + fp + fn) if tp + fp + fn else 0
        occur += tp + fp + fn > 0 or scorer != "released"
    return float(total / max(occur, 1))


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
