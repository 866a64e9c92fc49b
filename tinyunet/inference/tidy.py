"""Removing objects that cannot be: a patient has one liver, and no nucleus has three pixels."""

from __future__ import annotations

import numpy as np

from ..morphology import connected_components


def tidy(labels: np.ndarray, *, largest: bool = False, smallest: int = 0) -> np.ndarray:
    """Give the pixels of unwanted objects to the background.

    An object is a connected part of one class; pixels that share only a corner hang together.

    Parameters
    ----------
    labels : (H, W) or (D, H, W) int array
        Class indices; 0 is the background. Objects of a volume go through its slices.
    largest : bool
        Keep of every class only the object with the most pixels (of two equal ones, the one that begins first).
    smallest : int
        Keep only objects of at least so many pixels.

    Returns
    -------
    int array of the same shape

    Raises
    ------
    ValueError
        If `smallest` is negative.
    """
    if smallest < 0:
        raise ValueError(f"smallest must be a number of pixels, at least 0, got {smallest}")
    if not largest and smallest < 2:
        return labels
    tidied = labels.copy()
    for k in np.unique(labels[labels > 0]):
        parts, count = connected_components(labels == k, corners=True)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        unwanted = sizes < smallest
        if largest:
            unwanted |= np.arange(count + 1) != sizes[1:].argmax() + 1
        unwanted[0] = False  # the pixels of other classes
        tidied[unwanted[parts]] = 0
    return tidied
