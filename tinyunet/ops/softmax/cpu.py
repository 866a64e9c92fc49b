"""Softmax and its logarithm on the CPU, on arrays (before, C, after).

An iteration owns a stretch of pixels and runs over the classes in its outer loop, so that all inner loops are over
contiguous memory and vectorise, exponentials included.
"""

import math

import numpy as np
from numba import prange

from ..jit import kernel

STRETCH = 2048
"""Pixels per iteration: small enough for a class row to stay in the first-level cache."""


@kernel
def _softmax(x, y, logarithm):
    before, C, after = x.shape
    stretches = (after + STRETCH - 1) // STRETCH
    for job in prange(before * stretches):
        n, first = job // stretches, job % stretches * STRETCH
        last = min(first + STRETCH, after)
        largest = x[n, 0, first:last].copy()
        total = np.zeros_like(largest)
        for c in range(1, C):
            row = x[n, c, first:last]
            for k in range(row.size):
                if row[k] > largest[k]:
                    largest[k] = row[k]
        for c in range(C):
            row, out = x[n, c, first:last], y[n, c, first:last]
            for k in range(row.size):
                e = math.exp(row[k] - largest[k])
                total[k] += e
                out[k] = row[k] - largest[k] if logarithm else e
        for k in range(total.size):
            total[k] = math.log(total[k]) if logarithm else 1 / total[k]
        for c in range(C):
            out = y[n, c, first:last]
            for k in range(out.size):
                out[k] = out[k] - total[k] if logarithm else out[k] * total[k]  # (1)


@kernel
def _backward(gy, y, gx, logarithm):
    before, C, after = y.shape
    stretches = (after + STRETCH - 1) // STRETCH
    for job in prange(before * stretches):
        n, first = job // stretches, job % stretches * STRETCH
        last = min(first + STRETCH, after)
        total = np.zeros_like(y[n, 0, first:last])
        for c in range(C):
            g, p = gy[n, c, first:last], y[n, c, first:last]
            for k in range(total.size):
                total[k] += g[k] if logarithm else g[k] * p[k]
        for c in range(C):
            g, p, out = gy[n, c, first:last], y[n, c, first:last], gx[n, c, first:last]
            for k in range(total.size):
                out[k] = g[k] - math.exp(p[k]) * total[k] if logarithm else p[k] * (g[k] - total[k])  # (2)


def _run_forward(x, logarithm):
    y = np.empty(x.shape, x.dtype)
    _softmax(np.ascontiguousarray(x), y, logarithm)
    return y


def _run_backward(gy, y, logarithm):
    gx = np.empty(y.shape, y.dtype)
    _backward(np.ascontiguousarray(gy), y, gx, logarithm)
    return gx


def softmax(x):
    """Compute y by softmax's equation (1)."""
    return _run_forward(x, False)


def softmax_backward(gy, y):
    """Compute gx by softmax's equation (2)."""
    return _run_backward(gy, y, False)


def log_softmax(x):
    """Compute y by log_softmax's equation (1)."""
    return _run_forward(x, True)


def log_softmax_backward(gy, y):
    """Compute gx by log_softmax's equation (2)."""
    return _run_backward(gy, y, True)
