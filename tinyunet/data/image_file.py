"""Reading one image or mask file; what a decoder would convert in silence is an error here.

| format | read as |
|---|---|
| PNG, JPEG, BMP, TIFF of one page | an image; grey (1, 8, 16, 32 bit, float) or 8-bit colour |
| TIFF of several pages | a stack of slices |
| NPY, NPZ with one array | (H, W) an image, (D, H, W) a stack of slices, (C, D, H, W) a stack with channels |
| NIfTI, MetaImage, NRRD, DICOM | see `tinyunet.data.volume` |
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import dicom, guard, volume
from .array_file import ARRAYS, read_array
from .sample import DataError, Scan

if TYPE_CHECKING:
    from PIL import Image

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SUFFIXES = PICTURES + ARRAYS + volume.SUFFIXES
LOSSY = (".jpg", ".jpeg")
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "I": 1, "I;16": 1, "I;16L": 1, "I;16B": 1, "F": 1}
_CHANNELS |= {"RGB": 3, "RGBA": 3, "P": 3, "PA": 3}
_BYTES = {"I": 4, "F": 4, "I;16": 2, "I;16L": 2, "I;16B": 2, "RGB": 3, "RGBA": 3, "P": 3, "PA": 3}  # of others 1
_ORIENTATION = 274  # the number of the entry in EXIF and TIFF
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow and in JPEG


def suffix_of(path: str | Path) -> str:
    """Return the ending that tells the format, in lower case; `.nii.gz` counts as one."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def read_scan(path: str | Path, channels: int | None = None, series: int | None = None) -> Scan:
    """Read an image, a stack or a volume as it is: no scaling, alpha dropped, palettes turned into their colours.

    Pictures that cameras and microscopes mark as lying on their side (EXIF orientation) are turned upright, as in every
    viewer; DICOM files in which high values are dark (MONOCHROME1) are inverted, so that high is bright everywhere.

    Colour becomes grey by g = 0.299 R + 0.587 G + 0.114 B; grey becomes colour by R = G = B = g.

    Parameters
    ----------
    path : path of a file, or of a folder that holds a DICOM series
    channels : int or None
        Convert between 1 and 3 channels; None keeps what the file has.
    series : int or None
        Which DICOM series (its SeriesNumber), for a folder with several.

    Returns
    -------
    Scan

    Raises
    ------
    DataError
        If the file cannot be decoded, holds a kind of pixel that is not listed above, holds NaN or infinity, would take
        more memory than `tinyunet.data.guard.MAX_BYTES`, or has a number of channels that cannot be converted.
    """
    scan = _read(path, series, indices=False)
    return scan._replace(pixels=to_channels(path, scan.pixels, channels))


def to_channels(path: str | Path, pixels: np.ndarray, channels: int | None) -> np.ndarray:
    """Check pixels (C, D, H, W) and convert them as `read_scan` does, whose errors it raises."""
    if pixels.dtype.itemsize > 4:
        pixels = pixels.astype(np.float32)
    _check_finite(path, pixels)
    if channels is None or channels == len(pixels):
        return pixels
    if len(pixels) == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=0)
    if len(pixels) == 3 and channels == 1:
        return np.tensordot(_LUMA, pixels.astype(np.float32), 1)[None]
    raise DataError(
        f"{path}: has {len(pixels)} channel{'s' * (len(pixels) > 1)}, expected {channels}; modalities in files of "
        "their own are joined if these are called NAME_0000.*, NAME_0001.*, ..."
    )


def read_image(path: str | Path, channels: int | None = None) -> np.ndarray:
    """Read a single image: parameters and errors as in `read_scan`.

    Returns
    -------
    (C, H, W) float32 array
        0..255 from 8-bit files, 0..65535 from 16-bit files.

    Raises
    ------
    DataError
        Also if the file holds several slices.
    """
    return _only_slice(path, read_scan(path, channels).pixels).astype(np.float32)


def read_labels(path: str | Path, series: int | None = None) -> Scan:
    """Read the raw values of a mask; of a palette image, the indices; of a 1-bit image, 0 and 255.

    Returns
    -------
    Scan
        Its pixels are (1, D, H, W) integers.

    Raises
    ------
    DataError
        As `read_scan`; if the file is a JPEG, a colour image whose R, G and B differ somewhere, or holds fractions.
    """
    if suffix_of(path) in LOSSY:
        raise DataError(
            f"{path}: a mask cannot be a JPEG: its compression invents values along every edge. "
            "Export the mask again, as PNG or TIFF."
        )
    scan = _read(path, series, indices=True)
    values = scan.pixels
    if len(values) > 1 and (len(values) != 3 or (values != values[:1]).any()):
        raise DataError(
            f"{path}: the mask is a colour image or has several channels, so its class indices are unknown. "
            "Save it in one channel (a grey or palette PNG, for example) with one value per class."
        )
    values = values[:1]
    if values.dtype.kind == "f":
        _check_finite(path, values)
        whole = np.rint(values)
        if (whole != values).any() or np.abs(whole).max() > 2**31 - 1:
            raise DataError(
                f"{path}: the mask holds fractions such as {values[whole != values][:1]}; expected one whole number "
                "per class. Was it resized with interpolation, or is it a probability map?"
            )
        values = whole.astype(np.int32)
    return scan._replace(pixels=values)


def read_mask(path: str | Path) -> np.ndarray:
    """Read a single mask: parameters and errors as in `read_labels`.

    Returns
    -------
    (H, W) int64 array
    """
    return _only_slice(path, read_labels(path).pixels)[0].astype(np.int64)


def _check_finite(path: str | Path, pixels: np.ndarray) -> None:
    if pixels.dtype.kind == "f":
        guard.check_finite(path, pixels.size - np.count_nonzero(np.isfinite(pixels)), pixels.size)


def _only_slice(path: str | Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[1] > 1:
        raise DataError(f"{path}: holds {pixels.shape[1]} slices; expected a single image")
    return pixels[:, 0]


def _read(path: str | Path, series: int | None, indices: bool) -> Scan:
    suffix = suffix_of(path)
    if suffix == ".dcm":
        return dicom.read_file(path)
    if suffix in volume.SUFFIXES:
        return volume.read(path, suffix)
    if suffix not in SUFFIXES and Path(path).is_dir():
        return dicom.read_series(path, series)
    size = guard.file_size(path)
    if suffix in ARRAYS:
        return Scan(read_array(Path(path), suffix, size))
    with opened(path) as image:
        return Scan(_read_pages(path, image, size, indices))


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open by content with one of four decoders; Pillow's own `open` would also try Ghostscript and forty others.

    It would also refuse images above 179 million pixels; here `guard.check_memory` decides.
    """
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    decoders = {b"\x89PNG\r\n\x1a\n": PngImageFile, b"\xff\xd8\xff": JpegImageFile, b"BM": BmpImageFile}
    decoders |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile)
    with open(path, "rb") as file:
        start = file.read(8)
        decoder = next((decoders[magic] for magic in decoders if start.startswith(magic)), None)
        if decoder is None:
            raise DataError(
                f"{path}: not a readable image (PNG, JPEG, TIFF and BMP do not begin with {start[:4].hex(' ')}). "
                "Export or copy it again."
            )
        file.seek(0)
        with guard.decoding(path):
            image = decoder(file)
        yield image


def _read_pages(path: str | Path, image: Image.Image, size: int, indices: bool) -> np.ndarray:
    """Decode all pages to (C, D, H, W)."""
    with guard.decoding(path):
        pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "TIFF":
        raise DataError(f"{path}: is an animation of {pages} pictures; save them one by one, or as a TIFF stack")
    first = array = None
    for page in range(pages):
        with guard.decoding(path):
            if page:
                image.seek(page)
            check_mode(path, image)
            first = first or (image.mode, image.size)
            if (image.mode, image.size) != first:
                raise DataError(
                    f"{path}: page {page + 1} is {image.mode} {image.size}, page 1 is {first[0]} {first[1]} (width, "
                    "height); a stack needs pages of one kind and size. Is it a pyramid? Save its largest page alone."
                )
            guard.check_memory(path, pages * math.prod(image.size) * _BYTES.get(image.mode, 1), size)
            plane = decoded(image, indices)
            if array is None:
                array = np.empty((pages, *plane.shape), plane.dtype)
            array[page] = plane
    return np.ascontiguousarray(np.moveaxis(array, 3, 0)) if array.ndim == 4 else array[None]


def decoded(image: Image.Image, indices: bool) -> np.ndarray:
    """(H, W) or (H, W, 3) array of a page, upright; `indices` keeps those of a palette."""
    from PIL import ImageOps

    kinds = {"1": "L", "LA": "L", "RGBA": "RGB"} | ({"PA": "P"} if indices else {"P": "RGB", "PA": "RGB"})
    bits, sample_format = (getattr(image, "tag_v2", {}).get(tag, (1,)) for tag in (258, 339))
    if is_turned(image) and image.format != "TIFF":  # Pillow turns a TIFF by itself
        image = ImageOps.exif_transpose(image)
    array = np.asarray(image.convert(kinds[image.mode]) if image.mode in kinds else image)
    if tuple(sample_format)[0] == 2 and array.dtype == np.uint8:
        return array.view(np.int8)  # Pillow forgets the sign of 8-bit TIFF,
    if tuple(sample_format)[0] == 1 and tuple(bits)[0] == 32 and array.dtype == np.int32:
        return array.view(np.uint32)  # and invents one for 32-bit
    return array.astype(array.dtype.newbyteorder("="))


def check_mode(path: str | Path, image: Image.Image) -> None:
    """Raise a DataError unless the pixels of an opened image can be taken as they are."""
    if image.mode not in _CHANNELS:
        raise DataError(
            f"{path}: pixels of Pillow mode {image.mode} are not supported; expected grey (8, 16 or 32 bit, or float) "
            "or RGB (8 bit). Convert the file first."
        )
    if _CHANNELS[image.mode] == 3 and any(";16" in str(tile[3]) for tile in image.tile):
        raise DataError(
            f"{path}: 16-bit colour (or grey with alpha) would be cut to 8 bit on reading; expected 8-bit RGB or "
            "16-bit grey. Convert the file first."
        )


def is_turned(image: Image.Image) -> bool:
    """Tell whether a picture says of itself, in its header, that it is to be turned or mirrored."""
    if image.format == "TIFF":
        return image.tag_v2.get(_ORIENTATION, 1) != 1
    return "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1
