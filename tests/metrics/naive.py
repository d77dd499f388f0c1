"""A second, naive implementation of the metrics: frames as sets, fractions, one pair after the other."""

from fractions import Fraction

import numpy as np

from metst_lib.events import EMOTIONS, Event


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


def strs(called, counts):
    """Spotting F1 of pooled counts × the harmonic mean of macro precision and macro recall."""
    tp, fp, fn = (sum(each) for each in zip(*counts.values(), strict=True))
    right = [called.get((c, c), 0) for c in EMOTIONS[:3]]
    named = [
        sum(n for (true, name), n in called.items() if name == c and true != "others") for c in EMOTIONS[:3]
    ]
    real = [sum(n for (true, _), n in called.items() if true == c) for c in EMOTIONS[:3]]
    p, r = (sum(Fraction(a, b) for a, b in zip(right, of, strict=True) if b) / 3 for of in (named, real))
    return float(Fraction(2 * tp, max(2 * tp + fp + fn, 1)) * (2 * p * r / (p + r) if p + r else 0))
