"""The optimizers' arithmetic on the GPU: one launch per parameter and step.

Memory bounds it: Adam reads w, g, m and v once and writes w, m and v once, 28 bytes per weight in float32. As a row of
array operations it would move about four times as much, in a dozen launches.
"""

from __future__ import annotations

import math

import numpy as np

from ..ops.cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)

STRETCH = 4096
"""Elements per block when squares are added up."""


def sgd(w, g, v, when, *, lr, momentum, weight_decay, nesterov):
    """Do one step of `SGD`; `v` is None without momentum."""
    args = (w, contiguous(g), v, when, w.size, lr, momentum, weight_decay, nesterov)
    cu.launch("sgd", w.dtype, threads=w.size, args=args)


def adam(w, g, m, v, when, *, lr, betas, eps, weight_decay, decoupled, steps):
    """Do one step of `Adam`, or of `AdamW` if `decoupled`, which is step number `steps`."""
    beta1, beta2 = betas
    shrink, weight_decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    rate, root_scale = lr / (1 - beta1**steps), 1 / math.sqrt(1 - beta2**steps)
    numbers = (beta1, 1 - beta1, beta2, 1 - beta2, weight_decay, shrink, rate, root_scale, eps)
    cu.launch("adam", w.dtype, threads=w.size, args=(w, contiguous(g), m, v, when, w.size, *numbers))


def clip(gradients: list, max_norm: float):
    """Return the gradients of `clip_gradients`, always as new arrays, and their length before.

    The length is an array with 0 axes on the GPU, and whether it is too long is decided there: nothing waits. The sums
    run over stretches in a tree, then over these, always in the same order.
    """
    gradients = [contiguous(g) for g in gradients]
    blocks = [-(-g.size // STRETCH) for g in gradients]
    sums, norm, factor = (empty(shape, np.float64) for shape in ((sum(blocks),), (), ()))
    first = 0
    for g, count in zip(gradients, blocks, strict=True):
        cu.launch("squares", g.dtype, grid=(count,), args=(g, sums[first : first + count], g.size, STRETCH))
        first += count
    cu.launch("length", np.float64, grid=(1,), args=(sums, sums.size, max_norm, norm, factor))
    clipped = [empty(g.shape, g.dtype) for g in gradients]
    for g, scaled in zip(gradients, clipped, strict=True):
        cu.launch("scale", g.dtype, threads=g.size, args=(g, factor, scaled, g.size))
    return clipped, norm
