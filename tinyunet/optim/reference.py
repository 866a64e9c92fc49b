"""The optimizers' arithmetic in NumPy: the specification. Arrays w, and what is kept for them, change in place.

Nothing changes where `when` is false; None counts as true.
"""

from __future__ import annotations

import numpy as np


def sgd(w, g, v, when, *, lr, momentum, weight_decay, nesterov):
    """Do one step of `SGD`; `v` is None without momentum."""
    if when is not None and not when:
        return
    if weight_decay:
        g = g + weight_decay * w
    if momentum:
        v *= momentum
        v += g
        g = g + momentum * v if nesterov else v
    w -= lr * g


def adam(w, g, m, v, when, *, lr, betas, eps, weight_decay, decoupled, steps):
    """Do one step of `Adam`, or of `AdamW` if `decoupled`, which is step number `steps`."""
    if when is not None and not when:
        return
    beta1, beta2 = betas
    if weight_decay and decoupled:
        w *= 1 - lr * weight_decay
    elif weight_decay:
        g = g + weight_decay * w
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    root = np.sqrt(v)
    root *= 1 / np.sqrt(1 - beta2**steps)
    root += eps
    w -= lr / (1 - beta1**steps) * (m / root)


def clip(gradients: list, max_norm: float):
    """Return the gradients of `clip_gradients` and their length before; they are the same arrays if that is short."""
    norm = float(np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients)))
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        gradients = [g * g.dtype.type(factor) for g in gradients]
    return gradients, norm
