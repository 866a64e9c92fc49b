"""Convolution on the CPU: the four formulas of `op.py` as compiled loops.

Every parallel iteration owns the planes or weights that it writes (gather, never scatter), so there are no
races and results repeat bit for bit whatever the number of threads. The innermost loop runs along one row
with unit stride, which is what the compiler vectorises. `cpu_fast.py` holds the tuned path for the layers
that a UNet spends its time in.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..jit import kernel
from . import cpu_fast, cpu_patch


def special_kernels(a, g):
    """Return the module with faster kernels for array a and geometry g, or None: the one rule of who computes what."""
    if a.dtype == np.float32 and (g.KH, g.KW, g.SH, g.SW) == (3, 3, 1, 1):
        return cpu_fast
    if a.dtype == np.float32 and (g.KH, g.KW, g.PH, g.PW) == (g.SH, g.SW, 0, 0):
        return cpu_patch
    return None


def forward(x, w, b, g):
    """Convolve x (N, C, H, W) with w (O, C, KH, KW), add b (O,) or None: y (N, O, OH, OW)."""
    if special := special_kernels(x, g):
        return special.forward(x, w, b, g)
    y = np.empty((g.N, g.O, g.OH, g.OW), x.dtype)
    b = np.zeros(g.O, x.dtype) if b is None else np.ascontiguousarray(b)
    _forward(_pad(x, g), np.ascontiguousarray(w), b, y, g.SH, g.SW)
    return y


def backward_input(gy, w, g):
    """Gradient of the loss with respect to x, from gy (N, O, OH, OW): gx (N, C, H, W)."""
    if special := special_kernels(gy, g):
        return special.backward_input(gy, w, g)
    gxp = np.zeros((g.N, g.C, g.H + 2 * g.PH, g.W + 2 * g.PW), gy.dtype)
    _backward_input(np.ascontiguousarray(gy), np.ascontiguousarray(w), gxp, g.SH, g.SW)
    return np.ascontiguousarray(gxp[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W])


def backward_weight(gy, x, g):
    """Gradient of the loss with respect to w, from gy (N, O, OH, OW): gw (O, C, KH, KW)."""
    if special := special_kernels(gy, g):
        return special.backward_weight(gy, x, g)
    gw = np.empty((g.O, g.C, g.KH, g.KW), gy.dtype)
    _backward_weight(np.ascontiguousarray(gy), _pad(x, g), gw, g.SH, g.SW)
    return gw


def backward_bias(gy):
    """Gradient of the loss with respect to b: the sum of gy over images and pixels, (O,)."""
    return gy.sum(axis=(0, 2, 3))


def _pad(x, g):
    """x in the middle of zeros, so that no loop has to ask whether a pixel lies outside of the image."""
    if g.PH == g.PW == 0:
        return np.ascontiguousarray(x)
    xp = np.zeros((g.N, g.C, g.H + 2 * g.PH, g.W + 2 * g.PW), x.dtype)
    xp[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W] = x
    return xp


@kernel
def _forward(xp, w, b, y, SH, SW):  # (1)
    N, O, OH, OW = y.shape
    _, C, KH, KW = w.shape
    for job in prange(N * O):  # one output plane
        n, o = job // O, job % O
        for i in range(OH):
            row = y[n, o, i]
            row[:] = b[o]
            for c in range(C):
                for u in range(KH):
                    for v in range(KW):
                        k = w[o, c, u, v]
                        x = xp[n, c, i * SH + u, v:]
                        for j in range(OW):
                            row[j] += k * x[j * SW]


@kernel
def _backward_input(gy, w, gxp, SH, SW):  # (2)
    N, O, OH, OW = gy.shape
    _, C, KH, KW = w.shape
    for job in prange(N * C):  # one padded plane of gx, which must start as zeros
        n, c = job // C, job % C
        for o in range(O):
            for i in range(OH):
                row = gy[n, o, i]
                for u in range(KH):
                    for v in range(KW):
                        k = w[o, c, u, v]
                        gx = gxp[n, c, i * SH + u, v:]
                        for j in range(OW):
                            gx[j * SW] += k * row[j]


@kernel
def _backward_weight(gy, xp, gw, SH, SW):  # (3)
    N, O, OH, OW = gy.shape
    _, C, KH, KW = gw.shape
    for job in prange(O * C):  # one kernel
        o, c = job // C, job % C
        for u in range(KH):
            for v in range(KW):
                total = gy.dtype.type(0)
                for n in range(N):
                    for i in range(OH):
                        row = gy[n, o, i]
                        x = xp[n, c, i * SH + u, v:]
                        dot = gy.dtype.type(0)
                        for j in range(OW):
                            dot += row[j] * x[j * SW]
                        total += dot
                gw[o, c, u, v] = total
