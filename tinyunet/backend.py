"""Which implementation ("rung") of an operation serves an array, and on which device the array lives.

The rungs of an operation are the files of its folder: `reference.py` (NumPy), `cpu.py` (numba), `gpu.py` (CuPy). They
export the same functions with the same signatures. A rung is imported at its first use, so that `import tinyunet` pays
for neither numba nor CuPy.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from . import settings
from .driver import find_driver


class DeviceError(RuntimeError):
    """The GPU cannot be used, and why."""


def device_of(array) -> str:
    """Return "cpu" for a NumPy array and "cuda" for a CuPy one ("cuda:1" on the second GPU), without importing CuPy.

    Raises
    ------
    TypeError
        If `array` is neither.
    """
    library = _library_name(array)
    if library == "numpy":
        return "cpu"
    if library == "cupy":
        return f"cuda:{array.device.id}" if array.device.id else "cuda"
    raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}; use numpy.asarray(...)")


def _library_name(array) -> str:
    return type(array).__module__.partition(".")[0]


def is_array(value) -> bool:
    """Tell whether `value` is a NumPy or CuPy array."""
    return isinstance(value, np.ndarray) or _library_name(value) == "cupy"


def owner_of(array):
    """Return the array whose memory `array` shows: itself, or what it is a view of. Two views share one owner."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array


def library_of(array) -> ModuleType:
    """Return the module, numpy or cupy, whose functions make arrays like `array`.

    Functions that take an array find its library by themselves (`np.sqrt` of a CuPy array is a CuPy array). This is for
    those that bring an array over: `library_of(x).asarray(mask)` is `mask` on the device of x.
    """
    return sys.modules["cupy"] if _library_name(array) == "cupy" else np


def to_device(array, device: str):
    """Return `array` on a device: itself if it is there already, otherwise a copy.

    Parameters
    ----------
    array : NumPy or CuPy array
    device : "cpu", "cuda" or "cuda:1", "cuda:2", ...
        A GPU with a number becomes the current one of this thread: CuPy computes on one at a time.

    Raises
    ------
    DeviceError
        If there is no such GPU, with what to change.
    ValueError
        If `device` is none of these.
    """
    if device == "cpu":
        return array.get() if _library_name(array) == "cupy" else array
    number = gpu_number(device)
    cupy = load_cupy()
    count = cupy.cuda.runtime.getDeviceCount()
    if number >= count:
        raise DeviceError(f"there is no GPU {number}: this machine has {count}, numbered from 0")
    if ":" in device:
        cupy.cuda.Device(number).use()
    return cupy.asarray(array)


def gpu_number(device: str) -> int:
    """Return 0 for "cuda" and k for "cuda:k".

    Raises
    ------
    ValueError
        If `device` is neither.
    """
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not found:
        raise ValueError(
            f"device must be 'cpu', 'cuda' or 'cuda:1', 'cuda:2', ... (for runs also 'auto'), got {device!r}"
        )
    return int(found[1] or 0)


@functools.cache
def load_cupy() -> ModuleType:
    """Import CuPy and run one tiny kernel; return CuPy.

    Raises
    ------
    DeviceError
        If that fails, with the reason and what to change.
    """
    try:
        import cupy
    except Exception as error:  # ImportError, but with a damaged or mismatched installation anything
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            raise DeviceError(
                "the GPU needs CuPy, which is not installed; for an NVIDIA driver of version 580 or newer: pip install "
                "'tinyunet[gpu-cuda13]', for one from 525 on: pip install 'tinyunet[gpu-cuda12]' (nvidia-smi shows it)"
            ) from None
        raise DeviceError(
            f"CuPy is installed but cannot be imported ({error}); keep one CuPy wheel only: pip list shows which "
            "there are, pip uninstall them all and install 'tinyunet[gpu-cuda13]' or 'tinyunet[gpu-cuda12]' anew"
        ) from error
    runtime = cupy.cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise DeviceError(_why_no_device(cupy, error)) from error
    try:
        probe = cupy.RawKernel('extern "C" __global__ void probe() {}', "probe")
        probe.compile()
        probe((1,), (1,), ())
        cupy.cuda.Device().synchronize()
    except Exception as error:  # CuPy raises RuntimeError, ImportError, CompileException: whatever the library lacks
        raise DeviceError(
            f"CuPy sees the GPU but cannot compile and run kernels ({error}); install NVIDIA's compiler beside it: pip "
            f"install 'tinyunet[gpu-cuda{runtime.runtimeGetVersion() // 1000}]'"
        ) from error
    return cupy


def _why_no_device(cupy: ModuleType, error: Exception) -> str:
    """Put a refusal of the CUDA runtime into words."""
    runtime = cupy.cuda.runtime
    wheel, driver = runtime.runtimeGetVersion() // 1000, runtime.driverGetVersion()
    if not driver:
        return (
            f"CuPy is installed, but there is no NVIDIA driver ({error}); on a machine with an NVIDIA GPU install the "
            "driver (nvidia-smi must work), otherwise use device='cpu'"
        )
    if driver // 1000 < wheel:
        return (
            f"the NVIDIA driver serves CUDA {driver // 1000}.{driver % 1000 // 10}, but CuPy was built for CUDA "
            f"{wheel} ({error}); pip uninstall cupy-cuda{wheel}x, then pip install "
            f"'tinyunet[gpu-cuda{driver // 1000}]', or update the driver"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hint = f" (CUDA_VISIBLE_DEVICES is {visible!r})" if visible is not None else ""
    return (
        f"the NVIDIA driver shows no GPU{hint} ({error}); check that nvidia-smi lists one and that "
        "CUDA_VISIBLE_DEVICES does not hide it, otherwise use device='cpu'"
    )


def choose_device(wanted: str) -> tuple[str, str]:
    """Return the device to compute on, and a text that names it.

    Parameters
    ----------
    wanted : "auto", "cpu", "cuda" or "cuda:1", "cuda:2", ...
        "auto" is a GPU if one can be used, otherwise the CPU; the text then says why a GPU that is there is left out.

    Returns
    -------
    (str, str)
        For example ("cuda", "cuda, NVIDIA H100 80GB HBM3, 79 GiB, compute capability 9.0") or ("cpu", "cpu").

    Raises
    ------
    DeviceError
        If a GPU is asked for and cannot be used, with what to change.
    ValueError
        If `wanted` is none of these.
    """
    if wanted == "cpu":
        return "cpu", "cpu"
    if wanted != "auto":
        gpu_number(wanted)
    try:
        to_device(np.zeros(()), "cuda" if wanted == "auto" else wanted)
    except DeviceError as error:
        if wanted != "auto":
            raise
        driver = find_driver()
        if driver is None or not (driver.gpus or driver.error):
            return "cpu", "cpu"
        return "cpu", f"cpu; there is a GPU ({driver.error or driver.gpus[0]}), but {error}"
    device, driver = "cuda" if wanted == "auto" else wanted, find_driver()
    number = gpu_number(device)
    return device, f"{device}, {driver.gpus[number]}" if driver and number < len(driver.gpus) else device


def memory_of(device: str) -> tuple[int, int] | None:
    """Return the bytes that are free and that there are on a device; None where the system does not tell."""
    if device != "cpu":
        cupy = load_cupy()
        free, total = cupy.cuda.runtime.memGetInfo()
        return free + cupy.get_default_memory_pool().free_bytes(), total  # the pool keeps what arrays gave back
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    lines = dict(line.split(":", 1) for line in table.read_text("utf-8").splitlines())
    free, total = (1024 * int(lines[name].split()[0]) for name in ("MemAvailable", "MemTotal"))
    return free, total


def announce_compilation(device: str):
    """Return a context manager that says on standard error which kernels for `device` compile in it, and how long."""
    module = ".ops.jit" if device == "cpu" else ".ops.cuda"
    return importlib.import_module(module, __package__).announce_compilation()


def choose_kernels(array, op_folder: str) -> ModuleType:
    """Return the rung of the operation in package `op_folder` that computes on `array`.

    Parameters
    ----------
    array : array
        Any input of the operation; its device decides.
    op_folder : str
        The operation's `__package__`, for example "tinyunet.ops.conv2d".

    Raises
    ------
    DeviceError
        If the rung chosen by `use_kernels` computes on another device.
    """
    rung, on_gpu = settings.kernel_choice(), _library_name(array) == "cupy"
    if rung in ("auto", "plain"):
        rung = "gpu" if on_gpu else "cpu"
    elif (rung == "gpu") != on_gpu:
        raise DeviceError(
            f"use_kernels({rung!r}) got an array on {device_of(array)!r}; "
            f"move it with .to({'cuda' if rung == 'gpu' else 'cpu'!r}) or use_kernels('auto')"
        )
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
