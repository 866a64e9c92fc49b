"""Checks: shares of classes, scaling of images, and masks that stay as they are."""

from __future__ import annotations

import numpy as np

from ..exercise import as_array, exercise, require, require_close

X = np.array([[10, 20, 30], [10, 50, 40], [25, 35, 50]], float)


@exercise
def class_shares(fn):
    """The share of each class."""
    mask = np.array([[0, 0, 0, 1], [0, 0, 3, 1]])
    found = as_array(fn(mask.copy(), 4))
    require(found.shape == (4,), f"one number for each class, also for one that is absent: 4, got {found.shape}")
    if np.allclose(found, [5, 2, 0, 1]):
        require(False, "these are numbers of pixels; divide by the number of all pixels")
    if np.allclose(found, [62.5, 25, 0, 12.5]):
        require(False, "a share lies between 0 and 1; these are percentages")
    require_close(found, [5 / 8, 2 / 8, 0, 1 / 8], "share k: how many pixels are equal to k, over the number of all")
    require_close(fn(np.zeros((2, 3), int), 2), [1, 0], "a mask of background alone has the shares 1 and 0")


def _still(fn, x, *options) -> np.ndarray:
    """Call with a copy and require that it is left alone."""
    given = x.copy()
    found = as_array(fn(given, *options))
    require(np.array_equal(given, x), "your function changed the image that it was given; make a new array")
    return found


def _constant(fn, *options) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            found = as_array(fn(np.full((2, 3), 7.0), *options))
        except ZeroDivisionError:
            found = np.full((2, 3), np.nan)
    require(
        np.isfinite(found).all(),
        "a constant image divides by zero; ask for it first, return what is wanted then",
    )
    return found


@exercise
def minmax(fn):
    """Min-max scaling."""
    unit = (X - 10) / 40
    found = _still(fn, X, 0, 1)
    if found.shape == X.shape and np.allclose(found, X / 50):
        require(False, "the smallest value must become a: subtract it before you divide")
    if found.shape == X.shape and np.allclose(found, (X - 10) / 50):
        require(False, "divide by the whole range, largest minus smallest, and not by the largest")
    require_close(found, unit, "to [0, 1]: (x - smallest) / (largest - smallest)")
    found = _still(fn, X, -1, 1)
    if np.allclose(found, unit):
        require(False, "a and b are not used: [-1, 1] must begin at -1 and end at 1")
    if np.allclose(found, unit - 1):
        require(False, "the stretch is missing: multiply by b - a, then add a")
    require_close(found, 2 * unit - 1, "to [-1, 1]: a + (b - a) (x - smallest) / (largest - smallest)")
    bytes_ = np.array([[10, 200], [250, 130]], np.uint8)
    hint = "8-bit integers overflow, 2 * 200 becomes 144: divide before you multiply, or begin with x.astype(float)"
    require_close(_still(fn, bytes_, -1, 1), [[-1, 7 / 12], [1, 0]], hint)
    require_close(_constant(fn, 0, 1), np.zeros((2, 3)), "a constant image becomes a everywhere, in its own shape")
    require_close(_constant(fn, -1, 1), -np.ones((2, 3)), "a constant image becomes a everywhere, and a is -1 here")


@exercise
def undo_minmax(fn):
    """Back from the scaled image."""
    unit = (X - 10) / 40
    found = as_array(fn(unit, 0, 1, 10.0, 50.0))
    if found.shape == X.shape and np.allclose(found, unit * 40):
        require(False, "the smallest value is missing: add `lowest` at the end")
    require_close(found, X, "from [0, 1]: lowest + y (highest - lowest)")
    hint = "from [-1, 1]: bring y back to [0, 1] first, by (y - a) / (b - a)"
    require_close(fn(2 * unit - 1, -1, 1, 10.0, 50.0), X, hint)
    require_close(fn(np.zeros((2, 2)), 0, 1, 7.0, 7.0), np.full((2, 2), 7.0), "a constant image comes back, too")


@exercise
def zscore(fn):
    """The z-score."""
    found = _still(fn, X)
    right = (X - X.mean()) / X.std()
    if found.shape == X.shape and np.allclose(found, X - X.mean()):
        require(False, "the mean is 0 now, but the standard deviation is not 1: divide by it")
    if found.shape == X.shape and np.allclose(found, (X - X.mean()) / X.var()):
        require(False, "that divides by the variance; the standard deviation is its square root")
    if found.shape == X.shape and np.allclose(found, (X - X.mean()) / X.std(ddof=1)):
        require(False, "(2) divides the sum of squares by P, not by P - 1")
    require_close(found, right, "subtract the mean of all pixels, then divide by their standard deviation")
    require_close(_constant(fn), np.zeros((2, 3)), "a constant image becomes 0 everywhere")


@exercise
def prepare(fn):
    """A sample, ready for the network."""
    mask = np.array([[0, 2, 2], [0, 0, 2], [2, 0, 0]], np.uint8)
    returned = fn(X.copy(), mask.copy())
    require(isinstance(returned, tuple) and len(returned) == 2, "return two arrays: image, mask")
    image, found = map(as_array, returned)
    require_close(image, (X - 10) / 40, "the image goes to [0, 1], by your minmax")
    require(image.dtype == np.float32, f"the image should be float32, got {image.dtype}; .astype(np.float32) converts")
    if found.max() == 1:
        require(False, "the mask was scaled or renamed: class 2 has become 1, and class 1 was not even in it")
    require(np.array_equal(found, mask), "every pixel of the mask keeps its class")
    require(
        np.issubdtype(found.dtype, np.integer),
        f"class numbers are integers, got {found.dtype}; they do not measure",
    )
    empty = fn(X.copy(), np.zeros((3, 3), np.uint8))[1]
    require(np.array_equal(empty, np.zeros((3, 3))), "a mask without any object stays 0 everywhere")
