"""2-D convolution in NumPy: the specification. The only loops are over the kernel offsets (u, v)."""

import numpy as np


def _pad(x, g):
    return np.pad(x, ((0, 0), (0, 0), (g.PH, g.PH), (g.PW, g.PW)))


def _reached(padded, u, v, g):
    """View of the padded image at (p, q) = (i SH + u, j SW + v), for all (i, j)."""
    return padded[:, :, u : u + g.SH * g.OH : g.SH, v : v + g.SW * g.OW : g.SW][:, :, : g.OH, : g.OW]


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    xpad = _pad(x, g)
    y = np.zeros((g.N, g.O, g.OH, g.OW), x.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        y += np.einsum("ncij,oc->noij", _reached(xpad, u, v, g), w[:, :, u, v], optimize=True)  # (1)
    return y if b is None else y + b[:, None, None]


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    gxpad = np.zeros((g.N, g.C, g.H + 2 * g.PH, g.W + 2 * g.PW), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        reached = _reached(gxpad, u, v, g)
        reached += np.einsum("noij,oc->ncij", gy, w[:, :, u, v], optimize=True)  # (2)
    return gxpad[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W]


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    xpad = _pad(x, g)
    gw = np.empty((g.O, g.C, g.KH, g.KW), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        gw[:, :, u, v] = np.einsum("noij,ncij->oc", gy, _reached(xpad, u, v, g), optimize=True)  # (3)
    return gw


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return gy.sum(axis=(0, 2, 3))
