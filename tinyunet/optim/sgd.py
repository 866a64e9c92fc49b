"""Stochastic gradient descent."""

from __future__ import annotations

from ..backend import choose_kernels
from .optimizer import Optimizer


class SGD(Optimizer):
    """Step against the gradient, with momentum if wanted.

        g <- g + weight_decay w
        v <- momentum v + g                 (v starts at 0)
        w <- w - lr v                       (Nesterov: w - lr (g + momentum v))

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        Learning rate.
    momentum : float
        Share of the previous step that is kept, from 0 to below 1.
    weight_decay : float
        Pull of every weight towards 0.
    nesterov : bool
        Look ahead by one momentum step.

    Raises
    ------
    ValueError
        If an argument is out of range, or Nesterov is asked for without momentum.

    References
    ----------
    Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.
    """

    def __init__(
        self, parameters, lr: float, *, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
    ):
        super().__init__(parameters, lr)
        if not 0 <= momentum < 1 or weight_decay < 0:
            raise ValueError(
                f"momentum must be in [0, 1) and weight_decay not negative, got {momentum} and {weight_decay}"
            )
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs momentum above 0")
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov

    def update(self, w, g, state, when):
        v = self.kept("velocity", state, w) if self.momentum else None
        options = {"momentum": self.momentum, "weight_decay": self.weight_decay, "nesterov": self.nesterov}
        choose_kernels(w, __package__).sgd(w, g, v, when, lr=self.lr, **options)
