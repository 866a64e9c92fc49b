"""Average pooling on the CPU: one numba pass per direction, a plane (n, c) per iteration."""

import numpy as np

from ..jit import kernel


@kernel
def _forward(first, last, x, KH, KW, SH, SW, PH, PW, y):
    _, H, W = x.shape
    _, OH, OW = y.shape
    share = y.dtype.type(1) / (KH * KW)
    zero = y.dtype.type(0)
    for plane in range(first, last):
        for i in range(OH):
            for j in range(OW):
                top, left = i * SH - PH, j * SW - PW
                total = zero
                for p in range(max(0, top), min(H, top + KH)):
                    for q in range(max(0, left), min(W, left + KW)):
                        total += x[plane, p, q]
                y[plane, i, j] = share * total  # (1)


@kernel
def _backward(first, last, gy, KH, KW, SH, SW, PH, PW, gx):
    _, H, W = gx.shape
    _, OH, OW = gy.shape
    share = gx.dtype.type(1) / (KH * KW)
    for plane in range(first, last):
        gx[plane] = 0
        for i in range(OH):
            for j in range(OW):
                top, left = i * SH - PH, j * SW - PW
                for p in range(max(0, top), min(H, top + KH)):
                    for q in range(max(0, left), min(W, left + KW)):
                        gx[plane, p, q] += share * gy[plane, i, j]  # (2)


def forward(x, g):
    """Compute y by equation (1)."""
    y = np.empty((g.N, g.C, g.OH, g.OW), x.dtype)
    _forward[g.N * g.C](np.ascontiguousarray(x).reshape(-1, g.H, g.W), *g[4:10], y.reshape(-1, g.OH, g.OW))
    return y


def backward_input(gy, g):
    """Compute gx by equation (2)."""
    gx = np.empty((g.N, g.C, g.H, g.W), gy.dtype)
    _backward[g.N * g.C](np.ascontiguousarray(gy).reshape(-1, g.OH, g.OW), *g[4:10], gx.reshape(-1, g.H, g.W))
    return gx
