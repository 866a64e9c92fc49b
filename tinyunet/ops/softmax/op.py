"""Softmax and its logarithm: the formulas and their autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ShapeError


def _flatten(x, axis: int):
    """Return a view (before, C, after) of x with the classes in the middle."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"axis {axis} does not exist in an array of shape {x.shape}")
    axis %= x.ndim
    before, after = 1, 1
    for size in x.shape[:axis]:
        before *= size
    for size in x.shape[axis + 1 :]:
        after *= size
    return x.reshape(before, x.shape[axis], after)


class Softmax(Op):
    """The autograd op behind `softmax`; equation numbers are those of its docstring."""

    def forward(self, x, *, axis):
        self.kernels = choose_kernels(x, __package__)
        y = self.kernels.softmax(_flatten(x, axis))  # (1)
        self.save(y)
        return y.reshape(x.shape)

    def backward(self, gy):
        (y,) = self.saved
        return (self.kernels.softmax_backward(gy.reshape(y.shape), y).reshape(gy.shape),)  # (2)


class LogSoftmax(Op):
    """The autograd op behind `log_softmax`; equation numbers are those of its docstring."""

    def forward(self, x, *, axis):
        self.kernels = choose_kernels(x, __package__)
        y = self.kernels.log_softmax(_flatten(x, axis))  # (1)
        self.save(y)
        return y.reshape(x.shape)

    def backward(self, gy):
        (y,) = self.saved
        return (self.kernels.log_softmax_backward(gy.reshape(y.shape), y).reshape(gy.shape),)  # (2)


def softmax(x, *, axis: int = 1) -> Tensor:
    """Map scores of classes to probabilities that sum to 1 along `axis`.

        y[c]  = exp(x[c]) / sum_k exp(x[k])            (1)
        gx[c] = y[c] (gy[c] - sum_k gy[k] y[k])        (2)

    The largest score is subtracted first, which changes nothing and cannot overflow.

    Parameters
    ----------
    x : float array or Tensor of any shape
    axis : int
        The axis of the classes.

    Returns
    -------
    Tensor of x's shape, in [0, 1]

    Raises
    ------
    ShapeError
        If the axis does not exist.
    """
    return Softmax.apply(x, axis=axis)


def log_softmax(x, *, axis: int = 1) -> Tensor:
    """Return the logarithm of softmax, computed without taking the logarithm of a rounded probability.

        y[c]  = x[c] - log sum_k exp(x[k])             (1)
        gx[c] = gy[c] - exp(y[c]) sum_k gy[k]          (2)

    Parameters
    ----------
    x : float array or Tensor of any shape
    axis : int
        The axis of the classes.

    Returns
    -------
    Tensor of x's shape, at most 0

    Raises
    ------
    ShapeError
        If the axis does not exist.
    """
    return LogSoftmax.apply(x, axis=axis)
