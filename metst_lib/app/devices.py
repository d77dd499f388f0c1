"""One graphics card for one process: `python -m metst_lib.app.devices COMMAND …`.

Several folds may run at once on a server with several cards. Each is started through this module, which picks
a card that no other fold has, names it in CUDA_VISIBLE_DEVICES and then becomes the command. The card is held
by a lock of the kernel's, which ends with the process, however that ends. With one card or none there is
nothing to pick and the command runs as it is; on a cluster the scheduler has picked already.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

VISIBLE = "CUDA_VISIBLE_DEVICES"


def seen() -> list[str]:
    """Names of the cards that this process may use: those in CUDA_VISIBLE_DEVICES, else the driver's."""
    if VISIBLE in os.environ:
        return [name.strip() for name in os.environ[VISIBLE].split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    cards = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(cards))] if listed.returncode == 0 else []


def take(cards: Sequence[str], folder: str | Path | None = None) -> tuple[str, IO[str]]:
    """A card that nobody holds, waited for if need be, and the open file that holds it.

    folder: where the locks lie; by default one in the system's temporary folder, the same for all users'
    compendia of this user. ValueError where there is no card at all.
    """
    if not cards:
        raise ValueError("there is no graphics card to take")
    folder = Path(folder or Path(tempfile.gettempdir()) / f"metst-cards-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for card in cards:
            if held := _hold(folder / f"{card.replace('/', '_')}.lock"):
                return card, held
        time.sleep(0.5)


def _hold(path: Path) -> IO[str] | None:
    """The open file, which holds the lock as long as anyone has it open; None where another process has."""
    import fcntl  # not on Windows

    file = open(path, "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def main(command: Sequence[str]) -> None:
    """Become the command, on a card of its own where there are several."""
    cards = seen()
    if len(cards) > 1 and os.name == "posix":
        os.environ[VISIBLE], held = take(cards)
        os.set_inheritable(held.fileno(), True)  # the command keeps it until it ends
    if os.name == "posix":
        os.execvp(command[0], command)
    raise SystemExit(subprocess.run(command).returncode)  # Windows leaves the caller waiting for nobody


if __name__ == "__main__":
    main(sys.argv[1:])
