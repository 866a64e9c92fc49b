"""Exponential and logarithm; the operators +, -, *, /, ** are in arithmetic.py. NumPy needs no help here."""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor


class Exp(Op):
    """y = exp(x); gx = gy y."""

    def forward(self, x):
        y = np.exp(x)
        self.save(y)
        return y

    def backward(self, gy):
        (y,) = self.saved
        return (gy * y,)


class Log(Op):
    """y = log(x); gx = gy / x."""

    def forward(self, x):
        self.save(x)
        return np.log(x)

    def backward(self, gy):
        (x,) = self.saved
        return (gy / x,)


def exp(x) -> Tensor:
    """Return e to the power of each element; gx = gy exp(x)."""
    return Exp.apply(x)


def log(x) -> Tensor:
    """Return the natural logarithm of each element; gx = gy / x."""
    return Log.apply(x)
