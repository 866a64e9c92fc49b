"""Transposed convolution from conv2d's kernels, read in the other direction.

What conv2d calls the gradient of its input is this op's output, and the other way round, so there is nothing new to
compile, on any device. `g.adjoint()` names the sizes as that convolution sees them.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple


class Adjoint(NamedTuple):
    """The functions of a rung, made of the same rung of conv2d."""

    conv2d: ModuleType

    def forward(self, x, w, b, g):
        """Compute y by equation (1), which is conv2d's (2)."""
        y = self.conv2d.backward_input(x, w, g.adjoint())
        if b is not None:
            y += b[:, None, None]
        return y

    def backward_input(self, gy, w, g):
        """Compute gx by equation (2), which is conv2d's (1)."""
        return self.conv2d.forward(gy, w, None, g.adjoint())

    def backward_weight(self, gy, x, g):
        """Compute gw by equation (3), which is conv2d's (3) with the roles of image and gradient exchanged."""
        return self.conv2d.backward_weight(x, gy, g.adjoint())

    def backward_bias(self, gy):
        """Compute gb by equation (4)."""
        return self.conv2d.backward_bias(gy)
