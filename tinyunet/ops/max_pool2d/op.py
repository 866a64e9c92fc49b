"""Maximum pooling: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import Pair, PoolGeometry, ShapeError, require_4d


class MaxPool2d(Op):
    """The autograd op behind `max_pool2d`; equation numbers are those of its docstring."""

    def forward(self, x, *, kernel_size, stride, padding):
        require_4d(x)
        self.geometry = g = PoolGeometry.of(x.shape, kernel_size, stride, padding)
        if g.KH * g.KW > 65536:
            raise ShapeError(f"a window of {g.KH} x {g.KW} exceeds 65536 pixels; pool in two steps")
        self.kernels = choose_kernels(x, __package__)
        y, offset = self.kernels.forward(x, g)  # (1)
        self.save(offset)
        return y

    def backward(self, gy):
        return (self.kernels.backward_input(gy, *self.saved, self.geometry),)  # (2)


def max_pool2d(x, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Keep the largest value of every window.

        y[n,c,i,j]  = max_{u,v} x[n,c,p,q],   (p,q) = (i SH + u - PH, j SW + v - PW)             (1)
        gx[n,c,p,q] = sum of gy[n,c,i,j] over the windows whose first maximum, in scan
                      order, is (p,q)                                                            (2)

    Outside the image x counts as -infinity. A NaN in a window is its maximum. The article's 4.2 is the case of
    stride = kernel size, padding 0; a remainder at the bottom or right is dropped.

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
        If x does not have 4 axes, the window is larger than the padded image or above 65536 pixels, or a padding
        exceeds half the window.

    Notes
    -----
    Saves the position of each maximum in its window, 2 bytes per output pixel.
    """
    return MaxPool2d.apply(x, kernel_size=kernel_size, stride=stride, padding=padding)
