"""Which implementation ("rung") of an operation serves an array, and on which device the array lives.

The rungs of an operation are the files of its folder: `reference.py` (NumPy), `cpu.py` (numba), later `gpu.py`
(CuPy). They export the same functions with the same signatures. A rung is imported at its first use, so that
`import tinyunet` pays for neither numba nor CuPy.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from types import ModuleType

from . import settings


def device_of(array) -> str:
    """Return "cpu" for a NumPy array and "cuda" for a CuPy one, without importing CuPy.

    Raises
    ------
    TypeError
        If `array` is neither.
    """
    library = type(array).__module__.partition(".")[0]
    if library == "numpy":
        return "cpu"
    if library == "cupy":
        return "cuda"
    raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}; use numpy.asarray(...)")


def choose_kernels(array, op_folder: str) -> ModuleType:
    """Return the rung of the operation in package `op_folder` that computes on `array`.

    Parameters
    ----------
    array : array
        Any input of the operation; its device decides.
    op_folder : str
        The operation's `__package__`, for example "tinyunet.ops.conv2d".
    """
    rung = settings.kernel_choice()
    if rung == "auto":
        rung = {"cpu": "cpu", "cuda": "gpu"}[device_of(array)]
    return importlib.import_module(f"{op_folder}.{rung}")


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays for the next ones; return whether the system knows how.

    A training step makes and frees hundreds of megabytes of arrays. The C library of Linux gives large ones back to the
    system at once, and the system clears every page before it hands it out again, which costs a good part of a step.
    It changes the whole process, therefore it is called by `tinyunet.train` and by the command (where the benchmark's
    other sides profit too), and otherwise left to you.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from C libraries other than glibc
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
