"""A stand-in for CuPy on machines without a GPU: NumPy arrays behind CuPy's rules, and CUDA kernels run by `runner`.

`installed()` puts it in the place of the module `cupy`. It is stricter than it is complete:

- NumPy and CuPy arrays do not mix, and a CuPy array does not turn into a NumPy one by accident (as in CuPy).
- Only the functions, methods and options listed here exist. `test_cupy.py` compares the lists with the real CuPy.
- Everything that waits for the GPU (reading a number, `if array:`) is counted in `SYNCHRONISATIONS`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np

from . import runner

# Functions that CuPy serves when NumPy's function of that name is given a CuPy array, with CuPy's parameters.
FUNCTIONS = {
    "broadcast_to": "array, shape",
    "concatenate": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "full_like": "a, fill_value, dtype=None, order='K', subok=None, shape=None",
    "ones_like": "a, dtype=None, order='K', subok=None, shape=None",
    "pad": "array, pad_width, mode='constant', **kwargs",
    "split": "ary, indices_or_sections, axis=0",
    "where": "condition, x=None, y=None",
    "stack": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "zeros_like": "a, dtype=None, order='K', subok=None, shape=None",
}
UFUNCS = (
    "add divide equal exp isfinite isinf isnan log logical_and maximum multiply negative not_equal power subtract"
).split()
# Methods of an array, with CuPy's parameters.
METHODS = {
    "astype": "dtype, order='K', casting=None, subok=None, copy=True",
    "copy": "order='C'",
    "fill": "value",
    "reshape": "*shape, order='C', copy=None",
    "sum": "axis=None, dtype=None, out=None, keepdims=False",
}
ATTRIBUTES = ("dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides")
TOLD_APART = "Unsupported type <class 'numpy.ndarray'>"  # the words of CuPy's error

SYNCHRONISATIONS: list[str] = []
LAUNCHES: list[str] = []
LIMIT = SimpleNamespace(bytes=None)
"""`LIMIT.bytes`: the largest array for which there is memory."""


def _inside(value):
    """Return what is inside of stand-in arrays; refuse NumPy arrays."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(TOLD_APART)
    return type(value)(map(_inside, value)) if isinstance(value, (list, tuple)) else value


def _outside(value):
    """Put NumPy results into stand-in arrays. Numbers too: on a GPU every result is an array."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_outside, value))
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    array = np.asarray(value)
    return ndarray._of(array if runner.memory_of(array) is not None else _allocate(array))


def _allocate(values):
    if LIMIT.bytes is not None and values.nbytes > LIMIT.bytes:
        raise OutOfMemoryError(f"Out of memory allocating {values.nbytes:,} bytes")
    if values.flags.f_contiguous and not values.flags.c_contiguous:
        return runner.put(values.T).T  # CuPy keeps the order of the axes in memory
    return runner.put(values)


def _waits(how: str) -> None:
    SYNCHRONISATIONS.append(how)


@functools.cache
def _signature(parameters: str) -> inspect.Signature:
    made = {}
    exec(f"def function({parameters}): pass", made)
    return inspect.signature(made["function"])


def _checked(name: str, parameters: str, call):
    """Return `call` with CuPy's parameters instead of NumPy's more numerous ones."""
    signature = _signature(parameters)

    def function(*args, **options):
        signature.bind(*args, **options)
        return _outside(call(*map(_inside, args), **{key: _inside(value) for key, value in options.items()}))

    function.__name__ = name
    return function


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the GPU"; `_array` is the NumPy array inside, between guard zones."""

    __slots__ = ("_array",)
    __module__ = "cupy"

    @classmethod
    def _of(cls, array):
        self = object.__new__(cls)
        self._array = array
        return self

    def __array__(self, *args, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if method != "__call__" or ufunc.__name__ not in UFUNCS or options.keys() - {"dtype"}:
            return NotImplemented
        if out is not None:
            options["out"] = tuple(map(_inside, out))
        result = ufunc(*map(_inside, inputs), **options)
        return _outside(result) if out is None else out[0]

    def __array_function__(self, function, types, args, options):
        name = function.__name__
        if name not in FUNCTIONS or function is not getattr(np, name, None):
            return NotImplemented
        return _functions[name](*args, **options)

    def __getattr__(self, name):
        if name in ATTRIBUTES:
            return getattr(self._array, name)
        if name in METHODS:
            return _checked(name, METHODS[name], getattr(self._array, name))
        raise AttributeError(f"the stand-in for CuPy has no ndarray.{name}; if CuPy has it, list it in standin.py")

    def __getitem__(self, index):
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, ndarray) and part.dtype == bool:
                _waits("array[mask]")
        return _outside(self._array[_inside(index)])

    def __setitem__(self, index, value):
        self._array[_inside(index)] = _inside(value)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"standin.{self._array!r}"

    def get(self, stream=None, order="C", out=None, blocking=True):
        _waits("get")
        return self._array.copy(order=order)

    def item(self):
        _waits("item")
        return self._array.item()

    def all(self, axis=None, out=None, keepdims=False):
        return _outside(self._array.all(axis=axis, keepdims=keepdims))

    def __float__(self):
        _waits("float")
        return float(self._array)

    def __int__(self):
        _waits("int")
        return int(self._array)

    def __bool__(self):
        _waits("bool")
        return bool(self._array)

    device = property(lambda self: cuda.Device(0))


_functions = {name: _checked(name, parameters, getattr(np, name)) for name, parameters in FUNCTIONS.items()}


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    pass


def array(obj, dtype=None, copy=True, order="K"):
    inside = obj._array if isinstance(obj, ndarray) else obj
    return ndarray._of(_allocate(np.array(inside, dtype, order=order)))


def asarray(a, dtype=None, order=None):
    if isinstance(a, ndarray) and dtype in (None, a.dtype):
        return a
    return array(a, dtype)


def empty(shape, dtype=float, order="C"):
    shape = shape if np.iterable(shape) else (shape,)
    if LIMIT.bytes is not None and np.prod(shape, dtype=object) * np.dtype(dtype).itemsize > LIMIT.bytes:
        raise OutOfMemoryError(f"Out of memory allocating an array of shape {shape}")
    return ndarray._of(runner.empty(shape, dtype))


def get_default_memory_pool():
    return SimpleNamespace(free_bytes=lambda: 0, total_bytes=lambda: 3_000_000)


class RawModule:
    def __init__(self, *, code, options=(), name_expressions=()):
        if options != ("-std=c++17",):
            raise KeyError(f"the stand-in knows no compiler options {options}")
        self.code, self.names = code, tuple(name_expressions)

    def get_function(self, name):
        if name not in self.names:
            raise KeyError(name)
        return _Function(runner.build(self.code, self.names)[name])


class RawKernel:
    def __init__(self, code, name):
        self.code, self.name = code, name

    def compile(self):
        runner.build(self.code, (self.name,))

    def __call__(self, grid, block, args):
        self.compile()


class _Function:
    def __init__(self, kernel):
        self.kernel = kernel

    def __call__(self, grid, block, args, *, shared_mem=0):
        if shared_mem > 48 << 10:
            raise KeyError(f"{shared_mem} bytes of shared memory need max_dynamic_shared_size_bytes")
        for i, a in enumerate(args):
            if isinstance(a, np.ndarray):
                raise TypeError(f"{self.kernel.name} argument {i}: {TOLD_APART}")
        LAUNCHES.append(self.kernel.name)
        self.kernel.launch(grid, block, [_inside(a) for a in args], shared_mem)


class Device:
    """One GPU."""

    def __init__(self, number=0):
        self.id = number

    def use(self):
        pass

    def synchronize(self):
        _waits("synchronize")


cuda = ModuleType("cupy.cuda")
cuda.Device = Device
cuda.memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
cuda.runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    driverGetVersion=lambda: 13000,
    memGetInfo=lambda: (3 << 30, 4 << 30),
    runtimeGetVersion=lambda: 13000,
)


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Let `import cupy` in the block import this module."""
    from tinyunet import backend

    names = ("cupy", "cupy.cuda")
    before = {name: sys.modules.get(name) for name in names}
    backend.load_cupy.cache_clear()
    sys.modules.update({"cupy": sys.modules[__name__], "cupy.cuda": cuda})
    try:
        yield sys.modules[__name__]
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        backend.load_cupy.cache_clear()


@contextmanager
def synchronisations() -> Iterator[list[str]]:
    """Collect what in the block waits for the GPU."""
    start, found = len(SYNCHRONISATIONS), []
    yield found
    found += SYNCHRONISATIONS[start:]
