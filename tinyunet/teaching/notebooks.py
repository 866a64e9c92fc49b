"""Notebooks from the lessons: `lessons/NN_name.py` is the one form that is edited, all else is made from it.

A lesson is text in jupytext's percent format. What stands between these two lines is a solution:

    ### BEGIN SOLUTION
    ### END SOLUTION

The solved notebook has the code without the markers. In the to-do notebook a solution inside a function becomes a
line that raises NotImplementedError; elsewhere it becomes a comment, and the line before it says `answer = ...`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..files import write_whole

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION(?:\n|$)", re.DOTALL | re.MULTILINE)

DOTS = re.compile(r"^[\w, ]+ = \.\.\.(?:, \.\.\.)*\n(?=### BEGIN SOLUTION)", re.MULTILINE)


class MissingExtra(ImportError):
    """The packages that make and open notebooks are not installed."""


class Outline(NamedTuple):
    """Title of a lesson, the file of its checks in `tinyunet/teaching/checks`, and their names in order."""

    title: str
    topic: str
    checks: tuple[str, ...]


def lesson_files() -> list[Path]:
    """Return the sources of the lessons, in order: inside an installed package, beside one in its repository."""
    package = Path(__file__).parent.parent
    inside = package / "lessons"
    return sorted((inside if inside.is_dir() else package.parent / "lessons").glob("[0-9][0-9]_*.py"))


def outline(source: Path) -> Outline:
    """Return what a lesson is about and the checks that it calls."""
    text = source.read_text(encoding="utf-8")
    topic = re.search(r"^from tinyunet\.teaching\.checks import (\w+) as checks$", text, re.MULTILINE)[1]
    title = re.search(r"^# # (.+)$", text, re.MULTILINE)[1]
    return Outline(title, topic, tuple(re.findall(r"^checks\.(\w+)\(", text, re.MULTILINE)))


def solve(code: str) -> str:
    """Return the code of a cell with its solutions, without the markers and without the dots that stood for answers."""
    return SOLUTION.sub(lambda found: found[2], DOTS.sub("", code)).rstrip("\n")


def strip(code: str) -> str:
    """Return the code of a cell without its solutions, see the module."""

    def stub(found: re.Match) -> str:
        indent = found[1]
        return (
            f'{indent}raise NotImplementedError("your turn")\n' if indent else "# Your turn: replace the dots above.\n"
        )

    return SOLUTION.sub(stub, code).rstrip("\n")


def read_lesson(source: Path):
    """Read a lesson as a notebook (nbformat's NotebookNode), markers included.

    Raises
    ------
    MissingExtra
        If jupytext is not installed, with the command that installs it.
    """
    try:
        import jupytext
    except ModuleNotFoundError as error:
        raise MissingExtra(
            'notebooks need jupytext and Jupyter, which are not installed: pip install "tinyunet[lessons]"'
        ) from error
    return jupytext.read(source, fmt="py:percent")


def make_notebook(source: Path, solved: bool):
    """Return the solved or the to-do notebook of a lesson, ready to write and open, without outputs."""
    notebook = read_lesson(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = (solve if solved else strip)(cell.source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def write_notebook(source: Path, target: Path, solved: bool) -> None:
    """Write the solved or the to-do notebook of a lesson; the folder is made if it is missing."""
    notebook = make_notebook(source, solved)  # says what is missing where Jupyter's packages are
    import nbformat

    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, nbformat.writes(notebook))
