"""Bilinear up-sampling in NumPy: the specification, a matrix for the rows and one for the columns."""

import numpy as np


def hats(H, SH, dtype):
    """Return the shares h(i r - p) of the input rows in the output rows, (SH H, H)."""
    i, p = np.ogrid[: SH * H, :H]
    return np.maximum(0, 1 - np.abs(i * (H - 1) / max(SH * H - 1, 1) - p)).astype(dtype)


def forward(x, SH, SW):
    """Compute y by equation (1)."""
    N, C, H, W = x.shape
    return hats(H, SH, x.dtype) @ x @ hats(W, SW, x.dtype).T


def backward_input(gy, SH, SW):
    """Compute gx by equation (2)."""
    N, C, OH, OW = gy.shape
    return hats(OH // SH, SH, gy.dtype).T @ gy @ hats(OW // SW, SW, gy.dtype)
