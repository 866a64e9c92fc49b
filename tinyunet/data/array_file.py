"""Reading the only array of an .npy or .npz file; anything that could run code is refused."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from . import guard
from .sample import DataError

ARRAYS = (".npy", ".npz")


def read_array(path: Path, suffix: str, size: int) -> np.ndarray:
    """Read the only array of a .npy or .npz file as (C, D, H, W)."""
    if suffix == ".npy":
        with open(path, "rb") as file:
            return _read_npy(path, file, size, size)
    with guard.decoding(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1 or members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            found = ", ".join(member.filename for member in members[:10]) or "nothing"
            raise DataError(
                f"{path}: expected one array, saved with numpy.savez_compressed(path, array); found {found}"
            )
        with archive.open(members[0]) as file:
            return _read_npy(path, file, members[0].file_size, size)


def _read_npy(path: Path, file: IO[bytes], length: int, size: int) -> np.ndarray:
    """Read an array of `length` bytes, header included, that comes out of a file of `size` bytes."""
    shape, fortran, dtype, needed = read_npy_header(path, file, length)
    guard.check_memory(path, needed, size)
    with guard.decoding(path):
        array = np.frombuffer(file.read(needed), dtype).reshape(shape, order="F" if fortran else "C")
    array = np.ascontiguousarray(as_pixels(array))
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def read_npy_header(path: Path, file: IO[bytes], length: int) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return (shape, whether in Fortran order, dtype, bytes) of an array that fills `length` bytes, header included."""
    with guard.decoding(path):
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise DataError(
            f"{path}: holds pickled Python objects, which can run code when they are loaded, so it is not opened; save "
            "plain numbers with numpy.save(path, numpy.asarray(image, numpy.float32))"
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DataError(f"{path}: holds numbers of type {dtype}; expected integers, float16, float32 or float64")
    if not 2 <= len(shape) <= 4 or (len(shape) == 3 and shape[2] <= 4 < min(shape[:2])):
        hint = "; use array.transpose(2, 0, 1)[:, None] for an image with channels last" if len(shape) == 3 else ""
        raise DataError(f"{path}: has the shape {shape}; expected (H, W), (D, H, W) or (C, D, H, W){hint}")
    needed = -1 if min(shape) < 0 else math.prod(shape) * dtype.itemsize
    begin = file.tell()
    if needed > 0 and begin + needed != length:
        raise DataError(
            f"{path}: its header promises the shape {shape}, {needed} bytes, but {length - begin} bytes follow; save "
            "the array again"
        )
    return shape, fortran, dtype, needed


def as_pixels(array: np.ndarray) -> np.ndarray:
    """Turn numbers of an .npy file into a dtype that the rest knows."""
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    wide = array.dtype.itemsize > 4 and array.dtype.kind == "f"
    return array.astype(np.float32 if wide or array.dtype == np.float16 else array.dtype.newbyteorder("="), copy=False)
