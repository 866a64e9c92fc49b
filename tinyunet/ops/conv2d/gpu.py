"""2-D convolution on the GPU: the direct kernels of gpu.cu, and the rule for which layers have faster ones.

A geometry g is passed to the kernels as its numbers, `*g`.
"""

import numpy as np

from ...settings import kernel_choice
from ..cuda import CudaSource, contiguous, empty
from . import gpu_fast

cu = CudaSource(__file__)


def special_kernels(a, g):
    """Return the module with faster kernels for arrays like `a` and geometry `g`, or None."""
    if a.dtype != np.float32 or kernel_choice() == "plain":
        return None
    window = (g.KH, g.KW, g.SH, g.SW)
    if window == (3, 3, 1, 1) or window in ((1, 1, 1, 1), (2, 2, 2, 2)) and (g.PH, g.PW) == (0, 0):
        return gpu_fast
    return None


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    if special := special_kernels(x, g):
        return special.forward(x, w, b, g)
    y = empty((g.N, g.O, g.OH, g.OW), x.dtype)
    arrays = contiguous(x), contiguous(w), None if b is None else contiguous(b)
    cu.launch("forward", x.dtype, threads=y.size, args=(*arrays, y, *g))
    return y


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    if special := special_kernels(gy, g):
        return special.backward_input(gy, w, g)
    gx = empty((g.N, g.C, g.H, g.W), gy.dtype)
    cu.launch("backward_input", gy.dtype, threads=gx.size, args=(contiguous(gy), contiguous(w), gx, *g))
    return gx


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    if special := special_kernels(gy, g):
        return special.backward_weight(gy, x, g)
    gw = empty((g.O, g.C, g.KH, g.KW), gy.dtype)
    cu.launch("backward_weight", gy.dtype, grid=(gw.size,), args=(contiguous(gy), contiguous(x), gw, *g))
    return gw


def backward_bias(gy):
    """Compute gb by equation (4)."""
    N, O, OH, OW = gy.shape
    gb = empty((O,), gy.dtype)
    cu.launch("backward_bias", gy.dtype, grid=(O,), args=(contiguous(gy), gb, N, O, OH * OW))
    return gb
