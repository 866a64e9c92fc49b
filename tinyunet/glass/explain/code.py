"""The code of an operation, cut into its definitions and sorted by the equation that they compute.

Nothing about an operation is written here. The code says itself which equation a line computes (`# (2)`), a function
says it in its docstring ("equation (2)"), and op.py says it where it calls a rung; this file only reads that.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..cost import name_of

RUNGS = ("reference", "cpu", "gpu")


class Definition(NamedTuple):
    """A function, a kernel or a few constants: the equations that it computes, and its text."""

    equations: tuple[int, ...]
    text: str


class Rung(NamedTuple):
    """One implementation.

    Attributes
    ----------
    title, about : str
        Which files, and what these say about themselves.
    definitions : list of Definition
    mark : "#" or "//"
        What begins a comment.
    """

    title: str
    about: str
    definitions: list[Definition]
    mark: str


class Code(NamedTuple):
    """All code of an operation.

    Attributes
    ----------
    op : str
        The class with forward and backward, from op.py or from the operation's only file.
    file : str
        That file, beginning at the package.
    rungs : list of Rung
        Empty for an operation without kernels of its own.
    others : list of (file name, what it says about itself)
        Faster kernels, and what launches them.
    """

    op: str
    file: str
    rungs: list[Rung]
    others: list[tuple[str, str]]


def code_of(name: str, function: Callable) -> Code:
    """Read the code of an operation.

    Parameters
    ----------
    name : str
        Of the operation, such as "log_softmax"; two that share their files are told apart by it.
    function : callable
        Its function, or its class.
    """
    module = inspect.getmodule(function)
    path = Path(module.__file__)
    file = path.relative_to(Path(__file__).parents[3]).as_posix()
    classes = [c for c in vars(module).values() if isinstance(c, type) and name_of(c) == name]
    family = [c for c in classes[0].__mro__[::-1] if c.__module__ == module.__name__] if classes else [function]
    op = "\n\n".join(inspect.getsource(c).strip() for c in family)
    if path.name != "op.py":
        return Code(op, file, [], [])
    calls = _calls(op)
    rungs, read = [], {"__init__.py", "op.py"}
    for rung in RUNGS:
        files = [_file_of(path.parent, rung)]
        files += [_file_of(folder.parent, rung) for folder in sorted(path.parent.glob("*/reference.py"))]
        title = " and ".join(f.relative_to(path.parent).as_posix() for f in files)
        read |= {f.name for f in files}
        if rungs and rungs[-1].title == title:  # one file for all devices
            rungs[-1] = rungs[-1]._replace(title=f"{title}, for CPU and GPU")
            continue
        found = [definition for f in files for definition in _definitions(f, name, calls)]
        rungs.append(Rung(title, "\n\n".join(filter(None, map(_about, files))), found, _mark(files[0])))
    others = [f for f in sorted(path.parent.iterdir()) if f.suffix in (".py", ".cu") and f.name not in read]
    return Code(op, file, rungs, [(f.name, _about(f).partition("\n\n")[0].replace("\n", " ")) for f in others])


def together(definitions: list[Definition]) -> str:
    """Return definitions below one another."""
    return "\n\n".join(d.text for d in definitions)


def equations_of_line(line: str, mark: str) -> list[int]:
    """Return the numbers in the comment of a line of code, such as [2] for `gx[k] = total;  // (2)`."""
    return [int(k) for k in re.findall(r"\((\d)\)", line.partition(mark)[2])]


def _mark(path: Path) -> str:
    return "//" if path.suffix == ".cu" else "#"


def _file_of(folder: Path, rung: str) -> Path:
    """Return the file in which a rung computes: CUDA before its launcher, and not a file that only names another."""
    cuda, python = folder / f"{rung}.cu", folder / f"{rung}.py"
    if cuda.exists():
        return cuda
    made_of = re.search(r"^from \.(\w+) import [A-Z]", python.read_text("utf-8"), re.MULTILINE)
    return folder / f"{made_of[1]}.py" if made_of else python


def _about(path: Path) -> str:
    """Return what a file says about itself at its top."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    top = re.match(r"(//.*\n)*", text)[0]
    return re.sub(r"^// ?", "", top, flags=re.MULTILINE).strip()


def _definitions(path: Path, name: str, calls: dict[str, tuple[int, ...]]) -> Iterator[Definition]:
    """Yield the parts of a file: what begins at the left margin after an empty line. Imports are left out."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        first = ast.parse(text).body[0]
        text = "".join(text.splitlines(keepends=True)[first.end_lineno :])  # after the docstring
    parts = re.split(r"\n\n+(?=[^\s}])", text.strip("\n"))
    for part in (p for whole in parts for p in _methods(whole)):
        lines = part.splitlines()
        if path.suffix == ".cu" and all(line.startswith(("//", "#include")) for line in lines):
            continue
        owners = set(re.findall(r"(\w+)'s equation", part))
        if not lines[0].startswith(("import ", "from ", "__all__")) and owners <= {name}:
            yield Definition(_equations(part, _mark(path), calls), part)


def _methods(part: str) -> list[str]:
    """Cut a class into its head and its methods; leave everything else whole."""
    return re.split(r"\n\n(?=    def )", part) if part.startswith("class ") else [part]


def _equations(part: str, mark: str, calls: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    found = {k for line in part.splitlines() for k in equations_of_line(line, mark)}
    found |= set(map(int, re.findall(r"[Ee]quation \((\d)\)", part)))
    if not found and (defined := re.search(r"\b(?:def|void|class|struct) _?(\w+)", part)):
        return calls.get(defined[1], ())
    return tuple(sorted(found))


def _calls(op: str) -> dict[str, tuple[int, ...]]:
    """Return which equations the functions of a rung compute, by the comments where the op calls them."""
    found = re.findall(r"self\.\w+\.(\w+)\(.*#(.*)$", op, re.MULTILINE)
    return {called: tuple(map(int, re.findall(r"\((\d)\)", comment))) for called, comment in found}
