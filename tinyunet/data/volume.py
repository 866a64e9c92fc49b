"""Medical volumes in one file, read and written by SimpleITK (the extra `medical`): NIfTI, MetaImage, NRRD, DICOM.

Only pixels and geometry pass through here: whatever else a header says, about the patient for example, is dropped.
SimpleITK accepts some damaged files in silence (a NIfTI file that breaks off is filled up with what lies in memory), so
lengths are checked here first.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files import write_whole
from . import guard
from .sample import DataError, Geometry, Scan

if TYPE_CHECKING:
    from SimpleITK import Image, ImageFileReader

_DECODERS = {".nii": "NiftiImageIO", ".nii.gz": "NiftiImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
_DECODERS |= {".nrrd": "NrrdImageIO", ".dcm": "GDCMImageIO"}
SUFFIXES = tuple(_DECODERS)
_NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4}
_NIFTI_FLOATS = (16, 64)


def simpleitk():
    """Return the module SimpleITK.

    Raises
    ------
    DataError
        If it is not installed, with the command that installs it.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise DataError(
            'NIfTI, MetaImage, NRRD and DICOM files need SimpleITK: pip install "tinyunet[medical]"'
        ) from error
    return SimpleITK


def read(path: str | Path, suffix: str) -> Scan:
    """Read one file that is no DICOM; use `tinyunet.data.image_file.read_scan`, which also checks pixels.

    The slices are those of the last stored axis. A fourth axis becomes the channels, as do colours.

    Raises
    ------
    DataError
        If SimpleITK is missing, the file is damaged, longer or shorter than its header says, larger than
        `tinyunet.data.guard.MAX_BYTES`, refers to other files, or holds complex numbers or more than four axes.
    """
    size = guard.file_size(path)
    if suffix.startswith(".nii"):
        _check_nifti(path, suffix, size)
    else:
        size += _check_text_header(Path(path))
    with opened(path, suffix, size) as reader:
        return to_scan(reader.Execute())


@contextmanager
def opened(path: str | Path, suffix: str, size: int) -> Iterator[ImageFileReader]:
    """A reader that knows the header of a file of `size` bytes and whose pixels can be afforded."""
    itk = simpleitk()
    warnings = itk.ProcessObject.GetGlobalWarningDisplay()
    itk.ProcessObject.SetGlobalWarningDisplay(False)  # they would quote headers
    try:
        with guard.decoding(path, private=True):
            reader = itk.ImageFileReader()
            reader.SetImageIO(_DECODERS[suffix])
            reader.SetFileName(str(path))
            try:
                reader.ReadImageInformation()
            except RuntimeError as error:
                if "orthonormal" not in str(error):
                    raise
                raise DataError(
                    f"{path}: its axes are not at right angles. Resample it, or set the environment variable "
                    "ITK_NIFTI_SFORM_PERMISSIVE=1 to take axes that are nearly so."
                ) from None
            kind = itk.GetPixelIDValueAsString(reader.GetPixelID())
            bits = re.search(r"(\d+)-bit", kind)
            axes, channels = reader.GetDimension(), reader.GetNumberOfComponents()
            if bits is None or "complex" in kind or not 2 <= axes <= 4 or (axes == 4 and channels > 1):
                raise DataError(
                    f"{path}: holds {kind}s with {channels} channels in {axes} axes; expected integers or floats in 2 "
                    "to 4 axes, the fourth for channels"
                )
            values = math.prod(reader.GetSize()) * channels
            guard.check_memory(path, values * int(bits[1]) // 8, size)
            where = (*reader.GetSpacing(), *reader.GetOrigin(), *reader.GetDirection())
            backwards = min(reader.GetSpacing()) < 0 and suffix != ".dcm"  # enhanced DICOM may list frames backwards
            if not np.isfinite(where).all() or backwards or 0 in reader.GetSpacing():
                raise DataError(f"{path}: its spacing, origin or direction is no number; export it again")
            yield reader
    finally:
        itk.ProcessObject.SetGlobalWarningDisplay(warnings)


def to_scan(image: Image) -> Scan:
    """Pixels (C, D, H, W) and geometry of a SimpleITK image with 2 to 4 axes."""
    axes, count = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    pixels = simpleitk().GetArrayFromImage(image)
    if count > 1 and axes < 4:
        pixels = np.moveaxis(pixels, -1, 0)
    elif axes < 4:
        pixels = pixels[None]
    if axes == 2:
        pixels = pixels[:, None]
    n = min(axes, 3)
    direction = np.reshape(image.GetDirection(), (axes, axes))[:n, :n]
    geometry = Geometry(image.GetSpacing()[:n], image.GetOrigin()[:n], tuple(direction.ravel().tolist()))
    return Scan(np.ascontiguousarray(pixels), geometry)


def write(path: Path, pixels: np.ndarray, geometry: Geometry | None) -> None:
    """Write an array (D, H, W), or (H, W) for a geometry of two axes, so that it lies where `geometry` says.

    The suffix of `path` decides the format. The file is written whole or not at all, and holds no other entries.
    """
    itk = simpleitk()
    if geometry is not None and len(geometry.spacing) == 2 and pixels.ndim == 3:
        pixels = pixels[0]
    image = itk.GetImageFromArray(pixels)
    if geometry is not None:
        image.SetSpacing(geometry.spacing)
        image.SetOrigin(geometry.origin)
        image.SetDirection(geometry.direction)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        itk.WriteImage(image, str(draft), True)  # compressed
        write_whole(path, draft.read_bytes())


def _check_nifti(path: str | Path, suffix: str, size: int) -> None:
    """Check what SimpleITK would mend in silence: the length, the gzip sum, the spacing, NaN and infinity."""
    with guard.decoding(path), (gzip.open if suffix == ".nii.gz" else open)(path, "rb") as file:
        head = file.read(352)
        order = next((o for o in "<>" if len(head) == 352 and struct.unpack(f"{o}i", head[:4]) == (348,)), "")
        if not order or head[344:348] != b"n+1\0":
            raise DataError(
                f"{path}: is no NIfTI file (its header is damaged, or of another format, such as NIfTI-2); export it "
                "again"
            )
        axes = struct.unpack_from(f"{order}8h", head, 40)
        (kind,) = struct.unpack_from(f"{order}h", head, 70)
        spacing = struct.unpack_from(f"{order}3f", head, 80)
        (begin,) = struct.unpack_from(f"{order}f", head, 108)
        shape = axes[1 : axes[0] + 1]
        if not 1 <= axes[0] <= 7 or min(shape) < 1 or kind not in _NIFTI_BYTES or not 0 <= begin <= 2**26:
            raise DataError(
                f"{path}: its NIfTI header is damaged or unusual (axes {axes}, data type {kind}); export it again, "
                "with integers or floats"
            )
        if not all(math.isfinite(step) and step for step in spacing[: axes[0]]):
            raise DataError(f"{path}: its spacing {spacing[: axes[0]]} is no number above 0; export it again")
        needed = math.prod(shape) * _NIFTI_BYTES[kind]
        guard.check_memory(path, needed, size)
        limit = needed + (needed // shape[2] if len(shape) > 2 else needed)  # some programs pad, by less than a slice
        file.seek(int(begin))
        there = bad = 0
        while there < limit and (chunk := file.read(2**20)):
            if kind in _NIFTI_FLOATS:
                whole = min(len(chunk), max(needed - there, 0)) // _NIFTI_BYTES[kind] * _NIFTI_BYTES[kind]
                values = np.frombuffer(chunk[:whole], f"{order}f{_NIFTI_BYTES[kind]}")
                bad += values.size - np.count_nonzero(np.isfinite(values))
            there += len(chunk)
    if not needed <= there < limit:
        raise DataError(
            f"{path}: its header promises {'x'.join(map(str, shape))} pixels, {needed} bytes, but the file holds "
            f"{there if there < needed else 'more'}; it is incomplete or its header is wrong: export it again"
        )
    guard.check_finite(path, bad, math.prod(shape))


def _check_text_header(path: Path) -> int:
    """Keep MetaImage and NRRD headers from naming other files; only an .mhd may name one beside it: return its size."""
    with open(path, "rb") as file:
        head = file.read(2**16)
    if path.suffix.lower() == ".nrrd":
        parts = re.split(rb"\r?\n\r?\n", head, maxsplit=1)
        named = re.search(rb"^\s*data ?file\s*:\s*(.*?)\s*$", parts[0], re.MULTILINE | re.IGNORECASE)
        complete = head.startswith(b"NRRD") and len(parts) == 2
    else:
        complete = named = re.search(rb"^\s*ElementDataFile\s*[=:]\s*(.*?)\s*$", head, re.MULTILINE | re.IGNORECASE)
    if not complete:
        raise DataError(f"{path}: its header is damaged, or it is of another format; export it again")
    name = named[1].decode("latin-1") if named else "LOCAL"
    if name.upper() == "LOCAL":
        return 0
    if path.suffix.lower() != ".mhd" or name != Path(name).name or name.upper() == "LIST" or "%" in name:
        raise DataError(f"{path}: takes its pixels from elsewhere ({name[:60]!r}); save header and pixels as one file")
    return guard.file_size(path.parent / name)
