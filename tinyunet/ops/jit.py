"""How the numba kernels are compiled and started, in one place.

A kernel is written for a range of jobs and started, as in CUDA, with their number in brackets:

    @kernel
    def _double(first, last, x, y):
        for k in range(first, last):
            y[k] = 2 * x[k]

    _double[x.size](x, y)

Every thread runs it on its share of range(x.size). Kernels gather: a job owns what it writes and sums in a fixed order,
so the result has the same bits for any number of threads. `threads.py` has the details. The options:

- `fastmath={"contract", "reassoc"}`: fused multiply-adds and vectorised sums, but never "nnan" or "ninf", so a NaN
  stays visible.
- `cache=True`: machine code is kept on disk. The cache notices edits of the kernel's own file only, which is why a
  kernel uses nothing compiled from another file; the exceptions, `simd.py` and `vector_math.py`, say so.
- `nogil=True`: other Python threads, such as one that prepares the next batch, run beside a kernel.
- Nothing is compiled at import, and only the dtypes that are used.
- LLVM vectorises a loop whose index counts from 0 over slices. Not one that runs from `first` on, because an index that
  might be negative counts from the end, as in Python; nor one with a branch, such as a load that only some elements
  need: load first, then choose. In a trial, the gradient of ReLU took thirty times as long with both mistakes.
- A helper is called for planes or tiles, not for rows: a view that is handed on counts as a reference to its array, and
  the threads queue for that counter.

`NUMBA_DISABLE_JIT=1` in the environment turns the kernels into plain Python, to step through with a debugger.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType

import numba
from numba.core import event

from .threads import parallel_for

OPTIONS = {"fastmath": {"contract", "reassoc"}, "error_model": "numpy"}

_wrappers = {} if numba.config.DISABLE_JIT else {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
serial = numba.njit(**OPTIONS, **_wrappers)
"""Decorator of a helper that kernels of the same file call. Python cannot call it, which halves its compilation."""


class kernel:
    """Decorator of a function (first, last, *arguments); `f[jobs](*arguments)` runs it on all threads.

    numba's own `prange` does the same, but compiles every loop about three times, a second for the smallest kernel.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function)

        def start(jobs, *arguments):
            parallel_for(job, jobs, arguments)  # noqa: F821  (a global of the copy below)

        # numba's cache goes by the file, line and name of the function that Python calls: those of the kernel.
        place = function.__code__
        code = start.__code__.replace(
            co_filename=place.co_filename, co_firstlineno=place.co_firstlineno, co_name=place.co_name
        )
        copy = FunctionType(code, {"parallel_for": parallel_for, "job": serial(function)}, function.__name__)
        copy.__module__, copy.__qualname__ = function.__module__, f"{function.__qualname__}_start"
        self.start = numba.njit(nogil=True, cache=True, **OPTIONS)(copy)

    def __getitem__(self, jobs: int):
        return functools.partial(self.start, jobs)


class _CompilationLine(event.Listener):
    """Counts the kernels being compiled and keeps one line on the terminal up to date."""

    def __init__(self, stream):
        self.stream, self.count, self.seconds, self.depth = stream, 0, 0.0, 0

    def on_start(self, event):
        if self.depth == 0:  # a kernel; deeper are the helpers that it calls
            self.start = time.perf_counter()
            self.count += 1
            name = event.data["dispatcher"].py_func.__name__
            self.write(f"compiling kernels, first run only: {self.count} ({name}) ...")
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if self.depth == 0:
            self.seconds += time.perf_counter() - self.start

    def write(self, text: str, end: str = "") -> None:
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[K{text}{end}")
            self.stream.flush()
        elif end or self.count == 1:
            self.stream.write(f"{text}\n")
            self.stream.flush()


@contextmanager
def announce_compilation(stream=None) -> Iterator[_CompilationLine]:
    """Say on `stream` (default: standard error) which kernels compile in the block and how long; yield the counter."""
    line = _CompilationLine(stream or sys.stderr)
    with event.install_listener("numba:compile", line):
        yield line
    if line.count:
        line.write(f"compiled {line.count} kernels in {line.seconds:.0f} s; kept on disk for the next run", end="\n")
