"""Maximum pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration.

Forward takes one offset (u, v) at a time for a whole row of windows, without a branch: that loop vectorises, whereas
the way round a single window is a branch per pixel that the processor guesses wrong every second time. Backward sends
each gradient to the maximum it came from. The iteration owns the whole plane, so nothing is shared.
"""

import numpy as np

from ..jit import kernel, serial


@kernel
def _forward(first, last, x, KH, KW, SH, SW, PH, PW, y, offset):
    _, H, W = x.shape
    _, OH, OW = y.shape
    for plane in range(first, last):
        for i in range(OH):
            top, best, chosen = i * SH - PH, y[plane, i], offset[plane, i]
            first_u = max(0, -top)
            for j in range(OW):  # where nothing is above -inf, the first pixel inside is chosen
                best[j], chosen[j] = -np.inf, first_u * KW + max(0, PW - j * SW)
            for u in range(first_u, min(KH, H - top)):
                for v in range(KW):
                    start, end = max(0, -(-(PW - v) // SW)), min(OW, (W - 1 + PW - v) // SW + 1)
                    if start < end:  # the windows whose column v is inside
                        row, k = x[plane, top + u, start * SW + v - PW :], u * KW + v
                        if SW == 2:  # known to the compiler, which then loads vectors
                            _take(row, 2, k, best[start:end], chosen[start:end])
                        else:
                            _take(row, SW, k, best[start:end], chosen[start:end])


@serial
def _take(row, SW, k, best, chosen):
    """Where row[j SW] is larger than best[j], it is the best, and k chosen."""
    k = np.uint16(k)
    for j in range(best.size):
        value, largest, before = row[j * SW], best[j], chosen[j]
        larger = (value > largest) | ((value != value) & (largest == largest))  # the first NaN stays
        best[j] = value if larger else largest  # (1)
        chosen[j] = k if larger else before


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
