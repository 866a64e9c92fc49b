"""The article's "deconvolution" on the CPU: up-sample once, then use conv2d's kernels at the large size.

The up-sampled image costs SH SW times the input's memory for the time of the call, and gives the long contiguous
rows that make conv2d fast.
"""

import numpy as np

from ..conv2d import cpu as conv2d
from ..shapes import ConvGeometry
from ..upsample_nearest2d import cpu as nearest


def _enlarge(x, g):
    """Up-sample x; with an even kernel "same" needs one more row or column after than before, added here."""
    y = nearest.forward(x, g.SH, g.SW)
    after_h, after_w = _extra(g)
    return np.pad(y, ((0, 0), (0, 0), (0, after_h), (0, after_w))) if after_h or after_w else y


def _extra(g):
    return g.OH + g.KH - 1 - g.SH * g.H - 2 * g.PH, g.OW + g.KW - 1 - g.SW * g.W - 2 * g.PW


def _inner(g):
    """Geometry of the convolution at the large size."""
    after_h, after_w = _extra(g)
    H, W = g.SH * g.H + after_h, g.SW * g.W + after_w
    return ConvGeometry(g.N, g.C, H, W, g.O, g.KH, g.KW, 1, 1, g.PH, g.PW, g.OH, g.OW)


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    return conv2d.forward(_enlarge(x, g), w, b, _inner(g))


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    large = conv2d.backward_input(gy, w, _inner(g))
    return nearest.backward_input(large[:, :, : g.SH * g.H, : g.SW * g.W], g.SH, g.SW)


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    return conv2d.backward_weight(gy, _enlarge(x, g), _inner(g))


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return conv2d.backward_bias(gy)
