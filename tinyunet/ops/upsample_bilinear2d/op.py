"""Bilinear up-sampling: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import Pair, pair, require_4d


class UpsampleBilinear2d(Op):
    """The autograd op behind `upsample_bilinear2d`; equation numbers are those of its docstring."""

    def forward(self, x, *, scale):
        require_4d(x)
        self.scale = pair(scale, "scale", 1)
        self.kernels = choose_kernels(x, __package__)
        return self.kernels.forward(x, *self.scale)  # (1)

    def backward(self, gy):
        return (self.kernels.backward_input(gy, *self.scale),)  # (2)


def upsample_bilinear2d(x, *, scale: Pair = 2) -> Tensor:
    """Enlarge by drawing straight lines between the pixels; the corners stay where they are.

        y[n,c,i,j]  = sum_{p,q} h(i r - p) h(j s - q) x[n,c,p,q]            h(d) = max(0, 1 - |d|)          (1)
        gx[n,c,p,q] = sum_{i,j} h(i r - p) h(j s - q) gy[n,c,i,j]           r = (H - 1) / (SH H - 1)        (2)

    with s like r for the columns; a single row or column is repeated. Of each sum at most two rows and two columns are
    not zero in (1). PyTorch calls this `align_corners=True`; the distance r between neighbours depends on the size of
    the image, so a network with this op is not quite invariant to shifts.

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
    return UpsampleBilinear2d.apply(x, scale=scale)
