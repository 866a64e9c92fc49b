"""Reading one image or mask file; what Pillow would convert in silence is an error here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyunet.data.sample import DataError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
LOSSY = (".jpg", ".jpeg")
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "I": 1, "I;16": 1, "I;16L": 1, "I;16B": 1, "RGB": 3, "RGBA": 3, "P": 3}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow and in JPEG


def read_header(path: str | Path) -> tuple[int, tuple[int, int]]:
    """Number of channels (1 or 3) and size (H, W) of an image file, without decoding its pixels.

    Raises
    ------
    DataError
        As `read_image`, except for damage in the pixels themselves.
    """
    with _opened(path) as image:
        return _CHANNELS[image.mode], (image.height, image.width)


def read_image(path: str | Path, channels: int | None = None) -> np.ndarray:
    """Read an image as it is: no scaling, alpha dropped, palettes turned into their colours.

    Colour becomes grey by g = 0.299 R + 0.587 G + 0.114 B; grey becomes colour by R = G = B = g.

    Parameters
    ----------
    path : path of a PNG, JPEG, TIFF or BMP file, grey (8 or 16 bit) or colour (8 bit)
    channels : 1, 3 or None
        Convert to that many channels; None keeps what the file has.

    Returns
    -------
    (C, H, W) float32 array
        0..255 from 8-bit files, 0..65535 from 16-bit files.

    Raises
    ------
    DataError
        If the file cannot be decoded, holds several pages, or holds a kind of pixel that is not listed above.
    """
    with _opened(path) as image:
        kinds = {"P": "RGB", "1": "L", "LA": "L", "RGBA": "RGB"}
        array = np.asarray(image.convert(kinds[image.mode]) if image.mode in kinds else image, np.float32)
    if array.ndim == 2:
        return np.repeat(array[None], channels or 1, axis=0)
    if channels == 1:
        return (array @ _LUMA)[None]
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def read_mask(path: str | Path) -> np.ndarray:
    """Read the raw values of a mask; of a palette image, the indices; of a 1-bit image, 0 and 255.

    Returns
    -------
    (H, W) int64 array

    Raises
    ------
    DataError
        As `read_image`; if the file is a JPEG, or a colour image whose R, G and B differ somewhere.
    """
    if Path(path).suffix.lower() in LOSSY:
        raise DataError(
            f"{path}: a mask cannot be a JPEG: its compression invents values along every edge. "
            "Export the mask again, as PNG or TIFF."
        )
    with _opened(path) as image:
        kinds = {"1": "L", "LA": "L", "RGBA": "RGB"}
        array = np.asarray(image.convert(kinds[image.mode]) if image.mode in kinds else image)
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise DataError(
                f"{path}: the mask is a colour image (R, G and B differ), so its class indices are unknown. "
                "Save it as a grey or palette PNG with one value per class."
            )
        array = array[..., 0]
    return array.astype(np.int64)


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file; anything that cannot be read faithfully becomes a DataError that names the file."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            _check(path, image)
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow raises
        raise DataError(f"{path}: not a readable image ({error}). Is it complete? Export it again.") from error


def _check(path: str | Path, image: Image.Image) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise DataError(f"{path}: holds {pages} pages; expected one image per file. Save the pages one by one.")
    if image.mode not in _CHANNELS:
        raise DataError(
            f"{path}: pixels of Pillow mode {image.mode} are not supported; expected grey (8 or 16 bit) or "
            "RGB (8 bit). Convert the file first."
        )
    if _CHANNELS[image.mode] == 3 and any(";16" in str(tile[3]) for tile in image.tile):
        raise DataError(
            f"{path}: 16-bit colour would be cut to 8 bit on reading; expected 8-bit RGB or 16-bit grey. "
            "Convert the file first."
        )
