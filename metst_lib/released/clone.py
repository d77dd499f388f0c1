"""Where things lie in a clone of the authors' repository (github.com/zizheng-guo/ME-TST, July 2025 on).

Caches of flow lie by set of regions, one file for SAMM-LV and five for CAS(ME)³; weights by data set, one
file for each subject that was left out. Large files may be git-lfs pointers: text in place of content.
"""

from pathlib import Path

#: Our name of each data set of theirs, and what their files and folders call it.
NAMES = {"sammlv": "SAMMLV", "casme3": "CASME_3"}
#: The folder of the caches of each set of regions.
CACHES = {"18": "cache/ME-TST+", "5": "cache/ME-TST"}
#: Files of a data set's cache, in the order in which they are joined.
PARTS = {"sammlv": ("",), "casme3": ("_1", "_2", "_3", "_4", "_5")}
_POINTER = b"version https://git-lfs"


def caches(folder: str | Path) -> dict[tuple[str, str], list[Path]]:
    """(data set, set of regions) -> the files of its cache, in order, of those of which all are there."""
    found = {}
    for roi_set, place in CACHES.items():
        for name, theirs in NAMES.items():
            files = [Path(folder) / place / f"{theirs}_dataset{part}.pkl" for part in PARTS[name]]
            if all(path.is_file() for path in files):
                found[name, roi_set] = files
    return found


def weights(folder: str | Path, name: str) -> dict[str, Path]:
    """Id of a subject left out, as in the file's name -> the weights that were fitted without it."""
    place = Path(folder) / "weights" / f"{NAMES[name]}_4emo"
    return {path.stem.removeprefix("subject_"): path for path in sorted(place.glob("subject_*.pkl"))}


def subject_id(subject: str) -> str:
    """What their files call a subject of ours: 006 of 006, 1 of spNO.1."""
    return subject.rpartition(".")[2]


def refuse_pointer(path: Path) -> None:
    """ValueError where a file is git-lfs's pointer to what is to lie there."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ValueError(f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` there")
