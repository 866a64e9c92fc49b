"""The logistic function on the CPU: one pass over memory per direction."""

import math

import numpy as np
from numba import prange

from ..jit import kernel


@kernel
def _forward(x, y):
    one = y.dtype.type(1)
    for k in prange(x.size):
        small = math.exp(-abs(x[k]))
        y[k] = (one if x[k] >= 0 else small) / (one + small)  # (1)


@kernel
def _backward(gy, y, gx):
    one = y.dtype.type(1)
    for k in prange(y.size):
        gx[k] = gy[k] * y[k] * (one - y[k])  # (2)


def forward(x):
    """Compute y by equation (1)."""
    y = np.empty(x.shape, x.dtype)
    _forward(np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
    return y


def backward_input(gy, y):
    """Compute gx by equation (2)."""
    gx = np.empty(gy.shape, gy.dtype)
    _backward(np.ascontiguousarray(gy).reshape(-1), y.reshape(-1), gx.reshape(-1))
    return gx
