"""Checks: maximum and average pooling, their gradients, and the receptive field."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
X = _random.permutation(35).reshape(5, 7) - 27.0  # no ties, most of it negative
TIED = np.array([[0, 0, 2, 3], [0, 0, 3, 1], [1, 4, 5, 5], [4, 0, 5, 5.0]])


def _right(op, x, k: int) -> np.ndarray:
    return op(x[None, None], k).data[0, 0]


def _gradient(op, x, gy, k: int) -> np.ndarray:
    tensor = Tensor(x[None, None], requires_grad=True)
    op(tensor, k).backward(gy[None, None])
    return tensor.grad[0, 0]


def _require_windows(found: np.ndarray, k: int) -> None:
    require(
        found.shape != (6 - k, 8 - k),
        "windows do not overlap: window i begins in row i*k, and there are H // k of them",
    )
    shape = 5 // k, 7 // k
    require(
        found.shape == shape,
        f"5 x 7 pixels and k = {k} give H // k rows and W // k columns, {shape}; got {found.shape}",
    )


@exercise
def max_pool(fn):
    """Maximum pooling."""
    found = as_array(fn(X, 2))
    _require_windows(found, 2)
    right = _right(F.max_pool2d, X, 2)
    require(
        not np.allclose(found, _right(F.avg_pool2d, X, 2)), "that is the mean: formula (1) keeps the largest number"
    )
    if np.allclose(found, np.maximum(right, 0)):
        require(False, "pixels may all be negative: start from the first of them, or from -infinity, and not from 0")
    require_close(found, right, "window (i,j) holds rows i*k to i*k+k-1 and columns j*k to j*k+k-1")
    require_close(fn(X, 3), _right(F.max_pool2d, X, 3), "right for k = 2, but not for k = 3")


@exercise
def average_pool(fn):
    """Average pooling."""
    found = as_array(fn(X, 3))
    _require_windows(found, 3)
    right = _right(F.avg_pool2d, X, 3)
    require(not np.allclose(found, 9 * right), "that is the sum: divide it by the number of pixels in a window")
    require(not np.allclose(found, 3 * right), "a window of k rows and k columns has k*k pixels, not k")
    require(not np.allclose(found, 9 / 4 * right), "divided by 4, which is right for k = 2 only")
    require_close(found, right, "window (i,j) holds rows i*k to i*k+k-1 and columns j*k to j*k+k-1")
    require_close(fn(X, 2), _right(F.avg_pool2d, X, 2), "right for k = 3, but not for k = 2")


@exercise
def max_pool_gradient(fn):
    """The gradient of maximum pooling."""
    gy = np.array([[1.5, -2, 3], [0.5, 4, -1]])
    right = _gradient(F.max_pool2d, X, gy, 2)
    found = as_array(fn(X, gy, 2))
    require(found.shape == X.shape, f"gx has one number for each pixel of x: shape {X.shape}, got {found.shape}")
    if np.allclose(found, np.where(right != 0, X, 0)):
        require(False, "the winners are right, but they get the gradient gy[i,j] and not their own value")
    require(not np.allclose(found, right != 0), "the upstream gradient is missing: the winner gets gy[i,j], not 1")
    require(found.any(), "gx is 0 everywhere: nothing was handed back")
    if np.count_nonzero(found[2:]) == 0:
        require(False, "argmax counts inside the window: the pixel of the image is (i*k + u, j*k + v)")
    require_close(found, right, "in window (i,j) only the largest pixel gets gy[i,j], all others get 0")
    gy = np.array([[1, 2], [3, 4.0]])
    found, right = as_array(fn(TIED, gy, 2)), _gradient(F.max_pool2d, TIED, gy, 2)
    if np.count_nonzero(found) > 4:
        require(
            False, "where pixels are equal only one may get the gradient: four windows, so four numbers that are not 0"
        )
    require_close(found, right, "where pixels are equal the first one wins, row by row and from left to right")
    wide = _random.permutation(35).reshape(5, 7) * 1.0
    gy = np.array([[5.0, -6]])
    require_close(fn(wide, gy, 3), _gradient(F.max_pool2d, wide, gy, 3), "right for k = 2, but not for k = 3")


@exercise
def average_pool_gradient(fn):
    """The gradient of average pooling."""
    gy = np.array([[1.5, -2, 3], [0.5, 4, -1]])
    right = _gradient(F.avg_pool2d, X, gy, 2)
    found = as_array(fn(gy, 2, X.shape))
    hint = f"gx has the shape of x, {X.shape}, also where a row and a column are in no window; got {found.shape}"
    require(found.shape == X.shape, hint)
    require(
        not np.allclose(found, 4 * right),
        "each pixel gets a share: gy[i,j] divided by the number of pixels in a window",
    )
    require(not np.allclose(found, 2 * right), "a window of k rows and k columns has k*k pixels, not k")
    require(
        not found[4].any() and not found[:, 6].any(), "the last row and column are in no window: their gradient is 0"
    )
    require_close(found, right, "all k*k pixels of window (i,j) get the same share of gy[i,j]")
    gy = np.array([[5.0, -6]])
    require_close(fn(gy, 3, X.shape), _gradient(F.avg_pool2d, X, gy, 3), "right for k = 2, but not for k = 3")


def _field(layers) -> int:
    r = t = 1
    for k, s in layers:
        r, t = r + (k - 1) * t, t * s
    return r


@exercise
def receptive_field(fn):
    """The receptive field of a list of layers."""
    require(fn([]) == 1, "before the first layer a pixel sees itself: r begins with 1")
    require(fn([(3, 1)]) == 3, "one 3 x 3 convolution sees 3 pixels: r grows by (k-1) t, and t begins with 1")
    require(fn([(3, 1), (3, 1)]) == 5, "a second 3 x 3 convolution adds one pixel on each side: 5")
    require(
        fn([(2, 2)]) == 2,
        "a pooling of 2 sees 2 pixels: r grows with the old step t, and only then t is multiplied by s",
    )
    require(fn([(2, 2), (3, 1)]) == 6, "behind a pooling the step is 2, so a 3 x 3 convolution adds (3-1) * 2 pixels")
    require(fn([(2, 2), (2, 2), (3, 1)]) == 12, "steps multiply: behind two poolings of 2 the step is 2 * 2 = 4")
    for layers in ([(7, 2), (3, 1), (3, 2), (5, 1)], [(3, 3), (2, 2), (3, 1)]):
        require(fn(layers) == _field(layers), f"the layers {layers} see {_field(layers)} pixels, got {fn(layers)}")


@exercise
def depth_for(fn):
    """The depth that a network needs to see so many pixels."""
    require(isinstance(fn(60), int | np.integer), "a depth is a whole number")
    require(fn(5) == 0, "two convolutions see 5 pixels without any pooling: depth 0 is enough for 5")
    require(fn(6) == 1, "depth 0 sees 5 pixels, which is less than 6; the next depth sees 14")
    require(fn(14) == 1, "conv, conv, pool, conv, conv sees 14 pixels: depth 1 is enough, and 'at least 14' holds")
    require(fn(68) == 3 and fn(69) == 4, "depth 3, the article's encoder, sees 68 pixels: enough for 68, not for 69")
    for depth in range(5, 8):
        most = _field([(3, 1), (3, 1), (2, 2)] * depth + [(3, 1)] * 2)
        require(fn(most) == depth, f"depth {depth} sees {most} pixels; is your range of depths long enough?")
