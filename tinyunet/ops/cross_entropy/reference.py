"""Cross-entropy in NumPy, on scores (N, C, M), labels and weights (N, M): the specification."""

import numpy as np


def _true_class(z, labels):
    """Boolean (N, C, M): whether c is the label of pixel m; never, where the label is no class."""
    return np.arange(z.shape[1])[:, None] == labels[:, None, :]


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    z = z - z.max(axis=1, keepdims=True)
    negative_log = np.log(np.exp(z).sum(axis=1)) - np.where(_true_class(z, labels), z, 0).sum(axis=1)
    return (weight * negative_log).sum(dtype=np.float64)


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    probability = e / e.sum(axis=1, keepdims=True)
    return factor * weight[:, None, :] * (probability - _true_class(z, labels))
