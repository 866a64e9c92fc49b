"""Bilinear up-sampling on the CPU: one numba pass per direction, a plane (n, c) per iteration.

Output row i lies between the input rows p[i] and p[i] + 1 and takes the share `below[i]` from the second; for columns
these are q[j] and right[j].
"""

import numpy as np

from ..jit import kernel


@kernel
def _forward(first, last, x, p, below, q, right, y):
    _, H, W = x.shape
    _, OH, OW = y.shape
    for plane in range(first, last):
        for i in range(OH):
            upper, lower, t = x[plane, p[i]], x[plane, min(p[i] + 1, H - 1)], below[i]
            for j in range(OW):
                left, s = q[j], right[j]
                next_ = min(left + 1, W - 1)
                top = upper[left] + s * (upper[next_] - upper[left])
                bottom = lower[left] + s * (lower[next_] - lower[left])
                y[plane, i, j] = top + t * (bottom - top)  # (1)


@kernel
def _backward(first, last, gy, p, below, q, right, gx):
    _, H, W = gx.shape
    _, OH, OW = gy.shape
    for plane in range(first, last):
        gx[plane] = 0
        for i in range(OH):
            upper, lower, t = gx[plane, p[i]], gx[plane, min(p[i] + 1, H - 1)], below[i]
            for j in range(OW):
                left, s = q[j], right[j]
                next_ = min(left + 1, W - 1)
                bottom = t * gy[plane, i, j]
                top = gy[plane, i, j] - bottom
                upper[left] += top - s * top  # (2), added up in the plane that the job owns
                upper[next_] += s * top
                lower[left] += bottom - s * bottom
                lower[next_] += s * bottom


def _places(H, SH, dtype):
    """Return p and below for every output row, from whole numbers: no rounding can move a row to another pair."""
    steps = max(SH * H - 1, 1)
    p, rest = np.divmod(np.arange(SH * H) * (H - 1), steps)
    return p, (rest / steps).astype(dtype)


def forward(x, SH, SW):
    """Compute y by equation (1)."""
    N, C, H, W = x.shape
    y = np.empty((N, C, H * SH, W * SW), x.dtype)
    planes = np.ascontiguousarray(x).reshape(-1, H, W)
    _forward[N * C](planes, *_places(H, SH, x.dtype), *_places(W, SW, x.dtype), y.reshape(-1, H * SH, W * SW))
    return y


def backward_input(gy, SH, SW):
    """Compute gx by equation (2)."""
    N, C, OH, OW = gy.shape
    H, W = OH // SH, OW // SW
    gx = np.empty((N, C, H, W), gy.dtype)
    planes = np.ascontiguousarray(gy).reshape(-1, OH, OW)
    _backward[N * C](planes, *_places(H, SH, gy.dtype), *_places(W, SW, gy.dtype), gx.reshape(-1, H, W))
    return gx
