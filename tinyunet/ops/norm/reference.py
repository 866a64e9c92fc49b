"""Moments, sums and the affine passes of normalisation in NumPy: the specification. Arrays (N, C) are per plane."""

import numpy as np


def _per_pixel(*per_plane):
    return (a[:, :, None, None] for a in per_plane)


def plane_moments(x):
    """Return mean and variance (divided by H W) of every plane, in float64."""
    x = x.astype(np.float64)
    return x.mean(axis=(2, 3)), x.var(axis=(2, 3))


def affine(x, mean, scale, shift):
    """Compute (x - mean) scale + shift."""
    mean, scale, shift = _per_pixel(mean, scale, shift)
    return (x - mean) * scale + shift


def plane_sums(gy, x, mean):
    """Return, per plane and in float64, the sum of gy and the sum of gy (x - mean)."""
    (mean,) = _per_pixel(mean)
    gy = gy.astype(np.float64)
    return gy.sum(axis=(2, 3)), (gy * (x - mean)).sum(axis=(2, 3))


def backward_input(gy, x, mean, scale, through_var, through_mean):
    """Compute gx = scale gy + through_var (x - mean) + through_mean, the three ways in which x reaches y."""
    mean, scale, through_var, through_mean = _per_pixel(mean, scale, through_var, through_mean)
    return scale * gy + through_var * (x - mean) + through_mean
