"""What the NVIDIA driver itself says, asked through its own library: whether there is a GPU, with or without CuPy."""

from __future__ import annotations

import ctypes
import sys
from typing import NamedTuple

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


class Gpu(NamedTuple):
    """One GPU."""

    name: str
    memory: int  # bytes
    capability: tuple[int, int]

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{self.name}, {self.memory / 2**30:.0f} GiB, compute capability {major}.{minor}"


class Driver(NamedTuple):
    """The driver of this machine."""

    cuda: tuple[int, int]  # the newest version of CUDA that it serves
    gpus: tuple[Gpu, ...]  # those that CUDA_VISIBLE_DEVICES lets through
    error: str = ""  # why it does not work, if it does not


def find_driver() -> Driver | None:
    """Ask the driver for its version and its GPUs; None where there is no driver."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = version.value // 1000, version.value % 1000 // 10
    if status := library.cuInit(0):
        text = ctypes.c_char_p()
        library.cuGetErrorString(status, ctypes.byref(text))
        error = "" if status == _NO_DEVICE else (text.value or b"unknown error").decode()
        return Driver(cuda, (), error)
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    return Driver(cuda, tuple(_describe(library, number) for number in range(count.value)))


def _describe(library, number: int) -> Gpu:
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    library.cuDeviceGetName(name, len(name), number)  # devices are numbers, from 0
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), number)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, number)
        capability.append(value.value)
    return Gpu(name.value.decode(), memory.value, (capability[0], capability[1]))
