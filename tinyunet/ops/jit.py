"""How the numba kernels are compiled, in one place: options, and a line that says when a first call is compiling.

- `parallel=True`: `prange` splits the work. Every kernel gathers: an iteration owns what it writes and sums in a
  fixed order, so the result has the same bits for any number of threads.
- `fastmath={"contract", "reassoc"}`: fused multiply-adds and vectorised sums, but never "nnan" or "ninf", so a NaN
  stays visible.
- `cache=True`: machine code is kept on disk. The cache notices edits of the kernel's own file only, which is why a
  kernel uses nothing compiled from another file; the one exception, `simd.py`, says so.
- Nothing is compiled at import, and only the dtypes that are used.
- Threads that wait at the end of a `prange` spin only briefly (`GOMP_SPINCOUNT`, unless you have set it). By default
  GNU OpenMP spins for milliseconds, which on a machine with other work takes away the core that the work waits for;
  on an idle one the longer spin is slightly faster. Compare with `GOMP_SPINCOUNT=1000000 tinyunet bench --quick`.

`NUMBA_DISABLE_JIT=1` in the environment turns the kernels into plain Python, to step through with a debugger.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numba
from numba.core import event

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # read when the first parallel kernel starts its threads

OPTIONS = {"cache": True, "fastmath": {"contract", "reassoc"}, "error_model": "numpy"}

kernel = numba.njit(parallel=True, **OPTIONS)
"""Decorator of a kernel whose `prange` loops run on all threads."""

serial = numba.njit(**OPTIONS)
"""Decorator of a helper that kernels of the same file call."""


class _CompilationLine(event.Listener):
    """Counts the kernels being compiled and keeps one line on the terminal up to date."""

    def __init__(self, stream):
        self.stream, self.count, self.seconds, self.depth = stream, 0, 0.0, 0

    def on_start(self, event):
        if self.depth == 0:  # a kernel; deeper are the helpers that it calls
            self.start = time.perf_counter()
            self.count += 1
            name = event.data["dispatcher"].py_func.__qualname__
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
def announce_compilation(stream=None) -> Iterator[None]:
    """Say on `stream` (default: standard error) which kernels compile during the block and how long it took."""
    line = _CompilationLine(stream or sys.stderr)
    with event.install_listener("numba:compile", line):
        yield
    if line.count:
        line.write(f"compiled {line.count} kernels in {line.seconds:.0f} s; kept on disk for the next run", end="\n")
