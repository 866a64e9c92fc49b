"""Softmax and its logarithm in NumPy, on arrays (before, C, after): the specification."""

import numpy as np


def softmax(x):
    """Compute y by softmax's equation (1)."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(gy, y):
    """Compute gx by softmax's equation (2)."""
    return y * (gy - (gy * y).sum(axis=1, keepdims=True))


def log_softmax(x):
    """Compute y by log_softmax's equation (1)."""
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_softmax_backward(gy, y):
    """Compute gx by log_softmax's equation (2)."""
    return gy - np.exp(y) * gy.sum(axis=1, keepdims=True)
