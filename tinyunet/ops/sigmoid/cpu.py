"""The logistic function on the CPU: one pass over memory per direction."""

import numpy as np

from ..jit import kernel
from ..vector_math import exp


@kernel
def _forward(first, last, x, y):
    one, x, y = y.dtype.type(1), x[first:last], y[first:last]
    for k in range(y.size):
        small = exp(-abs(x[k]))
        y[k] = (one if x[k] >= 0 else small) / (one + small)  # (1)


@kernel
def _backward(first, last, gy, y, gx):
    one, gy, y, gx = y.dtype.type(1), gy[first:last], y[first:last], gx[first:last]
    for k in range(gx.size):
        gx[k] = gy[k] * y[k] * (one - y[k])  # (2)


def forward(x):
    """Compute y by equation (1)."""
    y = np.empty(x.shape, x.dtype)
    _forward[x.size](np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
    return y


def backward_input(gy, y):
    """Compute gx by equation (2)."""
    gx = np.empty(gy.shape, gy.dtype)
    _backward[y.size](np.ascontiguousarray(gy).reshape(-1), y.reshape(-1), gx.reshape(-1))
    return gx
