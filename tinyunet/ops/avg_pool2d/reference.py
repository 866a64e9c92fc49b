"""Average pooling in NumPy: the specification. The only loops are over the window offsets (u, v)."""

import numpy as np


def _reached(padded, u, v, g):
    return padded[:, :, u : u + g.SH * g.OH : g.SH, v : v + g.SW * g.OW : g.SW][:, :, : g.OH, : g.OW]


def forward(x, g):
    """Compute y by equation (1)."""
    xpad = np.pad(x, ((0, 0), (0, 0), (g.PH, g.PH), (g.PW, g.PW)))
    return sum(_reached(xpad, u, v, g) for u, v in np.ndindex(g.KH, g.KW)) / x.dtype.type(g.KH * g.KW)  # (1)


def backward_input(gy, g):
    """Compute gx by equation (2)."""
    gxpad = np.zeros((g.N, g.C, g.H + 2 * g.PH, g.W + 2 * g.PW), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        reached = _reached(gxpad, u, v, g)
        reached += gy / gy.dtype.type(g.KH * g.KW)  # (2)
    return gxpad[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W]
