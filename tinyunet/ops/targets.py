"""Checks and weights of label maps, shared by the losses."""

from __future__ import annotations

import numpy as np

from .. import settings
from ..backend import device_of, library_of, to_device
from .shapes import ShapeError


def prepare_labels(target, logits, ignore_index: int):
    """Return labels as a contiguous (N, H W) int64 array on the device of the logits (N, C, H, W), after checking them.

    Labels in main memory are checked there. On a GPU a check would have to wait for all work before it, so that labels
    which are there already are checked at debug level 1 and above only; a wrong one belongs to no class.

    Raises
    ------
    ShapeError
        If the shapes do not belong together.
    TypeError
        If the labels are not integers.
    ValueError
        If a label is neither a class 0..C-1 (0..1 for C = 1) nor `ignore_index`.
    """
    N, C, H, W = logits.shape
    if target.shape != (N, H, W):
        mend = "; drop the channel axis with target[:, 0]" if target.shape == (N, 1, H, W) else ""
        raise ShapeError(f"labels for logits {logits.shape} must have shape {(N, H, W)}, got {target.shape}{mend}")
    if target.dtype.kind not in "iub":
        raise TypeError(f"labels must be integers (class indices), got {target.dtype}; use target.astype(int)")
    if device_of(target) == "cpu" or settings.debug_level() >= 1:
        _check_classes(to_device(target, "cpu"), max(C, 2), ignore_index)  # one channel: background and foreground
    target = library_of(logits).asarray(target)
    return target.reshape(N, H * W).astype(np.int64, order="C", copy=False)


def _check_classes(target, classes: int, ignore_index: int) -> None:
    if target.min() >= 0 and target.max() < classes:  # two fast passes; the rest is for masks with ignored pixels
        return
    wrong = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if wrong.any():
        found = ", ".join(map(str, np.unique(target[wrong])[:5]))
        raise ValueError(
            f"labels must be 0..{classes - 1} or the ignore label {ignore_index}, found {found}; "
            "map the values of the masks to class indices first"
        )


def pixel_weight(labels, shape, classes: int, class_weights, pixel_weights, ignore_index: int, dtype):
    """Return the weight (N, M) of every pixel in a loss: its class's weight times its own, 0 where ignored.

    `shape` is that of the label map, (N, H, W).

    Raises
    ------
    ShapeError
        If the number of class weights or the shape of the pixel weights is wrong.
    """
    weight = (labels != ignore_index).astype(dtype)
    if class_weights is not None:
        class_weights = library_of(labels).asarray(class_weights, dtype)
        if class_weights.shape != (classes,):
            raise ShapeError(f"class_weights needs one value per class, ({classes},), got {class_weights.shape}")
        weight *= class_weights[np.where(labels == ignore_index, 0, labels)]
    if pixel_weights is not None:
        if pixel_weights.shape != shape:
            raise ShapeError(f"pixel_weights must have the shape of the labels, {shape}, got {pixel_weights.shape}")
        weight *= library_of(labels).asarray(pixel_weights).reshape(weight.shape)
    return weight


def total_weight(weight):
    """Return the sum of all weights in float64, which divides a loss: 1 where no pixel counts, and the loss is 0."""
    total = weight.sum(dtype=np.float64)
    return total + (total == 0)
