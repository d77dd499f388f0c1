"""The truth of a rendered video on disk: one `<subject>_<video>.npz` a video in a folder.

It holds what `face.Film.truth` says; the actions, one row each: kind, onset, apex, offset (0-based frames),
amplitude (px of the face crop), emotion ("" for none) and action_units; first, the jpg index of frame 0; fps.
"""

from pathlib import Path

import numpy as np

from metst_lib._files import atomic
from metst_lib.events import Key
from metst_lib.synthetic.face import Film
from metst_lib.synthetic.script import Action

#: Where the truth lies in the folder of a set.
FOLDER = "truth"
_SPANS = ("kind", "onset", "apex", "offset", "amplitude")


def path_of(folder: str | Path, key: Key) -> Path:
    """The file of a video (subject, name) in a folder of truth."""
    return Path(folder) / f"{key[0]}_{key[1]}.npz"


def save(folder: str | Path, key: Key, film: Film, first: int) -> None:
    """Write the truth of a film whose frame 0 has the jpg index `first`, whole or not at all."""
    actions = film.script.actions
    columns = {name: np.array([getattr(action, name) for action in actions]) for name in _SPANS}
    columns["emotion"] = np.array([action.emotion or "" for action in actions])
    columns["action_units"] = np.array([action.unit_names for action in actions])
    with atomic(path_of(folder, key)) as temporary:
        np.savez(temporary, **film.truth(), first=first, fps=film.script.fps, **columns)


def read_truth(folder: str | Path, key: Key) -> dict[str, np.ndarray]:
    """The arrays of a video's truth by name. FileNotFoundError where there is none."""
    with np.load(path_of(folder, key), allow_pickle=False) as stored:
        return dict(stored)


def read_actions(folder: str | Path, key: Key) -> list[Action]:
    """What the face does in a video, by onset, as far as it is stored: without recipe and balance."""
    stored = read_truth(folder, key)
    actions = []
    for *span, names in zip(*(stored[name].tolist() for name in (*_SPANS, "action_units")), strict=True):
        side = names[0] if names[0] in "LR" else ""
        units = tuple(int(part.lstrip("LR")) for part in names.split("+"))
        actions.append(Action(*span, units, None, side))
    return actions
