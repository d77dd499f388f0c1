"""Where things lie in a clone of the authors' repository (github.com/zizheng-guo/ME-TST, July 2025 on).

Caches of flow lie by set of regions, one file for SAMM-LV and five for CAS(ME)³; weights by data set, one
file for each subject that was left out. Large files may be git-lfs pointers: text in place of content.
"""

import contextlib
from pathlib import Path

#: Our name of each data set of theirs, and what their files and folders call it.
NAMES = {"sammlv": "SAMMLV", "casme3": "CASME_3"}
#: Folders where the caches of each set of regions may lie; those of five lay in the last one until 2025.
CACHES = {"18": ("cache/ME-TST+",), "5": ("cache/ME-TST", "cache")}
#: Files of a data set's cache, in the order in which they are joined.
PARTS = {"sammlv": ("",), "casme3": ("_1", "_2", "_3", "_4", "_5")}
_POINTER = b"version https://git-lfs"


def cache(folder: str | Path, name: str, roi_set: str) -> list[Path]:
    """The files of a data set's cache, in order. FileNotFoundError naming those that are not there."""
    missing = []
    for place in CACHES[roi_set]:
        files = [Path(folder) / place / f"{NAMES[name]}_dataset{part}.pkl" for part in PARTS[name]]
        lacking = [path for path in files if not path.is_file()]
        if not lacking:
            return files
        missing.append(lacking)
    nearest = min(missing, key=len)
    raise FileNotFoundError(
        f"no cache of {NAMES[name]} with {roi_set} regions: not there are {', '.join(map(str, nearest))}"
    )


def caches(folder: str | Path) -> dict[tuple[str, str], list[Path]]:
    """(data set, set of regions) -> the files of its cache, in order, of those of which all are there."""
    found = {}
    for roi_set in CACHES:
        for name in NAMES:
            with contextlib.suppress(FileNotFoundError):
                found[name, roi_set] = cache(folder, name, roi_set)
    return found


def weights(folder: str | Path, name: str) -> dict[str, Path]:
    """Id of a subject left out, as in the file's name -> the weights that were fitted without it.

    FileNotFoundError saying what was looked for where there are none.
    """
    place = Path(folder) / "weights" / f"{NAMES[name]}_4emo"
    files = sorted(path for path in place.glob("subject_*.pkl") if path.is_file())
    found = {path.stem.removeprefix("subject_"): path for path in files}
    if not found:
        raise FileNotFoundError(f"no weights of {NAMES[name]}: looked for {place / 'subject_<id>.pkl'}")
    return found


def subject_id(subject: str) -> str:
    """What their files call a subject of ours: 006 of 006, 1 of spNO.1."""
    return subject.rpartition(".")[2]


def refuse_pointer(path: Path) -> None:
    """ValueError where a file is git-lfs's pointer to what is to lie there."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ValueError(f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` there")
