"""Nearest-neighbour up-sampling on the GPU: a thread per pixel of the result, in either direction.

Memory bounds both: a pass moves x and y once. Neighbouring threads write neighbouring pixels; in (1) they read the same
or neighbouring ones, and the SW readers of a pixel are in one warp, so that x is fetched once.
"""

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(x, SH, SW):
    """Compute y by equation (1)."""
    N, C, H, W = x.shape
    y = empty((N, C, H * SH, W * SW), x.dtype)
    cu.launch("forward", x.dtype, threads=y.size, args=(contiguous(x), y, y.size, W, W * SW, SH, SW))
    return y


def backward_input(gy, SH, SW):
    """Compute gx by equation (2)."""
    N, C, OH, OW = gy.shape
    gx = empty((N, C, OH // SH, OW // SW), gy.dtype)
    cu.launch("backward_input", gy.dtype, threads=gx.size, args=(contiguous(gy), gx, gx.size, OW // SW, SH, SW))
    return gx
