"""Padding and cropping of images, each the adjoint of the other. Copies and views, so NumPy serves."""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from .shapes import ShapeError, require_4d

Margins = tuple[int, int, int, int]


def _inside(margins: Margins, H: int, W: int) -> tuple:
    top, bottom, left, right = margins
    return ..., slice(top, H - bottom), slice(left, W - right)


def _check(margins) -> Margins:
    if len(margins) != 4 or min(margins) < 0:
        raise ShapeError(f"margins must be four non-negative ints (top, bottom, left, right), got {margins!r}")
    return tuple(margins)


class Pad(Op):
    """The autograd op behind `pad`."""

    def forward(self, x, *, margins, mode, value):
        require_4d(x)
        top, bottom, left, right = self.margins = _check(margins)
        if mode not in ("constant", "edge"):
            raise ShapeError(f"mode must be 'constant' or 'edge', got {mode!r}")
        self.mode = mode
        widths = ((0, 0), (0, 0), (top, bottom), (left, right))
        return np.pad(x, widths, mode=mode, **({"constant_values": value} if mode == "constant" else {}))

    def backward(self, gy):
        top, bottom, left, right = self.margins
        inside = _inside(self.margins, *gy.shape[2:])
        if self.mode == "constant":
            return (gy[inside],)
        # Each border pixel showed the nearest edge pixel, first across, then down: fold them back in that order.
        across = gy[..., left : gy.shape[3] - right].copy()
        across[..., 0] += gy[..., :left].sum(axis=3)
        across[..., -1] += gy[..., gy.shape[3] - right :].sum(axis=3)
        gx = across[:, :, top : gy.shape[2] - bottom].copy()
        gx[:, :, 0] += across[:, :, :top].sum(axis=2)
        gx[:, :, -1] += across[:, :, gy.shape[2] - bottom :].sum(axis=2)
        return (gx,)


class Crop(Op):
    """The autograd op behind `crop`."""

    def forward(self, x, *, margins):
        require_4d(x)
        top, bottom, left, right = self.margins = _check(margins)
        H, W = x.shape[2:]
        if top + bottom >= H or left + right >= W:
            raise ShapeError(f"cropping {margins} (top, bottom, left, right) leaves nothing of an image {H} x {W}")
        self.shape = x.shape
        return x[_inside(self.margins, H, W)]

    def backward(self, gy):
        gx = np.zeros_like(gy, shape=self.shape)
        gx[_inside(self.margins, *self.shape[2:])] = gy
        return (gx,)


def pad(x, margins: Margins, *, mode: str = "constant", value: float = 0.0) -> Tensor:
    """Surround images with rows and columns.

    With "constant" the border holds `value` and gx is the inner part of gy. With "edge" it repeats the nearest
    pixel, and the gradient of the border adds to that pixel.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
    margins : (top, bottom, left, right)
        Rows and columns to add.
    mode : "constant" or "edge"
    value : float
        Value of a constant border.

    Returns
    -------
    (N, C, top + H + bottom, left + W + right) Tensor

    Raises
    ------
    ShapeError
        If x does not have 4 axes, a margin is negative, or the mode is unknown.
    """
    return Pad.apply(x, margins=margins, mode=mode, value=value)


def crop(x, margins: Margins) -> Tensor:
    """Cut rows and columns off images; gx is gy surrounded by zeros.

    Parameters
    ----------
    x : (N, C, H, W) float array or Tensor
    margins : (top, bottom, left, right)
        Rows and columns to remove.

    Returns
    -------
    (N, C, H - top - bottom, W - left - right) Tensor
        Shares memory with x.

    Raises
    ------
    ShapeError
        If x does not have 4 axes, a margin is negative, or nothing is left.
    """
    return Crop.apply(x, margins=margins)
