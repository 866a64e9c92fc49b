"""The formulas of the docstrings, as the site sets them."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tinyunet import functional

from .pages import DOCS

SPEC = importlib.util.spec_from_file_location("formulas", DOCS / "extensions" / "formulas.py")
formulas = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(formulas)

CASES = {
    "y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,p,q] w[o,c,u,v]": (
        r"y_{n,o,i,j} = b_{o} + \sum_{c,u,v}\,x_{n,c,p,q}\,w_{o,c,u,v}"
    ),
    "gx = gy where y > 0, else 0": r"\mathit{gx} = \mathit{gy} \text{ where } y > 0 , \text{ else } 0",
    "y = exp(x[c]) / sum_k exp(x[k])": r"y = \frac{\exp(x_{c})}{\sum_{k}\,\exp(x_{k})}",
    "y = a b/c": r"y = a\,\frac{b}{c}",
    "y = a b / c": r"y = \frac{a\,b}{c}",
    "y = a / b / (c + d)": r"y = \frac{a}{(b)\,(c + d)}",
    "y = -(a - b) / c^2": r"y = {-\frac{a - b}{c^{2}}}",
    "z[t[m],m] = floor(i / SH)": r"z_{t_{m},m} = \left\lfloor \frac{i}{\mathit{SH}} \right\rfloor",
    "y = x[floor(i / SH)]": r"y = x_{\left\lfloor i / \mathit{SH} \right\rfloor}",
    "w <- w - lr sqrt(beta1^t)": r"w \leftarrow w - \text{lr}\,\sqrt{\beta_{1}^{t}}",
    "<A x, y> = <x, A' y>": r"\langle A\,x , y \rangle = \langle x , A^{\prime}\,y \rangle",
    "d = t over 3 x 3": r"d = t \text{ over } 3\,\times\,3",
}


@pytest.mark.parametrize("text", CASES)
def test_translation(text):
    (row,) = formulas.translate(f"    {text}")
    assert row == ([CASES[text]], "")


def test_numbers_remarks_and_lines_that_go_on():
    rows = formulas.translate(
        """
        y  = a b,   (p,q) = (i, j)        (1)
        gx = sum of gy over the windows, in
             order                        (2)
        """
    )
    assert [row.number for row in rows] == ["1", "2"]
    assert rows[0].parts == [r"y = a\,b ,", "(p , q) = (i , j)"]
    assert rows[1].parts == [r"\mathit{gx} = \text{ sum of } \mathit{gy} \text{ over the windows} , \text{ in order}"]


@pytest.mark.parametrize(
    "text",
    [
        "x -> encoder1 -> pool",
        "def f(x):\n    return x",
        "op.py          the formula",
        "A = 1  1  0\n    0  1  1",
        "y = a[",
        "y = 'text'",
    ],
)
def test_what_is_no_formula_is_left_alone(text):
    assert formulas.translate(text) is None


def blocks_of(name: str) -> list[str]:
    """Return the indented blocks of an operation's docstring that hold numbered equations."""
    text = getattr(functional, name).__doc__.split("Parameters\n")[0]
    return [b for b in re.split(r"\n\s*\n", text) if re.search(r" \(\d\)\s*$", b)]


@pytest.mark.parametrize("name", [name for name in functional.__all__ if blocks_of(name)])
def test_equations_of_the_operations_are_translated_with_their_numbers(name):
    for block in blocks_of(name):
        rows = formulas.translate(block)
        assert rows, block
        assert [row.number for row in rows] == re.findall(r" \((\d)\)\s*$", block, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in functional.__all__ if blocks_of(name)])
def test_the_browser_can_draw_them(name):
    latex2mathml = pytest.importorskip("docutils.utils.math.latex2mathml")
    for block in blocks_of(name):
        for row in formulas.translate(block):
            for part in row.parts:
                assert latex2mathml.tex2mathml(part).startswith("<math")


def test_most_operations_have_numbered_equations():
    assert sum(bool(blocks_of(name)) for name in functional.__all__) >= 15
