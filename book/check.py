"""Look through a built site: `python book/check.py SITE` says what leads nowhere, or elsewhere unasked.

Every link and file that a page names must be there, every #place on its page; every picture needs a text
alternative; and a page must ask nothing of other machines, so scripts, styles, pictures and fonts come from
the site itself. Links to elsewhere, which a reader may follow, are listed and not fetched.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
"""Tags and the attribute that a browser fetches unasked; so it does with `link`, unless that only points."""
POINTS = {"next", "prev", "search", "index", "author", "canonical", "license"}


class Page(HTMLParser):
    """What a page names: places on it, links, what it loads, and pictures that say nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.mute: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("href"):
            points = set(given.get("rel", "").split()) <= POINTS
            (self.links if points else self.loads).append(given["href"])
        elif given.get(LOADED.get(tag, "")):
            self.loads.append(given[LOADED[tag]])
        if tag == "img" and not given.get("alt", "").strip():
            self.mute.append(given.get("src", ""))


@dataclass
class Findings:
    """What was looked at and what was found: faults in words; links to elsewhere, and a page of each."""

    pages: int = 0
    links: int = 0
    faults: list[str] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)


def check(site: Path) -> Findings:
    """Look through every page and style sheet. FileNotFoundError where there is no index.html."""
    site = site.resolve()
    if not (site / "index.html").is_file():
        raise FileNotFoundError(f"no site in {site}: `make book` builds one")
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = Findings(len(pages))
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found.faults += [f"{name}: picture {source[:80]} has no text alternative" for source in page.mute]
        for address in (*page.loads, *page.links):
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            found.links += 1
            if parts.scheme or parts.netloc:
                if address in page.loads:
                    found.faults.append(f"{name}: asks {address} of elsewhere")
                found.elsewhere.setdefault(address, name)
            elif fault := _broken(path, parts.path, parts.fragment, pages):
                found.faults.append(f"{name}: {address} {fault}")
    for sheet in sorted(site.rglob("*.css")):
        for address in re.findall(
            r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text("utf-8")
        ):
            found.faults.append(f"{sheet.relative_to(site).as_posix()}: asks {address} of elsewhere")
    return found


def _broken(page: Path, path: str, place: str, pages: dict[Path, Page]) -> str:
    """What is wrong with a link inside the site; empty where nothing is."""
    target = (page.parent / unquote(path)).resolve() if path else page
    if not target.is_file():
        return "is not there"
    if place and target in pages and unquote(place) not in pages[target].places:
        return "has no such place"
    return ""


def main(site: Path) -> int:
    """Print what was found and list the links to elsewhere in a file; 1 where there is a fault."""
    found = check(site)
    listed = site.with_name("links_to_elsewhere.txt")
    lines = [f"{address}   ({page})\n" for address, page in sorted(found.elsewhere.items())]
    listed.write_text("".join(lines), encoding="utf-8")
    for fault in found.faults:
        print(fault)
    print(
        f"{found.pages} pages, {found.links} links and files: {len(found.faults)} faults. "
        f"{len(found.elsewhere)} links lead elsewhere; they are listed in {listed.name}, not fetched."
    )
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
