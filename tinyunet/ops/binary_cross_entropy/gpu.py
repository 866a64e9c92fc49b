"""Binary cross-entropy on the GPU: a thread per pixel, one pass forward and one backward, which fuse sigmoid and loss.

Forward writes one number per 256 pixels, summed afterwards, always in the same order.
"""

import numpy as np

from ..cuda import BLOCK, CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    sums = empty((-(-z.size // BLOCK),), np.float64)
    cu.launch("forward", z.dtype, threads=z.size, args=(contiguous(z), labels, weight, sums, z.size))
    return sums.sum()


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    gz = empty(z.shape, z.dtype)
    cu.launch("backward_input", z.dtype, threads=z.size, args=(factor, contiguous(z), labels, weight, gz, z.size))
    return gz
