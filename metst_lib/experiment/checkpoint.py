"""A training under way, kept on disk so that it goes on when it was stopped."""

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from metst_lib._files import atomic, digest


class Checkpoint:
    """Where a long training keeps its state, so that one that was stopped goes on to the same weights.

    One file in the fold's folder, replaced whole at the end of an epoch when `every` seconds have passed
    since the last time: a training shorter than that writes none. identity: names everything that decides
    the weights; a file of another identity, or one that is damaged, is ignored with a word. say: is told when
    a training goes on, when a file is ignored, and when one cannot be written (which stops no training).

    The file holds the network, the optimiser and its schedule, the epochs so far, and every random state
    that is still drawn from, in torch's format; it is read with weights_only, so that it runs no code.
    """

    def __init__(
        self, path: Path, identity: str, every: float = 60.0, say: Callable[[str], None] = print
    ) -> None:
        self.path, self.identity, self.every, self.say = path, identity, every, say
        self._saved = time.perf_counter()

    def due(self) -> bool:
        """Whether `every` seconds have passed since the state was kept."""
        return time.perf_counter() - self._saved >= self.every

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file, whole or not at all."""
        try:
            with atomic(self.path) as temporary:
                torch.save({"identity": self.identity, "shape": self._shape, **state}, temporary)
        except (OSError, RuntimeError) as error:  # torch's own writer knows no OSError
            self.say(f"no checkpoint could be written, training goes on without: {self.path}: {error}")
        self._saved = time.perf_counter()

    def read(self, shape: Any) -> dict[str, Any] | None:
        """The state in the file; None where there is none of this identity for this shape of training."""
        self._shape = digest(shape)
        try:
            with zipfile.ZipFile(self.path) as archive:  # torch looks at no checksum when it reads
                whole = archive.testzip() is None
            state = torch.load(self.path, map_location="cpu", weights_only=True) if whole else {}
            if whole and (state["identity"], state["shape"]) == (self.identity, self._shape):
                self.say(f"training goes on after epoch {len(state['history'])}: {self.path}")
                return state
            why = "it belongs to another training" if whole else "it is damaged"
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged archive makes torch raise
            why = f"it is damaged ({type(error).__name__})"
        self.say(f"{self.path} is ignored, training starts anew: {why}")
        return None

    def remove(self) -> None:
        """The file is gone afterwards, if there was one."""
        self.path.unlink(missing_ok=True)
