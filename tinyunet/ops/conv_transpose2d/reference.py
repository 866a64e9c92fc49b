"""Transposed 2-D convolution in NumPy: the specification. The only loops are over the kernel offsets (u, v)."""

import numpy as np


def _stamped(ypad, u, v, g):
    """View of the uncut output at (i SH + u, j SW + v), for all input pixels (i, j)."""
    return ypad[:, :, u : u + g.SH * (g.H - 1) + 1 : g.SH, v : v + g.SW * (g.W - 1) + 1 : g.SW]


def _uncut(gy, g):
    """Put gy back into the uncut output, with zeros where it was cut off."""
    full = np.zeros((g.N, g.O, *_uncut_size(g)), gy.dtype)
    full[:, :, g.PH : g.PH + g.OH, g.PW : g.PW + g.OW] = gy
    return full


def _uncut_size(g):
    return (
        max((g.H - 1) * g.SH + g.KH, g.PH + g.OH),  # output_padding may reach below the last stamp
        max((g.W - 1) * g.SW + g.KW, g.PW + g.OW),
    )


def forward(x, w, b, g):
    """Compute y by equation (1)."""
    ypad = np.zeros((g.N, g.O, *_uncut_size(g)), x.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        stamped = _stamped(ypad, u, v, g)
        stamped += np.einsum("ncij,co->noij", x, w[:, :, u, v], optimize=True)  # (1)
    y = ypad[:, :, g.PH : g.PH + g.OH, g.PW : g.PW + g.OW]
    return y if b is None else y + b[:, None, None]


def backward_input(gy, w, g):
    """Compute gx by equation (2)."""
    gypad = _uncut(gy, g)
    gx = np.zeros((g.N, g.C, g.H, g.W), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        gx += np.einsum("noij,co->ncij", _stamped(gypad, u, v, g), w[:, :, u, v], optimize=True)  # (2)
    return gx


def backward_weight(gy, x, g):
    """Compute gw by equation (3)."""
    gypad = _uncut(gy, g)
    gw = np.empty((g.C, g.O, g.KH, g.KW), gy.dtype)
    for u, v in np.ndindex(g.KH, g.KW):
        gw[:, :, u, v] = np.einsum("ncij,noij->co", x, _stamped(gypad, u, v, g), optimize=True)  # (3)
    return gw


def backward_bias(gy):
    """Compute gb by equation (4)."""
    return gy.sum(axis=(0, 2, 3))
