"""Binary cross-entropy on the CPU: one pass forward, one backward; stretches are summed in a fixed order."""

import math

import numpy as np

from ..jit import kernel
from ..vector_math import exp

STRETCH = 4096
"""Pixels per iteration, and per partial sum."""


@kernel
def _forward(first, last, z, labels, weight, sums):
    for job in range(first, last):
        part = slice(job * STRETCH, min((job + 1) * STRETCH, z.size))
        values, label, s, loss = z[part], labels[part], weight[part], 0.0
        for m in range(values.size):
            value = values[m]
            loss += s[m] * (max(value, 0) - value * (label[m] == 1) + math.log1p(exp(-abs(value))))
        sums[job] = loss


@kernel
def _backward(first, last, factor, z, labels, weight, gz):
    one = gz.dtype.type(1)
    z, labels, weight, gz = z[first:last], labels[first:last], weight[first:last], gz[first:last]
    for m in range(gz.size):
        small = exp(-abs(z[m]))
        probability = (one if z[m] >= 0 else small) / (one + small)
        gz[m] = factor * weight[m] * (probability - (labels[m] == 1))  # (2)


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    sums = np.empty(-(-z.size // STRETCH))
    _forward[sums.size](np.ascontiguousarray(z).reshape(-1), labels.reshape(-1), weight.reshape(-1), sums)
    return sums.sum()


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    gz = np.empty(z.shape, z.dtype)
    arrays = (np.ascontiguousarray(z).reshape(-1), labels.reshape(-1), weight.reshape(-1))
    _backward[z.size](factor, *arrays, gz.reshape(-1))
    return gz
