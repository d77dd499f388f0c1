"""Who does what when in a synthetic long video: expressions, blinks, the head's motion, the subject's look.

This is the first edition, the demo; `study_script` writes the second. A script is events and numbers only;
`face` turns it into pixels. It stands in for the recordings of the licensed sets (paper, Sec. IV-A: CAS(ME)³
and SAMM-LV, long videos at 30 and 200 fps), so that the whole method can be run and tested where no licence
is at hand.

**Same seed, same events, on every machine.** Every number comes from the raw 64-bit output of PCG64 seeded
by a SeedSequence per subject and video (both fixed by NumPy for good), whole-number arithmetic and the four
basic operations on floats. No sine, no logarithm, no NumPy distribution takes part.

**Difficulty** was chosen on a prototype by the training-free baseline's F1 and by what real recordings look
like; networks had been tried on that prototype too, and their scores were known when it was chosen. It was
not changed since: 0.6–1.3 px (`PIXELS`) of the 320-px face crop at the apex, 0.27–0.5 s (`LASTS`; shorter
than many real labels, so the harder case). The study set's was set without networks (`difficulty`).
Macro-expressions (3.5–7 px) and blinks, whose lids pull the brows along, are distractors on purpose.

Glossary: T frames of a video; AU Action Unit of the Facial Action Coding System; px pixels of the 320-px
face crop unless "image px" is said; g half the distance of the inner eye corners (the face crop is 9 g wide).
"""

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metst_lib.events import EMOTIONS, KINDS, Event
from metst_lib.synthetic.bumps import WARPS
from metst_lib.synthetic.draws import Draws as Draws

FPS = 30
SECONDS = 30
#: Least pause between two actions, and between an action and either end of the video.
GAP_SECONDS = 0.6
#: Seconds that an action takes.
LASTS = {"micro": (0.27, 0.5), "macro": (0.7, 2.5), "blink": (0.15, 0.3)}
#: Largest displacement at its apex; of a blink what it pulls at the brows: the lids close wholly.
PIXELS = {"micro": (0.6, 1.3), "macro": (3.5, 7.0), "blink": (0.5, 1.0)}
#: One micro-expression per so many seconds on average: 5 or 6 in 30 s, at least one in any video.
ME_EVERY_SECONDS = 5.5
MACRO_EVERY_SECONDS = 15
#: Videos shorter than this have no macro-expression.
MACRO_FROM_SECONDS = 8
BLINK_EVERY_SECONDS = (2, 6)
#: Where between onset and offset the apex lies.
APEX_AT = (0.35, 0.55)
#: One micro-expression in so many shows on one side of the face only.
ONE_SIDED_IN = 7
#: How much more one half of the face may move than the other.
BALANCE = 0.15
#: The head's slow motion: (share of the amplitude, limits of the period in seconds).
DRIFT_WAVES = ((0.5, (12.0, 20.0)), (0.3, (6.0, 12.0)), (0.2, (3.5, 6.0)))
#: Largest amplitude of it in each channel, see `Wave`.
DRIFT_SIZES = {"x": 5.0, "y": 5.0, "roll": 0.012, "zoom": 0.012, "yaw": 2.0, "pitch": 2.0}


@dataclass(frozen=True)
class Recipe:
    """A way to show an emotion: its class, Action Units, the word and the objective class of the tables."""

    emotion: str
    action_units: tuple[int, ...]
    word: str
    objective_class: str


RECIPES = (
    Recipe("negative", (4,), "anger", "III"),
    Recipe("negative", (4, 7), "fear", "III"),
    Recipe("negative", (9, 10, 4), "disgust", "IV"),
    Recipe("negative", (15, 17), "sad", "V"),
    Recipe("positive", (12,), "happy", "I"),
    Recipe("positive", (6, 12), "happy", "I"),
    Recipe("surprise", (1, 2), "surprise", "II"),
    Recipe("surprise", (1, 2, 5), "surprise", "II"),
    Recipe("surprise", (1, 2, 5, 26), "surprise", "II"),
    Recipe("others", (14,), "others", "VII"),
    Recipe("others", (17,), "others", "VII"),
    Recipe("others", (24,), "others", "VII"),
    Recipe("others", (20,), "others", "VII"),
)
#: Action Units of the middle of the face: an expression that has one is never one-sided.
CENTRAL_UNITS = frozenset({17, 24, 26})
BLINK_UNIT = 45


@dataclass(frozen=True)
class Action:
    """One timed movement of the face; frames are 0-based and inclusive.

    kind: "micro", "macro" or "blink"; in the study set also "talk", a movement of a mouth that talks or
    chews, and "gaze", lids that follow the eyes: no events. amplitude: the largest displacement at the apex,
    in px of the 320-px crop (for a blink that of the brow it pulls). side: "" for both, "L" or "R" for the
    person's own left or right, as in the tables' "L12". balance: how much more the image's left side moves
    than the right, −0.15 to 0.15. recipe: None without an expression. hold: frames after the apex for which
    the face stays as it is there.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    amplitude: float
    action_units: tuple[int, ...]
    recipe: Recipe | None = None
    side: str = ""
    balance: float = 0.0
    hold: int = 0

    @property
    def emotion(self) -> str | None:
        """Class of the expression, None for a blink."""
        return self.recipe.emotion if self.recipe else None

    @property
    def unit_names(self) -> str:
        """Action Units as the tables write them: "4+7", "L12"."""
        return "+".join(f"{self.side}{unit}" for unit in self.action_units)

    @property
    def halves(self) -> tuple[float, float]:
        """Strength on the image's left and right half; the person's own left is the image's right."""
        return {"": (1 + self.balance, 1 - self.balance), "L": (0, 1), "R": (1, 0)}[self.side]

    def moved(self, by: int) -> "Action":
        """The same action so many frames later."""
        return replace(self, onset=self.onset + by, apex=self.apex + by, offset=self.offset + by)


@dataclass(frozen=True)
class Wave:
    """One sine of the head's motion: amplitude in the channel's unit, period in seconds, phase in turns.

    Channels: "x", "y" (image px), "roll" (rad), "zoom" (factor − 1), "yaw", "pitch" (image px by which the
    nose moves against the rest of the face).
    """

    channel: str
    amplitude: float
    period: float
    phase: float


@dataclass(frozen=True)
class Change:
    """A passing change of the head or the light, its course that of an action with this apex and hold.

    kind: "nod", "turn" or "light". sizes: (channel, what it reaches), channels and units as in `Wave`, and
    of light "light", the relative brightness gained, and "light_x", that gained from the middle of the image
    to its right edge, as much lost to the left.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    sizes: tuple[tuple[str, float], ...]
    hold: int = 0


@dataclass(frozen=True)
class Habit:
    """How one subject shows one Action Unit: its bumps' centres lie (x, y) g off (x outwards from the
    midline, y down), their widths and strengths are so many times the table's."""

    unit: int
    x: float
    y: float
    width: float
    gain: float


@dataclass(frozen=True)
class Look:
    """What one subject looks like: how the one base face is changed, and how the room is lit.

    crop_px: width of the face crop, 9 g, in image px. warps: (name, amount in g) of `bumps.WARPS`. gamma,
    contrast, brightness (grey levels), light_x, light_y (relative brightness gained from the middle to the
    edge of the image), texture (grey levels rms of the skin texture) and texture_key, its random key.
    """

    mirrored: bool
    crop_px: float
    warps: tuple[tuple[str, float], ...]
    gamma: float
    contrast: float
    brightness: float
    light_x: float
    light_y: float
    texture: float
    texture_key: tuple[int, ...]


@dataclass(frozen=True)
class Script:
    """One video: the subject's look, the actions by onset, the head's motion; key seeds the noise.

    In the study set also: manner, how the subject shows Action Units (those without a habit as in the
    table); changes of head and light by onset; wander, how far landmarks found on the frames drift off the
    true ones, waves of channels "x" and "y" in px of the face crop. Its actions may overlap.
    """

    look: Look
    n_frames: int
    fps: int
    actions: tuple[Action, ...]
    motion: tuple[Wave, ...]
    key: tuple[int, ...]
    manner: tuple[Habit, ...] = ()
    changes: tuple[Change, ...] = ()
    wander: tuple[Wave, ...] = ()

    def of(self, *kinds: str) -> list[Action]:
        """The actions of the given kinds."""
        return [action for action in self.actions if action.kind in kinds]

    @property
    def events(self) -> tuple[Event, ...]:
        """The actions as events, as `datasets` reads them back: emotion for micro-expressions alone."""
        return tuple(
            Event(a.onset, a.offset, None if a.kind == "blink" else a.apex,
                  a.emotion if a.kind == "micro" else None, a.kind,
                  () if a.kind == "blink" else tuple(a.unit_names.split("+")))
            for a in self.of(*KINDS)
        )  # fmt: skip


#: Subjects of the data set, and those others on whom the demonstration landmark predictor is trained.
CASTS = ("set", "predictor")


def write_script(
    seed: int, subject: int, video: int, seconds: float = SECONDS, fps: int = FPS, cast: str = "set"
) -> Script:
    """The script of one video; subject and video count from 0. The same arguments give the same script.

    Raises ValueError, saying what is wrong, where a number is out of range or where a video is too short for
    its least content, one micro-expression.
    """
    seed, subject, video = _whole("seed", seed, 0), _whole("subject", subject, 0), _whole("video", video, 0)
    fps = _whole("fps", fps, 15, 300)
    if cast not in CASTS:
        raise ValueError(f"unknown cast {cast!r}; known: {', '.join(CASTS)}")
    if not 0 < seconds < 36000:
        raise ValueError(f"seconds = {seconds!r} is not a length between 0 and 36000")
    n_frames = int(seconds * fps + 0.5)
    key = (seed, CASTS.index(cast), subject)
    draws = Draws(*key, 1 + video)
    expressions = place(_expressions(draws, subject + video, seconds, fps), n_frames, fps, draws)
    actions = sorted(expressions + _blinks(draws, expressions, n_frames, fps), key=lambda a: a.onset)
    return Script(look_of(key), n_frames, fps, tuple(actions), motion_of(draws), (*key, 1 + video))


def envelope(action: Action | Change, n_frames: int) -> np.ndarray:
    """How far an action has come at each frame, (T,): raised cosine, 0 at onset and offset, 1 at the apex
    and as long as it holds."""
    t = np.arange(n_frames, dtype=np.float64)
    rise = (t - action.onset) / (action.apex - action.onset)
    fall = (action.offset - t) / (action.offset - action.apex - action.hold)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(rise, fall), 0.0, 1.0))


# ---------------------------------------------------------------- what happens


def _expressions(draws: Draws, turn: int, seconds: float, fps: int) -> list[Action]:
    """Micro- and macro-expressions in the order in which they will happen, all with onset 0 as yet.

    Emotions go round, starting at another one in each video, so that a set of short videos has them all too.
    """
    n_micro = max(1, draws.rounded(seconds / ME_EVERY_SECONDS))
    n_macro = draws.rounded(seconds / MACRO_EVERY_SECONDS) if seconds >= MACRO_FROM_SECONDS else 0
    actions = []
    for i in range(n_micro):
        recipe = draws.choice([r for r in RECIPES if r.emotion == EMOTIONS[(turn + i) % len(EMOTIONS)]])
        actions.append(_expression(draws, "micro", recipe, fps))
    for _ in range(n_macro):
        actions.append(_expression(draws, "macro", draws.choice(RECIPES), fps))
    return draws.shuffled(actions)


def _expression(draws: Draws, kind: str, recipe: Recipe, fps: int) -> Action:
    apex, offset = _course(draws, kind, fps)
    amplitude, balance, lot = draws.between(*PIXELS[kind]), draws.between(-BALANCE, BALANCE), draws.unit()
    side = ""
    if kind == "micro" and not CENTRAL_UNITS & set(recipe.action_units):
        # a fifth of the recipes (by use) is central, so the others are drawn a little more often
        side = "" if lot >= 1.25 / ONE_SIDED_IN else "L" if lot < 0.625 / ONE_SIDED_IN else "R"
    return Action(kind, 0, apex, offset, amplitude, recipe.action_units, recipe, side, balance)


def _course(draws: Draws, kind: str, fps: int) -> tuple[int, int]:
    """Apex and offset, in frames after the onset."""
    length = draws.whole(*(int(s * fps + 0.5) for s in LASTS[kind]))  # both ends counted
    offset = max(2, length - 1)
    apex = int(draws.between(*APEX_AT) * offset + 0.5)
    return min(max(apex, 1), offset - 1), offset


def place(actions: list[Action], n_frames: int, fps: int, draws: Draws) -> list[Action]:
    """The actions in their order, the frames left over dealt out at random to the pauses between them."""
    gap = _gap(fps)
    needed = sum(a.offset + 1 for a in actions) + gap * (len(actions) + 1)
    slack = n_frames - needed
    if slack < 0:
        raise ValueError(
            f"a video of {n_frames} frames ({n_frames / fps:.1f} s at {fps} fps) is too short for its "
            f"{len(actions)} expressions with pauses of {GAP_SECONDS} s: they need {needed} frames"
        )
    cuts = sorted(draws.whole(0, slack) for _ in actions)
    placed, at = [], 0
    for action, cut in zip(actions, cuts, strict=True):
        placed.append(action.moved(at + gap + cut))
        at += gap + action.offset + 1
    return placed


def _blinks(draws: Draws, expressions: list[Action], n_frames: int, fps: int) -> list[Action]:
    """Blinks every 2–6 s at frames away from the expressions; later where an expression leaves no room."""
    gap, every = _gap(fps), [s * fps for s in BLINK_EVERY_SECONDS]
    blinks: list[Action] = []
    last = -draws.whole(0, every[0])
    while True:
        apex, offset = _course(draws, "blink", fps)
        blink = Action("blink", 0, apex, offset, draws.between(*PIXELS["blink"]), (BLINK_UNIT,))
        free = [
            onset
            for onset in range(max(last + every[0], gap), n_frames - gap - offset)
            if all(onset > e.offset + gap or onset + offset < e.onset - gap for e in expressions)
        ]
        if not free:
            return blinks
        soon = [onset for onset in free if onset <= last + every[1]]
        last = draws.choice(soon or free[:fps])
        blinks.append(blink.moved(last))


def _gap(fps: int) -> int:
    return int(GAP_SECONDS * fps + 0.5)


# ---------------------------------------------------------------- who, and how the head moves


def look_of(key: tuple[int, ...]) -> Look:
    """A subject's look, drawn by this key."""
    draws = Draws(*key, 0)
    limits = {name: parts[0].limit for name, parts in WARPS.items()}
    warps = tuple((name, draws.between(-limit, limit)) for name, limit in limits.items())
    return Look(
        mirrored=draws.unit() < 0.5,
        crop_px=draws.between(290, 330),
        warps=warps,
        gamma=draws.between(0.8, 1.25),
        contrast=draws.between(0.85, 1.1),
        brightness=draws.between(-12, 12),
        light_x=draws.between(-0.18, 0.18),
        light_y=draws.between(-0.1, 0.1),
        texture=draws.between(4.0, 6.0),
        texture_key=(*key, 0, 0),
    )


def motion_of(draws: Draws) -> tuple[Wave, ...]:
    """Slow drift (± 5 image px, ± 0.012 rad and zoom, 1–2 px of parallax) and a little tremor."""
    waves = []
    for channel, size in DRIFT_SIZES.items():
        for share, period in DRIFT_WAVES:
            amplitude = draws.between(0.6, 1.0) * share * size
            waves.append(Wave(channel, amplitude, draws.between(*period), draws.unit()))
    for channel in ("x", "y"):
        for _ in range(2):
            waves.append(Wave(channel, draws.between(0.03, 0.1), draws.between(0.2, 0.5), draws.unit()))
    return tuple(waves)


def _whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} = {value!r} is not a whole number") from None
    if number < least or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} = {number} must be {limits}")
    return number
