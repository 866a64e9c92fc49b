"""The arithmetic behind the operators and methods of `Tensor`: +, -, *, /, **, sum, reshape, to.

NumPy needs no help here; for arrays on a GPU, CuPy answers the same calls.
"""

from __future__ import annotations

import numpy as np

from ..autograd import Op
from ..backend import device_of, to_device


def unbroadcast(gradient, shape: tuple[int, ...]):
    """Sum `gradient` over the axes along which an operand of `shape` was repeated by broadcasting."""
    if gradient.shape == shape:
        return gradient
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient


class _Binary(Op):
    """y = f(a, b) element by element with broadcasting; subclasses give the two local derivatives."""

    def backward(self, gy):
        gradients = zip(self.local_gradients(gy), self.needs_grad, self.shapes, strict=True)
        return tuple(unbroadcast(g(), shape) if needed else None for g, needed, shape in gradients)


class Add(_Binary):
    """y = a + b; ga = gy, gb = gy."""

    def forward(self, a, b):
        return a + b

    def local_gradients(self, gy):
        return (lambda: gy), (lambda: gy)


class Subtract(_Binary):
    """y = a - b; ga = gy, gb = -gy."""

    def forward(self, a, b):
        return a - b

    def local_gradients(self, gy):
        return (lambda: gy), (lambda: -gy)


class Multiply(_Binary):
    """y = a b; ga = gy b, gb = gy a."""

    def forward(self, a, b):
        self.save(a, b)
        return a * b

    def local_gradients(self, gy):
        a, b = self.saved
        return (lambda: gy * b), (lambda: gy * a)


class Divide(_Binary):
    """y = a / b; ga = gy / b, gb = -gy a / b^2."""

    def forward(self, a, b):
        self.save(a, b)
        return a / b

    def local_gradients(self, gy):
        a, b = self.saved
        return (lambda: gy / b), (lambda: -gy * a / (b * b))


class Power(Op):
    """y = a^k for a constant k; ga = gy k a^(k-1)."""

    def forward(self, a, *, exponent):
        self.exponent = exponent
        self.save(a)
        return a**exponent

    def backward(self, gy):
        (a,) = self.saved
        return (gy * (self.exponent * a ** (self.exponent - 1)),)


class Sum(Op):
    """y = sum of a over some axes; ga repeats gy along them."""

    def forward(self, a, *, axis, keepdims):
        self.shape = a.shape
        self.kept = a.sum(axis=axis, keepdims=True).shape
        return a.sum(axis=axis, keepdims=keepdims)

    def backward(self, gy):
        return (np.broadcast_to(gy.reshape(self.kept), self.shape),)


class Reshape(Op):
    """The same elements in another shape, forward and backward."""

    def forward(self, a, *, shape):
        self.shape = a.shape
        return a.reshape(shape)

    def backward(self, gy):
        return (gy.reshape(self.shape),)


class ToDevice(Op):
    """The same values on another device; the gradient goes back to where they came from."""

    def forward(self, a, *, device):
        self.origin = device_of(a)
        return to_device(a, device)

    def backward(self, gy):
        return (to_device(gy, self.origin),)
