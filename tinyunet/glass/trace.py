"""The record of a computation: which operation made what of what, and which gradients came back. `draw_graph` draws it.

The engine links ops only as far as gradients flow, and backward cuts the links as it passes. A `Trace` watches while
the ops run and writes down all of them, with values where they are small, and later the gradients that arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from .. import settings
from ..autograd import GraphError, Op, ops_behind
from ..backend import owner_of, to_device
from ..nn.module import Module, Parameter, watching
from ..observer import Observer, observing
from ..tensor import Tensor
from .cost import name_of

SMALL = 6  # arrays with at most so many numbers are shown whole


@dataclass
class Node:
    """An operation, or a tensor that no operation made (a leaf).

    Attributes
    ----------
    op : str
        Name of the operation's function; "" for a leaf.
    layer : tuple of str
        Names of the modules around it, the outermost first; () directly in the network.
    inputs : list of int
        Numbers of the nodes whose results it uses. Parameters are not among them.
    shape : tuple of int
        Of the result.
    value : array or None
        The result, where it is small.
    gradient : array, float or None
        Of the loss in the result, once backward has passed: the array where it is small, otherwise its norm.
    saved : dict
        What the op keeps for backward: identity of the array -> bytes.
    parameters : list of Parameter
    leaf : Tensor or None
        The tensor itself, if it is a leaf.
    """

    op: str
    layer: tuple[str, ...]
    inputs: list[int]
    shape: tuple[int, ...]
    value: np.ndarray | None = None
    gradient: np.ndarray | float | None = None
    saved: dict[int, int] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)
    leaf: Tensor | None = None

    @property
    def constant(self) -> bool:
        """Whether it is a number that was written into a formula, as the 2 in 2 * x."""
        return self.leaf is not None and self.leaf.size == 1 and not self.leaf.requires_grad


class Trace(Observer):
    """Every operation that ran while it watched, in the order in which they ran.

    Attributes
    ----------
    nodes : list of Node
    parameter_names : dict
        id of a parameter -> its name in the network that ran.
    """

    def __init__(self):
        self.nodes: list[Node] = []
        self.parameter_names: dict[int, str] = {}
        self._roots: set[str] = set()
        self._inside = False  # an op that itself runs ops (a recomputed block) is one operation here
        self._numbers: WeakKeyDictionary[Tensor | Op, int] = WeakKeyDictionary()

    @classmethod
    def behind(cls, tensor: Tensor) -> Trace:
        """Return what can be read from the links of a tensor without having watched: the ops that gradients reach.

        Raises
        ------
        GraphError
            If no op behind the tensor wants a gradient, or backward has passed already.
        """
        if tensor.creator is None:
            raise GraphError("no operation is linked to this tensor: nothing behind it requires a gradient")
        if tensor.creator.saved is None:
            raise GraphError(
                "backward() has passed this graph and cut it; draw it before, or watch with tinyunet.glass.trace() as "
                "it is computed and draw that"
            )
        trace = cls()
        for op in ops_behind(tensor.creator):
            used = [p for p in op.parents if p is not None and not isinstance(p, Parameter)]
            inputs = [trace._numbers[p] if isinstance(p, Op) else trace._number_or_leaf(p) for p in used]
            for parent, shape in zip(op.parents, op.shapes, strict=True):
                if isinstance(parent, Op):
                    trace.nodes[trace._numbers[parent]].shape = shape
            node = Node(name_of(op), (), inputs, tensor.shape, saved=_saved(op))  # of the last it is the shape
            node.parameters = [p for p in op.parents if isinstance(p, Parameter)]
            trace._append(node, op)
        trace.nodes[-1].value = _if_small(tensor.data)
        return trace

    def forward(self, op, tensors, options):
        if self._inside:
            return super().forward(op, tensors, options)
        with self._one_operation():
            out = super().forward(op, tensors, options)
        used = [t for t in tensors if t is not None]
        inputs = [self._number_or_leaf(t) for t in used if not isinstance(t, Parameter)]
        layer = tuple(settings.current_layer().split("."))
        node = Node(name_of(op), layer, inputs, out.shape, _if_small(out.data), saved=_saved(op))
        node.parameters = [t for t in used if isinstance(t, Parameter)]
        self._append(node, out.creator or out)
        return out

    def backward(self, op, gy):
        if op in self._numbers:
            self.nodes[self._numbers[op]].gradient = _small_or_norm(gy)
        with self._one_operation():
            return super().backward(op, gy)

    @contextmanager
    def _one_operation(self) -> Iterator[None]:
        before, self._inside = self._inside, True
        try:
            yield
        finally:
            self._inside = before

    def note_module(self, name: str, module: Module, y: Tensor) -> None:
        """Remember the name and the parameters of a network that has run."""
        if not name:
            self._roots.add(type(module).__name__)
            self.parameter_names |= {id(parameter): name for name, parameter in module.named_parameters()}

    def finish(self) -> None:
        """Take the network's own name off the layers: what runs directly in it is in no module of it."""
        for node in self.nodes:
            if node.layer in {("",), *((root,) for root in self._roots)}:
                node.layer = ()

    def number_of(self, tensor: Tensor) -> int | None:
        """Return the number of the node that made a tensor, or None."""
        return self._numbers.get(tensor.creator or tensor)

    def gradient_of(self, node: Node):
        """Return the gradient that has arrived at a node, whole or as its norm; None before backward."""
        if node.gradient is not None or node.leaf is None or node.leaf.grad is None:
            return node.gradient
        return _small_or_norm(node.leaf.grad)

    def _number_or_leaf(self, tensor: Tensor) -> int:
        """Return the number of the node that made a tensor; one that is new is a leaf, or made before the trace."""
        number = self.number_of(tensor)
        if number is None:
            leaf = Node("", (), [], tensor.shape, _if_small(tensor.data), leaf=tensor)
            number = self._append(leaf, tensor.creator or tensor)
        return number

    def _append(self, node: Node, key: Tensor | Op) -> int:
        self._numbers[key] = len(self.nodes)
        self.nodes.append(node)
        return self._numbers[key]


@contextmanager
def trace() -> Iterator[Trace]:
    """Write down every operation that runs in the block, forward and backward, to draw it with `draw_graph`.

        with tinyunet.glass.trace() as tape:
            loss = F.cross_entropy(model(x), target)
            loss.backward()
        draw_graph(tape)

    It computes the norm of every gradient, and on a GPU waits for each.

    Yields
    ------
    Trace
    """
    tape = Trace()
    with observing(tape), watching(tape.note_module):
        yield tape
    tape.finish()


def _saved(op: Op) -> dict[int, int]:
    """Return identity -> bytes of the arrays that an op keeps; a view counts as the array that it shows."""
    kept = {}
    for array in op.saved or ():
        if array is not None:
            owner = owner_of(array)
            kept[id(owner)] = owner.nbytes
    return kept


def _if_small(array) -> np.ndarray | None:
    return np.array(to_device(array, "cpu")) if array.size <= SMALL else None


def _small_or_norm(array) -> np.ndarray | float:
    small = _if_small(array)
    return norm_of(array) if small is None else small


def norm_of(array) -> float:
    """Return the square root of the sum of squares."""
    return float((array * array).sum().item() ** 0.5)
