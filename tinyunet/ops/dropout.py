"""Dropout: random zeros in training. The generator is an argument, so a run can be repeated bit for bit."""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from ..backend import library_of


class Dropout(Op):
    """The autograd op behind `dropout`."""

    def forward(self, x, *, p, generator):
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability must be at least 0 and below 1, got {p}")
        kept = generator.random(x.shape, dtype=np.float32) >= p  # drawn by the CPU: the same zeros on every device
        factor = library_of(x).asarray(kept) * x.dtype.type(1 / (1 - p))
        self.save(factor)
        return x * factor

    def backward(self, gy):
        (factor,) = self.saved
        return (gy * factor,)


def dropout(x, p: float, *, generator: np.random.Generator) -> Tensor:
    """Set each element to zero with probability p and enlarge the others, so that the expectation stays.

        y  = x m / (1 - p),   m = 0 with probability p, else 1
        gx = gy m / (1 - p)

    Parameters
    ----------
    x : float array or Tensor of any shape
    p : float
        Probability of a zero, at least 0 and below 1.
    generator : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ValueError
        If p is out of range.

    References
    ----------
    Srivastava et al., Dropout, 2014.
    """
    return Dropout.apply(x, p=p, generator=generator)
