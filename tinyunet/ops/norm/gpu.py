"""Moments, sums and the affine passes of normalisation on the GPU.

Sums: a block per plane (n, c), whose 256 threads read 256 neighbouring pixels at a time, then add up their totals in a
tree, always in the same order. The passes that follow are a thread per pixel. Memory bounds all of them: forward reads
x twice and writes y, backward reads gy and x twice and writes gx. Where there are fewer planes than multiprocessors
(about 100) some of them idle during the sums.

The sums are in float64, as on the CPU, rather than in compensated float32, which takes more code and more care. That is
3 operations in float64 per 4 bytes of x (backward 4 per 8 bytes). On a data-centre GPU they hide behind the memory. A
card for games does a 64th of its operations in float64: with 128 multiprocessors at 2.5 GHz 640 per nanosecond, enough
for 213 values of x, while 1 TB/s brings 250. So they cost a little, there and in this pass only.
"""

import numpy as np

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def plane_moments(x):
    """Return mean and variance (divided by H W) of every plane, in float64."""
    N, C, H, W = x.shape
    mean, var = empty((N, C), np.float64), empty((N, C), np.float64)
    cu.launch("plane_moments", x.dtype, grid=(N * C,), args=(contiguous(x), mean, var, H * W))
    return mean, var


def affine(x, mean, scale, shift):
    """Compute (x - mean) scale + shift."""
    y = empty(x.shape, x.dtype)
    M = x.shape[2] * x.shape[3]
    cu.launch("affine", x.dtype, threads=y.size, args=(contiguous(x), mean, scale, shift, y, y.size, M))
    return y


def plane_sums(gy, x, mean):
    """Return, per plane and in float64, the sum of gy and the sum of gy (x - mean)."""
    N, C, H, W = x.shape
    sum_gy, sum_gyx = empty((N, C), np.float64), empty((N, C), np.float64)
    args = (contiguous(gy), contiguous(x), mean, sum_gy, sum_gyx, H * W)
    cu.launch("plane_sums", x.dtype, grid=(N * C,), args=args)
    return sum_gy, sum_gyx


def backward_input(gy, x, mean, scale, through_var, through_mean):
    """Compute gx = scale gy + through_var (x - mean) + through_mean, the three ways in which x reaches y."""
    gx = empty(x.shape, x.dtype)
    M = x.shape[2] * x.shape[3]
    args = (contiguous(gy), contiguous(x), mean, scale, through_var, through_mean, gx, gx.size, M)
    cu.launch("backward_input", x.dtype, threads=gx.size, args=args)
    return gx
