"""Random changes of training images that keep their meaning: one draw moves image and mask together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyunet.data.sample import IGNORE, DataError


@dataclass(frozen=True)
class Augment:
    """Flip, turn, zoom and brighten at random. To change nothing, use None in place of an Augment.

    The image is sampled bilinearly, the mask by nearest neighbour: an average of class 0 and class 2 is not
    class 1. The set of labels therefore never grows, but for `IGNORE`: where a rotation or a zoom below 1
    looks outside the image, the image is continued by its mirror image, and the mask is `IGNORE`, because
    nobody has seen those pixels. Flips and quarter turns move pixels and change no value.

    Parameters
    ----------
    flip : bool
        Mirror top to bottom and left to right, each with probability 1/2. Switch it off if a class
        means "left".
    rot90 : bool
        Turn by 0, 90, 180 or 270 degrees; an image that is not square, by 0 or 180.
    rotate : float, degrees
        Angle uniform in [-rotate, rotate].
    scale : (smallest, largest)
        Zoom factor, log-uniform in this range; above 1, things grow.
    gamma : (smallest, largest)
        t becomes t^g, where t in [0, 1] is the place of an intensity in its channel's own range, with g
        log-uniform between these; above 1, darker.

    Raises
    ------
    DataError
        If rotate is negative, or a range is not 0 < smallest <= largest.
    """

    flip: bool = True
    rot90: bool = False
    rotate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    gamma: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not self.rotate >= 0:
            raise DataError(f"rotate is {self.rotate}; expected at least 0 degrees (both signs are drawn)")
        for name, (smallest, largest) in (("scale", self.scale), ("gamma", self.gamma)):
            if not 0 < smallest <= largest < np.inf:
                raise DataError(f"{name} is ({smallest}, {largest}); expected 0 < smallest <= largest")

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Change one image and its mask alike.

        Parameters
        ----------
        image : (C, H, W) float array
        mask : (H, W) signed int array
        rng : NumPy Generator
            The only source of chance. Six numbers are drawn whatever is switched on, so that switching one
            change on or off leaves the others as they were.

        Returns
        -------
        image : (C, H, W) array, of the dtype of `image`
        mask : (H, W) array, of the dtype of `mask`

        Raises
        ------
        DataError
            If image and mask differ in height or width, or have other dtypes.
        """
        if image.ndim != 3 or image.shape[1:] != mask.shape:
            raise DataError(f"expected image (C, H, W) and mask (H, W); got {image.shape} and {mask.shape}")
        if image.dtype.kind != "f" or mask.dtype.kind != "i":
            raise DataError(f"expected a float image and a signed int mask; got {image.dtype} and {mask.dtype}")
        draw = rng.random(6)
        turns = int(4 * draw[2]) if self.rot90 else 0
        if mask.shape[0] != mask.shape[1]:
            turns = turns // 2 * 2  # a quarter turn would swap height and width
        angle = np.deg2rad(self.rotate) * (2 * draw[3] - 1)
        zoom = _log_uniform(self.scale, draw[4])
        gamma = _log_uniform(self.gamma, draw[5])

        axes = tuple(axis for axis in (-2, -1) if self.flip and draw[axis + 2] < 0.5)
        image, mask = np.flip(image, axes), np.flip(mask, axes)
        image, mask = np.rot90(image, turns, axes=(-2, -1)), np.rot90(mask, turns)
        if angle != 0 or zoom != 1:
            image, mask = _resample(image, mask, angle, zoom)
        if gamma != 1:
            image = _apply_gamma(image, gamma)
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def _log_uniform(limits: tuple[float, float], draw: float) -> float:
    """Zooming by 1/2 is as likely as by 2."""
    smallest, largest = limits
    return float(smallest * (largest / smallest) ** draw)  # a Python float keeps the dtype of the image


def _resample(image: np.ndarray, mask: np.ndarray, angle: float, zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotate by `angle` (radians, counter-clockwise as displayed) and zoom, about the centre.

    Output pixel (i, j) looks at the input position, with (ci, cj) the centre,

        p = ci + ( (i - ci) cos a + (j - cj) sin a) / zoom
        q = cj + (-(i - ci) sin a + (j - cj) cos a) / zoom
    """
    H, W = mask.shape
    i, j = np.arange(H)[:, None] - (H - 1) / 2, np.arange(W)[None] - (W - 1) / 2
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    p = (H - 1) / 2 + i * cos + j * sin
    q = (W - 1) / 2 - i * sin + j * cos

    inside = (p >= -0.5) & (p < H - 0.5) & (q >= -0.5) & (q < W - 0.5)
    p, q = _mirror(p, H), _mirror(q, W)
    nearest = (p + 0.5).astype(np.intp) * W + (q + 0.5).astype(np.intp)
    moved_mask = np.where(inside, mask.take(nearest), mask.dtype.type(IGNORE))

    p0, q0 = p.astype(np.intp), q.astype(np.intp)
    p1, q1 = np.minimum(p0 + 1, H - 1), np.minimum(q0 + 1, W - 1)
    a, b = (p - p0).astype(image.dtype), (q - q0).astype(image.dtype)
    flat = image.reshape(len(image), H * W)
    top = (1 - b) * flat.take(p0 * W + q0, axis=1) + b * flat.take(p0 * W + q1, axis=1)
    bottom = (1 - b) * flat.take(p1 * W + q0, axis=1) + b * flat.take(p1 * W + q1, axis=1)
    return (1 - a) * top + a * bottom, moved_mask


def _mirror(position: np.ndarray, length: int) -> np.ndarray:
    """Fold positions into [0, length-1], as two mirrors at the first and the last pixel would."""
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = position - period * np.floor(position / period)  # several times faster than position % period
    return np.minimum(folded, period - folded)


def _apply_gamma(image: np.ndarray, gamma: float) -> np.ndarray:
    """lowest + (highest - lowest) * ((x - lowest) / (highest - lowest))^gamma, each channel on its own."""
    lowest, highest = image.min(axis=(1, 2), keepdims=True), image.max(axis=(1, 2), keepdims=True)
    width = np.where(highest > lowest, highest - lowest, 1).astype(image.dtype)
    return lowest + width * ((image - lowest) / width) ** gamma
