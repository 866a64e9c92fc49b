"""Batch and group normalisation: the formulas and their autograd bookkeeping.

Both subtract a mean and divide by a standard deviation; they differ only in which pixels share one. So both are built
from the moments and sums of single planes (n, c), passes over all pixels, which `coefficients` combines over images
(batch) or over channels (group).
"""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ShapeError, require_4d


class _Normalize(Op):
    """y = (x - mean) rstd weight + bias, with mean and rstd shared by some planes; the common part.

    `groups` and `pixels` are those of `coefficients`: which planes share, and the size of a plane.
    """

    groups: int | None = None
    pixels: int | None = None

    def choose_kernels(self, x):
        self.kernels = choose_kernels(x, __package__)
        self.coefficients = choose_kernels(x, f"{__package__}.coefficients")

    def affine(self, x, weight, rstd, mean, scale, shift):
        """Compute y, and keep what backward needs."""
        self.rstd = rstd
        self.save(x, weight, mean)
        return self.kernels.affine(x, mean, scale, shift)  # (1)

    def backward(self, gy):
        x, weight, mean = self.saved
        sums = self.kernels.plane_sums(gy, x, mean)
        gweight, gbias, *coefficients = self.coefficients.backward(  # (3), (4)
            *sums, self.rstd, weight, self.groups, self.pixels
        )
        gx = self.kernels.backward_input(gy, x, mean, *coefficients) if self.needs_grad[0] else None  # (2)
        return gx, gweight, gbias


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
        self.choose_kernels(x)
        if not training:
            constants = self.coefficients.from_running(running_mean, running_var, weight, bias, N, eps)
            return self.affine(x, weight, *constants)
        count = N * H * W
        if count == 1:
            raise ShapeError(
                f"batch_norm2d needs more than one value per channel to train, got x of shape {x.shape}; "
                "use larger images, a larger batch or group_norm"
            )
        self.pixels = H * W
        moments = self.kernels.plane_moments(x)
        self.coefficients.update_running(running_mean, running_var, *moments, momentum, count)  # (5)
        return self.affine(x, weight, *self.coefficients.from_planes(*moments, weight, bias, None, eps))


class GroupNorm(_Normalize):
    """The autograd op behind `group_norm`; equation numbers are those of its docstring."""

    def forward(self, x, weight, bias, *, groups, eps):
        require_4d(x)
        _require_per_channel(x, weight=weight, bias=bias)
        N, C, H, W = x.shape
        if groups < 1 or C % groups:
            raise ShapeError(f"groups must divide the {C} channels, got {groups}")
        self.groups, self.pixels = groups, H * W
        self.choose_kernels(x)
        moments = self.kernels.plane_moments(x)
        return self.affine(x, weight, *self.coefficients.from_planes(*moments, weight, bias, groups, eps))


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
