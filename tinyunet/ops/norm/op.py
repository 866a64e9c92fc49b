"""Batch and group normalisation: the formulas and their autograd bookkeeping.

Both subtract a mean and divide by a standard deviation; they differ only in which pixels share one. So both are built
from the moments and sums of single planes (n, c), combined here over images (batch) or over channels (group).
"""

from __future__ import annotations

import numpy as np

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ShapeError, require_4d


class _Normalize(Op):
    """y = (x - mean) rstd weight + bias, with mean and rstd shared by groups of planes; the common part."""

    def normalize(self, x, weight, bias, mean, var, eps):
        """Compute y from `mean` and `var` per plane, and keep what backward needs."""
        self.rstd = 1 / np.sqrt(var + eps)
        self.save(x, weight, mean)
        scale = self.rstd * weight
        shift = np.broadcast_to(bias, scale.shape)
        return self.kernels.affine(x, *(_copy(a, x.dtype) for a in (mean, scale, shift)))  # (1)

    def backward(self, gy):
        x, weight, mean = self.saved
        dtype = gy.dtype
        sum_gy, sum_gyx = self.kernels.plane_sums(gy, x, _copy(mean, dtype))
        gweight = (sum_gyx * self.rstd).sum(axis=0).astype(dtype) if self.needs_grad[1] else None  # (3)
        gbias = sum_gy.sum(axis=0).astype(dtype) if self.needs_grad[2] else None  # (4)
        gx = None
        if self.needs_grad[0]:
            scale = self.rstd * weight
            through_mean = -self.rstd * self.share(sum_gy * weight)
            through_var = -(self.rstd**3) * self.share(sum_gyx * weight)
            coefficients = (_copy(a, dtype) for a in (mean, scale, through_var, through_mean))
            gx = self.kernels.backward_input(gy, x, *coefficients)  # (2)
        return gx, gweight, gbias


def _copy(per_plane, dtype):
    """Return a contiguous array that may be written: numba compiles again for the read-only ones of broadcast_to."""
    return np.array(per_plane, dtype, order="C")


def _require_per_channel(x, **arrays) -> None:
    for name, array in arrays.items():
        if array.shape != (x.shape[1],):
            raise ShapeError(f"{name} must have one value per channel, ({x.shape[1]},), got shape {array.shape}")


class BatchNorm2d(_Normalize):
    """The autograd op behind `batch_norm2d`; equation numbers are those of its docstring."""

    def forward(self, x, weight, bias, *, running_mean, running_var, training, momentum, eps):
        require_4d(x)
        _require_per_channel(x, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
        N, C, H, W = x.shape
        self.training = training
        self.kernels = choose_kernels(x, __package__)
        if training:
            count = N * H * W
            if count == 1:
                raise ShapeError(
                    f"batch_norm2d needs more than one value per channel to train, got x of shape {x.shape}; "
                    "use larger images, a larger batch or group_norm"
                )
            means, variances = self.kernels.plane_moments(x)
            mean = means.mean(axis=0)
            var = (variances + (means - mean) ** 2).mean(axis=0)
            running_mean += momentum * (mean - running_mean)  # (5)
            running_var += momentum * (var * (count / (count - 1)) - running_var)
        else:
            mean, var = running_mean.astype(np.float64), running_var.astype(np.float64)
        per_plane = (np.broadcast_to(a, (N, C)) for a in (mean, var))
        return self.normalize(x, weight, bias, *per_plane, eps)

    def share(self, sums):
        """Mean over the pixels that share a plane's moments, from sums per plane; 0 where these are constants."""
        if not self.training:
            return np.zeros_like(sums)
        N, C, H, W = self.shapes[0]
        return np.broadcast_to(sums.sum(axis=0) / (N * H * W), (N, C))


class GroupNorm(_Normalize):
    """The autograd op behind `group_norm`; equation numbers are those of its docstring."""

    def forward(self, x, weight, bias, *, groups, eps):
        require_4d(x)
        _require_per_channel(x, weight=weight, bias=bias)
        if groups < 1 or x.shape[1] % groups:
            raise ShapeError(f"groups must divide the {x.shape[1]} channels, got {groups}")
        self.groups = groups
        self.kernels = choose_kernels(x, __package__)
        means, variances = self.kernels.plane_moments(x)
        mean = self.over_group(means)
        var = self.over_group(variances + (means - mean) ** 2)
        return self.normalize(x, weight, bias, mean, var, eps)

    def over_group(self, values):
        """Replace each plane's value (N, C) by the mean over its group."""
        N, C = values.shape
        grouped = values.reshape(N, self.groups, C // self.groups)
        return grouped.mean(axis=2).repeat(C // self.groups, axis=1)

    def share(self, sums):
        """Mean over the pixels that share a plane's moments, from sums per plane."""
        _, _, H, W = self.shapes[0]
        return self.over_group(sums) / (H * W)


def batch_norm2d(
    x, weight, bias, *, running_mean, running_var, training: bool, momentum: float = 0.1, eps: float = 1e-5
) -> Tensor:
    """Give every channel mean 0 and variance 1 over the batch, then scale and shift it.

        y     = (x - mean) rstd weight + bias,   rstd = 1 / sqrt(var + eps)                             (1)
        gx    = rstd weight (gy - mean(gy) - xhat mean(gy xhat)),   xhat = (x - mean) rstd              (2)
        gweight[c] = sum_{n,i,j} gy xhat                                                                (3)
        gbias[c]   = sum_{n,i,j} gy                                                                     (4)
        running    = (1 - momentum) running + momentum (mean, var N/(N-1))                              (5)

    In training, mean and var are those of the batch per channel, over n, i and j, and the running arrays are updated in
    place (5). In inference they are the running arrays, constants, and gx = rstd weight gy.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
    weight, bias : (C,) float arrays or Tensors
    running_mean, running_var : (C,) float arrays
        State of the layer; written in training.
    training : bool
        Which mean and variance to use.
    momentum : float
        Share of the newest batch in the running arrays.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ShapeError
        If x does not have 4 axes, a per-channel array has another size, or there is one value per channel in training.

    References
    ----------
    Ioffe and Szegedy, Batch normalization, 2015.
    """
    options = {"running_mean": running_mean, "running_var": running_var, "momentum": momentum, "eps": eps}
    return BatchNorm2d.apply(x, weight, bias, training=training, **options)


def group_norm(x, weight, bias, *, groups: int, eps: float = 1e-5) -> Tensor:
    """Give every group of channels of every image mean 0 and variance 1, then scale and shift each channel.

    The formulas (1) to (4) of `batch_norm2d`, with mean and variance over the pixels and the C / groups channels of one
    group of one image. It does not depend on the batch, so training and inference are the same.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
    weight, bias : (C,) float arrays or Tensors
    groups : int
        Number of groups, a divisor of C; with C groups this is instance normalisation.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ShapeError
        If x does not have 4 axes, a per-channel array has another size, or `groups` does not divide C.

    References
    ----------
    Wu and He, Group normalization, 2018.
    """
    return GroupNorm.apply(x, weight, bias, groups=groups, eps=eps)
