"""Scripts of the study set, second edition: as long, as sparse and as crowded with other motion as real
tables are (paper, Sec. IV-A). What decides is `difficulty`.

Micro-expressions lie on, beside and away from macro-expressions, never on each other; blinks, talking and
chewing mouths ("talk"), lids that follow the eyes ("gaze"), nods and turns of the head, changes of the light
and landmarks that wander come as they come. Classes share Action Units, as the tables' do. As in `script`,
the same arguments give the same script on every machine, and what is drawn for one purpose changes nothing
of the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from metst_lib.events import EMOTIONS, Key
from metst_lib.synthetic import script
from metst_lib.synthetic.bumps import ACTION_UNITS
from metst_lib.synthetic.difficulty import Difficulty, difficulty
from metst_lib.synthetic.draws import Draws
from metst_lib.synthetic.script import Action, Change, Habit, Recipe, Script, Wave

#: Third of the casts of `script.CASTS`.
CAST = 2
#: Quantiles that the difficulty's tables of seven numbers give.
LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
#: Seconds: the least pause between two micro-expressions; how near to a macro-expression is "beside" it, and
#: how near to another micro-expression is "together".
PAUSE, BESIDE, TOGETHER = 0.3, 0.5, 1.0
#: Macro-expressions fill no more of a video than this.
_FULL = 0.5
_WORDS = {"negative": "disgust", "positive": "happy", "surprise": "surprise", "others": "others"}
_MOUTH = ((26,), (26,), (24,), (20,), (20, 26))
_LIDS = ((5,), (7,), (5, 7))


@dataclass(frozen=True)
class Slot:
    """One video of the set: its subject and number from 0, its length, how many expressions it holds."""

    subject: int
    video: int
    seconds: float
    n_micro: int
    n_macro: int

    @property
    def key(self) -> Key:
        """(subject, video)."""
        return f"s{self.subject + 1:02d}", "abcdefghijklmnopqrstuvwxyz"[self.video]


def write_scripts(number: int, what: Difficulty | None = None) -> dict[Key, Script]:
    """All scripts of a replicate, by (subject, video)."""
    what = what or difficulty()
    return {slot.key: write_script(number, slot, what) for slot in plan(number, what)}


def plan(number: int, what: Difficulty) -> list[Slot]:
    """The replicate's videos: lengths that make up its minutes, expressions dealt out to them."""
    draws = Draws(number, CAST)
    who = [(s, v) for s in range(what.subjects) for v in range(what.videos)]
    lively = [draws.between(*what.liveliness) for _ in range(what.subjects)]
    lengths = [quantile(draws, what.lengths, (0.0, 0.25, 0.5, 0.75, 1.0)) for _ in who]
    seconds = [round(60 * what.minutes * length / sum(lengths), 2) for length in lengths]
    shares = [s * lively[subject] for s, (subject, _) in zip(seconds, who, strict=True)]
    n_with = len(who) - round(what.without_me * len(who))
    with_me = sorted(draws.shuffled(range(len(who)))[:n_with])
    n_micro, n_macro = [0] * len(who), [0] * len(who)
    for i in with_me:
        n_micro[i] = 1
    for _ in range(round(what.me_per_minute * what.minutes) - n_with):
        room = [i for i in with_me if n_micro[i] < seconds[i] / 2.5]
        if room:
            n_micro[pick(draws, room, [shares[i] for i in room])] += 1
    for _ in range(round(what.macro_per_minute * what.minutes)):
        n_macro[pick(draws, range(len(who)), shares)] += 1
    return [Slot(*w, *rest) for w, *rest in zip(who, seconds, n_micro, n_macro, strict=True)]


def write_script(number: int, slot: Slot, what: Difficulty) -> Script:
    """The script of one video of a replicate."""
    subject, key = (number, CAST, slot.subject), (number, CAST, slot.subject, 1 + slot.video)
    n_frames = int(slot.seconds * what.fps + 0.5)
    tastes, draws = _tastes(subject, what), Draws(*key, 9)
    lots = [draws.unit() for _ in range(slot.n_micro)]
    n_macro = max(slot.n_macro, any(lot < what.overlap for lot in lots))  # one to lie on
    macros = _macros(Draws(*key, 1), n_macro, what, n_frames, tastes)
    micros = _micros(Draws(*key, 2), lots, what, n_frames, tastes, macros)
    others = [
        *_blinks(Draws(*key, 3), what, n_frames), *_talk(Draws(*key, 4), what, n_frames),
        *_gazes(Draws(*key, 5), what, n_frames),
    ]  # fmt: skip
    actions = tuple(sorted([*macros, *micros, *others], key=lambda a: (a.onset, a.offset, a.kind)))
    motion = tuple(_louder(wave, what.head) for wave in script.motion_of(Draws(*key, 6)))
    changes = tuple(sorted(_changes(Draws(*key, 7), what, n_frames), key=lambda c: (c.onset, c.kind)))
    wander, draws = [], Draws(*key, 8)
    for channel in "xy" * 2:
        size = draws.between(*what.landmark_drift) * what.jitter / 2
        wander.append(Wave(channel, size, draws.between(15, 60), draws.unit()))
    return Script(
        script.look_of(subject), n_frames, what.fps, actions, motion, key, _manner(subject, what), changes,
        tuple(wander),
    )  # fmt: skip


# ---------------------------------------------------------------- drawing


def quantile(draws: Draws, values: Sequence[float], levels: Sequence[float] = LEVELS) -> float:
    """A number of the distribution with these quantiles, straight in between, to four decimals."""
    at = draws.unit()
    i = max(n for n, level in enumerate(levels[:-1]) if level <= at)
    share = (at - levels[i]) / (levels[i + 1] - levels[i])
    return round(values[i] + share * (values[i + 1] - values[i]), 4)


def pick(draws: Draws, options: Sequence[Any], weights: Sequence[float]) -> Any:
    """One of the options, by weight."""
    at = draws.unit() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        at -= weight
        if at < 0:
            return option
    return options[-1]


@lru_cache(maxsize=4)
def _recipes(what: Difficulty) -> dict[str, tuple[list[Recipe], list[int]]]:
    """Ways to show each emotion, and how often each is taken."""
    found = {}
    for emotion, ways in what.recipes:
        units = [tuple(int(unit) for unit in names.split()) for names, _ in ways]
        recipes = [Recipe(emotion, u, _WORDS[emotion], "VII") for u in units]
        found[emotion] = recipes, [count for _, count in ways]
    return found


def _tastes(subject: tuple[int, ...], what: Difficulty) -> list[float]:
    """How often the subject shows each emotion: few show all."""
    draws = Draws(*subject, 0, 1)
    return [weight * draws.between(0.2, 1.8) for weight in what.emotions]


def _manner(subject: tuple[int, ...], what: Difficulty) -> tuple[Habit, ...]:
    draws, off = Draws(*subject, 0, 2), (-what.centre, what.centre)
    limits = (off, off, what.width, what.gain)
    return tuple(Habit(unit, *(draws.between(*pair) for pair in limits)) for unit in ACTION_UNITS)


def _louder(wave: Wave, factor: float) -> Wave:
    return replace(wave, amplitude=wave.amplitude * factor)


# ---------------------------------------------------------------- expressions


def _expression(draws: Draws, kind: str, what: Difficulty, tastes: list[float]) -> Action:
    recipes, counts = _recipes(what)[pick(draws, EMOTIONS, tastes)]
    recipe = pick(draws, recipes, counts)
    seconds = quantile(draws, getattr(what, f"{kind}_seconds"))
    pixels = quantile(draws, getattr(what, f"{kind}_pixels"))
    amplitude = round(pixels * (what.amplitude if kind == "micro" else 1), 4)
    balance, lot, at, kept = (
        draws.between(-script.BALANCE, script.BALANCE),
        draws.unit(),
        quantile(draws, what.apex_at),
        draws.unit(),
    )
    offset = max(3, int(seconds * what.fps + 0.5) - 1)
    hold = 0 if kind == "micro" else int(0.5 * kept * offset)  # macro-expressions stay for a while
    apex = min(max(1, int(at * (offset - hold) + 0.5)), offset - hold - 1)
    side = ""
    if kind == "micro" and lot < what.one_sided and not script.CENTRAL_UNITS & {*recipe.action_units}:
        side = "L" if lot < what.one_sided / 2 else "R"
    return Action(kind, 0, apex, offset, amplitude, recipe.action_units, recipe, side, balance, hold)


def _macros(draws: Draws, n: int, what: Difficulty, n_frames: int, tastes: list[float]) -> list[Action]:
    """Macro-expressions, apart from each other; those for which there is no room are left out."""
    macros = [_expression(draws, "macro", what, tastes) for _ in range(n)]
    kept, total = [], 0
    for macro in macros:
        if total + macro.offset + 1 + what.fps <= _FULL * n_frames:
            kept.append(macro)
            total += macro.offset + 1 + what.fps
    return script.place(kept, n_frames, what.fps, draws)


def _micros(
    draws: Draws, lots: Sequence[float], what: Difficulty, n_frames: int, tastes: list[float],
    macros: list[Action],
) -> list[Action]:  # fmt: skip
    """Micro-expressions, none on another: `overlap` of them on a macro-expression, `beside` next to one, the
    rest away from them; `together` of them soon before or after another. Where there is no such place they
    go where there is one; one for which there is none at all is left out."""
    micros: list[Action] = []
    near, pause, soon = (int(seconds * what.fps) for seconds in (BESIDE, PAUSE, TOGETHER))
    for lot in lots:
        micro, joins = _expression(draws, "micro", what, tastes), draws.unit() < what.together
        free = ~_met(micros, micro, n_frames, pause)
        on, around = _met(macros, micro, n_frames, 0), _met(macros, micro, n_frames, near)
        places = [on, around & ~on, ~around]
        wishes = [places[0 if lot < what.overlap else 1 if lot < what.overlap + what.beside else 2], ~on, on]
        if joins:
            wishes.insert(0, wishes[0] & _met(micros, micro, n_frames, soon))
        for wish in wishes:
            if len(found := np.flatnonzero(wish & free)):
                micros.append(micro.moved(int(draws.choice(found))))
                break
    return micros


def _met(others: Sequence[Action], action: Action, n_frames: int, margin: int) -> np.ndarray:
    """For each onset that the video has room for: would the action come within `margin` frames of another?"""
    met = np.zeros(n_frames - action.offset, bool)
    for other in others:
        met[max(0, other.onset - margin - action.offset) : other.offset + margin + 1] = True
    return met


# ---------------------------------------------------------------- what else moves


def _times(draws: Draws, per_minute: float, n_frames: int, fps: int) -> Iterator[int]:
    """Onsets of what happens so often, by chance."""
    for _ in range(draws.rounded(per_minute * n_frames / fps / 60)):
        yield draws.whole(0, n_frames - 1)


def _frames(draws: Draws, low: float, high: float, fps: int) -> int:
    return max(1, int(draws.between(low, high) * fps + 0.5))


def _within(items: list[Any], n_frames: int) -> list[Any]:
    return [item for item in items if item.offset < n_frames]


def _blinks(draws: Draws, what: Difficulty, n_frames: int) -> list[Action]:
    found, at = [], _frames(draws, 0, what.blink_every[1], what.fps)
    while at < n_frames:
        offset = max(2, int(quantile(draws, what.blink_seconds) * what.fps + 0.5) - 1)
        apex = min(max(1, int(draws.between(0.3, 0.5) * offset + 0.5)), offset - 1)
        pixels = draws.between(*what.blink_pixels)
        found.append(Action("blink", at, at + apex, at + offset, pixels, (script.BLINK_UNIT,)))
        at += offset + _frames(draws, *what.blink_every, what.fps)
    return _within(found, n_frames)


def _talk(draws: Draws, what: Difficulty, n_frames: int) -> list[Action]:
    """Bouts of a mouth that talks (2 of 3) or chews: movements one after another, apart from other bouts."""
    found: list[Action] = []
    free = 0
    for start in sorted(_times(draws, what.talk_per_minute, n_frames, what.fps)):
        chews, at = draws.unit() < 1 / 3, max(start, free)
        end = at + _frames(draws, *what.talk_seconds, what.fps)
        while at < end:
            offset = max(2, _frames(draws, *((0.5, 0.9) if chews else (0.15, 0.4)), what.fps))
            units = (26,) if chews else draws.choice(_MOUTH)
            apex = max(1, min(offset - 1, int(draws.between(0.3, 0.7) * offset + 0.5)))
            found.append(Action("talk", at, at + apex, at + offset, draws.between(*what.talk_pixels), units))
            at += offset
        free = at + what.fps
    return _within(found, n_frames)


def _gazes(draws: Draws, what: Difficulty, n_frames: int) -> list[Action]:
    """Lids that follow the eyes there, stay, and come back."""
    found, at = [], _frames(draws, 0, what.gaze_seconds[1], what.fps)
    while at < n_frames:
        there, hold, back = (_frames(draws, *s, what.fps) for s in ((0.1, 0.2), (0.2, 1.5), (0.1, 0.2)))
        pixels, units = draws.between(*what.gaze_pixels), draws.choice(_LIDS)
        found.append(Action("gaze", at, at + there, at + there + hold + back, pixels, units, hold=hold))
        at += there + hold + back + _frames(draws, *what.gaze_seconds, what.fps)
    return _within(found, n_frames)


def _changes(draws: Draws, what: Difficulty, n_frames: int) -> list[Change]:
    """Nods of one to three cycles, turns of the head that last, and changes of the light."""
    found, fps = [], what.fps

    def size(low: float, high: float, factor: float = 1.0) -> float:
        return draws.choice((-1, 1)) * draws.between(low, high) * factor

    for at in _times(draws, what.nods_per_minute, n_frames, fps):
        y, pitch = size(4, 10, what.head), size(1, 3, what.head)
        for _ in range(draws.whole(1, 3)):
            half = max(2, _frames(draws, 0.25, 0.45, fps))
            found.append(Change("nod", at, at + half, at + 2 * half, (("y", y), ("pitch", pitch))))
            at += 2 * half
    for at in _times(draws, what.turns_per_minute, n_frames, fps):
        sizes = tuple(
            (c, size(*s, what.head)) for c, s in (("x", (4, 12)), ("yaw", (2, 5)), ("roll", (0.0, 0.02)))
        )
        there, hold, back = (_frames(draws, *s, fps) for s in ((0.4, 1.0), (0.3, 3.0), (0.4, 1.0)))
        found.append(Change("turn", at, at + there, at + there + hold + back, sizes, hold))
    for at in _times(draws, what.lights_per_minute, n_frames, fps):
        sizes = (("light", size(*what.light)), ("light_x", size(0.0, what.light[1] / 2)))
        there, hold, back = (_frames(draws, *s, fps) for s in ((0.1, 1.5), (1.0, 5.0), (0.1, 1.5)))
        found.append(Change("light", at, at + there, at + there + hold + back, sizes, hold))
    return _within(found, n_frames)
