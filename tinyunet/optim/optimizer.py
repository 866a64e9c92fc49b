"""What all optimizers share: the walk over the parameters, their state, and gradient clipping.

The arithmetic has rungs as the operations have: reference.py (NumPy), cpu.py, gpu.py (CUDA).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..backend import choose_kernels, library_of, to_device
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

    def step(self, when=None) -> None:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        when : bool array with 0 axes, optional
            Where it is false nothing changes but the number of steps. On a GPU the GPU decides, and nothing waits.
        """
        self.steps += 1
        for parameter, state in zip(self.parameters, self.state, strict=True):
            if parameter.grad is not None:
                self.update(parameter.data, parameter.grad, state, when)

    def update(self, w, g, state: dict, when) -> None:
        """Change the array `w` in place, given its gradient `g` and what is kept for it, unless `when` is false."""
        raise NotImplementedError

    def kept(self, name: str, state: dict, w):
        """Return the array `name` that is kept for `w` from step to step; zeros at first."""
        if name not in state:
            state[name] = np.zeros_like(w)
        return state[name]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on besides the parameters, as named NumPy arrays."""
        named = {f"{i}.{name}": array for i, state in enumerate(self.state) for name, array in state.items()}
        return {"steps": np.array(self.steps)} | {name: to_device(array, "cpu") for name, array in named.items()}

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
                parameter = self.parameters[int(index)]
                restored[int(index)][name] = library_of(parameter.data).array(array)
        self.state, self.steps = restored, int(state["steps"])


def clip_gradients(parameters: Iterable[Parameter], max_norm: float):
    """Shorten all gradients together to at most `max_norm`, and return their length before.

        norm = sqrt(sum over all parameters of |g|^2),   g <- g min(1, max_norm / (norm + 1e-6))

    Parameters
    ----------
    parameters : iterable of Parameter
    max_norm : float

    Returns
    -------
    float
        On a GPU an array with 0 axes; to read it is to wait for the GPU.

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks, 2013.
    """
    held = [p for p in parameters if p.grad is not None]
    if not held:
        return 0.0
    gradients, norm = choose_kernels(held[0].data, __package__).clip([p.grad for p in held], max_norm)
    for p, gradient in zip(held, gradients, strict=True):
        p.grad = gradient
    return norm
