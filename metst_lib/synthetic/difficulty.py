"""How hard the synthetic study set is: the numbers of `difficulty.toml`, where each one's source stands."""

import tomllib
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

from metst_lib._files import digest

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Difficulty:
    """The settings of the study set, by their names in `difficulty.toml`. A sweep takes
    `dataclasses.replace(difficulty(), noise=2.0)`, which has another key."""

    noise: float
    head: float
    jitter: float
    amplitude: float
    subjects: int
    groups: int
    videos: int
    minutes: float
    fps: int
    lengths: Numbers
    me_per_minute: float
    without_me: float
    macro_per_minute: float
    overlap: float
    beside: float
    together: float
    blink_every: Numbers
    emotions: Numbers
    micro_seconds: Numbers
    macro_seconds: Numbers
    blink_seconds: Numbers
    apex_at: Numbers
    micro_pixels: Numbers
    macro_pixels: Numbers
    blink_pixels: Numbers
    one_sided: float
    centre: float
    width: Numbers
    gain: Numbers
    liveliness: Numbers
    talk_per_minute: float
    talk_seconds: Numbers
    talk_pixels: Numbers
    gaze_seconds: Numbers
    gaze_pixels: Numbers
    nods_per_minute: float
    turns_per_minute: float
    lights_per_minute: float
    light: Numbers
    landmark_jitter: float
    landmark_drift: Numbers
    recipes: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]

    def __post_init__(self) -> None:
        for name in ("noise", "head", "jitter", "amplitude"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} = {getattr(self, name)!r} of a difficulty must be 0 or more")
        for name in ("without_me", "overlap", "beside", "together", "one_sided"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)!r} of a difficulty is no share from 0 to 1")
        for name in ("minutes", "fps", "subjects", "groups", "videos"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)!r} of a difficulty must be more than 0")
        if self.subjects % self.groups:
            raise ValueError(f"{self.subjects} subjects do not fall into {self.groups} equal groups")

    @cached_property
    def key(self) -> str:
        """Hash of all settings, 12 hex digits; comments of the file do not count."""
        return digest(asdict(self))[:12]


def _file() -> bytes:
    return (files(__package__) / "difficulty.toml").read_bytes()


@lru_cache(maxsize=1)
def difficulty() -> Difficulty:
    """The frozen difficulty of the study set."""
    values = tomllib.loads(_file().decode())
    if odd := set(values) ^ {field.name for field in fields(Difficulty)}:
        raise ValueError(f"difficulty.toml and Difficulty do not agree on {', '.join(sorted(odd))}")
    return Difficulty(**{name: _frozen(value) for name, value in values.items()})


def _frozen(value: Any) -> Any:
    """Lists and tables as tuples."""
    if isinstance(value, dict):
        return tuple((name, _frozen(inner)) for name, inner in value.items())
    return tuple(value) if isinstance(value, list) else value
