"""Cross-entropy on the CPU: one pass forward, one backward, which computes softmax again rather than store it.

A job owns a stretch of pixels and runs over the classes in its outer loops, so that the inner loops are over contiguous
memory and vectorise. The sums of the stretches are added in a fixed order afterwards.
"""

import math

import numpy as np

from ..jit import kernel, serial
from ..vector_math import exp

STRETCH = 2048
"""Pixels per job: small enough for a class row to stay in the first-level cache."""


@serial
def _log_sum_exp(z, first, last, largest, total):
    """Fill `largest` with the largest score of every pixel and `total` with sum_c exp(z - largest)."""
    for m in range(last - first):
        largest[m] = z[0, first + m]
        total[m] = 0
    for c in range(1, len(z)):
        row = z[c, first:last]
        for m in range(row.size):
            largest[m] = max(largest[m], row[m])
    for c in range(len(z)):
        row = z[c, first:last]
        for m in range(row.size):
            total[m] += exp(row[m] - largest[m])


@serial
def _loss(z, labels, weight, first, last):
    """Sum of equation (1) over the pixels first .. last of one image."""
    largest, total = np.empty(last - first, z.dtype), np.empty(last - first, z.dtype)
    _log_sum_exp(z, first, last, largest, total)
    loss = 0.0
    for m in range(last - first):
        s = weight[first + m]
        if s != 0:
            score = z[labels[first + m], first + m] - largest[m]
            loss += s * (math.log(total[m]) - score)
    return loss


@serial
def _gradient(factor, z, labels, weight, first, last, gz):
    """Equation (2) for the pixels first .. last of one image."""
    largest, total = np.empty(last - first, z.dtype), np.empty(last - first, z.dtype)
    _log_sum_exp(z, first, last, largest, total)
    label, s = labels[first:last], weight[first:last]
    for c in range(len(z)):
        row, out = z[c, first:last], gz[c, first:last]
        for m in range(row.size):
            probability = exp(row[m] - largest[m]) / total[m]
            out[m] = factor * s[m] * (probability - (label[m] == c))  # (2)


@kernel
def _forward(first, last, z, labels, weight, stretches, sums):
    for job in range(first, last):
        n, m = job // stretches, job % stretches * STRETCH
        sums[job] = _loss(z[n], labels[n], weight[n], m, min(m + STRETCH, z.shape[2]))


@kernel
def _backward(first, last, factor, z, labels, weight, stretches, gz):
    for job in range(first, last):
        n, m = job // stretches, job % stretches * STRETCH
        _gradient(factor, z[n], labels[n], weight[n], m, min(m + STRETCH, z.shape[2]), gz[n])


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    stretches = -(-z.shape[2] // STRETCH)
    sums = np.empty(len(z) * stretches)
    _forward[sums.size](np.ascontiguousarray(z), labels, weight, stretches, sums)
    return sums.sum()


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    gz = np.empty(z.shape, z.dtype)
    stretches = -(-z.shape[2] // STRETCH)
    _backward[len(z) * stretches](factor, np.ascontiguousarray(z), labels, weight, stretches, gz)
    return gz
