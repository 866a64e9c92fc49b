"""One table of cases for every operation: the call, the same call in PyTorch, and the inputs.

`test_ops.py` runs every check over this table, so a new operation is tested by adding lines here and running
`python -m tests.ops.freeze_torch`. Sizes are tiny, because finite differences call the function twice per element,
and unequal wherever they may be, because swapped axes hide in squares.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyunet import functional as F

from .makers import (
    Case,
    batch_norm2d,
    conv2d,
    conv_transpose2d,
    dropout,
    group_norm,
    labels,
    loss,
    module_function,
    operators,
    pad,
    pool,
    running_arrays,
    upsample_bilinear2d,
    upsample_conv2d,
    weights,
)

TIES = np.array([[1, 1, 0, 2, 2], [1, 1, 2, 2, 0], [3, 0, 3, 0, 3], [0, 3, 0, 3, 0]], float)[None, None]
KINKS = np.array([[-1.0, -0.0, 0.0, 2.0], [0.0, 1e-30, -1e-30, 3.0]])
FAR = np.array([[-800.0, -40.0, -1.0, 0.0], [0.5, 30.0, 90.0, 800.0]])
POSITIVE = np.linspace(0.3, 3, 12).reshape(3, 4)
Z, Z1, WIDE = (2, 3, 4, 5), (2, 1, 4, 5), (2, 4, 3, 5)  # scores of 3 classes, of 1, of 4

CASES = {
    "conv2d": conv2d((2, 3, 4, 5), (4, 3, 3, 2), bias=True),
    "conv2d-rectangular": conv2d((2, 3, 5, 6), (4, 3, 3, 2), bias=True, stride=(2, 3), padding=(1, 2)),
    "conv2d-square-kernel": conv2d((2, 3, 5, 4), (4, 3, 3, 3), stride=(2, 1), padding=(0, 1)),
    "conv2d-one-output-row": conv2d((2, 3, 3, 7), (4, 3, 3, 2), stride=(1, 2)),
    "conv2d-3x3-same": conv2d((2, 3, 5, 7), (4, 3, 3, 3), bias=True, padding=1),
    "conv2d-1x1": conv2d((2, 3, 5, 3), (4, 3, 1, 1), bias=True),
    "conv2d-1x1-stride": conv2d((2, 3, 5, 4), (4, 3, 1, 1), stride=2),
    "conv2d-2x2-stride-2": conv2d((2, 3, 5, 7), (4, 3, 2, 2), stride=2),
    "conv2d-stride-above-kernel": conv2d((2, 3, 7, 6), (4, 3, 2, 1), stride=(3, 2)),
    "conv2d-large-kernel": conv2d((2, 3, 3, 4), (4, 3, 5, 4), padding=(2, 1)),
    "conv2d-kernel-of-image-size": conv2d((2, 3, 4, 3), (4, 3, 4, 3)),
    "conv2d-padding-above-kernel": conv2d((2, 3, 2, 3), (4, 3, 2, 1), padding=(3, 2)),
    "conv2d-one-input-channel": conv2d((2, 1, 5, 4), (3, 1, 3, 3), padding=1),
    "conv2d-one-of-everything": conv2d((1, 1, 4, 3), (1, 1, 3, 2), bias=True),
    "conv_transpose2d": conv_transpose2d((2, 3, 3, 4), (3, 4, 3, 2), bias=True),
    "conv_transpose2d-rectangular": conv_transpose2d(
        (2, 3, 3, 4), (3, 4, 3, 2), bias=True, stride=(2, 3), padding=(1, 0), output_padding=(1, 2)
    ),
    "conv_transpose2d-2x2-stride-2": conv_transpose2d((2, 3, 3, 5), (3, 4, 2, 2), bias=True, stride=2),
    "conv_transpose2d-3x3-stride-2": conv_transpose2d(
        (2, 3, 3, 2), (3, 4, 3, 3), stride=2, padding=1, output_padding=1
    ),
    "conv_transpose2d-4x4-stride-2": conv_transpose2d((2, 3, 3, 2), (3, 4, 4, 4), stride=2, padding=1),
    "conv_transpose2d-stride-above-kernel": conv_transpose2d((2, 3, 3, 2), (3, 4, 1, 2), stride=(2, 3)),
    "conv_transpose2d-padding-above-kernel": conv_transpose2d((2, 3, 5, 4), (3, 4, 2, 1), padding=(2, 1)),
    "conv_transpose2d-one-channel": conv_transpose2d((2, 1, 3, 4), (1, 3, 3, 3), padding=1),
    "upsample_conv2d": upsample_conv2d((2, 3, 3, 2), (4, 3, 3, 2), bias=True, scale=(2, 3)),
    "upsample_conv2d-same": upsample_conv2d((2, 3, 2, 3), (4, 3, 3, 3), bias=True, scale=2, padding="same"),
    "upsample_conv2d-same-even": upsample_conv2d((2, 3, 3, 2), (4, 3, 2, 4), scale=(1, 3), padding="same"),
    "upsample_conv2d-same-wide": upsample_conv2d((2, 3, 1, 2), (4, 3, 5, 3), scale=(2, 1), padding="same"),
    "upsample_conv2d-scale-1": upsample_conv2d((2, 3, 4, 3), (4, 3, 3, 2), scale=1),
    "upsample_conv2d-scale-above-kernel": upsample_conv2d((2, 3, 2, 3), (4, 3, 2, 1), scale=(4, 3)),
    "upsample_conv2d-one-channel": upsample_conv2d((2, 1, 3, 4), (3, 1, 3, 3), scale=2),
    "upsample_nearest2d": Case(
        lambda x: F.upsample_nearest2d(x, scale=(2, 3)),
        lambda torch, x: torch.nn.functional.interpolate(x, scale_factor=(2, 3), mode="nearest"),
        ((2, 3, 4, 3),),
        linear=1,
    ),
    "upsample_bilinear2d": upsample_bilinear2d((2, 3, 4, 3), scale=2),
    "upsample_bilinear2d-rectangular": upsample_bilinear2d((2, 3, 3, 5), scale=(3, 2)),
    "upsample_bilinear2d-one-row": upsample_bilinear2d((2, 3, 1, 4), scale=(2, 1)),
    "upsample_bilinear2d-one-pixel": upsample_bilinear2d((1, 2, 1, 1), scale=(1, 3)),
    "max_pool2d": pool("max_pool2d", (2, 3, 5, 7), 2),
    "max_pool2d-rectangular": pool("max_pool2d", (2, 3, 5, 7), (3, 2), stride=(2, 1), padding=(1, 1)),
    "max_pool2d-stride-above-kernel": pool("max_pool2d", (2, 3, 7, 6), (2, 1), stride=(3, 2)),
    "max_pool2d-ties": replace(pool("max_pool2d", TIES, (3, 2), stride=(1, 2), padding=(1, 0)), smooth=False),
    "max_pool2d-all-negative": pool("max_pool2d", -1 - np.arange(20.0).reshape(1, 1, 4, 5), 3, stride=2, padding=1),
    "avg_pool2d": pool("avg_pool2d", (2, 3, 5, 7), 2),
    "avg_pool2d-rectangular": pool("avg_pool2d", (2, 3, 5, 7), (3, 2), stride=(2, 1), padding=(1, 1)),
    "avg_pool2d-stride-above-kernel": pool("avg_pool2d", (2, 3, 7, 6), (2, 1), stride=(3, 2)),
    "relu": module_function("relu", (2, 3, 5)),
    "relu-kinks": module_function("relu", KINKS, smooth=False),
    "sigmoid": module_function("sigmoid", (2, 3, 5)),
    "sigmoid-far": module_function("sigmoid", FAR),
    "softmax": module_function("softmax", (2, 3, 4, 5), axis=1),
    "softmax-last-axis": module_function("softmax", (2, 3, 5), axis=-1),
    "softmax-first-axis": module_function("softmax", (4, 3), axis=0),
    "softmax-far": module_function("softmax", FAR, axis=1),
    "log_softmax": module_function("log_softmax", (2, 3, 4, 5), axis=1),
    "log_softmax-last-axis": module_function("log_softmax", (2, 3, 5), axis=-1),
    "log_softmax-far": module_function("log_softmax", FAR, axis=1),
    "batch_norm2d": batch_norm2d((2, 3, 4, 5), training=True),
    "batch_norm2d-one-image": batch_norm2d((1, 3, 4, 5), training=True),
    "batch_norm2d-inference": batch_norm2d((2, 3, 4, 5), training=False),
    "batch_norm2d-inference-one-image": batch_norm2d((1, 3, 4, 5), training=False),
    "batch_norm2d-running-arrays": running_arrays((2, 3, 4, 5)),
    "group_norm": group_norm((2, 6, 3, 4), groups=2),
    "group_norm-one-group": group_norm((2, 3, 3, 4), groups=1),
    "group_norm-instance": group_norm((2, 3, 3, 4), groups=3),
    "concat": Case(lambda *x: F.concat(x), lambda torch, *x: torch.cat(x, 1), ((2, 3, 4, 5), (2, 1, 4, 5))),
    "concat-three": Case(
        lambda *x: F.concat(x, axis=-1), lambda torch, *x: torch.cat(x, -1), ((2, 3, 1), (2, 3, 4), (2, 3, 2))
    ),
    "concat-with-itself": Case(
        lambda x: F.concat([x, x, x * 2], axis=0), lambda torch, x: torch.cat([x, x, x * 2]), ((2, 3),), linear=1
    ),
    "pad": pad((2, 3, 4, 5), (1, 2, 0, 3)),
    "pad-value": pad((2, 3, 4, 5), (1, 0, 2, 0), value=-1.5),
    "pad-edge": pad((2, 3, 4, 5), (1, 2, 0, 3), mode="edge"),
    "pad-edge-one-pixel": pad((2, 3, 1, 1), (2, 1, 1, 3), mode="edge"),
    "crop": Case(lambda x: F.crop(x, (1, 2, 0, 3)), lambda torch, x: x[:, :, 1:-2, :-3], ((2, 3, 4, 5),), linear=1),
    "dropout": dropout((2, 3, 4), p=0.4),
    "cross_entropy": loss("cross_entropy", Z, labels(*Z)),
    "cross_entropy-weights": loss(
        "cross_entropy",
        Z,
        labels(*Z, ignored=-1),
        class_weights=[0.5, 2.0, 3.0],
        pixel_weights=weights(2, 4, 5),
    ),
    "cross_entropy-ignore-255": loss("cross_entropy", Z, labels(*Z, ignored=255), ignore_index=255),
    "cross_entropy-ignore-a-class": loss("cross_entropy", Z, labels(*Z), ignore_index=1),
    "binary_cross_entropy": loss("binary_cross_entropy", Z1, labels(2, 2, 4, 5)),
    "binary_cross_entropy-weights": loss(
        "binary_cross_entropy",
        Z1,
        labels(2, 2, 4, 5, ignored=-1),
        class_weights=[0.5, 2.0],
        pixel_weights=weights(2, 4, 5),
    ),
    "binary_cross_entropy-far": loss("binary_cross_entropy", FAR[None, None], labels(1, 2, 2, 4)),
    "dice_loss": loss("dice_loss", Z, labels(*Z)),
    "dice_loss-background": loss("dice_loss", Z, labels(*Z), include_background=True, eps=0.1),
    "dice_loss-per-image": loss("dice_loss", Z, labels(*Z), per_image=True),
    "dice_loss-squared": loss("dice_loss", Z, labels(*Z), squared=True),
    "dice_loss-all-options": loss(
        "dice_loss",
        Z,
        labels(*Z, ignored=255),
        include_background=True,
        per_image=True,
        squared=True,
        eps=0.5,
        ignore_index=255,
    ),
    "dice_loss-absent-skip": loss("dice_loss", WIDE, labels(*Z, ignored=-1)[:, :3], per_image=True),
    "dice_loss-absent-one": loss("dice_loss", WIDE, labels(*Z, ignored=-1)[:, :3], empty="one"),
    "dice_loss-one-channel": loss("dice_loss", Z1, labels(2, 2, 4, 5, ignored=-1)),
    "dice_loss-one-channel-squared": loss("dice_loss", Z1, labels(2, 2, 4, 5), per_image=True, squared=True),
    "cross_entropy_dice": loss(
        "cross_entropy_dice", Z, labels(*Z, ignored=9), class_weights=[1, 2, 0.5], ignore_index=9, per_image=True
    ),
    "cross_entropy_dice-one-channel": loss("cross_entropy_dice", Z1, labels(2, 2, 4, 5), dice_weight=0.3),
    "exp": module_function("exp", (3, 4)),
    "log": module_function("log", POSITIVE),
    "add": operators(lambda a, b: a + b, (2, 3, 4), (3, 1)),
    "add-longer-right": operators(lambda a, b: a + b, (4,), (2, 3, 4)),
    "subtract": operators(lambda a, b: a - b, (2, 1, 4), (3, 1)),
    "multiply": operators(lambda a, b: a * b, (2, 3, 4), (2, 1, 4), linear=0),
    "divide": operators(lambda a, b: a / b, (3, 4), POSITIVE[1]),
    "numbers-on-the-right": operators(lambda a: (a + 1) * 2 - 3, (3, 4)),
    "numbers-on-the-left": operators(lambda a: 2.5 - 3 * a + 1 / (4 + a), (3, 4)),
    "negative": operators(lambda a: -a, (3, 4), linear=1),
    "cube": operators(lambda a: a**3, (3, 4)),
    "reciprocal-root": operators(lambda a: a**-0.5, POSITIVE),
    "sum": operators(lambda a: a.sum(), (2, 3, 4), linear=1),
    "sum-axes": operators(lambda a: a.sum(axis=(0, -1)), (2, 3, 4), linear=1),
    "sum-keepdims": operators(lambda a: a * a.sum(axis=1, keepdims=True), (2, 3, 4)),
    "mean": operators(lambda a: a.mean(), (2, 3, 4), linear=1),
    "mean-axes": operators(lambda a: a.mean(axis=(1, 2), keepdims=True) * a, (2, 3, 4)),
    "reshape": operators(lambda a: a.reshape(4, -1), (2, 3, 4), linear=1),
    "reshape-tuple": operators(lambda a: a.reshape((6, 4)), (2, 3, 4), linear=1),
    "one-number": operators(lambda a, b: a * b / (a + 4), np.array(1.5), np.array(-0.5)),
}
