"""Changes of intensity alone; the mask stays. Each is one function, in the order in which an image comes about: the
scanner's gain, the grey values, the optics, the noise.

Every strength is in units of the image's own intensities, as they are before any move and change. So a setting means
the same after every normalisation, and cutting a piece out of an image does not change it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tinyunet.data.augment.geometry import Window, smooth_field
from tinyunet.data.scenes import blur

Draw = float | np.ndarray
"""A number in [0, 1), or one per channel (C, 1, 1)."""


class Levels:
    """What is measured of each channel (C, 1, 1) of a whole image, when it is first needed."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    @cached_property
    def lowest(self) -> np.ndarray:
        """Smallest intensity."""
        return self.image.min(axis=(1, 2), keepdims=True)

    @cached_property
    def width(self) -> np.ndarray:
        """Largest minus smallest intensity; 1 for a constant channel."""
        width = self.image.max(axis=(1, 2), keepdims=True) - self.lowest
        return np.where(width > 0, width, 1).astype(self.image.dtype)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean, summed in float64."""
        return self.image.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(self.image.dtype)

    @cached_property
    def std(self) -> np.ndarray:
        """Standard deviation, summed in float64."""
        return self.image.std(axis=(1, 2), keepdims=True, dtype=np.float64).astype(self.image.dtype)


def log_uniform(limits: tuple[float, float], draw: Draw) -> Draw:
    """A factor between the limits; to halve is as likely as to double."""
    smallest, largest = limits
    return smallest * (largest / smallest) ** draw


def bias(
    image: np.ndarray,
    of: Levels,
    std: float,
    per_channel: bool,
    rng: np.random.Generator,
    size: tuple[int, int],
    window: Window,
) -> np.ndarray:
    """lowest + (x - lowest) exp(f), f a smooth surface with mean 0 and standard deviation `std`, two cells wide."""
    field = smooth_field(rng, len(image) if per_channel else 1, 2, size, window, std)
    return of.lowest + (image - of.lowest) * np.exp(field).astype(image.dtype)


def gamma(image: np.ndarray, of: Levels, exponent: Draw, rng: np.random.Generator) -> np.ndarray:
    """lowest + width ((x - lowest) / width)^exponent."""
    above = np.maximum(image - of.lowest, 0)  # interpolation may fall short of the minimum by a rounding error
    return of.lowest + of.width * (above / of.width) ** exponent


def contrast(image: np.ndarray, of: Levels, factor: Draw, rng: np.random.Generator) -> np.ndarray:
    """mean + factor (x - mean)."""
    return of.mean + factor * (image - of.mean)


def brightness(image: np.ndarray, of: Levels, amount: Draw, rng: np.random.Generator) -> np.ndarray:
    """x + amount std."""
    return image + amount * of.std


def blurred(image: np.ndarray, of: Levels, sigma: Draw, rng: np.random.Generator) -> np.ndarray:
    """Gaussian filter with a standard deviation of `sigma` pixels."""
    sigmas = np.broadcast_to(np.ravel(sigma), len(image))
    return np.stack([blur(x, s) if s > 0 else x for x, s in zip(image, sigmas, strict=True)]).astype(image.dtype)


def noise(image: np.ndarray, of: Levels, amount: Draw, rng: np.random.Generator) -> np.ndarray:
    """x + amount std n, n normal, independent from pixel to pixel and from channel to channel."""
    return image + amount * of.std * rng.standard_normal(image.shape, dtype=np.float32).astype(image.dtype)


def drop_channels(image: np.ndarray, probability: float, rng: np.random.Generator, missing: float) -> np.ndarray:
    """Set each channel to `missing` with this probability; one at least stays."""
    dropped = rng.random(len(image)) < probability
    if dropped.all():
        dropped[rng.integers(len(image))] = False
    return np.where(dropped[:, None, None], image.dtype.type(missing), image)
