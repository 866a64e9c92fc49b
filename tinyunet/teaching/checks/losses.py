"""Checks: the losses and their gradients."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
Z, T = _random.normal(0, 2, (3, 7)), np.array([0, 2, 1, 1, 0, 2, 2])
P, Y = _random.uniform(0.05, 0.95, 9), np.array([0, 1, 1, 0, 0, 1, 0, 0, 0])


def _library(loss, z, t) -> tuple[float, np.ndarray]:
    """Return the library's loss of (C, M) scores, and its gradient."""
    tensor = Tensor(z[None, :, None], requires_grad=True)
    value = loss(tensor, t[None, None])
    value.backward()
    return value.item(), tensor.grad[0, :, 0]


@exercise
def log_softmax(fn):
    """The logarithm of softmax, without overflow."""
    right = F.log_softmax(Z[None, :, None]).data[0, :, 0]
    found = as_array(fn(Z.copy()))
    if found.shape == Z.shape and np.allclose(found, np.exp(right)):
        require(False, "these are the probabilities; the logarithm is wanted")
    if found.shape == Z.shape and np.allclose(np.exp(found).sum(axis=1), 1):
        require(False, "the sum runs over the classes, which are axis 0; here it ran over the pixels")
    require_close(found, right, "log p = z - log sum exp(z), the sum over the classes of each pixel")
    with np.errstate(all="ignore"):
        large = as_array(fn(np.array([[1000.0, -1000.0], [0.0, 0.0]])))
    require(np.isfinite(large).all(), "scores of 1000 overflow: subtract the largest score of each pixel before exp")
    hint = "each pixel has its own largest score: take the maximum over axis 0 only"
    require_close(large, [[0.0, -1000.0], [-1000.0, 0.0]], hint)


@exercise
def cross_entropy(fn):
    """Cross-entropy."""
    right = _library(F.cross_entropy, Z, T)[0]
    found = as_array(fn(Z.copy(), T))
    require(found.ndim == 0, "one number is wanted: the mean over the pixels")
    require(not np.isclose(found, -right), "the sign: log p is negative, the loss is not")
    require(not np.isclose(found, right * len(T)), "that is the sum; divide by the number of pixels")
    require_close(found, right, "pick log p of the true class of each pixel, and take the mean of the negatives")


@exercise
def cross_entropy_gradient(fn):
    """The gradient of cross-entropy."""
    right = _library(F.cross_entropy, Z, T)[1]
    found = as_array(fn(Z.copy(), T))
    require(found.shape == Z.shape, f"one number for each score: shape {Z.shape}, got {found.shape}")
    require(not np.allclose(found, -right), "the sign: it is probability minus truth")
    require(not np.allclose(found, right * len(T)), "the loss is a mean over the pixels: the gradient is divided by M")
    require_close(found, right, "p_c everywhere, minus 1 for the true class of each pixel, over M")


@exercise
def dice_loss(fn):
    """Soft Dice."""
    N, D = 2 * (P * Y).sum() + 1, P.sum() + Y.sum() + 1
    found = as_array(fn(P.copy(), Y))
    require(found.ndim == 0, "one number is wanted, for all pixels together")
    require(not np.isclose(found, N / D), "that is Dice itself; the loss is 1 minus it")
    require(not np.isclose(found, 1 - ((N - 1) / 2 + 1) / D), "twice the intersection: a factor of 2 is missing in N")
    nothing = as_array(fn(np.zeros(9), np.zeros(9)))
    require(np.isfinite(nothing), "empty prediction and empty mask give 0/0: eps belongs above and below")
    require(not np.isclose(nothing, -1), "eps stands once in N: 2 (I + eps) would give a Dice of 2 on an empty image")
    require_close(nothing, 0.0, "nothing there and nothing found: the loss is 0, so eps belongs in N as well as in D")
    require_close(found, 1 - N / D, "N = 2 sum p y + eps, D = sum p + sum y + eps, loss = 1 - N/D")


@exercise
def dice_gradient(fn):
    """The gradient of soft Dice."""
    N, D = 2 * (P * Y).sum() + 1, P.sum() + Y.sum() + 1
    right = -(2 * Y * D - N) / D**2
    found = as_array(fn(P.copy(), Y))
    require(found.shape == P.shape, f"one number for each pixel: shape {P.shape}, got {found.shape}")
    require(not np.allclose(found, -right), "the sign: the loss is 1 - N/D, so its derivative is minus that of N/D")
    require(not np.allclose(found, -2 * Y / D), "D changes too when p does: the quotient rule has a second term")
    require_close(found, right, "(N/D)' = (N' D - N D') / D^2, with N' = 2 y and D' = 1")


@exercise
def balanced_weights(fn):
    """Balanced class weights."""
    mask = np.array([[0, 0, 0, 0], [0, 2, 0, 2]])
    with np.errstate(all="ignore"):
        found = as_array(fn(mask, 3)).astype(float)
    require(found.shape == (3,), f"one weight for each class, absent ones too: 3 numbers, got shape {found.shape}")
    require(
        np.isfinite(found).all() and found[1] == 0,
        "class 1 does not occur: its weight is 0, without dividing by 0",
    )
    require(not np.allclose(found, [4 / 3, 0, 4]), "the factor C is missing below")
    require_close(found, [8 / 18, 0, 8 / 6], "w_c = number of all pixels / (C times the pixels of class c)")
