"""How the CUDA kernels are compiled and launched, in one place: what `jit.py` is to `cpu.py`, this is to `gpu.py`.

A `gpu.cu` is plain CUDA C++ that NVRTC compiles through CuPy, at the first launch and only for the dtypes that are
used; CuPy keeps the machine code on disk. Conventions of all kernels:

- `template <typename T>` over float and double, one thread per element of the result. A kernel with other template
  parameters, such as sizes of tiles, is launched by its whole name, "convolve<3,1,1,64,false>".
- Gather, never scatter: a thread owns the element that it writes and sums in a fixed order. There are no atomics, so
  two runs give the same bits.
- Arrays are contiguous (`contiguous`), inputs are `const`, an absent array is a null pointer (None).
- `#include "../block.cuh"` takes in a file beside the op folders: what several kernels share.

CuPy's RawKernel checks no types: a Python float would arrive as the 8 bytes of a double, whatever the kernel takes. So
`CudaSource.launch` reads the parameters of each kernel from its source, and checks and converts every argument.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

BLOCK = 256
"""Threads per block, a power of two: what `block_sum` of block.cuh adds up."""

C_TYPES = {
    "bool": np.bool_,
    "unsigned char": np.uint8,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "float": np.float32,
    "double": np.float64,
}
_NAME_IN_C = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)
_KERNEL = re.compile(
    r"(?:template\s*<(?P<template>[^>]*)>\s*)?__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)


def empty(shape: tuple[int, ...], dtype):
    """Return a contiguous CuPy array whose values are still undefined."""
    import cupy

    return cupy.empty(shape, dtype)


def contiguous(array):
    """Return the array itself if its elements lie one after another in memory, otherwise a copy for which they do."""
    return array if array.flags.c_contiguous else array.copy(order="C")


_seconds: list[float] = []  # what each compilation has taken; it is short where CuPy finds the machine code on disk


@contextmanager
def announce_compilation(stream=None) -> Iterator[None]:
    """Say on `stream` (default: standard error) how long NVRTC compiled in the block, if that was noticeable."""
    before = len(_seconds)
    yield
    new = _seconds[before:]
    if sum(new) >= 0.5:
        text = f"NVRTC compiled {len(new)} kernels for the GPU in {sum(new):.0f} s; CuPy keeps them for the next run"
        print(text, file=stream or sys.stderr)


class CudaSource:
    """The kernels of the `gpu.cu` beside a `gpu.py`, compiled at their first launch.

    Parameters
    ----------
    python_file : path
        `__file__` of the `gpu.py`.
    instances : tuple of str
        The whole names of the kernels that have template parameters other than T.

    Attributes
    ----------
    text : str
        The source, with its includes put in.
    kernels : dict of str to (str or None, str)
        For each kernel its template's parameters ("typename T") and its own, as written in the source.
    """

    def __init__(self, python_file: str | Path, instances: tuple[str, ...] = ()):
        self.path, self.instances = Path(python_file).with_suffix(".cu"), instances
        self._functions: dict[tuple, tuple[Callable, list[Callable]]] = {}
        self._modules: dict = {}

    @cached_property
    def text(self) -> str:
        return _INCLUDE.sub(
            lambda found: (self.path.parent / found[1]).read_text("utf-8"), self.path.read_text("utf-8")
        )

    @cached_property
    def kernels(self) -> dict[str, tuple[str | None, str]]:
        return {k["name"]: (k["template"], k["parameters"]) for k in _KERNEL.finditer(self.text)}

    def names(self, T: str | None) -> list[str]:
        """Return the whole names of the kernels that are templates over T, for T = "float" or "double", or are none."""
        wanted = "typename T" if T else None
        return [f"{k}<{T}>" if T else k for k, (template, _) in self.kernels.items() if template == wanted]

    def launch(
        self,
        name: str,
        dtype,
        *,
        args: tuple,
        threads: int | None = None,
        grid: tuple[int, ...] = (),
        block: tuple[int, ...] = (BLOCK,),
        shared_bytes: int = 0,
    ) -> None:
        """Launch a kernel on the current stream; it runs while Python goes on.

        Parameters
        ----------
        name : str
            The kernel's name in the source.
        dtype : dtype
            What T stands for.
        args : tuple
            CuPy arrays, None for a null pointer, and numbers, which are converted to what the kernel takes.
        threads : int, optional
            Number of threads, one per element of the result: for grid and block of one axis.
        grid, block : tuples of int
            Number of blocks, and of threads per block, where `threads` is not given.
        shared_bytes : int
            Size of `extern __shared__` memory.

        Raises
        ------
        TypeError
            If an argument does not suit its parameter, naming both.
        """
        dtype = np.dtype(dtype)
        if (name, dtype) not in self._functions:
            self._functions[name, dtype] = self._compile(name, dtype)
        function, converters = self._functions[name, dtype]
        if len(args) != len(converters):
            raise TypeError(f"kernel {name} takes {len(converters)} arguments, got {len(args)}")
        if threads is not None:
            grid = (-(-threads // block[0]),)
        if 0 not in grid:
            args = tuple(convert(value) for convert, value in zip(converters, args, strict=True))
            function(grid, block, args, shared_mem=shared_bytes)

    def _compile(self, name: str, dtype: np.dtype) -> tuple[Callable, list[Callable]]:
        """Return the kernel for T = dtype, and for each parameter a function that converts its argument."""
        import cupy

        template, parameters = self.kernels[name.partition("<")[0]]
        T = _NAME_IN_C[dtype] if template == "typename T" else None
        key = name if name in self.instances else T  # instances one by one, as most are never used
        if key not in self._modules:
            names = [name] if name in self.instances else self.names(T)
            self._modules[key] = cupy.RawModule(code=self.text, options=("-std=c++17",), name_expressions=names)
        types = C_TYPES | {"T": dtype.type}
        converters = [_converter(f"kernel {name}", p, types, cupy.ndarray) for p in parameters.split(",")]
        start = time.perf_counter()
        function = self._modules[key].get_function(f"{name}<{T}>" if T else name)
        _seconds.append(time.perf_counter() - start)
        return function, converters


def _converter(kernel: str, parameter: str, types: dict, array_type: type) -> Callable:
    """Return a function that checks an argument for one parameter, such as "const T* x" or "int N", and converts it."""
    words = re.sub(r"\bconst\b|\b__restrict__\b", "", parameter).replace("*", " * ").split()
    is_pointer, c_type = "*" in words, " ".join(word for word in words[:-1] if word != "*")
    where, dtype = f"{kernel}, parameter `{' '.join(parameter.split())}`", types[c_type]

    def pointer(value):
        if value is None:
            return None
        if not isinstance(value, array_type) or value.dtype != dtype or not value.flags.c_contiguous:
            got = f"{value.dtype} {type(value).__name__}" if hasattr(value, "dtype") else type(value).__name__
            raise TypeError(f"{where}: needs a contiguous CuPy array of {np.dtype(dtype)}, got {got}")
        return value

    def number(value):
        if hasattr(value, "shape") and value.shape or isinstance(value, array_type):
            raise TypeError(f"{where}: needs a number, got an array; to read it on the GPU, take a pointer")
        if np.dtype(dtype).kind in "iub" and int(value) != value:
            raise TypeError(f"{where}: needs a whole number, got {value!r}")
        return dtype(value)

    return pointer if is_pointer else number
