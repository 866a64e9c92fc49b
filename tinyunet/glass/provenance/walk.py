"""How provenance asks: two things walk backward through the recorded graph, both by the operations' own `backward`.

No formula of an operation is written here.

*The derivative* starts as 1 at the element and 0 elsewhere, so it arrives as dy/dx. Where y is a sum of products, as in
a convolution, the products are x dy/dx.

*A set of elements* says what could change the element at all. A derivative that happens to be 0 must lose nothing here:
a pixel below a ReLU that is off, the losers of a maximum, a weight that is 0. `backward` is linear in gy,

    gx[k] = sum_m gy[m] dy[m]/dx[k]

and computes the derivatives from what the op saved. So each op is asked with other numbers: random ones between 1/4 and
3/4 in place of the values that it saved (then a ReLU is on, no weight is 0, no sigmoid saturated), and for gy random
ones in the marked elements, 0 in the others. If the formula pairs no marked m with k, every term is 0 and gx[k] is
exactly 0. If it pairs one, gx[k] is a sum of random numbers that are not 0; that they cancel is about as likely as
guessing a float64. An op that saved a choice, the winner of a maximum, is asked about every choice. Constants (the
zeros of dropout, the weights of pixels in a loss) stay as they are. After each op the numbers become a set again, so
nothing under- or overflows in a deep network, and no two paths cancel.

The reference rung is asked, in float64. It needs no compilation, and it sums as the formula does; a faster kernel may
not: Winograd adds and subtracts pixels that the formula never meets, and what rounding leaves of them is not 0.

Only the graph is asked. What an operation remembers beside it, as batch normalisation its running arrays, leaves no
trace there.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator

import numpy as np

from ...autograd import Op, Tensor, ops_behind
from ...backend import choose_kernels
from ...nn.recompute import Recompute
from ...ops.binary_cross_entropy.op import BinaryCrossEntropy
from ...ops.cross_entropy.op import CrossEntropy
from ...ops.dropout import Dropout
from ...ops.max_pool2d.op import MaxPool2d
from ...settings import use_kernels

CONSTANTS = {Dropout: 0, CrossEntropy: 2, BinaryCrossEntropy: 2}
"""Which of the saved arrays comes from no tensor, so that its zeros are there for good."""


def derivatives(last: Op, element: np.ndarray) -> dict[Op | Tensor, np.ndarray]:
    """Return the derivative of one element of the result of `last` by everything behind it.

    Parameters
    ----------
    last : Op
    element : float array of the shape of its result
        1 at the element, 0 elsewhere.

    Returns
    -------
    dict
        Of leaf tensors, and of ops, which stand for their results.
    """
    return _walk(last, element, lambda op, gy: op.backward(gy), np.add)


def what_could_change(last: Op, element: np.ndarray) -> dict[Op | Tensor, np.ndarray]:
    """Return which elements of everything behind `last` could change one element of its result.

    Parameters
    ----------
    last : Op
    element : bool array of the shape of its result
        True at the element.

    Returns
    -------
    dict
        Of leaf tensors, and of ops, which stand for their results: bool arrays of their shapes.
    """
    rng = np.random.default_rng(0)
    with use_kernels("reference"):
        return _walk(last, element, lambda op, marked: _reached(op, marked, rng), np.logical_or)


def _walk(last: Op, start, step: Callable, join: Callable) -> dict[Op | Tensor, np.ndarray]:
    """Carry `start` from the result of `last` back to everything behind it, and return what arrived where.

    This is `backward`, but for any `step(op, arrived)`, and the graph stays as it was, for the next walk.
    """
    arrived = {last: start}
    for op in reversed(ops_behind(last)):
        for parent, value in zip(op.parents, step(op, arrived[op]), strict=True):
            if parent is not None:
                arrived[parent] = join(arrived[parent], value) if parent in arrived else value
    return arrived


def _reached(op: Op, marked: np.ndarray, rng: np.random.Generator) -> list[np.ndarray | None]:
    """Return for each input of an op which of its elements can change a marked element of the result."""
    if isinstance(op, Recompute):  # a whole block: walk through the graph of its second pass
        inputs, y = op.again()
        found = _walk(y.creator, marked, lambda inner, marks: _reached(inner, marks, rng), np.logical_or)
        return [found.get(t, np.zeros(t.shape, bool)) for t in (*inputs, *op.parameters)]
    upstream = np.where(marked, rng.uniform(0.25, 0.75, marked.shape), 0)
    answers = [asked.backward(upstream) for asked in _with_other_numbers(op, marked.shape, rng)]
    return [None if gradients[0] is None else np.any(gradients, axis=0) for gradients in zip(*answers, strict=True)]


def _with_other_numbers(op: Op, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Op]:
    """Yield copies of an op that saved other numbers: what its derivative could be for other values of the tensors."""
    asked = copy.copy(op)
    if hasattr(op, "kernels"):
        asked.kernels = choose_kernels(rng.random(0), sys.modules[type(op).__module__].__package__)
    if isinstance(op, MaxPool2d):
        for winner in range(op.geometry.KH * op.geometry.KW):
            asked.saved = (np.full(shape, winner, np.uint16),)
            yield asked
        return
    asked.saved = tuple(
        a if a is None or a.dtype.kind != "f" or CONSTANTS.get(type(op)) == k else rng.uniform(0.25, 0.75, a.shape)
        for k, a in enumerate(op.saved)
    )
    yield asked
