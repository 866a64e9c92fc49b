"""`Tensor`: an array that knows which operation made it. The operators on it are the ops of `ops/arithmetic.py`.

Those need `Op`, and `autograd.py` needs `Tensor`; so this file, the lower one, imports what it calls when it calls it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from .backend import device_of, to_device

if TYPE_CHECKING:
    from .autograd import Op


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : float32 or float64 array, or nested lists of numbers (read as float32)
    requires_grad : bool
        True for what a gradient is wanted of: parameters, or an input under study.

    Attributes
    ----------
    data : array
        The values.
    grad : array of the same shape, or None
        Filled by `backward()` in leaves (tensors not made by an op) and after `retain_grad()`. Gradients of
        repeated backward passes add up until `grad = None`. Read it, replace it, but do not write into it:
        two tensors may share one array.
    creator : Op or None
        The operation that made this tensor; None for a leaf.

    Raises
    ------
    TypeError
        If `data` has another dtype than float32 or float64, or is a Tensor itself.
    """

    __slots__ = ("data", "grad", "requires_grad", "creator", "__weakref__")
    __array_ufunc__ = None  # makes `ndarray * Tensor` call Tensor.__rmul__ instead of looping over elements

    def __init__(self, data, requires_grad: bool = False):
        if isinstance(data, Tensor):
            raise TypeError("data is a Tensor already; use it as it is, or tensor.detach() for a new leaf")
        if not hasattr(data, "dtype"):
            data = np.asarray(data, dtype=np.float32)
        if data.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"a Tensor holds float32 or float64, got {data.dtype}; "
                "convert first, for example with array.astype(numpy.float32)"
            )
        self.data = np.asarray(data) if isinstance(data, np.generic) else data
        self.grad = None
        self.requires_grad = requires_grad
        self.creator: Op | None = None

    shape = property(lambda self: self.data.shape, doc="Size along each axis.")
    ndim = property(lambda self: self.data.ndim, doc="Number of axes.")
    size = property(lambda self: self.data.size, doc="Number of elements.")
    dtype = property(lambda self: self.data.dtype, doc="float32 or float64.")
    device = property(lambda self: device_of(self.data), doc='"cpu", "cuda", or "cuda:1" and so on.')

    def __repr__(self) -> str:
        made_by = f", made by {type(self.creator).__name__}" if self.creator else ""
        where = "" if self.device == "cpu" else f", on {self.device}"
        return f"Tensor({np.array2string(self.numpy(), threshold=20, precision=4)}, {self.dtype}{where}{made_by})"

    def __len__(self) -> int:
        return len(self.data)

    def item(self) -> float:
        """Return the value of a tensor with one element as a Python float."""
        return float(self.data.item())

    def numpy(self) -> np.ndarray:
        """Return the values as a NumPy array (the same memory on the CPU, a copy from a GPU)."""
        return to_device(self.data, "cpu")

    def to(self, device: str) -> Tensor:
        """Return this tensor on a device: itself if it is there, otherwise a copy through which gradients flow back.

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
        if device == self.device:
            return self
        return _arithmetic().ToDevice.apply(self, device=device)

    def detach(self) -> Tensor:
        """Return a leaf with the same values (same memory) that gradients do not flow through."""
        return Tensor(self.data)

    def retain_grad(self) -> Tensor:
        """Ask that `backward()` also keeps the gradient of this tensor, though it is not a leaf; return self."""
        if self.creator is not None:
            self.creator.result = weakref.ref(self)
        return self

    def backward(self, gradient=None) -> None:
        """Add to `.grad` of every leaf behind this tensor the derivative of this tensor with respect to it.

        Parameters
        ----------
        gradient : array of this tensor's shape, optional
            Upstream gradient; 1 where this tensor is a single number (a loss).

        Raises
        ------
        GraphError
            If nothing here requires a gradient, if the graph was used up by an earlier call, or if `gradient`
            is missing for a tensor with more than one element.
        """
        from .autograd import backward

        backward(self, gradient)

    def __add__(self, other):
        return _arithmetic().Add.apply(self, _like(other, self))

    def __radd__(self, other):
        return _arithmetic().Add.apply(_like(other, self), self)

    def __sub__(self, other):
        return _arithmetic().Subtract.apply(self, _like(other, self))

    def __rsub__(self, other):
        return _arithmetic().Subtract.apply(_like(other, self), self)

    def __mul__(self, other):
        return _arithmetic().Multiply.apply(self, _like(other, self))

    def __rmul__(self, other):
        return _arithmetic().Multiply.apply(_like(other, self), self)

    def __truediv__(self, other):
        return _arithmetic().Divide.apply(self, _like(other, self))

    def __rtruediv__(self, other):
        return _arithmetic().Divide.apply(_like(other, self), self)

    def __neg__(self):
        return _arithmetic().Multiply.apply(self, _like(-1.0, self))

    def __pow__(self, exponent: float):
        return _arithmetic().Power.apply(self, exponent=float(exponent))  # a NumPy number could change the dtype

    def sum(self, axis=None, keepdims: bool = False) -> Tensor:
        """Return the sum over `axis` (an int, a tuple of ints, or None for all)."""
        return _arithmetic().Sum.apply(self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims: bool = False) -> Tensor:
        """Return the mean over `axis` (an int, a tuple of ints, or None for all)."""
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size)

    def reshape(self, *shape) -> Tensor:
        """Return the same elements in another shape; one size may be -1."""
        return _arithmetic().Reshape.apply(self, shape=shape[0] if isinstance(shape[0], tuple) else shape)


def as_tensor(value) -> Tensor:
    """Return `value` itself if it is a Tensor, otherwise a new leaf around it."""
    return value if isinstance(value, Tensor) else Tensor(value)


def _arithmetic():
    """Return the module of the ops behind the operators."""
    from .ops import arithmetic

    return arithmetic


def _like(value, tensor: Tensor) -> Tensor:
    """Turn the other operand into a Tensor; a plain number takes the dtype and device of `tensor`."""
    if isinstance(value, (int, float, np.generic)):
        return Tensor(np.full_like(tensor.data, value, shape=()))
    return as_tensor(value)
