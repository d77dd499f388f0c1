"""What the study lets a text say: its pairs after Holm, how far a number moves by itself, floor and ceiling.

Tables take the pairs from here and chapters all of it, so that no sentence about an effect is typed.
`Found` of each row by its name, as `tables.Study.every` gives them.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from metst_lib import inference
from metst_lib.experiment import estimates
from metst_lib.experiment.estimates import Difference, Found
from metst_lib.experiment.tables import reading
from metst_lib.study import rows
from metst_lib.study.rows import Pair

#: The measures that pairs are held against each other by.
MEASURES = {"F1 spot.": "spotting.f1", "F1 recog.": "recognition.f1", "STRS": "strs"}
#: A pair's difference of each of `metrics.MEASURES`.
Compared = dict[Pair, dict[str, Difference]]
_PLUS, _FLOOR = "me-tst-plus", ("chance", "blind-tiling", "perfect-scores", "leaked-subject")


def compared(found: Mapping[str, Found]) -> tuple[Compared, Compared]:
    """The differences of each pair whose rows share a replicate: as they are, and with p of `MEASURES` after
    Holm among these pairs."""
    plain = {
        pair: estimates.differences(found[pair.a], found[pair.b])
        for pair in rows.PAIRS
        if not lacking(found, pair)
    }
    after = {pair: dict(of) for pair, of in plain.items()}
    for measure in MEASURES.values():
        for pair, one in estimates.adjusted({pair: of[measure] for pair, of in plain.items()}).items():
            after[pair][measure] = one
    return plain, after


def lacking(found: Mapping[str, Found], pair: Pair) -> str:
    """What stands in place of a pair's numbers; "" where both rows share a replicate."""
    a, b = found[pair.a], found[pair.b]
    shared = set(a.scores) & set(b.scores)
    return a.lacking or b.lacking or ("" if shared else "no replicate in common")


def sentence(pair: Pair, after: Mapping[str, Difference]) -> str:
    """What may be said of a pair, with its difference of spotting F1 behind."""
    f1 = after["spotting.f1"]
    claim = f"{pair.claim[0].upper()}{pair.claim[1:]}"
    return f"{claim}: {reading(after)} (F1 spot. {f1}, p {f1.p:.3f} after Holm)."


def summary(after: Compared) -> str:
    """How many pairs differ in spotting F1, how many are shown to be alike, how wide the others are open."""
    kinds: dict[str, list[Difference]] = {"differ": [], "alike": [], "open": []}
    for one in (of["spotting.f1"] for of in after.values()):
        differs = one.words.startswith(("higher", "lower"))
        kinds["differ" if differs else "alike" if one.alike else "open"].append(one)
    differ, alike, others = kinds.values()
    wide = np.median([(one.high - one.low) / 2 for one in others]) if others else 0
    reach = f": their intervals reach {wide:.3f} to either side (median)" if others else ""
    return (
        f"Of {len(after)} pairs {len(differ)} differ in spotting F1 after Holm, {len(alike)} more are shown "
        f"to differ by no more than {_limit()}, and {len(others)} are open{reach}."
    )


def spotting(found: Found) -> inference.Interval:
    """Spotting F1 of a row and its interval; the row must have runs."""
    return inference.interval_of(found.nested, "spotting.f1", units=found.left_out)


def floor(found: Mapping[str, Found]) -> list[str]:
    """Sentences on how near to chance the trained rows lie, and what `inference.ALIKE` is worth there."""
    if absent := [found[row].title for row in (_PLUS, *_FLOOR) if found[row].lacking]:
        return [f"Floor and ceiling are not told: this edition has no {', no '.join(absent)}."]
    trained = {row: spotting(one).value for row, one in found.items() if _trained(row) and not one.lacking}
    low, best = (found[pick(trained, key=trained.__getitem__)].title for pick in (min, max))
    values = list(trained.values())
    chance, tiling, perfect, _ = (spotting(found[row]).value for row in _FLOOR)
    leak = estimates.differences(found["leaked-subject"], found[_PLUS])["spotting.f1"]
    share = (max(values) - chance) / (perfect - chance)
    return [
        f"Spotting F1 of the {len(values)} trained rows lies between {min(values):.3f} ({low}) and "
        f"{max(values):.3f} ({best}), that of ME-TST+ at {trained[_PLUS]:.3f}.",
        f"Chance gets {chance:.3f} and blind tiling {tiling:.3f}; of perfect scores the decoder makes "
        f"{perfect:.3f}. The best row has come {share:.0%} of the way from chance to there.",
        f"To have seen the test subjects in training is worth {leak} over ME-TST+: {leak.words}.",
        f"A difference of {_limit()} is {_worth(trained[_PLUS], chance)} of what ME-TST+ finds above chance, "
        f"and {_worth(max(values), chance)} for the best row: so much may still hide behind *no difference "
        f"larger than {_limit()}*.",
    ]


def spread(found: Mapping[str, Found]) -> pd.DataFrame:
    """How far spotting F1 moves by itself, of each row with several seeds: standard deviation from seed to
    seed of the same replicate, and from replicate to replicate (means over seeds); NaN of a single one."""
    lines = {}
    for one in found.values():
        values = np.array([[run.measure("spotting.f1") for run in seeds] for seeds in one.nested])
        if values.size and values.shape[1] > 1:
            seed = np.sqrt(values.var(axis=1, ddof=1).mean())
            replicate = values.mean(axis=1).std(ddof=1) if len(values) > 1 else np.nan
            lines[one.title] = (spotting(one).value, seed, replicate)
    return pd.DataFrame(lines, index=["F1 spot.", "from seed to seed", "from replicate to replicate"]).T


def _trained(row: str) -> bool:
    return not rows.ROWS[row].control and bool(rows.recipe(row).training)


def _worth(value: float, chance: float) -> str:
    return f"{inference.ALIKE / (value - chance):.0%}" if value > chance else "all"


def _limit() -> str:
    return f"{inference.ALIKE:.2f}".lstrip("0")
