"""Cross-entropy on the CPU: one pass forward, one backward, which computes softmax again rather than store it.

An iteration owns a stretch of pixels and runs over the classes in its outer loops, so that the inner loops are over
contiguous memory and vectorise. The sums of the stretches are added in a fixed order afterwards.
"""

import math

import numpy as np
from numba import prange

from ..jit import kernel, serial

STRETCH = 2048
"""Pixels per iteration: small enough for a class row to stay in the first-level cache."""


@serial
def _log_sum_exp(z, largest, total):
    """Fill `largest` with the largest score of every pixel and `total` with sum_c exp(z - largest)."""
    C, M = z.shape
    largest[:] = z[0]
    total[:] = 0
    for c in range(1, C):
        row = z[c]
        for m in range(M):
            if row[m] > largest[m]:
                largest[m] = row[m]
    for c in range(C):
        row = z[c]
        for m in range(M):
            total[m] += math.exp(row[m] - largest[m])


@kernel
def _forward(z, labels, weight, sums):
    N, C, M = z.shape
    stretches = (M + STRETCH - 1) // STRETCH
    for job in prange(N * stretches):
        n, first = job // stretches, job % stretches * STRETCH
        last = min(first + STRETCH, M)
        largest = np.empty(last - first, z.dtype)
        total = np.empty(last - first, z.dtype)
        _log_sum_exp(z[n, :, first:last], largest, total)
        loss = 0.0
        for m in range(first, last):
            if weight[n, m] != 0:
                score = z[n, labels[n, m], m] - largest[m - first]
                loss += weight[n, m] * (math.log(total[m - first]) - score)
        sums[job] = loss


@kernel
def _backward(factor, z, labels, weight, gz):
    N, C, M = z.shape
    stretches = (M + STRETCH - 1) // STRETCH
    for job in prange(N * stretches):
        n, first = job // stretches, job % stretches * STRETCH
        last = min(first + STRETCH, M)
        largest = np.empty(last - first, z.dtype)
        total = np.empty(last - first, z.dtype)
        _log_sum_exp(z[n, :, first:last], largest, total)
        for c in range(C):
            row, out = z[n, c, first:last], gz[n, c, first:last]
            label, s = labels[n, first:last], weight[n, first:last]
            for m in range(last - first):
                probability = math.exp(row[m] - largest[m]) / total[m]
                out[m] = factor * s[m] * (probability - (label[m] == c))  # (2)


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    sums = np.empty(z.shape[0] * -(-z.shape[2] // STRETCH))
    _forward(np.ascontiguousarray(z), labels, weight, sums)
    return sums.sum()


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    gz = np.empty(z.shape, z.dtype)
    _backward(factor, np.ascontiguousarray(z), labels, weight, gz)
    return gz
