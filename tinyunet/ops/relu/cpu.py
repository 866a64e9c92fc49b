"""The rectifier on the CPU: one pass over memory per direction."""

import numpy as np

from ..jit import kernel


@kernel
def _forward(first, last, x, y):
    zero, x, y = y.dtype.type(0), x[first:last], y[first:last]
    for k in range(y.size):
        y[k] = zero if x[k] < zero else x[k]  # (1); the comparison is false for NaN, which passes through


@kernel
def _backward(first, last, gy, y, gx):
    zero, gy, y, gx = y.dtype.type(0), gy[first:last], y[first:last], gx[first:last]
    for k in range(gx.size):
        gx[k] = gy[k] if y[k] > zero else zero  # (2)


def forward(x):
    """Compute y by equation (1)."""
    y = np.empty(x.shape, x.dtype)
    _forward[x.size](np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
    return y


def backward_input(gy, y):
    """Compute gx by equation (2)."""
    gx = np.empty(gy.shape, gy.dtype)
    _backward[y.size](np.ascontiguousarray(gy).reshape(-1), np.ascontiguousarray(y).reshape(-1), gx.reshape(-1))
    return gx
