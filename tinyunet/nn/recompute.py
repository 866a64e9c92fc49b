"""Activation checkpointing: a block's inputs are kept for backward, and all that it computed between is made again.

Backward needs what the operations of forward saved, which is most of the memory of training. A block that is recomputed
saves its inputs only. When backward arrives there, the block runs a second time, now recording its graph, and backward
goes through that: less memory for one more forward pass of the block. The second pass must not differ from the first,
so random generators (dropout) go back to where they were then, and what the first pass has changed already (the running
statistics of batch normalisation) is put back after the second. The gradients are the same to the last bit.

Reference: Chen et al., Training deep nets with sublinear memory cost, 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

import numpy as np

from ..autograd import Op, Tensor
from ..settings import grad_enabled, no_grad
from .module import Module, watching


class Recompute(Op):
    """The autograd op behind `recompute`: its inputs are those of the block, then the parameters of the modules."""

    def forward(self, *arrays, run, count, modules):
        self.run, self.modules = run, modules
        self.parameters = [p for module in modules for p in module.parameters()]
        self.draws = {g: g.bit_generator.state for g in _generators(modules)}
        self.context = copy_context()  # choice of kernels, precision and the layer's name hold in the second pass, too
        self.save(*arrays[:count])
        with no_grad():
            return run(*map(Tensor, arrays[:count])).data

    def again(self) -> tuple[list[Tensor], Tensor]:
        """Run the block a second time and return its inputs and its result, with the graph between them."""
        inputs = [Tensor(x, requires_grad=needed) for x, needed in zip(self.saved, self.needs_grad, strict=False)]
        with _state_kept(self.modules):
            for generator, state in self.draws.items():
                generator.bit_generator.state = state
            return inputs, self.context.run(self._unwatched, inputs)

    def _unwatched(self, inputs: list[Tensor]) -> Tensor:
        with watching(None):  # whoever looks at layers has seen this pass
            return self.run(*inputs)

    def backward(self, gy):
        inputs, y = self.again()
        grads = [p.grad for p in self.parameters]  # of other batches: the engine adds to them what is returned here
        for p in self.parameters:
            p.grad = None
        y.data = np.broadcast_to(np.zeros_like(gy, shape=()), gy.shape)  # its values are not needed any more
        try:
            y.backward(gy)
            return tuple(t.grad for t in (*inputs, *self.parameters))
        finally:
            for p, grad in zip(self.parameters, grads, strict=True):
                p.grad = grad


def recompute(run: Callable[..., Tensor], *inputs, modules: Iterable[Module]) -> Tensor:
    """Compute `run(*inputs)`, keep only the inputs for backward, and run it once more there.

    Parameters
    ----------
    run : callable
        Tensors -> Tensor. It runs twice, so it must do the same for the same inputs; random numbers come from
        generators that are attributes of the modules.
    *inputs : float arrays or Tensors
        All that it computes from, but for the parameters.
    modules : iterable of Module
        All that it uses. Every parameter must take part.

    Returns
    -------
    Tensor

    Notes
    -----
    Costs one forward pass more. `retain_grad` of tensors within the block has no effect.
    """
    modules = tuple(modules)
    if not grad_enabled():
        return run(*inputs)
    parameters = (p for module in modules for p in module.parameters())
    return Recompute.apply(*inputs, *parameters, run=run, count=len(inputs), modules=modules)


def _generators(modules: Iterable[Module]) -> list[np.random.Generator]:
    """Return the random generators of the modules, each once."""
    found = (value for top in modules for _, module in top.named_modules() for value in vars(module).values())
    return list(dict.fromkeys(value for value in found if isinstance(value, np.random.Generator)))


@contextmanager
def _state_kept(modules: Iterable[Module]) -> Iterator[None]:
    """Put back the buffers of the modules and the state of their random generators after the block."""
    buffers = [(array, array.copy()) for module in modules for _, array in module.named_buffers()]
    states = {g: g.bit_generator.state for g in _generators(modules)}
    try:
        yield
    finally:
        for array, before in buffers:
            array[...] = before
        for generator, state in states.items():
            generator.bit_generator.state = state
