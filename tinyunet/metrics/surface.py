"""How far apart do two boundaries run? HD95, surface Dice and average surface distance, in mm or pixels.

Dice forgives a spike of a few pixels and a boundary that is off by one everywhere alike; these tell them apart. The
surface of an object is those of its pixels that have a neighbour (by a side) outside it; outside the image counts as
outside the object. Distances are measured between the centres of surface pixels, with the spacing of each axis.

Where only one of the two objects exists, every pixel of its surface counts as being as far away as the image is long,
its diagonal: an object that is missed or made up costs the most that it can, and means stay finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinyunet.data.sample import DataError
from tinyunet.metrics.counts import check_policy, ratio


class SurfaceDistances(NamedTuple):
    """Distances between the surfaces of a prediction and of its target, in the unit of the spacing.

    Attributes
    ----------
    to_target : (surface pixels of the prediction,) float64 array
        From each to the nearest surface pixel of the target.
    to_prediction : (surface pixels of the target,) float64 array
        The other way.
    diagonal : float
        Of the image: what stands for "infinitely far".
    """

    to_target: np.ndarray
    to_prediction: np.ndarray
    diagonal: float


def surface_of(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of an object that have a neighbour (by a side) outside it.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) bool array

    Returns
    -------
    bool array of the same shape
    """
    inner = mask.copy()
    for axis in range(mask.ndim):
        inside, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)  # views
        kept[1:] &= inside[:-1]
        kept[:-1] &= inside[1:]
        kept[:1] = kept[-1:] = False
    return mask & ~inner


def surface_distances(
    prediction: np.ndarray, target: np.ndarray, spacing: Sequence[float] | None = None
) -> SurfaceDistances:
    """Measure from each surface pixel of one object to the nearest surface pixel of the other, both ways.

    Parameters
    ----------
    prediction, target : (H, W) or (D, H, W) bool arrays
        One object, or all objects of one class, each. An axis of length 1 is left out: a volume of one slice is
        a picture, and the inside of its objects is not surface.
    spacing : sequence of float, optional
        Distance of neighbouring pixels along each axis, such as mm; 1 by default.

    Returns
    -------
    SurfaceDistances

    Raises
    ------
    DataError
        If the shapes differ, there are not 2 or 3 axes, or the spacing is not one positive number for each.
    """
    from tinyunet.morphology import distance_transform  # imports numba

    prediction, target = np.asarray(prediction) != 0, np.asarray(target) != 0
    if prediction.shape != target.shape or prediction.ndim not in (2, 3):
        raise DataError(f"expected two masks (H, W) or (D, H, W) alike, got {prediction.shape} and {target.shape}")
    steps = np.ones(prediction.ndim) if spacing is None else np.asarray(spacing, float)
    if steps.shape != (prediction.ndim,) or not (steps > 0).all():
        raise DataError(f"spacing is {spacing}; expected {prediction.ndim} positive numbers, one per axis")
    diagonal = float(np.linalg.norm(steps * prediction.shape))
    if prediction.ndim == 3 and 1 in prediction.shape:
        thin = prediction.shape.index(1)
        prediction, target, steps = prediction.take(0, thin), target.take(0, thin), np.delete(steps, thin)
    box = _bounding_box(prediction | target)  # both surfaces lie in it, so distances need nothing outside
    surfaces = [surface_of(mask[box]) for mask in (prediction, target)]
    if not all(surface.any() for surface in surfaces):
        return SurfaceDistances(*(np.full(surface.sum(), diagonal) for surface in surfaces), diagonal)
    p, t = surfaces
    return SurfaceDistances(distance_transform(t, steps)[p], distance_transform(p, steps)[t], diagonal)


class SurfaceMeasures(NamedTuple):
    """What the scores of one pair of objects need of its distances.

    Attributes
    ----------
    within : int
        Surface pixels, of both, at most the tolerance away from the other surface.
    pixels : int
        Surface pixels of both.
    total : float
        Sum of their distances.
    percentile : float
        The larger of the 95th percentiles of the two directions; nan if there is no surface.
    diagonal : float
        Of the image.
    """

    within: int
    pixels: int
    total: float
    percentile: float
    diagonal: float

    @classmethod
    def of(cls, distances: SurfaceDistances, tolerance: float) -> SurfaceMeasures:
        """Condense distances; `tolerance` is in their unit."""
        both = np.concatenate(distances[:2])
        percentiles = [float(np.percentile(d, 95)) for d in distances[:2] if len(d)]
        within, total = int((both <= tolerance).sum()), float(both.sum())
        return cls(within, len(both), total, max(percentiles, default=np.nan), distances.diagonal)


def surface_dice(measures: np.ndarray | SurfaceMeasures, empty: str = "skip") -> np.ndarray:
    """Surface Dice = share of the surface pixels of both that lie within the tolerance of the other surface.

    Parameters
    ----------
    measures : (..., 5) array
        `SurfaceMeasures`.
    empty : {"skip", "one", "zero"}
        The value of 0/0, where neither object exists: nan, 1 or 0.

    Returns
    -------
    (...) float64 array
        Surface pixels are counted, not weighted by the area that each stands for; where pixels are as long as wide
        the difference is small.

    References
    ----------
    Nikolov et al., Clinically applicable segmentation of head and neck anatomy, 2021.
    """
    within, pixels, *_ = np.moveaxis(np.asarray(measures, float), -1, 0)
    return ratio(within, pixels, empty)


def hd95(measures: np.ndarray | SurfaceMeasures, empty: str = "skip") -> np.ndarray:
    """HD95 = max of the 95th percentiles of both directions: the largest distance but for the worst twentieth.

    Parameters
    ----------
    measures : (..., 5) array
        `SurfaceMeasures`.
    empty : {"skip", "one", "zero"}
        Where neither object exists: nan, the best value 0, or the worst, the diagonal.

    Returns
    -------
    (...) float64 array

    References
    ----------
    Maier-Hein et al., Metrics reloaded, 2024. Others take one percentile of both directions together, which is
    smaller where one direction is worse.
    """
    _, pixels, _, percentile, diagonal = np.moveaxis(np.asarray(measures, float), -1, 0)
    return np.where(pixels == 0, _nothing(diagonal, empty), percentile)


def average_surface_distance(measures: np.ndarray | SurfaceMeasures, empty: str = "skip") -> np.ndarray:
    """ASSD = (sum of the distances of both directions) / (number of surface pixels of both), symmetric.

    Parameters and returns as in `hd95`.
    """
    _, pixels, total, _, diagonal = np.moveaxis(np.asarray(measures, float), -1, 0)
    return np.where(pixels == 0, _nothing(diagonal, empty), total / np.maximum(pixels, 1))


def _nothing(diagonal: np.ndarray, empty: str) -> np.ndarray | float:
    check_policy(empty)
    return {"skip": np.nan, "one": 0.0, "zero": diagonal}[empty]


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices of the smallest box around what is true; of an empty one if nothing is."""
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))
        box.append(slice(there[0], there[-1] + 1) if len(there) else slice(0))
    return tuple(box)
