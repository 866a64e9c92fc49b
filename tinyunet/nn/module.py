"""`Module`: a tree of layers whose attributes are its parameters, buffers and children, in the order of assignment.

There is no registration: a `Parameter` attribute is a parameter, an array attribute is a buffer (state that is saved
but not trained), a `Module` attribute is a child. Python keeps attributes in insertion order, so names and order
agree with PyTorch's `state_dict` for the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .. import settings
from ..autograd import Tensor
from ..backend import is_array, library_of, to_device
from ..ops.shapes import ShapeError

_watcher: ContextVar[Callable | None] = ContextVar("watcher", default=None)
_names: ContextVar[dict[int, str] | None] = ContextVar("names", default=None)


class Parameter(Tensor):
    """A leaf tensor that an optimizer changes."""

    __slots__ = ()

    def __init__(self, data):
        super().__init__(data, requires_grad=True)


class Module:
    """A layer or network. Subclasses assign parameters and children in `__init__` and compute in `forward`.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training (batch normalisation, dropout) do so.
    """

    training: bool = True

    def forward(self, *inputs) -> Tensor:
        """Compute the output; called through the module itself, `module(x)`."""
        raise NotImplementedError

    def __call__(self, *inputs) -> Tensor:
        if _watcher.get() is None and settings.debug_level() == 0:
            return self.forward(*inputs)
        return self._watched(inputs)

    def _watched(self, inputs) -> Tensor:
        """Run `forward` under this layer's name, as seen from the outermost module, and report to the watcher."""
        names = _names.get()
        if names is None:
            names = {id(module): name for name, module in self.named_modules()}
        token = _names.set(names)
        name = names.get(id(self), "")
        try:
            with settings.in_layer(name or type(self).__name__):
                y = self.forward(*inputs)
        finally:
            _names.reset(token)
        if watcher := _watcher.get():
            watcher(name, self, y)
        return y

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, child) in the order of assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (dotted name, module) of this module and everything below it."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter) in the order of assignment."""
        yield from self._named(lambda value: isinstance(value, Parameter))

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (dotted name, array) of the state that is saved but not trained."""
        yield from self._named(is_array)

    def _named(self, wanted: Callable) -> Iterator:
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if wanted(value):
                    yield (f"{prefix}.{name}" if prefix else name), value

    def _named_arrays(self) -> Iterator:
        """Yield (dotted name, array) of parameters and buffers, wherever they are."""
        for name, value in self._named(lambda value: isinstance(value, Parameter) or is_array(value)):
            yield name, value.data if isinstance(value, Parameter) else value

    def parameters(self) -> list[Parameter]:
        """Return all parameters in the order of assignment."""
        return [parameter for _, parameter in self.named_parameters()]

    def parameter_count(self) -> int:
        """Return the number of trained values."""
        return sum(parameter.size for parameter in self.parameters())

    def zero_grad(self) -> None:
        """Forget all gradients; the next backward pass starts from none."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Switch this module and everything below it to training (or, with False, to inference); return it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to inference; see `evaluating` for a block that switches back."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[Module]:
        """Switch to inference for a `with` block and restore every module's mode afterwards."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            yield self
        finally:
            for module, mode in modes:
                module.training = mode

    def astype(self, dtype) -> Module:
        """Convert all parameters and floating buffers to float32 or float64, in place; return the module."""
        for _, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    value.data, value.grad = value.data.astype(dtype), None
                elif is_array(value) and value.dtype.kind == "f":
                    setattr(module, name, value.astype(dtype))
        return self

    @property
    def device(self) -> str:
        """Where the parameters are: "cpu", "cuda", or "cuda:1" and so on; "cpu" if there are none."""
        return next((parameter.device for _, parameter in self.named_parameters()), "cpu")

    def to(self, device: str) -> Module:
        """Move all parameters and floating buffers to a device, in place; return the module.

        Gradients are forgotten. An optimizer keeps its arrays where they are, therefore move first and build it then.
        Counters stay in main memory: nothing on the GPU reads them.

        Parameters
        ----------
        device : "cpu", "cuda" or "cuda:1", "cuda:2", ...

        Raises
        ------
        DeviceError
            If there is no such GPU, with what to change.
        ValueError
            If `device` is none of these.
        """
        for _, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    value.data, value.grad = to_device(value.data, device), None
                elif is_array(value) and value.dtype.kind == "f":
                    setattr(module, name, to_device(value, device))
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return all parameters and buffers by name, as NumPy arrays with PyTorch's names and shapes.

        They are the arrays themselves, not copies, unless the module is on a GPU.
        """
        return {name: to_device(array, "cpu") for name, array in self._named_arrays()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Copy arrays into all parameters and buffers, converted to their dtype, on their device.

        Raises
        ------
        KeyError
            If names are missing or left over.
        ShapeError
            If an array has another shape. In either case nothing has been changed.
        """
        own = dict(self._named_arrays())
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise KeyError(
                f"the weights do not belong to this network: missing {sorted(missing)[:5]}, "
                f"unknown {sorted(unknown)[:5]}; build the network with the arguments it was trained with"
            )
        for name, array in own.items():
            if array.shape != state[name].shape:
                raise ShapeError(f"{name} has shape {array.shape} here, but {state[name].shape} in the weights")
        for name, array in own.items():
            array[...] = library_of(array).asarray(state[name])


class Sequential(Module):
    """Layers one after another, named "0", "1", ..."""

    def __init__(self, *layers: Module):
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def forward(self, x):
        for _, layer in self.named_children():
            x = layer(x)
        return x


@contextmanager
def watching(watcher: Callable[[str, Module, Tensor], None] | None) -> Iterator[None]:
    """Call `watcher(name, module, output)` after every module that runs in the block; None for nobody."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
