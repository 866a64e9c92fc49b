"""Maximum pooling on the GPU: a thread per window forward, a thread per input pixel backward.

Backward gathers: a pixel asks each window over it whether it was that window's maximum. On the CPU the windows send
their gradients instead, which here would need atomic additions, and the order of these changes from run to run.

Memory bounds both. Forward reads x once (overlapping windows from the cache) and writes y and 2 bytes per window;
backward reads these and writes gx. With the usual stride 2 the threads of a warp read every second pixel, in KW loads
that share their cache lines.
"""

import numpy as np

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(x, g):
    """Compute y by equation (1), and for each window the offset u KW + v of its first maximum."""
    y = empty((g.N, g.C, g.OH, g.OW), x.dtype)
    offset = empty(y.shape, np.uint16)
    sizes = (g.H, g.W, g.OH, g.OW, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW)
    cu.launch("forward", x.dtype, threads=y.size, args=(contiguous(x), y, offset, y.size, *sizes))
    return y, offset


def backward_input(gy, offset, g):
    """Compute gx by equation (2)."""
    gx = empty((g.N, g.C, g.H, g.W), gy.dtype)
    sizes = (g.H, g.W, g.OH, g.OW, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW)
    cu.launch("backward_input", gy.dtype, threads=gx.size, args=(contiguous(gy), offset, gx, gx.size, *sizes))
    return gx
