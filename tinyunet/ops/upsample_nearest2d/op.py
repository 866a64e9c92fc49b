"""Nearest-neighbour up-sampling: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import Pair, pair, require_4d


class UpsampleNearest2d(Op):
    """The autograd op behind `upsample_nearest2d`; equation numbers are those of its docstring."""

    def forward(self, x, *, scale):
        require_4d(x)
        self.scale = pair(scale, "scale", 1)
        self.kernels = choose_kernels(x, __package__)
        return self.kernels.forward(x, *self.scale)  # (1)

    def backward(self, gy):
        return (self.kernels.backward_input(gy, *self.scale),)  # (2)


def upsample_nearest2d(x, *, scale: Pair = 2) -> Tensor:
    """Repeat every pixel SH times down and SW times across.

        y[n,c,i,j]  = x[n,c,floor(i / SH),floor(j / SW)]                              (1)
        gx[n,c,p,q] = sum of gy[n,c,i,j] over the SH x SW block that shows (p,q)      (2)

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
        Images.
    scale : int or (SH, SW)
        Enlargement.

    Returns
    -------
    (N, C, SH H, SW W) Tensor

    Raises
    ------
    ShapeError
        If x does not have 4 axes or the scale is below 1.
    """
    return UpsampleNearest2d.apply(x, scale=scale)
