"""2-D convolution: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ConvGeometry, Pair, ShapeError, require_4d


class Conv2d(Op):
    """The autograd op behind `conv2d`; equation numbers are those of its docstring."""

    def forward(self, x, w, b, *, stride, padding):
        require_4d(x)
        require_4d(w, "w")
        if b is not None and b.shape != w.shape[:1]:
            raise ShapeError(f"b must have one value per output channel, {w.shape[:1]}, got shape {b.shape}")
        self.geometry = ConvGeometry.of(x.shape, w.shape, stride, padding)
        self.kernels = choose_kernels(x, __package__)
        # Each gradient needs the other factor of the product, and only if it is wanted itself.
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None)
        return self.kernels.forward(x, w, b, self.geometry)  # (1)

    def backward(self, gy):
        x, w = self.saved
        gx = self.kernels.backward_input(gy, w, self.geometry) if self.needs_grad[0] else None  # (2)
        gw = self.kernels.backward_weight(gy, x, self.geometry) if self.needs_grad[1] else None  # (3)
        gb = self.kernels.backward_bias(gy) if self.needs_grad[2] else None  # (4)
        return gx, gw, gb


def conv2d(x, w, b=None, *, stride: Pair = 1, padding: Pair = 0) -> Tensor:
    """Slide kernels over images and sum the products (a cross-correlation: the kernel is not flipped).

        y[n,o,i,j]  = b[o] + sum_{c,u,v} x[n,c,p,q] w[o,c,u,v],   (p,q) = (i SH + u - PH, j SW + v - PW)    (1)
        gx[n,c,p,q] = sum_{o,u,v} gy[n,o,i,j] w[o,c,u,v]          over the (i,j,u,v) that reach (p,q)        (2)
        gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,p,q]                                                     (3)
        gb[o]       = sum_{n,i,j} gy[n,o,i,j]                                                                (4)

    x is 0 outside the image. The article's 4.1 is the case N = C = O = 1, stride 1, padding 0, b = 0.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
        Images.
    w : (O, C, KH, KW) float array or Tensor
        Kernels.
    b : (O,) float array or Tensor, optional
        Bias per output channel.
    stride : int or (SH, SW)
        Step of the kernel in pixels.
    padding : int or (PH, PW)
        Rows and columns of zeros added on each side.

    Returns
    -------
    (N, O, OH, OW) Tensor
        OH = floor((H + 2 PH - KH) / SH) + 1, OW likewise.

    Raises
    ------
    ShapeError
        If x or w does not have 4 axes, channels disagree, or the kernel is larger than the padded image.
    TypeError
        If dtypes or devices are mixed.

    Notes
    -----
    Cost: N O OH OW C KH KW multiply-adds forward, twice that backward. Saves x and w.

    References
    ----------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016.
    """
    return Conv2d.apply(x, w, b, stride=stride, padding=padding)
