"""Nearest-neighbour up-sampling on the CPU: one numba pass per direction, a plane (n, c) per iteration."""

import numpy as np

from ..jit import kernel


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
    _, H, W = gx.shape
    for plane in range(first, last):
        for p in range(H):
            for q in range(W):
                total = gy[plane, p * SH, q * SW]
                for u in range(SH):
                    for v in range(SW):
                        if u + v > 0:
                            total += gy[plane, p * SH + u, q * SW + v]
                gx[plane, p, q] = total  # (2)


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
