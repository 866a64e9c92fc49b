"""The commands of README and site are understood by the real command line; their Python runs, on toy data."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

import tinyunet
from tinyunet.cli import build_parser
from tinyunet.data import Toy
from tinyunet.training import Settings

from .pages import ROOT, blocks, name_of, prose, written_pages
from .test_links import CODE

PAGES = written_pages()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def commands(text: str) -> list[list[str]]:
    """Return the calls of tinyunet in lines of shell, each as its arguments."""
    found = []
    for part in re.split(r"\n|&&|;", text):
        words = shlex.split(part, comments=True)
        if words and words[0].rpartition("/")[2] == "tinyunet":
            found.append(words[1:])
    return found


def understand(arguments: list[str]) -> None:
    """Parse a call, and check that the settings of `train` go together."""
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as stop:
        assert stop.code == 0, f"not understood: tinyunet {shlex.join(arguments)}"
        return
    if options.command == "train":
        given = {f.name: getattr(options, f.name) for f in fields(Settings) if f.name in options}
        if given.get("window"):
            given = {"normalize": "window"} | given | {"window": tuple(given["window"])}
        Settings(**given)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page):
    for block in blocks(page):
        if block.language in ("bash", "sh", "shell"):
            for arguments in commands(block.text):
                understand(arguments)
    for code in CODE.findall(prose(page)):
        name, *arguments = code.split()
        if name == "tinyunet" and len(arguments) == 1:  # the command is only named
            understand([*arguments, "--help"])
        elif name == "tinyunet":
            understand(arguments)


def options_of(parser) -> set[str]:
    """Return all options of a command and of those below it."""
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action.choices, dict):
            for sub in action.choices.values():
                found |= options_of(sub)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_that_a_page_names_exist(page):
    known = options_of(build_parser())
    for code in CODE.findall(prose(page)):
        if code.startswith("--"):
            for word in re.findall(r"(?:^|\s)(--[\w-]+)", code):
                assert word in known, code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_extras_that_a_page_installs_exist(page):
    for extras in re.findall(r'pip install [^\n]*?"(?:\.|tinyunet)\[([\w,-]+)\]"', page.read_text("utf-8")):
        assert set(extras.split(",")) <= set(EXTRAS), extras


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Toy images in the places that the pages speak of, and a network trained on them for one epoch."""
    root = tmp_path_factory.mktemp("examples")
    for part, count in (("train", 8), ("test", 3)):
        for kind in ("images", "masks"):
            (root / "scans" / part / kind).mkdir(parents=True)
        for sample in Toy("tumour", count=count, size=(32, 32), seed=count):
            for kind, array in (("images", sample.image[0]), ("masks", sample.mask)):
                Image.fromarray(array.astype(np.uint8)).save(root / "scans" / part / kind / f"{sample.name}.png")
    (root / "new").mkdir()
    shutil.copy(next((root / "scans" / "test" / "images").iterdir()), root / "new" / "a.png")
    tinyunet.train(root / "scans", root / "runs" / "scans", show_progress=False, epochs=1, base_channels=4, depth=2)
    return root


WITH_PYTHON = [page for page in PAGES if any(b.language == "python" and not b.caption for b in blocks(page))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_of_a_page_runs(page, folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names = {"image": np.zeros((32, 32), np.float32)}  # the README's `image` is the reader's
    for block in blocks(page):
        if block.language == "python" and not block.caption:
            # One epoch shows as much as 25; the empty lines make an error name its line of the page.
            code = "\n" * (block.line - 1) + re.sub(r"\bepochs=\d+", "epochs=1", block.text)
            exec(compile(code, str(page), "exec"), names)
