"""The rectifier: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels


class ReLU(Op):
    """The autograd op behind `relu`; equation numbers are those of its docstring."""

    def forward(self, x):
        self.kernels = choose_kernels(x, __package__)
        y = self.kernels.forward(x)  # (1)
        self.save(y)
        return y

    def backward(self, gy):
        return (self.kernels.backward_input(gy, *self.saved),)  # (2)


def relu(x) -> Tensor:
    """Set negative values to zero.

        y  = max(0, x)                        (1)
        gx = gy where y > 0, else 0           (2)

    The derivative at 0 is taken as 0. NaN stays NaN.

    Parameters
    ----------
    x : float array or Tensor of any shape

    Returns
    -------
    Tensor of x's shape

    Notes
    -----
    Saves y rather than x: the next layer keeps y anyway, so that x can be freed.
    """
    return ReLU.apply(x)
