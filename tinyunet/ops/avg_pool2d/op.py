"""Average pooling: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import Pair, PoolGeometry, require_4d


class AvgPool2d(Op):
    """The autograd op behind `avg_pool2d`; equation numbers are those of its docstring."""

    def forward(self, x, *, kernel_size, stride, padding):
        require_4d(x)
        self.geometry = PoolGeometry.of(x.shape, kernel_size, stride, padding)
        self.kernels = choose_kernels(x, __package__)
        return self.kernels.forward(x, self.geometry)  # (1)

    def backward(self, gy):
        return (self.kernels.backward_input(gy, self.geometry),)  # (2)


def avg_pool2d(x, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Take the mean of every window.

        y[n,c,i,j]  = 1/(KH KW) sum_{u,v} x[n,c,p,q],   (p,q) = (i SH + u - PH, j SW + v - PW)        (1)
        gx[n,c,p,q] = 1/(KH KW) sum of gy[n,c,i,j] over the windows that cover (p,q)                  (2)

    Outside the image x counts as 0 and is part of the mean (PyTorch's count_include_pad). The article's 4.2 is the
    case of stride = kernel size, padding 0; a remainder at the bottom or right is dropped.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
        Images.
    kernel_size : int or (KH, KW)
        Size of the window in pixels.
    stride : int or (SH, SW), optional
        Distance of neighbouring windows; the kernel size if not given.
    padding : int or (PH, PW)
        How far windows reach outside the image, at most half the window.

    Returns
    -------
    (N, C, OH, OW) Tensor
        OH = floor((H + 2 PH - KH) / SH) + 1, OW likewise.

    Raises
    ------
    ShapeError
        If x does not have 4 axes, the window is larger than the padded image, or a padding exceeds half the window.
    """
    return AvgPool2d.apply(x, kernel_size=kernel_size, stride=stride, padding=padding)
