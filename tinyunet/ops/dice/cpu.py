"""Soft Dice on the CPU: softmax, then one pass for the sums; one pass backward.

An iteration owns a plane (n, c) when summing and a stretch of pixels in backward, where all classes of a pixel meet.
"""

import numpy as np
from numba import prange

from ..jit import kernel
from ..sigmoid import cpu as sigmoid
from ..softmax import cpu as softmax

STRETCH = 2048
"""Pixels per iteration of backward: small enough for a class row to stay in the first-level cache."""


@kernel
def _sums(p, labels, counted, squared, out):
    N, C, M = p.shape
    for plane in prange(N * C):
        n, c = plane // C, plane % C
        row, label, counts = p[n, c], labels[n], counted[n]
        overlap, predicted, true = 0.0, 0.0, 0.0
        for m in range(M):
            if counts[m]:
                value = row[m]
                predicted += value * value if squared else value
                if label[m] == c:
                    overlap += value
                    true += 1.0
        out[0, n, c], out[1, n, c], out[2, n, c] = overlap, predicted, true


@kernel
def _backward(a, b, p, labels, counted, squared, gz):
    N, C, M = p.shape
    stretches = (M + STRETCH - 1) // STRETCH
    for job in prange(N * stretches):
        n, first = job // stretches, job % stretches * STRETCH
        last = min(first + STRETCH, M)
        label, counts = labels[n, first:last], counted[n, first:last]
        through = np.zeros(last - first, p.dtype)
        for c in range(C):
            row, out = p[n, c, first:last], gz[n, c, first:last]
            slope, base = a[n, c], b[n, c]
            for m in range(last - first):
                gp = (slope if label[m] == c else 0) + (2 * base * row[m] if squared else base)  # (2)
                out[m] = gp
                through[m] += gp * row[m]
        for c in range(C):
            row, out = p[n, c, first:last], gz[n, c, first:last]
            for m in range(last - first):
                out[m] = row[m] * (out[m] - through[m]) if counts[m] else 0  # (3)


def probabilities(z):
    """Softmax over C; sigmoid where C is 1."""
    return softmax.softmax(z) if z.shape[1] > 1 else sigmoid.forward(z)


def sums(p, labels, counted, squared):
    """Return sum p y, sum p (or p^2) and sum y over counted pixels, as float64 (3, N, C)."""
    out = np.empty((3, *p.shape[:2]))
    _sums(p, labels, counted, squared, out)
    return out


def backward_input(a, b, p, labels, counted, squared):
    """Compute gz by equation (3) from dL/dp = a y + b, or a y + 2 b p if squared."""
    gz = np.empty(p.shape, p.dtype)
    _backward(a, b, p, labels, counted, squared, gz)
    return gz
