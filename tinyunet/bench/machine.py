"""The machine: what it is, and the most arithmetic and the most memory traffic that it was measured to do.

The two peaks are the roof of the "roofline": work of F operations on B bytes takes at least max(F / peak, B / copy)
seconds, whichever library does it.

References
----------
Williams et al., Roofline: an insightful visual performance model for multicore architectures, 2009.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np

from ..backend import choose_device, load_cupy
from ..doctor import cpu_model
from ..ops.jit import kernel, serial
from ..ops.simd import LANES, load, splat, store


class Peaks(NamedTuple):
    """What the machine does at best with the threads that numba has."""

    gflops: float  # 10^9 float32 operations per second; a fused multiply-add is two
    gb_per_s: float  # 10^9 bytes read and written per second


def set_threads(threads: int | None, torch) -> None:
    """Give numba and, if it is compared with, PyTorch the same number of threads; None means one per core.

    Raises
    ------
    ValueError
        If the machine does not have so many.
    """
    most = numba.config.NUMBA_NUM_THREADS
    threads = most if threads is None else threads
    if not 1 <= threads <= most:
        raise ValueError(f"--threads must be from 1 to {most}, got {threads}")
    numba.set_num_threads(threads)
    if torch:
        torch.set_num_threads(threads)


def describe(torch, device: str = "cpu") -> dict:
    """Return the CPU, the threads in use, the width of a vector, the GPU if one computes, and the libraries' versions.

    Parameters
    ----------
    torch : module or None
        PyTorch, if it is compared with.
    device : "cpu", "cuda" or "cuda:1", ...
    """
    versions = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    gpu = {}
    if device != "cpu":
        cupy = load_cupy()
        gpu["gpu"] = choose_device(device)[1]
        versions |= {"cupy": cupy.__version__, "cuda": cupy.cuda.runtime.runtimeGetVersion()}
    return gpu | {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "vector_bits": 32 * LANES,
        "versions": versions | {"torch": torch and torch.__version__},
    }


def measure_peaks(repeats: int = 30, steps: int = 1_000_000, copied: int = 2**24) -> Peaks:
    """Return the best of `repeats` runs: other work can only slow a run down.

    Parameters
    ----------
    repeats : int
    steps : int
        Rounds of 12 vector multiply-adds per thread and run.
    copied : int
        Float32 numbers per copy; by default 64 MiB, beyond most caches.
    """
    threads = numba.get_num_threads()
    sums = np.zeros((threads, 12 * LANES), np.float32)
    x, y = np.ones(copied, np.float32), np.zeros(copied, np.float32)
    arithmetic = _fastest(lambda: _multiply_add[threads](steps, sums), repeats)
    copy = _fastest(lambda: _copy[copied](x, y), repeats)
    return Peaks(threads * steps * 12 * 2 * LANES / arithmetic / 1e9, 2 * x.nbytes / copy / 1e9)


def _fastest(work: Callable[[], None], repeats: int) -> float:
    work()  # compiles
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@kernel
def _multiply_add(first, last, steps, sums):
    for thread in range(first, last):
        _multiply_add_in_registers(steps, sums[thread])


@serial
def _multiply_add_in_registers(steps, x):
    """x <- x x - 1/2, which no compiler can shorten; 12 vectors that do not wait for each other hide the latency."""
    a, b, c = load(x, 0), load(x, LANES), load(x, 2 * LANES)
    d, e, f = load(x, 3 * LANES), load(x, 4 * LANES), load(x, 5 * LANES)
    g, h, i = load(x, 6 * LANES), load(x, 7 * LANES), load(x, 8 * LANES)
    j, k, l = load(x, 9 * LANES), load(x, 10 * LANES), load(x, 11 * LANES)
    t = splat(np.float32(-0.5))
    for _ in range(steps):
        a, b, c, d = a * a + t, b * b + t, c * c + t, d * d + t
        e, f, g, h = e * e + t, f * f + t, g * g + t, h * h + t
        i, j, k, l = i * i + t, j * j + t, k * k + t, l * l + t
    store(x, 0, a + b + c + d + e + f + g + h + i + j + k + l)  # used, so that nothing is left out


@kernel
def _copy(first, last, x, y):
    y[first:last] = x[first:last]
