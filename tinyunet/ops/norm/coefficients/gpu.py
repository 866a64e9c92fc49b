"""Coefficients of normalisation on the GPU: one launch where reference.py has a dozen array operations.

The arrays hold one number per plane or channel and stay in the second-level cache; what a launch costs is the launch.
"""

import numpy as np

from ...cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def _empty_per_plane(N, C, dtype):
    """Room for rstd, mean, scale and shift."""
    return empty((N, C), np.float64), *(empty((N, C), dtype) for _ in range(3))


def from_planes(means, variances, weight, bias, groups, eps):
    """Return rstd, mean, scale and shift of equation (1), from the moments (N, C) of single planes."""
    N, C = means.shape
    results = _empty_per_plane(N, C, weight.dtype)
    args = (means, variances, contiguous(weight), contiguous(bias), N, C, groups or 0, eps, *results)
    cu.launch("from_planes", weight.dtype, threads=N * C, args=args)
    return results


def from_running(running_mean, running_var, weight, bias, N, eps):
    """Return rstd, mean, scale and shift of equation (1) for N images, from the running arrays (C,)."""
    C = len(weight)
    results = _empty_per_plane(N, C, weight.dtype)
    per_channel = (contiguous(a) for a in (running_mean, running_var, weight, bias))
    cu.launch("from_running", weight.dtype, threads=N * C, args=(*per_channel, N, C, eps, *results))
    return results


def update_running(running_mean, running_var, means, variances, momentum, count):
    """Move the running arrays (C,) towards the moments of the batch, in place, by equation (5)."""
    N, C = means.shape
    args = (running_mean, running_var, means, variances, N, C, momentum, count / (count - 1))
    cu.launch("update_running", running_mean.dtype, threads=C, args=args)


def backward(sum_gy, sum_gyx, rstd, weight, groups, pixels):
    """Return gweight, gbias, and the coefficients scale, through_var and through_mean of equation (2).

    `sum_gy` and `sum_gyx` are the sums (N, C) over a plane of gy and of gy (x - mean), `pixels` is the size H W of a
    plane, or None where mean and variance are constants.
    """
    N, C = sum_gy.shape
    results = tuple(empty(shape, weight.dtype) for shape in ((C,), (C,), (N, C), (N, C), (N, C)))
    args = (sum_gy, sum_gyx, rstd, contiguous(weight), N, C, groups or 0, pixels or 0, *results)
    cu.launch("backward", weight.dtype, threads=N * C, args=args)
    return results
