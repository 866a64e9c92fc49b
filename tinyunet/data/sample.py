"""What a dataset is: the definitions that every data module shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

IGNORE = -1
"""Label of a pixel that no loss and no metric counts: its class is unknown, or it lies outside the image."""


class DataError(ValueError):
    """The data cannot be used as they are; the message names the file or array and says how to mend it."""


class Sample(NamedTuple):
    """One image with its mask.

    Attributes
    ----------
    image : (C, H, W) float32 array
        Intensities as read, not normalised: 0..255 from 8-bit files, 0..65535 from 16-bit files.
    mask : (H, W) int64 array
        Class index 0..classes-1 of every pixel, or `IGNORE`.
    name : str
        What to call the image in tables and error messages.
    """

    image: np.ndarray
    mask: np.ndarray
    name: str


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


class SampleCache:
    """Keeps samples in memory, as long as all of them together stay below `limit` bytes.

    Cached arrays are read-only: a caller that changed one in place would change the data set for every
    later epoch, so NumPy is told to raise instead.
    """

    def __init__(self, limit: int = 2**30) -> None:
        self.limit, self.used = limit, 0
        self._samples: dict[int, Sample] = {}

    def get(self, index: int, make: Callable[[int], Sample]) -> Sample:
        """The sample at `index`: the kept one, or `make(index)`, which is then kept if it fits."""
        if index in self._samples:
            return self._samples[index]
        sample = make(index)
        sample.image.flags.writeable = sample.mask.flags.writeable = False
        size = sample.image.nbytes + sample.mask.nbytes
        if self.used + size <= self.limit:
            self.used += size
            self._samples[index] = sample
        return sample
