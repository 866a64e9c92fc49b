"""Average pooling on the GPU: a thread per window forward, a thread per input pixel backward, which gathers.

Memory bounds both: a pass moves x and y once, and overlapping windows are read from the cache.
"""

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(x, g):
    """Compute y by equation (1)."""
    y = empty((g.N, g.C, g.OH, g.OW), x.dtype)
    sizes = (g.H, g.W, g.OH, g.OW, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW)
    cu.launch("forward", x.dtype, threads=y.size, args=(contiguous(x), y, y.size, *sizes))
    return y


def backward_input(gy, g):
    """Compute gx by equation (2)."""
    gx = empty((g.N, g.C, g.H, g.W), gy.dtype)
    sizes = (g.H, g.W, g.OH, g.OW, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW)
    cu.launch("backward_input", gy.dtype, threads=gx.size, args=(contiguous(gy), gx, gx.size, *sizes))
    return gx
