"""Moments, sums and the affine passes of normalisation on the CPU, a plane (n, c) per iteration.

The variance takes a second look at the plane, which is then still in the cache; sums run in float64, so neither loses
digits when the mean is large.
"""

import numpy as np

from ..jit import kernel


@kernel
def _plane_moments(first, last, x, mean, var):
    M = x.shape[1]
    for plane in range(first, last):
        row = x[plane]
        total = 0.0
        for k in range(M):
            total += row[k]
        centre = total / M
        squares = 0.0
        for k in range(M):
            squares += (row[k] - centre) ** 2
        mean[plane], var[plane] = centre, squares / M


@kernel
def _affine(first, last, x, mean, scale, shift, y):
    M = x.shape[1]
    for plane in range(first, last):
        row, out = x[plane], y[plane]
        m, a, b = mean[plane], scale[plane], shift[plane]
        for k in range(M):
            out[k] = (row[k] - m) * a + b


@kernel
def _plane_sums(first, last, gy, x, mean, sum_gy, sum_gyx):
    M = x.shape[1]
    for plane in range(first, last):
        row, g, m = x[plane], gy[plane], mean[plane]
        total, product = 0.0, 0.0
        for k in range(M):
            total += g[k]
            product += g[k] * (row[k] - m)
        sum_gy[plane], sum_gyx[plane] = total, product


@kernel
def _backward_input(first, last, gy, x, mean, scale, through_var, through_mean, gx):
    M = x.shape[1]
    for plane in range(first, last):
        row, g, out = x[plane], gy[plane], gx[plane]
        m, a, b, c = mean[plane], scale[plane], through_var[plane], through_mean[plane]
        for k in range(M):
            out[k] = a * g[k] + b * (row[k] - m) + c


def _planes(x):
    N, C, H, W = x.shape
    return np.ascontiguousarray(x).reshape(N * C, H * W)


def plane_moments(x):
    """Return mean and variance (divided by H W) of every plane, in float64."""
    mean, var = np.empty(x.shape[:2]), np.empty(x.shape[:2])
    _plane_moments[mean.size](_planes(x), mean.reshape(-1), var.reshape(-1))
    return mean, var


def affine(x, mean, scale, shift):
    """Compute (x - mean) scale + shift."""
    y = np.empty(x.shape, x.dtype)
    _affine[mean.size](_planes(x), mean.reshape(-1), scale.reshape(-1), shift.reshape(-1), _planes(y))
    return y


def plane_sums(gy, x, mean):
    """Return, per plane and in float64, the sum of gy and the sum of gy (x - mean)."""
    sum_gy, sum_gyx = np.empty(x.shape[:2]), np.empty(x.shape[:2])
    _plane_sums[mean.size](_planes(gy), _planes(x), mean.reshape(-1), sum_gy.reshape(-1), sum_gyx.reshape(-1))
    return sum_gy, sum_gyx


def backward_input(gy, x, mean, scale, through_var, through_mean):
    """Compute gx = scale gy + through_var (x - mean) + through_mean, the three ways in which x reaches y."""
    gx = np.empty(x.shape, x.dtype)
    per_plane = (a.reshape(-1) for a in (mean, scale, through_var, through_mean))
    _backward_input[mean.size](_planes(gy), _planes(x), *per_plane, _planes(gx))
    return gx
