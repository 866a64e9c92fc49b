"""The logistic function: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels


class Sigmoid(Op):
    """The autograd op behind `sigmoid`; equation numbers are those of its docstring."""

    def forward(self, x):
        self.kernels = choose_kernels(x, __package__)
        y = self.kernels.forward(x)  # (1)
        self.save(y)
        return y

    def backward(self, gy):
        return (self.kernels.backward_input(gy, *self.saved),)  # (2)


def sigmoid(x) -> Tensor:
    """Map a score to a probability.

        y  = 1 / (1 + exp(-x))        (1)
        gx = gy y (1 - y)             (2)

    Computed from exp(-|x|), which cannot overflow.

    Parameters
    ----------
    x : float array or Tensor of any shape

    Returns
    -------
    Tensor of x's shape, in [0, 1]
    """
    return Sigmoid.apply(x)
