"""Maximum pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration.

Backward sends each gradient to the maximum it came from. The iteration owns the whole plane, so nothing is shared.
"""

import numpy as np

from ..jit import kernel


@kernel
def _forward(first, last, x, KH, KW, SH, SW, PH, PW, y, offset):
    _, H, W = x.shape
    _, OH, OW = y.shape
    for plane in range(first, last):
        for i in range(OH):
            for j in range(OW):
                top, left = i * SH - PH, j * SW - PW
                first_u, first_v = max(0, -top), max(0, -left)
                best = x[plane, top + first_u, left + first_v]
                best_offset = first_u * KW + first_v
                for u in range(first_u, min(KH, H - top)):
                    for v in range(first_v, min(KW, W - left)):
                        value = x[plane, top + u, left + v]
                        # `value != value` is true for NaN only; the first NaN stays.
                        if value > best or (value != value and best == best):
                            best = value
                            best_offset = u * KW + v
                y[plane, i, j] = best  # (1)
                offset[plane, i, j] = best_offset


@kernel
def _backward(first, last, gy, offset, KW, SH, SW, PH, PW, gx):
    _, OH, OW = gy.shape
    for plane in range(first, last):
        gx[plane] = 0
        for i in range(OH):
            for j in range(OW):
                k = offset[plane, i, j]
                gx[plane, i * SH - PH + k // KW, j * SW - PW + k % KW] += gy[plane, i, j]  # (2)


def forward(x, g):
    """Compute y by equation (1), and for each window the offset u KW + v of its first maximum."""
    y = np.empty((g.N, g.C, g.OH, g.OW), x.dtype)
    offset = np.empty(y.shape, np.uint16)
    planes = np.ascontiguousarray(x).reshape(-1, g.H, g.W)
    _forward[g.N * g.C](planes, *g[4:10], y.reshape(-1, g.OH, g.OW), offset.reshape(-1, g.OH, g.OW))
    return y, offset


def backward_input(gy, offset, g):
    """Compute gx by equation (2)."""
    gx = np.empty((g.N, g.C, g.H, g.W), gy.dtype)
    planes = np.ascontiguousarray(gy).reshape(-1, g.OH, g.OW)
    _backward[g.N * g.C](planes, offset.reshape(-1, g.OH, g.OW), *g[5:10], gx.reshape(-1, g.H, g.W))
    return gx
