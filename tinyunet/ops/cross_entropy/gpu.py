"""Cross-entropy on the GPU: a thread per pixel, one pass forward and one backward, which fuse softmax and loss.

Softmax is computed again in backward rather than stored: that costs C exponentials, and saves a pass that writes it and
one that reads it. Neighbouring threads read neighbouring pixels of one class. Forward reads scores, labels and weights
and writes one number per 256 pixels, which are summed afterwards, always in the same order.
"""

import numpy as np

from ..cuda import BLOCK, CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    N, C, M = z.shape
    sums = empty((-(-N * M // BLOCK),), np.float64)
    cu.launch("forward", z.dtype, threads=N * M, args=(contiguous(z), labels, weight, sums, N * M, C, M))
    return sums.sum()


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    N, C, M = z.shape
    gz = empty(z.shape, z.dtype)
    cu.launch("backward_input", z.dtype, threads=N * M, args=(factor, contiguous(z), labels, weight, gz, N * M, C, M))
    return gz
