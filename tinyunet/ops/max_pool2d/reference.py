"""Maximum pooling in NumPy: the specification. The only loops are over the window offsets (u, v)."""

import numpy as np


def _reached(padded, u, v, g):
    return padded[:, :, u : u + g.SH * g.OH : g.SH, v : v + g.SW * g.OW : g.SW][:, :, : g.OH, : g.OW]


def forward(x, g):
    """Compute y by equation (1), and for each window the offset u KW + v of its first maximum."""
    xpad = np.pad(x, ((0, 0), (0, 0), (g.PH, g.PH), (g.PW, g.PW)), constant_values=-np.inf)
    windows = np.stack([_reached(xpad, u, v, g) for u, v in np.ndindex(g.KH, g.KW)])
    offset = windows.argmax(axis=0).astype(np.uint16)  # the first one where several are equal; NaN wins
    if g.PH or g.PW:
        # A window of -infinity everywhere must not choose the padding.
        inside = np.pad(np.ones(x.shape, bool), ((0, 0), (0, 0), (g.PH, g.PH), (g.PW, g.PW)))
        first_inside = np.stack([_reached(inside, u, v, g) for u, v in np.ndindex(g.KH, g.KW)]).argmax(axis=0)
        chosen = np.take_along_axis(windows, offset[None].astype(np.intp), axis=0)[0]
        offset = np.where(chosen == -np.inf, first_inside, offset).astype(np.uint16)
    return np.take_along_axis(windows, offset[None].astype(np.intp), axis=0)[0], offset  # (1)


def backward_input(gy, offset, g):
    """Compute gx by equation (2)."""
    gxpad = np.zeros((g.N, g.C, g.H + 2 * g.PH, g.W + 2 * g.PW), gy.dtype)
    for k, (u, v) in enumerate(np.ndindex(g.KH, g.KW)):
        reached = _reached(gxpad, u, v, g)
        reached += np.where(offset == k, gy, gy.dtype.type(0))  # (2)
    return gxpad[:, :, g.PH : g.PH + g.H, g.PW : g.PW + g.W]
