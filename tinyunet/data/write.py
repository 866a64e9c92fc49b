"""Writing what a network says: labels, pictures and arrays, each file whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files import write_whole
from . import volume
from .image_file import ARRAYS, suffix_of
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
    values = np.array(mask_values)
    kinds = ("uint8", "uint16", "int16", "int32")
    fitting = [k for k in kinds if np.iinfo(k).min <= values.min() and values.max() <= np.iinfo(k).max]
    suffix, slices = suffix_of(path), len(labels) if labels.ndim == 3 else 1
    if not fitting or (suffix == ".png" and (slices > 1 or not fitting[0].startswith("u"))):
        raise DataError(
            f"{path}: {slices} slices with the mask values {tuple(mask_values)} do not fit into a {suffix} file; write "
            "a .tif with values below 2**31"
        )
    array = values.astype(fitting[0])[labels]
    if suffix in volume.SUFFIXES:
        volume.write(path, array, geometry)
    elif suffix == ".npy":
        write_array(path, array)
    else:
        _write_picture(path, array.reshape(-1, *array.shape[-2:]))


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
