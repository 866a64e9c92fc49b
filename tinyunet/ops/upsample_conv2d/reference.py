"""The article's "deconvolution" in NumPy: the specification. The only loops are over the kernel offsets (u, v)."""

import numpy as np


def _reached(u, v, g):
    """Input rows p and columns q that offset (u, v) reads for every output pixel, in an image with a zero border.

    The border stands for everything outside: index 0 and H + 1 are its rows.
    """
    p = (np.arange(g.OH) + u - g.PH) // g.SH
    q = (np.arange(g.OW) + v - g.PW) // g.SW
    return p.clip(-1, g.H)[:, None] + 1, q.clip(-1, g.W)[None, :] + 1


def _with_border(x):
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    x = _with_border(x)
    y = np.zeros((g.N, g.O, g.OH, g.OW), x.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        p, q = _reached(u, v, g)
        y += np.einsum("ncij,oc->noij", x[:, :, p, q], w[:, :, u, v], optimize=True)  # (1)
    return y if b is None else y + b[:, None, None]


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    gx = np.zeros((g.N, g.C, g.H + 2, g.W + 2), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        p, q = _reached(u, v, g)
        contribution = np.einsum("noij,oc->ncij", gy, w[:, :, u, v], optimize=True)
        np.add.at(gx, (slice(None), slice(None), p, q), contribution)  # (2)
    return gx[:, :, 1:-1, 1:-1]


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    x = _with_border(x)
    gw = np.empty((g.O, g.C, g.KH, g.KW), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        p, q = _reached(u, v, g)
        gw[:, :, u, v] = np.einsum("noij,ncij->oc", gy, x[:, :, p, q], optimize=True)  # (3)
    return gw


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return gy.sum(axis=(0, 2, 3))
