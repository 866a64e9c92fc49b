"""Binary cross-entropy in NumPy, on scores, labels and weights (N, M): the specification."""

import numpy as np


def forward(z, labels, weight):
    """Compute the sum of equation (1), not yet divided by S."""
    loss = np.maximum(z, 0) - z * (labels == 1) + np.log1p(np.exp(-np.abs(z)))
    return (weight * loss).sum(dtype=np.float64)


def backward_input(factor, z, labels, weight):
    """Compute gz by equation (2), with factor = gy / S."""
    small = np.exp(-np.abs(z))
    probability = np.where(z >= 0, 1, small) / (1 + small)
    return factor * weight * (probability - (labels == 1))
