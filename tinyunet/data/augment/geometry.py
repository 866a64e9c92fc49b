"""Moves of an image and of everything drawn on it: all of them together in one resampling.

Two resamplings would blur an image twice. So flips and quarter turns, which need none, come first, and all other moves
are put together into one map from output to input positions before any pixel is read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyunet.data.sample import IGNORE

Window = tuple[slice, slice]
"""Rows and columns of the moved image that are wanted."""

_FOLD = 0.4
"""Largest displacement of a control point in cells. From 1/2.046 = 0.49 on, a cubic B-spline may fold the plane over
itself (Choi and Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions", 2000)."""


class Motion(NamedTuple):
    """One drawn move, to be applied to every array of a sample alike.

    Attributes
    ----------
    flips : tuple of int
        Axes to mirror: -2 rows, -1 columns.
    turns : int
        Quarter turns, counter-clockwise as displayed.
    positions : (p, q) or None
        Where each pixel of the window looks, two float64 arrays (h, w) of input rows and columns; None where it looks
        at itself.
    window : (rows, columns)
    """

    flips: tuple[int, ...]
    turns: int
    positions: tuple[np.ndarray, np.ndarray] | None
    window: Window

    @property
    def mirrored(self) -> bool:
        """Whether left and right have changed places; two mirrorings are a turn by 180 degrees, which keeps them."""
        return len(self.flips) == 1

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Move (..., H, W): floats are interpolated bilinearly; integers, which are labels, are the nearest pixel's.

        Where a pixel looks outside, floats see the mirror image, and integers become `IGNORE`.
        """
        array = np.rot90(np.flip(array, self.flips), self.turns, axes=(-2, -1))
        if self.positions is None:
            return np.ascontiguousarray(array[..., self.window[0], self.window[1]])
        return (_bilinear if array.dtype.kind == "f" else _nearest)(array, *self.positions)


def positions(
    size: tuple[int, int],
    window: Window,
    *,
    angle: float = 0.0,
    zoom: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    displacement: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the input position (p, q) that every pixel (i, j) of the window looks at.

    Rotate by `angle` (radians, counter-clockwise as displayed) and zoom, about the centre (ci, cj); then move by
    `shift` = (si, sj) pixels and bend by the `displacement` (di, dj):

        i' = i - ci - si + di(i, j)        p = ci + ( i' cos a + j' sin a) / zoom
        j' = j - cj - sj + dj(i, j)        q = cj + (-i' sin a + j' cos a) / zoom
    """
    (H, W), (rows, columns) = size, window
    i = np.arange(H)[rows, None] - (H - 1) / 2 - shift[0]
    j = np.arange(W)[None, columns] - (W - 1) / 2 - shift[1]
    if displacement is not None:
        i, j = i + displacement[0], j + displacement[1]
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    return (H - 1) / 2 + i * cos + j * sin, (W - 1) / 2 - i * sin + j * cos


def elastic(rng: np.random.Generator, std: float, cells: int, size: tuple[int, int], window: Window) -> np.ndarray:
    """Return a smooth random displacement (2, h, w) in pixels, as in section 3.1 of the U-Net paper.

    Random vectors on a coarse grid, of standard deviation `std` times the shorter side after smoothing. They are
    limited so that the image never folds over itself; only a `std` above 0.08 / cells is noticeably limited.
    """
    side = min(size)
    limit = _FOLD * side / cells
    return smooth_field(rng, 2, cells, size, window, std * side, limit)


def smooth_field(
    rng: np.random.Generator,
    count: int,
    cells: int,
    size: tuple[int, int],
    window: Window,
    std: float,
    limit: float = np.inf,
) -> np.ndarray:
    """Return random surfaces (count, h, w) with mean 0 and standard deviation `std`: cubic B-splines.

    The grid has `cells` square cells along the shorter side. The values at its nodes are limited to [-limit, limit].
    """
    cell = min(size) / cells
    nodes = [int(np.ceil(length / cell)) + 3 for length in size]
    # The squares of the four weights add up to 151/315 on average, along each axis.
    field = np.clip(std * 315 / 151 * rng.standard_normal((count, *nodes)), -limit, limit)
    for axis, (length, part) in enumerate(zip(size, window, strict=True), start=1):
        first, weights = _spline((np.arange(length)[part] + 0.5) / cell)
        shape = [1, 1, 1]
        shape[axis] = -1
        field = sum(w.reshape(shape) * field.take(first + k, axis=axis) for k, w in enumerate(weights))
    return field


def _spline(t: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The first of the four nodes that reach position t, and the four weights, which add up to 1."""
    first = np.floor(t).astype(np.intp)
    u = t - first
    outer, middle = (1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6
    return first, (outer, middle, 1 - outer - middle - u**3 / 6, u**3 / 6)


def _nearest(labels: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    H, W = labels.shape[-2:]
    inside = (p >= -0.5) & (p < H - 0.5) & (q >= -0.5) & (q < W - 0.5)
    at = (_mirror(p, H) + 0.5).astype(np.intp) * W + (_mirror(q, W) + 0.5).astype(np.intp)
    return np.where(inside, labels.reshape(*labels.shape[:-2], H * W).take(at, axis=-1), labels.dtype.type(IGNORE))


def _bilinear(image: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    H, W = image.shape[-2:]
    p, q = _mirror(p, H), _mirror(q, W)
    p0, q0 = p.astype(np.intp), q.astype(np.intp)
    p1, q1 = np.minimum(p0 + 1, H - 1), np.minimum(q0 + 1, W - 1)
    a, b = (p - p0).astype(image.dtype), (q - q0).astype(image.dtype)
    flat = image.reshape(*image.shape[:-2], H * W)
    top = (1 - b) * flat.take(p0 * W + q0, axis=-1) + b * flat.take(p0 * W + q1, axis=-1)
    bottom = (1 - b) * flat.take(p1 * W + q0, axis=-1) + b * flat.take(p1 * W + q1, axis=-1)
    return (1 - a) * top + a * bottom


def _mirror(position: np.ndarray, length: int) -> np.ndarray:
    """Fold positions into [0, length-1], as two mirrors at the first and the last pixel would."""
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = position - period * np.floor(position / period)  # several times faster than position % period
    return np.minimum(folded, period - folded)
