"""Transposed 2-D convolution on the CPU: conv2d's kernels, read in the other direction.

What conv2d calls the gradient of its input is this op's output, and the other way round, so there is nothing new to
compile. `g.adjoint()` names the sizes as that convolution sees them.
"""

from ..conv2d import cpu as conv2d


def forward(x, w, b, g):
    """Compute y by equation (1), which is conv2d's (2)."""
    y = conv2d.backward_input(x, w, g.adjoint())
    if b is not None:
        y += b[:, None, None]
    return y


def backward_input(gy, w, g):
    """Compute gx by equation (2), which is conv2d's (1)."""
    return conv2d.forward(gy, w, None, g.adjoint())


def backward_weight(gy, x, g):
    """Compute gw by equation (3), which is conv2d's (3) with the roles of image and gradient exchanged."""
    return conv2d.backward_weight(x, gy, g.adjoint())


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return conv2d.backward_bias(gy)
