"""Nearest-neighbour up-sampling on the CPU: one numba pass per direction, a plane (n, c) per iteration."""

import numpy as np

from ..jit import kernel, serial


@kernel
def _repeat(first, last, x, SH, SW, y):
    _, H, W = x.shape
    for plane in range(first, last):
        for i in range(H * SH):
            for q in range(W):
                for v in range(SW):
                    y[plane, i, q * SW + v] = x[plane, i // SH, q]  # (1)


@kernel
def _sum_blocks(first, last, gy, SH, SW, gx):
    for plane in range(first, last):
        if SW == 2:  # known to the compiler, which then loads vectors
            _sum_plane(gy[plane], SH, 2, gx[plane])
        else:
            _sum_plane(gy[plane], SH, SW, gx[plane])


@serial
def _sum_plane(gy, SH, SW, gx):
    for p in range(len(gx)):
        total = gx[p]
        total[:] = 0
        for u in range(SH):
            for v in range(SW):
                row = gy[p * SH + u, v:]
                for q in range(total.size):
                    total[q] += row[q * SW]  # (2)


def forward(x, SH, SW):
    """Compute y by equation (1)."""
    N, C, H, W = x.shape
    y = np.empty((N, C, H * SH, W * SW), x.dtype)
    _repeat[N * C](np.ascontiguousarray(x).reshape(-1, H, W), SH, SW, y.reshape(-1, H * SH, W * SW))
    return y


def backward_input(gy, SH, SW):
    """Compute gx by equation (2)."""
    N, C, OH, OW = gy.shape
    gx = np.empty((N, C, OH // SH, OW // SW), gy.dtype)
    _sum_blocks[N * C](np.ascontiguousarray(gy).reshape(-1, OH, OW), SH, SW, gx.reshape(-1, OH // SH, OW // SW))
    return gx
