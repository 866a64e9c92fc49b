"""What the pages point to is there: pages, headings, files, names of the library. External links are not fetched."""

from __future__ import annotations

import importlib
import re

import pytest

from tinyunet import functional

from .pages import DOCS, ROOT, blocks, name_of, prose, written_pages

PAGES = written_pages()
MADE = {"command", "exercises", *(f"ops/{name}" for name in functional.__all__)}
"""Pages that the build writes."""

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)}


def document(page, target: str) -> str:
    """Return the name of a document as Sphinx counts it, from the root of docs/."""
    if target.startswith("/"):
        return target[1:]
    return (page.parent / target).resolve().relative_to(DOCS).as_posix()


def documents() -> set[str]:
    return MADE | {p.relative_to(DOCS).with_suffix("").as_posix() for p in PAGES if DOCS in p.parents}


@every_page
def test_links_and_pictures_lead_somewhere(page):
    for text, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", CODE.sub("", prose(page))):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"[{text}]({target})"
        assert not anchor or anchor in anchors(file), f"[{text}]({target})"


@every_page
def test_documents_that_a_page_names_exist(page):
    for text in re.findall(r"\{doc\}`([^`]+)`", prose(page)):
        target = re.fullmatch(r"(?:.*<)?([^<>]+)>?", text, re.DOTALL)[1]
        assert document(page, target) in documents(), text


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in PAGES:
        trees = re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        entries = [line for line in "\n".join(trees).splitlines() if line and not line.startswith(":")]
        for entry in entries:
            if entry.endswith("/*"):
                listed |= {name for name in documents() if name.startswith(entry[:-1])}
            else:
                assert document(page, entry) in documents(), entry
                listed.add(document(page, entry))
    assert listed == documents()


@every_page
def test_files_that_a_page_names_exist(page):
    shown = {block.caption for block in blocks(page)}
    for code in CODE.findall(prose(page)):
        if re.fullmatch(r"(tinyunet|tests|docs|lessons)/[\w./]+", code) and "depthwise" not in code:
            assert (ROOT / code).exists() or code in shown, code


@every_page
def test_names_of_the_library_exist(page):
    for code in CODE.findall(prose(page)):
        name = re.fullmatch(r"(tinyunet(?:\.\w+)+)(?:\(.*\))?", code)
        if not name or name[1].endswith((".py", ".cu")):
            continue
        module, _, attribute = name[1].rpartition(".")
        try:
            importlib.import_module(name[1])
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), code


def test_an_anchor_is_made_as_markdown_does():
    assert slug("What is measured") == "what-is-measured"
    assert slug("If you need ..., take ...") == "if-you-need--take"
