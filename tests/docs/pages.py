"""The pages of the site as texts: their blocks of code, their links."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"^(?P<margin> *)(?P<fence>`{3,})(?:\{code-block\} *)?(?P<language>[\w-]*)[^\n]*\n"
    r"(?P<options>(?: *:\w+:[^\n]*\n)*)(?P<text>.*?)^(?P=margin)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A block of code: its language ("" for none), its caption ("" for none), its text, the line it begins at."""

    language: str
    caption: str
    text: str
    line: int


def written_pages() -> list[Path]:
    """Return the README and every page of docs/ that people write; pages made by the build are left out."""
    made = {DOCS / "ops", DOCS / "lessons", DOCS / "_build"}
    pages = [page for page in DOCS.rglob("*.md") if not made & set(page.parents)]
    return [ROOT / "README.md", *sorted(pages)]


def name_of(page: Path) -> str:
    """Return what a page is called in the names of tests."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the blocks of code of a page, in order."""
    text, found = page.read_text("utf-8"), []
    for match in FENCE.finditer(text):
        caption = re.search(r"^ *:caption: *(.*)$", match["options"], re.MULTILINE)
        line = text.count("\n", 0, match.start("text")) + 1
        code = textwrap.dedent(match["text"])
        found.append(Block(match["language"], caption[1] if caption else "", code, line))
    return found


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text("utf-8"))
