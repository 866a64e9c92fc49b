"""Adam, and AdamW with decoupled weight decay."""

from __future__ import annotations

from ..backend import choose_kernels
from .optimizer import Optimizer


class Adam(Optimizer):
    """Step by the running mean of the gradient, divided by the root of that of its square.

        g <- g + weight_decay w
        m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2          (both start at 0)
        w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)          (t = 1, 2, ...)

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        Learning rate.
    betas : (float, float)
        beta1 and beta2, from 0 to below 1.
    eps : float
        Added outside the root.
    weight_decay : float
        Pull of every weight towards 0.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Kingma and Ba, Adam, 2015.
    """

    decoupled = False

    def __init__(
        self,
        parameters,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr)
        if not all(0 <= beta < 1 for beta in betas) or eps <= 0 or weight_decay < 0:
            raise ValueError(
                f"betas must be in [0, 1), eps above 0 and weight_decay at least 0, got {betas}, {eps}, {weight_decay}"
            )
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def update(self, w, g, state, when):
        m, v = (self.kept(name, state, w) for name in ("mean", "square"))
        options = {"lr": self.lr, "betas": self.betas, "eps": self.eps, "weight_decay": self.weight_decay}
        choose_kernels(w, __package__).adam(w, g, m, v, when, decoupled=self.decoupled, steps=self.steps, **options)


class AdamW(Adam):
    """Adam with the weight decay taken out of the gradient.

        w <- w - lr weight_decay w, then Adam's step with weight_decay = 0

    Parameters are those of `Adam`; `weight_decay` defaults to 0.01.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, 2019.
    """

    decoupled = True

    def __init__(self, parameters, lr: float = 1e-3, *, weight_decay: float = 0.01, **options):
        super().__init__(parameters, lr, weight_decay=weight_decay, **options)
