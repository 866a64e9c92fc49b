"""Joining arrays along an axis: how a skip connection meets the decoder. A copy, so NumPy serves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..autograd import Op, Tensor
from .shapes import ShapeError


class Concat(Op):
    """The autograd op behind `concat`."""

    def forward(self, *xs, axis):
        self.axis = axis
        for x in xs[1:]:
            if x.ndim != xs[0].ndim or any(
                a != b for k, (a, b) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if k != axis % x.ndim
            ):
                raise ShapeError(
                    f"concat needs equal sizes except along axis {axis}, got {' and '.join(str(x.shape) for x in xs)}; "
                    "crop or pad the larger one"
                )
        self.ends = list(itertools.accumulate(x.shape[axis] for x in xs))[:-1]
        return np.concatenate(xs, axis=axis)

    def backward(self, gy):
        return tuple(np.split(gy, self.ends, axis=self.axis))


def concat(xs: Sequence, *, axis: int = 1) -> Tensor:
    """Join tensors along an axis (1: channels); the gradient is split at the same places.

        y  = [x_1, x_2, ...]
        gx_k = the part of gy that x_k filled

    Parameters
    ----------
    xs : sequence of float arrays or Tensors
        Equal in shape except along `axis`.
    axis : int

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If another axis differs in size.
    """
    return Concat.apply(*xs, axis=axis)
