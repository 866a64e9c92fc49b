"""The article's "deconvolution" from two other operations: up-sample once, then use conv2d's kernels at the large size.

The up-sampled image costs SH SW times the input's memory for the time of the call. In return it has the long contiguous
rows that make conv2d fast, whatever makes conv2d faster does so here, and there is no kernel to add, on any device.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..shapes import ConvGeometry


class Composed(NamedTuple):
    """The functions of a rung, made of the same rung of two other operations."""

    conv2d: ModuleType
    nearest: ModuleType

    def forward(self, x, w, b, g):
        """Compute y by equation (1)."""
        return self.conv2d.forward(self._enlarge(x, g), w, b, _inner(g))

    def backward_input(self, gy, w, g):
        """Compute gx by equation (2)."""
        large = self.conv2d.backward_input(gy, w, _inner(g))
        return self.nearest.backward_input(large[:, :, : g.SH * g.H, : g.SW * g.W], g.SH, g.SW)

    def backward_weight(self, gy, x, g):
        """Compute gw by equation (3)."""
        return self.conv2d.backward_weight(gy, self._enlarge(x, g), _inner(g))

    def backward_bias(self, gy):
        """Compute gb by equation (4)."""
        return self.conv2d.backward_bias(gy)

    def _enlarge(self, x, g):
        """Up-sample x; with an even kernel "same" needs one more row or column after than before, added here."""
        y = self.nearest.forward(x, g.SH, g.SW)
        after_h, after_w = _extra(g)
        return np.pad(y, ((0, 0), (0, 0), (0, after_h), (0, after_w))) if after_h or after_w else y


def _extra(g):
    return g.OH + g.KH - 1 - g.SH * g.H - 2 * g.PH, g.OW + g.KW - 1 - g.SW * g.W - 2 * g.PW


def _inner(g):
    """Geometry of the convolution at the large size."""
    after_h, after_w = _extra(g)
    H, W = g.SH * g.H + after_h, g.SW * g.W + after_w
    return ConvGeometry(g.N, g.C, H, W, g.O, g.KH, g.KW, 1, 1, g.PH, g.PW, g.OH, g.OW)
