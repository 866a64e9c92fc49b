"""Worked examples: tiny integers through the real operation, and one result and one gradient written out in numbers.

Where a result is a sum of products, the operation itself says which ones, by provenance: the numbers come from its
`backward` and not from a second copy of its formula. For the others `recipes.py` writes the formula with the
numbers in place. Every expression is Python; the tests evaluate it and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ... import functional as F
from ...autograd import Op, Tensor
from ...settings import use_kernels
from ..provenance.answer import Provenance, as_factor, provenance
from .recipes import RECIPES, Recipe


@dataclass(frozen=True)
class Example:
    """A recipe that was computed.

    Attributes
    ----------
    inputs : dict of array
        By name; x is the first.
    y, gy, gx : arrays
        Result, upstream gradient, and the gradient of x.
    trace : Provenance
        Of the element of y that is written out.
    """

    recipe: Recipe
    inputs: dict[str, np.ndarray]
    y: np.ndarray
    gy: np.ndarray
    gx: np.ndarray
    trace: Provenance

    @property
    def x(self) -> np.ndarray:
        """The first input."""
        return next(iter(self.inputs.values()))

    def result(self) -> str:
        """Write the element `at` of y in numbers."""
        return self.recipe.write_result(self) if self.recipe.write_result else self.trace.sum_of_products()

    def gradient(self) -> str:
        """Write the element `source` of gx in numbers."""
        return (self.recipe.write_gradient or _sum_over_results)(self)

    @property
    def at(self) -> tuple[int, ...]:
        """The element of y that is written out."""
        return self.recipe.at

    @property
    def source(self) -> tuple[int, ...]:
        """The element of x whose gradient is written out."""
        return self.recipe.source


def compute(name: str, function: Callable | type[Op]) -> Example:
    """Run the example of an operation on the reference rung, which needs no compilation."""
    recipe = RECIPES[name]
    call = function.apply if isinstance(function, type) else function
    if name == "concat":  # takes one list
        call = lambda x1, x2, **options: F.concat([x1, x2], **options)  # noqa: E731
    tensors = [Tensor(a.astype(np.float64), requires_grad=True) for a in recipe.inputs.values()]
    with use_kernels("reference"):
        y = call(*tensors, **_fresh(recipe.options))
        gy = (1.0 + np.arange(y.size) % 3).reshape(y.shape)
        trace = provenance(call, *(t.data for t in tensors), at=recipe.at, **_fresh(recipe.options))
        y.backward(gy)
    inputs = {key: t.data for key, t in zip(recipe.inputs, tensors, strict=True)}
    return Example(recipe, inputs, y.data, gy, tensors[0].grad, trace)


def _fresh(options: Mapping) -> dict:
    return {key: value() if callable(value) else value for key, value in options.items()}


def _sum_over_results(e: Example) -> str:
    """The element of gx as the sum over the results that it reaches: upstream gradient times derivative."""
    reached = [(k, e.trace.moved(k).inputs) for k in np.ndindex(e.y.shape)]
    found = [f"{as_factor(e.gy[k])}*{as_factor(x.gradient[e.source])}" for k, x in reached if x.mask[e.source]]
    return " + ".join(found) or "0"
