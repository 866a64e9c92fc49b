"""Transposed 2-D convolution: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ConvGeometry, Pair, ShapeError, require_4d


class ConvTranspose2d(Op):
    """The autograd op behind `conv_transpose2d`; equation numbers are those of its docstring."""

    def forward(self, x, w, b, *, stride, padding, output_padding):
        require_4d(x)
        require_4d(w, "w")
        if b is not None and b.shape != w.shape[1:2]:
            raise ShapeError(f"b must have one value per output channel, {w.shape[1:2]}, got shape {b.shape}")
        self.geometry = ConvGeometry.transposed(x.shape, w.shape, stride, padding, output_padding)
        self.kernels = choose_kernels(x, __package__)
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None)
        return self.kernels.forward(x, w, b, self.geometry)  # (1)

    def backward(self, gy):
        x, w = self.saved
        gx = self.kernels.backward_input(gy, w, self.geometry) if self.needs_grad[0] else None  # (2)
        gw = self.kernels.backward_weight(gy, x, self.geometry) if self.needs_grad[1] else None  # (3)
        gb = self.kernels.backward_bias(gy) if self.needs_grad[2] else None  # (4)
        return gx, gw, gb


def conv_transpose2d(x, w, b=None, *, stride: Pair = 1, padding: Pair = 0, output_padding: Pair = 0) -> Tensor:
    """Stamp each input pixel, times the kernel, onto a larger image: the adjoint (not the inverse) of conv2d.

        y[n,o,p,q]  = b[o] + sum x[n,c,i,j] w[c,o,u,v]   over c and the (i,j,u,v) with
                      (p,q) = (i SH + u - PH, j SW + v - PW)                                      (1)
        gx[n,c,i,j] = sum_{o,u,v} gy[n,o,p,q] w[c,o,u,v]                                          (2)
        gw[c,o,u,v] = sum_{n,i,j} x[n,c,i,j] gy[n,o,p,q]                                          (3)
        gb[o]       = sum_{n,p,q} gy[n,o,p,q]                                                     (4)

    (1) without b is equation (2) of `conv2d`, and (2) is its equation (1).

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
        Images.
    w : (C, O, KH, KW) float array or Tensor
        Kernels; note that the input channel comes first.
    b : (O,) float array or Tensor, optional
        Bias per output channel.
    stride : int or (SH, SW)
        Distance of neighbouring stamps in pixels.
    padding : int or (PH, PW)
        Rows and columns cut off on each side of the result.
    output_padding : int or pair
        Rows and columns added at the bottom and right, below the stride.

    Returns
    -------
    (N, O, OH, OW) Tensor
        OH = (H - 1) SH - 2 PH + KH + output_padding, OW likewise.

    Raises
    ------
    ShapeError
        If x or w does not have 4 axes, channels disagree, output_padding is not below the stride, or nothing is
        left of the output.

    Notes
    -----
    Cost: N C H W O KH KW multiply-adds forward, twice that backward. Saves x and w. Where the stride does not
    divide the kernel size, pixels receive unequally many stamps: the checkerboard pattern.

    References
    ----------
    Zeiler et al., Deconvolutional networks, 2010. Odena et al., Deconvolution and checkerboard artifacts, 2016.
    """
    return ConvTranspose2d.apply(x, w, b, stride=stride, padding=padding, output_padding=output_padding)
