"""Soft Dice on the CPU: softmax, then one pass for the sums; one pass backward.

A job owns a plane (n, c) when summing and a stretch of pixels in backward, where all classes of a pixel meet.
"""

import numpy as np

from ..jit import kernel, serial
from ..sigmoid import cpu as sigmoid
from ..softmax import cpu as softmax

STRETCH = 2048
"""Pixels per job of backward: small enough for a class row to stay in the first-level cache."""


@kernel
def _sums(first, last, p, labels, counted, squared, out):
    _, C, M = p.shape
    zero = p.dtype.type(0)
    for plane in range(first, last):
        n, c = plane // C, plane % C
        row, label, counts = p[n, c], labels[n], counted[n]
        overlap, predicted, true = 0.0, 0.0, 0.0
        for m in range(M):
            value, is_c = row[m], label[m] == c
            value = value if counts[m] else zero  # a choice, where a product with 0 would let NaN through
            predicted += value * value if squared else value
            overlap += value if is_c else zero
            true += 1.0 if is_c & counts[m] else 0.0
        out[0, n, c], out[1, n, c], out[2, n, c] = overlap, predicted, true


@serial
def _gradient(a, b, p, labels, counted, squared, first, last, gz):
    """Equation (3) for the pixels first .. last of one image."""
    label, counts = labels[first:last], counted[first:last]
    through = np.zeros(last - first, p.dtype)
    for c in range(len(p)):
        row, out = p[c, first:last], gz[c, first:last]
        slope, base = a[c], b[c]
        for m in range(row.size):
            gp = (slope if label[m] == c else 0) + (2 * base * row[m] if squared else base)  # (2)
            out[m] = gp
            through[m] += gp * row[m]
    for c in range(len(p)):
        row, out = p[c, first:last], gz[c, first:last]
        for m in range(row.size):
            out[m] = row[m] * (out[m] - through[m]) if counts[m] else 0  # (3)


@kernel
def _backward(first, last, a, b, p, labels, counted, squared, stretches, gz):
    for job in range(first, last):
        n, m = job // stretches, job % stretches * STRETCH
        _gradient(a[n], b[n], p[n], labels[n], counted[n], squared, m, min(m + STRETCH, p.shape[2]), gz[n])


def probabilities(z):
    """Softmax over C; sigmoid where C is 1."""
    return softmax.softmax(z) if z.shape[1] > 1 else sigmoid.forward(z)


def sums(p, labels, counted, squared):
    """Return sum p y, sum p (or p^2) and sum y over counted pixels, as float64 (3, N, C)."""
    out = np.empty((3, *p.shape[:2]))
    _sums[p.shape[0] * p.shape[1]](p, labels, counted, squared, out)
    return out


def backward_input(a, b, p, labels, counted, squared):
    """Compute gz by equation (3) from dL/dp = a y + b, or a y + 2 b p if squared."""
    gz = np.empty(p.shape, p.dtype)
    stretches = -(-p.shape[2] // STRETCH)
    _backward[len(p) * stretches](a, b, p, labels, counted, squared, stretches, gz)
    return gz
