"""Maximum pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration.

Backward gathers: a pixel looks at every window that covers it and takes the gradient of those that chose it.
"""

import numpy as np
from numba import prange

from ..jit import kernel


@kernel
def _forward(x, KH, KW, SH, SW, PH, PW, y, offset):
    planes, H, W = x.shape
    _, OH, OW = y.shape
    for plane in prange(planes):
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
def _backward(gy, offset, KH, KW, SH, SW, PH, PW, gx):
    planes, H, W = gx.shape
    _, OH, OW = gy.shape
    zero = gx.dtype.type(0)
    for plane in prange(planes):
        for p in range(H):
            i_first = max(0, (p + PH - KH + SH) // SH)
            i_last = min(OH - 1, (p + PH) // SH)
            for q in range(W):
                j_first = max(0, (q + PW - KW + SW) // SW)
                j_last = min(OW - 1, (q + PW) // SW)
                total = zero
                for i in range(i_first, i_last + 1):
                    for j in range(j_first, j_last + 1):
                        if offset[plane, i, j] == (p + PH - i * SH) * KW + (q + PW - j * SW):
                            total += gy[plane, i, j]
                gx[plane, p, q] = total  # (2)


def forward(x, g):
    """Compute y by equation (1), and for each window the offset u KW + v of its first maximum."""
    y = np.empty((g.N, g.C, g.OH, g.OW), x.dtype)
    offset = np.empty(y.shape, np.uint16)
    planes = np.ascontiguousarray(x).reshape(-1, g.H, g.W)
    _forward(planes, *g[4:10], y.reshape(-1, g.OH, g.OW), offset.reshape(-1, g.OH, g.OW))
    return y, offset


def backward_input(gy, offset, g):
    """Compute gx by equation (2)."""
    gx = np.empty((g.N, g.C, g.H, g.W), gy.dtype)
    planes = np.ascontiguousarray(gy).reshape(-1, g.OH, g.OW)
    _backward(planes, offset.reshape(-1, g.OH, g.OW), *g[4:10], gx.reshape(-1, g.H, g.W))
    return gx
