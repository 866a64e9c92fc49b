"""Reading an image file a few rows at a time, for images that should not be in memory as a whole.

| file | in memory at once |
|---|---|
| .npy in C order | the rows that are asked for |
| TIFF in strips or tiles | the strips or tiles that these rows touch |
| PNG, JPEG, BMP, TIFF in one strip or with separate planes, .npy in Fortran order | everything, as stored |

Pillow decodes a TIFF as a whole. But each strip or tile is compressed by itself, so with a header of its own it is a
small TIFF, and that Pillow decodes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from . import guard
from .array_file import as_pixels, read_npy_header
from .image_file import PICTURES, check_mode, decoded, is_turned, opened, read_scan, suffix_of, to_channels
from .sample import DataError

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

# What a piece of a TIFF shares with the whole, by the numbers of the standard: bits, compression, photometric, samples,
# predictor, palette, extra samples, sample format, JPEG tables, YCbCr.
_SHARED = (258, 259, 262, 266, 277, 284, 317, 320, 338, 339, 347, 530, 531, 532)


class Rows(NamedTuple):
    """An open image file.

    Attributes
    ----------
    path : Path
    height, width : int
    channels : int or None
        To convert to, as in `tinyunet.data.image_file.read_scan`.
    raw : callable
        (first, last) -> rows first..last-1 as stored, (C, last - first, width).
    """

    path: Path
    height: int
    width: int
    channels: int | None
    raw: Callable[[int, int], np.ndarray]

    def read(self, first: int, last: int) -> np.ndarray:
        """Return rows first..last-1, (C, last - first, width); errors as `read_scan`."""
        return to_channels(self.path, self.raw(first, last)[:, None], self.channels)[:, 0]


@contextmanager
def open_rows(path: str | Path, channels: int | None = None) -> Iterator[Rows | None]:
    """Open an image for reading by rows; None if it is no picture or array, holds several slices or is to be turned.

    Only its header is read here.

    Raises
    ------
    DataError
        If the file is damaged or promises more pixels than a file of its size can hold.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in (*PICTURES, ".npy"):
        yield None
        return
    size = guard.file_size(path)
    if suffix == ".npy":
        with open(path, "rb") as file:
            yield _npy(path, file, size, channels)
        return
    with opened(path) as image:
        with guard.decoding(path):
            as_a_whole = getattr(image, "n_frames", 1) > 1 or is_turned(image)
        if as_a_whole:
            yield None
            return
        check_mode(path, image)
        W, H = image.size
        guard.check_memory(path, min(H * W, guard.MAX_BYTES), size)
        pieces = _TiffPieces(path, image, size) if image.format == "TIFF" and _can_be_cut(image) else None
        yield Rows(path, H, W, channels, pieces.read if pieces else _whole(path))


def _whole(path: Path) -> Callable[[int, int], np.ndarray]:
    kept: list[np.ndarray] = []

    def raw(first: int, last: int) -> np.ndarray:
        if not kept:
            kept.append(read_scan(path).pixels[:, 0])
        return kept[0][:, first:last]

    return raw


def _npy(path: Path, file: IO[bytes], size: int, channels: int | None) -> Rows | None:
    shape, fortran, dtype, _ = read_npy_header(path, file, size)
    begin, (H, W) = file.tell(), shape[-2:]
    if (len(shape) > 2 and shape[-3] != 1) or min(shape) < 1:
        return None
    if fortran:
        return Rows(path, H, W, channels, _whole(path))

    def raw(first: int, last: int) -> np.ndarray:
        planes = []
        for c in range(shape[0] if len(shape) == 4 else 1):
            file.seek(begin + (c * H + first) * W * dtype.itemsize)
            planes.append(np.fromfile(file, dtype, (last - first) * W).reshape(last - first, W))
        return as_pixels(np.stack(planes))

    return Rows(path, H, W, channels, raw)


def _can_be_cut(image: TiffImageFile) -> bool:
    tags = image.tag_v2
    together = tags.get(284, 1) == 1 or tags.get(277, 1) == 1  # the samples of a pixel
    return together and tags.get(259, 1) != 6  # no JPEG of the old kind


class _TiffPieces:
    """The strips or tiles of an open TIFF; those that the last call touched are kept decoded."""

    def __init__(self, path: Path, image: TiffImageFile, size: int):
        tags = image.tag_v2
        tiled, (W, H) = 324 in tags, image.size
        with guard.decoding(path):
            self.width, self.height = (tags[322], tags[323]) if tiled else (W, min(tags.get(278, H), H))
            self.offsets, self.counts = (tags[324], tags[325]) if tiled else (tags[273], tags[279])
        self.across = -(-W // self.width)
        if min(self.width, self.height) < 1 or len(self.offsets) < self.across * -(-H // self.height):
            raise DataError(f"{path}: lists fewer strips or tiles than its {H} rows need; export it again")
        guard.check_memory(path, 4 * self.width * self.height, size)
        self.path, self.image, self.size, self.tiled, self.kept = path, image, (H, W), tiled, {}

    def read(self, first: int, last: int) -> np.ndarray:
        """Return rows first..last-1, (C, last - first, W)."""
        H, W = self.size
        rows = range(first // self.height, -(-last // self.height))
        wanted = [r * self.across + c for r in rows for c in range(self.across)]
        self.kept = {k: self.kept[k] if k in self.kept else self._decode(k) for k in wanted}
        bands = [np.concatenate([self.kept[r * self.across + c] for c in range(self.across)], axis=1) for r in rows]
        top = rows[0] * self.height
        band = np.concatenate(bands)[first - top : last - top, :W]
        return band[None] if band.ndim == 2 else np.moveaxis(band, 2, 0)

    def _decode(self, k: int) -> np.ndarray:
        from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

        tags = self.image.tag_v2
        height = self.height if self.tiled else min(self.height, self.size[0] - k * self.height)
        with guard.decoding(self.path):
            header = ImageFileDirectory_v2(prefix=tags.prefix)
            for tag in _SHARED:
                if tag in tags:
                    header.tagtype[tag], header[tag] = tags.tagtype[tag], tags[tag]
            header[256], header[257], header[278] = self.width, height, height
            header[273], header[279] = 0, self.counts[k]  # Pillow moves the offset behind the header
            piece = io.BytesIO()
            header.save(piece)
            self.image.fp.seek(self.offsets[k])
            piece.write(self.image.fp.read(self.counts[k]))
            piece.seek(0)
            return decoded(TiffImageFile(piece), indices=False)
