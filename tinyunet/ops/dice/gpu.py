"""Soft Dice on the GPU: softmax, then one pass for the sums; one pass backward, fused with softmax's.

The sums take a block per stretch of a plane (n, c), since planes are few: its threads read neighbouring pixels and add
up in a tree, in float64; the sums of the stretches are added afterwards, all always in the same order. Backward is a
thread per pixel, where all classes of the pixel meet.
"""

import numpy as np

from ..cuda import CudaSource, empty
from ..sigmoid import gpu as sigmoid
from ..softmax import gpu as softmax

cu = CudaSource(__file__)

STRETCH = 4096
"""Pixels per block when sums are taken."""


def probabilities(z):
    """Softmax over C; sigmoid where C is 1."""
    return softmax.softmax(z) if z.shape[1] > 1 else sigmoid.forward(z)


def sums(p, labels, counted, squared):
    """Return sum p y, sum p (or p^2) and sum y over counted pixels, as float64 (3, N, C)."""
    N, C, M = p.shape
    stretches = -(-M // STRETCH)
    out = empty((3, N, C, stretches), np.float64)
    args = (p, labels, counted, out, C, M, STRETCH, stretches, squared)
    cu.launch("plane_sums", p.dtype, grid=(N * C * stretches,), args=args)
    return out.sum(axis=3)


def backward_input(a, b, p, labels, counted, squared):
    """Compute gz by equation (3) from dL/dp = a y + b, or a y + 2 b p if squared."""
    N, C, M = p.shape
    gz = empty(p.shape, p.dtype)
    args = (a, b, p, labels, counted, gz, N * M, C, M, squared)
    cu.launch("backward_input", p.dtype, threads=N * M, args=args)
    return gz
