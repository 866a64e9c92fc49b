"""Scores that are ratios of pixel counts: Dice, IoU, precision, recall.

For class c of one image, over the pixels whose target is not `IGNORE`:

    TP = pixels that are c and are predicted c          FP = predicted c, but are not c
    FN = are c, but are predicted something else        TN = neither
"""

from __future__ import annotations

import numpy as np

from tinyunet.data.sample import IGNORE, DataError

_EMPTY = {"skip": np.nan, "one": 1.0, "zero": 0.0}


def confusion(prediction: np.ndarray, target: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by true and predicted class: n[t, c] = pixels with target t and prediction c.

    Parameters
    ----------
    prediction : int or bool array of any shape
        Class indices 0..classes-1.
    target : int or bool array of the same shape
        Class indices 0..classes-1, or `IGNORE` where a pixel does not count.
    classes : int

    Returns
    -------
    (classes, classes) int64 array
        Its sum is the number of counted pixels.

    Raises
    ------
    DataError
        If the shapes differ, an array is not of integers, or a label is out of range.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise DataError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
    for name, labels, lowest in (("prediction", prediction, 0), ("target", target, IGNORE)):
        if labels.dtype.kind not in "iub":
            raise DataError(
                f"{name} has dtype {labels.dtype}; expected class indices. "
                "Take the argmax of logits over the channels first, or compare a probability with 0.5."
            )
        if labels.size and not lowest <= int(labels.min()) <= int(labels.max()) < classes:
            raise DataError(
                f"{name} holds labels {labels.min()}..{labels.max()}; expected {lowest}..{classes - 1} "
                f"for {classes} classes. Are these raw mask values, such as 0 and 255?"
            )
    counted = target != IGNORE
    pairs = target[counted].astype(np.int64) * classes + prediction[counted].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def dice(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Dice = 2 TP / (2 TP + FP + FN), also called F1.

    Parameters
    ----------
    counts : (..., C, C) int array
        From `confusion`.
    empty : {"skip", "one", "zero"}
        The value of 0/0: nan, 1 or 0. Here 0/0 means that the class is neither present nor predicted.

    Returns
    -------
    (..., C) float64 array
    """
    tp, fp, fn = hits_and_misses(counts)
    return ratio(2 * tp, 2 * tp + fp + fn, empty)


def iou(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Intersection over union, the Jaccard index J = TP / (TP + FP + FN); Dice = 2 J / (1 + J).

    Parameters, returns and 0/0 as in `dice`.
    """
    tp, fp, fn = hits_and_misses(counts)
    return ratio(tp, tp + fp + fn, empty)


def precision(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Precision = TP / (TP + FP): how much of what was predicted is right.

    Parameters and returns as in `dice`. Here 0/0 means that the class is not predicted at all, also where it
    is present: a model that misses every object has no precision, so read it together with `recall`.
    """
    tp, fp, _ = hits_and_misses(counts)
    return ratio(tp, tp + fp, empty)


def recall(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Recall (sensitivity) = TP / (TP + FN): how much of what is there was found.

    Parameters and returns as in `dice`. Here 0/0 means that the class is not present.
    """
    tp, _, fn = hits_and_misses(counts)
    return ratio(tp, tp + fn, empty)


METRICS = {"dice": dice, "iou": iou, "precision": precision, "recall": recall}


def hits_and_misses(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TP, FP and FN of every class, each (..., C)."""
    tp = np.diagonal(counts, axis1=-2, axis2=-1)
    return tp, counts.sum(-2) - tp, counts.sum(-1) - tp


def check_policy(empty: str) -> None:
    """Raise DataError if there is no empty-mask policy of this name."""
    if empty not in _EMPTY:
        raise DataError(f"empty is {empty!r}; expected one of {', '.join(_EMPTY)}")


def ratio(numerator: np.ndarray, denominator: np.ndarray, empty: str) -> np.ndarray:
    """Divide, with the value of the policy `empty` where the denominator is 0."""
    check_policy(empty)
    return np.where(denominator == 0, _EMPTY[empty], numerator / np.maximum(denominator, 1))
