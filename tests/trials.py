"""Experiments cut short, in folders of their own, for tests that run them."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from metst_lib.experiment import variants

SMALLEST = {
    "METST": {"dim": 8, "depth": 1, "d_state": 4},
    "METSTPlus": {"dim": 8, "n_blocks": 1, "depth": 1, "d_state": 4},
}
"""Sizes of networks that train in a second."""


def shorten(patch: pytest.MonkeyPatch, epochs: int = 2, **changes: object) -> None:
    """From here on the demonstration has a few epochs of training; changes are of its preset."""
    demo = variants.PRESETS["synthetic", "demo"]
    short = {name: dataclasses.replace(settings, epochs=epochs) for name, settings in demo.training.items()}
    changed = dataclasses.replace(demo, **({"training": short} | changes))
    patch.setitem(variants.PRESETS, ("synthetic", "demo"), changed)


def compendium(tiny_root: Path, root: Path) -> Path:
    """A folder with the tiny set, its own copy of the flow, and no runs."""
    (root / "data").mkdir(parents=True)
    for name in ("synthetic", "landmarks"):
        (root / "data" / name).symlink_to(tiny_root / "data" / name)
    for name in ("flow", "manifests"):
        shutil.copytree(tiny_root / "data" / name, root / "data" / name)
    return root


def planned(output: str) -> set[str]:
    """Names of the jobs of a dry run of the workflow, less the target itself."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, re.M | re.S)
    return {line.split()[0] for line in table[1].splitlines()} - {"folds"} if table else set()


def lists(content: object, place: str = "") -> dict[str, list]:
    """Every list in JSON-able content, by its place: ".seeds.0.by_video"; places in lists are "*"."""
    found = {place: content} if isinstance(content, list) else {}
    below = content.items() if isinstance(content, dict) else ()
    inside = [("*", part) for part in content] if isinstance(content, list) else []
    for name, part in (*below, *inside):
        found |= lists(part, f"{place}.{name}")
    return found


def texts(content: object) -> list[str]:
    """Every text in JSON-able content, names of entries too."""
    if isinstance(content, str):
        return [content]
    parts = [*content, *content.values()] if isinstance(content, dict) else content
    return [text for part in parts for text in texts(part)] if isinstance(content, dict | list) else []
