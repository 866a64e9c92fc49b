"""Reverse-mode automatic differentiation: `Op`, and the walk backward over the graph that ops and tensors record.

An `Op` knows a formula and its derivative; applying it to tensors computes the result and, when a gradient can
be wanted, links the result to the ops that made its inputs. `Tensor.backward()` walks these links from the last
op to the first and multiplies by one derivative at a time (the chain rule):

    gx = gy * dy/dx          "the gradient of the loss in x is the upstream gradient gy times the local derivative"

Where a value was used more than once its gradients add. Three facts keep this small:

- An op can only use tensors that exist already, so the order of creation is a topological order of the graph.
- An op links to the *ops* behind its inputs, not to the input arrays. What backward needs is what the op saved,
  nothing else stays in memory, and that is freed as soon as it has been used.
- Gradients are plain arrays, not tensors: there is no second derivative.
"""

from __future__ import annotations

import itertools
import os
import sys
import weakref
from pathlib import Path

import numpy as np

from . import settings
from .backend import device_of
from .tensor import Tensor, as_tensor

_PACKAGE = str(Path(__file__).parent) + os.sep
_numbers = itertools.count()


class GraphError(RuntimeError):
    """The graph cannot be walked: nothing to differentiate, or it was used up by an earlier backward."""


class NonFiniteError(ArithmeticError):
    """An operation made a NaN or an infinity (raised at debug level 2)."""


class Op:
    """One differentiable operation. Subclasses write `forward` and `backward`; `apply` is how it is called.

    `forward(*arrays, **options)` gets raw arrays (None for an absent optional input), may `save` what backward
    needs, and returns a fresh array. `backward(gy)` returns one gradient per forward input, as a tuple, with
    None where `needs_grad` is False. Neither may modify an array that it was given.

    Attributes
    ----------
    needs_grad : tuple of bool
        For each input, whether its gradient is wanted; known before `forward` runs.
    saved : tuple of arrays, or None
        What `save` kept; None once backward has used it.
    parents : list
        For each input: the Op that made it, the leaf Tensor itself, or None where no gradient flows.
    created_at : str
        "file:line" of the caller, and the layer if it is known, at debug level 1 and above.
    """

    saved: tuple | None = ()
    result: weakref.ref | None = None
    created_at: str = ""

    def forward(self, *arrays, **options):
        """Compute the result from raw arrays."""
        raise NotImplementedError

    def backward(self, gy) -> tuple:
        """Compute one gradient per forward input from the upstream gradient `gy`."""
        raise NotImplementedError

    def save(self, *arrays) -> None:
        """Keep arrays for backward; nothing is kept where no gradient is wanted."""
        if any(self.needs_grad):
            self.saved = arrays

    @property
    def saved_bytes(self) -> int:
        """Bytes of the arrays kept for backward."""
        return sum(a.nbytes for a in self.saved or () if a is not None)

    @classmethod
    def apply(cls, *inputs, **options) -> Tensor:
        """Run the op on tensors (arrays are wrapped, None passes through) and record it in the graph."""
        tensors = [None if x is None else as_tensor(x) for x in inputs]
        op = cls()
        _check_alike(cls, tensors)
        recording = settings.grad_enabled()
        op.needs_grad = tuple(t is not None and t.requires_grad and recording for t in tensors)
        if settings.debug_level() >= 1:
            layer = settings.current_layer()
            op.created_at = _caller() + (f", layer {layer}" if layer else "")
        observer = settings.observer()
        return op.run(tensors, options) if observer is None else observer.forward(op, tensors, options)

    def run(self, tensors: list[Tensor | None], options: dict) -> Tensor:
        """Compute the result and link it to this op, if a gradient can be wanted; the second half of `apply`."""
        try:
            array = self.forward(*(None if t is None else t.data for t in tensors), **options)
        except MemoryError as error:
            raise _out_of_memory(self, error) from error
        if settings.debug_level() >= 2:
            self.check_finite(array, "result")
        out = Tensor(array)
        if any(self.needs_grad):
            self.number = next(_numbers)
            self.shapes = [None if t is None else t.shape for t in tensors]
            self.parents = [
                (t.creator or t) if needed else None for t, needed in zip(tensors, self.needs_grad, strict=True)
            ]
            out.requires_grad, out.creator = True, self
        return out

    def where(self) -> str:
        """Name the op and, if known, the line that created it."""
        hint = f"created at {self.created_at}" if self.created_at else "see where with tinyunet.debug(1)"
        return f"{type(self).__name__} ({hint})"

    def check_finite(self, array, what: str) -> None:
        """Raise `NonFiniteError` if `array` holds a NaN or an infinity."""
        if not np.isfinite(array).all():
            nans = int(np.isnan(array).sum())
            infinities = int(np.isinf(array).sum())
            raise NonFiniteError(
                f"{what} of {self.where()} holds {nans} NaN and {infinities} infinite values "
                f"among {array.size}; check the input's range and the learning rate"
            )


def _check_alike(op: type[Op], tensors: list[Tensor | None]) -> None:
    """Require one dtype and one device among the inputs of an op."""
    for what, mend in (("dtype", "x.data.astype(...) or model.astype(...)"), ("device", ".to(device)")):
        found = [getattr(t, what) for t in tensors if t is not None]
        if any(f != found[0] for f in found):
            raise TypeError(
                f"{op.__name__} needs all its inputs with the same {what}, got "
                f"{', '.join(map(str, found))}; convert with {mend}"
            )


def _out_of_memory(op: Op, error: MemoryError) -> MemoryError:
    """Say what would need less; `error` is NumPy's or CuPy's."""
    return MemoryError(
        f"no memory for the result of {op.where()}: {error}; use smaller batches, smaller images or a smaller network, "
        "and no_grad() where nothing is trained; on a GPU other programs may hold memory too (nvidia-smi)"
    )


def _caller() -> str:
    """Return "file:line" of the nearest stack frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def ops_behind(last: Op) -> list[Op]:
    """Return every op that `last` depends on, itself included, in the order of creation."""
    found, waiting = {last}, [last]
    while waiting:
        op = waiting.pop()
        if op.saved is None:
            raise GraphError(
                f"backward() has already passed {op.where()} and freed what it had saved; "
                "compute the loss again before calling backward() again"
            )
        for parent in op.parents:
            if isinstance(parent, Op) and parent not in found:
                found.add(parent)
                waiting.append(parent)
    return sorted(found, key=lambda op: op.number)


def backward(tensor: Tensor, gradient=None) -> None:
    """Walk the graph behind `tensor` from its last op to its first; see `Tensor.backward`."""
    if not tensor.requires_grad:
        raise GraphError("nothing behind this tensor requires a gradient (or it was made under no_grad())")
    if gradient is None:
        if tensor.size != 1:
            raise GraphError(
                f"backward() without a gradient starts from one number, got shape {tensor.shape}; "
                "take .sum() or .mean() first, or pass the upstream gradient"
            )
        gradient = np.ones_like(tensor.data)
    if gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
        raise GraphError(
            f"the upstream gradient must be {tensor.shape} {tensor.dtype}, got {gradient.shape} {gradient.dtype}"
        )
    if device_of(gradient) != tensor.device:
        raise GraphError(f"the upstream gradient must be on {tensor.device!r}, got one on {device_of(gradient)!r}")
    if tensor.creator is None:
        _accumulate(tensor, gradient)
        return

    order = ops_behind(tensor.creator)
    arrived = {tensor.creator: gradient}  # the gradient of each op's result, as far as it has been summed
    watching, observer = settings.debug_level() >= 2, settings.observer()
    while order:
        op = order.pop()
        gy = arrived.pop(op)
        if op.result is not None and (result := op.result()) is not None:
            _accumulate(result, gy)
        try:
            gradients = op.backward(gy) if observer is None else observer.backward(op, gy)
        except MemoryError as error:
            raise _out_of_memory(op, error) from error
        if not isinstance(gradients, tuple) or len(gradients) != len(op.parents):
            raise GraphError(f"backward of {op.where()} must return a tuple of {len(op.parents)}, one per input")
        for i, (gx, parent) in enumerate(zip(gradients, op.parents, strict=True)):
            if parent is None:
                continue
            _check_gradient(op, i, gx, gy.dtype)
            if watching:
                op.check_finite(gx, f"gradient {i}")
            if isinstance(parent, Tensor):
                _accumulate(parent, gx)
            else:
                arrived[parent] = arrived[parent] + gx if parent in arrived else gx
        op.saved = None
        op.parents = []


def _accumulate(tensor: Tensor, gradient) -> None:
    total = gradient if tensor.grad is None else tensor.grad + gradient
    tensor.grad = np.asarray(total) if isinstance(total, np.generic) else total


def _check_gradient(op: Op, i: int, gx, dtype) -> None:
    if gx is None or gx.shape != op.shapes[i] or gx.dtype != dtype:
        got = "None" if gx is None else f"{gx.shape} {gx.dtype}"
        raise GraphError(
            f"backward of {op.where()} must return for input {i} a gradient {op.shapes[i]} {dtype}, got {got}"
        )
