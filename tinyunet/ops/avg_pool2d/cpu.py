"""Average pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration; backward gathers."""

import numpy as np
from numba import prange

from ..jit import kernel


@kernel
def _forward(x, KH, KW, SH, SW, PH, PW, y):
    planes, H, W = x.shape
    _, OH, OW = y.shape
    share = y.dtype.type(1) / (KH * KW)
    zero = y.dtype.type(0)
    for plane in prange(planes):
        for i in range(OH):
            for j in range(OW):
                top, left = i * SH - PH, j * SW - PW
                total = zero
                for p in range(max(0, top), min(H, top + KH)):
                    for q in range(max(0, left), min(W, left + KW)):
                        total += x[plane, p, q]
                y[plane, i, j] = share * total  # (1)


@kernel
def _backward(gy, KH, KW, SH, SW, PH, PW, gx):
    planes, H, W = gx.shape
    _, OH, OW = gy.shape
    share = gx.dtype.type(1) / (KH * KW)
    zero = gx.dtype.type(0)
    for plane in prange(planes):
        for p in range(H):
            i_first, i_last = max(0, (p + PH - KH + SH) // SH), min(OH - 1, (p + PH) // SH)
            for q in range(W):
                j_first, j_last = max(0, (q + PW - KW + SW) // SW), min(OW - 1, (q + PW) // SW)
                total = zero
                for i in range(i_first, i_last + 1):
                    for j in range(j_first, j_last + 1):
                        total += gy[plane, i, j]
                gx[plane, p, q] = share * total  # (2)


def forward(x, g):
    """Compute y by equation (1)."""
    y = np.empty((g.N, g.C, g.OH, g.OW), x.dtype)
    _forward(np.ascontiguousarray(x).reshape(-1, g.H, g.W), *g[4:10], y.reshape(-1, g.OH, g.OW))
    return y


def backward_input(gy, g):
    """Compute gx by equation (2)."""
    gx = np.empty((g.N, g.C, g.H, g.W), gy.dtype)
    _backward(np.ascontiguousarray(gy).reshape(-1, g.OH, g.OW), *g[4:10], gx.reshape(-1, g.H, g.W))
    return gx
