"""Weights of classes and of pixels in the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.sample import DataError, Dataset
from ..data.source import class_pixels


def weights_of_classes(text: str, dataset: Dataset) -> np.ndarray | None:
    """Return the weight of every class in the loss.

        balanced:  w_c = sum_k n_k / (C n_c)          n_c pixels of class c in all masks; 0 for a class without any

    so that all classes weigh alike in sum.

    Parameters
    ----------
    text : str
        "none", "balanced", or numbers in the order of the classes: "1, 5".
    dataset : Dataset
        Of the images to train on.

    Returns
    -------
    (C,) float array, or None for "none"

    Raises
    ------
    DataError
        If there are more or fewer numbers than classes.
    """
    classes = len(dataset.class_names)
    if text == "none":
        return None
    if text == "balanced":
        pixels = class_pixels(dataset)
        return np.where(pixels > 0, pixels.sum() / (classes * np.maximum(pixels, 1)), 0.0)
    weights = numbers(text)
    if len(weights) != classes:
        names = ", ".join(dataset.class_names)
        raise DataError(f"class_weights {text!r} has {len(weights)} numbers for {classes} classes ({names})")
    return np.array(weights)


def numbers(text: str) -> list[float]:
    """Read the numbers of "1, 5".

    Raises
    ------
    ValueError
        If there is anything else, a negative number, or nothing above 0.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 <= value < np.inf for value in values) or not any(values):
        raise ValueError(f"class_weights must be none, balanced, or numbers from 0 on such as '1, 5', got {text!r}")
    return values


def weighted(loss: Callable, classes: np.ndarray | None, borders: bool) -> Callable:
    """Return a loss (logits, masks), or with border terms (logits, masks, terms), that weighs classes and pixels."""
    if not borders:
        return loss if classes is None else lambda logits, masks: loss(logits, masks, class_weights=classes)
    if classes is None:
        return lambda logits, masks, terms: loss(logits, masks, pixel_weights=1 + terms)
    # An ignored pixel takes the weight of some class here, and none in the loss.
    return lambda logits, masks, terms: loss(logits, masks, pixel_weights=classes.astype(np.float32)[masks] + terms)
