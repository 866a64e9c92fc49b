"""Were the objects found one by one? A mask with two touching nuclei merged into one has nearly all pixels right.

An object is a connected part of a mask, or, in the target, a label of an instance map, which knows where touching
objects meet. A predicted and a true object are a pair if their IoU is above a threshold of at least 1/2; then no
object can be in two pairs, and there is nothing to choose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyunet.data.sample import DataError
from tinyunet.metrics.counts import ratio


class ObjectCounts(NamedTuple):
    """How many objects were found (`tp`), made up (`fp`) and missed (`fn`)."""

    tp: int
    fp: int
    fn: int


def count_objects(
    prediction: np.ndarray, target: np.ndarray, threshold: float = 0.5, *, instances: bool = False
) -> ObjectCounts:
    """Pair the objects of a prediction with those of its target.

    Parameters
    ----------
    prediction : (H, W) or (D, H, W) bool array
        Its connected parts (neighbours by a side) are the objects.
    target : array of the same shape
        Treated alike; or, with `instances`, an instance map: 0 is background, every other value one object.
    threshold : float
        Objects are a pair if |P and T| / |P or T| is above this; at least 0.5.

    Returns
    -------
    ObjectCounts
        tp pairs, fp predicted objects without a partner, fn true objects without one.

    Raises
    ------
    DataError
        If the shapes differ, or the threshold is below 0.5.

    References
    ----------
    Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, 2019; Kirillov et
    al., Panoptic segmentation, 2019, for the proof that pairs above 1/2 are unique.
    """
    from tinyunet.morphology import connected_components  # imports numba

    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise DataError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
    if not 0.5 <= threshold < 1:
        raise DataError(f"threshold is {threshold}; expected at least 0.5, so that pairs are unique, and below 1")
    found, P = connected_components(prediction)
    if instances:
        values, true = np.unique(target, return_inverse=True)
        true = true.reshape(target.shape) + (0 if 0 in values else 1)
        T = int(np.count_nonzero(values))
    else:
        true, T = connected_components(target)
    pairs, shared = np.unique(true.ravel().astype(np.int64) * (P + 1) + found.ravel(), return_counts=True)
    t, p = np.divmod(pairs, P + 1)  # few of all pairs overlap; 0 is background
    union = np.bincount(true.ravel())[t] + np.bincount(found.ravel())[p] - shared
    tp = int(((t > 0) & (p > 0) & (shared > threshold * union)).sum())
    return ObjectCounts(tp, P - tp, T - tp)


def object_f1(counts: np.ndarray | ObjectCounts, empty: str = "skip") -> np.ndarray:
    """Object F1 = 2 TP / (2 TP + FP + FN) over objects.

    Parameters
    ----------
    counts : (..., 3) int array
        TP, FP and FN, from `count_objects`.
    empty : {"skip", "one", "zero"}
        The value of 0/0, where there are no objects and none are predicted.

    Returns
    -------
    (...) float64 array
    """
    tp, fp, fn = np.moveaxis(np.asarray(counts), -1, 0)
    return ratio(2 * tp, 2 * tp + fp + fn, empty)
