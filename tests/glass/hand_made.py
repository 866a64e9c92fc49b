"""Networks whose relevant pixels are known, because their weights were written down."""

from __future__ import annotations

import numpy as np

from tinyunet.nn import Conv2d, Sequential


def conv(weight, **options):
    """A convolution with these weights, (O, C, KH, KW), and no bias."""
    weight = np.asarray(weight, np.float32)
    O, C, *kernel = weight.shape
    layer = Conv2d(C, O, tuple(kernel), bias=False, rng=np.random.default_rng(0), **options)
    layer.weight.data[...] = weight
    return layer


def looks_left(classes=2, target=1, strength=2.0):
    """A network of two channels whose score of a class is that of the first channel 3 pixels to the left."""
    weight = np.zeros((classes, 2, 1, 7))
    weight[target, 0, 0, 0] = strength
    return Sequential(conv(np.eye(2)[:, :, None, None]), conv(weight, padding=(0, 3)))
