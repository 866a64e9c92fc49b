"""Checks: convolution and its gradients, written as loops."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
X, W = _random.integers(-4, 5, (5, 6)).astype(float), _random.integers(-3, 4, (2, 3)).astype(float)


def _right(x, w, b=None, **options) -> np.ndarray:
    x, w = np.asarray(x, float), np.asarray(w, float)
    if x.ndim == 2:
        return F.conv2d(x[None, None], w[None, None], **options).data[0, 0]
    return F.conv2d(x, w, b, **options).data


@exercise
def output_size(fn):
    """The number of output rows."""
    require(fn(10, 3, 1, 0) == 8, "10 rows, a kernel of 3: its top row can stand in rows 0 to 7, so there are 8 places")
    require(isinstance(fn(10, 3, 2, 0), int), "a number of rows is whole: use // and not /, the remainder is dropped")
    require(fn(10, 3, 1, 1) == 10, "padding 1 adds one row above and one below: 12 rows are there")
    require(fn(10, 3, 3, 0) == 3, "with stride 3 the places are rows 0, 3, 6: one, and one more for each full step")
    for H in range(4, 12):
        for stride in (1, 2, 3):
            for padding in (0, 1, 2):
                expected = (H + 2 * padding - 4) // stride + 1
                require(fn(H, 4, stride, padding) == expected, f"H={H}, K=4, S={stride}, P={padding} gives {expected}")


@exercise
def conv2d_loops(fn):
    """Convolution of one image, in four loops."""
    y = _right(X, W)
    found = as_array(fn(X, W))
    require(found.shape != X.shape, "the kernel must stay inside the image: H - KH + 1 rows, W - KW + 1 columns")
    if found.shape == y.shape and np.allclose(found, _right(X, W[::-1, ::-1])):
        require(False, "the kernel is flipped: formula (1) goes through image and kernel in the same direction")
    if found.shape == y.shape and np.allclose(found, X[: len(y), : y.shape[1]] * W[-1, -1]):
        require(False, "only the last product is left: each one must be added, with +=")
    require_close(found, y, "sizes or indices are off; mind that this kernel has 2 rows and 3 columns")
    ones = np.ones((3, 3))
    require_close(fn(ones, np.ones((3, 3))), [[9.0]], "a 3 x 3 kernel fits into a 3 x 3 image exactly once")


@exercise
def conv2d_channels(fn):
    """Convolution with channels, stride and padding."""
    x, w, b = _random.normal(size=(2, 3, 6, 7)), _random.normal(size=(4, 3, 3, 2)), np.array([1.0, -2.0, 0.5, 3.0])
    for bias, stride, padding, hint in (
        (np.zeros(4), 1, 0, "channels: y[n,o] sums over all input channels c, and w is w[o,c]"),
        (b, 1, 0, "the bias b[o] is added once to each output value of channel o"),
        (b, 2, 0, "the stride moves the window: it begins at row i*S and column j*S of the padded image"),
        (b, 1, 1, "padding: put P zeros on all four sides first, and take the output size from the padded image"),
        (b, 2, 1, "stride and padding do not work together yet"),
    ):
        require_close(fn(x, w, bias, stride, padding), _right(x, w, bias, stride=stride, padding=padding), hint, 1e-9)


def _gradients(gy):
    x, w = Tensor(X[None, None], requires_grad=True), Tensor(W[None, None], requires_grad=True)
    F.conv2d(x, w).backward(gy[None, None])
    return x.grad[0, 0], w.grad[0, 0]


@exercise
def conv2d_weight_gradient(fn):
    """The gradient in the kernel."""
    gy = _random.normal(size=(4, 4))
    right = _gradients(gy)[1]
    found = as_array(fn(X, gy, W.shape))
    require(found.shape == W.shape, f"gw has one number for each number of w: shape {W.shape}, got {found.shape}")
    if np.allclose(found, _gradients(np.ones((4, 4)))[1]):
        require(False, "the upstream gradient gy is missing: each input value is multiplied by gy[i,j]")
    hint = "w[u,v] meets x[i+u, j+v] in every y[i,j]: sum gy[i,j] x[i+u, j+v] over all (i,j)"
    require_close(found, right, hint, 1e-9)


@exercise
def conv2d_input_gradient(fn):
    """The gradient in the image."""
    gy = _random.normal(size=(4, 4))
    right = _gradients(gy)[0]
    found = as_array(fn(gy, W, X.shape))
    require(found.shape == X.shape, f"gx has one number for each pixel of x: shape {X.shape}, got {found.shape}")
    if np.allclose(found, _right(np.pad(gy, ((1, 1), (2, 2))), W)):
        require(False, "the kernel must be flipped here: in (5) gy has the indices p-u and q-v, with minus signs")
    hint = "many outputs reach one pixel, so their shares add: gx[i+u, j+v] += gy[i,j] * w[u,v]"
    require_close(found, right, hint, 1e-9)
