"""Softmax and its logarithm on the CPU, on arrays (before, C, after).

A job owns a stretch of pixels and runs over the classes in its outer loop, so that all inner loops are over contiguous
memory and vectorise, exponentials included.
"""

import math

import numpy as np

from ..jit import kernel, serial
from ..vector_math import exp

STRETCH = 2048
"""Pixels per job: small enough for a class row to stay in the first-level cache."""


@serial
def _softmax_of(x, first, last, y, logarithm):
    """Equation (1) for the pixels first .. last."""
    largest, total = x[0, first:last].copy(), np.zeros(last - first, x.dtype)
    for c in range(1, len(x)):
        row = x[c, first:last]
        for k in range(row.size):
            largest[k] = max(largest[k], row[k])
    for c in range(len(x)):
        row, out = x[c, first:last], y[c, first:last]
        for k in range(row.size):
            shifted = row[k] - largest[k]
            e = exp(shifted)
            total[k] += e
            out[k] = shifted if logarithm else e
    for k in range(total.size):
        total[k] = math.log(total[k]) if logarithm else 1 / total[k]
    for c in range(len(x)):
        out = y[c, first:last]
        for k in range(out.size):
            out[k] = out[k] - total[k] if logarithm else out[k] * total[k]  # (1)


@serial
def _gradient_of(gy, y, first, last, gx, logarithm):
    """Equation (2) for the pixels first .. last."""
    total = np.zeros(last - first, y.dtype)
    for c in range(len(y)):
        g, p = gy[c, first:last], y[c, first:last]
        for k in range(total.size):
            total[k] += g[k] if logarithm else g[k] * p[k]
    for c in range(len(y)):
        g, p, out = gy[c, first:last], y[c, first:last], gx[c, first:last]
        for k in range(total.size):
            out[k] = g[k] - exp(p[k]) * total[k] if logarithm else p[k] * (g[k] - total[k])  # (2)


@kernel
def _softmax(first, last, x, stretches, y, logarithm):
    for job in range(first, last):
        n, k = job // stretches, job % stretches * STRETCH
        _softmax_of(x[n], k, min(k + STRETCH, x.shape[2]), y[n], logarithm)


@kernel
def _backward(first, last, gy, y, stretches, gx, logarithm):
    for job in range(first, last):
        n, k = job // stretches, job % stretches * STRETCH
        _gradient_of(gy[n], y[n], k, min(k + STRETCH, y.shape[2]), gx[n], logarithm)


def _run_forward(x, logarithm):
    y = np.empty(x.shape, x.dtype)
    stretches = -(-x.shape[2] // STRETCH)
    _softmax[len(x) * stretches](np.ascontiguousarray(x), stretches, y, logarithm)
    return y


def _run_backward(gy, y, logarithm):
    gx = np.empty(y.shape, y.dtype)
    stretches = -(-y.shape[2] // STRETCH)
    _backward[len(y) * stretches](np.ascontiguousarray(gy), y, stretches, gx, logarithm)
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
