"""Coefficients of normalisation in NumPy: the specification.

Arrays (N, C) are per plane, arrays (C,) per channel. `groups` says which planes share mean and variance: those of a
channel in all images (None), or those of an image in one group of channels.
"""

import numpy as np


def _shared(values, groups):
    """Replace each plane's value (N, C) by the mean over the planes that share."""
    N, C = values.shape
    if groups is None:
        return np.broadcast_to(values.mean(axis=0), (N, C))
    return values.reshape(N, groups, C // groups).mean(axis=2).repeat(C // groups, axis=1)


def _of_affine(mean, var, weight, bias, eps):
    """Return rstd (N, C) in float64, and mean, scale and shift of (x - mean) scale + shift in the dtype of weight."""
    rstd = 1 / np.sqrt(var + eps)
    shift = np.broadcast_to(bias, rstd.shape)
    return rstd, *(a.astype(weight.dtype, order="C") for a in (mean, rstd * weight, shift))


def from_planes(means, variances, weight, bias, groups, eps):
    """Return rstd, mean, scale and shift of equation (1), from the moments (N, C) of single planes."""
    mean = _shared(means, groups)
    var = _shared(variances + (means - mean) ** 2, groups)
    return _of_affine(mean, var, weight, bias, eps)


def from_running(running_mean, running_var, weight, bias, N, eps):
    """Return rstd, mean, scale and shift of equation (1) for N images, from the running arrays (C,)."""
    mean, var = (np.broadcast_to(a.astype(np.float64), (N, len(a))) for a in (running_mean, running_var))
    return _of_affine(mean, var, weight, bias, eps)


def update_running(running_mean, running_var, means, variances, momentum, count):
    """Move the running arrays (C,) towards the moments of the batch, in place, by equation (5)."""
    mean = means.mean(axis=0)
    var = (variances + (means - mean) ** 2).mean(axis=0)
    running_mean += momentum * (mean - running_mean)  # (5)
    running_var += momentum * (var * (count / (count - 1)) - running_var)


def backward(sum_gy, sum_gyx, rstd, weight, groups, pixels):
    """Return gweight, gbias, and the coefficients scale, through_var and through_mean of equation (2).

    `sum_gy` and `sum_gyx` are the sums (N, C) over a plane of gy and of gy (x - mean), `pixels` is the size H W of a
    plane, or None where mean and variance are constants.
    """
    gweight = (sum_gyx * rstd).sum(axis=0)  # (3)
    gbias = sum_gy.sum(axis=0)  # (4)
    through_mean = through_var = np.zeros_like(rstd)
    if pixels is not None:
        through_mean = -rstd * _shared(sum_gy * weight, groups) / pixels
        through_var = -(rstd**3) * _shared(sum_gyx * weight, groups) / pixels
    results = gweight, gbias, rstd * weight, through_var, through_mean
    return tuple(a.astype(weight.dtype, order="C") for a in results)
