"""Checks and weights of label maps, shared by the losses."""

from __future__ import annotations

import numpy as np

from .shapes import ShapeError


def prepare_labels(target, logits, ignore_index: int):
    """Return labels as a contiguous (N, H W) int64 array, after checking them against the logits (N, C, H, W).

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
    labels = np.ascontiguousarray(target.reshape(N, H * W), dtype=np.int64)
    classes = max(C, 2)  # one channel means sigmoid: background and foreground
    wrong = (labels < 0) | (labels >= classes)
    wrong &= labels != ignore_index
    if wrong.any():
        found = ", ".join(map(str, np.unique(labels[wrong])[:5]))
        raise ValueError(
            f"labels must be 0..{classes - 1} or the ignore label {ignore_index}, found {found}; "
            "map the values of the masks to class indices first"
        )
    return labels


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
        class_weights = np.asarray(class_weights, dtype)
        if class_weights.shape != (classes,):
            raise ShapeError(f"class_weights needs one value per class, ({classes},), got {class_weights.shape}")
        weight *= class_weights[np.where(labels == ignore_index, 0, labels)]
    if pixel_weights is not None:
        if pixel_weights.shape != shape:
            raise ShapeError(f"pixel_weights must have the shape of the labels, {shape}, got {pixel_weights.shape}")
        weight *= pixel_weights.reshape(weight.shape)
    return weight
