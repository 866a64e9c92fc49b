"""`tinyunet explain`: an operation from its formula to its code, its cost, and one result in numbers.

Everything is read from the library itself: formula and index convention from the docstrings, code from the files, cost
from `cost.py`, the example from the operation that runs. So an explanation cannot drift away from what it explains.
"""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ... import functional as F
from ... import ops
from ...autograd import Op
from ...nn.summary import readable_bytes
from ...ops import arithmetic
from ..cost import Cost, cost_of, name_of
from ..page import document
from ..provenance.figures import planes
from .code import Code, Definition, code_of
from .examples import Example, compute
from .recipes import RECIPES


def operations() -> dict[str, Callable | type[Op]]:
    """Return the operations that can be explained: functions by name, and the classes behind the operators."""
    functions = {name: getattr(F, name) for name in F.__all__ if name in RECIPES}
    classes = [c for c in vars(arithmetic).values() if isinstance(c, type) and c.__module__ == arithmetic.__name__]
    return functions | {name_of(c): c for c in classes if name_of(c) in RECIPES}


def list_operations() -> str:
    """Return every operation with the first sentence of its documentation, one a line."""
    found = operations()
    width = max(map(len, found))
    return "\n".join(f"{name:{width}}  {_document(function)[0]}" for name, function in found.items())


def explain(name: str, shape: tuple[int, ...] | None = None) -> Explanation:
    """Explain an operation; print the result, or let a notebook show it.

    Parameters
    ----------
    name : str
        Of an operation, such as "conv2d"; `list_operations` knows all.
    shape : (N, C, H, W), optional
        Of the input for which the cost is told; 4 images of 128 x 128 pixels and a usual number of channels if not
        given.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        If there is no such operation; the near ones are named.
    """
    found = operations()
    if name not in found:
        raise ValueError(f"there is no operation {name!r}{_near(name, found)}; `tinyunet explain` lists them all")
    function = found[name]
    summary, formula, notes = _document(function)
    code, recipe = code_of(name, function), RECIPES[name]
    x = shape or (4, recipe.channels, 128, 128)
    if len(x) != 4 or min(x) < 1:
        raise ValueError(f"a shape is four positive numbers N C H W, got {x}")
    arrays = list(recipe.inputs.values())
    shapes = [x, *(_of_that_size(a, arrays[0], x) for a in arrays[1:])]
    costs = [cost_of(name, shapes, recipe.options, direction=direction) for direction in ("forward", "backward")]
    asked = dict(zip(recipe.inputs, shapes, strict=True))
    return Explanation(name, summary, formula, notes, code, asked, costs, compute(name, function))


class Explanation(NamedTuple):
    """What is to be said about an operation. Shows itself: as text when printed, as HTML in a notebook.

    Attributes
    ----------
    name, summary : str
        The operation, and the first sentence of its documentation.
    formula : list of (equation or None, line)
        The formula's lines with the number of the equation that each is part of.
    notes : str
        What the documentation says about the formula.
    code : Code
    shapes : dict of str to tuple of int
        The inputs for which the cost is told.
    costs : list of Cost or None
        Forward and backward.
    example : Example
    """

    name: str
    summary: str
    formula: list[tuple[int | None, str]]
    notes: str
    code: Code
    shapes: dict[str, tuple[int, ...]]
    costs: list[Cost | None]
    example: Example

    @property
    def convention(self) -> str:
        """What the index letters mean: the paragraph about them in the documentation of `tinyunet.ops`."""
        return next(part for part in inspect.getdoc(ops).split("\n\n") if part.startswith("Index letters"))

    @property
    def equations(self) -> list[int]:
        """The numbers of the equations that the code computes."""
        return sorted({k for rung in self.code.rungs for d in rung.definitions for k in d.equations})

    def rows(self) -> list[tuple[int | None, list[list[Definition]]]]:
        """Return (equation, for each rung its definitions that compute it), then those that all of them use (None)."""
        found = []
        for equation in (*self.equations, None):
            columns = [
                [d for d in rung.definitions if (d.equations[0] if d.equations else None) == equation]
                for rung in self.code.rungs
            ]
            if any(columns):
                found.append((equation, columns))
        return found

    def cost(self) -> str:
        """Say what the operation costs at `shapes`."""
        if self.costs[0] is None:
            return "That of the operations that it is made of."
        given = [f"{name} {shape}" for name, shape in self.shapes.items()]
        given += [f"{k}={v!r}" for k, v in self.example.recipe.options.items() if isinstance(v, int | str | tuple)]
        lines = [f"{', '.join(given)}, float32:"]
        for direction, cost in zip(("forward ", "backward"), self.costs, strict=True):
            moved = f"{readable_bytes(cost.bytes)} moved" if cost.bytes else "nothing moved: a view"
            ratio = f", {cost.flops / cost.bytes:.3g} FLOP per byte" if cost.flops and cost.bytes else ""
            lines.append(f"{direction}  {_readable(cost.flops)}FLOP, {moved}{ratio}")
        return "\n".join(lines)

    def arrays(self) -> list[tuple[str, str]]:
        """Return (name, its numbers in rows) of the inputs, the result y and the upstream gradient gy."""
        e = self.example
        labels = {name: value for name, value in e.recipe.options.items() if isinstance(value, np.ndarray)}
        return [(name, _in_rows(name, array)) for name, array in (e.inputs | labels | {"y": e.y, "gy": e.gy}).items()]

    def sums(self) -> tuple[str, str]:
        """Return one element of the result and one of the gradient, written out in numbers."""
        e, x = self.example, next(iter(self.example.inputs))
        return (
            f"{_element('y', e.at)} = {e.result()} = {e.y[e.at]:.6g}",
            f"{_element(f'g{x}', e.source)} = {e.gradient()} = {e.gx[e.source]:.6g}",
        )

    def text(self, width: int = 0) -> str:
        """Return the explanation as text.

        Parameters
        ----------
        width : int
            Of the terminal in characters; in a wide one the rungs stand side by side.
        """
        from .text import as_text

        return as_text(self, width)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        from .page import fragment

        return fragment(self)

    def page(self) -> str:
        """Return the explanation as an HTML document that needs nothing else."""
        return document(f"tinyunet explain {self.name}", self._repr_html_())


def _document(function: Callable | type[Op]) -> tuple[str, list[tuple[int | None, str]], str]:
    """Return the first sentence of a docstring, the lines of its formula, and what is said of it."""
    intro = re.split(r"\n\n(?:Parameters|Returns)\n-", inspect.getdoc(function))[0]
    summary, _, rest = intro.partition("\n\n")
    blocks = rest.split("\n\n") if rest else []
    formula = [block for block in blocks if block.startswith("    ")]
    notes = "\n\n".join(block for block in blocks if not block.startswith("    "))
    if not formula and (other := re.search(r"formulas .* of `(\w+)`", notes)):
        return summary, _document(getattr(F, other[1]))[1], notes
    return summary, _numbered("\n\n".join(formula)), notes


def _numbered(formula: str) -> list[tuple[int | None, str]]:
    """Give each line of a formula the number that stands at its end, or at the end of a line that continues it."""
    found, waiting = [], []
    for line in textwrap.dedent(formula).splitlines():
        waiting.append(line)
        if number := re.search(r"\((\d)\)$", line):
            found += [(int(number[1]), part) for part in waiting]
            waiting = []
    return found + [(None, line) for line in waiting]


def _near(name: str, found: dict) -> str:
    folders = [other for other, function in found.items() if f".{name}." in function.__module__]
    near = folders or difflib.get_close_matches(name, found, 4, 0.5) or [other for other in found if name in other]
    return f"; near it: {', '.join(near)}" if near else ""


def _of_that_size(array: np.ndarray, x: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that another input has where x has `shape`: as large as x, a kernel, or one per channel."""
    if array.shape == x.shape:
        return shape
    return (shape[1], shape[1], *array.shape[2:]) if array.ndim == 4 else (shape[1],)


def _readable(count: float) -> str:
    for unit in ("", "k", "M"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} G"


def _element(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, index))}]" if index else name


def _in_rows(name: str, array: np.ndarray) -> str:
    """Return each plane of an array as text, its rows below one another behind its name."""
    if array.ndim == 0:
        return f"{name} = {array:.6g}"
    rows = []
    for title, values, _ in planes(name, array, np.ones(array.shape, bool)):
        cells = [[f"{value:.4g}" for value in row] for row in values]
        size = max(len(cell) for row in cells for cell in row)
        for k, row in enumerate(cells):
            head = f"{title} = " if k == 0 else " " * len(f"{title} = ")
            rows.append(head + "  ".join(cell.rjust(size) for cell in row))
    return "\n".join(rows)
