"""Checks: operations and bytes, im2col, loops in the right order, Winograd, a race, the indices of a GPU thread."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ..exercise import as_array, exercise, require, require_close
from ..watched import SERIAL, watch

_random = np.random.default_rng(0)
X = _random.integers(-4, 5, (3, 5, 7)).astype(np.float32)
W = _random.integers(-3, 4, (2, 3, 3, 3)).astype(np.float32)
Y = F.conv2d(X[None], W[None][0]).data[0]


@exercise
def count(fn):
    """Operations and bytes."""
    found = fn(4, 3, 5, 7, 11, 3)
    require(isinstance(found, tuple) and len(found) == 2, "return two numbers: operations, bytes")
    flops, moved = found
    pixels, weights = 4 * 7 * 11, 5 * 3 * 9
    require(flops != pixels * weights, "a multiplication and an addition are two operations")
    require(flops != 2 * pixels * 5 * 3 * 3, "the kernel has K * K places")
    require(flops != 2 * 7 * 11 * weights, "N images need N times the operations of one")
    require(
        flops == 2 * pixels * weights, f"(1) gives {2 * pixels * weights} operations for N=4, C=3, O=5, 7 x 11, K=3"
    )
    numbers = pixels * 3 + weights + pixels * 5
    require(moved != numbers, "these are numbers; a float32 number has 4 bytes")
    require(moved != 4 * (pixels * 3 + weights), "what is written counts, too: the output has N * O * H * W numbers")
    require(moved == 4 * numbers, f"(2) gives {4 * numbers} bytes: x, w and y, each once")


@exercise
def im2col(fn):
    """The columns of im2col."""
    found = as_array(fn(X.copy(), 3))
    right = np.stack([X[c, u : u + 3, v : v + 5].ravel() for c in range(3) for u in range(3) for v in range(3)])
    require(
        found.shape != right.T.shape, "rows and columns are swapped: a row for each (c,u,v), a column for each (i,j)"
    )
    require(found.shape == right.shape, f"expected C K K = 27 rows and OH OW = 3 * 5 columns, got {found.shape}")
    if np.allclose(np.sort(found, 0), np.sort(right, 0)):
        require_close(
            found, right, "all numbers are there, but rows go by c first, then u, then v, like w.reshape(O, -1)"
        )
    require_close(found, right, "row (c,u,v) is x[c, u : u + OH, v : v + OW], laid out in one line")


def _kernel(fn, shape=Y.shape):
    """Run a learner's kernel in Python and return what it wrote, after comparing the result."""
    y = np.zeros(shape, np.float32)
    require(fn is not None, "there is no function")
    notes = watch(fn, X, W, y)
    require(notes, "nothing was written into y; the result goes there, and not to `return`")
    return y, notes


def _right(y):
    if np.allclose(y, F.conv2d(X[None], np.ascontiguousarray(W[:, :, ::-1, ::-1])).data[0]):
        require(False, "the kernel is flipped: w[o, c, u, v] meets x[c, i + u, j + v]")
    require_close(y, Y, "the sum is not that of the formula: y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]")


@exercise
def row_by_row(fn):
    """A compiled kernel, row by row."""
    y, notes = _kernel(fn)
    _right(y)
    require(hasattr(fn, "py_func"), "the function is not compiled: put @njit on the line above it")
    steps = np.diff([at for _, at in notes])
    require(
        (steps == 0).mean() < 0.5,
        "the same element is written again and again: the innermost loop must be the one over j",
    )
    require((steps == 1).mean() > 0.5, "neighbours in memory lie along j: the innermost loop must be the one over j")
    y = np.zeros_like(Y)
    fn(X, W, y)
    require_close(y, Y, "compiled, it gives another result than in Python")


class _Factor:
    """A number that knows whether it comes from the row or from the weights, and counts products of the two."""

    products = 0

    def __init__(self, value, weight):
        self.value, self.weight = value, weight

    def _with(self, other, value):
        mixed = isinstance(other, _Factor) and self.weight is not other.weight
        return _Factor(value, None if mixed else self.weight)

    def __add__(self, other):
        return self._with(other, self.value + getattr(other, "value", other))

    def __sub__(self, other):
        return self._with(other, self.value - getattr(other, "value", other))

    def __mul__(self, other):
        if isinstance(other, _Factor):
            _Factor.products += 1
            return _Factor(self.value * other.value, None)
        return _Factor(self.value * other, self.weight)

    def __truediv__(self, other):
        return _Factor(self.value / other, self.weight)

    def __neg__(self):
        return _Factor(-self.value, self.weight)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other):
        return -self + other


@exercise
def winograd(fn):
    """Winograd along a row."""
    x, w = _random.integers(-5, 6, 10).astype(float), np.array([1.0, -2.0, 4.0])
    right = np.correlate(x, w)
    _Factor.products = 0
    returned = fn([_Factor(value, False) for value in x], [_Factor(value, True) for value in w])
    require(returned is not None, "your function returned None; does it end with `return`?")
    found = np.array([getattr(value, "value", value) for value in returned], float)
    require(found.shape == right.shape, f"a row of 10 and three weights give 8 outputs, got {found.size}")
    if np.allclose(found[::2], right[::2]) and not np.allclose(found, right):
        require(False, "y0 of each pair is right, y1 is not: m1 - m2 - (x1 - x3) w2")
    A, B = x[1:-1] * w[1] + x[2:] * (w[0] + w[2]), x[1:-1] * w[1] + x[:-2] * (w[0] + w[2])
    doubled = np.where(np.arange(8) % 2, right + B, right + A)
    require(not np.allclose(found, doubled), "the halves are missing: m1 is half of A + B, and m2 half of A - B")
    require_close(found, right, "by (4), with x0 to x3 the four numbers from x[j] on: mind the signs and the halves")
    need = "4 for each pair of outputs, 16 in all"
    require(_Factor.products <= 16, f"right, but with {_Factor.products} multiplications instead of {need}")


@exercise
def repaired(fn):
    """The kernel without a race."""
    y, notes = _kernel(fn)
    raced = notes.raced()
    if raced:
        o, i, j = np.unravel_index(raced[0], Y.shape)
        first = sorted({k for k, at in notes if at == raced[0]})[:2]
        require(False, f"a race: iterations {first[0]} and {first[1]} of prange both write y[{o}, {i}, {j}]")
    _right(y)
    parallel = {k for k, _ in notes} != {SERIAL}
    require(parallel, "no loop is parallel: write prange instead of range for a loop that owns what it writes")
    options = getattr(fn, "targetoptions", {})
    require(
        options.get("parallel"), "prange works like range without @njit(parallel=True) on the line above the function"
    )
    y = np.zeros_like(Y)
    fn(X, W, y)
    require_close(y, Y, "compiled, it gives another result than in Python")


@exercise
def indices(fn):
    """The indices of a thread."""
    O, OH, OW = 3, 4, 5
    found = fn(7, O, OH, OW)
    require(isinstance(found, tuple) and len(found) == 4, "return four numbers: n, o, i, j")
    require(all(isinstance(k, int | np.integer) for k in found), "indices are whole: use // and %, not /")
    require(found[2:] != (1, 3), "j runs fastest: it is the remainder of k by OW, and not by OH")
    require(found == (0, 0, 1, 2), f"k = 7 is column 2 of row 1, since a row has OW = 5 numbers; got {found}")
    for k, right in enumerate(np.ndindex(2, O, OH, OW)):
        require(
            fn(k, O, OH, OW) == right, f"k = {k} should be {right}, got {fn(k, O, OH, OW)}: {O} x {OH} x {OW} per image"
        )
