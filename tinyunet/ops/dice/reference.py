"""Soft Dice in NumPy, on probabilities (N, C, M), labels and counted pixels (N, M): the specification."""

import numpy as np

from ..sigmoid import reference as sigmoid
from ..softmax import reference as softmax


def _truth(p, labels, counted):
    """y as a boolean (N, C, M)."""
    return (np.arange(p.shape[1])[:, None] == labels[:, None, :]) & counted[:, None, :]


def probabilities(z):
    """Softmax over C; sigmoid where C is 1."""
    return softmax.softmax(z) if z.shape[1] > 1 else sigmoid.forward(z)


def sums(p, labels, counted, squared):
    """Return sum p y, sum p (or p^2) and sum y over counted pixels, as float64 (3, N, C)."""
    p = p.astype(np.float64) * counted[:, None, :]
    y = _truth(p, labels, counted)
    return np.stack([(p * y).sum(axis=2), (p * p if squared else p).sum(axis=2), y.sum(axis=2)])


def backward_input(a, b, p, labels, counted, squared):
    """Compute gz by equation (3) from dL/dp = a y + b, or a y + 2 b p if squared."""
    a, b = a[:, :, None], b[:, :, None]
    gp = a * _truth(p, labels, counted) + (2 * b * p if squared else b)
    through = (gp * p).sum(axis=1, keepdims=True) if p.shape[1] > 1 else gp * p
    return p * (gp - through) * counted[:, None, :]
