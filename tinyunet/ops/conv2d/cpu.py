"""2-D convolution on the CPU: the loops of the formulas, and the rule for which layers have faster kernels.

Every parallel iteration owns the plane or the weights that it writes (gather, never scatter). The innermost loop
always runs along a row with unit stride, which is what the compiler vectorises. A stride SW > 1 would break that, so
rows of the padded image are stored as SW *phases*: column q is element q // SW of phase q % SW, and the pixels that one
kernel column v meets, at j SW + v, are neighbours.
"""

from __future__ import annotations

import numpy as np

from ...settings import kernel_choice
from ..jit import kernel, serial
from . import cpu_fast, cpu_patch


def special_kernels(a, g):
    """Return the module with faster kernels for arrays like `a` and geometry `g`, or None for the loops below."""
    if a.dtype != np.float32 or kernel_choice() == "plain":
        return None
    if (g.KH, g.KW, g.SH, g.SW) == (3, 3, 1, 1):
        return cpu_fast
    if (g.KH, g.KW, g.PH, g.PW) == (g.SH, g.SW, 0, 0) and g.O >= 8:  # the blocks of fewer would be mostly empty
        return cpu_patch
    return None


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    if special := special_kernels(x, g):
        return special.forward(x, w, b, g)
    y = np.empty((g.N, g.O, g.OH, g.OW), x.dtype)
    b = np.zeros(g.O, x.dtype) if b is None else np.ascontiguousarray(b)
    _forward[g.N * g.O](_phases(x, g), np.ascontiguousarray(w), b, g.SH, y)
    return y


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    if special := special_kernels(gy, g):
        return special.backward_input(gy, w, g)
    gx = _empty_phases(gy.dtype, g)
    _backward_input[g.N * g.C](np.ascontiguousarray(gy), np.ascontiguousarray(w), g.SH, gx)
    padded = gx.transpose(0, 1, 2, 4, 3).reshape(*gx.shape[:3], -1)
    return np.ascontiguousarray(padded[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W])


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    if special := special_kernels(gy, g):
        return special.backward_weight(gy, x, g)
    gw = np.empty((g.O, g.C, g.KH, g.KW), gy.dtype)
    _backward_weight[g.O * g.C](np.ascontiguousarray(gy), _phases(x, g), g.SH, gw)
    return gw


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return gy.sum(axis=(0, 2, 3))


def _empty_phases(dtype, g):
    """Zeros for the padded image, (N, C, H + 2 PH, SW, columns of a phase)."""
    return np.zeros((g.N, g.C, g.H + 2 * g.PH, g.SW, -(-(g.W + 2 * g.PW) // g.SW)), dtype)


def _phases(x, g):
    """Pad x, so that no loop has to ask whether a pixel lies outside, and sort its columns into phases."""
    if (g.SW, g.PH, g.PW) == (1, 0, 0):
        return np.ascontiguousarray(x)[:, :, :, None]
    phases = _empty_phases(x.dtype, g)
    for s in range(g.SW):
        first = (s - g.PW) % g.SW  # the first column of x that is in phase s
        columns = x[:, :, :, first :: g.SW]
        start = (first + g.PW) // g.SW
        phases[:, :, g.PH : g.PH + g.H, s, start : start + columns.shape[3]] = columns
    return phases


@kernel
def _forward(first, last, x, w, b, SH, y):
    O = y.shape[1]
    for plane in range(first, last):
        n, o = plane // O, plane % O
        _forward_plane(x[n], w[o], b[o], SH, y[n, o])


@serial
def _forward_plane(x, w, b, SH, y):  # (1)
    C, KH, KW = w.shape
    SW = x.shape[2]
    for i in range(len(y)):
        row = y[i]
        for j in range(row.size):
            row[j] = b
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    _add(row, w[c, u, v], x[c, i * SH + u, v % SW, v // SW :])


@kernel
def _backward_input(first, last, gy, w, SH, gx):
    C = gx.shape[1]
    for plane in range(first, last):
        n, c = plane // C, plane % C
        _backward_input_plane(gy[n], w, c, SH, gx[n, c])


@serial
def _backward_input_plane(gy, w, c, SH, gx):  # (2)
    O, _, KH, KW = w.shape
    SW, OW = gx.shape[1], gy.shape[2]
    for o in range(O):
        for i in range(gy.shape[1]):
            for u in range(KH):
                for v in range(KW):
                    _add(gx[i * SH + u, v % SW, v // SW : v // SW + OW], w[o, c, u, v], gy[o, i])


@kernel
def _backward_weight(first, last, gy, x, SH, gw):
    C = gw.shape[1]
    for pair in range(first, last):
        o, c = pair // C, pair % C
        _backward_weight_pair(gy, x, o, c, SH, gw[o, c])


@serial
def _backward_weight_pair(gy, x, o, c, SH, gw):  # (3)
    SW = x.shape[3]
    gw[:] = 0
    for n in range(len(gy)):
        for i in range(gy.shape[2]):
            for u in range(gw.shape[0]):
                for v in range(gw.shape[1]):
                    gw[u, v] += _dot(gy[n, o, i], x[n, c, i * SH + u, v % SW, v // SW :])


@serial
def _add(y, factor, x):
    for j in range(y.size):
        y[j] += factor * x[j]


@serial
def _dot(y, x):
    total = y.dtype.type(0)
    for j in range(y.size):
        total += y[j] * x[j]
    return total
