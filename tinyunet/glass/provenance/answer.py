"""Provenance: which inputs and weights made one element of a result, as numbers, figures and a moving picture.

Everything is asked of the operations that ran; how, and why nothing is missed, is told in `walk.py`. For one
operation the picture shows a window under the formula; through a network it shows the receptive field.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from ...autograd import GraphError, Tensor, as_tensor, ops_behind
from ...nn.module import Module, watching
from ...settings import no_grad
from .walk import derivatives, what_could_change


class Part(NamedTuple):
    """A tensor behind a result: its values, which of them could change the result, and the result's derivative."""

    name: str
    values: np.ndarray
    mask: np.ndarray
    gradient: np.ndarray


class Term(NamedTuple):
    """A product of a sum: index and value of an input element, and what the value is multiplied by."""

    index: tuple[int, ...]
    value: float
    factor: float


class Provenance:
    """What made one element of a result. Made by `provenance`.

    Attributes
    ----------
    at : tuple of int
        The element.
    result : array
        The whole result.
    inputs : Part
        The input: `values`, `mask` and `gradient` are arrays of its shape.
    weights : dict of str to Part
        The same for every other tensor that the function was given, or every parameter of the network.
    layers : dict of str to Part
        The same for the output of every layer behind the element, if a network was traced.
    constant : float
        What the element is where the input is 0.
    """

    def __init__(self, y: Tensor, tensors: dict[str, dict[str, Tensor]], at, at_zero: np.ndarray | None):
        self.at, self.result = _checked(at, y.shape), y.data
        self.constant = 0.0 if at_zero is None else float(at_zero[self.at])
        self._origin = y, tensors, at_zero
        if y.creator is None:
            raise GraphError("no operation made this tensor, or it was made under no_grad(): nothing can be traced")
        if y.device != "cpu":
            raise ValueError(f"provenance needs arrays in main memory, got them on {y.device!r}; use .to('cpu')")
        element = np.zeros(y.shape, bool)
        element[self.at] = True
        sets, gradients = what_could_change(y.creator, element), derivatives(y.creator, element.astype(y.dtype))

        def part(name: str, tensor: Tensor) -> Part:
            key, nothing = tensor.creator or tensor, np.zeros_like(tensor.data)
            mask = sets.get(key, nothing != 0)
            return Part(name, tensor.data, mask, np.where(mask, gradients.get(key, nothing), nothing))

        (self.inputs,) = (part(name, t) for name, t in tensors["inputs"].items())
        self.weights = {name: part(name, t) for name, t in tensors["weights"].items()}
        self.layers = {name: part(name, t) for name, t in tensors["layers"].items() if t.creator in sets}

    @property
    def value(self) -> float:
        """The value of the element."""
        return float(self.result[self.at])

    @property
    def terms(self) -> list[Term] | None:
        """The products that, with `constant`, sum to the value, one for each element of the input's mask.

        None where they do not (to rounding): then the element is no such sum.
        """
        x, mask, factors = self.inputs.values, self.inputs.mask, self.inputs.gradient
        products = x[mask].astype(np.float64) * factors[mask]
        scale = np.abs(products).sum() + abs(self.constant) + abs(self.value)
        missing = abs(self.constant + products.sum() - self.value)
        if not (np.isfinite(scale) and missing <= np.sqrt(np.finfo(x.dtype).eps) * scale):
            return None
        indices = [tuple(map(int, k)) for k in np.argwhere(mask)]
        return [Term(k, float(x[k]), float(factors[k])) for k in indices]

    def moved(self, at) -> Provenance:
        """Return the provenance of another element of the same result; nothing is computed forward again."""
        y, tensors, at_zero = self._origin
        return Provenance(y, tensors, at, at_zero)

    def __str__(self) -> str:
        counts = [f"{p.mask.sum()} of {p.mask.size} in {p.name}" for p in (self.inputs, *self.weights.values())]
        if len(counts) > 4:
            used, size = (sum(np.sum(p.mask == k) for p in self.weights.values()) for k in (True, False))
            counts[1:] = [f"{used} of {used + size} in {len(self.weights)} weights"]
        text = f"y[{','.join(map(str, self.at))}] = {self.value:.6g}, made of {', '.join(counts)}"
        terms = self.terms
        if not terms or len(terms) > 32:
            return text
        return f"{text}\n  = {self.sum_of_products()}"

    def sum_of_products(self) -> str:
        """Write `constant` and `terms` as a sum."""
        products = [f"{as_factor(t.value)}*{as_factor(t.factor)}" for t in self.terms]
        return " + ".join([as_factor(self.constant), *products] if self.constant else products)

    def figure(self):
        """Draw the input with the pixels that made the element, the kernel, and the result with the element marked."""
        from .figures import draw

        return draw(self)

    def animation(self, most: int = 64):
        """Return a small moving picture for notebooks: the element walks over its plane of the result.

        Parameters
        ----------
        most : int
            Number of steps; of a larger plane evenly spaced elements are shown. Each step is a walk backward.

        Returns
        -------
        Animation
            Shows itself in a notebook, `.html` is a page of its own; without JavaScript the element `at` is shown.
        """
        from .animation import Animation

        return Animation.of(self, most)

    def receptive_field(self):
        """Draw over the input what could change the element, and how much each pixel does (the derivative)."""
        from .figures import draw_receptive_field

        return draw_receptive_field(self)


def provenance(function, x, *others, at, layer: str | None = None, **options) -> Provenance:
    """Find out which inputs and weights made one element of a result.

    Parameters
    ----------
    function : callable, Module or Tensor
        An operation such as `functional.conv2d`, called as function(x, *others, **options); or a network, run in
        inference mode; or a tensor that was computed from the tensor `x`, be that a leaf or in between.
    x : float array or Tensor
        The input.
    *others
        Further arguments of the function. Float arrays and Tensors among them are its weights.
    at : tuple of int
        The element, of an image (n, c, i, j).
    layer : str, optional
        Trace the output of this layer of a network (a name of `named_modules`), not the network's.
    **options
        Passed to the function.

    Returns
    -------
    Provenance

    Raises
    ------
    ValueError
        If `at` is no element of the result, there is no such layer, or arrays are on a GPU.
    GraphError
        If the result was not computed from `x` by operations that record a graph.

    Notes
    -----
    The function runs twice, the second time with zeros (for `Provenance.constant`).
    """
    if isinstance(function, Tensor):
        tensors, y, at_zero = {"inputs": {"x": x}, "weights": {}, "layers": {}}, function, None
    else:
        x, others = _leaf(x), [_leaf(a) if _is_weight(a) else a for a in others]
        y, layers = _run(function, x, others, options, layer)
        with no_grad(), np.errstate(all="ignore"):  # log(0) and the like: then the element is no sum of products
            at_zero = _run(function, Tensor(np.zeros_like(x.data)), others, options, layer)[0].data
        tensors = {"inputs": {"x": x}, "weights": _weights(function, others), "layers": layers}
    found = Provenance(y, tensors, at, at_zero)
    if (x.creator or x) not in {parent for op in ops_behind(y.creator) for parent in op.parents}:
        raise GraphError("the result does not come from x by operations that record a graph, so there is no trace")
    return found


def _run(function: Callable, x: Tensor, others, options, layer: str | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the result, or the output of `layer`, and the outputs of all layers that ran."""
    layers: dict[str, Tensor] = {}

    def note(name, module, y):  # a module that runs again, such as a UNet's pool, is counted: pool, pool#2, ...
        runs = sum(known.partition("#")[0] == name for known in layers)
        layers[f"{name}#{runs + 1}" if runs else name] = y

    with function.evaluating() if isinstance(function, Module) else nullcontext(), watching(note):
        y = function(x, *others, **options)
    if layer is None:
        return y, layers
    if layer not in layers:
        raise ValueError(f"no layer {layer!r} ran; there are {', '.join(filter(None, layers))}")
    return layers[layer], layers


def _leaf(value) -> Tensor:
    """Return a tensor whose gradient is wanted; the caller's own is left as it is."""
    return value if isinstance(value, Tensor) and value.requires_grad else Tensor(as_tensor(value).data, True)


def _is_weight(value) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")


def _weights(function: Callable, others) -> dict[str, Tensor]:
    """Name the tensors besides x: a network's parameters, or as the function names its arguments."""
    if isinstance(function, Module):
        return dict(function.named_parameters())
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    names = [p.name for p in parameters[1:]] + [f"argument {k}" for k in range(len(parameters), len(others) + 1)]
    return {name: a for name, a in zip(names, others, strict=False) if isinstance(a, Tensor)}


def as_factor(number: float) -> str:
    """Write a number so that it can stand in a sum or a product: a negative one in brackets."""
    return f"({number:.6g})" if number < 0 else f"{number:.6g}"


def _checked(at, shape: tuple[int, ...]) -> tuple[int, ...]:
    at = tuple(at)
    if len(at) != len(shape) or not all(0 <= k < size for k, size in zip(at, shape, strict=True)):
        raise ValueError(f"at must be an element of the result, whose shape is {shape}, got {at}")
    return at
