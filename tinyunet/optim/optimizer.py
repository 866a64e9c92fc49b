"""What all optimizers share: the walk over the parameters, their state, and gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..nn.module import Parameter


class Optimizer:
    """Change parameters against their gradients. Subclasses write `update` for one parameter.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        Learning rate; may be changed between steps (a schedule does).

    Attributes
    ----------
    steps : int
        Number of steps done.
    state : list of dict
        Arrays kept per parameter, such as momentum, in the order of the parameters.

    Raises
    ------
    ValueError
        If there are no parameters or lr is not positive.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("the optimizer was given no parameters; pass model.parameters()")
        if not lr > 0:
            raise ValueError(f"the learning rate must be positive, got {lr}")
        self.lr, self.steps = lr, 0
        self.state: list[dict[str, np.ndarray]] = [{} for _ in self.parameters]

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        self.steps += 1
        for parameter, state in zip(self.parameters, self.state, strict=True):
            if parameter.grad is not None:
                self.update(parameter.data, parameter.grad, state)

    def update(self, w, g, state: dict) -> None:
        """Change the array `w` in place, given its gradient `g` and what is kept for it."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on besides the parameters, as named arrays."""
        arrays = {f"{i}.{name}": array for i, state in enumerate(self.state) for name, array in state.items()}
        return {"steps": np.array(self.steps)} | arrays

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        ValueError
            If it belongs to other parameters.
        """
        restored: list[dict[str, np.ndarray]] = [{} for _ in self.parameters]
        for key, array in state.items():
            if key != "steps":
                index, name = key.split(".")
                if int(index) >= len(restored) or array.shape != self.parameters[int(index)].shape:
                    raise ValueError(f"optimizer state {key} {array.shape} belongs to another network")
                restored[int(index)][name] = array.copy()
        self.state, self.steps = restored, int(state["steps"])


def clip_gradients(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Shorten all gradients together to at most `max_norm`, and return their length before.

        norm = sqrt(sum over all parameters of |g|^2),   g <- g min(1, max_norm / (norm + 1e-6))

    Parameters
    ----------
    parameters : iterable of Parameter
    max_norm : float

    Returns
    -------
    float

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks, 2013.
    """
    held = [p for p in parameters if p.grad is not None]
    norm = float(np.sqrt(sum(float((p.grad.astype(np.float64) ** 2).sum()) for p in held)))
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        for p in held:
            p.grad = p.grad * p.dtype.type(factor)
    return norm
