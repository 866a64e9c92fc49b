"""What a dataset is: the definitions that every data module shares."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from .normalize import Statistics

IGNORE = -1
"""Label of a pixel that no loss and no metric counts: its class is unknown, or it lies outside the image."""


class DataError(ValueError):
    """The data cannot be used as they are; the message names the file or array and says how to mend it."""


class Geometry(NamedTuple):
    """Where the pixels of a scan lie in the patient, as the scanner recorded it.

    Attributes
    ----------
    spacing : 2 or 3 floats
        Millimetres from pixel to pixel along x, y (and z): columns, rows (and slices).
    origin : as many floats
        Position of the first pixel in millimetres.
    direction : 4 or 9 floats
        The unit vectors of the axes, as the columns of a matrix that is written row by row.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


class Scan(NamedTuple):
    """What an image file, or a folder that holds a DICOM series, contains.

    Attributes
    ----------
    pixels : (C, D, H, W) array
        Intensities as stored, in a dtype of at most four bytes. A single image has D = 1 slices.
    geometry : Geometry or None
        None where the format knows of none (PNG, JPEG, TIFF, NPY).
    """

    pixels: np.ndarray
    geometry: Geometry | None = None


class Sample(NamedTuple):
    """One image, or one slice of a volume, with its mask.

    Attributes
    ----------
    image : (C, H, W) float32 array
        Intensities as read, not normalised: 0..255 from 8-bit files, 0..65535 from 16-bit files.
    mask : (H, W) int64 array
        Class index 0..classes-1 of every pixel, or `IGNORE`.
    name : str
        What to call the image in tables and error messages.
    patient : str
        Whom it shows: slices of one volume share it. Empty where nothing is known.
    spacing : 2 or 3 floats, or None
        Millimetres from row to row and from column to column, before them from slice to slice if the image is one of a
        volume's, where the file tells.
    volume : str
        Of which volume it is a slice; empty if of none. The slices of a volume follow one another.
    statistics : Statistics or None
        Of the intensities of that volume, for `Normalize`.
    """

    image: np.ndarray
    mask: np.ndarray
    name: str
    patient: str = ""
    spacing: tuple[float, ...] | None = None
    volume: str = ""
    statistics: Statistics | None = None


class Dataset(Protocol):
    """Anything with these members is a dataset; there is no base class to inherit from.

    Attributes
    ----------
    class_names : tuple of str
        One name per class; class 0 is the background.
    channels : int
        C of every image.
    mask_values : tuple of int
        The raw value in the mask files that stands for each class, in class order.
    """

    class_names: tuple[str, ...]
    channels: int
    mask_values: tuple[int, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


Arrays = TypeVar("Arrays", bound=tuple)


class SampleCache(Generic[Arrays]):
    """Keeps what was read (tuples with arrays in them) in memory, while all of it together stays below `limit` bytes.

    Beyond the limit, the last one is kept as well: the slices of a volume are often asked for in turn. Kept arrays are
    read-only: a caller that changed one in place would change the data set for every later epoch, so NumPy is told to
    raise instead. Threads may share a cache; one of them reads at a time.
    """

    def __init__(self, limit: int = 2**30) -> None:
        self.limit, self.used = limit, 0
        self._kept: dict[Hashable, Arrays] = {}
        self._last: tuple[Hashable, Arrays] | None = None
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[Hashable], Arrays]) -> Arrays:
        """What belongs to `key`: the kept one, or `make(key)`, which is then kept if it fits."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            if self._last is not None and self._last[0] == key:
                return self._last[1]
            self._last = None  # make room before reading
            made = make(key)
            arrays = [part for part in made if isinstance(part, np.ndarray)]
            for array in arrays:
                array.flags.writeable = False
            size = sum(array.nbytes for array in arrays)
            if self.used + size <= self.limit:
                self.used += size
                self._kept[key] = made
            else:
                self._last = key, made
            return made
