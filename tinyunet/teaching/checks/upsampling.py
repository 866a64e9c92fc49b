"""Checks: the article's 4.3, the transposed convolution, what they make of sizes, and how one is the other."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
X, W = _random.integers(-4, 5, (3, 4)).astype(float), _random.integers(1, 6, (2, 3)).astype(float)


def _article(x, w, s: int) -> np.ndarray:
    return F.upsample_conv2d(x[None, None], w[None, None], scale=s).data[0, 0]


def _stamps(x, w, s: int) -> np.ndarray:
    return F.conv_transpose2d(x[None, None], w[None, None], stride=s).data[0, 0]


def _equal(found, expected) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected)


@exercise
def upsample_conv(fn):
    """The article's formula 4.3."""
    right = _article(X, W, 2)
    found = as_array(fn(X, W, 2))
    require(
        not _equal(found, _stamps(X, W, 2)), "that is the transposed convolution; formula (1) reads, it does not stamp"
    )
    require(
        found.shape == right.shape,
        f"3 x 4 pixels, a 2 x 3 kernel and s = 2 give s*H - KH + 1 rows: {right.shape}, got {found.shape}",
    )
    require(
        not _equal(found, _article(X, W[::-1, ::-1], 2)), "the kernel is flipped: x[(i+u)//s, (j+v)//s] meets w[u,v]"
    )
    if _equal(found, _article(X, W.sum(keepdims=True), 2)[: found.shape[0], : found.shape[1]]):
        require(False, "the offsets must be added before the division: (i + u) // s, not i // s")
    if _equal(found, X[1:, 1:].repeat(2, 0).repeat(2, 1)[: found.shape[0], : found.shape[1]] * W[-1, -1]):
        require(False, "only one product is left: each one must be added, with +=")
    require_close(
        found, right, "each y[i,j] adds x[(i+u)//s, (j+v)//s] * w[u,v] over all rows and columns of the kernel"
    )
    require_close(fn(X, W, 3), _article(X, W, 3), "right for s = 2, but not for s = 3")
    require_close(fn(X, W, 1), _article(X, W, 1), "with s = 1 it must be the convolution of lesson 02")


@exercise
def same_padding(fn):
    """The padding that keeps the article's formula at s H rows."""
    before, behind = fn(3)
    require(
        before + behind == 2, "sH + before + behind - k + 1 = sH: for k = 3 that makes 2 rows in all, whatever s is"
    )
    require((before, behind) == (1, 1), "two rows in all: one before and one behind")
    require(tuple(fn(1)) == (0, 0), "a kernel of one row needs no padding")
    require(sum(fn(4)) == 3, "a kernel of 4 needs k - 1 = 3 rows in all")
    require(tuple(fn(4)) == (1, 2), "three rows in all: the extra one goes behind, so (1, 2)")
    for k in range(2, 9):
        require(tuple(fn(k)) == ((k - 1) // 2, k // 2), f"k = {k} needs {((k - 1) // 2, k // 2)}, got {tuple(fn(k))}")


@exercise
def conv_transpose(fn):
    """The transposed convolution."""
    right = _stamps(X, W, 2)
    found = as_array(fn(X, W, 2))
    require(
        not _equal(found, _article(X, W, 2)), "that is the article's formula; here each input pixel stamps the kernel"
    )
    hint = f"the last stamp begins in row (H-1)*s and is KH rows high: the size is {right.shape}, got {found.shape}"
    require(found.shape == right.shape, hint)
    require(
        not _equal(found, _stamps(X, W[::-1, ::-1], 2)),
        "the kernel is flipped: w[u,v] is stamped at (i*s + u, j*s + v)",
    )
    assigned = np.zeros_like(right)
    for i, j in np.ndindex(*X.shape):
        assigned[2 * i : 2 * i + 2, 2 * j : 2 * j + 3] = X[i, j] * W
    require(
        not _equal(found, assigned), "a later stamp wipes out the earlier one: where they overlap they add, with +="
    )
    require_close(found, right, "pixel x[i,j] adds x[i,j] * w[u,v] to y[i*s + u, j*s + v]")
    require_close(fn(X, W, 3), _stamps(X, W, 3), "right for s = 2, but not for s = 3 (where stamps leave gaps)")


@exercise
def coverage(fn):
    """How many stamps lie on a pixel."""
    counts = as_array(fn(3, 2))
    require(
        counts.shape == (2,),
        f"one count for each remainder 0 to s - 1, so 2 of them for s = 2; got shape {counts.shape}",
    )
    require(counts.sum() == 3, "each of the k = 3 places of the stamp has one remainder, so the counts add up to 3")
    require(counts.tolist() == [2, 1], "u = 0 and u = 2 leave the remainder 0, u = 1 leaves 1: [2, 1]")
    require(list(fn(2, 3)) == [1, 1, 0], "a stamp narrower than the stride leaves gaps: k = 2, s = 3 gives [1, 1, 0]")
    for k, s in ((4, 2), (5, 2), (5, 3), (7, 4)):
        right = [len(range(remainder, k, s)) for remainder in range(s)]
        require(list(fn(k, s)) == right, f"k = {k}, s = {s} gives {right}, got {list(fn(k, s))}")


@exercise
def transposed_padding(fn):
    """The padding with which a transposed convolution makes exactly s H rows."""
    for k, s in ((2, 2), (3, 2), (4, 2), (5, 2), (5, 3), (7, 4)):
        P, Q = fn(k, s)
        text = f"k = {k}, s = {s}: P = {P} and Q = {Q}"
        require(int(P) == P and int(Q) == Q, f"{text}; rows are whole numbers")
        require(P >= 0 and Q >= 0, f"{text}; neither can be negative")
        rows = 9 * s - 2 * P + k + Q
        require(rows == 10 * s, f"{text} make {rows} rows of 10 by (3), wanted {10 * s}: solve (3) for 2P - Q")
        require(Q < s, f"{text}; Q must be smaller than s: take the smallest P that does not make Q negative")


def _gradient(gy, w, s: int, shape) -> np.ndarray:
    x = Tensor(np.zeros((1, 1, *shape)), requires_grad=True)
    F.upsample_conv2d(x, w[None, None], scale=s).backward(gy[None, None])
    return x.grad[0, 0]


@exercise
def upsample_input_gradient(fn):
    """The gradient of the article's formula in the image."""
    gy = _random.normal(size=(5, 6))
    right = _gradient(gy, W, 2, X.shape)
    found = as_array(fn(gy, W, 2, X.shape))
    require(found.shape == X.shape, f"gx has one number for each pixel of x: shape {X.shape}, got {found.shape}")
    ones = _gradient(np.ones_like(gy), W, 2, X.shape)
    require(not np.allclose(found, ones), "the upstream gradient gy is missing: each share is gy[i,j] * w[u,v]")
    if np.allclose(found, _gradient(gy, W[::-1, ::-1], 2, X.shape)):
        require(False, "the kernel is flipped: y[i,j] hands gy[i,j] * w[u,v] to the pixel that w[u,v] has met")
    hint = "many shares reach one pixel, and they add: gx[(i+u)//s, (j+v)//s] += gy[i,j] * w[u,v]"
    require_close(found, right, hint, 1e-9)
    gy = _random.normal(size=(8, 10))
    require_close(fn(gy, W, 3, X.shape), _gradient(gy, W, 3, X.shape), "right for s = 2, but not for s = 3", 1e-9)


@exercise
def effective_kernel(fn):
    """The stamp with which a transposed convolution is the article's formula."""
    w = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10.0]])
    right = F.to_conv_transpose(w[None, None], scale=2)[0, 0]
    found = as_array(fn(w, 2))
    require(found.shape == (4, 4), f"W has s + k - 1 rows and columns, 4 for k = 3 and s = 2; got shape {found.shape}")
    require(not np.allclose(found, right[::-1, ::-1]), "the kernel must be flipped before it is added: w[::-1, ::-1]")
    require(not np.allclose(found, right.T), "w.T exchanges rows and columns; to flip is w[::-1, ::-1]")
    if np.isclose(found.sum(), w.sum()) or np.isclose(found.sum(), 2 * w.sum()):
        require(False, "all s * s = 4 places (a, b) get a copy of the kernel: (0,0), (0,1), (1,0) and (1,1)")
    require_close(
        found, right, "copies overlap and add: W[a : a+k, b : b+k] += flipped kernel, for a and b from 0 to s-1"
    )
    require_close(fn(w, 3), F.to_conv_transpose(w[None, None], scale=3)[0, 0], "right for s = 2, but not for s = 3")
