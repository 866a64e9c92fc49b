"""Bringing raw intensities into the range that a network trains well on. Masks hold names of classes, not
intensities; they are never normalised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from tinyunet.data.sample import DataError

_KINDS, _PER = ("minmax", "symmetric", "zscore", "window"), ("volume", "slice")


class Statistics(NamedTuple):
    """What `Normalize` needs to know of an image: (C, 1, 1) float64 arrays, one number per channel."""

    lowest: np.ndarray
    highest: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> Statistics:
        """Put those of an image together from its parts (C, h, W), of which only one need be in memory at a time.

        Parts of m and n pixels with means a, b and sums of squared deviations A, B join to
        A + B + (b - a)^2 m n / (m + n).

        References
        ----------
        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
        """
        lowest, highest, count, mean, squares = np.inf, -np.inf, 0, 0.0, 0.0
        for part in parts:
            x, axes = part.astype(np.float64), {"axis": (1, 2), "keepdims": True}
            n, a = x[0].size, x.mean(**axes)
            lowest, highest = np.minimum(lowest, x.min(**axes)), np.maximum(highest, x.max(**axes))
            squares = squares + ((x - a) ** 2).sum(**axes) + (a - mean) ** 2 * count * n / (count + n)
            mean = mean + (a - mean) * n / (count + n)
            count += n
        return cls(lowest, highest, mean, np.sqrt(squares / count))


@dataclass(frozen=True)
class Normalize:
    """Map the intensities of one image, each channel on its own.

    With min, max, mean and std taken over the pixels of one channel of one image, or of one volume for all its slices,

        minmax      y = (x - min) / (max - min)                   in [0, 1]
        symmetric   y = 2 (x - min) / (max - min) - 1             in [-1, 1]
        zscore      y = (x - mean) / std                          mean 0, standard deviation 1
        window      y = clip((x - low) / (high - low), 0, 1)      the same for every image, as in CT

    A constant channel has nothing to stretch and becomes 0 (minmax, zscore) or -1 (symmetric). A zero that a
    network pads with means black after minmax, mid-grey after symmetric, and the mean after zscore.

    Parameters
    ----------
    kind : {"minmax", "symmetric", "zscore", "window"}
    low, high : float
        For "window" alone, and required there: the raw intensities that become 0 and 1.
    per : {"volume", "slice"}
        What the slices of a volume are measured by: by their volume, so that one intensity becomes one number wherever
        it is, as in nnU-Net; or each by itself, which brightens slices that show little. Single images know no volume.

    Raises
    ------
    DataError
        If the kind or `per` is unknown, low and high come with another kind than "window", or low is not below high.
    """

    kind: str = "minmax"
    low: float | None = None
    high: float | None = None
    per: str = "volume"

    def __post_init__(self) -> None:
        if self.per not in _PER:
            raise DataError(f"unknown scope of normalisation {self.per!r}; expected one of {', '.join(_PER)}")
        if self.kind not in _KINDS:
            raise DataError(f"unknown normalisation {self.kind!r}; expected one of {', '.join(_KINDS)}")
        if self.kind != "window":
            if self.low is not None or self.high is not None:
                raise DataError(f'low and high belong to kind="window"; the kind here is {self.kind!r}')
        elif self.low is None or self.high is None or not self.low < self.high:
            raise DataError(f'kind="window" needs numbers low < high; got low={self.low}, high={self.high}')

    def __call__(
        self, image: np.ndarray, whole: Statistics | None = None, *, volume: Statistics | None = None
    ) -> np.ndarray:
        """Normalise one image.

        Parameters
        ----------
        image : (C, H, W) array of real numbers
            Left as it is.
        whole : Statistics, optional
            Of the image that `image` is a part of.
        volume : Statistics, optional
            Of the volume that `image` is a slice of; made use of as `per` says.

        Returns
        -------
        (C, H, W) float32 array

        Raises
        ------
        DataError
            If the image does not have three axes, has no pixels, or holds NaN or infinity.
        """
        image = np.asarray(image)
        if image.ndim != 3 or image.size == 0:
            hint = "; use image[None] for one grey image" if image.ndim == 2 else ""
            raise DataError(f"expected a non-empty image of shape (C, H, W), got {image.shape}{hint}")
        x = image.astype(np.float64)  # the mean of a large float32 image would lose digits
        bad = np.count_nonzero(~np.isfinite(x))
        if bad:
            raise DataError(f"{bad} of {x.size} intensities are NaN or infinite; replace them, e.g. by 0")
        if self.kind == "window":
            return np.clip((x - self.low) / (self.high - self.low), 0, 1).astype(np.float32)
        if volume is not None and self.per == "volume":
            whole = volume
        axes = {"axis": (1, 2), "keepdims": True}
        lowest, highest = (whole.lowest, whole.highest) if whole else (x.min(**axes), x.max(**axes))
        constant = lowest == highest
        if self.kind == "zscore":
            mean, std = (whole.mean, whole.std) if whole else (x.mean(**axes), x.std(**axes))
            y = np.where(constant, 0, (x - mean) / np.where(constant, 1, std))
        else:
            y = (x - lowest) / np.where(constant, 1, highest - lowest)
            y = 2 * y - 1 if self.kind == "symmetric" else y
        return y.astype(np.float32)

    def to_dict(self) -> dict[str, str | float | None]:
        """What a checkpoint keeps: JSON types only."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, str | float | None]) -> Normalize:
        """The inverse of `to_dict`; before `per` was kept, slices were measured one by one."""
        return cls(**{"per": "slice"} | values)
