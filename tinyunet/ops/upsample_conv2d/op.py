"""The article's "deconvolution" (4.3): the formula, its bookkeeping, and its identity with a transposed convolution."""

from __future__ import annotations

import numpy as np

from ...autograd import Op, Tensor
from ...backend import choose_kernels
from ..shapes import ConvGeometry, Pair, ShapeError, pair, require_4d


class UpsampleConv2d(Op):
    """The autograd op behind `upsample_conv2d`; equation numbers are those of its docstring."""

    def forward(self, x, w, b, *, scale, padding):
        require_4d(x)
        require_4d(w, "w")
        if b is not None and b.shape != w.shape[:1]:
            raise ShapeError(f"b must have one value per output channel, {w.shape[:1]}, got shape {b.shape}")
        self.geometry = ConvGeometry.upsampled(x.shape, w.shape, scale, padding)
        self.kernels = choose_kernels(x, __package__)
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None)
        return self.kernels.forward(x, w, b, self.geometry)  # (1)

    def backward(self, gy):
        x, w = self.saved
        gx = self.kernels.backward_input(gy, w, self.geometry) if self.needs_grad[0] else None  # (2)
        gw = self.kernels.backward_weight(gy, x, self.geometry) if self.needs_grad[1] else None  # (3)
        gb = self.kernels.backward_bias(gy) if self.needs_grad[2] else None  # (4)
        return gx, gw, gb


def upsample_conv2d(x, w, b=None, *, scale: Pair = 2, padding: str = "valid") -> Tensor:
    """Enlarge by repeating pixels, then convolve: the article's formula 4.3, free of checkerboards.

        y[n,o,i,j]  = b[o] + sum_{c,u,v} x[n,c,p,q] w[o,c,u,v],
                      (p,q) = (floor((i + u - PH) / SH), floor((j + v - PW) / SW))                        (1)
        gx[n,c,p,q] = sum_{o,u,v} gy[n,o,i,j] w[o,c,u,v]          over the (i,j,u,v) that reach (p,q)     (2)
        gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,p,q]                                                  (3)
        gb[o]       = sum_{n,i,j} gy[n,o,i,j]                                                             (4)

    With padding "valid" PH = PW = 0 and y has SH H - KH + 1 rows: the article's formula (N = C = O = 1, b = 0). With
    "same", an extension, the up-sampled image is surrounded by zeros, floor((KH - 1) / 2) before and floor(KH / 2)
    after, and y has SH H rows. With scale 1 and "valid" this is conv2d.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
        Images.
    w : (O, C, KH, KW) float array or Tensor
        Kernels, applied at the enlarged size.
    b : (O,) float array or Tensor, optional
        Bias per output channel.
    scale : int or (SH, SW)
        Enlargement.
    padding : "valid" or "same"
        Whether y is smaller than the up-sampled image by KH - 1, or of its size.

    Returns
    -------
    (N, O, OH, OW) Tensor

    Raises
    ------
    ShapeError
        If x or w does not have 4 axes, channels disagree, or the kernel is larger than the up-sampled image.

    Notes
    -----
    Cost: N O OH OW C KH KW multiply-adds forward, twice that backward. Saves x and w. See `to_conv_transpose` for the
    transposed convolution that computes the same.
    """
    return UpsampleConv2d.apply(x, w, b, scale=scale, padding=padding)


def to_conv_transpose(w: np.ndarray, *, scale: Pair = 2) -> np.ndarray:
    """Return the weight with which a transposed convolution computes the same as `upsample_conv2d`.

        upsample_conv2d(x, w, scale=s)  =  conv_transpose2d(x, W, stride=s, padding=k-1),
        W[c,o,:,:]  =  ones(s, s) * flip(w[o,c,:,:])     (full convolution, size s + k - 1)

    Repeating pixels is a transposed convolution with ones; convolving afterwards widens that stamp.

    Parameters
    ----------
    w : (O, C, KH, KW) float array
        Weight of `upsample_conv2d`.
    scale : int or (SH, SW)
        Its enlargement.

    Returns
    -------
    (C, O, SH + KH - 1, SW + KW - 1) float array
        Use it with stride (SH, SW) and padding (KH - 1, KW - 1).
    """
    require_4d(w, "w")
    SH, SW = pair(scale, "scale", 1)
    O, C, KH, KW = w.shape
    flipped = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    stamp = np.zeros((C, O, SH + KH - 1, SW + KW - 1), w.dtype)
    for u, v in np.ndindex(SH, SW):
        stamp[:, :, u : u + KH, v : v + KW] += flipped
    return stamp
