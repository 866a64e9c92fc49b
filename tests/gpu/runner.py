"""Runs CUDA kernels on the CPU: `build` compiles them with g++ behind cuda_on_cpu.h, and `Kernel.launch` runs one.

Every launch takes place three times, with the threads in three orders, and must give the same bits. "Device memory"
(`empty`, `put`) starts as NaN and lies between guard zones of NaN, which must be untouched afterwards; a kernel that
reads there spoils its result.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
FLAGS = (
    "-std=c++17 -O1 -w -shared -fPIC -fno-gnu-unique -fno-strict-aliasing -fsanitize=bounds -U_FORTIFY_SOURCE"
).split()
CACHE = Path(tempfile.gettempdir()) / f"tinyunet-cuda-on-cpu-{os.getuid() if hasattr(os, 'getuid') else ''}"
ORDERS = (0, 1, 2)
AVAILABLE = sys.platform.startswith("linux") and shutil.which("g++") is not None
GUARD = 4096
"""Least bytes of a guard zone; it is as long as the array if that is longer, since wrong indices can jump far."""


_seeds = itertools.count()


class KernelError(RuntimeError):
    """A kernel did what it must not do."""


class _Memory(np.ndarray):
    """The whole of one allocation, guard zones included."""


@functools.lru_cache(maxsize=256)
def _many_guard_words(count: int) -> np.ndarray:
    return np.uint32(0xFFC00000) | (np.arange(count + 1000, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(10))


def _guard_words(count: int, seed: int) -> np.ndarray:
    """NaNs unlike their neighbours and those of other arrays, so that guard words are noticed where they are copied."""
    return _many_guard_words(count)[seed : seed + count]


def empty(shape, dtype) -> np.ndarray:
    """Return an array between guard zones; every byte is 0xff, a NaN in floating point."""
    dtype = np.dtype(dtype)
    shape = tuple(shape) if np.iterable(shape) else (shape,)
    nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    words = -(-nbytes // 4)
    guard = max(GUARD // 4, -(-words // 64) * 64)
    memory = np.empty(words + 2 * guard, np.uint32).view(_Memory)
    memory.guard, memory.seed = guard, next(_seeds) % 997
    memory[guard:-guard] = 0xFFFFFFFF
    memory[:guard] = memory[-guard:] = _guard_words(guard, memory.seed)
    return memory[guard:].view(np.ndarray).view(np.uint8)[:nbytes].view(dtype).reshape(shape)


def put(values) -> np.ndarray:
    """Return a copy of `values` between guard zones."""
    array = empty(np.shape(values), np.asarray(values).dtype)
    array[...] = values
    return array


def memory_of(array) -> _Memory | None:
    """Return the allocation that an array is a part of, or None if it did not come from here."""
    while array is not None and not (isinstance(array, _Memory) and hasattr(array, "guard")):
        array = getattr(array, "base", None)
    return array


def check_guards(array, what: str) -> None:
    """Raise KernelError if something was written beside the allocation of `array`."""
    memory = memory_of(array)
    if memory is None:
        raise KernelError(f"{what} is not an array of the stand-in")
    words, guard = memory.view(np.ndarray), memory.guard
    pattern = _guard_words(guard, memory.seed)
    if not (np.array_equal(words[:guard], pattern) and np.array_equal(words[-guard:], pattern)):
        raise KernelError(f"{what}: written outside of the array")


class Kernel:
    """One compiled kernel, ready to run on the CPU."""

    def __init__(self, library: ctypes.CDLL, i: int, name: str):
        self.name, self._launch = name, getattr(library, f"launch_{i}")
        signature = getattr(library, f"signature_{i}")
        signature.restype = self._launch.restype = ctypes.c_char_p
        self.parameters = signature().decode().split()

    def launch(self, grid, block, args, shared_bytes: int = 0) -> None:
        """Run the kernel in three thread orders and require the same bits; arguments as CuPy's RawKernel takes them.

        Raises
        ------
        TypeError
            If an argument is not of the type that the kernel takes.
        KernelError
            If the kernel does something wrong, or its results depend on the order of threads.
        """
        grid, block = ((*size, 1, 1)[:3] for size in (grid, block))
        if not (all(n >= 1 for n in (*grid, *block)) and np.prod(block, dtype=object) <= 1024 and block[2] <= 64):
            raise KernelError(f"{self.name}: a GPU refuses grid {grid}, block {block}")
        if not (grid[0] < 2**31 and grid[1] < 65536 and grid[2] < 65536):
            raise KernelError(f"{self.name}: a GPU refuses grid {grid}")
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, got {len(args)}")
        values = [self._value(i, a) for i, a in enumerate(args)]
        pointers = (ctypes.c_void_p * max(1, len(values)))(*(v.ctypes.data for v in values))
        sizes = (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block)
        is_output = [p[0] == "*" and p[1] == "-" for p in self.parameters]
        outputs = [a for a, out in zip(args, is_output, strict=True) if out and a is not None]
        before, first = [a.copy() for a in outputs], None
        for order in ORDERS:
            for a, start in zip(outputs, before, strict=True):
                a[...] = start
            error = self._launch(*sizes, ctypes.c_size_t(shared_bytes), order, pointers)
            if error:
                raise KernelError(f"{self.name}: {error.decode()}")
            found = [a.tobytes() for a in outputs]
            if first is not None and found != first:
                raise KernelError(f"{self.name}: the result depends on the order of the threads (a race)")
            first = found
        for i, a in enumerate(args):
            if isinstance(a, np.ndarray):
                check_guards(a, f"{self.name} argument {i}")

    def _value(self, i: int, argument) -> np.ndarray:
        """Return the bytes that the kernel is given for an argument, as an array of one element."""
        parameter, where = self.parameters[i], f"{self.name} argument {i}"
        kind, size = parameter[2], int(parameter[3:])
        if parameter[0] == "*":
            if argument is None:
                return np.zeros(1, np.uint64)
            if not isinstance(argument, np.ndarray):
                raise TypeError(f"{where}: the kernel takes a pointer, got {type(argument).__name__}")
            if (argument.dtype.kind, argument.dtype.itemsize) != (kind, size):
                raise TypeError(f"{where}: the kernel takes a pointer to {kind}{size}, got {argument.dtype}")
            return np.array([argument.ctypes.data], np.uint64)
        # CuPy passes numbers on as they are: int as 8 bytes, float as a double, NumPy's scalars in their own size.
        number = np.asarray(argument)
        if number.ndim or (number.dtype.kind, number.dtype.itemsize) != (kind, size):
            raise TypeError(f"{where}: the kernel takes a {kind}{size}, got {number.dtype} {argument!r}")
        return number.reshape(1)


def build(source: str, names: tuple[str, ...]) -> dict[str, Kernel]:
    """Compile the kernels `names` (such as "forward<float>") of a CUDA source; they are kept on disk."""
    return build_together([source], names)[0]


def build_together(sources: list[str], names: tuple[str, ...]) -> list[dict[str, Kernel]]:
    """Compile kernels of the same names from several sources at once, each source in a namespace of its own.

    It saves half of the time where there are many: g++ spends it on the header.
    """
    declaration = r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;"
    text = f'#include "{HEADER}"\n'
    for k, source in enumerate(sources):
        source = re.sub(declaration, r"\1* \2 = (\1*)on_cpu::G.dynamic;", source)
        text += f'namespace source_{k} {{\n#line 1 "gpu.cu"\n{source}\n}}\n'
    exports = [f"source_{k}::{name}" for k in range(len(sources)) for name in names]
    text += "".join(f"EXPORT_KERNEL({i}, {name})\n" for i, name in enumerate(exports))
    loaded = ctypes.PyDLL(str(_compile(text)))  # holds the lock of Python: one launch at a time
    kernels = [Kernel(loaded, i, name.partition("::")[2]) for i, name in enumerate(exports)]
    return [dict(zip(names, kernels[k * len(names) :], strict=False)) for k in range(len(sources))]


def _compile(text: str) -> Path:
    """Return the library that g++ makes of a text, from disk if it is there."""
    key = hashlib.sha256("\0".join([text, HEADER.read_text("utf-8"), *FLAGS]).encode()).hexdigest()[:20]
    library = CACHE / f"{key}.so"
    if not library.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            code, made = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            code.write_text(text)
            run = subprocess.run(["g++", *FLAGS, "-o", made, code], capture_output=True, text=True)
            if run.returncode:
                raise KernelError(f"g++ cannot compile this source:\n{run.stderr[:4000]}")
            os.replace(made, library)
    return library
