"""`Observer`: how a tool sees every operation as it runs, forward and backward, without the engine knowing the tool.

Timing, recording and drawing are subclasses (see `tinyunet/glass`). Where nobody observes, it costs one `if` an op.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import settings

if TYPE_CHECKING:
    from .autograd import Op
    from .tensor import Tensor


class Observer:
    """Runs the ops while it observes. Subclasses do something before and after `super().forward` and `.backward`.

    They get the real tensors and gradients: look, and change nothing. What is on a GPU may not be computed yet when the
    call returns.
    """

    outer: Observer | None = None

    def forward(self, op: Op, tensors: list[Tensor | None], options: dict) -> Tensor:
        """Run an op on its inputs (None where an optional one is absent) and return its result."""
        return op.run(tensors, options) if self.outer is None else self.outer.forward(op, tensors, options)

    def backward(self, op: Op, gy) -> tuple:
        """Run the backward of an op on its upstream gradient and return its gradients."""
        return op.backward(gy) if self.outer is None else self.outer.backward(op, gy)


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Let `observer` see every op that this thread runs in the block; one that observes already goes on doing so."""
    observer.outer = settings.observer()
    with settings.observed_by(observer):
        yield
