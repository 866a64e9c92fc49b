"""Writing what a network says: labels, pictures and arrays, each file whole or not at all."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files import write_whole
from . import volume
from .array_file import ARRAYS
from .image_file import suffix_of
from .sample import DataError, Geometry


def labels_suffix(source: str | Path, slices: int) -> str:
    """Return the ending of the file in which labels of `source`, an image of so many slices, are best written.

    A volume keeps its format (.mhd becomes .mha, a DICOM series .nii.gz), an array becomes .npy, a TIFF stack .tif, and
    a single image .png.
    """
    suffix = suffix_of(source)
    if suffix in volume.SUFFIXES:
        return {".mhd": ".mha", ".dcm": ".nii.gz"}.get(suffix, suffix)
    if suffix in ARRAYS:
        return ".npy"
    if Path(source).is_dir():
        return ".nii.gz"
    return ".png" if slices == 1 else ".tif"


def write_labels(path: Path, labels: np.ndarray, mask_values: Sequence[int], geometry: Geometry | None = None) -> None:
    """Write class indices as the value of each class, in the smallest integers that hold all of them.

    Parameters
    ----------
    path : path
        Its ending decides the format, see `labels_suffix`.
    labels : (H, W) or (D, H, W) int array
        Class indices. A single image (.png) has one slice.
    mask_values : sequence of int
        The value of each class in mask files.
    geometry : Geometry or None
        Of the scan that was segmented: the labels then overlay it in any viewer. Formats that know of none ignore it.

    Raises
    ------
    DataError
        If the labels do not fit the format: PNG holds one slice and values from 0 to 65535.
    """
    suffix, slices = suffix_of(path), len(labels) if labels.ndim == 3 else 1
    array = values_for(path, mask_values, slices)[labels]
    if suffix in volume.SUFFIXES:
        volume.write(path, array, geometry)
    elif suffix == ".npy":
        write_array(path, array)
    else:
        _write_picture(path, array.reshape(-1, *array.shape[-2:]))


def values_for(path: Path, mask_values: Sequence[int], slices: int = 1) -> np.ndarray:
    """Return the value of each class in the smallest integers that hold all; errors as in `write_labels`."""
    values = np.array(mask_values)
    kinds = ("uint8", "uint16", "int16", "int32")
    fitting = [k for k in kinds if np.iinfo(k).min <= values.min() and values.max() <= np.iinfo(k).max]
    suffix = suffix_of(path)
    if not fitting or (suffix == ".png" and (slices > 1 or not fitting[0].startswith("u"))):
        raise DataError(
            f"{path}: {slices} slices with the mask values {tuple(mask_values)} do not fit into a {suffix} file; write "
            "a .tif with values below 2**31"
        )
    return values.astype(fitting[0])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an (H, W, 3) array in [0, 1] as an RGB PNG."""
    _write_picture(path, (picture * 255).round().clip(0, 255).astype(np.uint8)[None])


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def _write_picture(path: Path, pages: np.ndarray) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    first, *others = (Image.fromarray(page) for page in pages)
    if path.suffix == ".tif":
        first.save(buffer, "TIFF", compression="tiff_deflate", save_all=bool(others), append_images=others)
    else:
        first.save(buffer, "PNG")
    write_whole(path, buffer.getvalue())


class RowWriter:
    """Writes labels (.png) or an array (.npy) a few rows at a time; use it inside `tinyunet.files.writing_whole`.

    Parameters
    ----------
    file : binary file
    kind : ".png" or ".npy"
    shape : (H, W) or, .npy only, (K, H, W)
    dtype : dtype
        uint8 or uint16 for .png.
    """

    def __init__(self, file: BinaryIO, kind: str, shape: tuple[int, ...], dtype: np.dtype | str):
        self.file, self.kind, self.shape, self.dtype, self.done = file, kind, shape, np.dtype(dtype), 0
        if kind == ".png":
            file.write(b"\x89PNG\r\n\x1a\n")
            H, W = shape
            self._chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8 * self.dtype.itemsize, 0, 0, 0, 0))  # grey
            self._packer = zlib.compressobj()
        else:
            header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            self._begin = file.tell()

    def write(self, rows: np.ndarray) -> None:
        """Write the next rows, (h, W) or (K, h, W); after the last one the file is finished."""
        H, W = self.shape[-2:]
        rows = rows.astype(self.dtype, copy=False)
        if self.kind == ".png":
            flat = rows.astype(self.dtype.newbyteorder(">")).view(np.uint8)
            lines = np.pad(flat, ((0, 0), (1, 0)))  # each begins with the number of its filter: none
            self._chunk(b"IDAT", self._packer.compress(lines.tobytes()))
        else:
            for k, plane in enumerate(rows if rows.ndim == 3 else rows[None]):
                self.file.seek(self._begin + (k * H + self.done) * W * self.dtype.itemsize)
                self.file.write(plane.tobytes())
        self.done += rows.shape[-2]
        if self.done == H and self.kind == ".png":
            self._chunk(b"IDAT", self._packer.flush())
            self._chunk(b"IEND", b"")

    def _chunk(self, name: bytes, content: bytes) -> None:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        self.file.write(struct.pack(">I", len(content)) + name + content + checksum)
