"""Maximum pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration.

Forward takes one offset (u, v) at a time for all windows, without a branch: that loop vectorises, whereas the way round
a single window is a branch per pixel that the processor often guesses wrong. Backward sends each gradient to the
maximum it came from. The iteration owns the whole plane, so nothing is shared.
"""

import numpy as np

from ..jit import kernel, serial


@kernel
def _forward(first, last, x, KH, KW, SH, SW, PH, PW, y, offset):
    for plane in range(first, last):
        _forward_plane(x[plane], KH, KW, SH, SW, PH, PW, y[plane], offset[plane])


@serial
def _forward_plane(x, KH, KW, SH, SW, PH, PW, y, offset):
    for i in range(len(y)):
        best, chosen, first_u = y[i], offset[i], max(0, PH - i * SH)
        for j in range(best.size):  # where nothing is above -inf, the first pixel inside is chosen
            best[j], chosen[j] = -np.inf, first_u * KW + max(0, PW - j * SW)
    for u in range(KH):
        for v in range(KW):
            if SW == 2:  # known to the compiler, which then loads vectors
                _take(x, u - PH, v - PW, SH, 2, u * KW + v, y, offset)
            else:
                _take(x, u - PH, v - PW, SH, SW, u * KW + v, y, offset)


@serial
def _take(x, p, q, SH, SW, k, y, offset):
    """Where x[i SH + p, j SW + q] lies inside and is above y[i,j], that is the best, and k its offset."""
    H, W = x.shape
    k = np.uint16(k)
    start, end = max(0, -(q // SW)), min(y.shape[1], (W - 1 - q) // SW + 1)
    for i in range(max(0, -(p // SH)), min(len(y), (H - 1 - p) // SH + 1)):
        row, best, chosen = x[i * SH + p, start * SW + q :], y[i, start:end], offset[i, start:end]
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
