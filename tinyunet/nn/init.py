"""Random starting weights, always from a generator that the caller passes."""

from __future__ import annotations

from typing import Literal

import numpy as np

Init = Literal["he", "torch"]


def he(rng: np.random.Generator, shape: tuple[int, ...], fan_in: float) -> np.ndarray:
    """Draw from a normal distribution of standard deviation sqrt(2 / fan_in), which keeps variances through ReLUs.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
    fan_in : float
        Number of products summed into one output value, C KH KW for a convolution.

    Returns
    -------
    float32 array

    References
    ----------
    He et al., Delving deep into rectifiers, 2015.
    """
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)


def torch_default(rng: np.random.Generator, shape: tuple[int, ...], fan_in: float) -> np.ndarray:
    """Draw evenly from [-1/sqrt(fan_in), 1/sqrt(fan_in)], as PyTorch's convolutions do for weights and biases.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
    fan_in : float
        As PyTorch counts it: weight.shape[1] KH KW, also for transposed convolutions.

    Returns
    -------
    float32 array
    """
    bound = 1.0 / np.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape).astype(np.float32)
